"""Stories as one person changes them: every change is one transaction, one op and one version more.

Knows nothing of pages or of the model. `Stories(..., owner_id=None)` is the program itself; see app.store.reading.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from sqlmodel import Session, col, select

from app.identity import now
from app.store import oplog
from app.store.choosing import note
from app.store.duplicate import duplicate_in
from app.store.erasing import Eraser
from app.store.errors import CHANGED, NotFound, StaleStory
from app.store.media import Media, MediaFile
from app.store.models import JobRow, MediaLinkRow, MediaRow, SceneRow, StoryRow
from app.store.rows import scenes_from, stories_from
from app.store.takes import NewTake
from app.story import Mode, Scene, Story, WordsSource, title_from
from nsp_core.errors import UserError

MAX_WORDS = 2000
MAX_TITLE = 120
MAX_BIBLE = 1000


class Stories(Eraser):
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

    def duplicate_story(self, story_id: str, title: str) -> Story:
        """The whole story once more, with branches, takes and choices, on the same files."""
        with self.database.transaction() as session:
            row = duplicate_in(session, self._story(session, story_id), _short(title, MAX_TITLE, "title"))
            return stories_from(session, [row])[0]

    def trash_story(self, story_id: str, *, expected_version: int | None = None) -> None:
        self._set_deleted(story_id, True, expected_version)

    def restore_story(self, story_id: str) -> None:
        self._set_deleted(story_id, False)

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
        instead_of: str = "",
        expected_version: int | None = None,
    ) -> Scene:
        """A scene that follows `parent_id`. A second child of the same parent is a branch. Words that a person took
        from what the model thought of are noted as kept, or as rewritten, `instead_of` the model's own."""
        with self.database.transaction() as session:
            _, story = self._scene(session, parent_id, expected_version)
            row = self.add_scene_in(
                session, parent_id, words, words_source=words_source, mode=mode, steer=steer, think_job_id=think_job_id
            )
            if think_job_id is not None:
                edited = words_source == "edited" and instead_of
                note(
                    session,
                    story,
                    "rewrote" if edited else "kept",
                    scene_id=row.id,
                    before=_short(instead_of, MAX_WORDS, "words") if edited else "",
                    after=row.words,
                )
            return scenes_from(session, [row])[0]

    def add_scene_in(
        self,
        session: Session,
        parent_id: str,
        words: str,
        *,
        words_source: WordsSource = "model",
        mode: Mode = "continue",
        steer: str = "",
        think_job_id: str | None = None,
        look: Literal["there", "if there"] = "there",
    ) -> SceneRow:
        """`add_scene` inside a transaction of the caller's. `look` "if there": the story opens at the new scene only
        if it was last looked at where that grows; a person who went elsewhere stays there."""
        parent, story = self._scene(session, parent_id)
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
        moves = look == "there" or story.head_scene_id == parent.id
        changes: list[tuple[Any, dict[str, Any]]] = [(story, {"head_scene_id": row.id})] if moves else []
        # a scene that came by itself overwrites nothing, so no page that has not seen it is out of date
        oplog.change(session, story, "add_scene", changes, made=[row], counts=look == "there")
        return row

    def edit_words(self, scene_id: str, words: str, *, expected_version: int | None = None) -> Scene:
        """New words for a scene. Takes that were drawn from the old ones stay, and their recipes say from which."""
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version)
            new = _short(words, MAX_WORDS, "words")
            if new != row.words:
                if row.words_source == "model":
                    note(session, story, "rewrote", scene_id=row.id, before=row.words, after=new)
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

    def set_anchor(self, scene_id: str, anchor_id: str | None, *, expected_version: int | None = None) -> Scene:
        """From now on the scene is drawn as a cut that takes up the look of an earlier scene on its path; None: of the
        one before it, as cuts do."""
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version)
            if anchor_id is not None and anchor_id not in {one.id for one in self._path(session, scene_id)[:-1]}:
                raise NotFound("Only the look of a scene before this one can be taken up.")
            if (row.mode, row.anchor_scene_id) != ("cut", anchor_id):
                changes = {"mode": "cut", "anchor_scene_id": anchor_id}
                oplog.change(session, story, "set_anchor", [(row, changes)])
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
            if row.words_source == "model" and row.kind == "next":
                note(session, story, "threw_away", scene_id=row.id)
            oplog.change(session, story, "trash_scene", changes)

    def restore_scene(self, scene_id: str, *, expected_version: int | None = None) -> Scene:
        """With what was thrown away in the same moment, and with the scenes that lead to it."""
        with self.database.transaction() as session:
            row, story = self._scene(session, scene_id, expected_version, trashed=True)
            rows = [one for one in self._path(session, row.id, trashed=True) if one.deleted_at is not None]
            if row.deleted_at is not None:
                rows.extend(self._gone_with(session, row))
            if rows:
                changes: list[tuple[Any, dict[str, Any]]] = [(one, {"deleted_at": None}) for one in rows]
                oplog.change(session, story, "restore_scene", [*changes, (story, {"head_scene_id": row.id})])
            return scenes_from(session, [row])[0]

    def retell_in(self, session: Session, scene_id: str, words: str, last_id: str | None = None) -> list[SceneRow]:
        """Another way from the same parent: the scene with new words, then the scenes that followed it as far as
        `last_id`, with their words and modes, undrawn. One change, inside a transaction of the caller's."""
        old, story = self._scene(session, scene_id)
        if old.parent_id is None:
            raise UserError("The first scene begins the story: begin a new story to tell it from another beginning.")
        path = self._path(session, last_id or scene_id)
        if old not in path:
            raise NotFound("That scene does not follow from this one; look at the story as it is now, then try again.")
        made: list[SceneRow] = []
        new_of: dict[str | None, str] = {}
        for number, scene in enumerate(path[path.index(old) :]):
            told = _short(words, MAX_WORDS, "words") if number == 0 else scene.words
            parent = scene.parent_id if number == 0 else made[-1].id
            same = told == scene.words or scene.words_source == "user"
            row = SceneRow(
                story_id=story.id,
                parent_id=parent,
                mode=scene.mode,
                depth=scene.depth,
                position=self._count(session, SceneRow.parent_id == parent),
                words=told,
                words_source=scene.words_source if same else "edited",
                steer=scene.steer if number else "",
                anchor_scene_id=new_of.get(scene.anchor_scene_id, scene.anchor_scene_id),
            )
            new_of[scene.id] = row.id
            session.add(row)
            session.flush()
            made.append(row)
        if old.words_source == "model" and made[0].words != old.words:
            note(session, story, "rewrote", scene_id=made[0].id, before=old.words, after=made[0].words)
        oplog.change(session, story, "retell", [(story, {"head_scene_id": made[0].id})], made=made)
        return made

    # undo -------------------------------------------------------------------------------------------------------

    def steps(self, story_id: str) -> tuple[oplog.Step | None, oplog.Step | None]:
        """What undo and what redo would do. Beginning a story is not offered: it would leave nothing to look at."""
        with self.database.reading() as session:
            story = self._story(session, story_id)
            back = oplog.next_undo(session, story)
            if back is not None and back.kind == "begin_scene":
                back = None
            return oplog.step_of(session, back), oplog.step_of(session, oplog.next_redo(session, story))

    def undo(self, story_id: str, *, expected: int | None = None) -> str | None:
        """Take back the latest change; returns its kind, or None when there is nothing to take back. The story then
        stands where the change was. `expected`: the op of the step that the person saw; another one is refused."""
        return self._walk(story_id, oplog.next_undo, oplog.undo, expected)

    def redo(self, story_id: str, *, expected: int | None = None) -> str | None:
        return self._walk(story_id, oplog.next_redo, oplog.redo, expected)

    # inside -----------------------------------------------------------------------------------------------------

    def _walk(self, story_id: str, find: Any, walk: Any, expected: int | None) -> str | None:
        with self.database.transaction() as session:
            story = self._story(session, story_id)
            step = oplog.step_of(session, find(session, story))
            if expected is not None and (step is None or step.op != expected):
                raise StaleStory(CHANGED)
            kind: str | None = walk(session, story)
            session.flush()
            if step is not None and step.scene_id is not None:
                story.head_scene_id = step.scene_id
            self._settle_head(session, story)
            return kind

    def _settle_head(self, session: Session, story: StoryRow) -> None:
        """The scene that was looked at may be in the trash now: step back to where the story still is."""
        if story.head_scene_id is None or session.get(SceneRow, story.head_scene_id) is None:
            return
        head = None
        for row in self._path(session, story.head_scene_id, trashed=True):
            if row.deleted_at is not None:
                break
            head = row.id
        story.head_scene_id = head

    def _gone_with(self, session: Session, top: SceneRow) -> list[SceneRow]:
        """What grows from a trashed scene and went in the same moment, as a retelling that was undone does."""
        found: list[SceneRow] = []
        at = [top.id]
        while at:
            query = select(SceneRow).where(col(SceneRow.parent_id).in_(at), SceneRow.deleted_at == top.deleted_at)
            rows = session.exec(query).all()
            found.extend(rows)
            at = [row.id for row in rows]
        return found

    def _files_of_job(self, session: Session, job_id: str) -> dict[Any, MediaFile]:
        rows = session.exec(
            select(MediaLinkRow.role, MediaRow)
            .join(MediaRow, col(MediaRow.sha256) == col(MediaLinkRow.media_sha256))
            .where(MediaLinkRow.job_id == job_id)
        )
        return {role: MediaFile(**row.model_dump(exclude={"created_at"})) for role, row in rows}

    def _set_deleted(self, story_id: str, deleted: bool, expected_version: int | None = None) -> None:
        with self.database.transaction() as session:
            row = self._story(session, story_id, expected_version)
            if (row.deleted_at is not None) != deleted:
                row.deleted_at = now() if deleted else None  # a drawer of its own, not on the story's undo
                oplog.change(session, row, "trash_story" if deleted else "restore_story", actor="model")


def _short(value: str, limit: int, name: str) -> str:
    value = value.replace("\x00", "").strip()
    if len(value) > limit:
        raise UserError(f"The {name} may have at most {limit} characters, this has {len(value)}: please shorten it.")
    return value


def _loads(value: str | None) -> dict[str, Any]:
    return json.loads(value) if value else {}
