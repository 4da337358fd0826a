"""Stories: the tree, its changes, undo, trash, and whose they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import event, text

from app.store import Store, open_store
from app.store.errors import NotFound, StaleStory
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Scene, Take, Tree, title_from, within_context
from nsp_core.errors import UserError
from nsp_core.media import save_frames, save_latents
from tests.app.fake_predictor import bars


def grow(stories: Stories, depth: int = 3) -> list[Scene]:
    """A story of one path."""
    story = stories.create_story()
    path = [stories.begin_scene(story.id, "A seed lies in the rain.")]
    while len(path) < depth:
        path.append(stories.add_scene(path[-1].id, f"Scene {len(path) + 1}."))
    return path


def draw(stories: Stories, scene_id: str, seed: int = 1) -> Take:
    frames = bars(seed)
    media = stories.media
    files = {
        "frames": media.make("npz", lambda path: save_frames(path, frames, 8)),
        "tail_latents": media.make(
            "safetensors", lambda path: save_latents(path, np.full((4, 5, 6, 10), seed, dtype=np.float32))
        ),
        "thumb": media.put_bytes(f"thumb {seed}".encode(), "webp"),
    }
    return stories.add_take(scene_id, NewTake("drawn", 160, 96, 17, 8, files))  # type: ignore[arg-type]


def test_a_tree_and_its_paths(stories: Stories) -> None:
    first, second, third = grow(stories)
    other = stories.add_scene(first.id, "Instead, a snail comes.", words_source="user", mode="cut", steer="a snail")
    tree = stories.tree(first.story_id)
    assert [scene.id for scene in tree.path(third.id)] == [first.id, second.id, third.id]
    assert [scene.id for scene in tree.children(first.id)] == [second.id, other.id]
    assert [scene.id for scene in tree.siblings(other.id)] == [second.id, other.id]
    assert [scene.id for scene in tree.branch(second.id)] == [second.id, third.id]
    assert {scene.id for scene in tree.leaves()} == {third.id, other.id}
    assert tree.is_branching(first.id) and not tree.is_branching(second.id)
    assert [scene.id for scene in stories.path_to(third.id)] == [first.id, second.id, third.id]
    assert [scene.id for scene in stories.children(first.id)] == [second.id, other.id]
    assert (other.depth, other.position, other.mode, other.steer) == (1, 1, "cut", "a snail")
    story = stories.story(first.story_id)
    assert (story.title, story.head_scene_id, story.scene_count) == ("A seed lies in the rain.", other.id, 4)


def test_takes_and_the_chosen_one(stories: Stories) -> None:
    (first,) = grow(stories, 1)
    one, two = draw(stories, first.id, 1), draw(stories, first.id, 2)
    assert stories.scene(first.id).chosen == one and not two.chosen
    scene = stories.choose_take(two.id)
    assert [take.chosen for take in scene.takes] == [False, True]
    assert stories.star_take(one.id).starred
    ranked = stories.rank_takes(first.id, [two.id, one.id])
    assert [take.rank for take in ranked.takes] == [2, 1]
    left = stories.trash_take(two.id)
    assert left.chosen is not None and left.chosen.id == one.id
    back = stories.restore_take(two.id)
    assert [take.chosen for take in back.takes] == [True, False]
    assert draw(stories, first.id, 3).number == 3
    assert stories.story(first.story_id).cover == one.media["thumb"]


def test_the_context_is_lossless_and_bounded(stories: Stories) -> None:
    path = grow(stories, 5)
    stories.edit_story(path[0].story_id, premise="A garden.", look="Few colours.")
    for number, scene in enumerate(path[:4]):
        draw(stories, scene.id, number)
    chosen = draw(stories, path[3].id, 33)
    stories.choose_take(chosen.id)
    context, parents = stories.context_and_parents(path[3].id, frames=2)
    assert [scene.words for scene in context.scenes] == [scene.words for scene in path[:4]]
    assert [scene.frames is not None for scene in context.scenes] == [False, False, True, True]
    assert np.array_equal(context.scenes[3].frames, bars(33)) and np.array_equal(context.scenes[2].frames, bars(2))
    assert context.scenes[3].tail_latents is not None and context.scenes[3].tail_latents[0, 0, 0, 0] == 33
    assert context.scenes[2].tail_latents is None
    assert context.bible == "Premise: A garden.\nLook: Few colours."
    assert [parent["take"] for parent in parents][3] == chosen.id
    undrawn = stories.context_to(path[4].id, frames=1)
    assert [scene.frames is not None for scene in undrawn.scenes] == [False, False, False, True, False]
    long = stories.context_to(path[4].id, scenes=3)
    assert [scene.words for scene in long.scenes] == [path[0].words, path[3].words, path[4].words]
    assert stories.context_to(None).scenes == ()


def test_undo_and_redo_survive_a_restart(store: Store, stories: Stories) -> None:
    first, second, _third = grow(stories)
    one, two = draw(stories, second.id, 1), draw(stories, second.id, 2)
    stories.edit_words(second.id, "The seed drowns.")
    stories.choose_take(two.id)
    stories.trash_scene(second.id)
    assert len(stories.tree(first.story_id)) == 1 and stories.story(first.story_id).head_scene_id == first.id
    store.close()

    again = open_store(store.settings).stories(stories.owner_id)
    story_id = first.story_id
    assert again.undo(story_id) == "trash_scene"
    assert len(again.tree(story_id)) == 3
    assert again.undo(story_id) == "choose_take"
    chosen = again.scene(second.id).chosen
    assert chosen is not None and chosen.id == one.id
    assert again.undo(story_id) == "edit_words"
    scene = again.scene(second.id)
    assert (scene.words, scene.words_source) == ("Scene 2.", "model")
    assert [again.redo(story_id) for _ in range(4)] == ["edit_words", "choose_take", "trash_scene", None]
    assert len(again.tree(story_id)) == 1
    kinds = []
    while kind := again.undo(story_id):
        kinds.append(kind)
    assert kinds == ["trash_scene", "choose_take", "edit_words", "add_scene", "add_scene", "begin_scene"]
    assert len(again.tree(story_id)) == 0 and again.story(story_id).head_scene_id is None
    while again.redo(story_id):
        pass
    again.undo(story_id)
    assert len(again.scene(second.id).takes) == 2, "takes are never undone"
    again.rename(story_id, "A new turn")
    assert again.redo(story_id) is None, "what was undone before a new change stays undone"


def test_every_change_is_written_down(stories: Stories) -> None:
    (first,) = grow(stories, 1)
    draw(stories, first.id)
    stories.edit_words(first.id, "A seed lies in the sun.")
    history = stories.history(first.story_id)
    assert [op.kind for op in history] == ["edit_words", "add_take", "begin_scene", "create_story"]
    assert history[0].before == {f"scene:{first.id}": {"words": "A seed lies in the rain.", "words_source": "user"}}
    assert stories.story(first.story_id).version == 4, "a new take overwrites nothing"


def test_two_tabs_do_not_overwrite_each_other(stories: Stories) -> None:
    (first,) = grow(stories, 1)
    seen = stories.story(first.story_id).version
    stories.edit_words(first.id, "From one tab.", expected_version=seen)
    with pytest.raises(StaleStory, match="changed in another window"):
        stories.edit_words(first.id, "From the other tab.", expected_version=seen)
    assert stories.scene(first.id).words == "From one tab."


def test_what_is_somebody_elses_does_not_exist(store: Store, stories: Stories) -> None:
    (first,) = grow(stories, 1)
    take = draw(stories, first.id)
    job = store.jobs.submit(stories.owner_id or "", "think", story_id=first.story_id, scene_id=first.id)
    stranger = store.stories(store.owner("account", "42", "Stranger"))
    attempts: list[Callable[[], object]] = [
        lambda: stranger.story(first.story_id),
        lambda: stranger.tree(first.story_id),
        lambda: stranger.scene(first.id),
        lambda: stranger.children(first.id),
        lambda: stranger.path_to(first.id),
        lambda: stranger.context_to(first.id),
        lambda: stranger.take(take.id),
        lambda: stranger.frames_of(take.id),
        lambda: stranger.recipe(take.id),
        lambda: stranger.history(first.story_id),
        lambda: stranger.begin_scene(first.story_id, "Mine."),
        lambda: stranger.add_scene(first.id, "Mine."),
        lambda: stranger.edit_words(first.id, "Mine."),
        lambda: stranger.choose_take(take.id),
        lambda: stranger.star_take(take.id),
        lambda: stranger.trash_take(take.id),
        lambda: stranger.trash_scene(first.id),
        lambda: stranger.trash_story(first.story_id),
        lambda: stranger.erase_story(first.story_id),
        lambda: stranger.rename(first.story_id, "Mine"),
        lambda: stranger.set_head(first.story_id, first.id),
        lambda: stranger.undo(first.story_id),
        lambda: store.jobs.status(job, stranger.owner_id),
        lambda: store.jobs.cancel(job, owner_id=stranger.owner_id),
    ]
    for attempt in attempts:
        with pytest.raises(NotFound):
            attempt()
    assert stranger.list_stories() == () and not stranger.may_read(take.media["thumb"])
    assert stories.may_read(take.media["thumb"])


def test_trash_and_back(stories: Stories) -> None:
    first, second, third = grow(stories)
    stories.trash_scene(second.id)
    assert [scene.id for scene in stories.tree(first.story_id)] == [first.id], "what grows from it goes with it"
    assert [scene.id for scene in stories.trashed_scenes(first.story_id)] == [second.id]
    with pytest.raises(NotFound, match="trash"):
        stories.scene(second.id)
    stories.restore_scene(second.id)
    assert {scene.id for scene in stories.tree(first.story_id)} == {first.id, second.id, third.id}
    stories.trash_story(first.story_id)
    assert stories.list_stories() == ()
    assert [story.id for story in stories.list_stories(trashed=True)] == [first.story_id]
    stories.restore_story(first.story_id)
    assert [story.id for story in stories.list_stories()] == [first.story_id]


def test_erased_for_good(store: Store, stories: Stories) -> None:
    secret = "A very secret snail crosses the garden."
    (first,) = grow(stories, 1)
    stories.edit_words(first.id, secret)
    mine, shared = draw(stories, first.id, 1), draw(stories, first.id, 2)
    store.jobs.submit(stories.owner_id or "", "draw", {"words": secret}, story_id=first.story_id, scene_id=first.id)
    (other,) = grow(stories, 1)
    kept = draw(stories, other.id, 2)
    assert kept.media["frames"] == shared.media["frames"]
    gone = store.media.path(mine.media["frames"])
    assert gone.exists()
    stories.erase_story(first.story_id)
    assert not gone.exists() and not store.media.path(mine.media["thumb"]).exists()
    assert np.array_equal(stories.frames_of(kept.id), bars(2)), "another story's files stay"
    for path in store.settings.data_dir.glob("whatnext.db*"):
        assert secret.encode() not in path.read_bytes(), path.name
    with store.database.reading() as session:
        for table in ("scene", "take", "op", "job", "preference"):
            left = session.connection().execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one()
            assert left == {"scene": 1, "take": 1, "op": 3, "job": 0, "preference": 0}[table], table


def test_refusals_are_one_sentence(stories: Stories) -> None:
    (first,) = grow(stories, 1)
    with pytest.raises(UserError, match="at most 2000 characters, this has 2001"):
        stories.edit_words(first.id, "x" * 2001)
    with pytest.raises(UserError, match="always a cut"):
        stories.set_mode(first.id, "continue")
    with pytest.raises(NotFound, match="has not been read yet"):
        stories.begin_scene(first.story_id, "Words.", describe_job_id="no-such-job")
    assert stories.scene(first.id).words == "A seed lies in the rain."


def test_rewritten_words_are_a_preference(store: Store, stories: Stories) -> None:
    first, second, _ = grow(stories)
    stories.edit_words(second.id, "Rather this.")
    one, two = draw(stories, first.id, 1), draw(stories, first.id, 2)
    stories.choose_take(two.id)
    with store.database.reading() as session:
        rows = session.connection().execute(
            text("SELECT kind, words_before, words_after, take_id, other_take_id FROM preference ORDER BY id")
        )
        assert [tuple(row) for row in rows] == [
            ("rewrote", "Scene 2.", "Rather this.", None, None),
            ("chose", "", "", two.id, one.id),
        ]


def test_verdicts_are_three(stories: Stories) -> None:
    (first,) = grow(stories, 1)
    take = draw(stories, first.id)
    stories.add_verdict(take.id, "missing", reason="the judge was asleep", judge="tests")
    assert [verdict["value"] for verdict in stories.verdicts(take.id)] == ["missing"]
    with pytest.raises(ValueError, match="pass, fail or missing"):
        stories.add_verdict(take.id, "maybe", reason="", judge="tests")


def test_no_question_looks_at_every_row(store: Store, stories: Stories) -> None:
    """A path and its neighbours cost the same among ten thousand scenes: each question is answered from an index."""
    path = grow(stories, 4)
    for scene in path:
        draw(stories, scene.id)
    asked: list[tuple[str, object]] = []

    def listen(_connection: object, _cursor: object, statement: str, values: object, *_rest: object) -> None:
        asked.append((statement, values))

    event.listen(store.database.engine, "before_cursor_execute", listen)
    stories.path_to(path[-1].id)
    stories.children(path[0].id)
    stories.tree(path[0].story_id)
    stories.context_to(path[-1].id)
    stories.may_read("a" * 64 + ".png")
    store.jobs.has_pending("cpu")
    event.remove(store.database.engine, "before_cursor_execute", listen)
    questions = [(sql, values) for sql, values in asked if not sql.startswith("BEGIN")]
    assert len(questions) > 15
    with store.database.engine.connect() as connection:
        for sql, values in questions:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all()  # type: ignore[arg-type]
            scans = [
                row[3] for row in plan if row[3].startswith("SCAN") and row[3].split()[1] not in ("up", "json_each")
            ]
            assert not scans, (sql, scans)


def test_a_path_of_thousands(store: Store, stories: Stories) -> None:
    crowd = grow(stories, 1)[0].story_id
    with store.database.transaction() as session:
        session.connection().execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                " INSERT INTO scene SELECT 'x' || i, :story, CASE WHEN i > 1 THEN 'x' || (i - 1) END, 'next',"
                " 'continue', i, 0, 'words', 'model', '', '', NULL, NULL, NULL, NULL, '2026-01-01 00:00', NULL FROM n"
            ),
            {"story": crowd},
        )
    assert [scene.depth for scene in stories.path_to("x2500")] == list(range(1, 2501))
    assert len(stories.tree(crowd)) == 3001


def test_plain_questions_of_a_tree() -> None:
    assert len(Tree([])) == 0 and Tree([]).roots == () and Tree([]).leaves() == ()
    assert within_context((), 3) == ()
    assert title_from("  ") == "Untitled story"
    assert title_from("A seed lies in the rain beside a little red house, waiting.") == (
        "A seed lies in the rain beside a little red…"
    )
