"""The job runner without a second process: how often it writes, and what a death between file and row leaves."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable
from typing import Any

import pytest

from app.director import Director
from app.settings import ROOT
from app.store.jobs import Jobs
from app.store.media import Media
from app.store.stories import Stories

OpenRoom = Callable[..., Director]


class Death(BaseException):
    """Nobody catches it: as good as a power cut."""


def room_with_a_scene(open_room: OpenRoom, fake: dict[str, Any]) -> tuple[Director, Stories, str]:
    director = open_room(fake, in_process=True)
    stories = director.store.stories(director.store.local_owner())
    return director, stories, stories.begin_scene(stories.create_story().id, "A seed lies in the rain.").id


def test_progress_is_written_at_most_five_times_a_second(open_room: OpenRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    director, stories, scene = room_with_a_scene(open_room, {"steps": 100, "step_seconds": 0.01, "word_seconds": 0.005})
    written: list[tuple[float, str]] = []
    update = Jobs.update

    def counted(self: Jobs, job_id: str, worker_id: str, **columns: Any) -> int:
        written.append((time.monotonic(), columns.get("phase", "")))
        return update(self, job_id, worker_id, **columns)

    monkeypatch.setattr(Jobs, "update", counted)
    (job,) = director.submit_draw(stories.owner_id or "", scene)
    started = time.monotonic()
    assert director.run_here(job).status == "done"
    drawing = [at for at, phase in written if phase == "drawing"]
    assert 3 <= len(drawing) <= 5 * (time.monotonic() - started) + 2
    gaps = [after - before for before, after in zip(drawing, drawing[1:-1], strict=False)]
    assert min(gaps) >= 0.19

    written.clear()
    started = time.monotonic()
    think = director.submit_think(stories.owner_id or "", scene, alternatives=3)
    assert director.run_here(think).status == "done"
    assert len(written) <= 9 + 5 * (time.monotonic() - started), "beside the phases, the first word and each end"


@pytest.mark.parametrize("at", ["first file", "before the row", "inside the transaction"])
def test_a_death_between_file_and_row_loses_only_the_take(
    open_room: OpenRoom, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    director, stories, scene = room_with_a_scene(open_room, {})
    store = director.store
    (job,) = director.submit_draw(stories.owner_id or "", scene, seed=5)

    def die(*_args: Any, **_named: Any) -> None:
        raise Death

    with monkeypatch.context() as patched, pytest.raises(Death):
        if at == "first file":
            patched.setattr("os.replace", die)
        elif at == "before the row":
            patched.setattr(Media, "link", die)
        else:
            patched.setattr(Jobs, "finish_in", staticmethod(die))
        director.run_here(job)
    assert store.jobs.status(job).status == "running", "as a dead worker leaves it"
    assert stories.scene(scene).takes == ()
    left = [path for path in store.settings.media_dir.rglob("*") if path.is_file()]
    assert not [path for path in left if "partial" in path.name or path.parent.name == "tmp"]

    store.jobs.take_over([], max_attempts=2)
    assert director.run_here(job).status == "done"
    take = stories.scene(scene).chosen
    assert take is not None and take.seed == 5 and len(stories.scene(scene).takes) == 1
    for name in take.media.values():
        assert store.media.path(name).stat().st_size > 0


def test_an_erased_story_takes_its_job_along(open_room: OpenRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    director, stories, scene = room_with_a_scene(open_room, {"steps": 3})
    story = stories.scene(scene).story_id
    (job,) = director.submit_draw(stories.owner_id or "", scene)
    update = Jobs.update

    def erased(self: Jobs, job_id: str, worker_id: str, **columns: Any) -> int:
        if columns.get("phase") == "saving":
            stories.erase_story(story)
        return update(self, job_id, worker_id, **columns)

    monkeypatch.setattr(Jobs, "update", erased)
    with pytest.raises(Exception, match="no such job"):
        director.run_here(job)
    assert stories.list_stories() == ()


def test_words_that_are_whole_can_be_kept_when_stopping(open_room: OpenRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    director, stories, scene = room_with_a_scene(open_room, {"word_seconds": 0.02})
    owner = stories.owner_id or ""
    think = director.submit_think(owner, scene, alternatives=3)
    update = Jobs.update

    def stop_after_the_first(self: Jobs, job_id: str, worker_id: str, **columns: Any) -> int:
        flag = update(self, job_id, worker_id, **columns)
        if '"done": true' in (columns.get("words_json") or "") and not flag:
            director.cancel(job_id, owner, keep_finished=True)
        return flag

    monkeypatch.setattr(Jobs, "update", stop_after_the_first)
    job = director.run_here(think)
    assert job.status == "done" and len(job.words) == 1 and job.words[0].done


def test_no_pickles_no_forks_and_one_file_of_locks() -> None:
    banned = {"pickle", "multiprocessing", "fcntl", "msvcrt", "shelve", "marshal"}
    wrong = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Attribute) and node.attr in ("fork", "register_at_fork"):
                wrong.append(f"{path}: os.{node.attr}")
            found = banned & {name.split(".")[0] for name in names}
            # ZeroGPU forks for every call, and a flag is shared with the fork
            if found and path not in (ROOT / "app" / "locks.py", ROOT / "app" / "zero.py"):
                wrong.append(f"{path}: {found}")
    assert not wrong
