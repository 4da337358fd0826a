"""Which clips are good enough, from what was measured of them: one sentence why not, in the words of the config.

Thresholds alone: to change one costs no decoding. Knows nothing of frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from training.data.config import ClipConfig, QualityConfig
from training.data.engine import Stage
from training.data.rows import Outcome, Row, digest

VERSION = 1


def reason_against(values: Mapping[str, Any], clip: ClipConfig, quality: QualityConfig) -> str:
    """ "" for a clip that is kept. The reasons are few and always the same words: they are counted."""
    q = quality
    if values["kind"] == "image":
        rules = [
            (values["flat"] > 0, "nothing is to be seen in it"),
            (values["text"] > q.most_text, "there is text in the picture"),
            (values["sharpness"] < q.least_sharpness, "it is not sharp"),
        ]
    else:
        if values["frames"] < clip.least_frames:
            return f"the shot is shorter than {clip.least_frames} frames"
        rules = [
            (values["black"] > q.most_black, "it is black for too long"),
            (values["flat"] > q.most_flat, "nothing is to be seen for too long"),
            (values["still"] > q.most_still, "it stands still"),
            (values["motion"] < q.least_motion, "hardly anything moves"),
            (values["motion"] > q.most_motion, "it moves too wildly"),
            (values["bars"] > q.most_bars, "it has black bars"),
            (values["text"] > q.most_text, "there is text in the picture"),
            (values["sharpness"] < q.least_sharpness, "it is not sharp"),
        ]
    return next((words for broken, words in rules if broken), "")


def check(rows: Sequence[Row], clip: ClipConfig, quality: QualityConfig) -> list[Outcome]:
    reasons = [reason_against(row.values, clip, quality) for row in rows]
    return [Outcome("dropped", reason) if reason else Outcome() for reason in reasons]


def stage(clip: ClipConfig, quality: QualityConfig) -> Stage:
    thresholds = {name: value for name, value in vars(quality).items() if not name.startswith("content")}
    return Stage(
        "quality",
        "clip",
        partial(check, clip=clip, quality=quality),
        digest("quality", VERSION, thresholds, clip.least_frames),
        batch_size=256,
    )
