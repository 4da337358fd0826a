"""Plant, tree and apple of the house style. The base of each is at (0, 0); it reaches up to y = -48.

Knows nothing of the picture around them.
"""

from __future__ import annotations

import math

from training.picturebook.palette import (
    APPLE,
    BLOSSOM,
    CHEEK,
    CREAM,
    DRY,
    EARTH,
    LEAF,
    RGB,
    WHITE,
    WOOD,
    deep,
    mix,
    pale,
)
from training.picturebook.pen import Pen


def _mound(pen: Pen, height: float = 12) -> None:
    pen.dome(0, 0, 19, height, EARTH)


def _leaf(pen: Pen, x: float, y: float, side: int, reach: float, lift: float, colour: RGB = LEAF) -> None:
    tip = (x + side * reach, y - lift)
    pen.blob([(x, y), (x + side * reach * 0.2, y - lift * 1.5), tip, (x + side * reach * 0.9, y + 3), (x, y)], colour)


def plant_seed(pen: Pen) -> None:
    _mound(pen, 16)
    pen.blob([(0, -38), (14, -26), (11, -16), (8, -7), (0, -7), (-8, -7), (-11, -16), (-14, -26), (0, -38)], pen.colour)
    pen.oval(-4, -21, 2.6, 4.5, pale(pen.colour, 0.7))


def plant_sprout(pen: Pen) -> None:
    _mound(pen)
    pen.line([(0, -8), (0, -24)], 6, deep(LEAF))
    _leaf(pen, 0, -22, -1, 19, 16)
    _leaf(pen, 0, -22, 1, 19, 16)


def plant_flower(pen: Pen) -> None:
    _mound(pen, 8)
    pen.line([(0, -6), (0, -24)], 6, deep(LEAF))
    _leaf(pen, 0, -7, -1, 19, 9)
    _leaf(pen, 0, -7, 1, 19, 9)
    for i in range(6):
        angle = math.pi / 3 * i + math.pi / 6
        pen.disc(math.cos(angle) * 11, -30 + math.sin(angle) * 11, 8, pen.colour)
    pen.disc(0, -30, 9, CREAM)
    pen.eyes(0, -31, 8)
    pen.smile(0, -28, 2.6)


def plant_closed(pen: Pen) -> None:
    _mound(pen, 8)
    pen.line([(0, -6), (0, -22)], 6, deep(LEAF))
    _leaf(pen, 0, -7, -1, 19, 9)
    _leaf(pen, 0, -7, 1, 19, 9)
    pen.blob(
        [(0, -48), (15, -38), (12, -26), (9, -17), (0, -17), (-9, -17), (-12, -26), (-15, -38), (0, -48)], pen.colour
    )
    pen.blob([(-9, -22), (-4, -19), (0, -27), (4, -19), (9, -22), (7, -12), (0, -12), (-7, -12), (-9, -22)], LEAF)


def plant_wilted(pen: Pen) -> None:
    _mound(pen, 8)
    pen.curve([(-4, -6), (-10, -40), (4, -38), (13, -36), (13, -26)], 6, DRY)
    _leaf(pen, -5, -8, -1, 14, 4, DRY)
    pen.discs([(7, -20, 7.5), (13, -14, 7.5), (17.5, -21, 6.5), (12, -24.5, 7)], pen.colour)
    pen.oval(13, -12, 4, 3.4, mix(CREAM, DRY, 0.5))
    pen.oval(9, -3, 6, 3, pen.colour)


def _trunk(pen: Pen) -> None:
    pen.poly([(-4, -24), (4, -24), (6, -1), (-6, -1)], WOOD, 1)


def tree_bare(pen: Pen) -> None:
    _trunk(pen)
    pen.line([(0, -18), (0, -44)], 6, WOOD)
    pen.line([(0, -20), (-15, -36)], 5.5, WOOD)
    pen.line([(0, -24), (15, -40)], 5.5, WOOD)
    pen.line([(-9, -30), (-17, -28)], 5, WOOD)
    pen.line([(8, -32), (17, -28)], 5, WOOD)
    pen.eyes(0, -12, 7)


CROWN = ((0, -36, 12), (-11, -29, 9), (11, -29, 9), (-8, -37, 8.5), (8, -37, 8.5), (0, -26, 8))


def tree_blossom(pen: Pen) -> None:
    _trunk(pen)
    pen.discs(CROWN, BLOSSOM)
    pen.discs(((-9, -31, 3.6), (9, -34, 3.6), (1, -42, 3.6), (0, -26, 3.6)), WHITE)
    pen.eyes(0, -12, 7)


def tree_apples(pen: Pen) -> None:
    _trunk(pen)
    pen.discs(CROWN, LEAF)
    pen.discs(((-11, -30, 4.6), (10, -28, 4.6), (5, -40, 4.6), (-6, -41, 4.2), (-1, -25, 4.2)), APPLE)
    pen.eyes(0, -12, 7)


def apple_whole(pen: Pen) -> None:
    pen.line([(0, -28), (2, -37)], 5, WOOD)
    _leaf(pen, 3, -31, 1, 14, 9)
    pen.oval(-7, -15, 11, 14.5, APPLE)
    pen.oval(7, -15, 11, 14.5, APPLE)
    pen.oval(0, -11, 10, 10.5, APPLE)
    pen.oval(-11, -22, 3, 4, pale(APPLE, 0.65))
    pen.eyes(0, -16, 12)
    pen.smile(0, -12, 3.5)
    pen.cheeks(0, -11, 21, 2.8, mix(CHEEK, WHITE, 0.25))


SPRITES = {
    ("plant", "seed"): plant_seed,
    ("plant", "sprout"): plant_sprout,
    ("plant", "flower"): plant_flower,
    ("plant", "closed"): plant_closed,
    ("plant", "wilted"): plant_wilted,
    ("tree", "bare"): tree_bare,
    ("tree", "blossom"): tree_blossom,
    ("tree", "apples"): tree_apples,
    ("apple", "whole"): apple_whole,
}
