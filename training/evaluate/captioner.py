"""Who puts a drawn clip into words for `eval nsp`, without knowing what should be in it.

    claude, server   the service of a judge, asked for a caption only (templates.CAPTION)
    own              the reader of the model that is measured: it judges its own pictures, which the result says
    FOLDER           the reader of another model

Settings are the judge's where both have the same name; each can be set apart as WHATNEXT_CAPTIONER_* (as in
WHATNEXT_CAPTIONER_MODEL), and none is shared between services of two names. Knows nothing of verdicts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nsp_core.errors import ConfigError, UserError
from nsp_core.judges import templates
from nsp_core.judges.asking import Ask
from nsp_core.judges.calls import Live
from nsp_core.judges.claude import claude_judge
from nsp_core.judges.config import PREFIX, JudgeConfig
from nsp_core.judges.ledger import Ledger
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.prices import NANO
from nsp_core.judges.server import KEY, ChatServer
from nsp_core.keys import key
from nsp_core.media import crop_resize
from nsp_core.types import Frames, Scene

OWN_PREFIX = "WHATNEXT_CAPTIONER_"
SERVICES = ("claude", "server")


@dataclass(frozen=True)
class Caption:
    """`text` None: there is none, and `reason` says why."""

    text: str | None
    reason: str = ""
    cost_usd: float = 0.0


class Captioner(Protocol):
    """`name` has the model in it; `how` says what it is shown and asked. Captions of two are not comparable."""

    name: str
    how: str

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        """One for each clip (T, H, W, 3), in order. What goes wrong is a Caption without text."""
        ...


class ServiceCaptioner:
    """Asks for the caption as the paper's judge does, so that one service can do both in one run."""

    def __init__(self, judge: PaperJudge) -> None:
        config = judge.config
        self.name, self._judge = judge.name, judge
        self.how = f"caption v{templates.TEMPLATE_VERSION}, {config.pictures} pictures of {config.longest}"

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        asks = [self._judge.caption_ask(Scene("", frames)) for frames in clips]
        assert all(isinstance(ask, Ask) for ask in asks)
        found = []
        for answer in self._judge.asker.ask_all([ask for ask in asks if ask is not None]):
            text = "" if answer.fields is None else str(answer.fields["caption"]).strip()
            reason = "" if text else answer.reason or "the captioner saw nothing"
            found.append(Caption(text or None, reason, answer.cost_nano / NANO))
        return found


class ReaderCaptioner:
    """A model's own `describe`: Qwen-VL sees the clip's two ends."""

    def __init__(self, predictor: Any, kind: str) -> None:
        if predictor.language is not None:
            raise UserError(
                "The captioner's reader knows the words of the picture-book world only: choose claude, server or the "
                "folder of a big model."
            )
        self.name, self._predictor = f"{kind}:{predictor.fingerprint}", predictor
        self.how = "describe, two pictures"

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        return [self._one(frames) for frames in clips]

    def _one(self, frames: Frames) -> Caption:
        config = self._predictor.config
        try:
            seen = self._predictor.describe(
                np.stack([crop_resize(frame, config.width, config.height) for frame in frames])
            )
        except UserError as error:
            return Caption(None, str(error))
        text = seen.words.strip()
        return Caption(text or None, "" if text else "the captioner saw nothing")


def captioner_called(name: str, judge: str, measured: Any, env: Mapping[str, str] | None = None) -> Captioner:
    """`judge`: the name of the judge beside it; `measured`: the model that is measured. Raises UserError, and what
    making the service raises."""
    if name == "own":
        return ReaderCaptioner(measured, "own")
    if name in SERVICES:
        env = dict(os.environ if env is None else env)
        own = any(setting.startswith(OWN_PREFIX) for setting in env)
        try:
            return ServiceCaptioner(_service(name, name == judge, env))
        except ConfigError as error:  # it names settings as if they were the judge's
            raise ConfigError(str(error).replace(PREFIX, OWN_PREFIX) if own or name != judge else str(error)) from None
    if Path(name).expanduser().is_dir():
        from training.models import open_model

        return ReaderCaptioner(open_model(Path(name).expanduser()), "reader")
    raise UserError(f"There is no captioner '{name}'; known are claude, server, own and the folder of a model.")


def _service(name: str, shared: bool, env: Mapping[str, str]) -> PaperJudge:
    own = {PREFIX + one.removeprefix(OWN_PREFIX): text for one, text in env.items() if one.startswith(OWN_PREFIX)}
    base = {one: text for one, text in env.items() if one.startswith(PREFIX)} if shared else {}
    config = replace(JudgeConfig.from_environment(base | own), sees="pictures", votes=1, keep_answers=True)
    if name == "claude":
        return claude_judge(config)
    apart = not shared or f"{OWN_PREFIX}URL" in env  # one server's key is never sent to another one
    secret = key(f"{OWN_PREFIX}KEY", env) or (None if apart else key(KEY, env))
    ledger = Ledger(config.path, round(config.max_usd * NANO), keep_answers=True)
    return PaperJudge(f"server:{config.model}", Live(ChatServer(config, secret), ledger, config), config)
