"""Objectives of the real kind at test size, for the loop's tests and the processes that they kill."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core.model import build
from nsp_core.model.connector import Connector
from training.flow_matching import Cache, FlowConfig, FlowObjective, Generator
from training.loop import PREEMPTED, LoopConfig, train
from training.vae import VaeConfig, VaeObjective

CHANNELS, QUERIES, HIDDEN, CONDITION = 12, 4, 24, 32
LATENT = (3, 2, 4)  # F, h, w


def loop_config(steps: int, **settings: Any) -> LoopConfig:
    return LoopConfig(**{"steps": steps, "warmup": 2, "log_every": 1, "eval_every": 5, **settings})


def flow_cache(pairs: int, seed: int, *, scale: Tensor | None = None) -> Cache:
    """Pairs whose coming clip is told by the condition alone: half of the cells change, by a map of the condition."""
    generator = torch.Generator().manual_seed(seed)
    tails = torch.randn(pairs, CHANNELS, *LATENT[1:], generator=generator)
    conditions = torch.randn(pairs, 1, QUERIES, HIDDEN, generator=generator)
    meaning = torch.randn(HIDDEN, CHANNELS, generator=torch.Generator().manual_seed(99)) / HIDDEN**0.5
    change = (conditions[:, 0].mean(1) @ meaning * 2)[:, :, None, None, None].repeat(1, 1, *LATENT)
    change[..., : LATENT[2] // 2] = 0
    latents = tails[:, :, None] + change
    latents[:, :, 0] = tails
    return Cache(
        latents=latents.bfloat16(),
        tails=tails.bfloat16(),
        conditions=conditions.expand(-1, 2, -1, -1).bfloat16(),  # two wordings, one meaning
        null=torch.zeros(QUERIES, HIDDEN),
        labels=torch.arange(pairs) % 3,
        residual_scale=torch.ones(CHANNELS) if scale is None else scale,
    )


def flow_objective(pairs: int = 8, **settings: Any) -> FlowObjective:
    torch.manual_seed(0)
    transformer = build.transformer(width=32, layers=1, heads=1, latent_channels=CHANNELS, condition=CONDITION)
    module = Generator(Connector(QUERIES, HIDDEN, CONDITION, 5.5**-0.5), transformer)
    config = FlowConfig(**{"batch": 4, "cut_share": 0.25, **settings})
    return FlowObjective(config, module, flow_cache(pairs, 1), flow_cache(pairs, 2))


def vae_objective(pool: Path, loop: LoopConfig, **settings: Any) -> VaeObjective:
    """The autoencoder stage on eight clips of drifting noise."""
    if not pool.exists():
        pool.mkdir(parents=True)
        rng = np.random.default_rng(0)
        frames = np.lib.format.open_memmap(pool / "frames.npy", "w+", np.uint8, (56, 17, 96, 160, 3))
        frames[:8] = rng.integers(0, 256, (8, 1, 96, 160, 3), np.uint8)
        masks = np.lib.format.open_memmap(pool / "masks.npy", "w+", np.uint8, (56, 17, 96, 20))
        masks[:, :, 40:60, 5:10] = 255
    config = VaeConfig(
        **{"loop": loop, "pool": pool, "out": pool, "width": 8, "still_batch": 2, "clip_batch": 2, "crop": 32}
        | {"round_trip_share": 0.5}
        | settings
    )
    torch.manual_seed(0)
    objective = VaeObjective(config)
    objective.held_out = 1  # one clip is enough to run the evaluation
    return objective


def make_tiny_runs(folder: Path) -> Any:
    """Data and run folders of vae and reader under `folder`, by the functions that training itself calls."""
    from tests.training.conftest import Runs
    from training.generator import GeneratorConfig
    from training.picturebook.pool import make_pool
    from training.reader import ReaderConfig
    from training.run import provenance
    from training.stages import train_reader, train_vae
    from training.stories import make_pool as make_stories

    stories = folder / "stories.jsonl"
    make_pool(folder / "pool", 50, seed=1, pack_share=0.1, workers=1)
    make_stories(stories, 30, 1, scenes=4, workers=1)
    make_stories(folder / "stories_held_out.jsonl", 10, 2, scenes=4, held_out=True, workers=1)
    loop = loop_config(2, log_every=1, eval_every=100, save_minutes=100.0)
    now = {"minutes": 0.0, "threads": 1}  # saved at step 0
    vae = VaeConfig(loop, folder / "pool", folder / "vae", width=8, **now)
    reader = ReaderConfig(
        *(loop, stories, folder / "reader"),
        **{"hidden": 64, "layers": 1, "vision_hidden": 64, "vision_layers": 1, "queries": 4, "caption_channels": 32},
        **{"batch": 4, "draw_batch": 2, "vocabulary": 400},
        **now,
    )
    generator = GeneratorConfig(
        *(
            loop,
            FlowConfig(batch=4),
            stories,
            folder / "cache",
            folder / "vae",
            folder / "reader",
            folder / "generator",
        ),
        **{"pairs": 25, "held_out_pairs": 10, "width": 32, "layers": 1, "heads": 1, "compile": False, "threads": 1},
    )
    for config, start in ((vae, train_vae), (reader, train_reader)):
        config.out.mkdir()
        (config.out / "run.json").write_text(json.dumps(provenance(config)))
        assert start(config, True) == PREEMPTED
    return Runs(folder, vae, reader, generator)


class StoppedAt:
    """An objective that sends its own process a signal when it reaches a step."""

    def __init__(self, inner: Any, step: int, number: int = signal.SIGTERM) -> None:
        self.inner, self.step, self.number, self.taken = inner, step, number, 0
        self.module = inner.module

    def batch(self, rng: np.random.Generator) -> Any:
        return self.inner.batch(rng)

    def loss(self, batch: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        self.taken += 1
        if self.taken == self.step:
            os.kill(os.getpid(), self.number)
        return self.inner.loss(batch, generator)

    def evaluate(self) -> dict[str, float]:
        return self.inner.evaluate()


if __name__ == "__main__":  # OUT STEPS STOP SIGNAL: train, and be stopped by the signal at step STOP
    torch.set_num_threads(1)
    run = loop_config(int(sys.argv[2]), save_minutes=0.0)
    sys.exit(train(StoppedAt(flow_objective(), int(sys.argv[3]), int(sys.argv[4])), run, Path(sys.argv[1])))
