"""The takes of a scene: kept, chosen, starred, ranked, judged, thrown away. Knows nothing of how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, func, select

from app.identity import now
from app.killpoints import reached
from app.store import oplog
from app.store.choosing import note
from app.store.errors import NotFound
from app.store.media import Media, MediaFile
from app.store.models import RecipeRow, SceneRow, StoryRow, TakeRow, VerdictRow
from app.store.reading import StoryReader
from app.store.rows import scenes_from, takes_from
from app.story import Role, Scene, Take, TakeKind


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
    drift: str | None = None


class TakeKeeper(StoryReader):
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
            drift_json=new.drift,
        )
        session.add(row)
        session.flush()
        reached("take.number")
        for role, file in new.files.items():
            Media.link(session, file, role, owner_id=story.owner_id, take_id=row.id)
        reached("take.linked")
        if new.recipe is not None:
            session.add(RecipeRow(take_id=row.id, **new.recipe))
        oplog.change(session, story, "add_take", actor="model", counts=False)
        reached("take.added")
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
                oplog.change(session, story, "choose_take", [*changes, (row, {"chosen": True})])
                note(session, story, "chose", scene_id=scene.id, take_id=row.id, other_take_id=other)
            return scenes_from(session, [scene])[0]

    def set_drift(self, take_id: str, drift: str) -> None:
        """What was measured later; no change of the story."""
        with self.database.transaction() as session:
            self._take(session, take_id)[0].drift_json = drift

    def star_take(self, take_id: str, starred: bool = True, *, expected_version: int | None = None) -> Take:
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id, expected_version)
            if row.starred != starred:
                oplog.change(session, story, "star_take", [(row, {"starred": starred})])
                if starred:
                    note(session, story, "starred", scene_id=scene.id, take_id=row.id)
            return takes_from(session, [row])[0]

    def rank_takes(self, scene_id: str, order: Sequence[str], *, expected_version: int | None = None) -> Scene:
        """The takes in `order` from best to worst; those that are not named lose their rank."""
        with self.database.transaction() as session:
            scene, story = self._scene(session, scene_id, expected_version)
            rows = session.exec(select(TakeRow).where(TakeRow.scene_id == scene.id)).all()
            if not set(order) <= {row.id for row in rows}:
                raise NotFound("One of these takes is not a take of this scene.")
            ranks = {take_id: place for place, take_id in enumerate(order, start=1)}
            changes = [(row, {"rank": ranks.get(row.id)}) for row in rows if row.rank != ranks.get(row.id)]
            if changes:
                oplog.change(session, story, "rank_takes", changes)
            return scenes_from(session, [scene])[0]

    def trash_take(self, take_id: str, *, expected_version: int | None = None) -> Scene:
        """To the trash; when it was the chosen one, the newest other take is chosen instead."""
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id, expected_version)
            changes: list[tuple[Any, dict[str, Any]]] = [(row, {"deleted_at": now(), "chosen": False})]
            if row.chosen:
                other = session.exec(
                    select(TakeRow)
                    .where(TakeRow.scene_id == scene.id, col(TakeRow.deleted_at).is_(None), TakeRow.id != row.id)
                    .order_by(col(TakeRow.number).desc())
                ).first()
                if other is not None:
                    changes.append((other, {"chosen": True}))
            oplog.change(session, story, "trash_take", changes)
            if row.kind == "drawn":
                note(session, story, "threw_away", scene_id=scene.id, take_id=row.id)
            return scenes_from(session, [scene])[0]

    def restore_take(self, take_id: str, *, expected_version: int | None = None) -> Scene:
        with self.database.transaction() as session:
            row, scene, story = self._take(session, take_id, expected_version, trashed=True)
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
