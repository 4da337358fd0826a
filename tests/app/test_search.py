"""Search: what is found, what is not, and that the index says the same as the tables whatever happens to them."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from app.settings import Settings
from app.store import Store, database, open_store
from app.store.search import Found, marked, search, terms_of
from app.store.stories import Stories

Search = Callable[..., Found]


@pytest.fixture
def find(store: Store) -> Search:
    def ask(query: str, **options: bool) -> Found:
        return search(store.database, store.local_owner(), query, **options)

    return ask


def said(found: Found) -> list[str]:
    return ["".join(piece.text for piece in hit.pieces) for hit in found.hits]


def hits(found: Found) -> list[str]:
    return [piece.text for hit in found.hits for piece in hit.pieces if piece.hit]


def test_words_titles_and_bibles_are_found(stories: Stories, find: Search) -> None:
    story = stories.create_story("The Red Kite", premise="Milo learns to fly", cast="Milo, a shy bear", look="ink")
    first = stories.begin_scene(story.id, "It is day. A red ball lies on the meadow.")
    second = stories.add_scene(first.id, "The ball rolls away into the rain.")
    found = find("ball")
    assert [(hit.scene_id, hit.number, hit.field) for hit in found.hits] == [
        (second.id, 2, "words"),
        (first.id, 1, "words"),
    ]
    assert said(found)[0] == "The ball rolls away into the rain." and hits(found) == ["ball", "ball"]
    both = find("RED")
    assert [hit.field for hit in both.hits] == ["title", "words"] and hits(both) == ["Red", "red"]
    assert [hit.field for hit in find("shy").hits] == ["cast"]
    assert [hit.field for hit in find("learns fly").hits] == ["premise"]  # all words, in any order
    assert find("ball snow").hits == () and find("").hits == () and find("  \n ").hits == ()


def test_what_was_seen_is_found(stories: Stories, store: Store, find: Search) -> None:
    story = stories.create_story("Seen")
    scene = stories.begin_scene(story.id, "My own words.")
    with store.database.transaction() as session:
        session.connection().execute(text("UPDATE scene SET seen = 'A yellow umbrella.'"))
    assert [(hit.scene_id, hit.field) for hit in find("umbrel").hits] == [(scene.id, "seen")]


SAYINGS = [
    ("小猫咪喜欢红色的球。", "红色的", "红色的"),
    ("小猫咪喜欢绿色的树。", "树", "树"),
    ("猫がボールを追いかける。", "ボー", "ボー"),
    ("ÄPFEL fallen vom Baum.", "äpfel", "ÄPFEL"),
    ("Über den Öfen", "öf", "Öf"),
    ("100% sure_thing", "0%", "0%"),
    ("a back\\slash", "k\\", "k\\"),
    ('She said "rain" twice', '"rain"', '"rain"'),
    ("Snow* AND (fog) OR title:x", "AND (fog)", "(fog)"),
]


def test_any_language_and_any_sign(stories: Stories, find: Search) -> None:
    stories.begin_scene(stories.create_story("t").id, "Nothing to see in this one.")
    scenes = [stories.begin_scene(stories.create_story("t").id, words).id for words, _, _ in SAYINGS]
    for scene, (_, query, hit) in zip(scenes, SAYINGS, strict=True):
        found = find(query)
        assert [one.scene_id for one in found.hits] == [scene] and hit in hits(found), query


def test_no_query_is_an_error(stories: Stories, find: Search) -> None:
    stories.begin_scene(stories.create_story("Rain").id, "It rains.")
    odd = ['"', '""', "'", "*", "a*", "rain*", "^rain", "NEAR(a b)", "NOT", "a AND", "(", "title:", "-rain", "{a} : x"]
    odd += ["rain\x00fall", "\ud83d", "x" * 5000, "%", "_", "\\", ";--", ":match", "a " * 400, "🐻🐻🐻"]
    for query in odd:
        assert isinstance(find(query), Found), query


def test_thrown_away_is_found_in_the_trash_only(stories: Stories, find: Search) -> None:
    story = stories.create_story("A walk")
    first = stories.begin_scene(story.id, "A lantern glows.")
    branch = stories.add_scene(first.id, "The lantern goes out.")
    below = stories.add_scene(branch.id, "A lantern far below.")
    stories.trash_scene(branch.id)
    assert [hit.scene_id for hit in find("lantern").hits] == [first.id]
    assert {hit.scene_id for hit in find("lantern", trashed=True).hits} == {branch.id, below.id}
    stories.trash_story(story.id)
    assert find("lantern").hits == () and find("walk").hits == ()
    assert [hit.field for hit in find("walk", trashed=True).hits] == ["title"]
    assert len(find("lantern", trashed=True).hits) == 3
    stories.restore_story(story.id)
    stories.restore_scene(branch.id)
    assert len(find("lantern").hits) == 3


def test_changes_and_undo_are_followed(stories: Stories, find: Search) -> None:
    story = stories.create_story("Old name")
    scene = stories.begin_scene(story.id, "A carrot for the snowman.")
    stories.edit_words(scene.id, "A hat for the snowman.")
    stories.rename(story.id, "New name")
    assert not find("carrot").hits and not find("Old").hits and find("hat").hits and find("New n").hits
    stories.undo(story.id)
    stories.undo(story.id)
    assert find("carrot").hits and find("Old").hits and not find(" hat ").hits and not find("New n").hits


def test_somebody_elses_stories_are_not_found(store: Store, find: Search) -> None:
    other = store.stories(store.owner("account", "other"))
    other.begin_scene(other.create_story("Secret").id, "A secret garden.")
    assert find("secret").hits == () and find("se").hits == ()


def test_erased_words_leave_the_index(stories: Stories, store: Store, find: Search) -> None:
    kept = stories.create_story("Kept")
    stories.begin_scene(kept.id, "Something else.")
    story = stories.create_story("Xylophone")
    scene = stories.begin_scene(story.id, "Qwyjibo zzyzx marches on.")
    for number in range(30):
        scene = stories.add_scene(scene.id, f"Qwyjibo zzyzx number {number}.")
    stories.erase_story(story.id)
    assert find("qwyjibo").hits == () and find("xylophone").hits == () and find("else").hits
    store.close()
    with contextlib.closing(sqlite3.connect(store.database.path)) as connection:
        assert connection.execute("SELECT count(*) FROM fts_number").fetchone() == (2,)
        connection.execute("INSERT INTO fts_text (fts_text) VALUES ('integrity-check')")
    bytes_ = store.database.path.read_bytes()
    for piece in (b"qwy", b"yji", b"zzy", b"xyl", b"Qwyjibo", b"Xyl"):
        assert piece not in bytes_, piece  # not even three characters of it


def test_a_database_with_stories_is_upgraded(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    newest = database.HEAD
    monkeypatch.setattr(database, "HEAD", "0001")
    upgrade = database.Database._upgrade

    def only_the_first(self: database.Database) -> None:
        from alembic import command

        with self.engine.connect() as connection, connection.begin():
            command.upgrade(database.alembic_config(connection), "0001")

    monkeypatch.setattr(database.Database, "_upgrade", only_the_first)
    old = open_store(settings)
    assert old.database.revision() == "0001"
    with old.database.transaction() as session:
        run = session.connection().exec_driver_sql
        run("INSERT INTO owner VALUES ('o', 'local', 'local', '', '{}', '2026-01-01')")
        run(
            "INSERT INTO story VALUES ('s', 'o', 'An old tale', '', 'Milo', '', 1, NULL, 'here', '{}', '2026-01-01', "
            "'2026-01-01', NULL, NULL)"
        )
        run(
            "INSERT INTO scene VALUES ('c', 's', NULL, 'begin', 'cut', 0, 0, 'Old words here.', 'user', '', 'a kite', "
            "NULL, NULL, NULL, NULL, '2026-01-01', NULL)"
        )
    old.close()
    monkeypatch.setattr(database, "HEAD", newest)
    monkeypatch.setattr(database.Database, "_upgrade", upgrade)
    new = open_store(settings)
    try:
        assert new.database.revision() == newest
        assert len(list(settings.backups_dir.glob("whatnext-0001-*.db"))) == 1
        ask = [search(new.database, "o", query).hits for query in ("tale", "milo", "old words", "kite")]
        assert [[hit.field for hit in hits] for hits in ask] == [["title"], ["cast"], ["words"], ["seen"]]
        new.stories("o").erase_story("s")
        assert search(new.database, "o", "old").hits == ()
    finally:
        new.close()


def test_the_first_hit_is_in_sight() -> None:
    pieces = marked("word " * 60 + "needle " + "word " * 60, ("needle",))
    assert pieces[0].text == "…" and pieces[-1].text == "…"
    assert sum(piece.hit for piece in pieces) == 1 and sum(len(piece.text) for piece in pieces) < 250
    assert terms_of("a  a b") == ("a", "b")


def fill(store: Store, stories: int, scenes: int) -> None:
    owner = store.local_owner()
    tales = [(f"s-{s}", owner, f"Story number {s} of the long winter") for s in range(stories)]
    told = [
        (
            f"{s}-{n}",
            f"s-{s}",
            f"{s}-{n - 1}" if n else None,
            n,
            f"The red ball {s} rolls over meadow {n} and the sun number {s * scenes + n} sets slowly.",
        )
        for s in range(stories)
        for n in range(scenes)
    ]
    with store.database.transaction() as session:
        run = session.connection().exec_driver_sql
        run(
            "INSERT INTO story VALUES (?, ?, ?, '', '', '', 1, NULL, 'here', '{}', '2026-01-01', '2026-01-01', NULL, "
            "NULL)",
            tales,
        )
        run(
            "INSERT INTO scene VALUES (?, ?, ?, 'next', 'cut', ?, 0, ?, 'user', '', '', NULL, NULL, NULL, NULL, "
            "'2026-01-01', NULL)",
            told,
        )


@pytest.mark.full
def test_ten_thousand_scenes_are_searched_at_once(store: Store, find: Search) -> None:
    fill(store, 100, 100)
    slowest = 0.0
    for query in ("the", "red ball", "number 5512", "o", "on", "球", "meadow zzz", "nothing of the kind", "99"):
        best = 9.0
        for _ in range(3):
            started = time.perf_counter()
            find(query)
            best = min(best, time.perf_counter() - started)
        slowest = max(slowest, best)
    assert slowest < 0.3  # 30 ms on a quiet machine
