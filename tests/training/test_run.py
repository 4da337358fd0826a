"""Running stages: one, all of a folder, a few steps of them, and from somebody else's checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
import torch
import yaml

from nsp_core.errors import CheckpointMismatch, ConfigError
from nsp_core.model import build
from training import checkpoint, config, run, table
from training.main import main
from training.picturebook.words import corpus
from training.run import CONFIGS, RECIPE, How, for_stage, placed, run_all


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """A model of random weights, and a folder of configs that begins with it."""
    folder = tmp_path_factory.mktemp("all")
    build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16).save_pretrained(folder / "start")
    common = {
        "init": str(folder / "start"),
        "cache": str(folder / "cache"),
        "flow": {"batch": 2},
        "threads": 1,
        "loop": {"steps": 2, "warmup": 1, "log_every": 1, "eval_every": 2},
    }
    texts = {
        "pt1": {**common, "examples": {"images": 3, "held_out": 2}},
        "sft": {**common, "examples": {"pairs": 3, "held_out": 2, "scenes": 2}},
        "grpo": {
            "init": str(folder / "start"),
            "asks": {"count": 2, "held_out": 1, "scenes": 2},
            "rollout": {"steps": 3},
            "group": {"candidates": 4, "top": 1, "bottom": 1, "least": 2},
            "reward": {"weights": {"adherence": 1.0}, "held_out_candidates": 1},
            "loop": {"steps": 2, "optimiser": "adamw", "warmup": 1, "log_every": 1, "eval_every": 2},
            "threads": 1,
        },
    }
    (folder / "configs").mkdir()
    for name, values in texts.items():
        (folder / "configs" / f"{name}.yaml").write_text(yaml.safe_dump({**values, "out": str(folder / "elsewhere")}))
    return folder


def test_all_stages_of_a_folder_run_each_from_what_the_one_before_has_left(recipe, tmp_path):
    """With the picture book's own judges, from the command line, and again: what is finished is not done anew."""
    line = ["all", "--config", str(recipe / "configs"), "--out", str(tmp_path), "grpo.loop.steps=1"]
    threads = torch.get_num_threads()
    assert main(line) == 0
    before = {s: (tmp_path / s / "metrics.jsonl").read_text() for s in ("pt1", "sft", "grpo")}
    assert main(line) == 0
    torch.set_num_threads(threads)
    assert {s: (tmp_path / s / "metrics.jsonl").read_text() for s in before} == before
    kept = {s: json.loads((tmp_path / s / "run.json").read_text())["config"] for s in before}
    assert kept["pt1"]["init"] == str(recipe / "start")
    assert kept["sft"]["init"] == str(tmp_path / "pt1") and kept["grpo"]["init"] == str(tmp_path / "sft")
    assert [checkpoint.load(tmp_path / s / "checkpoints").step for s in before] == [2, 2, 1]
    row = json.loads(before["grpo"].splitlines()[0])
    assert row["ratio_off"] == 0 and 0 <= row["held_out_pass"] <= 1 and row["missing"] == 0
    assert {"flat", "clipped", "motion", "words", "pass", "reward"} <= row.keys()
    queries = [checkpoint.load(tmp_path / s / "checkpoints").ema.get("connector.queries") for s in ("pt1", "sft")]
    assert queries[0] is not None and queries[1] is None  # learnt in the first, then left alone
    assert (tmp_path / "grpo" / "model" / "model_index.json").is_file()
    assert not (recipe / "elsewhere").exists()


def test_a_few_steps_of_anything(recipe, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setitem(table.STAGES, "sft", (table.STAGES["sft"][0], lambda c, resume: seen.append((c, resume)) or 0))
    path = recipe / "configs" / "sft.yaml"
    assert run.run("sft", path, [f"out={tmp_path}"], How(limit=1)) == 0
    assert run.run("sft", path, [f"out={tmp_path}"], How(limit=50, resume="never")) == 0
    assert [(c.loop.steps, c.loop.eval_every, r) for c, r in seen] == [(1, 1, True), (2, 2, False)]
    assert main(["sft", "--config", str(path), "--limit", "0"]) == 2


def test_overrides_find_their_stage():
    given = ["loop.steps=3", "sft.loop.steps=9", "grpo.init=x"]
    assert for_stage(given, "sft") == ["loop.steps=3", "loop.steps=9"]
    assert for_stage(given, "pt1") == ["loop.steps=3"]
    assert placed(None, ["pt1"], 0) == []
    assert placed(Path("/a b"), ["sft", "grpo"], 1) == ['out="/a b/grpo"', 'init="/a b/sft"']


def test_a_folder_without_stages_is_refused(tmp_path, capsys):
    assert main(["all", "--config", str(tmp_path)]) == 2
    assert "drawer.yaml" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="latest or never"):
        run_all(CONFIGS / "lab", How(resume="/somewhere/step_000001"))


def test_a_run_goes_on_from_a_checkpoint_that_is_named(tmp_path):
    kept = checkpoint.save(tmp_path / "old", 3, {"w": torch.ones(2)}, {}, {"a": 1}, {})
    new = checkpoint.adopt(kept, tmp_path / "new")
    assert new == tmp_path / "new" / "step_000003" and checkpoint.load(tmp_path / "new").step == 3
    with pytest.raises(CheckpointMismatch, match="name another out="):
        checkpoint.adopt(kept, tmp_path / "new")
    with pytest.raises(CheckpointMismatch, match="no checkpoint"):
        checkpoint.adopt(tmp_path / "old", tmp_path / "third")


@pytest.mark.parametrize("size", ["lab", "paper", "tiny"])
def test_the_shipped_recipes_fit_together(size):
    """Each stage begins where the one before ends, or with the starter."""
    from training.grpo.stage import check
    from training.pretrain.stage import TABLE, shares_of

    found = [s for s in RECIPE if (CONFIGS / size / f"{s}.yaml").is_file()]
    made = {s: config.load(table.STAGES[s][0], CONFIGS / size / f"{s}.yaml") for s in found}
    assert str(made[found[0]].init) == "assets/starter"
    for before, after in zip(found, found[1:], strict=False):
        assert made[after].init in (made[before].out, Path("assets/starter"))
    for stage in found[:-1]:
        assert shares_of(stage, TABLE[stage], made[stage])
    check(made["grpo"])
    assert len({c.out for c in made.values()}) == len(found)
