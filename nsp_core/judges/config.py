"""What can be set about a judge that is asked over a network: one frozen dataclass, each field also WHATNEXT_JUDGE_*.

Knows nothing of the services themselves. Times are in seconds, prices in dollars for a million tokens.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from nsp_core.errors import ConfigError
from nsp_core.judges.templates import Template

PREFIX = "WHATNEXT_JUDGE_"
CLAUDE_URL = "https://api.anthropic.com"
# The line of the paper's judge, Claude 3.7 Sonnet, which was retired on 2026-02-19. `judge doctor` says what is alive.
CLAUDE_MODEL = "claude-sonnet-5-5"

EFFORTS = ("none", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True)
class JudgeConfig:
    """`sees` "pictures": the judge writes a caption of the pictures first, as in the paper, and judges that caption;
    "words": it judges the scene's own words, and no picture leaves the machine."""

    model: str = ""  # "": CLAUDE_MODEL, or what the server of `url` has
    url: str = ""  # "": CLAUDE_URL (or ANTHROPIC_BASE_URL) for Claude; a server that speaks like OpenAI's needs one
    template: Template = "10.1"
    sees: str = "pictures"
    pictures: int = 6  # of a clip, evenly in time
    longest: int = 512  # pixels of a picture's longer side
    votes: int = 1  # times that each verdict is asked for; every vote is kept
    effort: str = "low"  # of Claude; "none": not sent, which happens by itself for models that take none
    max_tokens: int = 2048  # of an answer, thinking included
    patience: float = 120.0  # for one answer, every try and wait included
    timeout: float = 60.0  # of a single call
    concurrency: int = 8
    requests_per_minute: int = 0  # 0: as the service's own headers say
    input_tokens_per_minute: int = 0
    output_tokens_per_minute: int = 0
    max_usd: float = 1.0  # all that may ever be spent by one `file`
    price_in: float = -1.0  # below 0: from the price list; a model that is not in it needs both
    price_out: float = -1.0
    file: Path | None = None  # where money is counted and answers are kept; None: in the user's data folder
    keep_answers: bool = False  # answers hold words about somebody's pictures, so they are kept on request only

    def __post_init__(self) -> None:
        choices = {"sees": ("pictures", "words"), "template": get_args(Template), "effort": EFFORTS}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise _wrong(name, getattr(self, name), " or ".join(allowed))
        at_least = {"pictures": 1, "longest": 32, "votes": 1, "max_tokens": 64, "concurrency": 1, "max_usd": 0.0}
        for name, least in at_least.items():
            if not least <= getattr(self, name) < float("inf"):
                raise _wrong(name, getattr(self, name), f"{least} or more")
        for name in ("patience", "timeout"):
            if not 0 < getattr(self, name) < float("inf"):
                raise _wrong(name, getattr(self, name), "a number of seconds above 0")
        if urlsplit(self.url).username is not None:
            raise ConfigError("WHATNEXT_JUDGE_URL has a name or password in it: put a key into WHATNEXT_JUDGE_KEY.")
        if (self.price_in < 0) != (self.price_out < 0):
            raise ConfigError(
                "Only one price was given: set both, WHATNEXT_JUDGE_PRICE_IN and WHATNEXT_JUDGE_PRICE_OUT."
            )

    @property
    def path(self) -> Path:
        if self.file is not None:
            return self.file
        from platformdirs import user_data_path

        return user_data_path("what-happens-next", appauthor=False) / "judge.db"

    def plain(self) -> dict[str, Any]:
        """What JSON can hold; there is no key in it. `JudgeConfig.from_plain` is the way back."""
        return {**asdict(self), "file": None if self.file is None else str(self.file)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> JudgeConfig:
        """Raises ConfigError for a name that is no setting: it comes from another version."""
        strange = set(plain) - {f.name for f in fields(cls)}
        if strange:
            raise ConfigError(f"{min(strange)} is no setting of a judge in this version: ask again.")
        file = plain.get("file")
        return cls(**{**plain, "file": None if file is None else Path(file)})

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None) -> JudgeConfig:
        """Raises ConfigError for a name that is no setting and for a value out of range."""
        env = os.environ if env is None else env
        kinds = {f.name: str(f.type) for f in fields(cls)}
        values: dict[str, Any] = {}
        for key, text in env.items():
            if not key.startswith(PREFIX) or key == f"{PREFIX}KEY" or not text.strip():
                continue
            name = key.removeprefix(PREFIX).lower()
            if name not in kinds:
                known = ", ".join(f"{PREFIX}{one.upper()}" for one in kinds)
                raise ConfigError(f"{key} is no setting of a judge; there are {known}.")
            values[name] = _typed(name, kinds[name], text.strip())
        return cls(**values)


def claude_defaults(config: JudgeConfig) -> JudgeConfig:
    """With the model and the address that Claude has when none is set."""
    url = config.url or os.environ.get("ANTHROPIC_BASE_URL", "") or CLAUDE_URL
    return replace(config, model=config.model or CLAUDE_MODEL, url=url.rstrip("/"))


def is_here(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _typed(name: str, kind: str, text: str) -> Any:
    if kind == "bool":
        return text.lower() in ("1", "true", "yes", "on")
    if kind.startswith("Path"):
        return Path(text).expanduser().resolve()
    if kind in ("int", "float"):
        try:
            return int(text) if kind == "int" else float(text)
        except ValueError:
            raise _wrong(name, text, "a number") from None
    return text


def _wrong(name: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"{PREFIX}{name.upper()} is {value!r}, but it must be {allowed}: change it.")
