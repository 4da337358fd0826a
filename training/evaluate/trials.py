"""Clips of known truth for measuring the judge itself: right, wrong in each way, and what no one could read.

Knows nothing of how the judge works. A trial's clip goes through a codec (none, blur and noise, an autoencoder) before
it is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from training.picturebook.draw import clip
from training.picturebook.reader import idle, looks
from training.picturebook.rules import enabled, step
from training.picturebook.splits import held_out_story
from training.picturebook.world import COLOURS, SLOTS, Event, Thing, World

Pixels = npt.NDArray[np.uint8]
Codec = Callable[[Pixels], Pixels]

READABLE = ("right", "wrong event", "wrong colour", "wrong thing", "repeat", "static")
MUSH = ("blend", "unfinished", "noise", "blur", "average", "smear")


@dataclass(frozen=True)
class Trial:
    """`truth` is what the judge should say of `frames` as the next scene of `before`, told as `event`."""

    kind: str
    story: int
    before: World
    event: Event
    frames: Pixels
    truth: str


def trials(seed: int, stories: int, kinds: tuple[str, ...] = READABLE, style: str = "house") -> Iterator[Trial]:
    """One trial of each kind for each held-out story (a kind that a story can't have is left out)."""
    for number in range(stories):
        rng = Random(f"trials {seed}/{number}")
        told = held_out_story(rng, rng.randint(2, 4))
        before, event, after = told.worlds[-2], told.events[-1], told.worlds[-1]
        for kind in kinds:
            made = _make(kind, before, event, after, rng, style)
            if made is not None:
                yield Trial(kind, number, before, event, *made)


def _make(kind: str, before: World, event: Event, after: World, rng: Random, style: str) -> tuple[Pixels, str] | None:
    right = clip(before, event, after, style=style)
    if kind in MUSH:
        return spoil(kind, right, _other_clip(before, after, rng, style), rng), "unreadable"
    if kind == "right":
        return right, "follows"
    if kind == "repeat":
        return np.array(idle(before, len(right), style)), "repeats"
    if kind == "static":
        if rng.random() < 0.5:
            return np.repeat(right[-1:], len(right), 0), "does not follow"
        # From the one state to the other in one jump. Not at the very beginning: there an autoencoder, which joins
        # frames in fours, makes the first picture unreadable, and the judge would be right to say so.
        jump = rng.randint(5, 11)
        halves = idle(before, len(right), style)[:jump], idle(after, len(right), style)[jump:]
        return np.concatenate(halves), "does not follow"
    wrong = {"wrong event": _wrong_event, "wrong colour": _wrong_colour, "wrong thing": _wrong_thing}[kind]
    chosen = wrong(before, after, rng)
    if chosen is None:
        return None
    shown, end = chosen
    return clip(before, shown, end, style=style), "does not follow"


def _wrong_event(before: World, after: World, rng: Random) -> tuple[Event, World] | None:
    others = [(e, w) for e in enabled(before) if (w := step(before, e)).seen() not in (after.seen(), before.seen())]
    return rng.choice(others) if others else None


def _wrong_colour(before: World, after: World, rng: Random) -> tuple[None, World] | None:
    """The right end but for one colour: rather of what has changed."""
    shown = [t for t in after.things if t.visible_colour]
    changed = [t for t in shown if before.at(t.slot) != t]
    for thing in rng.sample(changed or shown, 1) if shown else ():
        colour = rng.choice([c for c in COLOURS if c != thing.colour])
        end = after.put(replace(thing, colour=colour))
        return None if end.seen() == before.seen() else (None, end)
    return None


def _wrong_thing(before: World, after: World, rng: Random) -> tuple[None, World]:
    """The right end but for one slot: another thing, another state, one too many or too few."""
    while True:
        slot = rng.randrange(len(SLOTS))
        look = rng.choice((None, *looks()))
        end = after.without(slot) if look is None else after.put(Thing(slot, *look))
        if end.seen() not in (after.seen(), before.seen()):
            return None, end


def _other_clip(before: World, after: World, rng: Random, style: str) -> Pixels:
    chosen = _wrong_event(before, after, rng)
    if chosen is None:
        return np.array(idle(before, style=style))
    return clip(before, *chosen, style=style)


def spoil(kind: str, right: Pixels, other: Pixels, rng: Random) -> Pixels:
    """A right clip made unreadable; its first frame stays, as a model that continues is given it."""
    end = right.astype(np.float32)
    draw = np.random.default_rng(rng.getrandbits(32))
    count = len(right)
    rise = np.clip(np.arange(count) / 6, 0, 1)[:, None, None, None].astype(np.float32)
    if kind == "blend":
        share = rng.uniform(0.42, 0.58)
        out = end * (1 - share * rise) + other * share * rise
    elif kind == "unfinished":  # a cross-fade from the beginning that stops half way
        share = np.clip(np.arange(count) / count, 0, 1) * rng.uniform(0.42, 0.58)
        share = share[:, None, None, None].astype(np.float32)
        out = end[:1] * (1 - share) + end[-1:] * share
    elif kind == "noise":
        sigma = rng.uniform(0.4, 0.7) * rise
        out = 127.5 + (1 - sigma) * (end - 127.5) + sigma * 127.5 * draw.standard_normal(end.shape).astype(np.float32)
    elif kind == "blur":
        radius = rng.uniform(6, 9)
        out = end * (1 - rise) + _blurred(right, radius) * rise
    elif kind == "average":
        mixed = np.stack([end, other, np.roll(end, 40, 2), np.roll(other, -40, 2)]).mean(0)
        out = end * (1 - rise) + mixed * rise
    elif kind == "smear":
        out = end * (1 - rise) + _smeared(end, draw) * rise
    else:
        raise ValueError(f"mush of kind {kind!r} was asked for, but there are {', '.join(MUSH)}: choose one of these")
    return np.clip(out, 0, 255).astype(np.uint8)


def _blurred(frames: Pixels, radius: float) -> npt.NDArray[np.float32]:
    soft = [np.asarray(Image.fromarray(f).filter(ImageFilter.GaussianBlur(radius))) for f in frames]
    return np.stack(soft).astype(np.float32)


def _smeared(frames: npt.NDArray[np.float32], draw: np.random.Generator) -> npt.NDArray[np.float32]:
    """Pixels of the lower part pushed about by a smooth field, as half-trained models do with things."""
    height, width = frames.shape[1:3]
    field = draw.standard_normal((2, height // 8, width // 8))
    push = [np.asarray(Image.fromarray(f.astype(np.float32)).resize((width, height), 3)) * 11 for f in field]
    rows = np.clip(np.arange(height)[:, None] + push[0], 0, height - 1).astype(int)
    columns = np.clip(np.arange(width)[None] + push[1], 0, width - 1).astype(int)
    return frames[:, rows, columns]


# --- codecs ----------------------------------------------------------------------------------------------------------
def as_drawn(frames: Pixels) -> Pixels:
    return frames


def soft_and_grainy(frames: Pixels, radius: float = 0.7, grain: float = 3.0) -> Pixels:
    """About what an autoencoder of 29 to 31 dB gives back, for machines and times that have none."""
    draw = np.random.default_rng(int(frames[0, ::7, ::7].sum()))
    out = _blurred(frames, radius) + draw.normal(0, grain, frames.shape)
    return np.clip(out, 0, 255).astype(np.uint8)
