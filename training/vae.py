"""Stage `vae`: teach the LTX autoencoder to draw the picture-book world.

python -m training.vae training/configs/starter/vae.yaml [key=value ...]

A fixed-noise autoencoder rather than a sampled posterior: the LTX class has one shared log-variance channel, and with a
KL term its noise stayed at 13% of the signal and capped PSNR (DECISIONS.md). Loss: L1 and MSE weighted towards things
(the renderer knows their masks), plus edges in x, y and t. Most steps see single frames: a ninth of the cost of a clip.
"""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nsp_core.model import build
from training.loop import LoopConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VaeConfig:
    loop: LoopConfig
    pool: Path
    out: Path
    width: int = 32
    still_share: float = 0.6
    still_batch: int = 20
    clip_batch: int = 8
    clip_frames: int = 9
    crop: int = 64
    noise: float = 0.06  # standard deviation added to the latent mean
    round_trip_share: float = 0.1  # steps that decode the re-encoded reconstruction too
    thing_weight: float = 6.0
    edge_weight: float = 0.5
    square_weight: float = 3.0
    motion_weight: float = 4.0  # extra weight of pixels that differ from the frame before: rain is thin and quick
    prior_weight: float = 1e-4
    # Only the decoder learns: what a generator was trained on stays valid, and its clips come out sharper
    decoder_only: bool = False
    # Of an encoder that learns on: how dearly its latents leave those of `init`, which a generator was trained on
    stay_weight: float = 0.0
    wide_decoder: bool = False  # an `init` without one gives all that has the same shape
    threads: int = 2
    device: str = "cpu"
    init: Path | None = None
    minutes: float = math.inf


@dataclass
class VaeObjective:
    """Frames come from a pool on disk: `frames.npy` (N, 17, 96, 160, 3) uint8, `masks.npy` (N, 17, 96, 20) bits."""

    config: VaeConfig
    module: Any = field(init=False)
    beginning: nn.Module | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.module: nn.Module = build.autoencoder(self.config.width, wide_decoder=self.config.wide_decoder)
        if self.config.decoder_only:
            self.module.encoder.requires_grad_(False)
        self.frames = np.load(self.config.pool / "frames.npy", mmap_mode="r")
        self.masks = np.load(self.config.pool / "masks.npy", mmap_mode="r")
        self.held_out = 48  # the last clips of the pool are never trained on
        self.count = len(self.frames) - self.held_out

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, bool]:
        c = self.config
        clips = rng.random() >= c.still_share
        xs, ms = [], []
        for i in rng.integers(self.count, size=c.clip_batch if clips else c.still_batch):
            if clips:
                # starts are not aligned to the causal grid on purpose: any frame can be the first of a later clip
                f = int(rng.integers(build.FRAMES - c.clip_frames + 1))
                y = int(rng.choice([0, 16, 32, 32, 8, 24]))
                x = int(rng.integers(build.WIDTH - c.crop + 1))
                window = (slice(f, f + c.clip_frames), slice(y, y + c.crop))
                xs.append(self.frames[i][window][:, :, x : x + c.crop])
                ms.append(np.unpackbits(self.masks[i][window], axis=-1)[:, :, x : x + c.crop])
            else:
                f = int(rng.integers(build.FRAMES))
                xs.append(self.frames[i, f : f + 1])
                ms.append(np.unpackbits(self.masks[i, f : f + 1], axis=-1))
        return (
            to_tensor(np.stack(xs)),
            torch.from_numpy(np.stack(ms)).float()[:, None],
            rng.random() < c.round_trip_share,
        )

    def loss(self, batch: tuple[Tensor, Tensor, bool], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        x, mask, round_trip = batch
        x, mask = x.to(generator.device), mask.to(generator.device)
        with torch.set_grad_enabled(not self.config.decoder_only):
            mean = self.module.encode(x).latent_dist.mean
        noisy = mean + self.config.noise * torch.randn(mean.shape, generator=generator, device=mean.device)
        y = self.module.decode(noisy).sample
        loss, l1 = self.distance(y, x, mask)
        if round_trip:
            again = self.module.decode(self.module.encode(y.clamp(-1, 1)).latent_dist.mean).sample
            loss = 0.5 * loss + 0.5 * self.distance(again, x, mask)[0]
        loss = loss + self.config.prior_weight * mean.float().square().mean()
        said = {"l1": float(l1.detach()), "latent_std": float(mean.detach().float().std())}
        if self.beginning is not None:
            with torch.no_grad():
                before = self.beginning(x)[:, : mean.shape[1]]
            moved = (mean - before).float().square().mean()
            loss = loss + self.config.stay_weight * moved
            said["moved"] = float(moved.detach().sqrt())
        return loss, said

    def stay_near(self) -> None:
        """What the encoder is now is where its latents are held, as strongly as `stay_weight` says."""
        if self.config.stay_weight:
            self.beginning = copy.deepcopy(self.module.encoder).requires_grad_(False)

    def distance(self, y: Tensor, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        c = self.config
        y = y.float()
        weight = 1 + c.thing_weight * functional.max_pool3d(mask, (1, 5, 5), 1, (0, 2, 2))
        if c.motion_weight and x.shape[2] > 1:
            weight = weight + c.motion_weight * moving(x)
        weight = weight / weight.mean()
        error = y - x
        edges = sum((e.abs()).mean() for e in (error.diff(dim=2), error.diff(dim=3), error.diff(dim=4)) if e.numel())
        l1 = error.abs()
        loss = (l1 * weight).mean() + c.edge_weight * edges + c.square_weight * (error.square() * weight).mean()
        return loss, l1.mean()

    def evaluate(self) -> dict[str, float]:
        """PSNR of held-out full clips, on all pixels and on things alone, and after three round trips."""
        whole, things, thrice = [], [], []
        device = next(self.module.parameters()).device
        for i in range(self.count, self.count + self.held_out, 4):
            x = to_tensor(self.frames[i : i + 4]).to(device)
            mask = torch.from_numpy(np.unpackbits(self.masks[i : i + 4], axis=-1)).bool().to(device)
            with torch.autocast(device.type, torch.bfloat16):
                y = reconstruct(self.module, x)
            error = (y - x).square().mean(1)
            whole += [psnr(e) for e in error]
            things += [psnr(e[m]) for e, m in zip(error, mask, strict=True) if m.any()]
            if i < self.count + 16:
                with torch.autocast(device.type, torch.bfloat16):
                    y = reconstruct(self.module, reconstruct(self.module, y))
                thrice += [psnr(e) for e in (y - x).square().mean(1)]
        return {
            "psnr": float(np.mean(whole)),
            "psnr_worst": float(np.min(whole)),
            "psnr_things": float(np.mean(things)),
            "psnr_three_trips": float(np.mean(thrice)),
        }


def moving(x: Tensor, threshold: float = 0.08) -> Tensor:
    """(B, 3, T, H, W) -> (B, 1, T, H, W): 1 where a pixel differs from the frame before (at first: from the next)."""
    changes = (x.diff(dim=2).abs().amax(1, keepdim=True) > threshold).to(x.dtype)
    return torch.cat([changes[:, :, :1], changes], 2)


def to_tensor(frames: np.ndarray) -> Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def reconstruct(vae: Any, x: Tensor) -> Tensor:
    return vae.decode(vae.encode(x).latent_dist.mode()).sample.float().clamp(-1, 1)


def psnr(error: Tensor) -> float:
    """Of squared errors on the [-1, 1] scale, in dB."""
    return float(-10 * torch.log10(error.mean() / 4 + 1e-12))
