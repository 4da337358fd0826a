"""Keys of outside services: from the environment or the system's keyring, and nowhere else.

A `Key` shows nothing of itself and is never written down. Knows nothing of the services and of logs.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

SERVICE = "what-happens-next"  # under which the keyring has them: `keyring set what-happens-next ANTHROPIC_API_KEY`
HIDDEN = "(a key)"


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
