"""The device's locks as the app sees them: who predicts, and who has borrowed the device from it.

The locks themselves are nsp_core's, because teaching takes the same ones and never imports the app.
"""

from __future__ import annotations

from pathlib import Path

from nsp_core.locks import FileLock, Holder, borrow_device, device_lock, holder_of, is_held, wanted_lock

PREDICTING = "predicting"


def lesson_lock(folder: Path) -> Path:
    """Held while a lesson that was begun on the page is worked on."""
    return folder / "teach.lock"


def not_predicting(holder: Holder | None) -> Holder | None:
    return None if holder is None or holder.who == PREDICTING else holder


__all__ = [
    "PREDICTING",
    "FileLock",
    "Holder",
    "borrow_device",
    "device_lock",
    "holder_of",
    "is_held",
    "lesson_lock",
    "not_predicting",
    "wanted_lock",
]
