"""A story of any length -> a context of constant size: the words of the last scenes, the frames of the very last one.

Knows nothing of models: it only chooses. Frames of the model's clip length are sampled at its first and last moment,
which is what a scene changed from and to.
"""

from __future__ import annotations

import numpy as np

from nsp_core.prompts import MAX_SCENES
from nsp_core.types import Frames, Scene, StoryContext


def words_of(context: StoryContext) -> tuple[str, ...]:
    return tuple(scene.words for scene in context.scenes)


def last_seen(context: StoryContext) -> Scene | None:
    """The last scene whose pictures are known."""
    return next((s for s in reversed(context.scenes[-MAX_SCENES:]) if s.frames is not None and len(s.frames)), None)


def ends(frames: Frames) -> Frames:
    """(T, H, W, 3) -> (2, H, W, 3): the first and the last frame, one temporal patch of Qwen-VL."""
    return np.stack([frames[0], frames[-1]])
