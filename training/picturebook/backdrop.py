"""Everything behind the things: three places by day and by night, and the weather over them.

Falling rain and snow have a period of four frames, so that every picture at rest of one weather is the same.
Knows nothing of things.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.picturebook.palette import CHEEK, INK, NIGHT, RGB, WHITE, mix
from training.picturebook.pen import Pen

WIDTH, HEIGHT, BASE = 160, 96, 80
HORIZON = 62
PERIOD = 4  # frames

SUN: RGB = (255, 200, 44)
HALO: RGB = (255, 236, 150)
MOON: RGB = (255, 246, 206)
SKY: dict[str, RGB] = {"meadow": (178, 226, 250), "shore": (196, 234, 246), "mountain": (188, 212, 244)}
OVERCAST: dict[str, RGB] = {"rain": (186, 198, 214), "snow": (146, 166, 202), "wind": (150, 212, 226)}
STARS = ((16, 16), (56, 8), (84, 24), (114, 10))


@dataclass(frozen=True)
class Sky:
    """`night` and the amounts of weather go from 0 to 1; `phase` is the frame within the weather's period."""

    place: str
    night: float = 0.0
    rain: float = 0.0
    snow: float = 0.0
    wind: float = 0.0
    phase: float = 0.0

    @property
    def covered(self) -> float:
        return min(1.0, self.rain + self.snow)

    def dimmed(self, colour: RGB, strength: float = 0.64) -> RGB:
        return mix(colour, NIGHT, strength * self.night)

    def air(self, clear: RGB) -> RGB:
        colour = clear
        for name, amount in (("rain", self.rain), ("snow", self.snow), ("wind", self.wind)):
            colour = mix(colour, OVERCAST[name], 0.85 * amount)
        return self.dimmed(colour, 0.8)


def draw(pen: Pen, sky: Sky) -> None:
    pen.box(0, 0, WIDTH, HEIGHT, sky.air(SKY[sky.place]))
    _lights(pen, sky)
    {"meadow": _meadow, "shore": _shore, "mountain": _mountain}[sky.place](pen, sky)
    weather(pen, sky)


def weather(pen: Pen, sky: Sky) -> None:
    if sky.wind > 0:
        _wind(pen, sky)
    if sky.rain > 0:
        _rain(pen, sky)
    if sky.snow > 0:
        _snow(pen, sky)


def _lights(pen: Pen, sky: Sky) -> None:
    """The sun goes down behind the ground while the moon and the stars come out; clouds hide them all."""
    clear = 1 - sky.covered
    if clear <= 0:
        return
    if sky.night > 0:
        alpha = round(255 * clear * max(0.0, 2 * sky.night - 1))
        for x, y in STARS if sky.wind < 0.5 else ():
            pen.star(x, y, 6, MOON, 4, 0.42) if alpha == 255 else pen.disc(x, y, 3.5 * alpha / 255, MOON)
        pen.disc(144, 17, 13, MOON, alpha)
        pen.disc(138, 13.5, 10.5, sky.air(SKY[sky.place]), alpha)
    if sky.night < 1:
        down = 17 + 64 * sky.night
        alpha = round(255 * clear)
        pen.disc(144, down, 15, HALO, alpha)
        pen.disc(144, down, 11.5, SUN, alpha)
        pen.eyes(144, down - 2, 8, 2, mix(SUN, INK, 0.75 * clear))
        pen.smile(144, down + 1.5, 3.4, 2, mix(SUN, INK, 0.75 * clear))
        pen.cheeks(144, down + 2, 15, 2, mix(SUN, CHEEK, clear))


def _meadow(pen: Pen, sky: Sky) -> None:
    pen.oval(126, 92, 78, 44, sky.dimmed((158, 214, 126)))
    pen.oval(26, 96, 86, 44, sky.dimmed((140, 203, 116)))
    pen.oval(80, 106, 150, 42, sky.dimmed((184, 229, 136)))


def _shore(pen: Pen, sky: Sky) -> None:
    pen.box(0, 48, WIDTH, 70, sky.dimmed((84, 178, 220)))
    pen.box(0, 56, WIDTH, 70, sky.dimmed((116, 202, 230)))
    pen.oval(80, 104, 140, 43, sky.dimmed((250, 250, 246)))
    pen.oval(80, 108, 140, 43, sky.dimmed((246, 224, 166)))


