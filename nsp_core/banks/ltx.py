"""LTX-Video as the drawer: how its transformer, autoencoder, scheduler and T5 of each version want to be asked.

0.9.0 and 0.9.1 (diffusers' LTXPipeline and LTXImageToVideoPipeline): positions on a plain grid, a schedule shifted by
the number of tokens, one latent of the last frame to go on from. 0.9.5 and later (LTXConditionPipeline): positions of
causal pixels, a linear-quadratic schedule, whole clips to go on from. The parts and the formulas are diffusers' own;
that we ask them as its pipelines do is tested bit for bit. Knows nothing of readers and stories.

Letters: B batch, C latent channels, F latent frames, h, w latent sides, T frames, H, W pixels, M condition tokens.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.ltx.pipeline_ltx import LTXPipeline, calculate_shift, retrieve_timesteps
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXConditionPipeline, linear_quadratic_schedule
from torch import Tensor

from nsp_core import flow
from nsp_core.errors import CheckpointMismatch, UserError
from nsp_core.latents import denormalise, normalise, pack, unpack
from nsp_core.model.convolution import by_onednn
from nsp_core.model.once import Once
from nsp_core.model.quick import Quick
from nsp_core.types import Frames

Parts = dict[str, Any]  # of a pipeline, by their names there


@dataclass(frozen=True)
class Condition:
    """What the transformer is told: `states` (1, M, caption_channels), `mask` (1, M) or None where all count."""

    states: Tensor
    mask: Tensor | None = None


class LTX:
    """0.9.0 and 0.9.1."""

    text_tokens = 128  # of T5, as its pipeline pads
    overlap = 1  # latent frames of the clip before that a scene begins with
    as_published = False  # True: asked as diffusers asks it, to the last bit; else within 1e-4 where that is quicker

    def __init__(self, transformer: Any, vae: Any, scheduler: Any, text_encoder: Any = None, tokenizer: Any = None):
        self.transformer, self.vae, self.scheduler = transformer, vae, scheduler
        self.text_encoder, self.tokenizer = text_encoder, tokenizer
        self._told: tuple[Any, dict[str, Any]] = ((), {})  # conditions and what the transformer is told of them
        self._where: tuple[Any, dict[str, Any]] = ((), {})

    def kept(self) -> Once:
        """What holds the transformer during each evaluation of one run."""
        return Once(self.transformer) if self.as_published else Quick(self.transformer)

    def forget(self) -> None:
        """A run is over, or another begins: what was kept for its steps goes."""
        self._told, self._where = ((), {}), ((), {})

    # -- words ----------------------------------------------------------------------------------------------------

    def check_words(self, words: str) -> None:
        """Raise UserError when T5 would cut `words`: nothing that a person wrote is left out without a word."""
        count = len(self.tokenizer(words)["input_ids"])
        if count > self.text_tokens:
            raise UserError(
                f"LTX-Video reads {self.text_tokens} tokens of words, these are {count}: say the scene in fewer words."
            )

    def encode_words(self, words: str, device: torch.device) -> Condition:
        """T5's states, padded as in training; its mask says which are padding."""
        asked = self._published().encode_prompt(
            words, do_classifier_free_guidance=False, max_sequence_length=self.text_tokens, device=device
        )
        return Condition(asked[0], asked[1])

    def _published(self) -> Any:
        return LTXPipeline(self.scheduler, self.vae, self.text_encoder, self.tokenizer, self.transformer)

    # -- steps ----------------------------------------------------------------------------------------------------

    def sigmas(self, steps: int, tokens: int, shift: float | None = None) -> Tensor:
        """(steps + 1,) from 1 to 0: the scheduler's own for `tokens` latent cells, or plainly shifted by `shift`."""
        if shift is not None or steps == 1:  # one step cannot be stretched to a terminal: diffusers divides 0 by 0
            return flow.sigma_schedule(steps, shift or 1.0)
        config = self.scheduler.config
        mu = calculate_shift(
            tokens, config.base_image_seq_len, config.max_image_seq_len, config.base_shift, config.max_shift
        )
        plain = np.linspace(1.0, 1 / steps, steps)
        retrieve_timesteps(self.scheduler, steps, "cpu", sigmas=plain, mu=mu)
        sigmas: Tensor = self.scheduler.sigmas
        return sigmas.clone()

    def velocity(self, x: Tensor, sigma: float, conditions: tuple[Condition, ...], clean: int, fps: int) -> Tensor:
        """(B, C, F, h, w) for B conditions, of one x (1, C, F, h, w) whose first `clean` frames carry no noise."""
        batch = len(conditions)
        frames, height, width = x.shape[2:]
        dtype = self.transformer.dtype
        timestep = torch.full((batch,), sigma, device=x.device) * flow.TRAIN_TIMESTEPS
        if clean or self.a_timestep_a_token:
            timestep = timestep[:, None].repeat(1, frames * height * width)
            timestep[:, : clean * height * width] = 0
        shape = (frames, height, width)
        if self._where[0] != (batch, shape, fps):
            self._where = ((batch, shape, fps), self.positions(batch, shape, fps, x.device))
        out = self.transformer(
            hidden_states=pack(x.expand(batch, -1, -1, -1, -1)).to(dtype),
            timestep=timestep,
            **self._words(conditions, dtype),
            **self._where[1],
            return_dict=False,
        )[0]
        return unpack(out.float(), (frames, height, width))

    def _words(self, conditions: tuple[Condition, ...], dtype: torch.dtype) -> dict[str, Any]:
        """The arguments of the transformer that say what is to be drawn: the very same tensors in each step."""
        known = self._told[0]
        if len(known) != len(conditions) or any(a is not b for a, b in zip(known, conditions, strict=True)):
            masks = [one.mask for one in conditions if one.mask is not None]
            states = torch.cat([one.states for one in conditions]).to(dtype)
            mask = torch.cat(masks) if masks else None
            if mask is not None and mask.device.type == "cpu" and not self.as_published:
                used = int(mask.any(0).nonzero().max()) + 1  # behind it all is padding, which weighs nothing
                states, mask = states[:, :used].contiguous(), mask[:, :used].contiguous()
            told = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
            self._told = (conditions, told)
        return self._told[1]

    a_timestep_a_token = False

    def positions(self, _batch: int, shape: tuple[int, int, int], fps: int, _device: torch.device) -> dict[str, Any]:
        """The arguments of the transformer that say where, and at what rate, the cells lie."""
        space = self.vae.spatial_compression_ratio
        scale = (self.vae.temporal_compression_ratio / fps, space, space)
        return {**dict(zip(("num_frames", "height", "width"), shape, strict=True)), "rope_interpolation_scale": scale}

    # -- pictures -------------------------------------------------------------------------------------------------

    def encode(self, frames: Frames, device: torch.device) -> Tensor:
        """(T, H, W, 3) uint8, T = ratio*k+1 -> (1, C, k+1, h, w), normalised: the most likely latents, no sample."""
        x = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].to(device, self.vae.dtype)
        with self._convolutions():
            latents = self.vae.encode(x / 127.5 - 1).latent_dist.mode().float()
        return normalise(latents, *self._statistics(latents))

    def decode(self, latents: Tensor) -> Frames:
        """(1, C, F, h, w), normalised -> (T, H, W, 3) uint8."""
        raw = denormalise(latents.float(), *self._statistics(latents))
        timestep = None
        if self.vae.config.timestep_conditioning:  # 0.9.1 and later: a little noise, and the decoder is told how much
            noise = torch.randn(raw.shape, generator=torch.Generator().manual_seed(0)).to(raw)
            raw = (1 - DECODE_NOISE) * raw + DECODE_NOISE * noise
            timestep = torch.full((1,), DECODE_TIMESTEP, device=raw.device, dtype=self.vae.dtype)
        with self._convolutions():
            y = self.vae.decode(raw.to(self.vae.dtype), timestep).sample[0].float().clamp(-1, 1)
        pictures: Frames = ((y + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).cpu().numpy()
        return pictures

    def _convolutions(self) -> AbstractContextManager[None]:
        return nullcontext() if self.as_published else by_onednn(self.vae)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.vae.latents_mean.to(like.device).float(), self.vae.latents_std.to(like.device).float()


# LTX-Video's published values for autoencoders with timestep conditioning (its documentation in diffusers)
DECODE_TIMESTEP, DECODE_NOISE = 0.05, 0.025


class ConditionedLTX(LTX):
    """0.9.5 and later."""

    text_tokens = 256
    overlap = 2  # nine frames: how things move, not only where they are
    a_timestep_a_token = True

    def _published(self) -> Any:
        return LTXConditionPipeline(self.scheduler, self.vae, self.text_encoder, self.tokenizer, self.transformer)

    def sigmas(self, steps: int, tokens: int, shift: float | None = None) -> Tensor:  # noqa: ARG002
        if shift is not None or steps == 1:
            return flow.sigma_schedule(steps, shift or 1.0)
        self.scheduler.set_timesteps(sigmas=linear_quadratic_schedule(steps).numpy())
        sigmas: Tensor = self.scheduler.sigmas
        return sigmas.clone()

    def positions(self, batch: int, shape: tuple[int, int, int], fps: int, device: torch.device) -> dict[str, Any]:
        """The middle of what each cell shows: the first latent is one frame, the others eight."""
        ids = LTXConditionPipeline._prepare_video_ids(1, *shape, device=device)
        coordinates = LTXConditionPipeline._scale_video_ids(
            ids, self.vae.spatial_compression_ratio, self.vae.temporal_compression_ratio, 0, device
        ).float()
        coordinates[:, 0] = coordinates[:, 0] * (1.0 / fps)
        return {"video_coords": coordinates.repeat(batch, 1, 1)}


def of(transformer: Any, vae: Any, scheduler: Any, text_encoder: Any = None, tokenizer: Any = None) -> LTX:
    """The rules of the version that these parts are from: only the first ones shift by the number of tokens."""
    kind = LTX if scheduler.config.use_dynamic_shifting else ConditionedLTX
    return kind(transformer, vae, scheduler, text_encoder, tokenizer)


def load(folder: Path, dtype: torch.dtype, *, words: bool, single_file: Path | None = None, **text: Any) -> Parts:
    """The parts in `folder` (hub layout), by name; T5 and its tokenizer only when `words` are to be read by it.

    `single_file`: transformer and autoencoder from one file in the layout of the first release, which ComfyUI loads
    too; the folder still says their sizes. `text` goes to T5's from_pretrained. Raises CheckpointMismatch.
    """
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel

    for name in ("transformer", "vae", "scheduler", *(("text_encoder", "tokenizer") if words else ())):
        if not (folder / name).is_dir():
            raise CheckpointMismatch(f"The drawer's folder {folder} lacks '{name}/': download it again.")
    parts: Parts = {}
    for name, kind in (("transformer", LTXVideoTransformer3DModel), ("vae", AutoencoderKLLTXVideo)):
        here = {"subfolder": name, "dtype": dtype, "local_files_only": True}
        if single_file is None:
            parts[name] = kind.from_pretrained(folder, use_safetensors=True, **here)
        else:
            parts[name] = kind.from_single_file(str(single_file), config=str(folder), **here)
    parts["scheduler"] = FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler", local_files_only=True)
    if words:
        from transformers import T5EncoderModel, T5Tokenizer

        parts["text_encoder"] = T5EncoderModel.from_pretrained(
            folder / "text_encoder", dtype=dtype, use_safetensors=True, local_files_only=True, **text
        )
        parts["tokenizer"] = T5Tokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    return parts
