"""Scenes in order -> one MP4: clips copied, each scene's words as a soft caption and as a chapter.

Knows nothing of the database or the page: paths and words in, a finished file and its numbers out. The file appears
under its name only when it is whole.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.killpoints import reached
from app.provenance.account import Provenance
from app.provenance.credentials import Part, seal
from nsp_core.errors import UnreadableMedia, UserError
from nsp_core.media import join_clips

log = logging.getLogger(__name__)

_CHAPTER_LETTERS = 80


@dataclass(frozen=True)
class ReelItem:
    """One scene of the film. `seconds` is what the story believes; times in the film come from the clip itself."""

    clip_path: Path
    words: str
    seconds: float | None = None


@dataclass(frozen=True)
class ReelInfo:
    path: Path
    seconds: float
    frames: int
    scenes: int
    bytes: int
    starts: tuple[float, ...]  # where each scene begins: for the page's scene list
    copied: int
    reencoded: tuple[int, ...]  # scenes whose clip was made differently and had to be encoded again
    took: float


def export_reel(
    scenes: Sequence[ReelItem],
    out: str | Path,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    title: str = "",
    provenance: Provenance | None = None,
) -> ReelInfo:
    """Cut the scenes together into `out`. `on_progress(done, total)` counts scenes. `provenance`: what the film tells
    of its making, and who signs that."""
    began = time.perf_counter()
    out = Path(out)
    if not scenes:
        raise UserError("A reel of no scenes was asked; a reel needs at least one scene with a clip: draw one first.")
    for number, item in enumerate(scenes, 1):
        if not item.clip_path.is_file():
            raise UnreadableMedia(
                f"The clip of scene {number} is gone ({item.clip_path.name}); draw that scene again, then export."
            )
    info = join_clips(
        [item.clip_path for item in scenes],
        out,
        on_progress=on_progress,
        words=[" ".join(item.words.split()) for item in scenes],
        chapters=[chapter_of(item.words, number) for number, item in enumerate(scenes, 1)],
        title=title,
        comment=provenance.account.remark if provenance is not None else "",
        differing="re-encode",
    )
    if provenance is not None:
        clips = {
            item.clip_path: Part(item.clip_path, provenance.account.scene_of(item.clip_path.stem)) for item in scenes
        }
        seal(out, "mp4", provenance, title=title, parts=list(clips.values()))
    reached("reel.written")
    if info.reencoded:
        log.info("%d of %d clips of the reel had to be encoded again", len(info.reencoded), info.clips)
    return ReelInfo(
        path=out,
        seconds=info.seconds,
        frames=info.frames,
        scenes=info.clips,
        bytes=out.stat().st_size,
        starts=info.starts,
        copied=info.clips - len(info.reencoded),
        reencoded=info.reencoded,
        took=time.perf_counter() - began,
    )


def chapter_of(words: str, number: int) -> str:
    """The first sentence, short enough for a player's list."""
    line = " ".join(words.split()) or f"Scene {number}"
    sentence = line.split(". ")[0]
    return sentence if len(sentence) <= _CHAPTER_LETTERS else sentence[: _CHAPTER_LETTERS - 1].rstrip() + "…"
