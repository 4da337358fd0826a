"""What needs no model, beside each right-scene rate: floors that a copier would reach, and the ceiling that the
autoencoder leaves. On the true event of a case.

Knows nothing of how figures are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from nsp_core.types import Frames
from training.evaluate import cases, neighbours
from training.evaluate.futures import nearest_is
from training.evaluate.pictures import masked_psnr
from training.picturebook.draw import clip, masks
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import psnr
from training.picturebook.rules import enabled, is_enabled

RoundTrip = Callable[[Frames], Frames]
FLOORS = (
    "copy_last",
    "other_story",
    "most_frequent",
    "neighbour",
    "copy_last_reader_free",
    "other_story_reader_free",
    "chance_reader_free",
)


def floors(one: cases.Case, stranger: cases.Case, judge: ExactJudge) -> Iterator[tuple[str, float | None]]:
    """Name and value of each of FLOORS; None where the judge cannot see. `stranger` is a case of another story."""
    before, event = one.before, one.event
    last = cases.last_picture(one.context)
    still = np.repeat(last[None], len(clip(before, event, one.after)), 0)
    other = clip(stranger.before, stranger.event, stranger.after)
    for name, frames in (("copy_last", still), ("other_story", other)):
        yield name, judge.judge_clip(before, event, frames).passed
        yield f"{name}_reader_free", nearest_is(before, event, frames)
    usual = cases.most_frequent_rule()
    yield "most_frequent", any(e.rule == usual for e in enabled(before))
    found = neighbours.nearest(last)
    possible = is_enabled(before, found.event)
    yield "neighbour", judge.judge_clip(before, found.event, found.frames()).passed if possible else False
    yield "chance_reader_free", 1 / (len(cases.futures(before, event)) + 1)


def ceiling(one: cases.Case, judge: ExactJudge, round_trip: RoundTrip) -> Iterator[tuple[str, float | None]]:
    """The true clip through the autoencoder: is it still right, and its decibels."""
    truth = clip(one.before, one.event, one.after)
    back = round_trip(truth)
    yield "ceiling", judge.judge_clip(one.before, one.event, back).passed
    yield "vae.clip", psnr(back, truth)
    yield "vae.things", masked_psnr(back, truth, masks(one.before, one.event, one.after))
