"""The only place with sizes: what each model of ours is made of, and which published ones are known.

`starter_*` build the small model that is trained here; `tiny_*` the same classes at test size. Weights are random:
a trained model comes from `NextScenePipeline.from_pretrained`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nsp_core.errors import CheckpointMismatch

if TYPE_CHECKING:
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2TokenizerFast

    from nsp_core.model.processor import VisionLanguageProcessor
    from nsp_core.pipeline import NextScenePipeline

# frozen: the starter's clip and its autoencoder's geometry (16 x 16 pixels and 4 frames a latent cell)
WIDTH, HEIGHT, FRAMES, FPS = 160, 96, 17, 8
LATENT_CHANNELS = 64
SPATIAL_RATIO, TEMPORAL_RATIO = 16, 4

# Published models that can be put in, by what their own files call them. A reader: the `model_type` of its config.json,
# and the function that makes its processor of a folder where torchvision is missing. A drawer: the transformer's class
# in its model_index.json. Each names a module: of a reader, `load_processor(folder)` where torchvision is missing; of a
# drawer, `load(folder, ...)` and `of(parts)`. README, "Big models", says what a new one takes.
READERS = {"qwen2_5_vl": "nsp_core.model.processor", "qwen3_vl": "nsp_core.banks.qwen3"}
DRAWERS = {"LTXVideoTransformer3DModel": "nsp_core.banks.ltx"}


def reader(family: str) -> Any:
    """The module of a family of readers. Raises CheckpointMismatch for one that is not known."""
    return _entry(READERS, family, "reader")


def drawer(transformer: str) -> Any:
    """The module of the drawers with this transformer. Raises CheckpointMismatch for one that is not known."""
    return _entry(DRAWERS, transformer, "drawer")


def _entry(registry: Mapping[str, str], name: str, role: str) -> ModuleType:
    if name not in registry:
        raise CheckpointMismatch(f"There is no {role} for {name} yet; known are {', '.join(sorted(registry))}.")
    return importlib.import_module(registry[name])


def autoencoder(
    width: int = 32, latent_channels: int = LATENT_CHANNELS, wide_decoder: bool = False
) -> AutoencoderKLLTXVideo:
    """LTX autoencoder, 16x spatial and 4x temporal: (B, 3, 4k+1, H, W) -> (B, C, k+1, H/16, W/16). 5.1 M at width 32.

    The down- and up-sampling are those of LTX-Video 0.9.5 (space-to-depth with a shortcut): they learn faster a step
    than the 0.9.0 blocks (DECISIONS.md). With `wide_decoder` (4.8 M) channels are not halved at each up-sampling: where
    a patch of 4x4 pixels is made (48 numbers), 64 channels lie below it instead of 32, in two blocks instead of one.
    What that costs is taken from the deepest level, which has 64 channels instead of 128.
    """
    from diffusers import AutoencoderKLLTXVideo

    return AutoencoderKLLTXVideo(
        latent_channels=latent_channels,
        block_out_channels=(width, 2 * width, 4 * width),
        down_block_types=("LTXVideo095DownBlock3D",) * 2,
        decoder_block_out_channels=(2 * width, (2 if wide_decoder else 4) * width),
        layers_per_block=(1, 1, 1),
        decoder_layers_per_block=(2, 2, 2) if wide_decoder else (1, 1, 1),
        spatio_temporal_scaling=(True, True),
        decoder_spatio_temporal_scaling=(True, True),
        decoder_inject_noise=(False,) * 3,
        downsample_type=("spatiotemporal",) * 2,
        upsample_residual=(True,) * 2,
        upsample_factor=(1 if wide_decoder else 2,) * 2,
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
    )


def transformer(
    width: int = 256, layers: int = 6, heads: int = 4, latent_channels: int = LATENT_CHANNELS, condition: int = 256
) -> LTXVideoTransformer3DModel:
    """LTX diffusion transformer. 7.0 M at the starter's width; `condition` is the width of the connector's output."""
    from diffusers import LTXVideoTransformer3DModel

    return LTXVideoTransformer3DModel(
        in_channels=latent_channels,
        out_channels=latent_channels,
        patch_size=1,
        patch_size_t=1,
        num_attention_heads=heads,
        attention_head_dim=width // heads,
        cross_attention_dim=width,
        num_layers=layers,
        caption_channels=condition,
    )


def scheduler(shift: float = 2.0) -> FlowMatchEulerDiscreteScheduler:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(shift=shift, use_dynamic_shifting=False)


_NAMES = (
    *("endoftext", "im_start", "im_end", "object_ref_start", "object_ref_end", "box_start", "box_end"),
    *("quad_start", "quad_end", "vision_start", "vision_end", "vision_pad", "image_pad", "video_pad"),
)
SPECIAL_TOKENS = [f"<|{name}|>" for name in _NAMES]

# Qwen's template without its system message: every token counts in a small model
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(corpus: Iterable[str], vocabulary: int) -> Qwen2TokenizerFast:
    """Byte-level BPE with Qwen's special tokens, learnt from `corpus`: any text can be written, our words are short."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    )
    fast = Qwen2TokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None)
    kind = "additional_special_tokens" if hasattr(fast, "additional_special_tokens") else "extra_special_tokens"
    fast.add_special_tokens({kind: SPECIAL_TOKENS})
    fast.chat_template = CHAT_TEMPLATE
    fast.padding_side = "left"
    return fast


