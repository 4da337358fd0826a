"""When memory was not enough: how libraries say so, and how it is said here. Imports no torch."""

from __future__ import annotations

from nsp_core.errors import ModelUnavailable


class OutOfMemory(ModelUnavailable):
    """The memory of a device, or of the computer, was not enough. A smaller tier may be."""


_SAID = ("out of memory", "can't allocate memory", "cannot allocate memory", "cublas_status_alloc_failed")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, says so: torch's own class for graphics cards (by name), MPS and
    allocators in words, Python's MemoryError."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        if isinstance(now, (MemoryError, OutOfMemory)) or type(now).__name__ == "OutOfMemoryError":
            return True
        if isinstance(now, (RuntimeError, OSError)) and any(said in str(now).lower() for said in _SAID):
            return True
        now = now.__cause__ or now.__context__
    return False
