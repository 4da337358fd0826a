"""Keys of outside services: from the environment or the system's keyring, and nowhere else.

They are never written to the database, to settings, job payloads or logs: `Key` shows nothing of itself, and
`hide_keys` takes values out of whatever is logged. Knows nothing of the services.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

SERVICE = "what-happens-next"  # under which the keyring has them: `keyring set what-happens-next ANTHROPIC_API_KEY`
KNOWN = ("ANTHROPIC_API_KEY", "HF_TOKEN")
HIDDEN = "(a key)"
# whatever looks like one, even when it is not ours
_SHAPES = re.compile(r"\b(?:sk-ant-[\w-]{16,}|sk-[\w-]{20,}|hf_\w{20,})")
_SHORTEST = 8  # shorter values are words that may stand in any log


class Key:
    """`reveal()` is called where the key is sent, and only there."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("A key is not written down.")


def key(name: str, env: Mapping[str, str] | None = None) -> Key | None:
    """The key of that name, None when it is nowhere. The environment goes before the keyring."""
    value = (os.environ if env is None else env).get(name, "").strip() or _from_keyring(name)
    return Key(value) if value else None


def _from_keyring(name: str) -> str:
    """ "" without the package `keyring`, or while the keyring is locked."""
    try:
        keyring: Any = importlib.import_module("keyring")
        return str(keyring.get_password(SERVICE, name) or "").strip()
    except ImportError:
        return ""
    except Exception as error:  # each desktop has its own ways to fail
        log.info("the keyring gives nothing: %s", type(error).__name__)
        return ""


def hide_keys(env: Mapping[str, str] | None = None) -> None:
    """From here on no handler of this process writes a key, neither a known one nor what looks like one."""
    given = os.environ if env is None else env
    values = [value for name in KNOWN if len(value := given.get(name, "").strip()) >= _SHORTEST]
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, _Hiding) for one in handler.filters):
            handler.addFilter(_Hiding(values))


class _Hiding(logging.Filter):
    def __init__(self, values: list[str]) -> None:
        super().__init__()
        self.values = values

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.msg, record.args = self._without(text), ()
        if record.exc_text:
            record.exc_text = self._without(record.exc_text)
        return True

    def _without(self, text: str) -> str:
        for value in self.values:
            text = text.replace(value, HIDDEN)
        return _SHAPES.sub(HIDDEN, text)
