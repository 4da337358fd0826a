"""Pictures back to the state that they show, by synthesis: whatever rendering is nearest, if one is near enough.

No trained network, so that it can judge one. First the sky and the ground, then each slot by itself, compared with
every thing in every state and colour on that ground. What is between two readings, or near none, is unreadable:
never a guess. Knows nothing of rules, words or models.

Letters: L looks (103 with the empty one), D values of one slot's window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from training.picturebook.backdrop import PERIOD
from training.picturebook.draw import FRAMES, clip, still
from training.picturebook.world import (
    COLOUR_HIDDEN,
    COLOURED,
    COLOURS,
    LIGHTS,
    PLACES,
    SLOTS,
    STATES,
    WEATHERS,
    Thing,
    World,
)

READER_VERSION = 1

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Look = tuple[str, str, str | None]  # kind, state, colour as it shows


@dataclass(frozen=True)
class Limits:
    """What still counts as read.

    Measured on 420 slots through an autoencoder of only 23 dB (none misread; worst: sky error 21 and blend .23, thing
    error 39, blend .26, explained .83, empty error 26; detail .41 in the lowest hundredth) and on mush, which is far on
    the other side of at least one limit. Blur of a radius of 1.5 px is still read, of 2.5 px no more.
    """

    sky_error: float = 24.0  # root mean square on the pixels that no thing can cover, of 255, beside lost drops
    sky_blend: float = 0.38  # how far towards another sky or ground; 0.5 is half way
    thing_error: float = 44.0  # on the pixels of the thing
    empty_error: float = 30.0  # in the window of an empty slot, beside lost drops
    thing_blend: float = 0.33  # how far towards another thing, state or colour, or towards nothing
    explained: float = 0.72  # share of the thing's contrast with the ground that the rendering explains
    detail: float = 0.28  # share of the rendering's edges that is there; mush has none
    tail_error: float = 36.0  # of the frames before the last, on the worst thing or behind all things
    moving: float = 0.25  # a frame is under way when it is this far from both ends, of the way between them


@dataclass(frozen=True)
class Reading:
    """`world` as it looks (`World.seen`), or None and the reason why it can't be read."""

    world: World | None
    reason: str = ""
    error: float = 0.0  # the worst root mean square of its parts
    blend: float = 0.0  # the worst share of something else


@dataclass(frozen=True)
class ClipReading:
    """The two ends of a clip. `under_way` counts the frames in between that show neither the one nor the other."""

    start: Reading
    end: Reading
    settled: bool
    under_way: int

    @property
    def readable(self) -> bool:
        return self.start.world is not None and self.end.world is not None and self.settled


WINDOWS = tuple((slice(22, 88), slice(48 * s + 8, 48 * s + 56)) for s in range(len(SLOTS)))  # rows, columns
CELL = 16  # px, the world's own grid
EDGES = 2  # px between the two pixels of an edge


def looks() -> tuple[Look, ...]:
    """Everything that can be told apart in a slot."""
    return tuple(
        (kind, state, colour)
        for kind, states in STATES.items()
        for state in states
        for colour in (COLOURS if kind in COLOURED and (kind, state) not in COLOUR_HIDDEN else (None,))
    )


def skies() -> tuple[World, ...]:
    """Every empty world: rain never falls on the mountain, snow only there."""
    return tuple(
        World(place, light, weather)
        for place in PLACES
        for light in LIGHTS
        for weather in WEATHERS
        if weather != ("rain" if place == "mountain" else "snow")
    )


