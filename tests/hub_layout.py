"""Tiny random checkpoints in the files of the hub: real classes, the names, keys and shards that the publishers use.

`write_qwen`, `write_ltx`, `write_connector` each fill one folder as a download leaves it. What transformers and
diffusers write today is not always what lies on the hub (flat configs, older names of weights, a template in a JSON
file, sentencepiece): here it is as on the hub, so that a loader that reads these folders reads those. Weights are
random and of test size.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

Family = Literal["2.5", "3"]
Version = Literal["0.9.0", "0.9.5"]

HIDDEN = 64  # of the tiny readers; the connector's input
CAPTION = 128  # caption_channels of the tiny drawers: what T5 and the connector give
LATENT = 8
CORPUS = [
    "Please generate a video showing what happens after this scene: a red ball rolls across the table.",
    "A glass sitting near the edge of the table begins to wobble. The glass falls and cracks.",
    '{"scene": "The ice melts and the river flows."} Pass Fail Verdict: Scene 1: What happens next?',
] * 16

# Qwen2.5-VL-Instruct's own, less its branches for pictures by number
CHAT = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}<|vision_start|><|image_pad|>"
    "<|vision_end|>{% elif content['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def cast(model: torch.nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    return {name: value.to(dtype) for name, value in model.state_dict().items()}


def write_weights(folder: Path, stem: str, state: dict[str, Tensor], shards: int = 1) -> None:
    """`stem`.safetensors, or its numbered shards and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = {name: value.detach().contiguous().clone() for name, value in state.items()}
    if shards == 1:
        save_file(whole, folder / f"{stem}.safetensors", metadata={"format": "pt"})
        return
    places: dict[str, str] = {}
    for number in range(shards):
        file = f"{stem}-{number + 1:05d}-of-{shards:05d}.safetensors"
        some = {name: value for i, (name, value) in enumerate(whole.items()) if i * shards // len(whole) == number}
        save_file(some, folder / file, metadata={"format": "pt"})
        places.update(dict.fromkeys(some, file))
    size = sum(value.nbytes for value in whole.values())
    write_json(folder / f"{stem}.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": places})


# --- the reader -----------------------------------------------------------------------------------------------------


