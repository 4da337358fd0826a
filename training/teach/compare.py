"""What a lesson shows of itself: held-out clips as the model draws them before, underway and after.

Everything is drawn by the shipped pipeline, with the same words, first picture and noise. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from nsp_core.media import read_media, to_model_frames
from nsp_core.media.write import write_clip
from nsp_core.types import Frames, NextScene, SamplingOptions, Scene, SceneRequest, StoryContext
from training.teach.lesson import Clip, Lesson
from training.teach.material import kept_apart
from training.teach.names import with_names

When = Literal["before", "step", "after"]
SEED = 7


def shown(lesson: Lesson) -> list[Clip]:
    """The held-out clips that are drawn, as many as the plan has time for, films before photos."""
    clips = lesson.clips()
    apart, most = kept_apart(clips), int(lesson.read("plan.json")["shown"])
    return sorted((c for c in clips if c.id in apart and c.usable), key=lambda clip: clip.is_picture)[:most]


def name_of(when: When, clip: Clip, step: int) -> str:
    return f"step-{step}-{clip.id}.mp4" if when == "step" else f"{when}-{clip.id}.mp4"


def draw_all(
    lesson: Lesson, pipeline: Any, when: When, clips: list[Clip], step: int, tell: Callable[..., None]
) -> None:
    """Those of `clips` that are not there yet, each written down in previews.json."""
    names = lesson.names()
    for clip in clips:
        path = lesson.previews / name_of(when, clip, step)
        if path.is_file():
            continue
        words = with_names(clip.caption, names)
        frames = draw(pipeline, lesson, clip, words)
        write_clip(path, frames, pipeline.config.fps)
        row = {"id": clip.id, "kind": when, "step": step, "file": f"previews/{path.name}", "words": words}
        told = [one for one in lesson.read("previews.json", []) if one["file"] != row["file"]]
        lesson.write("previews.json", [*told, row])
        tell("preview", **row)


@torch.no_grad()
def draw(pipeline: Any, lesson: Lesson, clip: Clip, words: str) -> Frames:
    """(T, H, W, 3): from the clip's first picture; of a photo from its words alone."""
    options = SamplingOptions(seed=SEED, preview_every=0)
    if clip.is_picture:
        request = SceneRequest(StoryContext(), words, "cut", options)
    else:
        c = pipeline.config
        first = frames_of(lesson.folder / str(clip.clip), c)[:1]
        context = StoryContext((Scene("", np.repeat(first, c.num_frames, 0)),))
        request = SceneRequest(context, words, "continue", options)
    *_, made = pipeline.act(request)
    assert isinstance(made, NextScene)
    return made.frames


def frames_of(path: Path, config: Any) -> Frames:
    """A clip as the model sees it."""
    clip = read_media(path, fps=config.fps, side=2 * max(config.width, config.height))
    return to_model_frames(clip, config.width, config.height, config.num_frames, config.fps, part="first")
