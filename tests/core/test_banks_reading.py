"""What a published reader is given: the same ids, grids and pixels with torchvision as without.

Where torchvision is installed, its processors are compared with ours; where it is not, ours with transformers' own
numpy processor of pictures, which is all of the stock ones that can be had then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.utils import is_torchvision_available

from nsp_core.banks import reading
from nsp_core.errors import CheckpointMismatch
from nsp_core.model import build
from nsp_core.model.vision_language import Inputs, Prompt, prepare
from nsp_core.types import Frames
from tests import hub_layout

SECONDS = 4.0  # of a scene of 65 frames


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("readers")
    return {
        "qwen2_5_vl": hub_layout.write_qwen(root / "2.5", "2.5"),
        "qwen3_vl": hub_layout.write_qwen(root / "3", "3"),
    }


def clip(height: int, width: int, count: int = 2) -> Frames:
    """Smooth in space, as pictures are: in noise, two ways to resize would differ anywhere."""
    y, x, t = np.mgrid[0:height, 0:width, 0:count]
    waves = [np.sin(x / 9 + t + c) + np.cos(y / 7 - c) for c in range(3)]
    return (np.stack(waves, -1).transpose(2, 0, 1, 3) * 60 + 128).clip(0, 255).astype(np.uint8)


def without(folder: Path, family: str) -> Any:
    """Our processor, budgeted as the loader does it, whether torchvision is here or not."""
    processor = build.reader(family).load_processor(folder)
    size = reading.frame_size(processor.video_processor, family, reading.VISION)
    processor.reading = reading.Reading(size, SECONDS)
    return processor


@pytest.mark.skipif(not is_torchvision_available(), reason="torchvision is not installed")
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("size", [(84, 112), (96, 128), (64, 96), (480, 832)])
def test_the_stock_processor_and_ours_give_the_same(
    folders: dict[str, Path], family: str, size: tuple[int, int]
) -> None:
    stock = reading.load_processor(folders[family], family, SECONDS)
    ours = without(folders[family], family)
    assert type(stock) is not type(ours) and isinstance(ours, type(stock))
    prompt = Prompt("What happens next?", (clip(*size),))
    expected, given = prepare(stock, [prompt]), prepare(ours, [prompt])
    for name in ("input_ids", "attention_mask", "mm_token_type_ids", "video_grid_thw"):
        assert torch.equal(expected[name], given[name]), name
    # two libraries' bicubic: a level of 255 here and there, which is 0.015 after normalisation
    difference = (expected["pixel_values_videos"].float() - given["pixel_values_videos"]).abs()
    assert difference.max() < 0.05 and difference.mean() < 0.006


@pytest.mark.parametrize("size", [(84, 112), (100, 130), (300, 400)])
def test_a_clip_of_one_picture_twice_is_what_the_numpy_processor_makes_of_the_picture(
    folders: dict[str, Path], size: tuple[int, int]
) -> None:
    from PIL import Image

    processor = without(folders["qwen2_5_vl"], "qwen2_5_vl")
    still = clip(*size, count=1).repeat(2, 0)
    given = prepare(processor, [Prompt("What?", (still,))])
    expected = processor.image_processor([Image.fromarray(still[0])], size=processor.reading.size, return_tensors="pt")
    assert torch.equal(given["video_grid_thw"], expected["image_grid_thw"])
    torch.testing.assert_close(given["pixel_values_videos"], expected["pixel_values"], atol=2e-6, rtol=0)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_ids_have_one_place_for_every_patch_that_is_seen(folders: dict[str, Path], family: str) -> None:
    """The whole prompt, token by token: the hub's template, the marks of the clip, and the question."""
    processor = reading.load_processor(folders[family], family, SECONDS)
    inputs: Inputs = prepare(processor, [Prompt("What happens next?", (clip(96, 160),))])
    tokens = processor.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    assert tokens.count("<|video_pad|>") == reading.vision_tokens(processor, inputs) > 1
    said = processor.tokenizer.decode(inputs["input_ids"][0])
    assert said.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n")
    assert said.endswith("What happens next?<|im_end|>\n<|im_start|>assistant\n")
    assert ("<2.0 seconds>" in said) == (family == "qwen3_vl"), (
        "only Qwen3-VL is told times: the middle of the two ends"
    )
    assert torch.equal(inputs["mm_token_type_ids"][0] == 2, torch.tensor([t == "<|video_pad|>" for t in tokens]))


def test_a_reader_that_is_not_known_is_named(tmp_path: Path) -> None:
    hub_layout.write_json(tmp_path / "config.json", {"model_type": "llava"})
    with pytest.raises(CheckpointMismatch, match="no reader for llava yet; known are qwen2_5_vl, qwen3_vl"):
        build.reader(reading.family_of(tmp_path))
