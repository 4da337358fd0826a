"""The one training loop: batch -> loss -> backward -> clip -> step -> average -> log, with exact resume.

Everything random is drawn from (seed, step), so a run that was killed and resumed on one machine takes the same steps
as one that was not: no generator state is stored. A run is cut into pieces of `minutes`; SIGTERM ends a piece early.
Under torchrun several processes take every step together (training/parallel.py).
"""

from __future__ import annotations

import gc
import json
import logging
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from nsp_core.errors import CheckpointMismatch, ConfigError
from training import checkpoint, parallel, sharded
from training.ema import Ema
from training.objective import Objective, Remembering, StopTraining
from training.optim import Optimiser
from training.prefetch import batches
from training.trackers import Name, Trackers

log = logging.getLogger(__name__)
PREEMPTED = 75  # sysexits EX_TEMPFAIL: saved, run me again


@dataclass(frozen=True)
class LoopConfig:
    steps: int
    optimiser: Literal["muon", "adamw", "prodigy"] = "muon"  # see training.optim; prodigy finds its own rate
    muon_lr: float = 1.5e-3
    adam_lr: float = 1e-3
    weight_decay: float = 0.0
    warmup: int = 20
    decay_from: float = 0.6  # share of `steps` after which the rate falls linearly
    floor: float = 0.02  # last rate as a share of the first
    clip: float = 1.0
    ema: float = 0.995
    seed: int = 0
    log_every: int = 20
    eval_every: int = 500
    save_minutes: float = 5.0
    spike: float = 20.0  # a loss above this many running means stops the run
    autocast: bool = True
    workers: int = 0  # processes that make batches ahead; 0 makes them in this one
    trackers: tuple[Name, ...] = ()  # tensorboard, trackio, wandb: besides metrics.jsonl
    parallel: Literal["replicate", "shard"] = "replicate"  # under torchrun: everything in each process, or divided


