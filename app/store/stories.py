"""Stories as one person sees and changes them: every change is one transaction, one op and one version more.

Knows nothing of pages or of the model. `Stories(..., owner_id=None)` is the program itself (the worker), which may see
everything; a page always gives the person's id, and what is somebody else's does not exist for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from app.identity import now
from app.store import oplog
from app.store.database import Database
from app.store.errors import NotFound, StaleStory
from app.store.media import Media, MediaFile
from app.store.models import (
    JobRow,
    MediaLinkRow,
    MediaRow,
    PreferenceRow,
    RecipeRow,
    SceneRow,
    StoryRow,
    TakeRow,
    VerdictRow,
)
from app.store.rows import scenes_from, stories_from, takes_from
from app.story import Mode, Role, Scene, Story, Take, TakeKind, Tree, WordsSource, title_from, within_context
from nsp_core import types
from nsp_core.errors import UserError
from nsp_core.media.lossless import load_frames, load_latents

MAX_WORDS = 2000
MAX_TITLE = 120
MAX_BIBLE = 1000

_PATH = text(
    """
    WITH RECURSIVE up(id, parent_id, depth) AS (
        SELECT id, parent_id, depth FROM scene WHERE id = :id
        UNION ALL SELECT scene.id, scene.parent_id, scene.depth FROM scene JOIN up ON scene.id = up.parent_id
    )
    SELECT id FROM up
    """
)


@dataclass(frozen=True)
class NewTake:
    """A finished take whose files are on disk. `recipe`: the columns of RecipeRow but for ids; None for uploads."""

    kind: TakeKind
    width: int
    height: int
    frame_count: int
    fps: int
    files: Mapping[Role, MediaFile]
    draw_seconds: float | None = None
    parent_take_id: str | None = None
    job_id: str | None = None
    recipe: Mapping[str, Any] | None = None


class Stories:
    def __init__(self, database: Database, media: Media, owner_id: str | None) -> None:
        self.database = database
        self.media = media
        self.owner_id = owner_id

    # reading ----------------------------------------------------------------------------------------------------

    def list_stories(self, *, trashed: bool = False, limit: int = 100, offset: int = 0) -> tuple[Story, ...]:
        """The person's stories, the one changed last first."""
        query = select(StoryRow)
        if self.owner_id is not None:
            query = query.where(StoryRow.owner_id == self.owner_id)
        gone = col(StoryRow.deleted_at)
        query = query.where(gone.is_not(None) if trashed else gone.is_(None))
        with self.database.reading() as session:
            rows = session.exec(query.order_by(col(StoryRow.updated_at).desc()).offset(offset).limit(limit)).all()
            return stories_from(session, rows)

    def story(self, story_id: str) -> Story:
        with self.database.reading() as session:
            return stories_from(session, [self._story(session, story_id)])[0]

    def tree(self, story_id: str) -> Tree:
        """All scenes that can be reached: what hangs below a trashed scene is left out with it."""
        with self.database.reading() as session:
            self._story(session, story_id)
            rows = session.exec(
                select(SceneRow)
                .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_(None))
                .order_by(col(SceneRow.depth))
            ).all()
            reached: set[str | None] = {None}
            living = []
            for row in rows:
                if row.parent_id in reached:
                    reached.add(row.id)
                    living.append(row)
            return Tree(scenes_from(session, living))

    def scene(self, scene_id: str) -> Scene:
        with self.database.reading() as session:
            return scenes_from(session, [self._scene(session, scene_id)[0]])[0]

    def take(self, take_id: str) -> Take:
        with self.database.reading() as session:
            return takes_from(session, [self._take(session, take_id)[0]])[0]

    def children(self, scene_id: str) -> tuple[Scene, ...]:
        with self.database.reading() as session:
            self._scene(session, scene_id)
            rows = session.exec(
                select(SceneRow)
                .where(SceneRow.parent_id == scene_id, col(SceneRow.deleted_at).is_(None))
                .order_by(col(SceneRow.position))
            ).all()
            return scenes_from(session, rows)

    def path_to(self, scene_id: str) -> tuple[Scene, ...]:
        """From the beginning to the scene, oldest first."""
        with self.database.reading() as session:
            return scenes_from(session, self._path(session, scene_id))

    def context_to(self, scene_id: str | None, *, scenes: int = 12, frames: int = 3) -> types.StoryContext:
        """The path as the model reads it: words of at most `scenes` of it, pictures of the last `frames` that have any.

        Pictures come from the lossless frames of the chosen takes, never from the mp4. None is the empty context.
        """
        return self.context_and_parents(scene_id, scenes=scenes, frames=frames)[0]

    def context_and_parents(
        self, scene_id: str | None, *, scenes: int = 12, frames: int = 3
    ) -> tuple[types.StoryContext, tuple[dict[str, Any], ...]]:
        """The context and, for the recipe, which scenes and takes it was made from."""
        if scene_id is None:
            return types.StoryContext(), ()
        with self.database.reading() as session:
            path = scenes_from(session, self._path(session, scene_id))
            story = stories_from(session, [self._story(session, path[0].story_id)])[0]
        read: list[types.Scene] = []
        parents: list[dict[str, Any]] = []
        left = frames
        for at, scene in enumerate(reversed(within_context(path, scenes))):
            take = scene.chosen
            pictures = latents = None
            if take is not None and left > 0 and "frames" in take.media:
                pictures = self._frames(take.media["frames"])
                left -= 1
                if at == 0 and "tail_latents" in take.media:
                    latents = load_latents(self.media.path(take.media["tail_latents"]))
            read.append(types.Scene(scene.words, pictures, latents))
            parents.append(
                {
                    "scene": scene.id,
                    "take": take.id if take else None,
                    "words": scene.words,
                    "frames": take.media.get("frames") if take and pictures is not None else None,
                }
            )
        return types.StoryContext(tuple(reversed(read)), bible=story.bible), tuple(reversed(parents))

    def frames_of(self, take_id: str) -> types.Frames:
        """Every frame of a take, lossless."""
        return self._frames(self.take(take_id).media["frames"])

    def recipe(self, take_id: str) -> dict[str, Any] | None:
        with self.database.reading() as session:
            self._take(session, take_id)
            row = session.exec(select(RecipeRow).where(RecipeRow.take_id == take_id)).first()
            return None if row is None else row.model_dump(exclude={"id"})

    def verdicts(self, take_id: str) -> tuple[dict[str, Any], ...]:
        with self.database.reading() as session:
            self._take(session, take_id)
            query = select(VerdictRow).where(VerdictRow.take_id == take_id).order_by(col(VerdictRow.id))
            return tuple(row.model_dump(exclude={"take_id"}) for row in session.exec(query).all())

    def history(self, story_id: str, *, limit: int = 50) -> tuple[oplog.Op, ...]:
        with self.database.reading() as session:
            self._story(session, story_id)
            return oplog.history(session, story_id, limit)

    def may_read(self, name: str) -> bool:
        """Whether the media file of that name belongs to something of this person's."""
        with self.database.reading() as session:
            try:
                Media.known(session, name, self.owner_id)
            except NotFound:
                return False
        return True

    # stories ----------------------------------------------------------------------------------------------------

    def create_story(self, title: str = "", *, premise: str = "", cast: str = "", look: str = "") -> Story:
        """An empty story. Without a title it takes its first words when it begins."""
        if self.owner_id is None:
            raise ValueError("A story needs an owner: ask for the stories of a person.")
        with self.database.transaction() as session:
            row = StoryRow(
                owner_id=self.owner_id,
                title=_short(title, MAX_TITLE, "title"),
                premise=_short(premise, MAX_BIBLE, "premise"),
                cast=_short(cast, MAX_BIBLE, "cast"),
                look=_short(look, MAX_BIBLE, "look"),
                opened_at=now(),
            )
            session.add(row)
            session.flush()
            oplog.change(session, row, "create_story", actor="model")  # nothing before it to go back to
            return stories_from(session, [row])[0]

    def edit_story(self, story_id: str, *, expected_version: int | None = None, **fields: str) -> Story:
        """Change title, premise, cast or look."""
        unknown = set(fields) - {"title", "premise", "cast", "look"}
        if unknown:
            raise ValueError(f"A story has no {unknown.pop()}: title, premise, cast, look.")
        with self.database.transaction() as session:
            row = self._story(session, story_id, expected_version)
            limits = {"title": MAX_TITLE}
            values = {name: _short(value, limits.get(name, MAX_BIBLE), name) for name, value in fields.items()}
            oplog.change(session, row, "rename" if set(fields) == {"title"} else "edit_story", [(row, values)])
            return stories_from(session, [row])[0]

    def rename(self, story_id: str, title: str, *, expected_version: int | None = None) -> Story:
        return self.edit_story(story_id, title=title, expected_version=expected_version)

    def open_story(self, story_id: str) -> Story:
        """Remember that the person looked at it now; no change of the story."""
        with self.database.transaction() as session:
            row = self._story(session, story_id)
            row.opened_at = now()
            session.flush()
            return stories_from(session, [row])[0]

    def set_head(self, story_id: str, scene_id: str) -> None:
        """Remember which scene is looked at; walking about is no change of the story."""
        with self.database.transaction() as session:
            story = self._story(session, story_id)
            scene, _ = self._scene(session, scene_id)
            if scene.story_id != story.id:
                raise NotFound("This scene is in another story.")
            story.head_scene_id = scene.id

    def trash_story(self, story_id: str) -> None:
        self._set_deleted(story_id, True)

    def restore_story(self, story_id: str) -> None:
        self._set_deleted(story_id, False)

    def erase_story(self, story_id: str) -> None:
        """For good: no word and no file of it stays, but for files that another story uses too."""
        with self.database.transaction() as session:
            row = self._story(session, story_id)
            used = session.connection().execute(_MEDIA_OF_STORY, {"id": story_id})
            hashes = [sha256 for (sha256,) in used]
            session.delete(row)  # everything else follows by ON DELETE CASCADE
            session.flush()
            files = self.media.sweep(session, hashes)
        _unlink(files)
        with self.database.engine.connect() as connection:
            connection.connection.driver_connection.execute(  # type: ignore[union-attr]
                "PRAGMA wal_checkpoint(TRUNCATE)"
            )

    # scenes -----------------------------------------------------------------------------------------------------

    def begin_scene(
        self,
        story_id: str,
        words: str,
        *,
        words_source: WordsSource = "user",
        describe_job_id: str | None = None,
        keep_pictures: bool = True,
        expected_version: int | None = None,
    ) -> Scene:
        """A first scene. With a finished describe job it carries what was understood and, if `keep_pictures`, starts
        with the uploaded picture or clip as its first take; without pictures it waits to be drawn from its words."""
        with self.database.transaction() as session:
            story = self._story(session, story_id, expected_version)
            row = SceneRow(story_id=story.id, kind="begin", mode="cut", words_source=words_source)
            row.words = _short(words, MAX_WORDS, "words")
            row.position = self._count(session, SceneRow.story_id == story.id, col(SceneRow.parent_id).is_(None))
            job = None if describe_job_id is None else session.get(JobRow, describe_job_id)
            if describe_job_id is not None:
                if job is None or job.kind != "describe" or job.status != "done" or job.owner_id != story.owner_id:
                    raise NotFound(
                        "What you uploaded has not been read yet: wait for it to finish, or upload it again."
                    )
                understood = _loads(job.result_json)
                row.seen = understood.get("words", "")
                row.in_world, row.confidence = understood.get("in_world"), understood.get("confidence")
            session.add(row)
            session.flush()
            changes: dict[str, Any] = {"head_scene_id": row.id}
            if not story.title:
                changes["title"] = title_from(row.words)
            oplog.change(session, story, "begin_scene", [(story, changes)], made=[row])
            if job is not None:
                job.story_id, job.scene_id = story.id, row.id
                files = self._files_of_job(session, job.id)
                for name, file in files.items():
                    if name == "source":
                        Media.link(session, file, "source", owner_id=story.owner_id, scene_id=row.id)
                if keep_pictures and "frames" in files:
                    facts = _loads(job.result_json)["pictures"]
                    new = NewTake(
                        kind=facts["kind"],
                        width=facts["width"],
                        height=facts["height"],
                        frame_count=facts["frame_count"],
                        fps=facts["fps"],
                        files={role: file for role, file in files.items() if role != "source"},
                        job_id=job.id,
                    )
                    self.add_take_in(session, row, new)
            session.flush()
            return scenes_from(session, [row])[0]

    def add_scene(
        self,
        parent_id: str,
        words: str,
        *,
        words_source: WordsSource = "model",
        mode: Mode = "continue",
        steer: str = "",
        think_job_id: str | None = None,
        expected_version: int | None = None,
    ) -> Scene:
        """A scene that follows `parent_id`. A second child of the same parent is a branch."""
        with self.database.transaction() as session:
            parent, story = self._scene(session, parent_id, expected_version)
            row = SceneRow(
                story_id=story.id,
                parent_id=parent.id,
                mode=mode,
                depth=parent.depth + 1,
                position=self._count(session, SceneRow.parent_id == parent.id),
                words=_short(words, MAX_WORDS, "words"),
                words_source=words_source,
                steer=_short(steer, MAX_WORDS, "wish"),
                think_job_id=think_job_id,
            )
            session.add(row)
            session.flush()
            oplog.change(session, story, "add_scene", [(story, {"head_scene_id": row.id})], made=[row])
            return scenes_from(session, [row])[0]

    def edit_words(self, scene_id: str, words: str, *, expected_version: int | None = None) -> Scene:
        """New words for a scene. Takes that were drawn from the old ones stay, and their recipes say from which."""
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version)
            new = _short(words, MAX_WORDS, "words")
            if new != row.words:
                if row.words_source == "model":
                    self._prefer(session, story, "rewrote", scene_id=row.id, words_before=row.words, words_after=new)
                source = "user" if row.words_source == "user" else "edited"
                oplog.change(session, story, "edit_words", [(row, {"words": new, "words_source": source})])
            return scenes_from(session, [row])[0]

    def set_mode(self, scene_id: str, mode: Mode, *, expected_version: int | None = None) -> Scene:
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version)
            if row.kind == "begin" and mode == "continue":
                raise UserError("A first scene has nothing to continue from: it is always a cut.")
            if row.mode != mode:
                oplog.change(session, story, "set_mode", [(row, {"mode": mode})])
            return scenes_from(session, [row])[0]

    def trash_scene(self, scene_id: str, *, expected_version: int | None = None) -> None:
        """The scene and all that grows from it go to the trash."""
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version)
            changes: list[tuple[Any, dict[str, Any]]] = [(row, {"deleted_at": now()})]
            if story.head_scene_id is not None and row.id in {
                at.id for at in self._path(session, story.head_scene_id, trashed=True)
            }:
                changes.append((story, {"head_scene_id": row.parent_id}))
            oplog.change(session, story, "trash_scene", changes)

    def restore_scene(self, scene_id: str) -> Scene:
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, trashed=True)
            if row.deleted_at is not None:
                oplog.change(session, story, "restore_scene", [(row, {"deleted_at": None})])
            return scenes_from(session, [row])[0]

    def trashed_scenes(self, story_id: str) -> tuple[Scene, ...]:
        with self.database.reading() as session:
            self._story(session, story_id)
            rows = session.exec(
                select(SceneRow)
                .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_not(None))
                .order_by(col(SceneRow.deleted_at).desc())
            ).all()
            return scenes_from(session, rows)

    # takes ------------------------------------------------------------------------------------------------------

    def add_take(self, scene_id: str, new: NewTake) -> Take:
        with self.database.transaction() as session:
            row = self.add_take_in(session, self._scene(session, scene_id, trashed=True)[0], new)
            return takes_from(session, [row])[0]

    def add_take_in(self, session: Session, scene: SceneRow, new: NewTake) -> TakeRow:
        """A take and all that belongs to it, inside a transaction of the caller's. The first one is chosen."""
        story = session.get_one(StoryRow, scene.story_id)
        alone = self._count(session, TakeRow.scene_id == scene.id, col(TakeRow.deleted_at).is_(None)) == 0
        last = session.exec(select(func.max(TakeRow.number)).where(TakeRow.scene_id == scene.id)).first()
        row = TakeRow(
            scene_id=scene.id,
            number=(last or 0) + 1,
            kind=new.kind,
            chosen=alone,
            width=new.width,
            height=new.height,
            frame_count=new.frame_count,
            fps=new.fps,
            draw_seconds=new.draw_seconds,
            parent_take_id=new.parent_take_id,
            job_id=new.job_id,
        )
        session.add(row)
        session.flush()
        for role, file in new.files.items():
            Media.link(session, file, role, owner_id=story.owner_id, take_id=row.id)
        if new.recipe is not None:
            session.add(RecipeRow(take_id=row.id, **new.recipe))
        oplog.change(session, story, "add_take", actor="model")
        return row

    def choose_take(self, take_id: str, *, expected_version: int | None = None) -> Scene:
        """The take that the story goes on from."""
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id, expected_version)
            before = session.exec(
                select(TakeRow).where(
                    TakeRow.scene_id == scene.id, col(TakeRow.chosen).is_(True), col(TakeRow.deleted_at).is_(None)
                )
            ).first()
            if before is None or before.id != row.id:
                changes: list[tuple[Any, dict[str, Any]]] = [] if before is None else [(before, {"chosen": False})]
                other = None if before is None else before.id
                self._prefer(session, story, "chose", scene_id=scene.id, take_id=row.id, other_take_id=other)
                oplog.change(session, story, "choose_take", [*changes, (row, {"chosen": True})])
            return scenes_from(session, [scene])[0]

    def star_take(self, take_id: str, starred: bool = True) -> Take:
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id)
            if row.starred != starred:
                if starred:
                    self._prefer(session, story, "starred", scene_id=scene.id, take_id=row.id)
                oplog.change(session, story, "star_take", [(row, {"starred": starred})])
            return takes_from(session, [row])[0]

    def rank_takes(self, scene_id: str, order: Sequence[str]) -> Scene:
        """The takes in `order` from best to worst; those that are not named lose their rank."""
        with self.database.transaction() as session:
            scene, story = self._scene(session, scene_id)
            rows = session.exec(select(TakeRow).where(TakeRow.scene_id == scene.id)).all()
            if not set(order) <= {row.id for row in rows}:
                raise NotFound("One of these takes is not a take of this scene.")
            ranks = {take_id: place for place, take_id in enumerate(order, start=1)}
            changes = [(row, {"rank": ranks.get(row.id)}) for row in rows if row.rank != ranks.get(row.id)]
            if changes:
                oplog.change(session, story, "rank_takes", changes)
            return scenes_from(session, [scene])[0]

    def trash_take(self, take_id: str) -> Scene:
        """To the trash; when it was the chosen one, the newest other take is chosen instead."""
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id)
            changes: list[tuple[Any, dict[str, Any]]] = [(row, {"deleted_at": now(), "chosen": False})]
            if row.chosen:
                other = session.exec(
                    select(TakeRow)
                    .where(TakeRow.scene_id == scene.id, col(TakeRow.deleted_at).is_(None), TakeRow.id != row.id)
                    .order_by(col(TakeRow.number).desc())
                ).first()
                if other is not None:
                    changes.append((other, {"chosen": True}))
            if row.kind == "drawn":
                self._prefer(session, story, "threw_away", scene_id=scene.id, take_id=row.id)
            oplog.change(session, story, "trash_take", changes)
            return scenes_from(session, [scene])[0]

    def restore_take(self, take_id: str) -> Scene:
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id, trashed=True)
            if row.deleted_at is not None:
                alone = self._count(session, TakeRow.scene_id == scene.id, col(TakeRow.deleted_at).is_(None)) == 0
                oplog.change(session, story, "restore_take", [(row, {"deleted_at": None, "chosen": alone})])
            return scenes_from(session, [scene])[0]

    def add_verdict(
        self, take_id: str, value: str, *, reason: str, judge: str, template: str = "", **more: Any
    ) -> None:
        """What a judge said: pass, fail, or missing when it could not say."""
        if value not in ("pass", "fail", "missing"):
            raise ValueError(f"A verdict is pass, fail or missing, got {value!r}.")
        with self.database.transaction() as session:
            self._take(session, take_id, trashed=True)
            session.add(VerdictRow(take_id=take_id, value=value, reason=reason, judge=judge, template=template, **more))

    # undo -------------------------------------------------------------------------------------------------------

    def undo(self, story_id: str, *, expected_version: int | None = None) -> str | None:
        """Take back the latest change; returns its kind, or None when there is nothing to take back."""
        with self.database.transaction() as session:
            story = self._story(session, story_id, expected_version)
            kind = oplog.undo(session, story)
            self._settle_head(session, story)
            return kind

    def redo(self, story_id: str, *, expected_version: int | None = None) -> str | None:
        with self.database.transaction() as session:
            story = self._story(session, story_id, expected_version)
            kind = oplog.redo(session, story)
            self._settle_head(session, story)
            return kind

    # inside -----------------------------------------------------------------------------------------------------

    def _frames(self, name: str) -> types.Frames:
        return load_frames(self.media.path(name))[0]

    def _story(self, session: Session, story_id: str, expected_version: int | None = None) -> StoryRow:
        row = session.get(StoryRow, story_id)
        if row is None or self.owner_id not in (None, row.owner_id):
            raise NotFound("There is no such story; it may have been erased.")
        if expected_version is not None and expected_version != row.version:
            raise StaleStory("This story was changed in another window: look at it as it is now, then try again.")
        return row

    def _scene(
        self, session: Session, scene_id: str, expected_version: int | None = None, *, trashed: bool = False
    ) -> tuple[SceneRow, StoryRow]:
        row = session.get(SceneRow, scene_id)
        if row is None or (row.deleted_at is not None and not trashed):
            raise NotFound("There is no such scene; it may be in the trash.")
        return row, self._story(session, row.story_id, expected_version)

    def _take(
        self, session: Session, take_id: str, expected_version: int | None = None, *, trashed: bool = False
    ) -> tuple[TakeRow, SceneRow, StoryRow]:
        row = session.get(TakeRow, take_id)
        if row is None or (row.deleted_at is not None and not trashed):
            raise NotFound("There is no such take; it may be in the trash.")
        return row, *self._scene(session, row.scene_id, expected_version, trashed=True)

    def _path(self, session: Session, scene_id: str, *, trashed: bool = False) -> list[SceneRow]:
        self._scene(session, scene_id, trashed=trashed)
        ids = [row[0] for row in session.connection().execute(_PATH, {"id": scene_id})]
        rows = {}
        for at in range(0, len(ids), 500):
            query = select(SceneRow).where(col(SceneRow.id).in_(ids[at : at + 500]))
            rows.update({row.id: row for row in session.exec(query).all()})
        return [rows[each] for each in reversed(ids)]

    def _settle_head(self, session: Session, story: StoryRow) -> None:
        """After an undo the scene that was looked at may be in the trash: step back to where the story still is."""
        session.flush()
        if story.head_scene_id is None or session.get(SceneRow, story.head_scene_id) is None:
            return
        head = None
        for row in self._path(session, story.head_scene_id, trashed=True):
            if row.deleted_at is not None:
                break
            head = row.id
        story.head_scene_id = head

    def _files_of_job(self, session: Session, job_id: str) -> dict[Any, MediaFile]:
        rows = session.exec(
            select(MediaLinkRow.role, MediaRow)
            .join(MediaRow, col(MediaRow.sha256) == col(MediaLinkRow.media_sha256))
            .where(MediaLinkRow.job_id == job_id)
        )
        return {role: MediaFile(**row.model_dump(exclude={"created_at"})) for role, row in rows}

    @staticmethod
    def _count(session: Session, *where: Any) -> int:
        table = where[0].left.table
        return int(session.exec(select(func.count()).select_from(table).where(*where)).one())

    @staticmethod
    def _prefer(session: Session, story: StoryRow, kind: str, **columns: Any) -> None:
        session.add(PreferenceRow(owner_id=story.owner_id, story_id=story.id, kind=kind, **columns))

    def _set_deleted(self, story_id: str, deleted: bool) -> None:
        with self.database.transaction() as session:
            row = self._story(session, story_id)
            if (row.deleted_at is not None) != deleted:
                row.deleted_at = now() if deleted else None  # a drawer of its own, not on the story's undo
                oplog.change(session, row, "trash_story" if deleted else "restore_story", actor="model")


_MEDIA_OF_STORY = text(
    """
    SELECT DISTINCT media_link.media_sha256 FROM media_link
    LEFT JOIN take ON take.id = media_link.take_id
    LEFT JOIN scene ON scene.id = COALESCE(media_link.scene_id, take.scene_id)
    LEFT JOIN job ON job.id = media_link.job_id
    WHERE COALESCE(scene.story_id, job.story_id) = :id
    """
)


def _short(value: str, limit: int, name: str) -> str:
    value = value.replace("\x00", "").strip()
    if len(value) > limit:
        raise UserError(f"The {name} may have at most {limit} characters, this has {len(value)}: please shorten it.")
    return value


def _loads(value: str | None) -> dict[str, Any]:
    return json.loads(value) if value else {}


def _unlink(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
