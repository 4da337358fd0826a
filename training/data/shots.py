"""Where a film is cut, found while its frames go by. The detectors are PySceneDetect's (BSD-3), fed with small frames.

PySceneDetect decodes with OpenCV and makes every frame small from full-size BGR; here frames are scaled straight from
YUV, which is what makes it fast, by the filter that comes nearest to OpenCV's (cuts come out equal; `bench data`
compares). Knows nothing of clips.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from training.data.config import SplitConfig

FLAGS = "fast_bilinear"  # like cv2.INTER_LINEAR it samples and does not average


class Shots:
    """Give frames one after the other; a cut becomes known `delay` frames after it at most."""

    def __init__(self, config: SplitConfig, fps: float, known: list[int] | None = None) -> None:
        """`known`: the cuts, when somebody has found them before."""
        from scenedetect import AdaptiveDetector, ContentDetector

        self._known, self._fps = known, fps
        self._detector: Any = None
        least = max(1, math.ceil(config.shortest_shot * fps - 1e-6))
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


def cuts_by_network(path: Path, config: SplitConfig) -> list[int]:
    """TransNetV2's cuts: a pass of its own, since the network looks at a hundred frames together. Raises ConfigError
    without its weights."""
    if config.model is None or not config.model.is_file():
        raise ConfigError(
            "The detector 'transnet' needs split.model: the TransNetV2 weights as ONNX, as PySceneDetect reads them."
        )
    from scenedetect import SceneManager, open_video
    from scenedetect.detectors.transnet_v2 import TransnetV2Detector

    manager = SceneManager()
    manager.add_detector(TransnetV2Detector(model_path=str(config.model)))
    manager.detect_scenes(open_video(str(path), backend="pyav"))
    return [scene[0].frame_num for scene in manager.get_scene_list()[1:]]


def small_size(width: int, height: int, wide: int) -> tuple[int, int]:
    """As PySceneDetect makes frames small: the longer side `wide`, never larger than it was."""
    factor = max(1.0, max(width, height) / wide)
    return max(2, round(width / factor)), max(2, round(height / factor))
