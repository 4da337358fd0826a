"""Edges as they were drawn: a small autoencoder's decoder, taught by mean errors, blurs all of them a little and alike.

An unsharp mask takes that back. Knows nothing of models.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

SIGMA, REACH = 0.7, 3  # pixels: of the Gaussian, and how far its window goes


def unsharp(frames: Tensor, amount: float) -> Tensor:
    """(T, C, H, W) of any range: each pixel, and `amount` times what parts it from its surroundings."""
    if not amount:
        return frames
    return frames + amount * (frames - blurred(frames))


def blurred(frames: Tensor) -> Tensor:
    places = torch.arange(-REACH, REACH + 1, device=frames.device, dtype=frames.dtype)
    window = torch.exp(-places.square() / (2 * SIGMA**2))
    channels = frames.shape[1]
    window = (window / window.sum()).repeat(channels, 1, 1, 1)  # (C, 1, 1, 7)
    wide = pad(frames, (REACH, REACH, REACH, REACH), mode="replicate")
    return conv2d(conv2d(wide, window, groups=channels), window.transpose(2, 3), groups=channels)
