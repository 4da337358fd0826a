"""What is noted of choices: when a note stands, who sees it, how it goes, and the file that training reads."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from app import export
from app.choices import take_out, zip_out
from app.store import Store
from app.store.choices import by_story, choices, counts, erase
from app.store.choosing import is_noting, set_noting
from app.store.jobs import Words
from app.store.models import JobRow
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Scene, Take
from nsp_core.errors import UserError
from tests.app.test_store_stories import draw, grow


def offered(store: Store, stories: Stories, parent: Scene, kept: str, told: list[str], **more: Any) -> Scene:
    """A scene whose words were taken from what a think job told."""
    owner = stories.owner_id or ""
    job = store.jobs.submit(owner, "think", {}, story_id=parent.story_id, scene_id=parent.id)
    with store.database.transaction() as session:
        row = session.get_one(JobRow, job)
        row.status = "done"
        row.words_json = json.dumps([vars(Words(one, True)) for one in told])
        session.add(row)
    return stories.add_scene(parent.id, kept, think_job_id=job, **more)


def drawn(stories: Stories, scene_id: str, seed: int) -> Take:
    """A take with the files that a person's choices are about."""
    files = {
        role: stories.media.put_bytes(f"{role} {seed}".encode(), ext)
        for role, ext in (("clip", "mp4"), ("first_frame", "png"), ("last_frame", "png"), ("frames", "npz"))
    }
    return stories.add_take(scene_id, NewTake("drawn", 160, 96, 17, 8, files))  # type: ignore[arg-type]


def kinds(store: Store) -> list[str]:
    return [one.kind for one in choices(store.database, store.local_owner())][::-1]


def test_what_is_chosen_is_noted_as_long_as_it_is_so(store: Store, stories: Stories) -> None:
    (first,) = grow(stories, 1)
    kept = offered(store, stories, first, "It rains.", ["It rains.", "Snow falls."])
    edited = offered(
        store, stories, kept, "A cat comes.", ["A dog comes."], words_source="edited", instead_of="A dog comes."
    )
    one, two = draw(stories, first.id, 1), draw(stories, first.id, 2)
    stories.choose_take(two.id)
    stories.star_take(two.id)
    stories.trash_take(one.id)
    assert kinds(store) == ["kept", "rewrote", "chose", "starred", "threw_away"]
    stories.star_take(two.id, False)
    stories.restore_take(one.id)
    stories.trash_scene(edited.id)
    assert kinds(store) == ["kept", "chose"], "neither a star taken away nor what came back"
    stories.undo(first.story_id)
    assert "rewrote" in kinds(store)
    stories.edit_words(kept.id, "It pours.")
    found = choices(store.database, store.local_owner())
    assert (found[0].kind, found[0].before, found[0].after) == ("rewrote", "It rains.", "It pours.")
    stories.trash_story(first.story_id)
    assert kinds(store) == [] and sum(counts(store.database, None).values()) == 0
    stories.restore_story(first.story_id)
    assert len(kinds(store)) == 3


def test_a_scene_that_came_by_itself_was_not_kept(store: Store, stories: Stories) -> None:
    first, second, _ = grow(stories)
    with store.database.transaction() as session:
        stories.add_scene_in(session, second.id, "And then?", look="if there")
    assert kinds(store) == []
    stories.trash_scene(second.id)
    assert [one.before for one in choices(store.database, store.local_owner())] == [second.words]
    assert first.story_id == choices(store.database, None)[0].story_id


def test_off_nothing_is_noted(store: Store, stories: Stories) -> None:
    owner = store.local_owner()
    (first,) = grow(stories, 1)
    take = draw(stories, first.id, 1)
    assert is_noting(store.database, owner)
    set_noting(store.database, owner, False)
    stories.star_take(take.id)
    assert not is_noting(store.database, owner) and kinds(store) == []
    set_noting(store.database, owner, True)
    stories.star_take(take.id, False)
    stories.star_take(take.id)
    assert kinds(store) == ["starred"]


