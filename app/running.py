"""One program a data folder: where the one that runs can be found, so that a second start shows its page again.

Knows nothing of stories. The note lies in the data folder's run/; one whose program does not answer counts for nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

NOTE = "page.json"
_PATIENCE = 3.0  # seconds


def remember(run_dir: Path, address: str) -> None:
    partial = run_dir / f"page.{os.getpid()}.partial"
    partial.write_text(json.dumps({"pid": os.getpid(), "address": address}), encoding="utf-8")
    os.replace(partial, run_dir / NOTE)


def forget(run_dir: Path) -> None:
    """At the end, unless a later program has noted itself."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if json.loads((run_dir / NOTE).read_text(encoding="utf-8"))["pid"] == os.getpid():
            (run_dir / NOTE).unlink()


def running(run_dir: Path, token: str) -> str | None:
    """The link of a program that serves this data folder already; None when none answers."""
    try:
        address = str(json.loads((run_dir / NOTE).read_text(encoding="utf-8"))["address"])
        place = urlsplit(address)
        asked = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE)
        try:
            asked.request("GET", f"/?token={token}")
            taken = asked.getresponse().status == http.client.SEE_OTHER  # the gate took the token: it is ours
        finally:
            asked.close()
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None
    return f"{address}?token={token}" if taken else None
