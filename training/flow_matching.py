"""Objective `flow matching`: the transformer and the connector learn to draw the next clip from cached latents.

Knows nothing of how the cache was made (training/generator.py) or of the loop. What is trained is
`nsp_core.model.velocity.predict_velocity`, which is what is shipped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nsp_core import flow
from nsp_core.latents import Reference, first_seen, to_target
from nsp_core.model.velocity import predict_velocity
from training.parallel import Share
from training.recycling import OwnErrors


@dataclass(frozen=True)
class FlowConfig:
    batch: int = 32
    cut_share: float = 0.0  # samples drawn as *cut*: all latents noisy, no reference
    drop: float = 0.1  # conditions replaced by the null prompt, for guidance
    logit_mean: float = 0.6  # of the timestep's logit-normal law, *continue*
    logit_mean_cut: float = 1.3
    high_share: float = 0.2  # timesteps drawn uniformly from [.85, 1]: layout and colour are decided there
    changed_weight: float = 4.0  # extra weight of cells that differ from the reference
    changed_threshold: float = 0.25
    shows_tail: bool = False  # what the transformer is shown of the last clip: its tail, or its last frame alone
    reference_noise: float = 0.0  # deviation added to the tail, so that small errors of a chain are not kept
    error_share: float = 0.0  # samples that continue from a picture with one of the model's own errors (`errors`)
    error_scale: float = 1.5  # at most as large as so many of them
    own_share: float = 0.0  # samples that continue one of the model's own clips, errors and all, as they were


Own = tuple[Tensor, Tensor, Tensor]  # which of a batch (B,), and the errors of their heads and tails (B, C, h, w)


@dataclass(frozen=True)
class Cache:
    """Tensors of N pairs: latents (N, C, F, h, w), tails (N, C, h, w), conditions (N, wordings, Q, D), null (Q, D).

    The first three may be what is indexed as a tensor and has its rows elsewhere (training/pretrain/cache.py)."""

    latents: Any
    tails: Any
    conditions: Any
    null: Tensor
    labels: Tensor  # (N,) rule numbers; -1 is a described beginning
    residual_scale: Tensor  # (C,)
    numbers: Tensor | None = None  # (N,) of the examples, where a cache's maker knows them by number

    def to(self, device: str) -> Cache:
        parts = (getattr(self, f.name) for f in fields(self))
        return Cache(*(None if part is None else part.to(device) for part in parts))


class Generator(nn.Module):
    """What this stage trains: the connector's bridge and the transformer (the queries stay as the reader left them)."""

    def __init__(self, connector: Any, transformer: Any) -> None:
        super().__init__()
        self.connector = connector
        self.transformer = transformer
        connector.queries.requires_grad_(False)


