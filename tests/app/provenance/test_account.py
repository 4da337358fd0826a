"""What a file tells of its scenes, from a real store: models, seeds, who follows whom; prompts only if allowed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import export, verify
from app.provenance.account import Provenance, Signing, account_of, provenance_of
from app.provenance.reading import look
from app.store import Store
from app.store.stories import Stories
from app.store.takes import NewTake
from app.story import Scene
from tests.app.reel.conftest import make_clip

WORDS, STEER = "zweiundvierzigrot", "siebenblau"
RECIPE = {
    "model": "/home/somebody/models/mine",
    "fingerprint": "f" * 64,
    "adapter": None,
    "adapter_strength": None,
    "seed": 7,
    "settings_json": '{"steps": 4, "seed": 7}',
    "mode": "cut",
    "words": WORDS,
    "steer": STEER,
    "bible": "",
    "device": "cpu",
    "threads": 1,
    "dtype": "float32",
    "versions_json": '{"system": "Linux somewhere"}',
    "frames_sha256": "a" * 64,
}


@pytest.fixture
def path(store: Store, stories: Stories, tmp_path: Path) -> list[Scene]:
    """Two that were drawn by one model, and one that was brought."""
    made: list[Scene] = []
    for number in range(3):
        made.append(
            stories.add_scene(made[-1].id, f"{WORDS} {number}")
            if made
            else stories.begin_scene(stories.create_story("Bars").id, WORDS)
        )
        clip = store.media.make("mp4", lambda path, n=number: make_clip(path, n, 6, sound=False))
        recipe = {**RECIPE, "seed": number} if number < 2 else None
        take = NewTake("drawn" if recipe else "uploaded", 128, 96, 6, 12, {"clip": clip}, recipe=recipe)
        stories.add_take(made[-1].id, take)
    stories.set_head(made[0].story_id, made[-1].id)
    return list(stories.path_to(made[-1].id))


def test_an_account_names_what_drew_and_nobody(stories: Stories, path: list[Scene]) -> None:
    account = account_of(stories, path[0].story_id, path, prompts=False)
    assert [(one["scene"], one["after"], one["kind"]) for one in account.scenes] == [
        (path[0].id, None, "drawn"), (path[1].id, path[0].id, "drawn"), (path[2].id, path[1].id, "uploaded"),
    ]  # fmt: skip
    assert account.models == ({"model": "mine", "fingerprint": "f" * 64},), "one model, without its folder"
    assert [one.get("seed") for one in account.scenes] == [0, 1, None] and account.scenes[0]["settings"]["steps"] == 4
    assert account.scenes[0]["clip"] == path[0].takes[0].media["clip"].partition(".")[0]
    for secret in (WORDS, STEER, "somebody", "somewhere", "Bars"):
        assert secret not in account.remark
    assert account.source_type == "compositeWithTrainedAlgorithmicMedia"
    told = account_of(stories, path[0].story_id, path, prompts=True)
    assert (told.scenes[0]["words"], told.scenes[0]["steer"]) == (WORDS, STEER) and told.scenes[2]["words"]
    whole = Provenance(told, Signing("somewhere"))
    assert Provenance.from_json(whole.to_json()) == whole, "it goes to the process that makes films"


def test_settings_say_whether_and_how_much_is_told(store: Store, stories: Stories, path: list[Scene]) -> None:
    def told(**changed: Any) -> Provenance | None:
        return provenance_of(replace(store.settings, **changed), stories, path[0].story_id, path)

    plain, open_ = told(), told(provenance_prompts=True)
    assert plain is not None and open_ is not None and not plain.account.prompts and open_.account.prompts
    assert told(provenance=False) is None
    assert plain.signing.folder == str(store.settings.data_dir / "signing")


def test_the_command_tells_as_much_as_was_allowed(
    store: Store, path: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("c2pa")
    data = ["--data-dir", str(store.settings.data_dir)]

    def out(name: str, *options: str) -> tuple[Path, str]:
        file = tmp_path / name
        form = file.suffix[1:]
        assert export.main(["Bars", "--to", form, "--out", str(file), "--captions", "off", *options, *data]) == 0
        return file, capsys.readouterr().out

    silent, said = out("a.webp")
    recipe = look(silent).recipe
    assert recipe is not None and len(recipe["scenes"]) == 3 and "Signed, by “self-made" in said
    assert WORDS.encode() not in silent.read_bytes(), "neither in the plain metadata nor in the credentials"
    open_, _ = out("b.webp", "--with-prompts")
    assert open_.read_bytes().count(WORDS.encode()) >= 2
    bare, said = out("c.webp", "--without-recipe")
    assert look(bare).state == "unsigned" and look(bare).recipe is None and "igned" not in said
    _, said = out("d.webm")
    assert "Not signed: this kind of file" in said
    page, _ = out("e.html")
    assert look(page).recipe is not None and look(page).recipe["scenes"] == json.loads(json.dumps(recipe["scenes"]))
    assert export.main(["Bars", "--to", "pack", "--out", str(tmp_path / "f.zip"), "--with-prompts", *data]) == 2


def test_a_pack_is_looked_through(
    store: Store, path: list[Scene], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, data = tmp_path / "a.zip", ["--data-dir", str(store.settings.data_dir)]
    assert export.main([path[0].story_id, "--to", "pack", "--out", str(out), *data]) == 0
    found = look(out)
    assert (found.kind, found.state, found.title) == ("pack", "unsigned", "Bars")
    assert found.recipe is not None and [one.get("seed") for one in found.recipe["scenes"]] == [0, 1, None]
    assert verify.main([str(out), *data]) == 1 and "as its own list says" in capsys.readouterr().out
    whole = out.read_bytes()
    place = whole.find(b"mdat") + 40  # inside of a clip, which is stored as it is
    out.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert look(out).state == "damaged"
