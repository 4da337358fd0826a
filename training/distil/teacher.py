"""The teacher: an LTX transformer that reads captions with a T5 encoder of its own, as it was published.

On disk it is two folders beside a model folder: `text_encoder/` and `tokenizer/`, as in LTX's own repository; its
transformer is the one of `model/`, which the student shares. Knows nothing of the student, of captions or of training.

Letters: B batch, M text tokens, D text width, C channels, F, h, w latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nsp_core import flow
from nsp_core.errors import ConfigError
from nsp_core.latents import pack, unpack
from nsp_core.sampler import denoise

TEXT_TOKENS = 128  # LTX-Video 0.9.0 pads every caption to so many, with a mask


@dataclass(frozen=True)
class DrawConfig:
    """How the teacher draws what the student learns on."""

    steps: int = 20
    guidance: float = 3.0
    shift: float = 1.96  # LTX's own at the 256 tokens of an image


@dataclass
class Teacher:
    transformer: Any
    text_encoder: Any
    tokenizer: Any
    rope_scale: tuple[float, ...]
    text_tokens: int = TEXT_TOKENS

    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """-> states (B, M, D) and their mask (B, M); "" is the null caption, as LTX's pipeline has it."""
        device, given = self.text_encoder.device, self.tokens(captions)
        ids, mask = given["input_ids"].to(device), given["attention_mask"].to(device)
        return self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state, mask

    def tokens(self, captions: Sequence[str]) -> Any:
        """What the text encoder reads: input_ids and attention_mask, (B, M) each."""
        return self.tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=self.text_tokens, return_tensors="pt"
        )

    def velocity(self, x: Tensor, sigma: Tensor, text: tuple[Tensor, Tensor]) -> Tensor:
        """x (B, C, F, h, w) at sigma (B,) -> velocity in fp32, shaped like x."""
        _, _, frames, height, width = x.shape
        states, mask = text
        out = self.transformer(
            hidden_states=pack(x).to(self.transformer.dtype),
            encoder_hidden_states=states.to(self.transformer.dtype),
            timestep=sigma.to(x) * flow.TRAIN_TIMESTEPS,
            encoder_attention_mask=mask,
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=self.rope_scale,
        ).sample
        return unpack(out.float(), (frames, height, width))

    @torch.no_grad()
    def draw(
        self, captions: Sequence[str], shape: tuple[int, ...], config: DrawConfig, generator: torch.Generator
    ) -> Tensor:
        """Clean latents (B, *shape) for `captions`; noise from `generator`, drawn before anything else."""
        x = torch.randn((len(captions), *shape), generator=generator, device=generator.device)
        text, null = self.read(captions), self.read([""] * len(captions))
        both = tuple(torch.cat(pair) for pair in zip(text, null, strict=True))

        def guided(x: Tensor, sigma: float) -> Tensor:
            if config.guidance == 1:
                return self.velocity(x, torch.full((len(x),), sigma, device=x.device), text)
            v = self.velocity(torch.cat([x, x]), torch.full((2 * len(x),), sigma, device=x.device), both)  # type: ignore[arg-type]
            return flow.guide(v[: len(x)], v[len(x) :], config.guidance)

        for step in denoise(guided, x, flow.sigma_schedule(config.steps, config.shift)):  # noqa: B007
            pass
        return step.x


def open_teacher(folder: Path, pipeline: Any, dtype: torch.dtype = torch.float32) -> Teacher:
    """The teacher beside the model of `folder`; it shares `pipeline`'s transformer. Raises ConfigError without one."""
    from transformers import AutoTokenizer, T5EncoderModel

    if not (folder / "text_encoder").is_dir():
        raise ConfigError(
            f"{folder} has no text_encoder/ beside its model: stage distil begins with what stage teacher left, or "
            "with a folder made by `python -m training.distil.assemble`."
        )
    encoder = T5EncoderModel.from_pretrained(str(folder / "text_encoder"), dtype=dtype)
    encoder.eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(str(folder / "tokenizer"))
    length = min(TEXT_TOKENS, tokenizer.model_max_length)
    return Teacher(pipeline.transformer, encoder, tokenizer, tuple(pipeline.config.rope_scale), length)


def small_text_encoder(corpus: list[str], width: int, layers: int, tokens: int) -> tuple[Any, Any]:
    """A newborn T5 encoder of the real class, gated as v1.1's, and a tokenizer of words for it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    words = Tokenizer(models.WordLevel(unk_token="<unk>"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(corpus, trainers.WordLevelTrainer(special_tokens=["<pad>", "</s>", "<unk>"]))
    words.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=tokens
    )
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=width,
        d_kv=width // 2,
        d_ff=width,
        num_layers=layers,
        num_heads=2,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
    )
    return T5EncoderModel(config), tokenizer
