"""Stories of a Space outlive its disk: kept in a folder or a dataset, brought back at a start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import HfApi, constants

from app.accounts import Accounts
from app.rounds import Rounds, rounds_for
from app.settings import Settings
from app.space.snapshots import NEWEST, Dataset, Folder, Snapshots, place_called
from app.store import Store, open_store
from nsp_core.errors import ConfigError
from tests.hub_upload import taking


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket"


@pytest.fixture
def opened(tmp_path: Path) -> Callable[[str], Store]:
    return lambda name: open_store(Settings(tmp_path / name))


def tell(store: Store, subject: str, kind: str = "account") -> str:
    stories = store.stories(store.owner(kind, subject, subject))
    scene = stories.begin_scene(stories.create_story(f"Of {subject}").id, "It rains.")
    file = store.media.put_bytes(b"\x89PNG " + subject.encode(), "png")
    with store.database.transaction() as session:
        store.media.link(session, file, "source", owner_id=stories.owner_id, scene_id=scene.id)
    return file.name


def titles(store: Store, subject: str) -> list[str]:
    return [story.title for story in store.stories(store.owner("account", subject)).list_stories()]


def test_everybodys_stories_come_back(bucket: Path, opened: Callable[[str], Store]) -> None:
    first = opened("first")
    file = tell(first, "ada")
    tell(first, "bob")
    assert Snapshots(first, Folder(bucket)).keep()
    first.close()
    second = opened("second")
    assert Snapshots(second, Folder(bucket)).bring()
    assert titles(second, "ada") == ["Of ada"] and titles(second, "bob") == ["Of bob"]
    assert second.media.path(file).is_file()
    assert list(second.settings.backups_dir.glob("*.zip")) == []
    assert not Snapshots(second, Folder(bucket)).bring()  # never over stories that are there


def test_only_what_changed_is_kept_and_the_newest_stay(bucket: Path, opened: Callable[[str], Store]) -> None:
    store = opened("one")
    snapshots = Snapshots(store, Folder(bucket))
    assert not snapshots.keep()  # nothing to lose yet
    for number in range(NEWEST + 2):
        tell(store, f"p{number}")
        assert snapshots.keep() and not snapshots.keep()
    assert len(list(bucket.iterdir())) == NEWEST
    assert list(store.settings.run_dir.glob("*.zip*")) == []


def test_a_damaged_snapshot_is_passed_over(bucket: Path, opened: Callable[[str], Store]) -> None:
    store = opened("one")
    tell(store, "ada")
    Snapshots(store, Folder(bucket)).keep()
    (bucket / "what-happens-next-space-99991231-000000.zip").write_bytes(b"PK half of it")
    fresh = opened("two")
    assert Snapshots(fresh, Folder(bucket)).bring() and titles(fresh, "ada") == ["Of ada"]


def test_in_a_private_dataset(opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda _s: None))
    with taking() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        place = Dataset("me/room-stories", HfApi(endpoint=hub.url, token="good"))
        store = opened("one")
        snapshots = Snapshots(store, place)
        assert not snapshots.bring()
        for number in range(NEWEST + 1):
            tell(store, f"p{number}")
            assert snapshots.keep()
        repo = hub.of("dataset", "me/room-stories")
        assert repo.private and sum(name.endswith(".zip") for name in repo.files) == NEWEST
        fresh = opened("two")
        assert Snapshots(fresh, place).bring() and titles(fresh, "p0") == ["Of p0"]


def test_places_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        place_called(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="OWNER/NAME"):
        place_called("room")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="HF_TOKEN"):
        place_called("me/room")


def test_guests_are_nobody_after_a_restart(bucket: Path, tmp_path: Path) -> None:
    """What was kept while a guest was there comes back without them."""
    store = open_store(Settings(tmp_path / "one", keep=str(bucket)))
    tell(store, "ada")
    tell(store, "someone", "guest")
    Snapshots(store).keep()
    fresh = open_store(Settings(tmp_path / "two", keep=str(bucket)))
    rounds = rounds_for(fresh, Accounts(None))
    rounds.begin()
    assert [story.title for story in fresh.stories(None).list_stories()] == ["Of ada"]
    tell(fresh, "bob")
    rounds.close()
    assert len(list(bucket.glob("*.zip"))) == 2


def test_a_round_that_stumbles_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def stumble() -> None:
        done.append("stumbled")
        raise OSError("the bucket is away")

    Rounds(first=(stumble, lambda: done.append("went on"))).begin()
    assert done == ["stumbled", "went on"] and "a round stumbled" in caplog.text
    alone = rounds_for(SimpleNamespace(settings=Settings(Path("/nowhere"))), None)  # type: ignore[arg-type]
    assert alone.first == alone.each == alone.last == ()
