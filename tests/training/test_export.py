"""Run folders of three stages become one folder that the product loads, words and pictures alike."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from nsp_core.language import Language
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import SamplingOptions, StoryContext
from training import export
from training.picturebook import wishes, wordings
from training.picturebook.words import tell, vocabulary
from training.run import provenance
from training.stages import load_reader, load_vae, train_generator
from training.stories import read_pool


@pytest.fixture(scope="module")
def runs(tiny_runs):
    config = dataclasses.replace(tiny_runs.generator, minutes=0.0)
    config.out.mkdir()
    (config.out / "run.json").write_text(json.dumps(provenance(config)))
    assert train_generator(config, True) == 75
    return tiny_runs


@pytest.fixture(scope="module")
def exported(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("model") / "starter"
    pipeline = export.assemble(runs.vae.out, runs.reader.out, runs.generator.out)
    export.save(pipeline, out)
    return out


def test_the_folder_is_in_hub_layout_in_bf16_and_whole(exported):
    from safetensors.torch import load_file

    index = json.loads((exported / "model_index.json").read_text())
    for part in ("vision_language", "processor", "connector", "transformer", "vae", "scheduler"):
        assert part in index and (exported / part).is_dir()
    weights = list(exported.rglob("*.safetensors"))
    assert len(weights) >= 4
    assert {t.dtype for p in weights for t in load_file(p).values()} == {torch.bfloat16}
    assert [p.name for p in exported.parent.iterdir()] == [exported.name]
    assert not list(exported.rglob("*.bin")) and not list(exported.rglob("*.py"))


def test_the_product_loads_it_with_its_language_and_draws(exported, runs):
    pipeline = NextScenePipeline.from_pretrained(exported)
    assert isinstance(pipeline.language, Language)
    taught = set(vocabulary()) | wordings.words() | wishes.words()
    assert {"snowman", "melts"} <= pipeline.language.words and pipeline.language.words == taught
    for example in pipeline.language.examples:
        pipeline.language.check(example)
    story = read_pool(runs.generator.stories)[0]
    words = tell(story.events[0], story.worlds[0])
    scene = pipeline(StoryContext(), words, mode="cut", options=SamplingOptions(steps=1, preview_every=0))
    assert scene.frames.shape == (17, 96, 160, 3)
    assert pipeline.processor.tokenizer.padding_side == "left"


def test_what_is_shipped_is_what_was_trained_with(exported, runs):
    """The same latents, queries and scale as in the cache: one folder, one behaviour."""
    pipeline = NextScenePipeline.from_pretrained(exported)
    vae = load_vae(runs.vae.out)
    _, _, reader = load_reader(runs.reader.out)
    assert torch.equal(pipeline.vae.latents_mean.float(), vae.latents_mean)
    assert torch.equal(pipeline.vae.latents_std.float(), vae.latents_std)
    assert torch.equal(pipeline.connector.queries.float(), reader.connector.queries)
    for name, tensor in reader.model.state_dict().items():
        assert torch.equal(pipeline.vision_language.state_dict()[name].float(), tensor), name
    assert pipeline.config.in_world_gain == export.IN_WORLD_GAIN
    assert len(pipeline.config.residual_scale) == 64


def test_without_a_generator_the_transformer_is_random_and_the_rest_is_there(runs, tmp_path):
    pipeline = export.assemble(runs.vae.out, runs.reader.out, None)
    assert pipeline.transformer.config.num_layers > 1  # the starter's own size
    assert pipeline.language is not None


def test_latent_statistics_travel_with_the_run(runs, tmp_path):
    """A machine without the clips loads the same numbers; a newer checkpoint is measured anew."""
    import shutil

    moved = tmp_path / "vae"
    shutil.copytree(runs.vae.out, moved)
    run = json.loads((moved / "run.json").read_text())
    run["config"]["pool"] = str(tmp_path / "no clips here")
    (moved / "run.json").write_text(json.dumps(run))
    assert torch.equal(load_vae(moved).latents_std, load_vae(runs.vae.out).latents_std)
    (moved / "latents.json").write_text(json.dumps({"step": "step_000999", "mean": [], "std": []}))
    with pytest.raises(FileNotFoundError):
        load_vae(moved)
