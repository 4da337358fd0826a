"""A published Qwen-VL as the reader: its processor, with torchvision or without, and how much it is given to read.

The paper's reader sees at most 1024 tokens: 256 queries, and here at most 448 of pictures (frames are made smaller to
fit) and what is left of words. Pictures are our extension: the paper's connector was trained on words alone. Knows
nothing of what is asked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.video_utils import VideoMetadata

from nsp_core.errors import CheckpointMismatch, UserError
from nsp_core.model import build
from nsp_core.model.vision_language import Prompt, prepare
from nsp_core.types import Frames

SEQUENCE = 1024  # arXiv 2512.13015, architecture section: the longest sequence, queries included
VISION = 448  # of them for pictures, at most


def family_of(folder: Path) -> str:
    """The `model_type` of the weights in `folder`, for example "qwen2_5_vl"."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointMismatch(
            f"The reader's folder {folder} has no usable config.json: download it again."
        ) from error
    return str(kind)


def load_model(folder: Path, dtype: torch.dtype, **how: Any) -> Any:
    """The weights in the class that the folder's config.json names. `how` goes to from_pretrained."""
    from transformers import AutoModelForImageTextToText

    if not list(folder.glob("*.safetensors")):
        raise CheckpointMismatch(f"The reader's folder {folder} has no safetensors: download it again.")
    return AutoModelForImageTextToText.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, local_files_only=True, trust_remote_code=False, **how
    )


def load_processor(folder: Path, family: str, seconds: float, vision: int = VISION) -> Any:
    """The stock processor where torchvision is installed, else ours (`nsp_core.model.processor`), the same but for the
    library that resizes. Frames are made smaller until a prompt's clip, which lasts `seconds`, has `vision` tokens."""
    from transformers.utils import is_torchvision_available

    if is_torchvision_available():
        from transformers import AutoProcessor

        processor = AutoProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        processor.tokenizer.padding_side = "left"
    else:
        processor = build.reader(family).load_processor(folder)
    processor.reading = Reading(frame_size(processor.video_processor, family, vision), seconds)
    return processor


@dataclass(frozen=True)
class Reading:
    """What a processor is told about clips beside their frames: no more than `size` of them, and that the first and the
    last frame of each lie `seconds` apart (Qwen3-VL writes times between the frames)."""

    size: dict[str, int]
    seconds: float

    def __call__(self, clips: Sequence[Frames]) -> dict[str, Any]:
        rates = [max(1, len(clip) - 1) / self.seconds for clip in clips]
        known = [
            VideoMetadata(total_num_frames=len(clip), fps=rate, frames_indices=list(range(len(clip))))
            for clip, rate in zip(clips, rates, strict=True)
        ]
        return {"size": self.size, "do_sample_frames": False, "video_metadata": known}


def frame_size(videos: Any, family: str, tokens: int, frames: int = 2) -> dict[str, int]:
    """The video processor's `size` with which a clip of `frames` frames has at most `tokens` tokens.

    Qwen2.5-VL counts pixels of a frame, Qwen3-VL those of the clip.
    """
    cell = (videos.patch_size * videos.merge_size) ** 2
    moments = -(-frames // videos.temporal_patch_size)
    whole_clip = family.startswith("qwen3")
    most = tokens // moments * cell * (moments * videos.temporal_patch_size if whole_clip else 1)
    return {"shortest_edge": min(4 * cell, most), "longest_edge": most}


def vision_tokens(processor: Any, inputs: dict[str, torch.Tensor]) -> int:
    """How many tokens of `inputs` are pictures."""
    if "video_grid_thw" not in inputs:
        return 0
    return int(inputs["video_grid_thw"].prod(-1).sum()) // processor.video_processor.merge_size**2


def check_budget(processor: Any, prompt: Prompt, queries: int, sequence: int = SEQUENCE) -> None:
    """Raise UserError, naming the budget, when `prompt` and `queries` have more than `sequence` tokens."""
    taken, seen = measure(processor, prompt)
    if taken + queries > sequence:
        left = sequence - queries - seen
        raise UserError(
            f"The story has {taken - seen} tokens of words, but the model reads {left}: of {sequence}, {queries} are "
            f"queries and {seen} pictures; shorten the words of the scene or what holds for the whole story."
        )


def measure(processor: Any, prompt: Prompt) -> tuple[int, int]:
    """(all tokens, those of pictures)"""
    inputs = prepare(processor, [prompt])
    return inputs["input_ids"].shape[1], vision_tokens(processor, inputs)
