"""A fixed tiny checkpoint: every weight is written from its shape by numpy's frozen generator, so that no release of
torch, diffusers or transformers can start it differently. `python -m tests.core.golden` writes golden.npz anew, on
purpose, when the pipeline's mathematics has changed on purpose.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nsp_core.latents import pack
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import Frames, NextScene, SamplingOptions, Scene, StoryContext

FILE = Path(__file__).with_name("golden.npz")
WORDS = "A red ball rolls to the middle."
STEPS = 3


def fixed_pipeline() -> NextScenePipeline:
    pipeline = build.tiny_pipeline()
    for name in ("vision_language", "connector", "transformer", "vae"):
        fill(getattr(pipeline, name), seed=len(name))
        getattr(pipeline, name).eval().requires_grad_(False)
    channels = pipeline.vae.config.latent_channels
    pipeline.vae.latents_mean.copy_(torch.linspace(-0.5, 0.5, channels))
    pipeline.vae.latents_std.copy_(torch.linspace(0.5, 1.5, channels))
    return pipeline


@torch.no_grad()
def fill(module: Any, seed: int) -> None:
    """Weights of variance 1/inputs, in the order of the parameters' names; biases zero; norms and scalars as built."""
    generator = np.random.RandomState(seed)  # its stream is frozen by numpy's compatibility policy
    for name, parameter in sorted(module.named_parameters()):
        if name.endswith("bias"):
            parameter.zero_()
        if parameter.ndim < 2:
            assert parameter.numel() == 1 or parameter.std() == 0, f"{name} is not the same on every machine"
            continue
        values = generator.standard_normal(tuple(parameter.shape)) / np.sqrt(parameter[0].numel())
        parameter.copy_(torch.from_numpy(values))


def last_clip() -> Frames:
    """A square that moves over a slope of colour: made of whole numbers."""
    y, x = np.mgrid[0:96, 0:160]
    frames = np.stack([np.stack([x + 40, y + 80, 200 - x // 2], -1)] * 17).astype(np.uint8)
    for t in range(17):
        frames[t, 32:64, 16 + 4 * t : 48 + 4 * t] = (200, 40, 30)
    return frames


def draw(pipeline: NextScenePipeline, mode: str) -> NextScene:
    context = StoryContext((Scene("The sun shines.", last_clip()),)) if mode == "continue" else StoryContext()
    options = SamplingOptions(steps=STEPS, guidance=2.0, shift=2.0, seed=11, preview_every=0)
    return pipeline(context, WORDS, mode=mode, options=options)  # type: ignore[arg-type]


def measure(scene: NextScene) -> dict[str, NDArray[np.float32]]:
    """What is kept of a scene: its latents, and of its frames the mean colour of every 16x16 block."""
    blocks = scene.frames.reshape(17, 6, 16, 10, 16, 3).astype(np.float32).mean((2, 4))
    return {"latents": np.asarray(pack(torch.from_numpy(scene.latents)[None])[0], np.float32), "blocks": blocks}


if __name__ == "__main__":
    made = {
        f"{mode}_{name}": value.astype(np.float16)
        for mode in ("continue", "cut")
        for name, value in measure(draw(fixed_pipeline(), mode)).items()
    }
    np.savez_compressed(FILE, **made)