def processor(tokenizer: Qwen2TokenizerFast, patch: int = 16, merge: int = 1) -> VisionLanguageProcessor:
    """Frames of a starter clip pass unresized: with patches of 16, 160x96 is 60 vision tokens for two frames.

    Qwen merges 2x2 patches of 14; here a patch is one cell of the world's grid and of the latents: nothing is merged.
    """
    from transformers import Qwen2VLImageProcessorPil

    from nsp_core.model.processor import FrameProcessor, VisionLanguageProcessor

    sizes = {"shortest_edge": (merge * patch) ** 2, "longest_edge": WIDTH * HEIGHT}
    common = {"patch_size": patch, "temporal_patch_size": 2, "merge_size": merge, "size": sizes}
    return VisionLanguageProcessor(
        image_processor=Qwen2VLImageProcessorPil(**common),
        tokenizer=tokenizer,
        video_processor=FrameProcessor(**common),
        chat_template=tokenizer.chat_template,
    )


def vision_language(
    tokenizer: Qwen2TokenizerFast,
    *,
    hidden: int = 192,
    layers: int = 4,
    vision_hidden: int = 128,
    vision_layers: int = 4,
    patch: int = 16,
    merge: int = 1,
) -> Qwen2_5_VLForConditionalGeneration:
    """A small Qwen2.5-VL: about 3.3 M parameters at the starter's size. Heads are 64 wide, vision attention is full."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    ids = {
        n: tokenizer.convert_tokens_to_ids(f"<|{n}|>") for n in ("image_pad", "video_pad", "vision_start", "vision_end")
    }
    head = 64 if hidden % 64 == 0 else hidden // 2
    section = [8, 12, 12] if head == 64 else [head // 2 - 2 * (head // 6), head // 6, head // 6]
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "hidden_size": hidden,
                "intermediate_size": 3 * hidden,
                "num_hidden_layers": layers,
                "num_attention_heads": hidden // head,
                "num_key_value_heads": hidden // head,
                "max_position_embeddings": 2048,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": section},
                "bos_token_id": pad,
                "eos_token_id": eos,
                "pad_token_id": pad,
                "tie_word_embeddings": True,
            },
            vision_config={
                "depth": vision_layers,
                "hidden_size": vision_hidden,
                "intermediate_size": 3 * vision_hidden,
                "num_heads": max(1, vision_hidden // 64),
                "patch_size": patch,
                "spatial_merge_size": merge,
                "temporal_patch_size": 2,
                "window_size": 320,
                "out_hidden_size": hidden,
                "fullatt_block_indexes": list(range(vision_layers)),
                "tokens_per_second": 2,
            },
            image_token_id=ids["image_pad"],
            video_token_id=ids["video_pad"],
            vision_start_token_id=ids["vision_start"],
            vision_end_token_id=ids["vision_end"],
            tie_word_embeddings=True,
        )
    )


def tiny_pipeline(corpus: Iterable[str] = (), seed: int = 0) -> NextScenePipeline:
    """A whole pipeline of the real classes with random weights, small enough for a test (clip 160x96, 17 frames)."""
    import torch

    from nsp_core.model.connector import Connector
    from nsp_core.pipeline import NextScenePipeline

    torch.manual_seed(seed)
    words = list(corpus) or ["A red ball rolls to the middle of the meadow. What happens next?"] * 8
    vocabulary = tokenizer(words, 400)
    return NextScenePipeline(
        vision_language=vision_language(vocabulary, hidden=64, layers=2, vision_hidden=64, vision_layers=1),
        processor=processor(vocabulary),
        connector=Connector(num_queries=8, hidden=64, caption_channels=32, initial_scale=5.5**-0.5),
        transformer=transformer(width=64, layers=2, heads=2, latent_channels=16, condition=32),
        vae=autoencoder(width=8, latent_channels=16),
        scheduler=scheduler(),
        sampling={m: {"steps": 2, "guidance": 2.0, "shift": 2.0} for m in ("continue", "cut")},
    )