def test_notes_are_a_persons_own_and_go_for_good(store: Store, stories: Stories) -> None:
    guest = store.owner("guest", "somebody")
    theirs = store.stories(guest)
    secret = "zanzibar quilting"
    (mine,), (other,) = grow(stories, 1), grow(theirs, 1)
    kept = stories.add_scene(mine.id, "It rains.")
    stories.edit_words(kept.id, f"The {secret}.")
    stories.edit_words(kept.id, "Calm.")
    gone = stories.add_scene(mine.id, f"A {secret}.")
    stories.edit_words(gone.id, "Quiet.")
    theirs.star_take(draw(theirs, other.id, 1).id)
    assert [one.kind for one in choices(store.database, guest)] == ["starred"]
    assert by_story(store.database, store.local_owner()) == ((mine.story_id, stories.story(mine.story_id).title, 2),)
    assert erase(store.database, store.local_owner(), story_id=other.story_id) == 0, "not somebody else's"
    assert erase(store.database, store.local_owner()) == 2
    assert kinds(store) == [] and len(choices(store.database, guest)) == 1
    theirs.erase_story(other.story_id)
    assert choices(store.database, guest) == ()


def test_an_erased_note_is_gone_from_the_file(store: Store, stories: Stories) -> None:
    """The words that stood before are nowhere else once the history is gone, too."""
    (first,) = grow(stories, 1)
    secret = "zanzibar quilting"
    scene = offered(store, stories, first, "Calm.", ["Calm."], words_source="edited", instead_of=f"The {secret}.")
    assert choices(store.database, None)[0].before == f"The {secret}."
    erase(store.database, store.local_owner())
    for path in store.settings.data_dir.glob("whatnext.db*"):
        assert secret.encode() not in path.read_bytes(), path.name
    assert stories.scene(scene.id).words == "Calm."


def test_the_file_says_what_was_better_than_what(store: Store, stories: Stories, tmp_path: Path) -> None:
    (first,) = grow(stories, 1)
    one, two = drawn(stories, first.id, 1), drawn(stories, first.id, 2)
    stories.choose_take(two.id)
    kept = offered(store, stories, first, "It rains.", ["It rains.", "Snow falls.", "It rains."])
    stories.trash_take(one.id)
    other = offered(store, stories, first, "Nothing.", ["Nothing."])
    stories.trash_scene(other.id)
    out = tmp_path / "mine.jsonl"
    made = take_out(store, store.local_owner(), out)
    head, *rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert (head["file"], head["format"], head["choices"]) == ("what-happens-next choices", 1, 4)
    chose, words, threw, scene = rows
    assert [row["kind"] for row in rows] == ["chose", "kept", "threw_away", "threw_away"]
    assert (chose["about"], chose["words"], chose["context"]) == ("take", first.words, [])
    assert chose["better"]["clip"] != chose["worse"][0]["clip"] and len(chose["worse"]) == 1
    assert (threw["better"]["clip"], threw["worse"][0]["clip"]) == (chose["better"]["clip"], chose["worse"][0]["clip"])
    assert (words["about"], words["better"], words["worse"]) == ("words", "It rains.", ["Snow falls."])
    assert words["context"][0]["words"] == first.words and words["story"] == kept.story_id
    assert (scene["about"], scene["better"], scene["worse"]) == ("words", None, ["Nothing."])
    for name in words["context"][0]["first"], words["context"][0]["last"], chose["worse"][0]["clip"]:
        assert (out.parent / name).is_file() and name.startswith("mine.files/")
    assert made.files == len(list((tmp_path / "mine.files").iterdir())) and made.missing == 0
    with pytest.raises(UserError, match="already something called"):
        take_out(store, store.local_owner(), out)
    with pytest.raises(UserError, match="No choices were noted"):
        take_out(store, store.owner("guest", "nobody"), tmp_path / "other.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    zip_out(store, store.local_owner(), tmp_path / "mine.zip")
    assert len(zipfile.ZipFile(tmp_path / "mine.zip").namelist()) == made.files + 1


def test_the_command_takes_them_out(
    store: Store, stories: Stories, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = grow(stories, 1)
    offered(store, stories, first, "It rains.", ["It rains.", "Snow falls."])
    data = ["--data-dir", str(store.settings.data_dir), "--json"]
    assert export.main(["--choices", str(tmp_path / "c.jsonl"), *data]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["choices"], said["kinds"], said["missing"]) == (1, {"kept": 1}, 0)
    assert export.main([first.story_id, "--choices", str(tmp_path / "d.jsonl"), *data]) == 0
    assert export.main(["--choices", str(tmp_path / "c.jsonl"), *data]) == 2
    assert "already something called" in capsys.readouterr().err
