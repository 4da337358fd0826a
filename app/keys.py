"""Keys of outside services (nsp_core.keys) stay out of whatever is logged. Knows nothing of the services.

They are never written to the database, to settings or to job payloads either.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping

from nsp_core.keys import HIDDEN, Key, key

__all__ = ["HIDDEN", "KNOWN", "Key", "hide_keys", "key"]

KNOWN = ("ANTHROPIC_API_KEY", "WHATNEXT_JUDGE_KEY", "WHATNEXT_VOICE_KEY", "HF_TOKEN")
# whatever looks like one, even when it is not ours
_SHAPES = re.compile(r"\b(?:sk-ant-[\w-]{16,}|sk-[\w-]{20,}|hf_\w{20,})")
_SHORTEST = 8  # shorter values are words that may stand in any log


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
