"""The film of a path in somebody's story: its plan as it is kept, and the clips and words that the plan speaks of.

Knows the store, nothing of pages and of rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.reel.plan import Plan, extended, plan_for, plan_of, without
from app.reel.render import Clip
from app.store import Store
from app.store.reels import kept_plan
from app.story import Scene, Story, shown_path
from nsp_core.errors import UserError


@dataclass(frozen=True)
class Cut:
    """The path that is cut, and how. `version`: of the plan that is kept for the path's end, 0 when there is none yet.
    `scenes` are those of the path that have a clip, by id."""

    story: Story
    end: str
    plan: Plan
    version: int
    scenes: dict[str, Scene]


def cut_of(store: Store, owner_id: str | None, story_id: str, scene_id: str | None = None) -> Cut:
    """The film of the path through that scene to an end; without one, through the scene that was looked at last."""
    stories = store.stories(owner_id)
    story = stories.story(story_id)
    tree = stories.tree(story_id, bare=True)
    wanted = next((one for one in (scene_id, story.head_scene_id) if one is not None and one in tree), None)
    if scene_id is not None and wanted != scene_id:
        raise UserError(f"“{story.title}” has no scene {scene_id!r}; it may be in the trash.")
    if wanted is None and len(tree):
        wanted = max(scene.id for scene in tree)
    path = stories.path_to(shown_path(tree, wanted)[-1].id) if wanted is not None else ()
    drawn = {scene.id: scene for scene in path if scene.chosen is not None and "clip" in scene.chosen.media}
    if not drawn:
        raise UserError(f"“{story.title}” has no scene with pictures there yet: draw one, then make a film of it.")
    end = list(drawn)[-1]
    kept = kept_plan(stories, [scene.id for scene in path])
    if kept is None:
        return Cut(story, end, plan_for(list(drawn)), 0, drawn)
    plan = without(plan_of(kept.plan_json), set(drawn))
    if kept.scene_id == end:
        return Cut(story, end, plan, kept.version, drawn)
    ids = [scene.id for scene in path]
    since = [scene_id for scene_id in ids[ids.index(kept.scene_id) + 1 :] if scene_id in drawn]
    return Cut(story, end, extended(plan, since), 0, drawn)


def clips_of(store: Store, plan: Plan, scenes: dict[str, Scene]) -> list[Clip]:
    """What is rendered: one clip a shot."""
    clips = []
    for number, shot in enumerate(plan.shots, 1):
        scene = scenes.get(shot.scene)
        take = scene.chosen if scene is not None else None
        if scene is None or take is None or "clip" not in take.media:
            raise UserError(
                f"Scene {number} of the film is not on this path any more, or has no pictures: take it out."
            )
        clips.append(Clip(store.media.path(take.media["clip"]), scene.words or scene.seen))
    return clips


def only_of(plan: Plan, ids: Sequence[str]) -> None:
    """A plan from a browser may name scenes of this path only. Raises UserError."""
    strange = [shot.scene for shot in plan.shots if shot.scene not in set(ids)]
    if strange:
        raise UserError("The film names a scene that is not on this path: open the film anew.")
