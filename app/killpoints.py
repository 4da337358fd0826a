"""Places in the program at which a test ends the process at once: `reached("job.claimed")` does nothing otherwise.

WHATNEXT_KILL_AT names a place, "draw.step" or "draw.step@3" for the third time it is reached; WHATNEXT_KILL_MARK names
a file that is made just before, and when that is there already nobody is killed: a program that is started again with
the same environment goes on. To die here is to die as a program does that is killed for its memory or by an impatient
person: no `finally`, no atexit. Knows nothing of what happens at these places.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import NoReturn

AT = "WHATNEXT_KILL_AT"
MARK = "WHATNEXT_KILL_MARK"

# Every place and what has just happened there. A test compares this list with the code and dies at each of them.
POINTS = {
    "media.made": "a file was written under a scratch name, its hash is not known yet",
    "media.written": "the scratch file is whole, but may not be on disk yet",
    "media.synced": "the scratch file is on disk and not renamed yet",
    "media.renamed": "the file has its name; the folder is not synced, no row speaks of it",
    "rows.written": "all rows of a change are written, nothing is committed",
    "rows.committed": "a change is committed, its caller does not know it yet",
    "job.submitting": "the row of a job is written, not committed",
    "job.claiming": "a job has become a worker's, not committed",
    "job.claimed": "a worker has a job and has not looked at it",
    "job.progress": "progress of a job is written, not committed",
    "job.finishing": "a job has its result, not committed",
    "job.giving_back": "a job goes back to the queue because the program ends, not committed",
    "job.taking_over": "jobs of a dead worker go back to the queue, not committed",
    "worker.registered": "a worker holds the device and has said who it is",
    "model.loading": "the model is about to be loaded",
    "model.loaded": "the model is there, nothing was asked of it",
    "describe.read": "an uploaded file was decoded",
    "describe.kept": "the files of an uploaded beginning are on disk, no row speaks of them",
    "describe.linked": "the rows of an uploaded beginning are written, its job is not done",
    "think.word": "a word came",
    "think.worded": "all words are there, the job is not done",
    "draw.step": "a step of drawing is done",
    "draw.decoded": "the pictures are there, in memory only",
    "draw.kept": "all files of a take are on disk, no row speaks of them",
    "take.number": "a take has its row and none of its files",
    "take.linked": "a take has its row and its files, its recipe is missing",
    "take.added": "a take is complete, its job is not done",
    "preview.written": "a preview is written under a scratch name",
    "preview.renamed": "a preview has its name, no row speaks of it",
    "upload.copied": "an uploaded file is kept, no job speaks of it",
    "upload.submitted": "the job of an upload is written, its file is not linked to it",
    "story.changed": "the columns of a change are written, the story's version and history are not",
    "undo.walked": "the columns of an undone change are written, the story's version is not",
    "erase.rows": "all rows of an erased story are gone, not committed",
    "erase.committed": "a story is erased, its files are still there",
    "erase.unlinking": "some files of an erased story are gone, others are not",
    "migrate.backing_up": "the backup before an upgrade is written under a scratch name",
    "migrate.backed_up": "the backup before an upgrade is there, nothing is upgraded",
    "migrate.statement": "an upgrade is about to make its next change",
    "migrate.stamp": "an upgrade is about to write the new version",
    "migrate.upgraded": "all of an upgrade is written, not committed",
    "alone.went_on": "a story goes on by itself: the next scene and job are written, not committed",
    "backup.packed": "a backup of everything is written under a scratch name",
    "pack.written": "a story is packed under a scratch name",
    "pack.files": "the files of a storypack are there, its story is not",
    "restore.aside": "what is to be replaced was backed up, nothing is replaced",
    "restore.media": "the files of a backup are there, its stories are not",
    "restore.exchanging": "all stories are exchanged, not committed",
    "restore.exchanged": "all stories are exchanged, files that nobody needs any more are there",
    "page.registered": "a page has said that it is here and has not looked what was left",
    "page.closing": "a page has said goodbye, its worker has not been told",
    "worker.starting": "the settings for a worker are written, the worker is not started",
    "worker.started": "a page has just started a worker",
    "token.written": "the page's token is written under a scratch name",
    "reel.written": "a film is written, nobody has it",
}

_guard = threading.Lock()
_times = 0


def reached(point: str) -> None:
    """Die here if this is the place that was named."""
    wanted = os.environ.get(AT)
    if wanted is not None:
        _consider(point, wanted)


def _consider(point: str, wanted: str) -> None:
    global _times
    name, _, number = wanted.partition("@")
    if point != name:
        return
    with _guard:
        _times += 1
        if _times < int(number or 1):
            return
        mark = os.environ.get(MARK)
        if mark:
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return
        _die()


def _die() -> NoReturn:
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(137)
