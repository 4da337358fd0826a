"""Undo and redo: every kind of change goes back and forth, also after a restart and whatever happened meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.pages.wander_view import step_text
from app.store import Store, open_store
from app.store.models import SceneRow
from app.store.oplog import Step
from app.store.stories import Stories
from tests.app.test_store_stories import draw, grow


def looks(stories: Stories, story_id: str) -> dict[str, Any]:
    """All that undo is about; version and times of change are not."""
    story = stories.story(story_id)
    scenes = {
        scene.id: (
            scene.words,
            scene.words_source,
            scene.mode,
            scene.parent_id,
            scene.position,
            [(take.id, take.chosen, take.starred, take.rank) for take in scene.takes],
        )
        for scene in stories.tree(story_id)
    }
    return {"story": (story.title, story.premise, story.cast, story.look), "scenes": scenes}


def changes_of(stories: Stories, store: Store, story_id: str) -> list[tuple[str, Callable[[], object]]]:
    first, second, third = stories.tree(story_id)
    one, two = draw(stories, second.id, 1), draw(stories, second.id, 2)

    def retell() -> list[SceneRow]:
        with store.database.transaction() as session:
            return stories.retell_in(session, second.id, "Something else.", third.id)

    return [
        ("rename", lambda: stories.rename(story_id, "Another title")),
        ("edit_story", lambda: stories.edit_story(story_id, premise="A garden.", cast="A snail.", look="Few colours.")),
        ("edit_words", lambda: stories.edit_words(second.id, "The snail sleeps.")),
        ("set_mode", lambda: stories.set_mode(third.id, "cut")),
        ("add_scene", lambda: stories.add_scene(first.id, "A bird comes.")),
        ("choose_take", lambda: stories.choose_take(two.id)),
        ("star_take", lambda: stories.star_take(one.id)),
        ("rank_takes", lambda: stories.rank_takes(second.id, [two.id, one.id])),
        ("trash_take", lambda: stories.trash_take(two.id)),
        ("restore_take", lambda: stories.restore_take(two.id)),
        ("retell", retell),
        ("trash_scene", lambda: stories.trash_scene(second.id)),
        ("restore_scene", lambda: stories.restore_scene(second.id)),
    ]


def test_every_kind_goes_back_and_forth_also_after_a_restart(store: Store, stories: Stories) -> None:
    story_id = grow(stories)[0].story_id
    changes = changes_of(stories, store, story_id)
    seen = [looks(stories, story_id)]
    for kind, change in changes:
        change()
        seen.append(looks(stories, story_id))
        assert seen[-1] != seen[-2], kind
    store.close()

    again = open_store(store.settings)
    stories = again.stories(stories.owner_id)
    for number in range(len(changes), 0, -1):
        step, _ = stories.steps(story_id)
        assert step is not None and step.kind == changes[number - 1][0]
        assert step_text(step) != "the latest change"
        assert stories.undo(story_id) == step.kind
        assert looks(stories, story_id) == seen[number - 1], step
        head = stories.story(story_id).head_scene_id
        assert head is not None and head in stories.tree(story_id), "the story always stands on a scene that is there"
    again.close()

    third = open_store(store.settings)
    stories = third.stories(stories.owner_id)
    for number, (kind, _change) in enumerate(changes, start=1):
        _, step = stories.steps(story_id)
        assert step is not None and step.kind == kind and stories.redo(story_id) == kind
        assert looks(stories, story_id) == seen[number], step
    assert stories.redo(story_id) is None
    third.close()


def test_where_the_story_stands_afterwards(stories: Stories) -> None:
    first, second, third = grow(stories)
    one, two = draw(stories, second.id, 1), draw(stories, second.id, 2)
    stories.choose_take(two.id)
    stories.set_head(first.story_id, first.id)
    stories.undo(first.story_id)
    chosen = stories.scene(second.id).chosen
    assert stories.story(first.story_id).head_scene_id == second.id and chosen is not None and chosen.id == one.id
    stories.rename(first.story_id, "Else")
    stories.set_head(first.story_id, first.id)
    stories.undo(first.story_id)
    assert stories.story(first.story_id).head_scene_id == first.id, "a title is nowhere in particular"
    stories.undo(first.story_id)
    assert stories.story(first.story_id).head_scene_id == second.id, "what grew from the scene that is taken back"
    stories.redo(first.story_id)
    assert stories.story(first.story_id).head_scene_id == third.id


def test_a_take_that_came_meanwhile_is_no_hindrance(stories: Stories) -> None:
    """The only take is thrown away, another is drawn and so chosen, then the throwing away is undone."""
    first, _second, _third = grow(stories)
    old = draw(stories, first.id, 1)
    stories.trash_take(old.id)
    new = draw(stories, first.id, 2)
    assert stories.scene(first.id).chosen == new
    assert stories.undo(first.story_id) == "trash_take"
    assert [(take.id, take.chosen) for take in stories.scene(first.id).takes] == [(old.id, True), (new.id, False)]
    assert stories.redo(first.story_id) == "trash_take"
    assert [(take.id, take.chosen) for take in stories.scene(first.id).takes] == [(new.id, True)]


def test_what_was_erased_meanwhile_is_no_hindrance(stories: Stories) -> None:
    first, second, third = grow(stories)
    branch = stories.add_scene(first.id, "A bird comes.")
    _one, two, three = (draw(stories, second.id, seed) for seed in (1, 2, 3))
    stories.choose_take(two.id)
    stories.choose_take(three.id)
    stories.edit_words(branch.id, "Two birds come.")
    stories.edit_words(third.id, "The end.")
    stories.erase_take(two.id)
    stories.erase_scene(branch.id)
    kinds = []
    while kind := stories.undo(first.story_id):
        kinds.append(kind)
        if second.id in stories.tree(first.story_id):
            assert sum(take.chosen for take in stories.scene(second.id).takes) == 1
    assert kinds == ["edit_words", "choose_take", "choose_take", "add_scene", "add_scene", "begin_scene"]
    redone = []
    while kind := stories.redo(first.story_id):
        redone.append(kind)
    assert redone == kinds[::-1]
    assert {scene.id for scene in stories.tree(first.story_id)} == {first.id, second.id, third.id}
    assert [take.chosen for take in stories.scene(second.id).takes].count(True) == 1


def test_a_retelling_is_one_step(store: Store, stories: Stories) -> None:
    first, second, third = grow(stories)
    with store.database.transaction() as session:
        made = [row.id for row in stories.retell_in(session, second.id, "The seed sleeps.", third.id)]
    tree = stories.tree(first.story_id)
    assert [scene.words for scene in tree.path(made[-1])] == [first.words, "The seed sleeps.", third.words]
    assert [(tree[one].words_source, tree[one].depth, tree[one].position) for one in made] == [
        ("edited", 1, 1),
        ("model", 2, 0),
    ]
    stories.undo(first.story_id)
    assert len(stories.tree(first.story_id)) == 3
    stories.redo(first.story_id)
    assert {scene.id for scene in stories.tree(first.story_id)} == {first.id, second.id, third.id, *made}


def test_every_kind_has_words(root: Path) -> None:
    """What the two buttons say: a kind of change that is new needs a text of its own."""
    kinds: set[str] = set()
    for path in (root / "app").rglob("*.py"):
        for call in re.findall(r"oplog\.change\((?:[^()]|\([^()]*\))*\)", path.read_text(encoding="utf-8")):
            if 'actor="model"' not in call:
                kinds |= set(re.findall(r'"([a-z]+_[a-z]+|rename|retell)"', call.partition("[")[0]))
    assert {"rename", "edit_story", "add_scene", "retell", "trash_take"} <= kinds
    for kind in kinds:
        assert step_text(Step(1, kind, "x", 2)), kind
