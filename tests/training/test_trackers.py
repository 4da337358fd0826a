"""Figures that go elsewhere besides metrics.jsonl: all of them arrive, and a service that fails costs no training."""

from __future__ import annotations

import json

import pytest
from accelerate import tracking

from nsp_core.errors import ConfigError
from tests.training.tiny_parts import flow_objective, loop_config
from training import trackers
from training.loop import train
from training.trackers import Trackers

ROWS = ({"step": 20, "seconds": 1.5, "loss": 0.5, "note": "no number"}, {"step": 20, "held_out": {"psnr": 21.0}})


class Stand(tracking.GeneralTracker):
    """A service: `failing` says at which of its calls it fails."""

    name = "wandb"
    requires_logging_directory = False
    failing = ""

    def __init__(self, run_name, **kwargs):
        super().__init__()
        self.told = []
        self.about = {"project": run_name, **kwargs}
        type(self).last = self

    def call(self, name, *values):
        if self.failing == name:
            raise ConnectionError("the network is down")
        self.told.append((name, *values))

    tracker = property(lambda self: self)

    def start(self):
        self.call("start")

    def store_init_configuration(self, values):
        self.call("configuration", values)

    def log(self, values, step, **_):
        self.call("log", values, step)

    def finish(self):
        self.call("finish")


@pytest.fixture
def stand(monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "wandb", Stand)
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: name != "trackio" or None)
    monkeypatch.setattr(Stand, "failing", "")
    return Stand


def test_every_number_arrives_with_its_step(stand, tmp_path):
    run = Trackers(("wandb",), tmp_path / "sft", 0, {"steps": 9})
    for row in ROWS:
        run.tell(row)
    run.close()
    about, told = stand.last.about, stand.last.told
    assert about["name"] == about["id"] and "-sft-" in about["id"]
    Trackers(("wandb",), tmp_path / "other" / "sft", 0, {})
    assert stand.last.about["id"] != about["id"]
    Trackers(("wandb",), tmp_path / "sft", 20, {})
    assert stand.last.about["id"] == about["id"], "a run that goes on"
    assert told == [
        ("start",),
        ("configuration", {"steps": 9}),
        ("log", {"seconds": 1.5, "loss": 0.5}, 20),
        ("log", {"held_out/psnr": 21.0}, 20),
        ("finish",),
    ]


@pytest.mark.parametrize("at", ["start", "log", "finish"])
def test_a_service_that_fails_is_left_out(stand, tmp_path, monkeypatch, at):
    said = []
    monkeypatch.setattr(trackers.log, "warning", lambda text, *values: said.append(text % values))
    monkeypatch.setattr(Stand, "failing", at)
    run = Trackers(("wandb",), tmp_path, 0, {})
    for row in ROWS:
        run.tell(row)
    run.close()
    assert len(said) == 1 and "the network is down" in said[0]


def test_what_is_not_installed_is_said_before_the_first_step(stand, tmp_path):
    with pytest.raises(ConfigError, match="pip install trackio"):
        Trackers(("trackio",), tmp_path, 0, {})


def test_tensorboard_reads_what_was_told(tmp_path):
    """The real one, where it is installed; steps that were taken again count once."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for begin, losses in ((0, {20: 0.5, 40: 0.4}), (20, {40: 0.3, 60: 0.2})):
        run = Trackers(("tensorboard",), tmp_path, begin, {})
        for step, loss in losses.items():
            run.tell({"step": step, "loss": loss})
        run.close()
    found = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, round(e.value, 2)) for e in found.Scalars("loss")] == [(20, 0.5), (40, 0.3), (60, 0.2)]


def test_the_loop_tells_its_trackers_what_it_writes(stand, tmp_path):
    objective = flow_objective()
    config = loop_config(3, log_every=1, eval_every=3, trackers=("wandb",))
    assert train(objective, config, tmp_path) == 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    told = [call for call in stand.last.told if call[0] == "log"]
    assert len(told) == len(rows) == 4 and stand.last.told[-1] == ("finish",)
    assert [call[2] for call in told] == [row["step"] for row in rows]
    assert told[0][1]["loss"] == rows[0]["loss"]
    assert told[-1][1] == {f"held_out/{name}": value for name, value in rows[-1]["held_out"].items()}
