"""How the page starts on a Space: on 0.0.0.0:7860, people kept apart by their Hugging Face account, the filter on.

What the Space's owner set by environment comes before what is set here. Knows nothing of how the folder was made.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

from app.settings import STARTER_TIER

log = logging.getLogger(__name__)

HOST, PORT = "0.0.0.0", 7860  # noqa: S104  # where a Space is looked for; WHATNEXT_PORT is for trying one out
ZERO_PREDICTOR = "app.zero:load"


def open_space(*, kind: str, tier: str = "", keep: str = "") -> None:
    """Returns when the Space is stopped; ends the process with its exit code."""
    from nsp_core.errors import WhatNextError

    prepare(os.environ, kind=kind, tier=tier, keep=keep)
    try:
        get_ready(kind=kind, tier=tier)
    except WhatNextError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    from app.main import main

    sys.exit(main(["--host", HOST, "--port", os.environ.get("WHATNEXT_PORT", str(PORT)), "--no-browser"]))


def prepare(env: MutableMapping[str, str], *, kind: str, tier: str, keep: str) -> None:
    """The settings of a Space, for those that nobody set."""
    data = Path(env.get("HOME") or "/tmp") / "what-happens-next"  # noqa: S108  # the checkout may be read only
    given = {
        "WHATNEXT_DATA": str(data),
        "WHATNEXT_ACCOUNTS": "huggingface" if env.get("OAUTH_CLIENT_ID") else "guests",
        "WHATNEXT_FILTER": "on",
        "WHATNEXT_KEEP": keep,
        "WHATNEXT_TIER": tier or ("auto" if kind == "gpu" else STARTER_TIER),
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    if kind == "zero":
        del given["WHATNEXT_TIER"]  # the model is named by its predictor
        given |= {"WHATNEXT_IN_PROCESS": "true", "WHATNEXT_PREDICTOR": ZERO_PREDICTOR}
    for name, value in given.items():
        if value:
            env.setdefault(name, value)
    if kind != "zero":
        env.setdefault("WHATNEXT_THREADS", str(os.cpu_count() or 1))


def get_ready(*, kind: str, tier: str) -> None:
    """Weights that do not come along: the filter's, and those of a tier. A tier that cannot be had is said in the log,
    and the starter draws. Raises ModelUnavailable without the filter's: a Space does not open without what it says."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    from app.filter import weights_path
    from app.filter_weights import get_weights
    from app.settings import Settings
    from nsp_core.errors import WhatNextError

    settings = Settings.from_environment(tier=STARTER_TIER if kind != "zero" else None)
    if settings.filter_on:
        get_weights(weights_path(settings))
    if kind == "zero":
        from app.zero import load

        load(settings.model)  # before the page opens: ZeroGPU refuses a Space that has nothing decorated by then
    if kind != "gpu":
        return
    from app.models.main import get

    try:
        get([tier] if tier else [])
    except WhatNextError as error:
        log.warning("%s", error)
        os.environ["WHATNEXT_TIER"] = "auto"
