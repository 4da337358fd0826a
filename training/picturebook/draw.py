"""Worlds as pixels: a still picture, the clip from one state to the next, and where its things are.

Deterministic: the same worlds, event and size give the same bytes. Pictures at rest depend on `World.seen()` only.
Knows nothing of rules or words. Frozen: other pixels need a new RENDERER_VERSION.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import skia

from training.picturebook import motion
from training.picturebook.backdrop import BASE, HEIGHT, PERIOD, WIDTH, Sky
from training.picturebook.motion import Part, Pose
from training.picturebook.palette import INK
from training.picturebook.pen import Pen
from training.picturebook.sprites import HOUSE, LIVELY, Style
from training.picturebook.world import Event, Thing, World

RENDERER_VERSION = 1
FRAMES = 17

Pixels = npt.NDArray[np.uint8]
_RGBA = skia.kRGBA_8888_ColorType
_HALF, _ABOVE, _BELOW = 28, 56, 8  # a sprite's picture around its base, in px at scale 1


def style_named(name: str) -> Style:
    if name == "house":
        return HOUSE
    if name == "space":
        from training.picturebook.stylepack import SPACE

        return SPACE
    raise ValueError(f"the style {name!r} was asked for, but there are only 'house' and 'space': choose one of them")


def still(world: World, *, scale: int = 1, style: str = "house", seed: int = 0) -> Pixels:  # noqa: ARG001
    """The picture of a world at rest. `seed` is kept for styles that vary; the present ones do not."""
    frame = _Frame(scale, style)
    frame.backdrop(_sky(world, 0.0))
    for part in motion.parts(world, None, world):
        frame.part(part, 0.0)
    return frame.pixels[..., :3].copy()


def clip(
    before: World,
    event: Event | None,
    after: World,
    *,
    scale: int = 1,
    frames: int = FRAMES,
    style: str = "house",
    seed: int = 0,  # noqa: ARG001
) -> Pixels:
    """From `before` at rest to `after` at rest, frames x height x width x 3."""
    out = np.empty((frames, HEIGHT * scale, WIDTH * scale, 3), np.uint8)
    shown = motion.parts(before, event, after)
    frame = _Frame(scale, style)
    for i in range(frames):
        u = _time(i, frames)
        frame.backdrop(_sky_between(before, after, u))
        for part in shown:
            frame.part(part, u)
        out[i] = frame.pixels[..., :3]
    return out


def masks(before: World, event: Event | None, after: World, frames: int = FRAMES, style: str = "house") -> Pixels:
    """1 where a thing is drawn, 0 where the backdrop, the weather or a shadow is."""
    out = np.empty((frames, HEIGHT, WIDTH), np.uint8)
    shown = motion.parts(before, event, after)
    frame = _Frame(1, style)
    for i in range(frames):
        frame.clear()
        for part in shown:
            frame.part(part, _time(i, frames))
        out[i] = frame.pixels[..., 3] > 127
    return out


def _time(i: int, frames: int) -> float:
    return 16.0 * i / (frames - 1) if frames > 1 else 0.0


def _sky(world: World, phase: float) -> Sky:
    amount = {world.weather: 1.0} if world.weather != "clear" else {}
    return Sky(world.place, 1.0 if world.light == "night" else 0.0, phase=phase % PERIOD, **amount)


def _sky_between(before: World, after: World, u: float) -> Sky:
    start, goal = _sky(before, u), _sky(after, u)
    t = motion.ease(u, 2, 12)
    if start == goal or t >= 1:
        return goal
    if t <= 0:
        return start
    blend = {
        name: getattr(start, name) * (1 - t) + getattr(goal, name) * t for name in ("night", "rain", "snow", "wind")
    }
    return Sky(start.place if t < 0.5 else goal.place, phase=start.phase, **blend)


class _Frame:
    """One picture being drawn, at one scale in one style; used again from frame to frame."""

    def __init__(self, scale: int, style: str) -> None:
        if scale < 1:
            raise ValueError(
                f"scale {scale} was asked for, but pictures are drawn at 1 or more: give a whole number from 1"
            )
        self.scale, self.style = scale, style
        self.look = style_named(style)
        self.pixels = np.zeros((HEIGHT * scale, WIDTH * scale, 4), np.uint8)
        self.surface = skia.Surface(self.pixels, colorType=_RGBA)
        self.canvas = self.surface.getCanvas()
        self.pen = Pen(self.canvas)

    def clear(self) -> None:
        self.canvas.clear(skia.ColorTRANSPARENT)

    def backdrop(self, sky: Sky) -> None:
        resting = all(getattr(sky, name) in (0.0, 1.0) for name in ("night", "rain", "snow", "wind"))
        if resting and float(sky.phase).is_integer():
            self.canvas.drawImage(_backdrop_image(sky, self.scale, self.style), 0, 0)
            return
        self.canvas.save()
        self.canvas.scale(self.scale, self.scale)
        self.look.sky(self.pen, sky)
        self.canvas.restore()

    def part(self, part: Part, u: float) -> None:
        pose = part.track(u)
        if pose is None:
            return
        thing = part.thing
        beat = u % 16 if (thing.kind, thing.state) in LIVELY else 0.0
        if part.effect is None and beat == 0.0 and pose.resting:
            image = _sprite_image(thing.kind, thing.state, thing.visible_colour, self.scale, self.style)
            self.canvas.drawImage(image, (pose.x - _HALF) * self.scale, (BASE - _ABOVE) * self.scale)
            return
        self.canvas.save()
        self.canvas.scale(self.scale, self.scale)
        if part.effect == "burst":
            _burst(self.pen, self.look, thing, pose, u)
        else:
            _posed(self.pen, self.look, thing, pose, beat)
        self.canvas.restore()


def _posed(pen: Pen, look: Style, thing: Thing, pose: Pose, beat: float) -> None:
    canvas = pen.canvas
    if pose.shadow:
        half = look.shadow.get((thing.kind, thing.state), 18.0) * pose.sx * max(0.0, 1 - pose.lift / 50)
        if half > 1:
            pen.oval(pose.x, pose.y - 2, half + 2, 3.2 * min(1.0, pose.sx), INK, 44)
    canvas.save()
    canvas.translate(pose.x, pose.y - pose.lift)
    canvas.scale(pose.sx, pose.sy)
    if pose.turn:
        canvas.rotate(pose.turn, 0, -pose.pivot)
    pen.colour, pen.beat = look.colour(thing.kind, thing.state, thing.colour), beat
    look.sprites[(thing.kind, thing.state)](pen)
    canvas.restore()


def _burst(pen: Pen, look: Style, thing: Thing, pose: Pose, u: float) -> None:
    """A star, then big scraps that fly apart, fall and are gone."""
    if not 4 <= u < motion.END:
        return
    colour = look.colour(thing.kind, thing.state, thing.colour)
    y = pose.y - 31
    if u < 7:
        pen.star(pose.x, y, 27 - 2 * (u - 4), look.burst, 8, 0.6)
    t = (u - 4) / (motion.END - 4)
    size = 6.5 if t < 0.6 else 6.5 * (1 - t) / 0.4
    for side, up in ((-1, 10), (1, 10), (-0.55, 24), (0.55, 24), (0, 2)):
        x = pose.x + side * (8 + 16 * t)
        pen.disc(x, y - up * 2.2 * t * (1 - t) * 2 + 44 * t * t, max(0.5, size), colour)


@lru_cache(maxsize=512)
def _backdrop_image(sky: Sky, scale: int, style: str) -> skia.Image:
    surface = skia.Surface(WIDTH * scale, HEIGHT * scale)
    canvas = surface.getCanvas()
    canvas.scale(scale, scale)
    style_named(style).sky(Pen(canvas), sky)
    return surface.makeImageSnapshot()


@lru_cache(maxsize=2048)
def _sprite_image(kind: str, state: str, colour: str | None, scale: int, style: str) -> skia.Image:
    surface = skia.Surface(2 * _HALF * scale, (_ABOVE + _BELOW) * scale)
    canvas = surface.getCanvas()
    canvas.clear(skia.ColorTRANSPARENT)
    canvas.scale(scale, scale)
    _posed(Pen(canvas), style_named(style), Thing(0, kind, state, colour), Pose(_HALF, _ABOVE), 0.0)
    return surface.makeImageSnapshot()
