"""Who may reach this page: the person at this machine alone, or others, who then have to bring a password.

Decides it from how the program is started, and refuses to start where something is missing. Knows nothing of requests.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from app.accounts import Accounts, Client
from app.login import Lock, Locks
from app.password import VARIABLE, given_password
from app.settings import Settings
from nsp_core.errors import ConfigError

log = logging.getLogger(__name__)

HUGGING_FACE, GUESTS = "huggingface", "guests"  # of the setting `accounts`
HUB = "https://huggingface.co https://*.hf.space"  # shows Spaces in a frame

# what a person may have set for other programs and would open this one: code from a chat, foreign files, a tunnel
NOT_HERE = ("GRADIO_VIBE_MODE", "GRADIO_ALLOWED_PATHS", "GRADIO_SHARE", "GRADIO_HOT_RELOAD", "GRADIO_MCP_SERVER",
            "GRADIO_HISTORY_BUCKET", "GRADIO_WATCH_DIRS", "GRADIO_SSR_MODE", "GRADIO_RUN_HISTORY")  # fmt: skip


@dataclass(frozen=True)
class Access:
    """`names`: what else this page is called, in front of a proxy or on a Space. `framed_by`: who may show it."""

    public: bool
    lock: Locks | None
    names: tuple[str, ...] = ()
    framed_by: str = ""


def is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_public(host: str, settings: Settings, env: Mapping[str, str]) -> bool:
    """Whether anybody but the person at this machine can come."""
    return settings.public or bool(settings.served_as) or bool(env.get("SPACE_ID")) or not is_loopback(host)


def access_for(
    host: str, settings: Settings, password_file: Path | None, env: MutableMapping[str, str] | None = None
) -> Access:
    """Raises ConfigError, one sentence, where others could come and no password is set."""
    env = os.environ if env is None else env
    public = is_public(host, settings, env)
    if settings.accounts:
        return _with_accounts(settings, env)
    password = given_password(password_file, env)
    if public and password is None:
        raise ConfigError(
            f"Others could reach this page on {host}, and there is no password: name a file that holds one with "
            f"--password-file FILE, or set {VARIABLE}; without --host the page is for this machine alone."
        )
    names = [name.strip() for name in settings.served_as.split(",") if name.strip()]
    if space := env.get("SPACE_HOST"):
        names.append(space)
    return Access(public, Lock(password) if password is not None else None, tuple(names))


def _with_accounts(settings: Settings, env: Mapping[str, str]) -> Access:
    """Everybody has stories of their own. Raises ConfigError for a kind of account that there is not."""
    if settings.accounts not in (HUGGING_FACE, GUESTS):
        raise ConfigError(f"WHATNEXT_ACCOUNTS is {HUGGING_FACE} or {GUESTS}, not {settings.accounts!r}.")
    space = env.get("SPACE_HOST", "")
    client = Client.from_environment(env) if settings.accounts == HUGGING_FACE else None
    names = (*(name.strip() for name in settings.served_as.split(",") if name.strip()), *([space] if space else []))
    return Access(True, Accounts(client, secure=bool(space)), names, HUB if space else "")


def close_side_doors(env: MutableMapping[str, str] | None = None) -> tuple[str, ...]:
    """Take settings out of the environment with which Gradio would open what is closed here; returns their names."""
    env = os.environ if env is None else env
    found = tuple(name for name in NOT_HERE if env.pop(name, ""))
    if found:
        log.warning("%s is set for other programs and is not used here.", ", ".join(found))
    return found
