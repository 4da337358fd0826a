"""The floor of those who only remember: the training moment that looks most like this one, and what came of it.

Stories of training compositions, drawn from a seed of its own: like the pool that a starter was taught, and the same on
every machine. Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np

from nsp_core.types import Frames
from training.picturebook.draw import clip, still
from training.picturebook.rules import step
from training.picturebook.splits import train_story
from training.picturebook.world import Event, World

MOMENTS = 10_000
SCENES = 8
SIDE = 4  # pixels of a picture that are one of what is compared


@dataclass(frozen=True)
class Neighbour:
    before: World
    event: Event

    def frames(self) -> Frames:
        return clip(self.before, self.event, step(self.before, self.event))


def nearest(picture: np.ndarray) -> Neighbour:
    """Of MOMENTS training moments the one whose picture is nearest to `picture` (H, W, 3), by squared distance."""
    moments, drawn, squares = known()
    return moments[int((squares - 2 * drawn @ small(picture)).argmin())]


@cache
def known() -> tuple[list[Neighbour], np.ndarray, np.ndarray]:
    """The moments, their pictures made small (N, H/4 * W/4 * 3), and the squared length of each (N,)."""
    rng = Random("neighbours")
    moments: list[Neighbour] = []
    while len(moments) < MOMENTS:
        told = train_story(rng, SCENES)
        moments += [Neighbour(world, event) for world, event in zip(told.worlds, told.events, strict=False)]
    moments = moments[:MOMENTS]
    drawn = np.stack([small(still(one.before)) for one in moments])
    return moments, drawn, np.square(drawn).sum(1)


def small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[0] // SIDE, picture.shape[1] // SIDE
    blocks = picture[: height * SIDE, : width * SIDE].astype(np.float32).reshape(height, SIDE, width, SIDE, 3)
    found: np.ndarray = blocks.mean(axis=(1, 3)).ravel()
    return found