class PictureReader:
    """Reads one style. Renderings are made when first needed (about 50 ms a sky) and kept."""

    def __init__(self, style: str = "house", limits: Limits | None = None) -> None:
        self.style = style
        self.limits = limits or Limits()
        self._skies = skies()
        self._looks = looks()
        self._banks: dict[tuple[int, int], _Bank] = {}

    # -- frames ---------------------------------------------------------------------------------------------------
    def read(self, frame: Pixels) -> Reading:
        """The state that a picture (96, 160, 3) shows at rest."""
        if frame.shape != self._grounds.shape[1:] or frame.dtype != np.uint8:
            raise ValueError(
                f"a picture of {frame.dtype} {frame.shape} was given, but the reader knows uint8 "
                f"{self._grounds.shape[1:]}: scale it first"
            )
        pixels = frame.astype(np.float32)
        number, reading = self._read_sky(pixels)
        if reading.world is None:
            return reading
        things: list[Thing] = []
        for slot in range(len(SLOTS)):
            part = self._read_slot(pixels, number, slot)
            if isinstance(part, str):
                return Reading(None, f"{SLOTS[slot]}: {part}", reading.error, reading.blend)
            look, error, blend = part
            if look is not None:
                things.append(Thing(slot, *look))
            reading = Reading(reading.world, "", max(reading.error, error), max(reading.blend, blend))
        assert reading.world is not None
        world = World(reading.world.place, reading.world.light, reading.world.weather, tuple(things))
        return Reading(world, "", reading.error, reading.blend)

    def _read_sky(self, pixels: Floats) -> tuple[int, Reading]:
        middle, grounds, coarse, distances = self._sky_bank
        seen = pixels[self._open].reshape(-1) - middle
        errors = float(seen @ seen) - 2 * (grounds @ seen) + np.square(grounds).sum(1)
        best = int(errors.argmin())
        error = float(np.sqrt(max(0.0, errors[best]) / seen.size))
        # Between two skies is a matter of colour over areas: single drops may be lost on the way through a model.
        blend = _blend(np.square(coarse - self._coarse(pixels)).sum(1), best, distances[best])
        if error > np.hypot(self.limits.sky_error, self._weather[best]):
            return best, Reading(None, f"the sky and the ground look like none (error {error:.0f})", error, blend)
        if blend > self.limits.sky_blend:
            return best, Reading(None, f"the sky or the ground is between two (blend {blend:.2f})", error, blend)
        return best, Reading(self._skies[best], "", error, blend)

    def _read_slot(self, pixels: Floats, sky: int, slot: int) -> tuple[Look | None, float, float] | str:
        """(look, error, blend), or why there is none. `bank.things` are differences from the bare ground."""
        bank, limits = self._bank(sky, slot), self.limits
        window = pixels[WINDOWS[slot]]
        seen = (window - bank.ground).reshape(-1)
        errors = float(seen @ seen) - 2 * (bank.things.astype(np.float32) @ seen) + bank.distances[0]
        best = int(errors.argmin())
        blend = _blend(errors, best, bank.distances[best])
        if best == 0:
            error = float(np.sqrt(max(0.0, errors[0]) / seen.size))
            if error > np.hypot(limits.empty_error, self._weather[sky]):
                return f"something that is no thing (error {error:.0f})"
            if blend > limits.thing_blend:
                return f"a trace of a thing (blend {blend:.2f})"
            return None, error, blend
        mask = bank.masks[best - 1]
        rest = (seen - bank.things[best]).reshape(window.shape)[mask]
        error = float(np.sqrt(np.square(rest).mean()))
        contrast = bank.things[best].reshape(window.shape)[mask].astype(np.float32)
        explained = 1 - float(np.square(rest).sum() / np.square(contrast).sum())
        detail = self._detail(window, bank, best)
        if error > limits.thing_error or explained < limits.explained:
            return f"nearest to {self._looks[best - 1][0]}, but not near (error {error:.0f}, explained {explained:.2f})"
        if blend > limits.thing_blend:
            return f"between two things (blend {blend:.2f})"
        if detail < limits.detail:
            return f"too soft to tell (detail {detail:.2f})"
        return self._looks[best - 1], error, blend

    @staticmethod
    def _detail(window: Floats, bank: _Bank, best: int) -> float:
        """How much of the rendering's edges the picture has, by projection: 1 as sharp, 0 none."""
        mask = bank.masks[best - 1]
        whole = bank.things[best].reshape(window.shape) + bank.ground
        num = den = 0.0
        for there, here in (
            ((slice(EDGES, None), slice(None)), (slice(None, -EDGES), slice(None))),
            ((slice(None), slice(EDGES, None)), (slice(None), slice(None, -EDGES))),
        ):
            inside = mask[there] & mask[here]
            drawn = (whole[there] - whole[here])[inside]
            found = (window[there] - window[here])[inside]
            num += float((drawn * found).sum())
            den += float((drawn * drawn).sum())
        return num / den if den else 0.0

    # -- clips ----------------------------------------------------------------------------------------------------
    def read_clip(self, frames: Pixels) -> ClipReading:
        """Both ends of a clip (T, 96, 160, 3), whether it has come to rest, and whether it moved on the way."""
        start, end = self.read(frames[0]), self.read(frames[-1])
        if start.world is None or end.world is None:
            return ClipReading(start, end, False, 0)
        settled = self.settled(frames, end.world, start.world)
        return ClipReading(start, end, settled, self.under_way(frames, start.world, end.world))

    def settled(self, frames: Pixels, world: World, start: World | None = None) -> bool:
        """Do the two frames before the last show the same state already, where things are (or were) and behind them?"""
        count = min(2, len(frames) - 1)
        if count == 0:
            return True
        bare = World(world.place, world.light, world.weather)
        alone = (replace(bare, things=(thing,)) for thing in (*world.things, *(start or bare).things))
        places = [differing(bare, one, self.style) for one in alone]
        tail = frames[-1 - count : -1].astype(np.float32)
        first = len(frames) - 1 - count
        errors = [self._distance(tail, world, len(frames), first, mask) for mask in (*places, self._open)]
        return float(np.max(errors)) <= self.limits.tail_error

    def under_way(self, frames: Pixels, start: World, end: World) -> int:
        """How many frames show neither the state before nor the one after, where the two differ: 0 for a jump."""
        mask = differing(start, end, self.style)
        if not mask.any():
            return 0
        first, last = still(start, style=self.style), still(end, style=self.style)
        way = float(np.sqrt(np.square(first[mask].astype(np.float32) - last[mask]).mean()))
        found = frames.astype(np.float32)
        nearest = np.minimum(*(self._distance(found, w, len(frames), 0, mask) for w in (start, end)))
        # what the ends differ from their renderings by (softness, grain) is no motion
        own = max(nearest[0], nearest[-1])
        beyond = np.sqrt(np.maximum(0, np.square(nearest) - own**2))
        return int((beyond[1:-1] > self.limits.moving * way).sum())

    def _distance(
        self, found: Floats, world: World, count: int, first: int, mask: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """Root mean square of each frame (`found[0]` is number `first`) to the idle world, whose weather may stand."""
        drawn = idle(world, count, self.style)[:, mask].astype(np.float32)
        shown = found[:, mask]
        moving = np.square(shown - drawn[first : first + len(found)]).mean((1, 2))
        standing = np.square(shown - drawn[:1]).mean((1, 2))
        return np.sqrt(np.minimum(moving, standing))

    # -- renderings -----------------------------------------------------------------------------------------------
    @cached_property
    def _grounds(self) -> Floats:
        return np.stack([still(world, style=self.style) for world in self._skies]).astype(np.float32)

    @cached_property
    def _open(self) -> npt.NDArray[np.bool_]:
        """Pixels that no thing at rest ever covers."""
        covered = np.zeros(self._grounds.shape[1:3], bool)
        for slot in range(len(SLOTS)):
            rows, columns = WINDOWS[slot]
            covered[rows, columns] |= self._bank(0, slot).masks.any(0)
        return ~covered

    @cached_property
    def _sky_bank(self) -> tuple[Floats, Floats, Floats, npt.NDArray[np.float64]]:
        """The mean of all grounds where no thing stands, what each differs from it by; the same in cells, distances."""
        flat = self._grounds[:, self._open].reshape(len(self._skies), -1)
        middle = flat.mean(0)
        coarse = np.stack([self._coarse(ground) for ground in self._grounds])
        return middle, flat - middle, coarse, _square_distances(coarse)

    @cached_property
    def _weather(self) -> Floats:
        """Of each sky the contrast of its drops or flakes, which are no thing where they are lost: root mean square."""
        moving = np.stack([idle(world, FRAMES, self.style)[:PERIOD] for world in self._skies]).astype(np.float32)
        return np.sqrt(np.square(moving[:, 0] - moving.mean(1)).mean((1, 2, 3)))

    def _coarse(self, pixels: Floats) -> Floats:
        """Mean colour of each cell of the grid, of the pixels that no thing covers."""
        kept = np.where(self._open[..., None], pixels, 0).reshape(6, CELL, 10, CELL, 3).sum((1, 3))
        count = self._open.reshape(6, CELL, 10, CELL).sum((1, 3))
        return (kept / np.maximum(count, 1)[..., None])[count > CELL].reshape(-1)

    def _bank(self, sky: int, slot: int) -> _Bank:
        if (sky, slot) not in self._banks:
            self._banks[sky, slot] = self._render_bank(sky, slot)
        return self._banks[sky, slot]

    def _render_bank(self, sky: int, slot: int) -> _Bank:
        world, window = self._skies[sky], WINDOWS[slot]
        ground = self._grounds[sky][window]
        drawn = [still(world.put(Thing(slot, *look)), style=self.style)[window] for look in self._looks]
        things = np.stack([np.zeros_like(ground), *(picture - ground for picture in drawn)]).astype(np.int16)
        masks = grown(np.abs(things[1:]).max(-1) > 6)
        flat = things.reshape(len(things), -1)
        distances = _square_distances(flat.astype(np.float32))
        return _Bank(ground, flat, masks, distances)


@dataclass(frozen=True)
class _Bank:
    """The looks of one slot under one sky; row 0 of `things` (L, D) and of `distances` (L, L) is the empty slot."""

    ground: Floats
    things: npt.NDArray[np.int16]
    masks: npt.NDArray[np.bool_]  # (L - 1, rows, columns)
    distances: npt.NDArray[np.float64]


def _square_distances(rows: Floats) -> npt.NDArray[np.float64]:
    products = (rows @ rows.T).astype(np.float64)
    squares = np.diag(products)
    return np.maximum(squares[:, None] + squares[None] - 2 * products, 0)


def _blend(errors: npt.NDArray[np.floating], best: int, distances: npt.NDArray[np.float64]) -> float:
    """The largest share of another rendering: where the picture lies on the way from the best to each other one."""
    others = np.arange(len(errors)) != best
    way = (errors[others] - errors[best]) / np.maximum(distances[others], 1.0)
    return float(np.clip(0.5 - 0.5 * way.min(), 0.0, 0.5))


def grown(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The mask (..., H, W) and a rim of one pixel."""
    wide = mask.copy()
    wide[..., 1:, :] |= mask[..., :-1, :]
    wide[..., :-1, :] |= mask[..., 1:, :]
    tall = wide.copy()
    wide[..., :, 1:] |= tall[..., :, :-1]
    wide[..., :, :-1] |= tall[..., :, 1:]
    return wide


@lru_cache(maxsize=256)
def differing(one: World, other: World, style: str = "house") -> npt.NDArray[np.bool_]:
    """Where the pictures of two states are not the same, with a rim."""
    first, second = (still(world, style=style).astype(np.int16) for world in (one, other))
    return grown(np.abs(first - second).max(-1) > 16)


@lru_cache(maxsize=64)
def idle(world: World, frames: int = FRAMES, style: str = "house") -> Pixels:
    """A world in which nothing happens: only weather, wings and flames move."""
    made = clip(world, None, world, frames=frames, style=style)
    made.setflags(write=False)
    return made


@lru_cache(maxsize=4)
def reader_of(style: str = "house") -> PictureReader:
    """The shared reader of a style with the standard limits: its renderings are made once a process."""
    return PictureReader(style)


def psnr(found: npt.ArrayLike, wanted: npt.ArrayLike) -> float:
    """In dB between two pictures of 8 bits, 99 when they are the same."""
    error = float(np.square(np.asarray(found, np.float32) - np.asarray(wanted, np.float32)).mean())
    return 99.0 if error < 1e-5 else float(10 * np.log10(255.0**2 / error))
