"""The style pack "space": the same states and rules, drawn as other characters on a lilac planet.

What is red in the house style is rose here, and so on: `NAMES` and `COLOUR_NAMES` say what stands for what.
Knows nothing of motion or of worlds.
"""

from __future__ import annotations

from training.picturebook import backdrop, stylepack_things
from training.picturebook.backdrop import HEIGHT, STARS, WIDTH, Sky
from training.picturebook.palette import CHEEK, INK, RGB, mix
from training.picturebook.pen import Pen
from training.picturebook.sprites import Style

COLOUR_NAMES = {"red": "rose", "yellow": "lime", "blue": "aqua", "green": "orange", "purple": "indigo"}
NAMES = {
    "plant": "star flower",
    "bird": "saucer",
    "snowman": "astronaut",
    "puddle": "pool of slime",
    "ball": "ringed ball",
    "blocks": "barrels",
    "candle": "beacon",
    "balloon": "jellyfish",
    "cat": "alien",
    "house": "rocket",
    "box": "chest",
    "bear": "robot",
    "tree": "crystal",
    "apple": "star",
    "bee": "drone",
}
PLACE_NAMES = {"meadow": "dunes", "shore": "slime sea", "mountain": "spires"}
COLOURS: dict[str, RGB] = {
    "red": (244, 48, 124),
    "yellow": (190, 232, 0),
    "blue": (0, 180, 196),
    "green": (255, 132, 16),
    "purple": (82, 54, 204),
}

AIR: dict[str, tuple[RGB, RGB]] = {
    "meadow": ((240, 214, 250), (62, 30, 92)),
    "shore": ((252, 226, 220), (78, 30, 84)),
    "mountain": ((214, 210, 252), (40, 26, 86)),
}
HAZE: dict[str, tuple[RGB, RGB]] = {
    "rain": ((206, 186, 214), (76, 60, 96)),
    "snow": ((176, 160, 214), (92, 76, 140)),
    "wind": ((196, 224, 226), (46, 70, 112)),
}
PLANET: RGB = (250, 172, 112)
RING: RGB = (255, 236, 214)
MOONS: RGB = (255, 236, 214)


def _air(sky: Sky) -> RGB:
    colour = sky.tone(*AIR[sky.place])
    for name, amount in (("rain", sky.rain), ("snow", sky.snow), ("wind", sky.wind)):
        colour = mix(colour, sky.tone(*HAZE[name]), 0.85 * amount)
    return colour


def draw_sky(pen: Pen, sky: Sky) -> None:
    air = _air(sky)
    pen.box(0, 0, WIDTH, HEIGHT, air)
    clear = 1 - sky.covered
    if clear > 0 and sky.night > 0:
        glow = clear * max(0.0, 2 * sky.night - 1)
        colour = mix(air, MOONS, glow)
        for x, y in STARS if sky.wind < 0.5 else ():
            pen.star(x, y, 6 * min(1.0, 1.5 * glow), colour, 4, 0.42)
        pen.disc(150, 12, 8, colour)
        pen.disc(134, 22, 6, colour)
    if clear > 0 and sky.night < 1:
        _planet(pen, 17 + 64 * sky.night, clear, air)
    {"meadow": _dunes, "shore": _sea, "mountain": _spires}[sky.place](pen, sky)
    backdrop.weather(pen, sky)


def _planet(pen: Pen, y: float, clear: float, air: RGB) -> None:
    """It has a ring and a face, and sets as the sun does."""
    with pen.turned(142, y, -18):
        pen.oval(0, 0, 17, 5.5, mix(air, RING, clear))
    pen.disc(142, y, 11.5, mix(air, PLANET, clear))
    pen.eyes(142, y - 4, 8, 2, mix(air, mix(PLANET, INK, 0.75), clear))
    pen.cheeks(142, y - 1, 14, 2, mix(air, CHEEK, clear))
    with pen.turned(142, y, -18):
        pen.box(-17, 1, 17, 5, mix(air, RING, clear), 2)


def _dunes(pen: Pen, sky: Sky) -> None:
    pen.oval(40, 96, 70, 44, sky.tone((198, 160, 226), (84, 56, 122)))
    pen.oval(134, 98, 70, 42, sky.tone((186, 146, 218), (74, 48, 112)))
    pen.oval(80, 106, 150, 42, sky.tone((214, 182, 238), (100, 72, 138)))
    for x in (56, 104):
        pen.oval(x, 89, 12, 4, sky.tone((192, 156, 222), (84, 58, 122)))


def _sea(pen: Pen, sky: Sky) -> None:
    pen.box(0, 48, WIDTH, 70, sky.tone((128, 214, 164), (38, 92, 104)))
    pen.box(0, 56, WIDTH, 70, sky.tone((160, 228, 182), (54, 112, 118)))
    pen.oval(80, 104, 140, 43, sky.tone((252, 240, 236), (150, 130, 176)))
    pen.oval(80, 108, 140, 43, sky.tone((238, 190, 206), (122, 82, 122)))


def _spires(pen: Pen, sky: Sky) -> None:
    for x, top, half in ((8, 44, 14), (40, 43, 14), (72, 48, 13), (106, 38, 15), (142, 46, 14)):
        pen.poly(
            [(x - half, 84), (x - 2, top), (x + 3, top), (x + half, 84)], sky.tone((164, 144, 214), (78, 62, 140)), 2
        )
        pen.disc(x, top + 1, 5, sky.tone((246, 182, 214), (186, 128, 190)))
    pen.oval(80, 108, 150, 46, sky.tone((228, 222, 248), (112, 98, 166)))


SPACE = Style(
    name="space",
    colours=COLOURS,
    sprites=stylepack_things.SPRITES,
    sky=draw_sky,
    shadow={
        ("bird", "grown"): 13,
        ("bird", "chick"): 11,
        ("balloon", "floating"): 9,
        ("bee", "flying"): 11,
        ("puddle", "water"): 0,
        ("puddle", "ice"): 0,
        ("puddle", "duck"): 0,
        ("puddle", "frog"): 0,
    },
    burst=(255, 255, 255),
)
