"""`launch.py share`: a story to a hub of our own over HTTP, through the real huggingface_hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import constants
from huggingface_hub.utils import logging

from app.director import Director
from app.pack.archive import opened
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import Settings
from app.share import hub as there_is
from app.share import main as share
from app.share.card import space_card, story_of
from app.share.parcel import File, Parcel, slug
from app.share.words import lines_of, strings_of
from app.store import open_store
from nsp_core.errors import UserError
from tests.hub_upload import Fault, Hub, taking

SECRET = "The seed sprouts."


@pytest.fixture(scope="module")
def data(furnished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A story of two drawn scenes."""
    folder = tmp_path_factory.mktemp("share") / "data"
    shutil.copytree(furnished, folder)
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    waits: list[float] = []
    loud = logging.get_verbosity()
    logging.set_verbosity_error()  # what it says while it waits goes to a terminal of an earlier test
    with taking() as made:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", made.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", made.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "good")
        # the library waits a second and more before it asks again
        monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=waits.append))
        yield made
    logging.set_verbosity(loud)


@pytest.fixture
def ask(data: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str, code: int = 0) -> tuple[dict[str, Any], str]:
        """The JSON answer (or nothing) and all that was said."""
        assert share.main([*arguments, "--data-dir", str(data), "--json"]) == code
        said = capsys.readouterr()
        last = said.out.splitlines()[-1] if said.out else ""
        return (json.loads(last) if code == 0 else {}), said.out + said.err

    return run


def test_a_page_becomes_a_private_static_space(ask: Any, hub: Hub) -> None:
    told, said = ask("Rain", "--to", "space", "--yes")
    repo = hub.of("space", "me/rain")
    assert repo.private and repo.sdk == "static" and told["sent"] and told["commit"] == repo.commits[-1][1]
    assert told["url"] == f"{hub.url}/spaces/me/rain" and told["url"] in said
    page, card = repo.files["index.html"].decode(), repo.files["README.md"].decode()
    assert page.startswith("<!doctype html>") and SECRET in page
    assert "sdk: static" in card and "app_file: index.html" in card and story_of(card) == told["story"]
    assert {one["name"]: one["bytes"] for one in told["files"]} == {
        name: len(data) for name, data in repo.files.items() if name != ".gitattributes"
    }
    assert {one["text"] for one in told["words"]} >= {"Rain", "A seed lies in the rain.", SECRET}
    assert "Go on" not in [one["text"] for one in told["words"]]  # the player's own buttons are no secret
    assert f"words: {SECRET}" in said


def test_once_more_sends_nothing(ask: Any, hub: Hub) -> None:
    first, _ = ask("Rain", "--to", "dataset", "--yes")
    assert first["fresh"] and len(hub.uploads) == 1
    again, said = ask("Rain", "--to", "dataset", "--yes")
    assert not again["fresh"] and again["commit"] == first["commit"] and "there already" in said
    assert len(hub.uploads) == 1 and len(hub.of("dataset", "me/rain").commits) == 2


def test_a_pack_becomes_a_dataset_that_can_be_brought_in(ask: Any, hub: Hub, tmp_path: Path) -> None:
    _, said = ask("Rain", "--to", "dataset", "--repo", "crew/wet.stories", "--yes")
    repo = hub.of("dataset", "crew/wet.stories")
    (tmp_path / "rain.zip").write_bytes(repo.files["rain.zip"])
    with opened(tmp_path / "rain.zip") as pack:
        assert json.loads(pack.story())["title"] == "Rain"
    assert "viewer: false" in repo.files["README.md"].decode() and "every branch" in said


