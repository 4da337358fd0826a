"""The process that downloads: `python -m app.models.fetch_process REPORT LOCK PARENT NAME ...`. Started by fetching.py.

Says how far it is twice a second, ends when it is told to or when the page that started it is gone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from app.background import Teller, carry_out, leave
from app.models.fetching import HOLDER, Report
from app.models.shelf import Shelf
from nsp_core.weights.fetch import Progress, fetch

_EVERY = 0.5  # seconds between two reports


def main(argv: list[str] | None = None) -> int:
    report, lock, parent, *names = sys.argv[1:] if argv is None else argv
    over = {"rate": None, "left": None, "checking": False}
    teller = Teller(Path(report), Report(tuple(names)), int(parent), every=_EVERY, **over)

    def tell(progress: Progress) -> None:
        told = {"done": progress.done, "total": progress.total, "rate": progress.rate, "left": progress.left}
        teller.say(progress.checking, **told, file=progress.file, checking=progress.checking)

    def work() -> dict[str, Any]:
        shelf = Shelf.here()
        models = [item.model for item in shelf.called(names)]
        fetch(models, cache=shelf.cache, tell=tell, should_stop=teller.orphaned)
        return {}

    return carry_out(work, teller, Path(lock), HOLDER)


if __name__ == "__main__":
    leave(main())
