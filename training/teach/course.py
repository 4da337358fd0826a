"""The objective of a lesson: that of stage adapt, watched. It says how it goes, remembers the best look at the held-out
clips, and ends early when going on makes those worse, or when the time is up.

What it remembers is kept with the checkpoint, so that a lesson that was paused or killed ends as one that was not.
Knows nothing of folders beyond the two files that it writes.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.loop import forget_after
from training.objective import StopTraining
from training.pretrain.objective import StagedObjective

LOOKS = 32  # single losses that a look at the held-out clips is the mean of, at least
PATIENCE = 4  # looks that may be no better before it ends
BETTER = 0.002  # as a share of the loss: less is noise
OVER = 1.5  # times the minutes that were asked for, before time itself ends it


class Enough(StopTraining):
    """A good end before the last step; str() says why."""


@dataclass
class Watch:
    """Where it is told, and what ends it."""

    steps: int
    progress: Path
    best: Path
    tell: Callable[..., None]
    look: Callable[[int], None]  # draws what there is to be seen at a step
    every: int  # steps between rows
    minutes: float = math.inf
    began: float = field(default_factory=time.monotonic)
    before: float = 0.0  # seconds that earlier pieces took


@dataclass
class Course(StagedObjective):
    watch: Watch | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.step, self.mean = 0, math.nan
        self.lowest, self.lowest_at, self.since = math.inf, 0, 0
        self.why = ""
        self._first = 0

    # -- what is remembered -------------------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("step", "mean", "lowest", "lowest_at", "since", "why")}

    def resume(self, step: int, state: dict[str, Any] | None) -> None:
        for name, value in (state or {}).items():
            setattr(self, name, value)
        self.step = self._first = step
        watch = self._watch()
        forget_after(step, watch.progress)
        watch.began = time.monotonic()

    # -- steps --------------------------------------------------------------------------------------------------------
    def loss(self, batch: dict[str, Any], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        watch = self._watch()
        if not self.why and watch.before + self._seconds() > OVER * watch.minutes * 60:
            self.why = "the time was up"
        if self.why:
            raise Enough(self.why)
        value, figures = super().loss(batch, generator)
        if batch["kind"] != "prior":  # what it is to learn; beside it, the old world's loss is small from the beginning
            one = float(value.detach())
            self.mean = one if math.isnan(self.mean) else 0.9 * self.mean + 0.1 * one
        self.step += 1
        if self.step % watch.every == 0 and not math.isnan(self.mean):
            self._row(None)
        return value, figures

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The held-out clips with the same noise at every look, so that looks can be compared; the averaged weights are
        in the module, and are kept where they are the best so far."""
        watch = self._watch()
        figures = self.held_out_losses()
        value = of_new_world(figures)
        self._row(value)
        if value < self.lowest * (1 - BETTER) or not watch.best.is_file():
            self.lowest, self.lowest_at, self.since = value, self.step, 0
            part = watch.best.with_suffix(".partial")
            save_file({n: p.detach().cpu().contiguous() for n, p in self.module.state_dict().items()}, part)
            os.replace(part, watch.best)
        else:
            self.since += 1
        if self.since >= PATIENCE and self.step >= watch.steps * 2 // 3:  # while the rate is high looks jump about
            self.why = "the clips that it never learns from did not get better any more"
        watch.look(self.step)
        return figures

    @torch.no_grad()
    def look_before(self) -> None:
        """The first row: the held-out clips before anything is learnt."""
        self.mean = value = of_new_world(self.held_out_losses())
        self._row(value)
        self.mean = math.nan

    @torch.no_grad()
    def held_out_losses(self) -> dict[str, float]:
        figures = {}
        for name, held in self.held_out.items():
            count, device = len(held.latents), held.latents.device
            index, cut = torch.arange(count, device=device), held.labels < 0
            if self.reader is None:
                states = held.conditions[:, 0].float()
            else:
                assert self.held_out_prompts is not None
                states = self.states(list(self.held_out_prompts[name]))
            losses = []
            for seed in range(max(1, -(-LOOKS // count))):
                generator = torch.Generator(device).manual_seed(seed)
                with torch.autocast(device.type, torch.bfloat16):
                    value, _ = self.flow[name].flow_loss(held, index, states, cut, generator)
                losses.append(float(value))
            figures[name] = sum(losses) / len(losses)
        return figures

    # -- telling ------------------------------------------------------------------------------------------------------
    def _watch(self) -> Watch:
        assert self.watch is not None
        return self.watch

    def _seconds(self) -> float:
        return time.monotonic() - self._watch().began

    def _row(self, held_out: float | None) -> None:
        watch = self._watch()
        taken = self.step - self._first
        pace = self._seconds() / taken if taken else 0.0
        mean = self.mean if held_out is None or not math.isnan(self.mean) else held_out
        row: dict[str, Any] = {"step": self.step, "steps": watch.steps, "loss": round(mean, 5)}
        row |= {"held_out": None if held_out is None else round(held_out, 5)}
        row |= {"seconds": round(watch.before + (self._seconds() if taken else 0.0), 1)}
        row |= {"seconds_left": round(pace * (watch.steps - self.step), 1) if taken else None}
        with watch.progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        watch.tell("progress", **row)


def of_new_world(figures: dict[str, float]) -> float:
    own = [value for name, value in figures.items() if name != "prior"]
    return sum(own) / len(own)
