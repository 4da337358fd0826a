"""The tiny T5 of a drawer and its words, in the hub's files: an encoder with gated GELU, and sentencepiece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tests.hub_files import cast, write_json, write_weights


def write_t5(folder: Path, vocabulary: int, width: int, dtype: torch.dtype) -> None:
    """config.json and two shards; `width` is what the drawer takes."""
    from transformers import T5Config, T5EncoderModel

    config = {
        "architectures": ["T5EncoderModel"],
        "classifier_dropout": 0.0,
        "d_ff": 128,
        "d_kv": width // 4,
        "d_model": width,
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


def write_t5_tokenizer(folder: Path, corpus: Sequence[str]) -> int:
    """spiece.model (no tokenizer.json, as on the hub) and the three JSON files -> the size of the vocabulary."""
    import sentencepiece

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "corpus.txt").write_text("\n".join(corpus), encoding="utf-8")
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