@dataclass
class FlowObjective:
    config: FlowConfig
    module: Generator
    cache: Cache
    held_out: Cache
    rope_scale: tuple[float, ...] = (2.0, 128.0, 128.0)
    share: Share = Share()
    errors: OwnErrors | None = None

    @property
    def reference(self) -> Reference:
        return "repeat_tail" if self.config.shows_tail else "repeat_last"

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        c = self.config
        index = torch.from_numpy(rng.integers(len(self.cache.latents), size=c.batch))
        wording = torch.from_numpy(rng.integers(self.cache.conditions.shape[1], size=c.batch))
        made = {
            "index": index,
            "wording": wording,
            # a described beginning has nothing to continue from
            "cut": torch.from_numpy(rng.random(c.batch) < c.cut_share) | (self.cache.labels[index].cpu() < 0),
            "drop": torch.from_numpy(rng.random(c.batch) < c.drop),
        }
        if c.own_share and self.errors is not None and self.errors.rows is not None:
            made["own"] = torch.from_numpy(rng.random(c.batch) < c.own_share)
            made["own_index"] = torch.from_numpy(rng.integers(len(self.errors.rows.latents), size=c.batch))
        return made

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        batch = {k: v.to(generator.device) for k, v in batch.items()}
        cache, own = self.cache, None
        if "own" in batch:
            cache, own, batch = self.with_own_rows(batch)
        condition = cache.conditions[batch["index"], batch["wording"]].float()
        condition = torch.where(batch["drop"][:, None, None], cache.null.float(), condition)
        mine, _ = self.share.rows(batch["cut"])
        errors = self.errors if self.config.error_share else None
        states, index, cut = condition[mine], batch["index"], batch["cut"]
        return self.flow_loss(cache, index, states, cut, generator, self.share, errors, own)

    def with_own_rows(self, batch: dict[str, Tensor]) -> tuple[Cache, Own, dict[str, Tensor]]:
        """The batch's rows as a cache of their own, those of `own` from the model's own clips instead."""
        assert self.errors is not None and self.errors.rows is not None
        cache, rows, here, which = self.cache, self.errors.rows, batch["own"], batch["own_index"]

        def mixed(usual: Tensor, of_own: Tensor) -> Tensor:
            shape = (-1, *[1] * (usual.ndim - 1))
            return torch.where(here.view(shape), of_own[which].to(usual), usual)

        index, wording = batch["index"], batch["wording"]
        made = Cache(
            mixed(cache.latents[index], rows.latents),
            mixed(cache.tails[index], rows.tails),
            mixed(cache.conditions[index, wording], rows.conditions)[:, None],
            cache.null,
            mixed(cache.labels[index], rows.labels),
            cache.residual_scale,
        )
        number = rows.of[which]
        own = (here, self.errors.heads[number], self.errors.tails[number])
        every = torch.arange(len(here), device=here.device)
        return made, own, {**batch, "index": every, "wording": torch.zeros_like(every), "cut": batch["cut"] & ~here}

    def flow_loss(
        self,
        cache: Cache,
        index: Tensor,
        states: Tensor,
        cut: Tensor,
        generator: torch.Generator,
        share: Share | None = None,
        errors: OwnErrors | None = None,
        own: Own | None = None,
    ) -> tuple[Tensor, dict[str, float]]:
        """`index` and `cut` (B,) are of the global batch, `states` (b, Q, D) of the rows that are this process's."""
        c, share = self.config, share or Share()
        latents, tails = cache.latents[index].float(), cache.tails[index].float()
        size = len(index)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=generator.device)

        heads = latents[:, :, 0]
        if c.reference_noise:
            tails = tails + c.reference_noise * normal(*tails.shape)
        if errors is not None:
            heads, tails = with_own_errors(heads, tails, errors, c, generator)
        kept_tails = cache.tails[index].float()
        if own is not None:  # nothing is added to what has its own; being rid of it counts as a change
            here = own[0][:, None, None, None]
            heads = torch.where(here, latents[:, :, 0] + own[1], heads)
            kept_tails = torch.where(here, kept_tails + own[2], kept_tails)
            tails = torch.where(here, kept_tails, tails)
        reference = torch.cat([heads[:, :, None], tails[:, :, None].expand_as(latents[:, :, 1:])], 2)
        residual = to_target(latents, reference, self.reference, cache.residual_scale)
        shown = first_seen(reference, self.reference)
        is_cut = cut[:, None, None, None, None]
        clean = torch.where(is_cut, latents, residual)
        mean = torch.where(cut, c.logit_mean_cut, c.logit_mean)
        sigma = torch.sigmoid(normal(size) + mean)
        high, where = (torch.rand(size, generator=generator, device=generator.device) for _ in range(2))
        sigma = torch.where(high < c.high_share, 0.85 + 0.15 * where, sigma)
        noise = normal(*clean.shape)
        x = flow.add_noise(clean, noise, sigma)
        target = flow.velocity_target(clean, noise)
        kept = torch.cat([latents[:, :, :1], kept_tails[:, :, None].expand_as(latents[:, :, 1:])], 2)
        weight = 1 + c.changed_weight * changed_cells(latents, kept, c.changed_threshold)
        squared: list[Tensor] = []
        counts: list[float] = []
        tokens = self.module.connector(states)
        mine, counted = share.rows(cut)
        for mode in (False, True):
            here = (cut[mine] == mode).nonzero()[:, 0]
            if not len(here):
                continue
            rows = mine[here]
            given = 0 if mode else 1
            noisy = x[rows] if mode else torch.cat([shown[rows], x[rows, :, 1:]], 2)
            v = predict_velocity(
                self.module.transformer,
                noisy,
                sigma[rows],
                tokens[here],
                clean_frames=given,
                rope_scale=self.rope_scale,
            )
            error = (v.float() - target[rows]).square().mean(1, keepdim=True)[:, :, given:]
            w = weight[rows][:, :, given:] * counted[here][:, None, None, None, None]
            whole = weight[cut == mode][:, :, given:].sum()  # of all processes: each knows the global batch
            squared.append((error * w).sum() / whole * share.size)
            counts.append(float((cut == mode).sum()))
        parts = torch.tensor(counts, device=clean.device) / size
        loss = (torch.stack(squared) * parts).sum()
        names = [n for n, m in (("continue", False), ("cut", True)) if (cut == m).any()]
        return loss, {n: float(s.detach()) for n, s in zip(names, squared, strict=True)}

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Held-out loss with the true condition and with another pair's: the difference is what the words are worth."""
        held, figures = self.held_out, {}
        count = min(128, len(held.latents))
        begins = held.labels < 0
        device = held.latents.device
        settings: list[tuple[str, bool, OwnErrors | None]] = [("continue", False, None), ("cut", True, None)]
        if self.errors is not None and self.config.error_share:
            settings.append(("continue_after_errors", False, self.errors))
        for name, cut, errors in settings:
            losses = {"true": 0.0, "shuffled": 0.0}
            seen = 0
            for start in range(0, count, 32):
                index = torch.arange(start, min(start + 32, count), device=device)
                index = index if cut else index[~begins[index]]  # a beginning continues nothing
                if not len(index):
                    continue
                flags = torch.full((len(index),), cut, device=device)
                for kind in losses:
                    states = held.conditions[index if kind == "true" else (index + 17) % count, 0].float()
                    generator = torch.Generator(device).manual_seed(start)
                    with torch.autocast(device.type, torch.bfloat16):
                        value, _ = self.flow_loss(held, index, states, flags, generator, errors=errors)
                    losses[kind] += float(value) * len(index)
                seen += len(index)
            if not seen:
                continue
            figures[name] = losses["true"] / seen
            figures[f"{name}_words_worth"] = (losses["shuffled"] - losses["true"]) / seen
        return figures


def with_own_errors(
    heads: Tensor, tails: Tensor, errors: OwnErrors, config: FlowConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`heads` and `tails` (B, C, h, w) as the model would have left them: some get an error, at any place, of any size
    up to `error_scale`. Both get the same one, as they do when a story is drawn."""
    size, device = len(heads), generator.device
    which = torch.randint(len(errors.heads), (size,), generator=generator, device=device)
    has, large = (torch.rand(size, generator=generator, device=device) for _ in range(2))
    much = torch.where(has < config.error_share, large * config.error_scale, 0.0)[:, None, None, None]
    left = int(torch.randint(heads.shape[-1], (1,), generator=generator, device=device))
    added = [much * e[which].roll(left, -1) for e in (errors.heads, errors.tails)]
    return heads + added[0], tails + added[1]


def changed_cells(latents: Tensor, reference: Tensor, threshold: float) -> Tensor:
    """(B, 1, F, h, w): 1 where a cell differs from the reference by more than `threshold` on average over channels."""
    return ((latents - reference).abs().mean(1, keepdim=True) > threshold).float()
