"""Times a training step in a process of its own: `python -m tests.bench.train` prints one JSON object as its last line.

Three loops take the same steps in turn, in one run: the project's; a plain one of accelerate with the same model,
optimiser, cached latents, dtype, batches and noise; and the project's again without its caches, so that the reader and
the autoencoder work at every step (pictures are drawn before: drawing is nobody's peer).
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.model import THREADS, load, paired_ratio

EXAMPLES = 24
BATCH = 8
SIZES = {"width": 128, "layers": 4, "heads": 2}  # the lab model's


@dataclass
class Timing:
    """Seconds a step; shares of the time; the last losses of both loops."""

    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    waited: float = 0.0
    saved: float = 0.0
    losses: tuple[float, float] = (0.0, 0.0)
    model: str = ""
    steps: int = 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.train")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12)
    arguments = parser.parse_args(argv)

    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder, sdpa_kernel(SDPBackend.MATH):
        print(json.dumps(vars(measure(arguments.model, Path(folder), arguments.rounds, arguments.steps))))
    return 0


def measure(model: Path | None, folder: Path, rounds: int, steps: int) -> Timing:
    cached, bare, name = objectives(model, folder)
    start = copy.deepcopy(cached.module.state_dict())
    timing = Timing(model=name, steps=steps)
    waits: list[float] = []
    saves: list[float] = []
    for number in range(rounds + 1):  # the first one warms up
        for kind in ("ours", "plain", "bare") if number % 2 else ("plain", "ours", "bare"):
            cached.module.load_state_dict(start)
            out = folder / f"{number}-{kind}"
            if kind == "plain":
                seconds, last = plain_loop(cached, steps)
                timing.losses = (timing.losses[0], last)
            else:
                seconds, last, waited, saved = our_loop(cached if kind == "ours" else bare, steps, out)
                if kind == "ours":
                    timing.losses = (last, timing.losses[1])
                    waits.append(waited / seconds)
                    saves.append(saved)
            if number:
                getattr(timing, kind).append(seconds / steps)
    timing.waited = statistics.median(waits)
    timing.saved = statistics.median(saves)
    return timing


def objectives(model: Path | None, folder: Path) -> tuple[Any, Any, str]:
    """The stage's own objective from its cache, and one that has pictures and prompts and works them out each time."""
    import torch

    from training.pretrain.examples import ExampleConfig, example
    from training.pretrain.stage import TABLE, Sizes, StageConfig, new_objective, renew

    pipeline, name = load(model)
    torch.manual_seed(0)
    renew(pipeline, ("bridge", "transformer"), Sizes(**SIZES))
    examples = ExampleConfig(pairs=EXAMPLES, held_out=2, scenes=3)
    config = StageConfig(settings(1), folder, folder, folder / "cache", examples=examples)
    config = replace(config, flow=replace(config.flow, batch=BATCH))
    cached = new_objective(TABLE["sft"], config, pipeline, {"next": 1.0}).flow["next"]
    made = [example(pipeline, examples, "next", i) for i in range(EXAMPLES)]
    return cached, Bare(cached, pipeline, made), name


class Bare:
    """The same objective, whose batches bring their latents and the reader's states with them, made each time."""

    def __init__(self, cached: Any, pipeline: Any, made: list[Any]) -> None:
        self.inner, self.pipeline, self.made, self.module = cached, pipeline, made, cached.module

    def batch(self, rng: np.random.Generator) -> Any:
        return self.inner.batch(rng)

    def loss(self, batch: Any, generator: Any) -> Any:
        import torch

        from training.generator import encode_clips, read_queries

        some = [self.made[i] for i in batch["index"].tolist()]
        pipeline = self.pipeline
        rows = {
            "latents": encode_clips(pipeline.vae, np.stack([e.frames for e in some])),
            "tails": encode_clips(pipeline.vae, np.stack([e.before for e in some]))[:, :, -1],
        }
        queries = pipeline.connector.queries
        states = read_queries(pipeline.vision_language, pipeline.processor, queries, [e.prompt for e in some])
        cache = replace(self.inner.cache, **rows, labels=self.inner.cache.labels[batch["index"]])
        condition = torch.where(batch["drop"][:, None, None], cache.null.float(), states.float())
        return self.inner.flow_loss(cache, torch.arange(len(some)), condition, batch["cut"], generator)

    def evaluate(self) -> dict[str, float]:
        return {}


