"""The process that makes a film; rendering.py starts `python -m app.reel.render_process REQUEST REPORT LOCK PARENT`.

Says how far it is, ends when it is told to or when the page that started it is gone. What a decoder or a voice does to
it, it does not do to the page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from app.background import Teller, carry_out, leave
from app.provenance.account import Provenance
from app.reel.render import Progress
from app.reel.rendering import HOLDER, read, read_request
from app.reel.taking import take_out

_EVERY = 0.3  # seconds between two reports


def main(argv: list[str] | None = None) -> int:
    wanted, report, lock, parent = sys.argv[1:] if argv is None else argv
    teller = Teller(Path(report), read(Path(report)), int(parent), every=_EVERY, left=None)

    def tell(progress: Progress) -> None:
        told = {"phase": progress.phase, "done": progress.done, "total": progress.total, "left": progress.left}
        teller.say(progress.phase != teller.now.phase, **told)

    def work() -> dict[str, Any]:
        request, plan, clips = read_request(Path(wanted))
        Path(wanted).unlink(missing_ok=True)  # it holds words
        folder = Path(request.folder)
        taken = take_out(
            request.form, plan, clips, folder / request.film, pieces=folder, title=request.title,
            language=request.language,
            provenance=Provenance.from_json(request.provenance) if request.provenance else None, told=tell,
            should_stop=teller.orphaned,
        )  # fmt: skip
        return {"taken": taken.json()}

    return carry_out(work, teller, Path(lock), HOLDER)


if __name__ == "__main__":
    leave(main())
