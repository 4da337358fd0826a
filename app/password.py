"""The password of a page that others can reach: where it comes from, and whether a given one is it.

Never from the command line, which every program on the machine can read. It is kept as a salted scrypt hash, in memory
only. Knows nothing of pages.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import stat
from collections.abc import MutableMapping
from pathlib import Path

from nsp_core.errors import ConfigError

log = logging.getLogger(__name__)

SHORTEST = 10  # characters
LONGEST = 1024
VARIABLE = "WHATNEXT_PASSWORD"
_COST = {"n": 2**14, "r": 8, "p": 1, "maxmem": 64 * 2**20}  # a twentieth of a second and 16 MiB for each guess


class Password:
    def __init__(self, text: str) -> None:
        """Raises ConfigError for one that is too short."""
        if not SHORTEST <= len(text) <= LONGEST:
            raise ConfigError(
                f"The password has {len(text)} characters, {SHORTEST} to {LONGEST} are needed: choose a longer one, "
                "several words are easiest to remember."
            )
        self._salt = secrets.token_bytes(16)
        self._hash = self._of(text)

    def __repr__(self) -> str:
        return "Password(…)"

    def is_(self, text: str) -> bool:
        """Takes as long for a right one as for a wrong one."""
        return hmac.compare_digest(self._of(text[:LONGEST]), self._hash)

    def _of(self, text: str) -> bytes:
        return hashlib.scrypt(text.encode("utf-8", "surrogatepass"), salt=self._salt, **_COST)


def given_password(file: Path | None, env: MutableMapping[str, str] | None = None) -> Password | None:
    """From the first line of a file, else from WHATNEXT_PASSWORD, which then leaves the environment, so that no other
    process inherits it. None when there is neither. Raises ConfigError."""
    env = os.environ if env is None else env
    spoken = env.pop(VARIABLE, "")
    if file is None:
        return Password(spoken) if spoken else None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        open_to_others = os.name == "posix" and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"The password file {file} cannot be read: name a text file with one line.") from None
    if open_to_others:
        log.warning("The password file %s can be read by others on this machine: chmod 600 keeps it private.", file)
    return Password(lines[0].strip() if lines else "")
