"""The shipped model as captioner, writer and judge: it is here, it costs nothing, and it knows one drawn world only.

Shown real footage it would tell of foxes and balloons. So what it says of pictures outside its world is no caption: it
is kept as a guess, for the sheet on which a person writes what is really there, and the caption is missing. Words that
it never learnt it neither writes before nor judges. Knows nothing of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core import prompts
from nsp_core.judges import Verdict
from nsp_core.media import MediaClip, crop_resize, to_model_frames
from nsp_core.memory import ends
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import write
from nsp_core.opinion import opinion
from nsp_core.types import Frames, Scene, StoryContext
from training.evaluate.captioner import Caption

STARTER = Path(__file__).resolve().parents[2] / "assets" / "starter"
OUTSIDE = "the pictures lie outside the starter's world"


@lru_cache(maxsize=1)
def model(folder: str) -> Any:
    from training.models import open_model

    return open_model(Path(folder))


class Starter:
    """`captions` want frames (T, H, W, 3) of any size at `fps`."""

    def __init__(self, folder: Path = STARTER) -> None:
        self._pipeline = model(str(folder))
        self.name = f"starter:{self._pipeline.fingerprint}"
        self.how = "describe, two pictures, the picture-book world only"

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        return [self.caption(frames) for frames in clips]

    def caption(self, frames: Frames) -> Caption:
        """Outside its world: no text, and its guess stands in the reason."""
        c = self._pipeline.config
        shown = np.stack([crop_resize(frame, c.width, c.height) for frame in (frames[0], frames[-1])])
        seen = self._pipeline.describe(shown)
        if not seen.in_world:
            return Caption(None, f"{OUTSIDE}; it would say: {seen.words}")
        return Caption(seen.words)

    def precede(self, caption: str, frames: Frames | None, number: int) -> Caption:
        """What came before, in another wording for every `number`."""
        pipeline = self._pipeline
        if unknown := pipeline.language.unknown(caption):
            return Caption(None, f"the starter does not know the word '{unknown[0]}'")
        clips = () if frames is None else (ends(self._small(frames)),)
        text = prompts.story_text(pipeline.dialect, (pipeline.plain(caption),)) + pipeline.dialect.before
        warm = {} if number == 0 else {"temperature": 1.0 + 0.1 * number, "top_p": 0.95}
        said = ""
        for piece in write(pipeline.vision_language, pipeline.processor, Prompt(text, clips), seed=number, **warm):
            said = piece.text
        if not said or said.startswith(prompts.UNKNOWN[:12]) or pipeline.language.unknown(said):
            return Caption(None, "the starter does not know what came before")
        return Caption(said)

    def judge(self, preceding: str, caption: str, frames: Frames | None) -> Verdict:
        shown = None if frames is None else self._small(frames)
        return opinion(self._pipeline, StoryContext((Scene(preceding),)), Scene(caption, shown))

    def _small(self, frames: Frames) -> Frames:
        c = self._pipeline.config
        clip = MediaClip(frames, float(c.fps), "clip" if len(frames) > 1 else "picture")
        return to_model_frames(clip, c.width, c.height, c.num_frames, c.fps)