def learning_rate(step: int, config: LoopConfig) -> float:
    """Share of the base rate at `step`: linear warm-up, flat, linear fall to `floor`."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    start = config.decay_from * config.steps
    if step < start:
        return 1.0
    return max(config.floor, 1 - (1 - config.floor) * (step - start) / max(1.0, config.steps - start))


def train(
    objective: Objective,
    config: LoopConfig,
    out: Path,
    *,
    adam_names: tuple[str, ...] = (),
    info: dict[str, Any] | None = None,
    minutes: float = math.inf,
    resume: bool = True,
    on_eval: Callable[[int, dict[str, float]], None] | None = None,
) -> int:
    """Run until `config.steps` or the end of this piece. Returns 0 when done, 75 when cut short and saved.

    Raises FloatingPointError when the loss is not finite or jumps beyond `spike` times its running mean.
    """
    out.mkdir(parents=True, exist_ok=True)
    module, ranks = objective.module, parallel.ranks()
    parallel.take_part(objective, ranks)
    divided = config.parallel == "shard"
    if divided and (config.optimiser != "adamw" or isinstance(objective, Remembering)):
        raise ConfigError("loop.parallel=shard goes with loop.optimiser=adamw, and not with stage grpo.")
    if divided and ranks.size > 1:
        parallel.shard(module, ranks, config.autocast)
    optimiser = Optimiser(
        module.named_parameters(),
        muon_lr=config.muon_lr,
        adam_lr=config.adam_lr,
        weight_decay=config.weight_decay,
        adam_names=adam_names,
        kind=config.optimiser,
    )
    ema = Ema(module, config.ema)
    if not resume and checkpoint.list_steps(out / "checkpoints"):
        raise ConfigError(f"{out} holds checkpoints of an earlier run: resume it, remove them, or name another out=.")
    step, running = _restore(objective, optimiser, ema, out / "checkpoints", divided)
    ranks.wait()
    if ranks.main:
        forget_after(step, out / "metrics.jsonl")
    device = next(module.parameters()).device
    gc.freeze()  # pools of stories hold millions of objects that every collection would walk through
    stop = _Stop()
    started = saved = time.monotonic()
    settled = step + 50 if running is None else step  # a young mean is no measure

    def save() -> None:
        about = {**(info or {}), "running": running}
        if divided:
            sharded.save(out / "checkpoints", step, module, ema, optimiser, about, ranks)
            return
        if ranks.main:
            state = optimiser.state_dict()
            if isinstance(objective, Remembering):
                state["objective"] = objective.state()
            checkpoint.save(out / "checkpoints", step, dict(module.state_dict()), ema.state_dict(), state, about)
        ranks.wait()  # who goes on from it must find it

    def tell(row: dict[str, Any]) -> None:
        metrics.write(json.dumps(row) + "\n")
        trackers.tell(row)

    with (
        stop,
        closing(Trackers(config.trackers if ranks.main else (), out, step, asdict(config))) as trackers,
        # by the line: a kill loses none
        (out / "metrics.jsonl" if ranks.main else Path(os.devnull)).open("a", buffering=1) as metrics,
        batches(objective, config.seed, step, config.steps, config.workers) as next_batch,
    ):
        while step < config.steps:
            if ranks.any(stop.asked or time.monotonic() - started > minutes * 60):
                save()
                return PREEMPTED
            batch = next_batch()
            generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
            optimiser.set_lr(learning_rate(step, config))
            optimiser.zero_grad()
            try:
                with torch.autocast(device.type, torch.bfloat16, enabled=config.autocast):
                    loss, figures = objective.loss(batch, generator)
            except StopTraining:
                save()
                raise
            value = ranks.mean([float(loss.detach())])[0]
            mean = value if running is None else running
            if not math.isfinite(value) or (step > settled and value > config.spike * abs(mean)):
                raise FloatingPointError(f"The loss went to {value:.3g} at step {step} (running mean {mean:.3g}).")
            running = value if running is None else 0.98 * running + 0.02 * value
            if loss.requires_grad:
                loss.backward()
            ranks.average(optimiser.parameters)
            norm = parallel.clip(optimiser.parameters, config.clip)
            optimiser.step()
            step += 1
            ema.update(module, step)
            if step % config.log_every == 0:
                row = {"step": step, "seconds": round(time.monotonic() - started, 1), "loss": running}
                row |= {"norm": float(norm), **ranks.figures(figures)}
                tell(row)
                log.info(" ".join(f"{k} {v:.4g}" for k, v in row.items()))
            if step % config.eval_every == 0 or step == config.steps:
                held_out = evaluate(objective, ema)
                tell({"step": step, "held_out": held_out})
                log.info("held out: %s", " ".join(f"{k} {v:.4g}" for k, v in held_out.items()))
                if on_eval:
                    on_eval(step, held_out)
            if ranks.any(time.monotonic() - saved > config.save_minutes * 60):
                save()
                saved = time.monotonic()
    save()
    return 0


def evaluate(objective: Objective, ema: Ema) -> dict[str, float]:
    """Held-out figures of the averaged weights; the trained weights are put back afterwards."""
    module = objective.module
    kept = {n: p.detach().clone() for n, p in module.named_parameters() if n in ema.shadow}
    ema.copy_to(module)
    module.eval()
    with torch.no_grad():
        figures = objective.evaluate()
        for name, p in module.named_parameters():
            if name in kept:
                p.copy_(kept[name])
    module.train()
    return figures


def _restore(
    objective: Objective, optimiser: Optimiser, ema: Ema, folder: Path, divided: bool
) -> tuple[int, float | None]:
    """The step to go on from and the running mean of the loss there."""
    if not checkpoint.list_steps(folder):
        if isinstance(objective, Remembering):
            objective.resume(0, None)
        return 0, None
    path, manifest = checkpoint.newest(folder)
    if divided != bool(manifest.get("sharded")):
        kept = "shard" if manifest.get("sharded") else "replicate"
        raise CheckpointMismatch(
            f"{path} was written with loop.parallel={kept}; go on with that, or name another out=."
        )
    if divided:
        sharded.restore(path, objective.module, ema, optimiser)
        return manifest["step"], manifest.get("running")
    saved = checkpoint.load(path)
    objective.module.load_state_dict(saved.model)
    ema.load_state_dict(saved.ema)
    if saved.optimiser is not None:
        optimiser.load_state_dict(saved.optimiser)
    if isinstance(objective, Remembering):
        objective.resume(saved.step, (saved.optimiser or {}).get("objective"))
    log.info("resumed at step %d%s", saved.step, "" if saved.optimiser else " with fresh optimiser state")
    return saved.step, saved.manifest.get("running")


def forget_after(step: int, metrics: Path) -> None:
    """Drop the figures of steps that were taken after the last checkpoint and will be taken again."""
    if not metrics.is_file():
        return
    kept = []
    for line in metrics.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # the line that a killed run was writing
            continue
        if row["step"] <= step:
            kept.append(line + "\n")
    part = metrics.with_suffix(".partial")
    part.write_text("".join(kept))
    os.replace(part, metrics)


class _Stop:
    """SIGTERM asks the loop to save and leave; the handler of before is put back."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _Stop:
        self._before = signal.signal(signal.SIGTERM, lambda *_: setattr(self, "asked", True))
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)