def test_a_film_becomes_a_dataset_with_its_words(ask: Any, hub: Hub) -> None:
    told, said = ask("Rain", "--to", "dataset", "--as", "mp4", "--title-card", "Wet days", "--yes")
    repo = hub.of("dataset", "me/rain")
    row = json.loads(repo.files["metadata.jsonl"])
    assert row["file_name"] == "rain.mp4" and SECRET in row["words"] and row["cards"] == ["Wet days"]
    assert repo.files["rain.mp4"][4:8] == b"ftyp"
    texts = {(one["what"], one["text"]) for one in told["words"]}
    assert ("cards", "Wet days") in texts and ("caption", SECRET) in texts  # read out of the film itself
    assert "caption: The seed sprouts." in said


def test_public_is_asked_for_and_comes_last(ask: Any, hub: Hub) -> None:
    _, said = ask("Rain", "--to", "space", "--public", "--yes")
    assert "EVERYBODY" in said and not hub.of("space", "me/rain").private
    assert hub.seen_public == [3]  # nothing half done was ever public
    _, said = ask("Rain", "--to", "space", "--yes", code=2)
    assert "is public" in said and "--public" in said


def test_a_dry_run_asks_the_network_nothing(ask: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_TOKEN")
    told, said = ask("Rain", "--to", "space", "--dry-run")
    assert not hub.asked and not told["sent"] and told["url"] is None and "Nothing was sent" in said
    assert [one["name"] for one in told["files"]] == ["README.md", "index.html"] and SECRET in said


def test_nobody_is_asked_where_nobody_is(ask: Any, hub: Hub) -> None:
    _, said = ask("Rain", "--to", "space", code=2)
    assert "add --yes" in said and not hub.repos


@pytest.mark.parametrize(("typed", "sent"), [("y\n", True), ("yes\n", True), ("\n", False), ("n\n", False)])
def test_a_person_says_yes(typed: str, sent: bool, ask: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True, readline=lambda: typed))
    ask("Rain", "--to", "space", code=0 if sent else 1)
    assert bool(hub.repos) is sent


def test_it_goes_on_after_a_cut(ask: Any, hub: Hub) -> None:
    """The repository was made and the large file came, then the line was gone for good."""
    hub.faults = [Fault("POST /api/datasets/me/rain/commit", 0)]
    _, said = ask("Rain", "--to", "dataset", "--yes", code=1)
    assert "cannot be reached" in said and "same command goes on" in said
    assert len(hub.of("dataset", "me/rain").commits) == 1 and len(hub.uploads) == 1
    ask("Rain", "--to", "dataset", "--yes")
    assert len(hub.uploads) == 1 and "rain.zip" in hub.of("dataset", "me/rain").files


def test_a_commit_whose_answer_was_lost_is_not_made_twice(ask: Any, hub: Hub) -> None:
    hub.faults = [Fault("/commit/main", 0, after=True)]
    ask("Rain", "--to", "space", "--yes", code=1)
    told, _ = ask("Rain", "--to", "space", "--yes")
    assert len(hub.of("space", "me/rain").commits) == 2 and not told["fresh"]


def test_short_troubles_are_sat_out(ask: Any, hub: Hub) -> None:
    hub.faults = [Fault("PUT /store/", 503, 2), Fault("/preupload/", 429, 1, headers={"Retry-After": "3"})]
    ask("Rain", "--to", "dataset", "--yes")
    assert len(hub.uploads) == 1


