"""Distillation: what moves, what is matched, that a teacher and a student meet, and the way from hub folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from nsp_core.errors import CheckpointMismatch, ConfigError
from nsp_core.model import build
from tests.training.test_loop import assert_same_run
from tests.training.tiny_parts import StoppedAt, loop_config
from training import loop
from training.distil import measure
from training.distil.assemble import assemble
from training.distil.objective import Pictures
from training.distil.stage import (
    DistilConfig,
    TeacherConfig,
    TextSizes,
    begin,
    captions_of,
    drawn,
    new_objective,
    train_distil,
    train_teacher,
)
from training.distil.teacher import DrawConfig, open_teacher
from training.evaluate.main import main as compare
from training.flow_matching import FlowConfig, Generator
from training.models import open_model
from training.parallel import Share
from training.picturebook.words import corpus
from training.pretrain.examples import HELD_OUT, ExampleConfig
from training.pretrain.stage import Sizes, freeze
from training.run import CONFIGS, How, run_all

EXAMPLES = ExampleConfig(images=8, held_out=4, scenes=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A teacher of a few steps, in a folder of its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("distil")
    build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16).save_pretrained(path / "start")
    settings = loop_config(3, autocast=False, eval_every=100)
    config = TeacherConfig(
        *(settings, path / "start", path / "teacher", path / "cache", FlowConfig(batch=4), EXAMPLES),
        **{"transformer": Sizes(64, 2, 2), "text": TextSizes(32, 1, 24), "threads": 1},
    )
    config.out.mkdir()
    (config.out / "run.json").write_text(json.dumps({"config": {"examples": {"scenes": 2, "rules": [], "seed": 0}}}))
    assert train_teacher(config, True) == 0
    # so young a transformer draws nothing at all (its last layer began at zero): one that answers to what it is told
    pipeline = open_model(config.out)
    torch.manual_seed(1)
    torch.nn.init.normal_(pipeline.transformer.proj_out.weight, std=0.1)
    pipeline.save_pretrained(config.out / "model")
    yield path
    torch.set_num_threads(before)


def config_for(folder: Path, out: Path, steps: int = 3, **settings) -> DistilConfig:
    run = loop_config(steps, autocast=False, eval_every=100, muon_lr=5e-3, adam_lr=5e-3)
    values = {"flow": FlowConfig(batch=4), "examples": EXAMPLES, "draw": DrawConfig(2, 2.0, 2.0), "threads": 1}
    places = {"init": folder / "teacher", "cache": folder / "cache"}
    return DistilConfig(run, out=out, **{**places, **values, **settings})


def objective_for(config: DistilConfig):
    pipeline = begin(config)
    module = Generator(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, ("queries", "bridge"), config.half)
    return new_objective(config, pipeline, module, open_teacher(config.init, pipeline))


def test_only_queries_and_connector_move_and_the_teacher_stays_to_the_bit(folder, tmp_path):
    objective = objective_for(config_for(folder, tmp_path))
    fixed = (objective.module.transformer, objective.teacher.text_encoder, objective.reader[0])
    before = [{n: t.clone() for n, t in m.state_dict().items()} for m in (*fixed, objective.module.connector)]
    assert loop.train(objective, loop_config(4, autocast=False, adam_lr=1e-2), tmp_path) == 0
    for module, old in zip(fixed, before, strict=False):
        assert all(torch.equal(t, old[n]) for n, t in module.state_dict().items())
    moved = {n for n, t in objective.module.connector.state_dict().items() if not torch.equal(t, before[-1][n])}
    assert moved == set(before[-1])
    assert objective.teacher.transformer is objective.module.transformer


def test_a_student_that_says_what_the_teacher_hears_has_no_loss(folder, tmp_path, monkeypatch):
    """The two velocities are of one transformer at one noisy latent: with equal condition they are equal, and what a
    caption is padded with is no part of it."""
    objective = objective_for(config_for(folder, tmp_path))
    latents, said = objective.pictures.latents[:1].float(), ["The cat sleeps."]
    _, mask = objective.teacher.read(said)
    heard = int(mask.sum())
    assert 0 < heard < mask.numel()

    def distance(asked=None) -> float:
        return float(objective.distance(latents, said, torch.Generator().manual_seed(0), asked=asked).detach())

    untaught = distance()
    monkeypatch.setattr(objective, "states", lambda captions: objective.teacher.read(captions)[0][:, :heard])
    monkeypatch.setattr(objective.module.connector, "forward", lambda states: states)
    assert distance() < 1e-9 < 1e-6 < untaught
    assert distance(["A bird flies off."]) > 1e-6  # the same student, told something else


def test_the_student_comes_nearer_to_the_teacher(folder, tmp_path):
    config = config_for(folder, tmp_path)
    objective = objective_for(config)
    before = objective.evaluate()
    loop.train(objective, loop_config(40, autocast=False, muon_lr=1e-2, adam_lr=1e-2, ema=0.5), tmp_path)
    after = objective.evaluate()
    assert after["distance"] < 0.7 * before["distance"]


def test_what_is_learnt_on_is_what_the_teacher_drew_and_is_drawn_once(folder, tmp_path):
    config = config_for(folder, tmp_path, cache=tmp_path / "cache")
    first = objective_for(config).pictures
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()}
    again = objective_for(config).pictures
    assert torch.equal(first.latents, again.latents) and first.captions == again.captions
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cache").iterdir()} == files
    objective_for(config_for(folder, tmp_path, cache=tmp_path / "cache", draw=DrawConfig(3, 2.0, 2.0)))
    assert len(list((tmp_path / "cache").iterdir())) == 2 * len(files)
    assert first.latents.shape == (8, 16, 1, 6, 10)


def test_held_out_pictures_have_noise_of_their_own_and_the_name_tells_what_was_read(folder, tmp_path):
    config = config_for(folder, tmp_path, cache=tmp_path / "cache")
    pipeline = begin(config)
    teacher = open_teacher(config.init, pipeline)

    def draw(first, said=("A ball.", "A tree.")):
        return drawn(teacher, said, first, (16, 1, 6, 10), config.draw, config.cache).latents

    learnt, held = draw(0), draw(HELD_OUT)
    assert not torch.allclose(learnt.float(), held.float(), atol=0.1)
    assert torch.equal(draw(0), learnt) and len(list((tmp_path / "cache").iterdir())) == 2
    teacher.text_tokens = 3  # the same captions, of which less is read
    draw(0)
    teacher.tokenizer = teacher.tokenizer.train_new_from_iterator(["a tree and a ball"], 40)
    draw(0)
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_run_cut_and_resumed_is_the_run_that_was_not(folder, tmp_path):
    config = config_for(folder, tmp_path, 4)
    assert loop.train(objective_for(config), config.loop, tmp_path / "whole") == 0
    assert loop.train(StoppedAt(objective_for(config), 2), config.loop, tmp_path / "cut") == loop.PREEMPTED
    assert loop.train(objective_for(config), config.loop, tmp_path / "cut") == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


def test_two_parts_of_a_batch_have_its_gradient(folder, tmp_path):
    def gradient(share: Share) -> torch.Tensor:
        objective = objective_for(config_for(folder, tmp_path, flow=FlowConfig(batch=5)))
        objective.share = share
        batch = objective.batch(np.random.default_rng(0))
        objective.loss(batch, torch.Generator().manual_seed(0))[0].backward()
        return objective.module.connector.output.weight.grad

    parts = (gradient(Share(0, 2)) + gradient(Share(1, 2))) / 2
    assert torch.allclose(parts, gradient(Share()), rtol=1e-4, atol=1e-9)


def test_a_finished_student_is_a_model_and_is_measured_beside_its_teacher(folder, tmp_path, capsys):
    runs = [tmp_path / "a" / "distil", tmp_path / "b" / "distil"]
    for seed, out in enumerate(runs):
        config = config_for(folder, out, 2)
        config = replace(config, loop=replace(config.loop, seed=seed))
        config.out.mkdir(parents=True)
        assert train_distil(config, True) == 0
        assert (config.out / "model" / "model_index.json").is_file()
    call = [str(folder / "teacher"), *map(str, runs), "--n", "3"]
    assert measure.main([*call, "--out", str(tmp_path / "out")]) == 0
    files = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert len(files) == 3 and [f.removesuffix(".json")[-8:] for f in files[:2]] == ["a-distil", "b-distil"]
    told = [json.loads((tmp_path / "out" / f).read_text()) for f in files]
    assert all(t["result"]["n"] == t["result"]["place"]["n"] == 3 and t["result"]["seed"] == 0 for t in told)
    assert told[0]["cases"] != told[1]["cases"]  # two students, not one written over the other
    capsys.readouterr()
    two = [str(tmp_path / "out" / f) for f in files[:2]]
    assert compare(["compare", *two, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["figures"]
    assert set(figures) == {"right", "place", "psnr"} and figures["psnr"]["n"] == 3
    assert measure.main([*call, "--seed", "1", "--out", str(tmp_path / "again")]) == 0
    capsys.readouterr()
    assert compare(["compare", two[0], str(tmp_path / "again" / files[0])]) == 2
    assert "same seed" in capsys.readouterr().err


def test_what_cannot_be_measured_is_said_in_a_sentence(folder, tmp_path, capsys):
    for wrong, sentence in (
        ([str(tmp_path)], "no run of stage teacher"),
        ([str(folder / "teacher"), str(tmp_path)], "no model"),
        ([str(folder / "teacher"), str(folder / "teacher")], "named twice"),
        ([str(folder / "teacher"), "--n", "0"], "--n must be"),
    ):
        assert measure.main(wrong) == 2
        assert sentence in capsys.readouterr().err


def test_the_place_of_a_scene_is_among_as_many_whatever_their_number(folder):
    """A drawer that draws the scene after the one it was told: were the last of 21 alone, it would be right there."""
    world = measure.world_of(folder / "teacher")
    scenes = [measure.scene_of(world, n) for n in range(measure.FIRST, measure.FIRST + 2 * measure.PLACES)]
    after = {one[0]: other[1][0] for one, other in zip(scenes, scenes[1:], strict=False)}
    found = measure.measure({"next": lambda said, _: np.stack([after[c] for c in said])}, world, 21)
    assert len(found["next"]["place"]) == 21 and found["next"]["place"][str(measure.FIRST + 20)] == [0.0]


def test_the_measure_knows_the_right_scene_from_its_siblings(folder):
    """The true pictures are always right; those of what was before never, where that can be seen."""
    world = measure.world_of(folder / "teacher")
    scenes = {n: measure.scene_of(world, n) for n in range(measure.FIRST, measure.FIRST + 20)}
    by_caption = {caption: futures for caption, futures in scenes.values()}
    drawers = {
        "true": lambda said, _: np.stack([by_caption[c][0] for c in said]),
        "before": lambda said, _: np.stack([by_caption[c][-1] for c in said]),
    }
    found = measure.measure(drawers, world, 20)
    assert all(v == [1.0] for v in found["true"]["right"].values())
    assert all(v == [1.0] for v in found["true"]["place"].values())
    assert np.mean([v[0] for v in found["before"]["right"].values()]) < 0.2


def test_captions_may_come_from_a_file(folder, tmp_path):
    file = tmp_path / "captions.txt"
    file.write_text("\n".join(f"A red ball number {n}." for n in range(12)) + "\n\n")
    pipeline = open_model(folder / "teacher")
    learnt, held = captions_of(pipeline, config_for(folder, tmp_path, captions=file))
    assert len(learnt) == 8 and len(held) == 4 and not set(learnt) & set(held)
    with pytest.raises(ConfigError, match="has 12 captions"):
        captions_of(pipeline, config_for(folder, tmp_path, captions=file, examples=ExampleConfig(images=12)))


def test_a_folder_without_a_teacher_says_what_to_do(folder):
    with pytest.raises(ConfigError, match="training.distil.assemble"):
        open_teacher(folder / "start", open_model(folder / "start"))


def test_pictures_keep_their_captions_in_order(folder, tmp_path):
    objective = objective_for(config_for(folder, tmp_path))
    assert isinstance(objective.pictures, Pictures)
    one = objective.teacher.draw(
        objective.pictures.captions, (16, 1, 6, 10), DrawConfig(2, 2.0, 2.0), torch.Generator().manual_seed(0)
    )
    assert torch.allclose(one.bfloat16().float(), objective.pictures.latents.float(), atol=0.1)


def test_the_recipe_for_one_a100_runs_from_end_to_end_at_test_size(folder, tmp_path):
    """The files of configs/a100 with small numbers in them, on the CPU: one step of each stage, each from the last."""
    out = json.dumps(str(tmp_path / "run"))
    small = [
        *(f"distil.init={json.dumps(str(folder / 'teacher'))}", "distil.captions=null", "threads=1", "device=cpu"),
        *("distil.examples.images=4", "distil.examples.held_out=2", "distil.draw.steps=2", "distil.flow.batch=2"),
        *("pt2.examples.images=2", "pt2.examples.videos=2", "pt2.examples.held_out=2", "pt2.flow.batch=2"),
        *("sft.examples.pairs=2", "sft.examples.held_out=2", "sft.flow.batch=2", "half=false"),
        *("grpo.groups=1", "grpo.group.candidates=4", "grpo.group.top=2", "grpo.group.bottom=2", "grpo.group.least=2"),
        *("grpo.rollout.steps=4", "grpo.asks.count=2", "grpo.asks.held_out=1", "grpo.asks.told=true"),
    ]
    assert run_all(CONFIGS / "a100", How(tuple(small), "latest", 1, False, Path(json.loads(out)))) == 0
    for stage in ("distil", "pt2", "sft", "grpo"):
        assert (tmp_path / "run" / stage / "model" / "model_index.json").is_file()


def test_folders_of_the_hub_become_a_model_and_its_teacher_and_a_step_is_taken(tmp_path):
    """Real classes in the files of the hub, at test size: Qwen2.5-VL, LTX 0.9.0 with its T5, captions of any kind."""
    from tests.hub_layout import write_ltx, write_qwen

    clip = {"width": 64, "height": 64, "num_frames": 9, "fps": 16, "rope_scale": (0.5, 32.0, 32.0)}
    banks = tmp_path / "banks"
    assemble(write_qwen(tmp_path / "qwen"), write_ltx(tmp_path / "ltx"), banks, queries=4, clip=clip)
    (tmp_path / "captions.txt").write_text("\n".join(f"A glass falls, {n}." for n in range(12)))
    config = config_for(tmp_path, tmp_path / "out", 2, init=banks, captions=tmp_path / "captions.txt")
    config.out.mkdir()
    assert train_distil(config, True) == 0
    taught, before = open_model(config.out), open_model(banks)
    assert not torch.equal(taught.connector.queries, before.connector.queries)
    assert torch.equal(taught.transformer.proj_out.weight, before.transformer.proj_out.weight)
    with pytest.raises(CheckpointMismatch, match="text_encoder"):
        (tmp_path / "ltx" / "text_encoder").rename(tmp_path / "elsewhere")
        assemble(tmp_path / "qwen", tmp_path / "ltx", tmp_path / "again")
