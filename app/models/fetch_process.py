"""The process that downloads: `python -m app.models.fetch_process REPORT LOCK PARENT NAME ...`. Started by fetching.py.

Says how far it is twice a second, ends when it is told to or when the page that started it is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.models.fetching import Report, held, write
from app.models.shelf import Shelf
from nsp_core.errors import Cancelled, WhatNextError
from nsp_core.weights.fetch import Progress, fetch

_EVERY = 0.5  # seconds between two reports
_LOOK_EVERY = 2.0  # seconds between looks for the page


class Teller:
    """Writes the report, and sees whether the page is still there."""

    def __init__(self, path: Path, names: tuple[str, ...], parent: int) -> None:
        self.path = path
        self.parent = parent
        self.now = Report(names)
        self.told = self.looked = 0.0

    def tell(self, progress: Progress) -> None:
        told = {"done": progress.done, "total": progress.total, "rate": progress.rate, "left": progress.left}
        self.now = replace(self.now, **told, file=progress.file, checking=progress.checking)
        if time.monotonic() - self.told >= _EVERY or progress.checking:
            self.told = time.monotonic()
            write(self.path, self.now)

    def end(self, **how: Any) -> None:
        write(self.path, replace(self.now, rate=None, left=None, checking=False, **how))

    def orphaned(self) -> bool:
        if time.monotonic() - self.looked < _LOOK_EVERY:
            return False
        self.looked = time.monotonic()
        import psutil

        return not psutil.pid_exists(self.parent)


def main(argv: list[str] | None = None) -> int:
    report, lock, parent, *names = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    teller = Teller(Path(report), tuple(names), int(parent))

    def end(_number: int, _frame: Any) -> None:
        raise Cancelled("Stopped.")  # also out of a wait for the network

    signal.signal(signal.SIGTERM, end)
    try:
        with held(Path(lock)):
            shelf = Shelf.here()
            models = [item.model for item in shelf.called(names)]
            fetch(models, cache=shelf.cache, tell=teller.tell, should_stop=teller.orphaned)
            teller.end(what="done")
    except Cancelled:
        teller.end(what="stopped")
    except TimeoutError:
        return 0  # another one is at it, and reports itself
    except WhatNextError as error:
        teller.end(what="failed", why=str(error))
    except OSError as error:
        teller.end(what="failed", why=f"{error.filename or 'A file'} cannot be written ({error.strerror or error}).")
    except Exception as error:
        logging.exception("the download ended")
        teller.end(what="failed", why=f"Something went wrong inside the program ({type(error).__name__}).")
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)