@pytest.mark.parametrize(
    ("fault", "code", "why"),
    [
        (Fault("whoami", 401), 2, "does not accept the Hugging Face token"),
        (Fault("whoami", 503, 9), 1, "cannot take it just now (503)"),
        (Fault("whoami", 0, 9), 1, "cannot be reached"),
        (Fault("repos/create", 403, message="no right to create"), 1, "may not write to me/rain (no right to create)"),
        (Fault("repos/create", 409), 2, "The name me/rain is taken"),
        (Fault("repos/create", 402, message="quota"), 1, "no room for me/rain (quota)"),
        (Fault("/preupload/", 429, 9, headers={"Retry-After": "90"}), 1, "too many requests of yours"),
        (Fault("/preupload/", 500, 9), 1, "cannot take it just now (500)"),
        (Fault("objects/batch", 413, message="over 1 TB"), 1, "larger than the Hub takes (over 1 TB)"),
        (Fault("PUT /store/", 403, 9), 1, "may not write to me/rain"),
        (Fault("PUT /store/", 0, 9), 1, "cannot be reached"),
        (Fault("/commit/main", 412), 1, "was changed meanwhile"),
        (Fault("/commit/main", 418, message="teapot"), 1, "refuses me/rain (418: teapot)"),
    ],
)
def test_what_stands_in_the_way_is_one_sentence(fault: Fault, code: int, why: str, hub: Hub, tmp_path: Path) -> None:
    hub.faults = [fault]
    (tmp_path / "rain.zip").write_bytes(bytes(20_000))
    parcel = Parcel("dataset", "0" * 36, "Rain", tmp_path, (File("rain.zip", 20_000, ""),), ())
    there = there_is.Hub.here(hub.url)
    with pytest.raises(UserError if code == 2 else there_is.NotSent) as refused:
        there.send(parcel, there.target("dataset", "", "Rain", parcel.story), public=True)
    assert why in str(refused.value) and "\n" not in str(refused.value)
    assert not hub.seen_public


def test_without_a_token_or_with_one_that_may_only_read(
    ask: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "reader")
    assert "may only read" in ask("Rain", "--to", "space", "--yes", code=2)[1]
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "hf auth login" in ask("Rain", "--to", "space", "--yes", code=2)[1]
    assert not hub.repos


def test_offline_says_so(ask: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE forbids" in ask("Rain", "--to", "space", "--yes", code=2)[1]


def test_a_name_that_holds_something_else_is_left_alone(ask: Any, hub: Hub, data: Path) -> None:
    ask("Rain", "--to", "space", "--yes")
    store = open_store(Settings(data_dir=data))
    stories = store.stories(store.local_owner())
    stories.begin_scene(stories.create_story("Snow").id, "It snows.")
    store.close()
    before = dict(hub.of("space", "me/rain").files)
    _, said = ask("Snow", "--to", "space", "--repo", "rain", "--yes", code=2)
    assert "does not hold this story" in said and hub.of("space", "me/rain").files == before


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["Rain", "--to", "space", "--repo", "stranger/rain"], "may not write for stranger"),
        (["Rain", "--to", "space", "--repo", "me/two/three"], "cannot be the name"),
        (["Rain", "--to", "space", "--as", "mp4"], "always the page"),
        (["Rain", "--to", "space", "--with-taste"], "are for packs"),
        (["Rain"], "--to is missing"),
        (["--to", "space"], "STORY is missing"),
        (["Fog", "--to", "space"], "no story 'Fog'"),
    ],
)
def test_what_cannot_be_used(arguments: list[str], why: str, ask: Any, hub: Hub) -> None:
    assert why in ask(*arguments, "--yes", code=2)[1]
    assert not hub.repos


