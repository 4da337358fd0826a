"""Qwen2.5-VL's processor without torchvision: chat template, tokenizer, frames -> vision patches by numpy and PIL.

transformers' own video processor needs torchvision, which has no build for many CPU installs. The folder that is saved
here keeps the hub's names, so with torchvision installed `AutoProcessor` loads it as the ordinary class.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin, Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

__all__ = ["FrameProcessor", "ProcessorMixin", "VisionLanguageProcessor", "load_processor", "patchify"]
# diffusers looks for ProcessorMixin in the module of a component to learn how it is loaded

_VIDEO_KEYS = ("size", "patch_size", "temporal_patch_size", "merge_size", "image_mean", "image_std")


def patchify(frames: NDArray[np.float32], patch: int, merge: int, temporal: int) -> NDArray[np.float32]:
    """(T, H, W, 3) normalised -> (T/t * H/p * W/p, 3*t*p*p) in Qwen's order: merge blocks first."""
    t, h, w = frames.shape[0] // temporal, frames.shape[1] // patch, frames.shape[2] // patch
    x = frames.transpose(0, 3, 1, 2).reshape(t, temporal, 3, h // merge, merge, patch, w // merge, merge, patch)
    return x.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(t * h * w, 3 * temporal * patch * patch)


class FrameProcessor(Qwen2VLImageProcessorPil):
    """Clips (T, H, W, 3) uint8, already sampled in time -> pixel_values_videos, video_grid_thw."""

    model_input_names = ["pixel_values_videos", "video_grid_thw"]

    def __call__(
        self,
        videos: Any = None,
        video_metadata: Any = None,
        return_tensors: str | None = "pt",
        return_metadata: bool = False,
        size: dict[str, int] | None = None,
        do_resize: bool = True,
        **_: Any,
    ) -> BatchFeature:
        clips = [np.asarray(v) for v in (videos if isinstance(videos, (list, tuple)) else [videos])]
        size = dict(size or self.size)
        patches, grids = [], []
        for clip in clips:
            pixels = self._normalised(clip, size, do_resize)
            patches.append(patchify(pixels, self.patch_size, self.merge_size, self.temporal_patch_size))
            t, h, w = pixels.shape[:3]
            grids.append((t // self.temporal_patch_size, h // self.patch_size, w // self.patch_size))
        data = {"pixel_values_videos": np.concatenate(patches), "video_grid_thw": np.array(grids)}
        out = BatchFeature(data, tensor_type=return_tensors)
        if return_metadata:
            from transformers.video_utils import VideoMetadata

            out["video_metadata"] = video_metadata or [
                VideoMetadata(total_num_frames=len(c), fps=2.0, frames_indices=list(range(len(c)))) for c in clips
            ]
        return out

    def resized(self, _frames: int, height: int, width: int, factor: int, pixels: tuple[int, int]) -> tuple[int, int]:
        """Multiples of `factor` near (height, width) with pixels[0] to pixels[1] pixels a frame."""
        h, w = smart_resize(height, width, factor, *pixels)
        return h, w

    def _normalised(self, clip: NDArray[np.uint8], size: dict[str, int], do_resize: bool) -> NDArray[np.float32]:
        _, height, width, _ = clip.shape
        h, w = height, width
        if do_resize:
            factor = self.patch_size * self.merge_size
            h, w = self.resized(len(clip), height, width, factor, (size["shortest_edge"], size["longest_edge"]))
        if (h, w) != (height, width):
            clip = np.stack([np.asarray(Image.fromarray(f).resize((w, h), Image.Resampling.BICUBIC)) for f in clip])
        if len(clip) % self.temporal_patch_size:
            clip = np.concatenate([clip, np.repeat(clip[-1:], -len(clip) % self.temporal_patch_size, 0)])
        scaled: NDArray[np.float32] = clip.astype(np.float32) / np.float32(255)
        mean, deviation = np.asarray(self.image_mean, np.float32), np.asarray(self.image_std, np.float32)
        return (scaled - mean) / deviation


class WithoutTorchvision:
    """For a processor class of transformers: FrameProcessor in the place of the torchvision class."""

    frame_processor: type[FrameProcessor] = FrameProcessor
    hub_classes = ("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor")

    def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
        if name == "video_processor":
            return type(argument)
        return super().check_argument_for_proper_class(name, argument)  # type: ignore[misc]

    @classmethod
    def _get_arguments_from_pretrained(cls, path: str, processor_dict: Any = None, **_: Any) -> list[Any]:
        values = dict((processor_dict or {}).get("video_processor") or {})
        for older in ("video_preprocessor_config.json", "preprocessor_config.json"):  # where hub folders keep it
            if not values and (Path(path) / older).exists():
                values = json.loads((Path(path) / older).read_text())
        frames = cls.frame_processor(**{k: values[k] for k in _VIDEO_KEYS if k in values})
        return [Qwen2VLImageProcessorPil.from_pretrained(path), AutoTokenizer.from_pretrained(path), frames]

    def save_pretrained(self, save_directory: Any, **kwargs: Any) -> Any:
        super().save_pretrained(save_directory, **kwargs)  # type: ignore[misc]
        path = Path(save_directory) / "processor_config.json"
        values = json.loads(path.read_text())
        values["processor_class"] = self.hub_classes[0]
        values["video_processor"].pop("image_processor_type", None)
        values["video_processor"]["video_processor_type"] = self.hub_classes[1]
        path.write_text(json.dumps(values, indent=2))
        return [str(path)]


class VisionLanguageProcessor(WithoutTorchvision, Qwen2_5_VLProcessor):
    """Qwen2.5-VL's."""


def load_processor(path: str | Path) -> VisionLanguageProcessor:
    processor = VisionLanguageProcessor.from_pretrained(str(path))
    processor.tokenizer.padding_side = "left"  # not kept by save_pretrained
    return processor