def write_qwen(folder: Path, family: Family = "2.5", seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> Path:
    """Qwen/Qwen2.5-VL-*-Instruct or Qwen/Qwen3-VL-*-Instruct."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    tokenizer = write_qwen_tokenizer(folder)
    config = _qwen_config(tokenizer, family)
    write_json(folder / "config.json", config)
    torch.manual_seed(seed)
    state = cast(AutoModelForImageTextToText.from_config(AutoConfig.from_pretrained(folder)), dtype)
    if family == "2.5":  # the names of before transformers 4.52
        state = {
            name.replace("model.visual.", "visual.").replace("model.language_model.", "model."): value
            for name, value in state.items()
        }
    write_weights(folder, "model", state, shards=2)
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    write_json(
        folder / "generation_config.json", {"bos_token_id": pad, "eos_token_id": [eos, pad], "pad_token_id": pad}
    )
    clip_mean, clip_std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    pictures = {"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2}
    if family == "2.5":
        pictures |= {"min_pixels": 3136, "max_pixels": 12845056, "image_mean": clip_mean, "image_std": clip_std}
        pictures |= {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor"}
        write_json(folder / "preprocessor_config.json", pictures)
    else:
        half = [0.5, 0.5, 0.5]
        pictures |= {"patch_size": 16, "image_mean": half, "image_std": half, "processor_class": "Qwen3VLProcessor"}
        sizes = {"longest_edge": 16777216, "shortest_edge": 65536}
        kind = {"size": sizes, "image_processor_type": "Qwen2VLImageProcessorFast"}
        write_json(folder / "preprocessor_config.json", pictures | kind)
        sizes = {"longest_edge": 25165824, "shortest_edge": 4096}
        kind = {"size": sizes, "video_processor_type": "Qwen3VLVideoProcessor"}
        write_json(folder / "video_preprocessor_config.json", pictures | kind)
    return folder


def write_qwen_tokenizer(folder: Path) -> Any:
    """tokenizer.json, vocab.json, merges.txt, tokenizer_config.json and chat_template.json."""
    from nsp_core.model import build

    tokenizer = build.tokenizer(CORPUS, 500)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(folder)
    learnt = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    write_json(folder / "vocab.json", learnt["vocab"])
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in learnt["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    write_json(folder / "chat_template.json", {"chat_template": CHAT})
    special = {
        str(tokenizer.convert_tokens_to_ids(token)): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for token in build.SPECIAL_TOKENS
    }
    config = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": special,
        "additional_special_tokens": build.SPECIAL_TOKENS[1:],
        "bos_token": None,
        "chat_template": CHAT,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 131072,
        "pad_token": "<|endoftext|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
    write_json(folder / "tokenizer_config.json", config)
    return tokenizer


def _qwen_config(tokenizer: Any, family: Family) -> dict[str, Any]:
    tokens = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{mark}|>")
        for name, mark in (
            *(("image", "image_pad"), ("video", "video_pad")),
            *(("vision_start", "vision_start"), ("vision_end", "vision_end")),
        )
    }
    text: dict[str, Any] = {
        "bos_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "hidden_act": "silu",
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": 128,
        "max_position_embeddings": 4096,
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "use_cache": True,
        "vocab_size": len(tokenizer),
    }
    if family == "2.5":  # flat: the text's keys lie beside those of the whole
        vision = {
            "depth": 2,
            "hidden_act": "silu",
            "hidden_size": HIDDEN,
            "intermediate_size": 128,
            "num_heads": 4,
            "in_chans": 3,
            "out_hidden_size": HIDDEN,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "window_size": 112,
            "fullatt_block_indexes": [1],
            "tokens_per_second": 2,
            "temporal_patch_size": 2,
        }
        scaling = {"type": "mrope", "mrope_section": [2, 3, 3]}
        rest = {"rope_theta": 1000000.0, "rope_scaling": scaling, "attention_dropout": 0.0, "max_window_layers": 2}
        rest |= {"sliding_window": 32768, "use_sliding_window": False, "tie_word_embeddings": False}
        whole = {"architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl"}
        return whole | text | rest | tokens | {"torch_dtype": "bfloat16", "vision_config": vision}
    vision = {
        "deepstack_visual_indexes": [0, 1],
        "depth": 3,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_size": HIDDEN,
        "in_channels": 3,
        "initializer_range": 0.02,
        "intermediate_size": 128,
        "model_type": "qwen3_vl",
        "num_heads": 4,
        "num_position_embeddings": 64,
        "out_hidden_size": HIDDEN,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    scaling = {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"}
    text |= {"head_dim": 16, "model_type": "qwen3_vl_text", "rope_scaling": scaling, "rope_theta": 5000000}
    text |= {"attention_bias": False, "attention_dropout": 0.0, "dtype": "bfloat16"}
    whole = {"architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl"}
    return whole | tokens | {"text_config": text, "vision_config": vision, "tie_word_embeddings": False}


# --- the bridge -----------------------------------------------------------------------------------------------------


def write_connector(folder: Path, queries: int = 16, seed: int = 0) -> Path:
    """Our own: config.json and one file of weights. The paper's has 256 queries of 3584 and 4096 wide."""
    from nsp_core.model.connector import Connector

    torch.manual_seed(seed)
    bridge = Connector(num_queries=queries, hidden=HIDDEN, caption_channels=CAPTION, initial_scale=0.1)
    bridge.save_pretrained(folder)
    return folder


# --- the drawer -----------------------------------------------------------------------------------------------------


def write_ltx(folder: Path, version: Version = "0.9.0", seed: int = 0, dtype: torch.dtype = torch.bfloat16) -> Path:
    """Lightricks/LTX-Video (0.9.0) or Lightricks/LTX-Video-0.9.5: five folders and model_index.json."""
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel

    torch.manual_seed(seed)
    transformer = LTXVideoTransformer3DModel.from_config(_transformer_config())
    vae = AutoencoderKLLTXVideo.from_config(_vae_config(version))
    vae.latents_mean.copy_(torch.randn(LATENT) / 10)
    vae.latents_std.copy_(1 + torch.rand(LATENT) / 4)
    made = "0.32.0.dev0" if version == "0.9.0" else "0.33.0.dev0"
    index = {
        "_class_name": "LTXPipeline" if version == "0.9.0" else "LTXConditionPipeline",
        "_diffusers_version": made,
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "LTXVideoTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLLTXVideo"],
    }
    write_json(folder / "model_index.json", index)
    write_json(
        folder / "scheduler" / "scheduler_config.json", _scheduler_config(version) | {"_diffusers_version": made}
    )
    write_json(folder / "transformer" / "config.json", _transformer_config() | {"_diffusers_version": made})
    write_weights(folder / "transformer", "diffusion_pytorch_model", cast(transformer, dtype), shards=2)
    write_json(folder / "vae" / "config.json", _vae_config(version) | {"_diffusers_version": made})
    write_weights(folder / "vae", "diffusion_pytorch_model", cast(vae, dtype))
    vocabulary = write_t5_tokenizer(folder / "tokenizer")
    write_t5(folder / "text_encoder", vocabulary, dtype)
    return folder


def _transformer_config() -> dict[str, Any]:
    return {
        "_class_name": "LTXVideoTransformer3DModel",
        "activation_fn": "gelu-approximate",
        "attention_bias": True,
        "attention_head_dim": 16,
        "attention_out_bias": True,
        "caption_channels": CAPTION,
        "cross_attention_dim": 64,
        "in_channels": LATENT,
        "norm_elementwise_affine": False,
        "norm_eps": 1e-06,
        "num_attention_heads": 4,
        "num_layers": 2,
        "out_channels": LATENT,
        "patch_size": 1,
        "patch_size_t": 1,
        "qk_norm": "rms_norm_across_heads",
    }


