"""The tiny folders in the hub's files load in the real classes, whole: no weight is missing, none is left over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests import hub_layout


@pytest.mark.parametrize("family", ["2.5", "3"])
def test_a_reader_of_the_hub_loads_whole(tmp_path: Path, family: hub_layout.Family) -> None:
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    folder = hub_layout.write_qwen(tmp_path, family)
    model, found = AutoModelForImageTextToText.from_pretrained(folder, output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_ids_to_tokens(model.config.video_token_id) == "<|video_pad|>"
    said = tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    assert said.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>")


@pytest.mark.parametrize("version", ["0.9.0", "0.9.5"])
def test_a_drawer_of_the_hub_loads_whole(tmp_path: Path, version: hub_layout.Version) -> None:
    from diffusers import DiffusionPipeline

    folder = hub_layout.write_ltx(tmp_path, version)
    pipeline = DiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    assert type(pipeline).__name__ == ("LTXPipeline" if version == "0.9.0" else "LTXConditionPipeline")
    assert (pipeline.vae.spatial_compression_ratio, pipeline.vae.temporal_compression_ratio) == (32, 8)
    assert float(pipeline.vae.latents_std.min()) >= 1, "the statistics of the latents were not read"
    assert len(pipeline.tokenizer) == pipeline.text_encoder.config.vocab_size
    words = pipeline.tokenizer("a red ball rolls")["input_ids"]
    assert words[-1] == 1 and pipeline.tokenizer.unk_token_id not in words
    for part in ("transformer", "text_encoder"):
        index = next((folder / part).glob("*.index.json"))
        places = json.loads(index.read_text())["weight_map"]
        assert len(set(places.values())) == 2, "the hub's weights come in shards"
