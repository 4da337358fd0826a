"""Objective of pre-training and fine-tuning: flow matching on images, videos and pairs, one kind a step.

The same loss as stage generator's, with one difference: where the queries learn, the reader (which stays as it is) is
run with them at every step; else its states come from the cache. Knows nothing of files or of the table of stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core.model.vision_language import Prompt, prepare, query_states
from training.flow_matching import Cache, FlowConfig, FlowObjective, Generator
from training.parallel import Share
from training.pretrain.examples import pick


@dataclass
class StagedObjective:
    config: FlowConfig
    module: Generator
    caches: dict[str, Cache]  # by kind, or by what a stage calls its sets
    held_out: dict[str, Cache]  # not of all kinds, perhaps: only these are evaluated
    shares: dict[str, float]  # of the steps
    reader: tuple[Any, Any] | None = None  # the frozen model and its processor, where the queries learn
    prompts: dict[str, Sequence[Prompt]] | None = None
    held_out_prompts: dict[str, Sequence[Prompt]] | None = None
    rope_scale: tuple[float, ...] = (2.0, 128.0, 128.0)
    share: Share = Share()

    def __post_init__(self) -> None:
        self.flow = {
            k: FlowObjective(self.config, self.module, c, self.held_out.get(k, c), self.rope_scale)
            for k, c in self.caches.items()
        }

    def batch(self, rng: np.random.Generator) -> dict[str, Any]:
        kind = pick(rng, self.shares)
        return {"kind": kind, **self.flow[kind].batch(rng)}

    def loss(self, batch: dict[str, Any], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        kind, flow = batch["kind"], self.flow[batch["kind"]]
        flow.share = self.share
        if self.reader is None:
            loss, parts = flow.loss({k: v for k, v in batch.items() if k != "kind"}, generator)
            return loss, {f"{kind}_{n}": v for n, v in parts.items()}
        assert self.prompts is not None
        index = batch["index"]
        asked = [Prompt("") if d else self.prompts[kind][i] for i, d in zip(index, batch["drop"], strict=True)]
        device = generator.device
        mine, _ = self.share.rows(batch["cut"])
        states = self.states([asked[i] for i in mine])
        cut = batch["cut"].to(device)
        loss, parts = flow.flow_loss(flow.cache, index.to(device), states, cut, generator, self.share)
        return loss, {f"{kind}_{n}": v for n, v in parts.items()}

    def states(self, asked: list[Prompt]) -> Tensor:
        """(B, Q, D), with a graph to the queries."""
        assert self.reader is not None
        model, processor = self.reader
        queries = self.module.connector.queries
        inputs = {k: v.to(queries.device) for k, v in prepare(processor, asked, multiple=32).items()}
        return query_states(model, inputs, queries)[0].float()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out loss of each kind, and what the condition is worth: the same with another example's, minus it."""
        figures: dict[str, float] = {}
        for kind, held in self.held_out.items():
            count = len(held.latents)
            device = held.latents.device
            index = torch.arange(count, device=device)
            cut = held.labels < 0
            if self.reader is None:
                states = held.conditions[:, 0].float()
            else:
                assert self.held_out_prompts is not None
                states = self.states(list(self.held_out_prompts[kind]))
            losses = []
            for rows in (index, (index + count // 2) % count):
                generator = torch.Generator(device).manual_seed(0)
                with torch.autocast(device.type, torch.bfloat16):
                    value, _ = self.flow[kind].flow_loss(held, index, states[rows], cut, generator)
                losses.append(float(value))
            figures[kind] = losses[0]
            figures[f"{kind}_words_worth"] = losses[1] - losses[0]
        return figures
