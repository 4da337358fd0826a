"""Everything behind the things: three places by day and by night, and the weather over them.

Falling rain and snow have a period of four frames, so that every picture at rest of one weather is the same.
Knows nothing of things.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.picturebook.palette import CHEEK, INK, RGB, WHITE, mix
from training.picturebook.pen import Pen

WIDTH, HEIGHT, BASE = 160, 96, 80
HORIZON = 62
PERIOD = 4  # frames

SUN: RGB = (255, 200, 44)
HALO: RGB = (255, 236, 150)
MOON: RGB = (255, 246, 206)
# each by day and by night
SKY: dict[str, tuple[RGB, RGB]] = {
    "meadow": ((178, 226, 250), (44, 54, 122)),
    "shore": ((200, 236, 246), (58, 54, 122)),
    "mountain": ((190, 212, 246), (40, 44, 104)),
}
OVERCAST: dict[str, tuple[RGB, RGB]] = {
    "rain": ((186, 198, 214), (66, 68, 100)),
    "snow": ((146, 166, 202), (70, 82, 140)),
    "wind": ((146, 212, 226), (32, 82, 122)),
}
CLOUD: dict[str, tuple[RGB, RGB]] = {
    "rain": ((134, 146, 168), (98, 102, 136)),
    "snow": ((236, 242, 250), (152, 162, 206)),
}
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

    def tone(self, day: RGB, night: RGB) -> RGB:
        return mix(day, night, self.night)

    @property
    def air(self) -> RGB:
        colour = self.tone(*SKY[self.place])
        for name, amount in (("rain", self.rain), ("snow", self.snow), ("wind", self.wind)):
            colour = mix(colour, self.tone(*OVERCAST[name]), 0.85 * amount)
        return colour


def draw(pen: Pen, sky: Sky) -> None:
    pen.box(0, 0, WIDTH, HEIGHT, sky.air)
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
        glow = clear * max(0.0, 2 * sky.night - 1)
        colour = mix(sky.air, MOON, glow)
        for x, y in STARS if sky.wind < 0.5 else ():
            pen.star(x, y, 6 * min(1.0, 1.5 * glow), colour, 4, 0.42)
        pen.disc(144, 17, 13, colour)
        pen.disc(138, 13.5, 10.5, sky.air)
    if sky.night < 1:
        down = 17 + 64 * sky.night
        alpha = round(255 * clear)
        pen.disc(144, down, 15, HALO, alpha)
        pen.disc(144, down, 11.5, SUN, alpha)
        pen.eyes(144, down - 2, 8, 2, mix(SUN, INK, 0.75 * clear))
        pen.smile(144, down + 1.5, 3.4, 2, mix(SUN, INK, 0.75 * clear))
        pen.cheeks(144, down + 2, 15, 2, mix(SUN, CHEEK, clear))


def _meadow(pen: Pen, sky: Sky) -> None:
    pen.oval(126, 92, 78, 44, sky.tone((158, 214, 126), (48, 80, 104)))
    pen.oval(26, 96, 86, 44, sky.tone((140, 203, 116), (42, 70, 98)))
    pen.oval(80, 106, 150, 42, sky.tone((184, 229, 136), (54, 90, 108)))


def _shore(pen: Pen, sky: Sky) -> None:
    pen.box(0, 48, WIDTH, 70, sky.tone((84, 178, 220), (32, 78, 146)))
    pen.box(0, 56, WIDTH, 70, sky.tone((116, 202, 230), (48, 102, 168)))
    pen.oval(80, 104, 140, 43, sky.tone((250, 250, 246), (150, 156, 198)))
    pen.oval(80, 108, 140, 43, sky.tone((246, 224, 166), (116, 104, 118)))


def _mountain(pen: Pen, sky: Sky) -> None:
    rock, shade, cap = (
        sky.tone((146, 166, 198), (66, 78, 136)),
        sky.tone((166, 184, 212), (56, 66, 124)),
        sky.tone((246, 250, 255), (170, 180, 218)),
    )
    for x, top, half in ((104, 40, 44), (2, 44, 46)):
        pen.poly([(x - half, 80), (x, top), (x + half, 80)], shade, 2)
        pen.poly([(x - half * 0.3, top + 12), (x, top), (x + half * 0.3, top + 12)], cap, 2)
    x, top, half = 54, 37, 48
    pen.poly([(x - half, 80), (x, top), (x + half, 80)], rock, 2)
    pen.poly(
        [(x - 15, top + 15), (x, top), (x + 15, top + 15), (x + 7, top + 13), (x, top + 18), (x - 7, top + 13)], cap, 2
    )
    pen.oval(80, 108, 150, 46, sky.tone((222, 233, 247), (108, 120, 172)))


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
    _clouds(pen, sky.tone(*CLOUD["rain"]), sky.rain)


def _snow(pen: Pen, sky: Sky) -> None:
    flake = sky.tone(WHITE, (228, 232, 246))
    alpha = round(255 * max(0.0, 2 * sky.snow - 1))
    for x, y in _flakes(sky):
        pen.disc(x, y, 3.8, flake, alpha)
    _clouds(pen, sky.tone(*CLOUD["snow"]), sky.snow)


def _clouds(pen: Pen, colour: RGB, amount: float) -> None:
    """Two long clouds along the top; they come down from above the picture."""
    up = 34 * (1 - amount)
    for x in (38, 122):
        pen.discs(
            ((x - 24, 8 - up, 12), (x - 6, 12 - up, 16), (x + 14, 10 - up, 15), (x + 29, 7 - up, 10)),
            colour,
        )


def _wind(pen: Pen, sky: Sky) -> None:
    alpha = round(235 * sky.wind)
    rock = 2 * math.sin(2 * math.pi * (sky.phase % PERIOD) / PERIOD)
    colour = sky.tone(WHITE, (170, 186, 218))
    for left, y, reach in ((6.0, 15, 42), (66.0, 15, 40), (14.0, 31, 50)):
        x = left + rock - 14 * (1 - sky.wind)
        tip = x + reach
        pen.curve(
            [
                (x, y),
                (x + reach * 0.4, y + 3),
                (x + reach * 0.75, y),
                (tip + 8, y - 3),
                (tip + 6, y - 8),
                (tip + 2, y - 13),
                (tip - 4, y - 9),
            ],
            5,
            colour,
            alpha,
        )
