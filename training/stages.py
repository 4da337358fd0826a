"""The table of stages: a config class and the function that builds the parts and hands them to the loop."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import torch

from training import checkpoint, loop
from training.reader import Reader, ReaderConfig, ReaderObjective, new_reader
from training.stories import read_pool
from training.vae import VaeConfig, VaeObjective


def train_vae(config: VaeConfig, resume: bool) -> int:
    torch.manual_seed(config.loop.seed)
    objective = VaeObjective(config)
    if config.init is not None:
        objective.module.load_state_dict(checkpoint.load(config.init).model)
    return loop.train(
        objective,
        config.loop,
        config.out,
        adam_names=("conv_in", "conv_out", "scale_shift"),
        minutes=config.minutes,
        resume=resume,
    )


def train_reader(config: ReaderConfig, resume: bool) -> int:
    processor, reader = start_reader(config)
    if config.init is not None:
        initial = checkpoint.load(config.init)
        reader.load_state_dict(initial.model)
    held_out = read_pool(config.stories.with_name("stories_held_out.jsonl"), config.held_out_stories)
    objective = ReaderObjective(config, processor, reader, read_pool(config.stories), held_out)
    return loop.train(
        objective,
        config.loop,
        config.out,
        adam_names=("embed_tokens", "lm_head", "patch_embed", "queries", "seen_", "coming"),
        minutes=config.minutes,
        resume=resume,
    )


def start_reader(config: ReaderConfig) -> tuple[Any, Reader]:
    """The reader of this run; its tokenizer is learnt from the language once and kept beside the checkpoints."""
    from nsp_core.model import build
    from training.picturebook.words import corpus

    kept = config.out / "processor"
    processor, reader = new_reader(config, corpus(Random(0), 20000))
    if (kept / "tokenizer.json").is_file():
        from transformers import AutoTokenizer

        before = AutoTokenizer.from_pretrained(str(kept))
        if before.get_vocab() != processor.tokenizer.get_vocab():
            raise RuntimeError(f"The language has changed since {config.out} was begun: train the reader anew elsewhere.")
    else:
        build.processor(processor.tokenizer).save_pretrained(str(kept))
    return processor, reader


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


STAGES: dict[str, tuple[Any, Any]] = {"vae": (VaeConfig, train_vae), "reader": (ReaderConfig, train_reader)}