def _mountain(pen: Pen, sky: Sky) -> None:
    rock, shade, cap = sky.dimmed((146, 166, 198)), sky.dimmed((166, 184, 212)), sky.dimmed((246, 250, 255), 0.45)
    for x, top, half in ((104, 40, 44), (2, 44, 46)):
        pen.poly([(x - half, 80), (x, top), (x + half, 80)], shade, 2)
        pen.poly([(x - half * 0.3, top + 12), (x, top), (x + half * 0.3, top + 12)], cap, 2)
    x, top, half = 54, 30, 50
    pen.poly([(x - half, 80), (x, top), (x + half, 80)], rock, 2)
    pen.poly(
        [(x - 15, top + 15), (x, top), (x + 15, top + 15), (x + 7, top + 13), (x, top + 18), (x - 7, top + 13)], cap, 2
    )
    pen.oval(80, 108, 150, 46, sky.dimmed((222, 233, 247)))


def _fall(sky: Sky) -> tuple[tuple[float, float], ...]:
    """Where drops are: one column a cell, 32 px from drop to drop, every other column half way down."""
    down = 32 * (sky.phase % PERIOD) / PERIOD
    return tuple(
        (8 + 16 * column, y)
        for column in range(10)
        for y in (down + 16 * (column % 2) + 32 * row - 32 for row in range(5))
        if -8 < y < HEIGHT + 8
    )


def _flakes(sky: Sky) -> tuple[tuple[float, float], ...]:
    down = 20 * (sky.phase % PERIOD) / PERIOD
    sway = 2 * math.sin(2 * math.pi * (sky.phase % PERIOD) / PERIOD)
    return tuple(
        (16 + 32 * column + sway * (1 if column % 2 else -1), y)
        for column in range(5)
        for y in (down + 10 * (column % 2) + 20 * row - 20 for row in range(6))
        if -8 < y < HEIGHT + 8
    )


def _rain(pen: Pen, sky: Sky) -> None:
    drop = mix((70, 138, 226), (128, 168, 236), sky.night)
    alpha = round(255 * max(0.0, 2 * sky.rain - 1))
    for x, y in _fall(sky):
        pen.blob(
            [
                (x, y - 7),
                (x + 5.5, y + 1),
                (x + 2.5, y + 4.5),
                (x, y + 7),
                (x - 2.5, y + 4.5),
                (x - 5.5, y + 1),
                (x, y - 7),
            ],
            drop,
            alpha,
        )
    _clouds(pen, sky, sky.rain, (134, 146, 168))


def _snow(pen: Pen, sky: Sky) -> None:
    flake = sky.dimmed(WHITE, 0.12)
    alpha = round(255 * max(0.0, 2 * sky.snow - 1))
    for x, y in _flakes(sky):
        pen.disc(x, y, 3.8, flake, alpha)
    _clouds(pen, sky, sky.snow, (236, 242, 250))


def _clouds(pen: Pen, sky: Sky, amount: float, colour: RGB) -> None:
    """Two long clouds along the top; they come down from above the picture."""
    up = 34 * (1 - amount)
    for x in (38, 122):
        pen.discs(
            ((x - 24, 8 - up, 12), (x - 6, 12 - up, 16), (x + 14, 10 - up, 15), (x + 29, 7 - up, 10)),
            sky.dimmed(colour, 0.5),
        )


def _wind(pen: Pen, sky: Sky) -> None:
    alpha = round(235 * sky.wind)
    rock = 2 * math.sin(2 * math.pi * (sky.phase % PERIOD) / PERIOD)
    colour = sky.dimmed(WHITE, 0.35)
    for left, y, reach in ((6.0, 14, 42), (64.0, 14, 42), (30.0, 29, 62)):
        x = left + rock - 14 * (1 - sky.wind)
        tip = x + reach
        pen.curve(
            [
                (x, y),
                (x + reach * 0.4, y + 3),
                (x + reach * 0.75, y),
                (tip + 6, y - 3),
                (tip + 1, y - 7),
                (tip - 5, y - 9),
                (tip - 7, y - 4),
            ],
            5,
            colour,
            alpha,
        )
