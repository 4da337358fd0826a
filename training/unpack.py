"""Take the shipped starter apart: one model folder -> run folders of the three stages, from which training goes on.

python -m training.unpack assets/starter OUT [--config training/configs/starter]

The way back from `training.export`: OUT/vae, OUT/reader and OUT/generator each hold a config and a light checkpoint (no
optimiser's state). What exists in training only was never shipped: the reader's linear heads begin anew.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nsp_core.errors import CheckpointMismatch
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from training import checkpoint, config
from training.flow_matching import Generator
from training.generator import GeneratorConfig
from training.reader import ReaderConfig, reader_for
from training.run import CONFIGS, provenance
from training.vae import VaeConfig


def unpack(model: Path, out: Path, configs: Path = CONFIGS / "starter") -> None:
    """Raises CheckpointMismatch where `configs` are not those that the model was made with, or `out` has such runs."""
    pipeline = NextScenePipeline.from_pretrained(model)
    places = {name: out / name for name in ("vae", "reader", "generator")}

    def load(cls: type, name: str, *overrides: str) -> Any:
        said = [f"out={json.dumps(str(places[name]))}", *overrides]
        return config.load(cls, configs / f"{name}.yaml", said)

    wide = any(len(block.resnets) > 1 for block in pipeline.vae.decoder.up_blocks)
    vae = load(VaeConfig, "vae", f"wide_decoder={json.dumps(wide)}")
    put(places["vae"], vae, build.autoencoder(vae.width, wide_decoder=wide), pipeline.vae.state_dict())
    shipped = {"mean": pipeline.vae.latents_mean.tolist(), "std": pipeline.vae.latents_std.tolist()}
    (places["vae"] / "latents.json").write_text(json.dumps({"step": "step_000000", **shipped}))

    reader = load(ReaderConfig, "reader")
    tokenizer = pipeline.processor.tokenizer
    whole = reader_for(reader, tokenizer)
    heads = {n: t for n, t in whole.state_dict().items() if n.startswith(("seen_", "coming"))}
    put(places["reader"], reader, whole, {**heads, **parts(pipeline, "vision_language", "connector")})
    build.processor(tokenizer).save_pretrained(str(places["reader"] / "processor"))

    runs = [f"{name}={json.dumps(str(places[name]))}" for name in ("vae", "reader")]
    tail = f"flow.shows_tail={json.dumps(pipeline.config.reference == 'repeat_tail')}"
    generator = load(GeneratorConfig, "generator", *runs, tail)
    drawer = build.transformer(generator.width, generator.layers, generator.heads, condition=reader.caption_channels)
    named = parts(pipeline, "connector", "transformer")
    put(places["generator"], generator, Generator(whole.connector, drawer), named)
    scale = torch.tensor(pipeline.config.residual_scale)
    save_file({"residual_scale": scale}, places["generator"] / "residual_scale.safetensors")


def parts(pipeline: Any, *names: str) -> dict[str, Tensor]:
    """The parts' weights under the names that they have in training: the reader's is called `model` there."""
    called = {"vision_language": "model"}
    return {
        f"{called.get(name, name)}.{key}": tensor
        for name in names
        for key, tensor in getattr(pipeline, name).state_dict().items()
    }


def put(run: Path, settings: Any, module: nn.Module, weights: dict[str, Tensor]) -> None:
    """A run folder whose only checkpoint is `weights`, of the shapes that `module` has."""
    if checkpoint.list_steps(run / "checkpoints"):
        raise CheckpointMismatch(f"{run} has checkpoints of its own: unpack somewhere else.")
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointMismatch(f"These weights are not of the shapes that the config gives: {error}") from None
    run.mkdir(parents=True, exist_ok=True)
    (run / "run.json").write_text(json.dumps(provenance(settings), indent=2))
    model = {name: tensor.float() for name, tensor in module.state_dict().items()}
    checkpoint.save(run / "checkpoints", 0, model, {}, None, {"running": None})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--config", type=Path, default=CONFIGS / "starter")
    args = parser.parse_args()
    unpack(args.model, args.out, args.config)
