"""Qwen3-VL's processor without torchvision: as Qwen2.5-VL's, but clips are resized as a whole and told with times.

All that a second family of readers takes: this file, its line in `nsp_core.model.build.READERS`, its test.
"""

from __future__ import annotations

import math
from pathlib import Path

from transformers import Qwen3VLProcessor

from nsp_core.model.processor import FrameProcessor, WithoutTorchvision


class ClipProcessor(FrameProcessor):
    """The budget of pixels is for the whole clip (transformers' Qwen3VLVideoProcessor)."""

    def resized(self, frames: int, height: int, width: int, factor: int, pixels: tuple[int, int]) -> tuple[int, int]:
        step, (least, most) = self.temporal_patch_size, pixels
        if min(height, width) < factor:
            grow = max(factor / height, factor / width)
            height, width = int(height * grow), int(width * grow)
        t = round(frames / step) * step
        h, w = round(height / factor) * factor, round(width / factor) * factor
        if t * h * w > most:
            shrink = math.sqrt(frames * height * width / most)
            h, w = (max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width))
        elif t * h * w < least:
            grow = math.sqrt(least / (frames * height * width))
            h, w = (math.ceil(side * grow / factor) * factor for side in (height, width))
        return h, w


class Processor(WithoutTorchvision, Qwen3VLProcessor):
    frame_processor = ClipProcessor
    hub_classes = ("Qwen3VLProcessor", "Qwen3VLVideoProcessor")


def load_processor(folder: str | Path) -> Processor:
    processor = Processor.from_pretrained(str(folder))
    processor.tokenizer.padding_side = "left"
    return processor