def _vae_config(version: Version) -> dict[str, Any]:
    """32x in space, 8x in time as published. The decoder's keys of 0.9.0 are left to their defaults on the hub, which
    are the published sizes; here they have to be said."""
    common = {
        "_class_name": "AutoencoderKLLTXVideo",
        "decoder_causal": False,
        "encoder_causal": True,
        "in_channels": 3,
        "latent_channels": LATENT,
        "out_channels": 3,
        "patch_size": 4,
        "patch_size_t": 1,
        "resnet_norm_eps": 1e-06,
        "scaling_factor": 1.0,
    }
    if version == "0.9.0":
        return common | {
            "block_out_channels": [8, 16, 32, 32],
            "decoder_block_out_channels": [8, 16, 32, 32],
            "layers_per_block": [1] * 5,
            "decoder_layers_per_block": [1] * 5,
            "spatio_temporal_scaling": [True, True, True, False],
            "decoder_spatio_temporal_scaling": [True, True, True, False],
        }
    return common | {
        "block_out_channels": [8, 16, 32, 64, 64],
        "decoder_block_out_channels": [16, 32, 64],
        "layers_per_block": [1] * 5,
        "decoder_layers_per_block": [1] * 4,
        "spatio_temporal_scaling": [True] * 4,
        "decoder_spatio_temporal_scaling": [True] * 3,
        "decoder_inject_noise": [False] * 4,
        "down_block_types": ["LTXVideo095DownBlock3D"] * 4,
        "downsample_type": ["spatial", "temporal", "spatiotemporal", "spatiotemporal"],
        "upsample_residual": [True] * 3,
        "upsample_factor": [2] * 3,
        "timestep_conditioning": True,
        "spatial_compression_ratio": 32,
        "temporal_compression_ratio": 8,
    }


def _scheduler_config(version: Version) -> dict[str, Any]:
    return {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "base_image_seq_len": 1024,
        "base_shift": 0.95,
        "invert_sigmas": False,
        "max_image_seq_len": 4096,
        "max_shift": 2.05,
        "num_train_timesteps": 1000,
        "shift": 1.0,
        "shift_terminal": 0.1,
        "use_beta_sigmas": False,
        "use_dynamic_shifting": True,
        "use_exponential_sigmas": False,
        "use_karras_sigmas": False,
    } | ({} if version == "0.9.0" else {"use_dynamic_shifting": False, "shift_terminal": None})


def write_t5(folder: Path, vocabulary: int, dtype: torch.dtype) -> None:
    from transformers import T5Config, T5EncoderModel

    config = {
        "architectures": ["T5EncoderModel"],
        "classifier_dropout": 0.0,
        "d_ff": 128,
        "d_kv": 32,
        "d_model": CAPTION,
        "decoder_start_token_id": 0,
        "dense_act_fn": "gelu_new",
        "dropout_rate": 0.1,
        "eos_token_id": 1,
        "feed_forward_proj": "gated-gelu",
        "initializer_factor": 1.0,
        "is_encoder_decoder": True,
        "is_gated_act": True,
        "layer_norm_epsilon": 1e-06,
        "model_type": "t5",
        "num_decoder_layers": 2,
        "num_heads": 4,
        "num_layers": 2,
        "output_past": True,
        "pad_token_id": 0,
        "relative_attention_max_distance": 128,
        "relative_attention_num_buckets": 32,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "use_cache": True,
        "vocab_size": vocabulary,
    }
    write_json(folder / "config.json", config)
    state = cast(T5EncoderModel(T5Config.from_pretrained(folder)), dtype)
    state.pop("encoder.embed_tokens.weight", None)  # the same tensor as shared.weight, written once on the hub
    write_weights(folder, "model", state, shards=2)


def write_t5_tokenizer(folder: Path) -> int:
    """spiece.model (no tokenizer.json, as on the hub) and the three JSON files -> the size of the vocabulary."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.txt").write_text("\n".join(CORPUS), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"),
        model_prefix=str(folder / "spiece"),
        vocab_size=120,
        hard_vocab_limit=False,
        model_type="unigram",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "corpus.txt").unlink()
    (folder / "spiece.vocab").unlink()
    learnt = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model")).get_piece_size()
    extra = [f"<extra_id_{i}>" for i in range(100)]
    marks = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    added = {token: learnt + 99 - i for i, token in enumerate(extra)}
    write_json(folder / "added_tokens.json", added)
    write_json(folder / "special_tokens_map.json", {"additional_special_tokens": extra, **marks})
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    decoder = {str(i): {"content": t, **plain} for i, t in enumerate(("<pad>", "</s>", "<unk>"))}
    decoder |= {str(place): {"content": token, **plain} for token, place in added.items()}
    config = {"added_tokens_decoder": decoder, "additional_special_tokens": extra, "extra_ids": 100, **marks}
    config |= {"legacy": True, "model_max_length": 128, "sp_model_kwargs": {}, "tokenizer_class": "T5Tokenizer"}
    write_json(folder / "tokenizer_config.json", config | {"clean_up_tokenization_spaces": True})
    return learnt + 100
