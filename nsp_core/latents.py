"""The geometry law and the packing of latents. Knows nothing of models.

Letters: B batch, C channels, T frames, F latent frames, H height, W width, h = H / ratio, w = W / ratio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nsp_core.errors import GeometryError

Reference = Literal["repeat_last", "repeat_tail", "none"]


@dataclass(frozen=True)
class Geometry:
    """Pixels of a clip and the ratios of its autoencoder."""

    width: int
    height: int
    frames: int
    spatial_ratio: int
    temporal_ratio: int

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(F, h, w)"""
        f = (self.frames - 1) // self.temporal_ratio + 1
        return f, self.height // self.spatial_ratio, self.width // self.spatial_ratio


def check_geometry(g: Geometry) -> Geometry:
    """Raise GeometryError unless frames are ratio*k+1 and both sides multiples of the spatial ratio."""
    t, s = g.temporal_ratio, g.spatial_ratio
    if g.frames < 1 or (g.frames - 1) % t:
        near = max(1, round((g.frames - 1) / t)) * t + 1
        raise GeometryError(f"num_frames must be {t}k+1 (for example {near}), got {g.frames}.")
    if g.width < s or g.height < s or g.width % s or g.height % s:
        w, h = max(s, round(g.width / s) * s), max(s, round(g.height / s) * s)
        raise GeometryError(
            f"Width and height must be multiples of {s} (for example {w}x{h}), got {g.width}x{g.height}."
        )
    return g


def pack(latents: Tensor) -> Tensor:
    """(B, C, F, h, w) -> (B, F*h*w, C), the token order of diffusers' LTX with patch size 1."""
    return latents.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """(B, F*h*w, C) -> (B, C, F, h, w)"""
    return tokens.transpose(1, 2).unflatten(2, shape)


def normalise(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Channel-wise to zero mean and unit deviation; `mean`, `std` (C,) are the autoencoder's buffers."""
    return (latents - mean.view(1, -1, 1, 1, 1)) / std.view(1, -1, 1, 1, 1)


def denormalise(latents: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return latents * std.view(1, -1, 1, 1, 1) + mean.view(1, -1, 1, 1, 1)


def to_target(latents: Tensor, still: Tensor, reference: Reference, scale: Tensor) -> Tensor:
    """What a *continue* transformer predicts. All (B, C, F, h, w), normalised; `scale` (C,).

    `still` is the encoding of the last frame repeated. Frame 0 stays the clean latent of that frame. With
    "repeat_last" the others are the residual to the still, divided by `scale`: a static cell is zero, the background is
    exact. "repeat_tail" is the same for a transformer that is shown the tail (`first_seen`). "none" (the published LTX)
    predicts the latents themselves.
    """
    if reference == "none":
        return latents
    target = latents.clone()
    target[:, :, 0] = still[:, :, 0]
    target[:, :, 1:] = (latents[:, :, 1:] - still[:, :, 1:]) / scale.view(1, -1, 1, 1, 1)
    return target


def from_target(target: Tensor, still: Tensor, reference: Reference, scale: Tensor) -> Tensor:
    """The inverse of `to_target`."""
    if reference == "none":
        return target
    latents = target.clone()
    latents[:, :, 1:] = target[:, :, 1:] * scale.view(1, -1, 1, 1, 1) + still[:, :, 1:]
    return latents


def first_seen(still: Tensor, reference: Reference) -> Tensor:
    """(B, C, 1, h, w): the clean latent that the transformer is shown in the first place of a *continue*.

    "repeat_tail" shows what the residual is added to. With "repeat_last" it is the last frame alone; the tail, which
    still remembers the motion before it, can then only be guessed, and each scene of a chain adds a guess of its own.
    """
    return still[:, :, 1:2] if reference == "repeat_tail" else still[:, :, :1]
