"""Stories as one person may read them: nothing here changes anything.

`owner_id=None` is the program itself (the worker), which may see everything; a page always gives the person's id, and
what is somebody else's does not exist for it. Knows nothing of pages or of the model.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import text
from sqlmodel import Session, col, func, select

from app.store import oplog
from app.store.database import Database
from app.store.errors import CHANGED, NotFound, StaleStory
from app.store.media import Media
from app.store.models import RecipeRow, SceneRow, StoryRow, TakeRow, VerdictRow
from app.store.rows import scenes_from, stories_from, takes_from, within_reach
from app.story import Scene, Story, Take, Tree, within_context
from nsp_core import types
from nsp_core.media.lossless import load_frames, load_latents

_PATH = text(
    """
    WITH RECURSIVE up(id, parent_id, depth) AS (
        SELECT id, parent_id, depth FROM scene WHERE id = :id
        UNION ALL SELECT scene.id, scene.parent_id, scene.depth FROM scene JOIN up ON scene.id = up.parent_id
    )
    SELECT id FROM up
    """
)

ShelfOrder = Literal["changed", "opened", "title"]
_ORDERS: dict[ShelfOrder, tuple[Any, ...]] = {
    "changed": (col(StoryRow.updated_at).desc(),),
    "opened": (func.coalesce(StoryRow.opened_at, StoryRow.created_at).desc(),),
    "title": (func.lower(StoryRow.title),),
}


class StoryReader:
    def __init__(self, database: Database, media: Media, owner_id: str | None) -> None:
        self.database = database
        self.media = media
        self.owner_id = owner_id

    def list_stories(
        self,
        *,
        trashed: bool = False,
        begun: bool = False,
        order: ShelfOrder = "changed",
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[Story, ...]:
        """The person's stories, the one changed last first. `begun`: only those that have a scene."""
        with self.database.reading() as session:
            query = self._shelf(select(StoryRow), trashed, begun).order_by(*_ORDERS[order], col(StoryRow.id).desc())
            return stories_from(session, session.exec(query.offset(offset).limit(limit)).all())

    def count_stories(self, *, trashed: bool = False, begun: bool = False) -> int:
        with self.database.reading() as session:
            return int(session.exec(self._shelf(select(func.count()).select_from(StoryRow), trashed, begun)).one())

    def _shelf(self, query: Any, trashed: bool, begun: bool) -> Any:
        if self.owner_id is not None:
            query = query.where(StoryRow.owner_id == self.owner_id)
        if begun:
            told = select(SceneRow.id).where(SceneRow.story_id == StoryRow.id, col(SceneRow.deleted_at).is_(None))
            query = query.where(told.exists())
        gone = col(StoryRow.deleted_at)
        return query.where(gone.is_not(None) if trashed else gone.is_(None))

    def story(self, story_id: str) -> Story:
        with self.database.reading() as session:
            return stories_from(session, [self._story(session, story_id)])[0]

    def tree(self, story_id: str, *, bare: bool = False) -> Tree:
        """All scenes that can be reached: what hangs below a trashed scene is left out with it. `bare`: its shape and
        its words, without takes."""
        with self.database.reading() as session:
            self._story(session, story_id)
            rows = session.exec(
                select(SceneRow)
                .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_(None))
                .order_by(col(SceneRow.depth))
            ).all()
            return Tree(scenes_from(session, within_reach(rows), bare=bare))

    def scene(self, scene_id: str) -> Scene:
        with self.database.reading() as session:
            return scenes_from(session, [self._scene(session, scene_id)[0]])[0]

    def take(self, take_id: str, *, trashed: bool = False) -> Take:
        with self.database.reading() as session:
            return takes_from(session, [self._take(session, take_id, trashed=trashed)[0]])[0]

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
        self, scene_id: str | None, *, scenes: int = 12, frames: int = 3, anchor: str | None = None
    ) -> tuple[types.StoryContext, tuple[dict[str, Any], ...]]:
        """The context and, for the recipe, which scenes and takes it was made from. With `anchor`, the model sees the
        pictures of that scene instead of the latest ones; without pictures there, it is as if none was named."""
        if scene_id is None:
            return types.StoryContext(), ()
        with self.database.reading() as session:
            path = scenes_from(session, self._path(session, scene_id))
            story = stories_from(session, [self._story(session, path[0].story_id)])[0]
        has_anchor = any(each.id == anchor and each.chosen and "frames" in each.chosen.media for each in path)
        read: list[types.Scene] = []
        parents: list[dict[str, Any]] = []
        left = frames
        for at, scene in enumerate(reversed(within_context(path, scenes, anchor))):
            take = scene.chosen
            pictures = latents = None
            shown = scene.id == anchor if has_anchor else left > 0
            if take is not None and shown and "frames" in take.media:
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
                    "latents": take.media.get("tail_latents") if take and latents is not None else None,
                    **({"anchor": True} if has_anchor and scene.id == anchor else {}),
                }
            )
        return types.StoryContext(tuple(reversed(read)), bible=story.bible), tuple(reversed(parents))

    def frames_of(self, take_id: str) -> types.Frames:
        """Every frame of a take, lossless."""
        return self._frames(self.take(take_id).media["frames"])

    def recipe(self, take_id: str, *, trashed: bool = False) -> dict[str, Any] | None:
        with self.database.reading() as session:
            self._take(session, take_id, trashed=trashed)
            row = session.exec(select(RecipeRow).where(RecipeRow.take_id == take_id)).first()
            return None if row is None else row.model_dump(exclude={"id"})

    def verdicts(self, take_id: str) -> tuple[dict[str, Any], ...]:
        with self.database.reading() as session:
            self._take(session, take_id)
            query = select(VerdictRow).where(VerdictRow.take_id == take_id).order_by(col(VerdictRow.id))
            return tuple(row.model_dump(exclude={"take_id"}) for row in session.exec(query).all())

    def verdicts_of(self, scene_id: str) -> dict[str, dict[str, Any]]:
        """The latest verdict of each take of a scene that was judged, by take."""
        with self.database.reading() as session:
            self._scene(session, scene_id, trashed=True)
            query = (
                select(VerdictRow)
                .join(TakeRow, col(TakeRow.id) == col(VerdictRow.take_id))
                .where(TakeRow.scene_id == scene_id)
                .order_by(col(VerdictRow.id))
            )
            return {row.take_id: row.model_dump() for row in session.exec(query).all()}

    def trashed_takes(self, scene_id: str) -> tuple[Take, ...]:
        """The ones thrown away last first."""
        with self.database.reading() as session:
            self._scene(session, scene_id)
            rows = session.exec(
                select(TakeRow)
                .where(TakeRow.scene_id == scene_id, col(TakeRow.deleted_at).is_not(None))
                .order_by(col(TakeRow.deleted_at).desc())
            ).all()
            return takes_from(session, rows)

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

    def trashed_scenes(self, story_id: str) -> tuple[Scene, ...]:
        with self.database.reading() as session:
            self._story(session, story_id)
            rows = session.exec(
                select(SceneRow)
                .where(SceneRow.story_id == story_id, col(SceneRow.deleted_at).is_not(None))
                .order_by(col(SceneRow.deleted_at).desc())
            ).all()
            return scenes_from(session, rows)

    # for a transaction of the caller's --------------------------------------------------------------------------

    def story_row(self, session: Session, story_id: str) -> StoryRow:
        """Raises NotFound for a story that is not this person's."""
        return self._story(session, story_id)

    def path_rows(self, session: Session, scene_id: str, *, trashed: bool = False) -> list[SceneRow]:
        """From the beginning to the scene, those in the trash too. Raises NotFound when the scene itself is there,
        unless `trashed`."""
        return self._path(session, scene_id, trashed=trashed)

    def told_around(self, session: Session, scene_id: str, last: int) -> list[SceneRow]:
        """The latest scenes up to `scene_id`, oldest first, then those that already follow it."""
        following = select(SceneRow).where(SceneRow.parent_id == scene_id, col(SceneRow.deleted_at).is_(None))
        return [*self._path(session, scene_id)[-last:], *session.exec(following).all()]

    # inside -----------------------------------------------------------------------------------------------------

    def _frames(self, name: str) -> types.Frames:
        return load_frames(self.media.path(name))[0]

    def _story(self, session: Session, story_id: str, expected_version: int | None = None) -> StoryRow:
        row = session.get(StoryRow, story_id)
        if row is None or self.owner_id not in (None, row.owner_id):
            raise NotFound("There is no such story; it may have been erased.")
        if expected_version is not None and expected_version != row.version:
            raise StaleStory(CHANGED)
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

    @staticmethod
    def _count(session: Session, *where: Any) -> int:
        table = where[0].left.table
        return int(session.exec(select(func.count()).select_from(table).where(*where)).one())
