"""The process that makes a film; rendering.py starts `python -m app.reel.render_process REQUEST REPORT LOCK PARENT`.

Says how far it is, ends when it is told to or when the page that started it is gone. What a decoder or a voice does to
it, it does not do to the page.
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

from app.reel.render import Progress
from app.reel.rendering import held, read, read_request, write
from app.reel.taking import take_out
from nsp_core.errors import Cancelled, WhatNextError

_EVERY = 0.3  # seconds between two reports
_LOOK_EVERY = 2.0  # seconds between looks for the page


class _Teller:
    """Writes the report, and sees whether the page is still there."""

    def __init__(self, path: Path, parent: int) -> None:
        self.path, self.parent = path, parent
        now = read(path)
        assert now is not None
        self.now = now
        self.told = self.looked = 0.0

    def tell(self, progress: Progress) -> None:
        new = progress.phase != self.now.phase
        told = {"phase": progress.phase, "done": progress.done, "total": progress.total, "left": progress.left}
        self.now = replace(self.now, **told)
        if new or time.monotonic() - self.told >= _EVERY:
            self.told = time.monotonic()
            write(self.path, self.now)

    def end(self, **how: Any) -> None:
        write(self.path, replace(self.now, left=None, **how))

    def orphaned(self) -> bool:
        if time.monotonic() - self.looked < _LOOK_EVERY:
            return False
        self.looked = time.monotonic()
        import psutil

        return not psutil.pid_exists(self.parent)


def main(argv: list[str] | None = None) -> int:
    wanted, report, lock, parent = sys.argv[1:] if argv is None else argv
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    teller = _Teller(Path(report), int(parent))

    def end(_number: int, _frame: Any) -> None:
        raise Cancelled("Stopped.")  # also out of a wait for a voice

    signal.signal(signal.SIGTERM, end)
    try:
        with held(Path(lock)):
            request, plan, clips = read_request(Path(wanted))
            Path(wanted).unlink(missing_ok=True)  # it holds words
            folder = Path(request.folder)
            taken = take_out(
                request.form, plan, clips, folder / request.film, pieces=folder, title=request.title,
                language=request.language, told=teller.tell, should_stop=teller.orphaned,
            )  # fmt: skip
            teller.end(what="done", taken=taken.json())
    except Cancelled:
        teller.end(what="stopped")
    except TimeoutError:
        return 0  # another one is at it, and reports itself
    except WhatNextError as error:
        teller.end(what="failed", why=str(error))
    except OSError as error:
        teller.end(what="failed", why=f"{error.filename or 'A file'} cannot be written ({error.strerror or error}).")
    except Exception as error:
        logging.exception("the film ended")
        teller.end(what="failed", why=f"Something went wrong inside the program ({type(error).__name__}).")
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    os._exit(code)
