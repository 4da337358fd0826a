"""Stage `adapt` and the adapters that it leaves: what moves, what it does to a model, who else can read it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app import predictors
from app.settings import Settings
from nsp_core.adapters import attach, detach, for_comfyui, merge, read
from nsp_core.errors import CheckpointMismatch, ConfigError, UserError
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import SamplingOptions, Scene, StoryContext
from tests.training.tiny_parts import loop_config
from training import config as configs
from training.adapt.stage import AdaptConfig, LoraSizes, begin, train_adapter
from training.flow_matching import FlowConfig
from training.models import open_model
from training.picturebook.reader import idle
from training.picturebook.scenes import story
from training.picturebook.words import corpus
from training.pretrain.examples import ExampleConfig
from training.run import CONFIGS

PAIRS = ExampleConfig(pairs=3, held_out=2, scenes=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model of random weights, and an adapter that three steps made for it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("adapt")
    build.tiny_pipeline(corpus(Random(0), 200)).to(torch.bfloat16).save_pretrained(path / "start")
    assert train_adapter(config_for(path, path / "run"), True) == 0
    yield path
    torch.set_num_threads(before)


def config_for(folder: Path, out: Path, steps: int = 3, **changes) -> AdaptConfig:
    run = loop_config(steps, optimiser="adamw", adam_lr=5e-2, eval_every=100, autocast=False)
    values = {
        "flow": FlowConfig(batch=2),
        "examples": dataclasses.replace(PAIRS, style="space"),
        "prior": PAIRS,
        "prior_share": 0.5,
        "lora": LoraSizes(rank=4, alpha=8.0),
        "threads": 1,
        "name": "dunes",
        **changes,
    }
    out.mkdir(parents=True, exist_ok=True)
    return AdaptConfig(run, folder / "start", out, folder / "cache", **values)


def drawn(pipeline: NextScenePipeline) -> np.ndarray:
    world = story(Random(5), 1).worlds[0]
    context = StoryContext((Scene("", np.array(idle(world.seen()))),))
    options = SamplingOptions(steps=2, guidance=2.0, seed=3, preview_every=0)
    return pipeline(context, "It begins to rain.", options=options).latents


def test_only_the_small_matrices_move_and_a_checkpoint_holds_nothing_else(folder: Path) -> None:
    start, pipeline = open_model(folder / "start"), open_model(folder / "start")
    attach(pipeline, [(read(folder / "run" / "adapter"), 1.0)])
    detach(pipeline)
    for name, value in start.transformer.state_dict().items():
        assert torch.equal(value, pipeline.transformer.state_dict()[name]), name
    saved = sorted((folder / "run" / "checkpoints").iterdir())[-1]
    kept = load_file(saved / "model.safetensors")
    assert kept and all(".lora_" in name for name in kept)
    assert any(value.abs().max() > 0 for name, value in kept.items() if ".lora_B." in name)
    assert json.loads((folder / "run" / "adapter" / "adapter.json").read_text())["base"] == start.fingerprint


def test_an_adapter_changes_the_drawing_by_its_strength(folder: Path) -> None:
    pipeline = open_model(folder / "start")
    adapter = read(folder / "run" / "adapter")
    plain, base = drawn(pipeline), pipeline.fingerprint
    attach(pipeline, [(adapter, 1.0)])
    full = drawn(pipeline)
    assert pipeline.adapter == "dunes" and pipeline.adapter_strength == 1.0 and pipeline.fingerprint != base
    once = pipeline.fingerprint
    attach(pipeline, [(adapter, 0.5)])
    half = drawn(pipeline)
    assert 0 < np.abs(half - plain).mean() < np.abs(full - plain).mean()
    assert pipeline.fingerprint not in (base, once)
    attach(pipeline, [(adapter, 0.0)])
    assert np.allclose(drawn(pipeline), plain, atol=1e-5)
    attach(pipeline, [(adapter, 0.5), (adapter, 0.5)])  # two add up
    assert np.allclose(drawn(pipeline), full, atol=1e-4)
    detach(pipeline)
    assert np.array_equal(drawn(pipeline), plain) and pipeline.fingerprint == base and pipeline.adapter is None


def test_merged_it_draws_the_same_and_unmerged_it_is_the_model_that_was(folder: Path) -> None:
    pipeline = open_model(folder / "start")
    before = {n: v.clone() for n, v in pipeline.transformer.state_dict().items()}
    attach(pipeline, [(read(folder / "run" / "adapter"), 1.0)])
    beside = drawn(pipeline)
    pipeline.fuse_lora(components=["transformer"])
    assert np.allclose(drawn(pipeline), beside, atol=1e-4)
    pipeline.unfuse_lora(components=["transformer"])
    detach(pipeline)
    for name, value in pipeline.transformer.state_dict().items():
        assert torch.allclose(value, before[name], atol=1e-6), name


def test_plain_diffusers_and_comfyuis_keys_read_it_too(folder: Path, tmp_path: Path) -> None:
    from diffusers.loaders import LTXVideoLoraLoaderMixin

    pipeline = open_model(folder / "start")
    attach(pipeline, [(read(folder / "run" / "adapter"), 1.0)])
    ours = drawn(pipeline)
    detach(pipeline)
    state, metadata = LTXVideoLoraLoaderMixin.lora_state_dict(
        str(folder / "run" / "adapter"), return_lora_metadata=True
    )
    pipeline.transformer.load_lora_adapter(state, metadata=metadata)  # nothing of ours
    assert np.array_equal(drawn(pipeline), ours)
    pipeline.transformer.unload_lora()
    single = read(for_comfyui(folder / "run" / "adapter", tmp_path / "dunes_comfyui.safetensors"))
    assert single.name == "dunes_comfyui" and single.base == "" and single.rank == 4
    attach(pipeline, [(single, 1.0)])
    assert np.allclose(drawn(pipeline), ours, atol=1e-5)


def test_a_run_that_was_cut_leaves_the_same_adapter(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "cut"
    config = config_for(folder, out)
    assert train_adapter(dataclasses.replace(config, minutes=0.0), True) == 75
    assert not (out / "adapter").exists()
    assert train_adapter(config, True) == 0
    assert read(out / "adapter").hash == read(folder / "run" / "adapter").hash


def test_what_is_no_adapter_for_this_model_is_refused_and_changes_nothing(folder: Path, tmp_path: Path) -> None:
    pipeline = open_model(folder / "start")
    base, plain = pipeline.fingerprint, drawn(pipeline)
    with pytest.raises(UserError, match="no adapter at"):
        read(tmp_path / "nowhere")
    with pytest.raises(CheckpointMismatch, match="holds no adapter"):
        read(next((folder / "start" / "transformer").glob("*.safetensors")))
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(CheckpointMismatch, match="copy it again"):
        read(tmp_path / "broken.safetensors")
    adapter = read(folder / "run" / "adapter")
    with pytest.raises(CheckpointMismatch, match="another model"):
        attach(pipeline, [(dataclasses.replace(adapter, base="0123456789abcdef"), 1.0)])
    with pytest.raises(UserError, match="between 0 and 2"):
        attach(pipeline, [(adapter, 3.0)])
    other = tmp_path / "other.safetensors"
    from safetensors.torch import save_file

    save_file({n: v.repeat(1, 2) for n, v in load_file(adapter.path).items()}, other)
    with pytest.raises(CheckpointMismatch, match="does not fit"):
        attach(pipeline, [(read(other), 1.0)])
    assert pipeline.fingerprint == base and np.array_equal(drawn(pipeline), plain)


def test_settings_that_teach_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    for changes, why in (
        ({"examples": ExampleConfig()}, "examples.pairs"),
        ({"prior": ExampleConfig()}, "prior.pairs"),
        ({"prior_share": 1.0}, "prior_share"),
        ({"lora": LoraSizes(rank=0)}, "rank"),
        ({"lora": LoraSizes(targets=("to_nothing",))}, "targets"),
    ):
        with pytest.raises(ConfigError, match=why):
            train_adapter(config_for(folder, tmp_path / "run", **changes), True)
    assert configs.load(AdaptConfig, CONFIGS / "starter" / "adapt.yaml", []).examples.style == "space"


def test_the_program_gives_the_model_what_is_named(folder: Path, tmp_path: Path) -> None:
    settings = Settings.from_environment({}, model=folder / "start", adapter=f"{folder / 'run' / 'adapter'}=0.5")
    assert not settings.is_safe and settings.safe().adapter == ""
    assert settings.model_key != dataclasses.replace(settings, adapter="").model_key, "another worker is needed"
    pipeline = predictors.build(settings.predictor, settings.model, settings.adapter)
    assert (pipeline.adapter, pipeline.adapter_strength) == ("dunes", 0.5)
    predictors.check_adapters(settings.adapter)
    for spec, why in ((str(tmp_path / "nowhere"), "no adapter at"), (f"{folder}=much", "with a number")):
        with pytest.raises(UserError, match=why):
            predictors.check_adapters(spec)
    with pytest.raises(UserError, match="takes no adapters"):
        predictors.build("tests.app.fake_predictor:load", "{}", settings.adapter)


def test_the_connector_and_its_queries_may_learn_too_and_are_put_back_to_the_bit(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    config = config_for(folder, out, moves=("queries", "bridge"), words=("bruno",))
    assert train_adapter(config, True) == 0
    adapter = read(out / "adapter")
    assert adapter.words == {"bruno"} and adapter.hash != read(folder / "run" / "adapter").hash
    pipeline = open_model(folder / "start")
    before = {n: v.clone() for n, v in pipeline.connector.state_dict().items()}
    plain = drawn(pipeline)
    attach(pipeline, [(adapter, 1.0)])
    assert pipeline.taught == {"bruno"} and not np.allclose(drawn(pipeline), plain)
    moved = {n: v.clone() for n, v in pipeline.connector.state_dict().items() if not torch.equal(v, before[n])}
    assert "queries" in moved and "input.weight" in moved
    attach(pipeline, [(adapter, 0.5), (adapter, 0.5)])  # two add up
    for name, value in moved.items():
        assert torch.allclose(pipeline.connector.state_dict()[name], value, atol=1e-6), name
    other = json.loads((out / "adapter" / "adapter.json").read_text())
    assert other["words"] == ["bruno"]
    detach(pipeline)
    assert all(torch.equal(v, before[n]) for n, v in pipeline.connector.state_dict().items())
    assert not pipeline.taught and np.array_equal(drawn(pipeline), plain)


def test_merged_weights_are_taken_out_again_to_the_bit(folder: Path) -> None:
    pipeline = open_model(folder / "start")
    before = {n: v.clone() for n, v in pipeline.transformer.state_dict().items()}
    plain = drawn(pipeline)
    attach(pipeline, [(read(folder / "run" / "adapter"), 0.7)])
    beside = drawn(pipeline)
    merge(pipeline)
    assert np.allclose(drawn(pipeline), beside, atol=1e-4)
    detach(pipeline)  # unmerges first
    assert all(torch.equal(v, before[n]) for n, v in pipeline.transformer.state_dict().items())
    assert np.array_equal(drawn(pipeline), plain)


@pytest.mark.full
def test_recomputed_activations_teach_the_same(folder: Path, tmp_path: Path) -> None:
    assert train_adapter(config_for(folder, tmp_path / "less", recompute=True), True) == 0
    assert read(tmp_path / "less" / "adapter").hash == read(folder / "run" / "adapter").hash


@pytest.mark.full
def test_beside_a_reader_in_four_bits_the_queries_learn(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    config = config_for(folder, tmp_path / "small", moves=("queries",), four_bits=True)
    reader = begin(config).vision_language
    small = [m for m in reader.modules() if type(m).__name__ == "Linear4bit"]
    assert small and not any(p.requires_grad for p in reader.parameters())
    assert train_adapter(config, True) == 0
    added = load_file(tmp_path / "small" / "adapter" / "connector.safetensors")
    assert set(added) == {"queries"} and added["queries"].abs().max() > 0