def test_too_large_is_said_before_the_first_byte(ask: Any, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.share.hub.LARGEST_SPACE", 1000)
    monkeypatch.setattr("app.share.hub.LARGEST_FILE", 1000)
    assert "a Space may have" in ask("Rain", "--to", "space", "--yes", code=2)[1]
    assert "a file on the Hub may have" in ask("Rain", "--to", "dataset", "--yes", code=2)[1]
    assert not hub.repos


def test_a_new_field_is_shown_until_somebody_looks_at_it() -> None:
    value = {"scenes": [{"words": "a", "diary": "b", "created_at": "c"}], "plan": '{"title": {"text": "d"}}'}
    assert list(strings_of(value)) == [("words", "a"), ("diary", "b"), ("text", "d")]
    assert (
        list(strings_of({"take": "0" * 64, "story": "01a201e4-8449-7000-94f8-32a6b1c91b13", "texts": {"end": "e"}}))
        == []
    )


def test_words_are_counted_over_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(json.dumps({"words": ["x", "y"]}) + "\n")
    found = lines_of(sorted(tmp_path.iterdir()))
    assert [(line.text, line.times) for line in found] == [("x", 2), ("y", 2)]


def test_a_title_says_nothing_to_the_hub_but_a_title() -> None:
    card = space_card("x\nsdk: docker\n---\n# [a](javascript:b) <b>", "0" * 36, 3, "cc-by-4.0")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["sdk"] == "static" and front["title"].startswith("x sdk: docker") and front["license"] == "cc-by-4.0"
    assert "<b>" not in card.split("---\n")[-1] and "](javascript" not in card.split("---\n")[-1]


@pytest.mark.parametrize(("title", "name"), [("Der Fuchs — im Schnee!", "der-fuchs-im-schnee"), ("雨", "story")])
def test_names_are_plain(title: str, name: str) -> None:
    assert slug(title) == name


# on the page ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(data: Path, hub: Hub) -> Iterator[Desk]:
    store = open_store(Settings(data_dir=data))
    made = Desk(Director(store), store.local_owner(), Examples(data), uploads=data, at_home=True)
    yield made
    made.sending.close()
    store.close()


def where_rain_is(desk: Desk) -> dict[str, str]:
    return {"story": next(one.id for one in desk.stories.list_stories() if one.title == "Rain")}


def test_the_page_shows_all_of_it_and_sends_what_it_showed(desk: Desk, hub: Hub) -> None:
    at = where_rain_is(desk)
    assert desk.ask({**at, "ask": "share"})["state"] is None
    assert desk.act({**at, "do": "share_look", "form": "page"})["notice"] is None
    desk.sending.wait()
    state = desk.ask({**at, "ask": "share"})["state"]
    assert state["what"] == "ready" and {one["name"] for one in state["files"]} == {"README.md", "index.html"}
    assert SECRET in [one["text"] for one in state["words"]] and not hub.asked  # nothing was asked so far
    sizes = {one["name"]: one["bytes"] for one in state["files"]}
    desk.act({**at, "do": "share_send", "repo": "wet"})
    desk.sending.wait()
    state = desk.ask({**at, "ask": "share"})["state"]
    assert (state["what"], state["url"]) == ("sent", f"{hub.url}/spaces/me/wet"), state["why"]
    repo = hub.of("space", "me/wet")
    assert repo.private and {name: len(repo.files[name]) for name in sizes} == sizes
    desk.act({**at, "do": "share_forget"})
    assert list(desk.settings.run_dir.glob("share-*")) == [] and desk.ask({**at, "ask": "share"})["state"] is None


def test_what_fails_on_the_page_is_said_there_and_can_be_tried_again(desk: Desk, hub: Hub) -> None:
    at = where_rain_is(desk)
    assert desk.act({**at, "do": "share_send", "repo": "x"})["notice"]["kind"] == "error"  # nothing was looked at
    desk.act({**at, "do": "share_look", "form": "pack"})
    desk.sending.wait()
    hub.faults = [Fault("repos/create", 409)]
    desk.act({**at, "do": "share_send", "repo": "rain"})
    desk.sending.wait()
    state = desk.ask({**at, "ask": "share"})["state"]
    assert state["what"] == "failed" and "is taken" in state["why"]
    desk.act({**at, "do": "share_send", "repo": "other", "public": True})
    desk.sending.wait()
    assert not hub.of("dataset", "me/other").private


def test_a_visitor_cannot_share_in_the_owners_name(desk: Desk, hub: Hub) -> None:
    visitor = Desk(desk.director, desk.owner_id, desk.examples, uploads=Path("."), at_home=False, beside=desk)
    at = where_rain_is(desk)
    assert "at this computer" in visitor.ask({**at, "ask": "share"})["error"]
    for wish in ("share_look", "share_send", "share_forget"):
        assert visitor.act({**at, "do": wish, "form": "page"})["notice"]["kind"] == "error"
    assert desk.sending.state is None and not hub.asked
