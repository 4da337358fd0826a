"""One evaluation of the starter's diffusion transformer: latents and a condition in, a velocity out.

Pipeline, training and reinforcement call this one function: what is trained is what is shipped. The published LTX is
asked in ways of its own (`nsp_core.banks.ltx`). Knows nothing of stories, schedules and guidance.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from nsp_core import flow
from nsp_core.latents import pack, unpack


def predict_velocity(
    transformer: Any,
    x: Tensor,
    sigma: Tensor,
    condition: Tensor,
    *,
    clean_frames: int = 0,
    rope_scale: tuple[float, ...] = (2.0, 128.0, 128.0),
) -> Tensor:
    """The transformer on latents (B, C, F, h, w) at `sigma` (B,), the first `clean_frames` at timestep 0."""
    batch, _, frames, height, width = x.shape
    timestep = sigma.to(x) * flow.TRAIN_TIMESTEPS  # one a sample; one a token costs time, so only where they differ
    if clean_frames:
        timestep = timestep[:, None].repeat(1, frames * height * width)
        timestep[:, : clean_frames * height * width] = 0
    out = transformer(
        hidden_states=pack(x).to(transformer.dtype),
        encoder_hidden_states=condition.to(transformer.dtype),
        timestep=timestep,
        encoder_attention_mask=None,
        num_frames=frames,
        height=height,
        width=width,
        rope_interpolation_scale=rope_scale,
    ).sample
    return unpack(out, (frames, height, width))