def settings(steps: int) -> Any:
    from training.loop import LoopConfig

    return LoopConfig(steps, optimiser="adamw", warmup=1, decay_from=1.0, log_every=10**6, eval_every=10**6)


def our_loop(objective: Any, steps: int, out: Path) -> tuple[float, float, float, float]:
    """-> seconds of all steps, the last loss, seconds that were waited for data, seconds of one save."""
    from training import checkpoint, loop

    watched = Watched(objective)
    saves: list[float] = []
    save = checkpoint.save

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        done = save(*arguments, **named)
        saves.append(time.perf_counter() - began)
        return done

    with put(checkpoint, "save", timed):
        loop.train(watched, settings(steps), out)
    return watched.ended - watched.began, watched.last, watched.waited, saves[-1]


class Watched:
    """An objective with a clock: from the first batch to the end of the last step (evaluation and save come after)."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.module = inner, inner.module
        self.began = self.ended = self.waited = self.last = 0.0

    def batch(self, rng: np.random.Generator) -> Any:
        now = time.perf_counter()
        self.began = self.began or now
        made = self.inner.batch(rng)
        self.waited += time.perf_counter() - now
        return made

    def loss(self, batch: Any, generator: Any) -> Any:
        loss, figures = self.inner.loss(batch, generator)
        self.last = float(loss.detach())
        return loss, figures

    def evaluate(self) -> dict[str, float]:
        self.ended = time.perf_counter()
        return {}


@contextlib.contextmanager
def put(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def plain_loop(objective: Any, steps: int) -> tuple[float, float]:
    """What one writes with accelerate alone: no average, no guard, no log, no checkpoints. -> seconds, last loss."""
    import torch
    from accelerate import Accelerator

    config = settings(steps)
    accelerator = Accelerator(cpu=True, mixed_precision="bf16")
    moving = [p for p in objective.module.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(moving, lr=config.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
    adam = accelerator.prepare(adam)
    began, loss = time.perf_counter(), torch.zeros(())
    for step in range(steps):
        batch = objective.batch(np.random.default_rng((config.seed, step)))
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        with accelerator.autocast():
            loss, _ = objective.loss(batch, generator)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(moving, config.clip)
        adam.step()
        adam.zero_grad()
    return time.perf_counter() - began, float(loss.detach())


def rows(row: Any, timed: dict[str, Any]) -> list[dict[str, Any]]:
    """For tests.bench.main: what was promised about a training step."""
    name, steps = timed["model"], timed["steps"]
    how = f"lab model, batch {BATCH}, bfloat16, {steps} steps, {THREADS} threads, parts of {name}"
    ours, plain, bare = (statistics.median(timed[k]) for k in ("ours", "plain", "bare"))
    same = abs(timed["losses"][0] - timed["losses"][1]) <= 0.01 * abs(timed["losses"][1])
    losses = f"loss {timed['losses'][0]:.4f} and {timed['losses'][1]:.4f}"
    ratio, noise = paired_ratio(timed["ours"], timed["plain"])
    without, _ = paired_ratio(timed["ours"], timed["bare"])
    every = 60 * settings(1).save_minutes
    return [
        {
            **row(f"a training step ({how}; {losses})", None, "s", bar=1.0),
            **{"value": round(ours, 4), "peer": "a plain accelerate loop, same model, optimiser, cache and batches"},
            **{"peer_value": round(plain, 4), "ratio": round(ratio, 4), "ok": same and ratio <= 1.0 + noise},
        },
        {
            **row("a training step with cached latents and reader's states", None, "s", bar=1 / 3),
            **{"value": round(ours, 4), "peer": "the same loop that encodes and reads at every step"},
            **{"peer_value": round(bare, 4), "ratio": round(without, 4), "ok": without <= 1 / 3},
        },
        row("waiting for data, share of a step", timed["waited"], "", bar=0.05),
        row(f"checkpoint, share of the time at one in {every:.0f} s", timed["saved"] / every, "", bar=0.02),
    ]


if __name__ == "__main__":
    sys.exit(main())
