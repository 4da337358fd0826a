"""Stages look and content: a small classifier looks at frames of each clip, where the config asks for it.

The classifier is the page's (nsp_core.content). Looking is one stage and the threshold another, so that a changed one
decodes nothing. Both come before a clip is kept as a file of the run and before anybody is asked for words: what is
left out is in no pack, on no sheet and on no card, and is sent nowhere. Knows nothing of what is to be seen.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

from nsp_core import content
from nsp_core.content import Classifier
from nsp_core.media import read_media
from training.data.config import ClipConfig, DataConfig
from training.data.engine import Stage
from training.data.render import render_one
from training.data.rows import Outcome, Row, digest

VERSION = 1
SIDE = 512  # pixels of the frames that are read; the classifier sees 256


def check(config: DataConfig) -> None:
    """Raises ModelUnavailable, before anything is done, where the filter is wanted and cannot be had."""
    if config.quality.content != "none":
        content.check(weights(), ", or set quality.content=none")


def weights() -> Path:
    """Where `launch.py app --get-filter` puts them."""
    return content.weights_path(os.environ.get("WHATNEXT_FILTER_MODEL", ""))


@lru_cache(maxsize=1)
def classifier(path: Path) -> Classifier:
    """One for each worker."""
    return Classifier(path)


def look(rows: Sequence[Row], clip: ClipConfig, folder: Path, weights: Path) -> list[Outcome]:
    return [look_at(row, clip, folder, weights) for row in rows]


def look_at(row: Row, clip: ClipConfig, folder: Path, weights: Path) -> Outcome:
    """The highest number of some of its frames, the first and the last among them."""
    made = render_one(row, clip, folder)  # most are there already
    if made.status != "ok":
        return made
    seconds = max(1.0, float(row.values["frames"]) / clip.fps + 1.0)
    frames = read_media(folder / str(made.values["file"]), max_seconds=seconds, fps=None, side=SIDE).frames
    return Outcome(values={"content": round(max(classifier(weights).scores(frames)), 4)})


def limit(rows: Sequence[Row], threshold: float) -> list[Outcome]:
    scores = [float(row.values["content"]) for row in rows]
    return [Outcome("dropped", reason(one, threshold)) if one >= threshold else Outcome() for one in scores]


def reason(score: float, threshold: float) -> str:
    return f"the content filter: {score:.2f} of {threshold:g}"


def stages(config: DataConfig, folder: Path) -> list[Stage]:
    if config.quality.content == "none":
        return []
    threshold = config.quality.content_threshold
    return [
        Stage(
            "look",
            "clip",
            partial(look, clip=config.clip, folder=folder, weights=weights()),
            digest("look", VERSION, content.WEIGHTS.inside_sha256, content.SAMPLES, SIDE),
            timeout=config.run.timeout,
            memory=config.run.memory,
        ),
        Stage(
            "content",
            "clip",
            partial(limit, threshold=threshold),
            digest("content", VERSION, threshold),
            batch_size=256,
        ),
    ]
