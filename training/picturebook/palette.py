"""The colours of the house style, and the two ways in which colours are mixed.

Knows nothing of shapes, worlds or skia. Colours are (red, green, blue) from 0 to 255.
"""

from __future__ import annotations

RGB = tuple[int, int, int]


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """`a` at t = 0, `b` at t = 1, the straight line between them in between."""
    return (round(a[0] + (b[0] - a[0]) * t), round(a[1] + (b[1] - a[1]) * t), round(a[2] + (b[2] - a[2]) * t))


def deep(colour: RGB) -> RGB:
    return mix(colour, INK, 0.24)


def pale(colour: RGB, t: float = 0.5) -> RGB:
    return mix(colour, WHITE, t)


WHITE: RGB = (255, 255, 255)
INK: RGB = (44, 38, 56)  # eyes, stripes: never pure black
CHEEK: RGB = (246, 142, 140)
CREAM: RGB = (255, 240, 208)
ORANGE: RGB = (244, 138, 34)

# the five colours that words name: far from one another and from every backdrop
COLOUR: dict[str, RGB] = {
    "red": (218, 38, 48),
    "yellow": (255, 206, 28),
    "blue": (24, 104, 236),
    "green": (0, 126, 68),
    "purple": (166, 54, 188),
}
NO_COLOUR: RGB = (150, 150, 150)

EARTH: RGB = (138, 90, 60)
WOOD: RGB = (142, 94, 62)
STRAW: RGB = (196, 146, 76)
LEAF: RGB = (92, 172, 62)
DRY: RGB = (158, 134, 78)
CHICK: RGB = (255, 230, 118)
CAT: RGB = (242, 138, 44)
BEAR: RGB = (148, 94, 56)
SNOW: RGB = (253, 254, 255)
WATER: RGB = (76, 166, 226)
ICE: RGB = (206, 238, 252)
FROG: RGB = (126, 200, 44)
DUCK: RGB = (255, 252, 242)
CANDLE: RGB = (58, 176, 172)
WALL: RGB = (255, 244, 222)
BLOSSOM: RGB = (250, 164, 196)
APPLE: RGB = (230, 56, 58)
