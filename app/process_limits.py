"""How much this process may take, asked of the system itself. The one place that knows about rlimits.

POSIX only: elsewhere nothing happens here, and whoever started the process watches it and ends it from outside.
Knows nothing of media.
"""

from __future__ import annotations

import contextlib
import sys


def limit_this_process(*, memory: int, cpu_seconds: float, file_bytes: int) -> None:
    """From here on at most `memory` bytes more than now, so much time of all processors together, files no larger."""
    if sys.platform == "win32":
        return
    import resource

    import psutil

    process = psutil.Process()
    used = process.cpu_times()
    seconds = int(used.user + used.system + cpu_seconds) + 1
    for kind, value in (
        (resource.RLIMIT_AS, process.memory_info().vms + memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),  # what people bring must not end up in a core dump
    ):
        hard = resource.getrlimit(kind)[1]
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some; the watch from outside remains
            resource.setrlimit(kind, (wanted, wanted))
