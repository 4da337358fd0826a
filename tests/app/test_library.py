"""The library: the shelf's order, duplicates, what the disk holds, and takes that can go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from app.store import Store
from app.store.disk import Usage, idle_takes, trash_takes_in, trashed_takes, usage
from app.store.models import JobRow, MediaLinkRow, OpRow, PreferenceRow, RecipeRow, Row, SceneRow, StoryRow, TakeRow
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Scene, Story, Take

RECIPE: dict[str, Any] = {
    "model": "m",
    "fingerprint": "f",
    "seed": 7,
    "settings_json": "{}",
    "mode": "continue",
    "words": "w",
    "device": "cpu",
    "threads": 1,
    "dtype": "float32",
    "versions_json": "{}",
    "frames_sha256": "0",
}


def draw(
    store: Store, stories: Stories, scene: Scene, content: bytes, *, after: Take | None = None, kind: Any = "drawn"
) -> Take:
    """A take of `scene` with a clip of its own and a thumb that all takes share."""
    files: dict[Any, Any] = {
        "clip": store.media.put_bytes(content, "mp4"),
        "thumb": store.media.put_bytes(b"t", "webp"),
    }
    parents = f'[{{"scene": "{scene.parent_id}", "take": "{after.id if after else ""}", "words": "x", "frames": null}}]'
    new = NewTake(
        kind, 160, 96, 17, 8, files, parent_take_id=after.id if after else None,
        recipe={**RECIPE, "parents_json": parents} if kind == "drawn" else None,
    )  # fmt: skip
    return stories.add_take(scene.id, new)


@pytest.fixture
def tale(store: Store, stories: Stories) -> tuple[Story, list[Scene], list[Take]]:
    """Two scenes and a branch; the first scene has three takes, of which the second scene continues the second one."""
    story = stories.create_story("A tale", premise="P", cast="C", look="L")
    first = stories.begin_scene(story.id, "One.")
    takes = [draw(store, stories, first, bytes([n]) * 1000) for n in range(3)]
    stories.choose_take(takes[1].id)
    second = stories.add_scene(first.id, "Two.")
    takes.append(draw(store, stories, second, b"two" * 100, after=takes[1]))
    branch = stories.add_scene(first.id, "Another two.", mode="cut")
    stories.choose_take(takes[0].id)
    stories.set_head(story.id, branch.id)
    return stories.story(story.id), [first, second, branch], takes


def rows(store: Store, table: type[Row]) -> int:
    with store.database.reading() as session:
        return len(session.exec(select(table)).all())


def test_the_shelf_is_sorted_and_paged(stories: Stories) -> None:
    made = [stories.create_story(title) for title in ("banana", "Apple", "cherry")]
    for story in made:
        stories.begin_scene(story.id, "Once.")
    stories.create_story("empty")
    stories.open_story(made[0].id)
    by: Any = lambda order: [one.title for one in stories.list_stories(begun=True, order=order)]  # noqa: E731
    assert by("changed") == ["cherry", "Apple", "banana"]
    assert by("opened") == ["banana", "cherry", "Apple"]
    assert by("title") == ["Apple", "banana", "cherry"]
    assert [one.title for one in stories.list_stories(begun=True, order="title", limit=1, offset=1)] == ["banana"]
    assert stories.count_stories(begun=True) == 3 and stories.count_stories() == 4


def test_a_duplicate_is_whole_and_apart(
    store: Store, stories: Stories, tale: tuple[Story, list[Scene], list[Take]]
) -> None:
    story, (first, second, branch), takes = tale
    stories.star_take(takes[2].id)
    trashed = stories.add_scene(second.id, "Thrown away.")
    below = stories.add_scene(trashed.id, "And what follows.")
    stories.trash_scene(trashed.id)
    stories.add_verdict(takes[3].id, "pass", reason="fine", judge="j")
    stories.set_head(story.id, branch.id)
    files = sorted(store.media.root.rglob("*.*"))
    links, media = rows(store, MediaLinkRow), stories.take(takes[0].id).media

    copy = stories.duplicate_story(story.id, "Copy of A tale")
    assert (copy.title, copy.premise, copy.cast, copy.look, copy.version) == ("Copy of A tale", "P", "C", "L", 2)
    assert sorted(store.media.root.rglob("*.*")) == files and rows(store, MediaLinkRow) == 2 * links
    old, new = stories.tree(story.id), stories.tree(copy.id)
    assert [scene.words for scene in new] == [scene.words for scene in old] == ["One.", "Two.", "Another two."]
    assert not {scene.id for scene in new} & {scene.id for scene in old} and below.id not in new
    root, two, another = list(new)
    assert two.parent_id == another.parent_id == root.id and copy.head_scene_id == another.id
    assert [(take.number, take.chosen, take.starred) for take in root.takes] == [
        (1, True, False),
        (2, False, False),
        (3, False, True),
    ]
    assert root.takes[0].media == media and two.takes[0].parent_take_id == root.takes[1].id
    recipe = stories.recipe(two.takes[0].id)
    assert recipe is not None and recipe["take_id"] == two.takes[0].id and recipe["seed"] == 7
    assert f'"take": "{root.takes[1].id}"' in recipe["parents_json"] and root.id in recipe["parents_json"]
    assert stories.verdicts(two.takes[0].id)[0]["value"] == "pass"
    with store.database.reading() as session:
        assert session.get_one(StoryRow, copy.id).origin == "duplicate"
        assert [op.kind for op in session.exec(select(OpRow).where(OpRow.story_id == copy.id))] == ["create_story"]
        taste = session.exec(select(PreferenceRow).where(PreferenceRow.story_id == copy.id)).all()
        assert not taste and not session.exec(select(JobRow)).all()

    # each can go without the other
    stories.edit_words(root.id, "Once.")
    assert stories.scene(first.id).words == "One."
    stories.erase_story(story.id)
    assert sorted(store.media.root.rglob("*.*")) == files, "the copy still uses them"
    assert len(stories.tree(copy.id)) == 3 and rows(store, RecipeRow) == 4
    stories.erase_story(copy.id)
    assert not [path for path in store.media.root.rglob("*.*") if path.is_file()]
    assert rows(store, SceneRow) == rows(store, TakeRow) == 0


def used(store: Store) -> Usage:
    with store.database.reading() as session:
        return usage(session, store.local_owner(), store.settings.database, store.settings.backups_dir)


def test_shared_files_are_counted_once(
    store: Store, stories: Stories, tale: tuple[Story, list[Scene], list[Take]]
) -> None:
    story = tale[0]
    before = used(store)
    assert before.media == 3 * 1000 + 300 + 1 and before.files == 5
    assert [(one.title, one.bytes) for one in before.stories] == [("A tale", 3301)]
    copy = stories.duplicate_story(story.id, "Copy")
    after = used(store)
    assert after.media == before.media and {one.bytes for one in after.stories} == {3301}
    stories.trash_story(copy.id)
    assert [one.trashed for one in used(store).stories if one.title == "Copy"] == [True]
    with store.database.reading() as session:
        nobody = usage(session, "somebody else", store.settings.database, store.settings.backups_dir)
    assert nobody.media == 0 and nobody.stories == () and nobody.database > 0


def test_only_takes_that_nobody_needs_are_cleared(
    store: Store, stories: Stories, tale: tuple[Story, list[Scene], list[Take]]
) -> None:
    story, (first, second, branch), takes = tale
    owner = store.local_owner()
    brought = draw(store, stories, branch, b"brought", kind="uploaded")
    other = draw(store, stories, branch, b"other")
    stories.choose_take(other.id)

    def idle(story_id: str | None = None) -> tuple[set[str], int]:
        with store.database.reading() as session:
            found = idle_takes(session, owner, story_id)
            return set(found.takes), found.bytes

    # not the chosen ones (1, 4, other), not the one that scene two continues (2), not what was brought
    assert idle() == idle(story.id) == ({takes[2].id}, 1000)
    assert brought.id not in idle()[0] and idle("another story") == (set(), 0)
    with store.database.reading() as session:
        assert idle_takes(session, "somebody else").takes == ()
    stories.star_take(takes[2].id)
    assert idle() == (set(), 0)
    stories.star_take(takes[2].id, False)
    stories.trash_scene(second.id)
    assert idle()[0] == {takes[1].id, takes[2].id}, "nothing that lives continues the second take now"
    stories.restore_scene(second.id)

    copy = stories.duplicate_story(story.id, "Copy")
    assert idle(story.id)[1] == 0, "the copy uses the same file: nothing would be freed"
    stories.erase_story(copy.id)

    with store.database.transaction() as session:
        trash_takes_in(session, idle_takes(session, owner).takes)
    assert [take.number for take in stories.scene(first.id).takes] == [1, 2]
    with store.database.reading() as session:
        gone = trashed_takes(session, owner)
    assert gone.takes == (takes[2].id,) and gone.bytes == 1000
    assert stories.undo(story.id) == "clear_takes" and len(stories.scene(first.id).takes) == 3
    assert stories.redo(story.id) == "clear_takes"

    before = used(store).media
    path: Path = store.media.path(takes[2].media["clip"])
    erased, freed = stories.erase_takes(gone.takes)
    assert erased.takes == gone.takes and freed == 1000 == before - used(store).media and not path.exists()
    assert stories.scene(first.id).chosen is not None and stories.scene(second.id).chosen is not None
    with pytest.raises(Exception, match="goes on from"):
        stories.erase_takes([takes[0].id])
    with store.database.reading() as session:
        assert session.exec(select(TakeRow).where(col(TakeRow.chosen).is_(True))).all()
