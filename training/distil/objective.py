"""Two objectives on described pictures: a teacher learns to draw them, and a student to move as the teacher does.

The student's loss is the distance of two velocities of one transformer at the same noisy latent, once told by the T5
and once by the reader's queries through the connector: what is matched is what the caption does to the drawing, not
the features themselves, of which there are other numbers in other places. Knows nothing of files or stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nsp_core import flow
from nsp_core.model.velocity import predict_velocity
from nsp_core.model.vision_language import Prompt, prepare, query_states
from training.distil.teacher import Teacher
from training.flow_matching import FlowConfig, Generator
from training.parallel import Share


@dataclass(frozen=True)
class Pictures:
    """Latents (N, C, F, h, w) and what they show."""

    latents: Tensor
    captions: tuple[str, ...]


def noisy(latents: Tensor, config: FlowConfig, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """-> latents at a noise level each, the levels (B,), and the velocity that made them so."""
    device = generator.device
    size = len(latents)
    sigma = torch.sigmoid(torch.randn(size, generator=generator, device=device) + config.logit_mean_cut)
    high, where = (torch.rand(size, generator=generator, device=device) for _ in range(2))
    sigma = torch.where(high < config.high_share, 0.85 + 0.15 * where, sigma)
    noise = torch.randn(latents.shape, generator=generator, device=device)
    return flow.add_noise(latents, noise, sigma), sigma, flow.velocity_target(latents, noise)


def draw_batch(rng: np.random.Generator, count: int, config: FlowConfig) -> dict[str, Tensor]:
    return {
        "index": torch.from_numpy(rng.integers(count, size=config.batch)),
        "drop": torch.from_numpy(rng.random(config.batch) < config.drop),
    }


def told(pictures: Pictures, batch: dict[str, Tensor]) -> list[str]:
    """The captions of a batch; "" where the condition is dropped."""
    pairs = zip(batch["index"].tolist(), batch["drop"].tolist(), strict=True)
    return ["" if dropped else pictures.captions[i] for i, dropped in pairs]


@dataclass(frozen=True)
class Part:
    """A process's rows of a global batch, and the mean that makes the processes' mean that of the batch."""

    rows: Tensor
    counted: Tensor
    total: float  # rows of the batch a process

    @classmethod
    def of(cls, share: Share | None, batch: Tensor) -> Part:
        share = share or Share()
        return cls(*share.rows(torch.zeros(len(batch), device=batch.device)), len(batch) / share.size)

    def pick(self, captions: Sequence[str]) -> list[str]:
        return [captions[i] for i in self.rows]

    def mean(self, squared: Tensor) -> Tensor:
        return (squared.flatten(1).mean(1) * self.counted).sum() / self.total


class Taught(nn.Module):
    """What stage teacher trains."""

    def __init__(self, text_encoder: Any, transformer: Any) -> None:
        super().__init__()
        self.text_encoder = text_encoder
        self.transformer = transformer


@dataclass
class TeachObjective:
    """Flow matching with the teacher's own text encoder: what LTX had before anybody met it."""

    config: FlowConfig
    teacher: Teacher
    pictures: Pictures
    held_out: Pictures
    share: Share = Share()

    def __post_init__(self) -> None:
        self.module = Taught(self.teacher.text_encoder, self.teacher.transformer)

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        return draw_batch(rng, len(self.pictures.captions), self.config)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        latents = self.pictures.latents[batch["index"]].float().to(generator.device)
        return self.distance(latents, told(self.pictures, batch), generator, self.share), {}

    def distance(
        self, latents: Tensor, captions: Sequence[str], generator: torch.Generator, share: Share | None = None
    ) -> Tensor:
        x, sigma, target = noisy(latents, self.config, generator)
        part = Part.of(share, x)
        v = self.teacher.velocity(x[part.rows], sigma[part.rows], self.teacher.read(part.pick(captions)))
        return part.mean((v - target[part.rows]).square())

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        return worth(self.held_out, self.distance, next(self.module.parameters()).device)


@dataclass
class DistilObjective:
    """`reader`: the frozen vision-language model and its processor; `task`: how a caption is put to it."""

    config: FlowConfig
    module: Generator
    teacher: Teacher
    reader: tuple[Any, Any]
    task: str
    pictures: Pictures
    held_out: Pictures
    share: Share = Share()

    def batch(self, rng: np.random.Generator) -> dict[str, Tensor]:
        return draw_batch(rng, len(self.pictures.captions), self.config)

    def loss(self, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        latents = self.pictures.latents[batch["index"]].float().to(generator.device)
        return self.distance(latents, told(self.pictures, batch), generator, self.share), {}

    def distance(
        self,
        latents: Tensor,
        captions: Sequence[str],
        generator: torch.Generator,
        share: Share | None = None,
        asked: Sequence[str] | None = None,
    ) -> Tensor:
        """Between the teacher, told `captions`, and the student, told the same or what is `asked`."""
        x, sigma, _ = noisy(latents, self.config, generator)
        part = Part.of(share, x)
        x, sigma = x[part.rows], sigma[part.rows]
        with torch.no_grad():
            target = self.teacher.velocity(x, sigma, self.teacher.read(part.pick(captions)))
        return part.mean((self.velocity(x, sigma, part.pick(asked or captions)) - target).square())

    def velocity(self, x: Tensor, sigma: Tensor, captions: Sequence[str]) -> Tensor:
        tokens = self.module.connector(self.states(captions))
        return predict_velocity(self.module.transformer, x, sigma, tokens, rope_scale=self.teacher.rope_scale).float()

    def states(self, captions: Sequence[str]) -> Tensor:
        """(B, Q, D), with a graph to the queries; the null caption is the pipeline's null prompt."""
        model, processor = self.reader
        queries = self.module.connector.queries
        asked = [Prompt(self.task.format(words=c) if c else "") for c in captions]
        inputs = {k: v.to(queries.device) for k, v in prepare(processor, asked, multiple=32).items()}
        return query_states(model, inputs, queries)[0].float()

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        right = self.held_out.captions
        return worth(
            self.held_out,
            lambda latents, said, generator: self.distance(latents, right, generator, asked=said),
            self.module.connector.queries.device,
        )


def worth(pictures: Pictures, distance: Any, device: torch.device) -> dict[str, float]:
    """Held-out distance, and what the words are worth: the same with another picture's caption, minus it."""
    captions, found = pictures.captions, []
    others = captions[len(captions) // 2 :] + captions[: len(captions) // 2]
    for said in (captions, others):
        generator = torch.Generator(device).manual_seed(0)
        with torch.autocast(device.type, torch.bfloat16):
            found.append(float(distance(pictures.latents.float().to(device), said, generator)))
    return {"distance": found[0], "words_worth": found[1] - found[0]}
