"""A run that builds upon another run's weights: what it takes from there, and what it must not."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from nsp_core.errors import ConfigError
from training import checkpoint
from training.generator import stamp
from training.reader import reader_for
from training.run import provenance
from training.stages import load_reader, load_vae, train_generator, train_reader, train_vae
from training.vae import moving


def begin(config, train, out, **changes):
    config = dataclasses.replace(config, out=out, minutes=0.0, **changes)
    out.mkdir()
    (out / "run.json").write_text(json.dumps(provenance(config)))
    assert train(config, True) == 75
    return checkpoint.load(out / "checkpoints")


def test_a_generator_built_upon_another_readers_keeps_its_own_readers_queries(tiny_runs, tmp_path):
    before = begin(tiny_runs.generator, train_generator, tmp_path / "before", cache=tmp_path / "cache")
    changed = {name: torch.ones_like(value) for name, value in before.model.items()}
    checkpoint.save(tmp_path / "other", 1, changed, {}, {}, {})
    scale = {"residual_scale": torch.full((64,), 3.0)}
    save_file(scale, tmp_path / "other" / "residual_scale.safetensors")
    after = begin(
        *(tiny_runs.generator, train_generator, tmp_path / "after"), cache=tmp_path / "cache", init=tmp_path / "other"
    ).model
    _, _, reader = load_reader(tiny_runs.reader.out)
    assert torch.equal(after["connector.queries"], reader.connector.queries)
    assert all((value == 1).all() for name, value in after.items() if name != "connector.queries")
    kept = load_file(tmp_path / "after" / "residual_scale.safetensors")
    assert torch.equal(kept["residual_scale"], scale["residual_scale"]), "what the weights were taught with"


def test_a_reader_takes_over_all_but_new_heads(tiny_runs, tmp_path):
    config, processor, _ = load_reader(tiny_runs.reader.out)
    old = reader_for(config, processor.tokenizer).state_dict()
    without = {name: torch.full_like(v, 0.5) for name, v in old.items() if not name.startswith("seen_here")}
    checkpoint.save(tmp_path / "old", 1, without, {}, {}, {})
    taken = begin(tiny_runs.reader, train_reader, tmp_path / "taken", init=tmp_path / "old").model
    assert all((value == 0.5).all() for name, value in taken.items() if not name.startswith("seen_here"))
    del without["connector.queries"]
    checkpoint.save(tmp_path / "broken", 1, without, {}, {}, {})
    with pytest.raises(ConfigError, match="another shape"):
        begin(tiny_runs.reader, train_reader, tmp_path / "refused", init=tmp_path / "broken")


def test_an_anchor_gives_the_weights_only_where_no_others_are_named(tiny_runs, tmp_path):
    anchor, config = tiny_runs.reader.out, tiny_runs.reader
    _, processor, kept = load_reader(anchor)
    other = {name: torch.full_like(v, 0.5) for name, v in reader_for(config, processor.tokenizer).state_dict().items()}
    checkpoint.save(tmp_path / "other", 1, other, {}, {}, {})
    alone = begin(config, train_reader, tmp_path / "alone", anchor=anchor).model
    assert all(torch.equal(value, kept.state_dict()[name]) for name, value in alone.items())
    both = begin(config, train_reader, tmp_path / "both", anchor=anchor, init=tmp_path / "other").model
    assert all((value == 0.5).all() for value in both.values())


@pytest.mark.parametrize("wide", [False, True])
def test_a_sharper_decoder_leaves_the_latents_alone(tiny_runs, tmp_path, wide):
    """A cache and a generator stay valid: the encoder, and so the stamp, is that of the run that was built upon."""
    out = tmp_path / "sharp"
    out.mkdir()
    init = tiny_runs.vae.out / "checkpoints"
    config = dataclasses.replace(
        tiny_runs.vae, out=out, init=init, decoder_only=True, wide_decoder=wide, minutes=9.0, clip_batch=1
    )
    (out / "run.json").write_text(json.dumps(provenance(config)))
    assert train_vae(config, True) == 0
    before, after = load_vae(tiny_runs.vae.out), load_vae(out)
    _, _, reader = load_reader(tiny_runs.reader.out)
    rest = (reader.model, reader.connector.queries)
    assert stamp(before, *rest) == stamp(after, *rest)
    same = dict(before.named_parameters())
    changed = [n for n, p in after.named_parameters() if n not in same or not torch.equal(p, same[n])]
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert (after.config.upsample_factor[0] == 1) is wide


def test_an_encoder_that_learns_on_stays_as_near_as_it_is_told(tiny_runs, tmp_path):
    moved = {}
    for weight in (0.0, 1000.0):
        out = tmp_path / str(weight)
        config = dataclasses.replace(
            *(tiny_runs.vae,), out=out, init=tiny_runs.vae.out / "checkpoints", stay_weight=weight, minutes=9.0
        )
        config = dataclasses.replace(config, loop=dataclasses.replace(config.loop, steps=6), still_share=1.0)
        out.mkdir()
        (out / "run.json").write_text(json.dumps(provenance(config)))
        assert train_vae(config, True) == 0
        before, after = load_vae(tiny_runs.vae.out), load_vae(out)
        picture = torch.linspace(-1, 1, 3 * 96 * 160).view(1, 3, 1, 96, 160)
        means = [vae.encode(picture).latent_dist.mean for vae in (before, after)]
        moved[weight] = float((means[1] - means[0]).square().mean())
    assert 0 < moved[1000.0] < 0.5 * moved[0.0]
    said = [json.loads(line) for line in (tmp_path / "1000.0" / "metrics.jsonl").read_text().splitlines()]
    assert said[0]["moved"] == 0, "it begins where init is"


def test_an_autoencoder_does_not_begin_with_another_encoder(tiny_runs, tmp_path):
    wider = dataclasses.replace(tiny_runs.vae, width=2 * tiny_runs.vae.width)
    with pytest.raises(ConfigError, match="give the width"):
        begin(wider, train_vae, tmp_path / "wider", init=tiny_runs.vae.out / "checkpoints")


def test_moving_pixels_weigh_more_than_resting_ones():
    x = torch.zeros(1, 3, 4, 2, 2)
    x[0, 1, 2:, 0, 0] = 0.5
    assert moving(x)[0, 0, :, 0, 0].tolist() == [0, 0, 1, 0]
    x[0, 1, 0, 1, 1] = 0.5
    assert moving(x)[0, 0, :, 1, 1].tolist() == [1, 1, 0, 0]
    assert moving(x).sum() == 3
