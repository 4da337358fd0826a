"""Configs of training runs: strict names and types, overrides, and every file that ships."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from nsp_core.errors import ConfigError
from training import config
from training.main import CONFIGS, main
from training.table import STAGES


@dataclass(frozen=True)
class Inner:
    rate: float
    mode: Literal["continue", "cut"] = "continue"


@dataclass(frozen=True)
class Outer:
    inner: Inner
    out: Path
    steps: int = 3
    names: tuple[str, ...] = ("a",)
    minutes: float = math.inf
    init: Path | None = None
    extra: dict[str, int] = field(default_factory=dict)


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_values_overrides_and_defaults_meet_in_typed_dataclasses(tmp_path):
    path = write(tmp_path, "inner: {rate: 1e-3}\nout: ~/run\nnames: [b, c]\n")
    made = config.load(Outer, path, ["steps=7", "inner.mode=cut", "minutes=2", "init=/tmp/x"])
    assert made.inner == Inner(0.001, "cut")
    assert made.out == Path("~/run").expanduser()
    assert (made.steps, made.names, made.minutes, made.init) == (7, ("b", "c"), 2.0, Path("/tmp/x"))


def test_a_config_comes_back_from_what_is_kept_beside_a_run(tmp_path):
    made = config.load(Outer, write(tmp_path, "inner: {rate: 0.5}\nout: /tmp/run\n"), ["init=null"])
    assert config.build(Outer, config.to_dict(made)) == made


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("inner: {rate: 1}\nout: x\nstep: 4\n", [], "Did you mean 'steps'"),
        ("inner: {rate: 1, mod: cut}\nout: x\n", [], "Did you mean 'inner.mode'"),
        ("out: x\n", [], "lacks 'inner'"),
        ("inner: {}\nout: x\n", [], "lacks 'inner.rate'"),
        ("inner: {rate: fast}\nout: x\n", [], "'inner.rate' must be float"),
        ("inner: {rate: 1, mode: jump}\nout: x\n", [], "continue | cut"),
        ("inner: {rate: 1}\nout: x\nsteps: 2.5\n", [], "'steps' must be int"),
        ("inner: {rate: 1}\nout: x\nsteps: true\n", [], "'steps' must be int"),
        ("inner: 3\nout: x\n", [], "section of keys"),
        ("inner: {rate: 1}\nout: x\n", ["steps"], "key=value"),
        ("inner: {rate: 1}\nout: x\n", ["out.deep=1"], "not a section"),
        ("- a\n- b\n", [], "key: value"),
        ("a: [\n", [], "can't be read"),
    ],
)
def test_a_wrong_config_is_one_sentence_with_the_key_and_what_is_allowed(tmp_path, text, overrides, said):
    with pytest.raises(ConfigError) as error:
        config.load(Outer, write(tmp_path, text), overrides)
    assert said in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="absent.yaml"):
        config.load(Outer, tmp_path / "absent.yaml")


def test_every_shipped_config_is_one_of_its_stage_and_keeps_data_outside_the_checkout(root):
    shipped = sorted(CONFIGS.glob("*/*.yaml"))
    assert {p.stem for p in shipped} >= set(STAGES)
    for path in shipped:
        stage = next(s for s in STAGES if path.stem.startswith(s))
        made = config.load(STAGES[stage][0], path)
        for value in vars(made).values():
            assert not isinstance(value, Path) or not value.is_relative_to(root), f"{path}: {value}"


def test_the_command_line_takes_overrides_before_and_behind_options(capsys, tmp_path):
    config_file = str(CONFIGS / "starter" / "vae.yaml")
    for line in (
        ["vae", "--config", config_file, "--dry-run", "loop.steps=3", f"out={tmp_path}"],
        ["vae", "loop.steps=3", f"out={tmp_path}", "--dry-run"],
    ):
        assert main(line) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["loop"]["steps"] == 3 and shown["out"] == str(tmp_path)
    assert main(["vae", "--dry-run", "loop.stepz=3"]) == 2
    assert "Did you mean 'loop.steps'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
