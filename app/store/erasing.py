"""Erase for good: a story, a scene with all that grows from it, or a take. No word and no file of it stays.

Gone are the rows, what the log of changes and the jobs hold of them, and every file that nobody else uses; freed pages
are overwritten (PRAGMA secure_delete) and the write-ahead log is emptied. Backups are not touched. Knows nothing of
pages; previews of jobs lie outside the store's tables, so whoever asks is told which jobs went.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, select

from app.killpoints import reached
from app.store import oplog
from app.store.database import Database
from app.store.media import Media
from app.store.models import JobRow, MediaLinkRow, SceneRow, StoryRow, TakeRow
from app.store.reels import forget_pieces, forget_scenes
from app.store.search import forget_erased
from app.store.takes import TakeKeeper
from app.store.unlinking import announce, finish_unlinking, unlink
from nsp_core.errors import UserError

log = logging.getLogger(__name__)

_BRANCH = text(
    """
    WITH RECURSIVE down(id, depth) AS (
        SELECT id, depth FROM scene WHERE id = :id
        UNION ALL SELECT scene.id, scene.depth FROM scene JOIN down ON scene.parent_id = down.id
    )
    SELECT id FROM down ORDER BY depth DESC, id
    """
)
_TAKES = text("SELECT id FROM take WHERE scene_id IN (SELECT value FROM json_each(:scenes))")
# what was asked about these scenes, what their words were chosen from, what their takes came from
_JOBS = text(
    """
    SELECT id FROM job WHERE scene_id IN (SELECT value FROM json_each(:scenes))
    UNION SELECT think_job_id FROM scene
        WHERE id IN (SELECT value FROM json_each(:scenes)) AND think_job_id IS NOT NULL
    UNION SELECT job_id FROM take WHERE id IN (SELECT value FROM json_each(:takes)) AND job_id IS NOT NULL
    """
)
_HASHES = text(
    """
    SELECT media_sha256 FROM media_link WHERE take_id IN (SELECT value FROM json_each(:takes))
    UNION SELECT media_sha256 FROM media_link WHERE scene_id IN (SELECT value FROM json_each(:scenes))
    UNION SELECT media_sha256 FROM media_link WHERE job_id IN (SELECT value FROM json_each(:jobs))
    """
)


@dataclass(frozen=True)
class Erased:
    """What goes, or went. `jobs`: the ids of jobs that went with it, for their previews."""

    story_id: str
    scenes: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    whole: bool = False  # the story itself


class Eraser(TakeKeeper):
    def what_goes(self, *, story_id: str = "", scene_id: str = "", take_id: str = "") -> Erased:
        """What erasing it would take away; nothing is changed."""
        with self.database.reading() as session:
            if story_id:
                return self._of_story(session, self._story(session, story_id))
            if take_id:
                return self._of_take(session, *self._take(session, take_id, trashed=True))
            return self._of_scene(session, *self._scene(session, scene_id, trashed=True))

    def erase_story(self, story_id: str, *, expected_version: int | None = None) -> Erased:
        return self._erased(lambda session: self._of_story(session, self._story(session, story_id, expected_version)))

    def erase_scene(self, scene_id: str, *, expected_version: int | None = None) -> Erased:
        """The scene and all that grows from it; with a story's only beginning goes the story."""
        return self._erased(
            lambda session: self._of_scene(session, *self._scene(session, scene_id, expected_version, trashed=True))
        )

    def erase_take(self, take_id: str, *, expected_version: int | None = None) -> Erased:
        """The take alone. When it was the chosen one, the newest other one is chosen; with a picture or clip that was
        brought goes the file that it was read from."""
        return self._erased(
            lambda session: self._of_take(session, *self._take(session, take_id, expected_version, trashed=True))
        )

    def erase_takes(self, take_ids: Sequence[str]) -> tuple[Erased, int]:
        """Many takes at once, of any of the person's stories; returns what went and the bytes of its files."""
        gone: list[Erased] = []
        files: list[Path] = []
        with self.database.transaction() as session:
            by_story: dict[str, list[str]] = {}
            for take_id in take_ids:
                take, scene, _ = self._take(session, take_id, trashed=True)
                if take.chosen:
                    raise UserError("A take that a story goes on from is not cleared: choose another one first.")
                by_story.setdefault(scene.story_id, []).append(take.id)
            for story_id, takes in by_story.items():
                gone.append(self._around(session, story_id, (), tuple(takes)))
                files += self._erase(session, gone[-1])
            freed = sum(file.stat().st_size for file in files if file.is_file())
            note = announce(self.media, files)
        what = Erased("", takes=tuple(take_ids), jobs=tuple(job for one in gone for job in one.jobs))
        self._clean(files, note)
        return what, freed

    # what belongs to it -----------------------------------------------------------------------------------------

    def _of_story(self, session: Session, story: StoryRow) -> Erased:
        scenes = session.exec(
            select(SceneRow.id).where(SceneRow.story_id == story.id).order_by(col(SceneRow.depth).desc())
        ).all()
        found = self._around(session, story.id, tuple(scenes), None)
        jobs = session.exec(select(JobRow.id).where(JobRow.story_id == story.id)).all()
        return Erased(story.id, found.scenes, found.takes, tuple({*found.jobs, *jobs}), whole=True)

    def _of_scene(self, session: Session, scene: SceneRow, story: StoryRow) -> Erased:
        others = select(SceneRow.id).where(
            SceneRow.story_id == story.id, col(SceneRow.parent_id).is_(None), SceneRow.id != scene.id
        )
        if scene.parent_id is None and session.exec(others.limit(1)).first() is None:
            return self._of_story(session, story)
        scenes = tuple(_ids(session, _BRANCH, id=scene.id))
        return self._around(session, story.id, scenes, None)

    def _of_take(self, session: Session, take: TakeRow, _scene: SceneRow, story: StoryRow) -> Erased:
        return self._around(session, story.id, (), (take.id,))

    def _around(
        self, session: Session, story_id: str, scenes: tuple[str, ...], takes: tuple[str, ...] | None
    ) -> Erased:
        listed = json.dumps(scenes)
        found = tuple(_ids(session, _TAKES, scenes=listed)) if takes is None else takes
        jobs = tuple(_ids(session, _JOBS, scenes=listed, takes=json.dumps(found)))
        return Erased(story_id, scenes, found, jobs)

    # taking it away ---------------------------------------------------------------------------------------------

    def _erased(self, find: Callable[[Session], Erased]) -> Erased:
        with self.database.transaction() as session:
            what = find(session)
            files = self._erase(session, what)
            note = announce(self.media, files)
        self._clean(files, note)
        return what

    def _erase(self, session: Session, what: Erased) -> list[Path]:
        """All rows; returns the files, to be unlinked after the commit."""
        story = session.get_one(StoryRow, what.story_id)
        forget_pieces(self.media.root.parent, story.id)
        if not what.scenes:
            self._let_go_of_uploads(session, what)
        named = {"scenes": json.dumps(what.scenes), "takes": json.dumps(what.takes), "jobs": json.dumps(what.jobs)}
        hashes = _ids(session, _HASHES, **named)
        if not what.whole:
            oplog.forget(session, story.id, what.scenes, what.takes)
            forget_scenes(session, story.id, what.scenes)
            if story.head_scene_id in what.scenes:
                top = session.get_one(SceneRow, what.scenes[-1])
                story.head_scene_id = top.parent_id
                session.flush()
        parents = set(session.exec(select(TakeRow.scene_id).where(col(TakeRow.id).in_(what.takes[:1]))).all())
        _delete(session, JobRow, what.jobs)
        _delete(session, TakeRow, what.takes)
        _delete(session, SceneRow, what.scenes)  # the deepest first: SQLite follows a cascade no deeper than 1,000
        if what.whole:
            session.delete(story)
        else:
            if not what.scenes:
                for scene_id in parents:
                    oplog.choose_one(session, scene_id)
            oplog.change(session, story, "erase", actor="model")
        session.flush()
        files = self.media.sweep(session, hashes)
        forget_erased(session)
        reached("erase.rows")
        return files

    def _let_go_of_uploads(self, session: Session, what: Erased) -> None:
        for take_id in what.takes:
            take = session.get_one(TakeRow, take_id)
            if take.kind != "drawn":
                links = select(MediaLinkRow).where(
                    MediaLinkRow.scene_id == take.scene_id, MediaLinkRow.role == "source"
                )
                for link in session.exec(links).all():
                    link.scene_id, link.take_id = None, take.id  # goes with the take
                    session.add(link)
        session.flush()

    def _clean(self, files: Iterable[Path], note: Path) -> None:
        reached("erase.committed")
        unlink(files, note)
        empty_log(self.database)


def finish_erasing(media: Media, database: Database) -> None:
    """At a start: what a kill interrupted between the rows and the files."""
    if finish_unlinking(media, database):
        empty_log(database)


def empty_log(database: Database) -> None:
    """What was deleted is still in the write-ahead log until it is emptied, which a reader may hold up."""
    for _ in range(20):
        with database.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            (busy, _pages, _done) = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        time.sleep(0.1)
    log.warning("the write-ahead log could not be emptied because somebody is reading: the next erasing does it")


def _ids(session: Session, query: Any, **values: str) -> list[str]:
    return [row[0] for row in session.connection().execute(query, values)]


def _delete(session: Session, table: Any, ids: Iterable[str]) -> None:
    """One statement a row, in the order given."""
    name = table.__tablename__
    session.flush()
    for one in ids:
        session.connection().exec_driver_sql(f"DELETE FROM {name} WHERE id = ?", (one,))
    session.expire_all()
