"""Loading that fails: counted across processes, three times, then the starter stands in, or nothing is tried any more.
And a device that is lent to somebody else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.director import Director
from app.loads import MOST, Loads
from app.locks import borrow_device, device_lock, holder_of, is_held
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import ROOT, Settings
from app.store.jobs import Job
from app.tier_choice import of_tier
from nsp_core.errors import ModelUnavailable
from nsp_core.tiers import tier_called
from nsp_core.weights.cache import Cache, HubFile, Record

OpenRoom = Callable[..., Director]
Eventually = Callable[..., Any]
STARTER = json.dumps({"fingerprint": "starter"})


def begin(director: Director) -> tuple[str, str]:
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    return owner, stories.begin_scene(stories.create_story().id, "A seed lies in the rain.").id


def ended(director: Director, job_id: str, eventually: Eventually) -> Job:
    return eventually(lambda: None if (job := director.status(job_id)).is_open else job, within=90, what="its end")


def desk_of(director: Director, folder: Path) -> Desk:
    return Desk(director, director.store.local_owner(), Examples(folder), uploads=folder)


def test_the_count(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    settings = make_settings(model=str(folder))
    settings.make_folders()
    loads = Loads(settings)
    assert loads.record().failed == 0 and loads.record().usual is None
    for failed in range(1, MOST + 1):
        with pytest.raises(ModelUnavailable), loads.attempt():
            raise ModelUnavailable("The folder is empty.")
        assert (loads.record().failed, loads.record().why) == (failed, "The folder is empty.")
    assert loads.record().given_up and Loads(make_settings(model=str(folder))).record().given_up, "in the data folder"
    assert not Loads(make_settings(model="another")).record().given_up
    (folder / "weights").write_text("mended")
    assert not loads.record().given_up, "a folder that was changed may be tried again"
    with loads.attempt():
        assert loads.record().failed == 1 and loads.record().since is not None, "counted before anything can kill it"
        loads.forgive()
        assert loads.record().failed == 0
    assert loads.record().failed == 0 and loads.record().usual is not None
    loads.path.write_text("{ half a fi")
    assert loads.record().failed == 0


def failed(settings: Settings) -> Loads:
    settings.make_folders()
    with pytest.raises(ModelUnavailable), Loads(settings).attempt():
        raise ModelUnavailable("It is damaged.")
    assert Loads(settings).record().failed == 1
    return Loads(settings)


def test_a_big_model_that_was_mended_may_be_tried_again(tmp_path: Path) -> None:
    """What counts is the weights that a bank file names, not the file alone."""
    for name in ("reader", "drawer"):
        (tmp_path / name).mkdir()
    bank = tmp_path / "bank.json"
    bank.write_text('{"reader": "reader", "drawer": "drawer", "single_file": "drawer.safetensors"}')
    (tmp_path / "drawer.safetensors").write_text("damaged")
    settings = Settings(data_dir=tmp_path / "data", model=str(bank))
    for mended in ("reader/model.safetensors", "drawer/model_index.json", "drawer.safetensors", "bank.json"):
        loads = failed(settings)
        (tmp_path / mended).write_text("mended " * 3)
        assert loads.record().failed == 0, mended


def test_a_tier_that_was_mended_may_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "hub")
    monkeypatch.setattr(Cache, "here", classmethod(lambda _cls: cache))
    settings = of_tier(Settings(data_dir=tmp_path / "data"), tier_called("gpu-8"))
    model = tier_called("gpu-8").models[0]
    files = tuple(HubFile(pattern.replace("*", "a"), 1, "0" * 40) for pattern in model.files)
    record = Record(model.repo, model.revision, model.revision, files)
    cache.write(record)
    cache.snapshot(record).mkdir(parents=True)
    loads = failed(settings)
    (cache.snapshot(record) / files[0].name).write_text("fetched anew")
    assert loads.record().failed == 0


@pytest.mark.parametrize(
    "how", [{"fail_load": "The folder is empty."}, pytest.param({"die_on_load": True}, marks=pytest.mark.full)]
)
def test_the_starter_stands_in(
    open_room: OpenRoom, eventually: Eventually, tmp_path: Path, how: dict[str, Any]
) -> None:
    director = open_room(how, safe_model=STARTER)
    owner, scene = begin(director)
    job = ended(director, director.submit_think(owner, scene), eventually)
    assert job.status == "done" and job.result["fingerprint"] == "starter", "the first thing asked for is done"
    engine = desk_of(director, tmp_path).look({})["engine"]
    assert engine["state"] == "safe" and engine["again"]
    assert ("The folder is empty." if "fail_load" in how else "memory") in engine["note"]
    director.shutdown()

    again = open_room(how, safe_model=STARTER)
    assert desk_of(again, tmp_path).look({})["engine"]["state"] == "safe", "seen after a new start, too"
    assert ended(again, again.submit_think(owner, scene), eventually).result["fingerprint"] == "starter"


def test_the_way_back(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    director = open_room({"fingerprint": "other", "fail_load_while": str(blocked)}, safe_model=STARTER)
    owner, scene = begin(director)
    assert ended(director, director.submit_think(owner, scene), eventually).result["fingerprint"] == "starter"
    blocked.unlink()
    view = desk_of(director, tmp_path).act({"do": "engine_again"})
    assert view["notice"] is None and view["engine"]["note"] == ""
    assert ended(director, director.submit_think(owner, scene), eventually).result["fingerprint"] == "other"
    assert Loads(director.settings).record().failed == 0


@pytest.mark.full
def test_nothing_stands_in_for_the_starter(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    director = open_room({"die_on_load": True, "trace": str(trace)})
    owner, scene = begin(director)
    job = ended(director, director.submit_think(owner, scene), eventually)
    assert job.status == "failed" and job.error is not None and "get the whole checkout again" in job.error
    assert trace.read_text().splitlines() == ["die"] * MOST, "three times and no more"
    desk = desk_of(director, tmp_path)
    assert ended(director, director.submit_think(owner, scene), eventually).status == "failed"
    view = desk.look({"hello": True})
    assert view["engine"]["state"] == "failed" and "checkout" in view["engine"]["note"]
    assert len(trace.read_text().splitlines()) == MOST, "it stops trying, whoever asks"
    desk.act({"do": "engine_again"})
    eventually(lambda: len(trace.read_text().splitlines()) > MOST, what="a try, because a person said so")


@pytest.mark.full
def test_loading_is_shown_as_it_is(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    director = open_room({"load_seconds": 2.5})
    desk = desk_of(director, tmp_path)
    view = desk.act({"do": "begin_words", "words": "A seed lies in the rain."})
    text = eventually(
        lambda: (text := desk.look(view["here"])["job"]["text"]) and "so far" in text and text, what="the seconds"
    )
    assert "Waking the storyteller" in text and "Usually" not in text
    assert desk.look(view["here"])["engine"]["state"] == "loading"
    eventually(lambda: desk.look(view["here"])["job"] is None)
    usual = Loads(director.settings).record().usual
    assert usual is not None and usual >= 2.5
    director.shutdown()
    again = open_room({"load_seconds": 2.5})
    desk = desk_of(again, tmp_path)
    view = desk.act({"do": "think", **view["here"]})
    assert "Usually it takes about" in desk.look(view["here"])["job"]["text"]


TEACHER = """
import sys, time
from pathlib import Path
from app.locks import borrow_device
with borrow_device(Path(sys.argv[1]), "cpu", "teaching", patience=60):
    print("mine", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.full
def test_teaching_borrows_the_device(open_room: OpenRoom, eventually: Eventually, tmp_path: Path) -> None:
    director = open_room({"step_seconds": 0.1, "steps": 10})
    owner, scene = begin(director)
    (drawing,) = director.submit_draw(owner, scene)
    eventually(lambda: director.status(drawing).step >= 1)
    teacher = subprocess.Popen(
        [sys.executable, "-c", TEACHER, str(director.settings.locks_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert teacher.stdin is not None and teacher.stdout is not None
    try:
        assert teacher.stdout.readline() == "mine\n"
        assert director.status(drawing).status == "done", "what was being drawn is finished first"
        holder = holder_of(device_lock(director.settings.locks_dir, "cpu"))
        assert holder is not None and (holder.who, holder.pid) == ("teaching", teacher.pid)
        desk = desk_of(director, tmp_path)
        view = desk.act({"do": "think", "scene": scene, "story": director.store.stories(owner).scene(scene).story_id})
        assert view["job"]["text"] == "Teaching uses the device; drawing goes on afterwards."
        assert view["engine"]["state"] == "lent"
        assert desk.ask({"ask": "queue"})["held_up"] == view["job"]["text"]
        thinking = view["job"]["id"]
        with pytest.raises(AssertionError):
            eventually(lambda: director.status(thinking).status != "pending", within=1.5)
    finally:
        teacher.stdin.write("\n")
        teacher.stdin.flush()
        teacher.wait(timeout=30)
    assert ended(director, thinking, eventually).status == "done"


def test_a_borrower_that_dies_holds_nothing(tmp_path: Path) -> None:
    with borrow_device(tmp_path, "cpu", "teaching"):
        assert is_held(device_lock(tmp_path, "cpu"))
        with pytest.raises(TimeoutError), borrow_device(tmp_path, "cpu", "teaching", patience=0.05):
            pass
    assert holder_of(device_lock(tmp_path, "cpu")) is None, "the text stays, the holder does not"
