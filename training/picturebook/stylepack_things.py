"""The things of the style pack "space". The base of each is at (0, 0); it reaches up to y = -48.

Knows nothing of the picture around them.
"""

from __future__ import annotations

from training.picturebook.palette import CHEEK, INK, RGB, WHITE, deep, pale
from training.picturebook.pen import Pen

ROCK: RGB = (124, 104, 150)
STALK: RGB = (74, 150, 132)
WITHERED: RGB = (150, 132, 140)
STEEL: RGB = (176, 184, 200)
SLIME: RGB = (112, 206, 84)
ALIEN: RGB = (108, 214, 158)
LIGHT: RGB = (255, 240, 120)
DARK: RGB = (58, 50, 92)
CRYSTAL: RGB = (150, 150, 190)
BLUSH: RGB = (255, 176, 214)
GLASS: RGB = (214, 244, 255)


def _crater(pen: Pen) -> None:
    pen.poly([(-17, -1.5), (-12, -9), (12, -9), (17, -1.5)], ROCK, 1.5)


def plant_seed(pen: Pen) -> None:
    _crater(pen)
    pen.disc(0, -21, 13, pen.colour)
    pen.star(0, -21, 8, pale(pen.colour, 0.75), 4, 0.45)


def plant_sprout(pen: Pen) -> None:
    _crater(pen)
    pen.curve([(0, -8), (-10, -18), (0, -24), (12, -32), (0, -38)], 6, STALK)
    for x, y in ((-11, -26), (12, -19), (0, -40)):
        pen.disc(x, y, 6, pale(STALK, 0.35))


def _stalk(pen: Pen) -> None:
    _crater(pen)
    pen.line([(0, -8), (0, -22)], 6, STALK)
    pen.disc(-11, -13, 5.5, pale(STALK, 0.35))
    pen.disc(11, -13, 5.5, pale(STALK, 0.35))


def plant_flower(pen: Pen) -> None:
    _stalk(pen)
    pen.star(0, -29, 22, pen.colour, 5, 0.58)
    pen.disc(0, -29, 8.5, WHITE)
    pen.eyes(0, -30, 8)
    pen.smile(0, -27, 2.6)


def plant_closed(pen: Pen) -> None:
    _stalk(pen)
    pen.poly([(0, -46), (13, -33), (0, -17), (-13, -33)], pen.colour, 2)
    pen.poly([(0, -26), (4, -20), (0, -14), (-4, -20)], STALK, 1.5)


def plant_wilted(pen: Pen) -> None:
    _crater(pen)
    pen.curve([(6, -8), (13, -42), (0, -40), (-9, -38), (-9, -28)], 6, WITHERED)
    pen.star(-6, -18, 18, pen.colour, 5, 0.66)
    pen.lids(-6, -19, 9, 2.6)
    pen.disc(14, -11, 5, WITHERED)


def _stand(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line([(side * 8, -12), (side * 15, -2.5)], 5, STEEL)
    pen.box(-16, -16, 16, -9, deep(STEEL), 3)


def bird_egg(pen: Pen) -> None:
    pen.box(-12, -44, 12, -12, pen.colour, 12)
    pen.disc(0, -31, 6, GLASS)
    _stand(pen)


def bird_cracked(pen: Pen) -> None:
    pen.box(-12, -32, 12, -12, DARK, 6)
    pen.eyes(0, -28, 10, 3.6, WHITE)
    pen.eyes(0, -28, 9, 1.8)
    pen.box(-12, -23, 12, -12, pen.colour, 2)
    with pen.turned(3, -34, 18):
        pen.dome(0, 2, 12.5, 14, pen.colour)
    _stand(pen)


def bird_chick(pen: Pen) -> None:
    pen.line([(0, -30), (0, -40)], 3.4, deep(STEEL))
    pen.disc(0, -41, 4, LIGHT)
    pen.dome(0, -18, 11, 14, GLASS)
    pen.eyes(0, -24, 9)
    pen.oval(0, -15, 16, 6.5, STEEL)
    pen.discs(((-9, -14, 2.8), (0, -13, 2.8), (9, -14, 2.8)), LIGHT)
    pen.line([(-6, -8), (-8, -2.5)], 4, deep(STEEL))
    pen.line([(6, -8), (8, -2.5)], 4, deep(STEEL))


def bird_grown(pen: Pen) -> None:
    pen.dome(0, -28, 13, 19, GLASS)
    pen.oval(0, -32, 7, 8, ALIEN)
    pen.eyes(0, -35, 7)
    pen.poly([(-8, -18), (8, -18), (13, -5), (-13, -5)], pale(LIGHT, 0.35), 1)
    pen.oval(0, -23, 20, 9, pen.colour)
    pen.oval(0, -27, 16, 4, pale(pen.colour, 0.45))
    pen.discs(((-11, -20, 3), (0, -18, 3), (11, -20, 3)), LIGHT)


def bird_asleep(pen: Pen) -> None:
    """Landed, its dome is shut."""
    pen.dome(0, -14, 13, 15, deep(pen.colour))
    pen.lids(0, -22, 12, colour=WHITE)
    pen.oval(0, -10, 20, 9, pen.colour)
    pen.discs(((-11, -8, 3), (0, -6, 3), (11, -8, 3)), DARK)


def snowman_standing(pen: Pen) -> None:
    """An astronaut with a coloured helmet, belt and pack."""
    pen.box(-17, -27, 17, -8, deep(pen.colour), 4)
    pen.box(-11, -24, 11, -6, WHITE, 5)
    for side in (-1, 1):
        pen.box(side * 6 - 4.5, -10, side * 6 + 4.5, 0, WHITE, 3)
        pen.disc(side * 14, -14, 4.5, WHITE)
    pen.box(-11, -15, 11, -9.5, pen.colour)
    pen.disc(0, -34, 14, pen.colour)
    pen.oval(0, -33, 10, 8.5, GLASS)
    pen.eyes(0, -34, 8)
    pen.smile(0, -30.5, 2.8)


def _pool(pen: Pen) -> None:
    pen.oval(0, -10, 20, 10, deep(SLIME))
    pen.oval(0, -11.5, 19.5, 8.5, SLIME)


def puddle_water(pen: Pen) -> None:
    _pool(pen)
    pen.discs(((-8, -14, 4), (4, -17, 5), (10, -9, 3.5)), pale(SLIME, 0.55))


def puddle_ice(pen: Pen) -> None:
    pen.poly([(-17, -4), (-9, -15), (10, -15), (17, -4), (9, -2), (-9, -2)], deep(SLIME), 2)
    for x, top, turn in ((-9, -30, -14), (9, -28, 14), (0, -38, 0)):
        with pen.turned(x, -10, turn):
            pen.poly([(-4, 2), (-4, top + 16), (0, top + 10), (4, top + 16), (4, 2)], deep(SLIME), 2.4)
            pen.poly([(-4, 2), (-4, top + 16), (0, top + 10), (4, top + 16), (4, 2)], pale(SLIME, 0.75), 0.4)


def puddle_duck(pen: Pen) -> None:
    """One eye on a long neck."""
    _pool(pen)
    pen.curve([(4, -11), (14, -24), (0, -32)], 7, (236, 118, 168))
    pen.disc(-2, -36, 11, (236, 118, 168))
    pen.disc(-3, -37, 6.5, WHITE)
    pen.disc(-4, -37, 3.2, INK)


def puddle_frog(pen: Pen) -> None:
    """A blue bubble with three eyes."""
    _pool(pen)
    pen.dome(0, -8, 15, 22, (96, 128, 232))
    for x, y in ((-10, -31), (0, -37), (10, -31)):
        pen.disc(x, y, 6, (96, 128, 232))
        pen.disc(x, y, 4, WHITE)
        pen.disc(x, y, 2.2, INK)
    pen.smile(0, -19, 6, 2.8)


def ball_resting(pen: Pen) -> None:
    pen.disc(0, -17, 15, pen.colour)
    with pen.turned(0, -17, -22):
        pen.box(-19, -3.5, 19, 3.5, WHITE, 3.5)
        pen.dome(0, 0, 11, 9, pen.colour)
    pen.disc(-6, -25, 3, pale(pen.colour, 0.65))


def _barrel(pen: Pen, colour: RGB, band: RGB, rx: float) -> None:
    pen.box(-rx, -7.5, rx, 7.5, colour, 5)
    pen.box(-rx, -2.5, rx, 2.5, band)


def blocks_tower(pen: Pen) -> None:
    for i, rx in enumerate((16, 16, 16)):
        with pen.turned((0, 2, -1)[i], -7.8 - 15.6 * i, 0):
            _barrel(pen, pen.colour if i != 1 else pale(pen.colour, 0.55), WHITE, rx)


def blocks_fallen(pen: Pen) -> None:
    for x, turn, tint in ((-16, 90, 0.0), (0, 90, 0.55), (16, 76, 0.0)):
        with pen.turned(x, -9.5, turn):
            _barrel(pen, pale(pen.colour, tint), WHITE, 9)


def _mast(pen: Pen) -> None:
    pen.box(-15, -7, 15, 0, deep(STEEL), 3)
    pen.poly([(-4, -26), (4, -26), (9, -5), (-9, -5)], STEEL, 1.5)


def candle_lit(pen: Pen) -> None:
    pen.disc(0, -33, 15, pale(LIGHT, 0.5))
    for i in range(3):
        with pen.turned(0, -33, 120 * i + 22.5 * (pen.beat % 16) / 3):
            pen.line([(0, -8), (0, -13)], 5, LIGHT)
    _mast(pen)
    pen.disc(0, -33, 8.5, (255, 206, 40))
    pen.eyes(0, -17, 7)
    pen.smile(0, -13, 2.8)


def candle_out(pen: Pen) -> None:
    _mast(pen)
    pen.disc(0, -32, 8, DARK)
    pen.oval(-3, -35, 2.4, 2.4, pale(DARK, 0.5))
    pen.lids(0, -17, 8, 2.4)


def balloon_floating(pen: Pen) -> None:
    for x in (-9, 0, 9):
        pen.curve([(x, -26), (x - 6, -20), (x, -15), (x + 5, -10), (x, -6)], 4.6, pale(pen.colour, 0.35))
    pen.dome(0, -24, 17, 24, pen.colour)
    pen.box(-17, -26, 17, -20, pen.colour, 3)
    pen.eyes(0, -31, 12, 2.4)
    pen.cheeks(0, -26.5, 20, 2.8, pale(pen.colour, 0.5))


def _antennae(pen: Pen, x: float, y: float) -> None:
    for side in (-1, 1):
        pen.line([(x + side * 5, y), (x + side * 9, y - 9)], 3, ALIEN)
        pen.disc(x + side * 9, y - 9, 4, deep(ALIEN))


def cat_awake(pen: Pen) -> None:
    _antennae(pen, 0, -36)
    pen.poly([(-7, -16), (7, -16), (11, -3), (-11, -3)], ALIEN, 3)
    pen.oval(0, -9, 6, 6, pale(ALIEN, 0.6))
    pen.oval(0, -27, 17, 12.5, ALIEN)
    pen.disc(0, -30, 7, WHITE)
    pen.disc(0, -30, 3.8, INK)
    pen.smile(0, -20, 4, 2.4)


def cat_asleep(pen: Pen) -> None:
    pen.dome(0, 0, 20, 20, ALIEN)
    pen.disc(16, -4, 4, deep(ALIEN))
    pen.disc(-17, -4, 4, deep(ALIEN))
    pen.lids(0, -11, 0, 6, 2.8)
    pen.cheeks(0, -5, 20)


def _rocket(pen: Pen, pane: RGB, lit: bool) -> None:
    for side in (-1, 1):
        pen.poly([(side * 10, -20), (side * 17, -4), (side * 10, -6)], pen.colour, 2.4)
    pen.poly([(-9, -28), (9, -28), (10, -6), (-10, -6)], WHITE, 3)
    pen.blob([(-12, -29), (-9, -41), (0, -48), (9, -41), (12, -29)], pen.colour)
    pen.box(-8, -5, 8, 0, (255, 150, 40) if lit else DARK, 2)
    pen.disc(0, -19, 8.5, LIGHT if lit else STEEL)
    pen.disc(0, -19, 6.5, pane)


def house_dark(pen: Pen) -> None:
    _rocket(pen, DARK, False)


def house_lit(pen: Pen) -> None:
    _rocket(pen, (255, 214, 50), True)


def box_closed(pen: Pen) -> None:
    pen.box(-18, -22, 18, 0, pen.colour, 3)
    pen.dome(0, -20, 18, 16, deep(pen.colour))
    pen.box(-18, -23, 18, -17.5, STEEL)
    pen.box(-5, -26, 5, -13, STEEL, 3)


def box_open(pen: Pen) -> None:
    """Light comes out of it."""
    pen.poly([(-12, -20), (-17, -46), (17, -46), (12, -20)], pale(LIGHT, 0.35), 1)
    with pen.turned(17, -24, 72):
        pen.dome(0, 0, 16, 9, deep(pen.colour))
    pen.box(-18, -22, 18, 0, pen.colour, 3)
    pen.box(-15, -22, 15, -16, DARK, 2)


def bear_awake(pen: Pen) -> None:
    pen.line([(0, -40), (0, -45)], 3.4, deep(STEEL))
    pen.disc(0, -45, 3.4, CHEEK)
    for side in (-1, 1):
        pen.box(side * 8 - 5, -7, side * 8 + 5, 0, deep(STEEL), 2)
        pen.box(side * 16 - 3, -22, side * 16 + 3, -8, deep(STEEL), 3)
    pen.box(-13, -23, 13, -4, STEEL, 3)
    pen.box(-7, -18, 7, -9, CHEEK, 2)
    pen.box(-16, -41, 16, -22, STEEL, 5)
    pen.box(-12, -37, 12, -27, DARK, 4)
    pen.eyes(0, -32, 12, 3, LIGHT)


def bear_asleep(pen: Pen) -> None:
    """Folded into itself, the screen dim."""
    pen.box(-19, -8, 19, 0, deep(STEEL), 3)
    pen.box(-15, -25, 15, -4, STEEL, 5)
    pen.box(-11, -20, 11, -9, DARK, 4)
    pen.lids(0, -16, 11, colour=STEEL)


def _crystals(pen: Pen, colour: RGB) -> None:
    for x, top, turn in ((-9, -36, -16), (9, -34, 16), (0, -45, 0)):
        with pen.turned(x, -2, turn):
            pen.poly([(-5, 0), (-5.5, top + 10), (0, top + 2), (5.5, top + 10), (5, 0)], deep(colour), 2)
            pen.poly([(-5, 0), (-5.5, top + 10), (0, top + 2), (0, 0)], pale(colour, 0.3), 0.5)
    pen.box(-17, -7, 17, 0, ROCK, 3)


def tree_bare(pen: Pen) -> None:
    _crystals(pen, CRYSTAL)


def tree_blossom(pen: Pen) -> None:
    _crystals(pen, BLUSH)
    for x, y in ((-12, -30), (12, -27), (0, -40)):
        pen.star(x, y, 7, WHITE, 4, 0.5)


def tree_apples(pen: Pen) -> None:
    _crystals(pen, (98, 196, 176))
    pen.discs(((-13, -29, 5), (12, -27, 5), (0, -41, 5), (-4, -16, 5), (7, -13, 5)), (250, 196, 40))


def apple_whole(pen: Pen) -> None:
    pen.star(0, -18, 20, (250, 196, 40), 5, 0.62)
    pen.eyes(0, -19, 9)
    pen.smile(0, -15, 3)


def bee_flying(pen: Pen) -> None:
    spin = 8 if round(pen.beat) % 2 else 12
    pen.line([(0, -30), (0, -38)], 4, deep(STEEL))
    pen.box(-spin - 4, -41, spin + 4, -36, WHITE, 2.5)
    for side in (-1, 1):
        pen.line([(side * 8, -15), (side * 14, -8)], 4.6, deep(STEEL))
    pen.disc(0, -22, 12, (86, 96, 128))
    pen.disc(0, -22, 7, (255, 110, 80))
    pen.disc(-2, -24, 2.6, WHITE)


SPRITES = {
    ("plant", "seed"): plant_seed,
    ("plant", "sprout"): plant_sprout,
    ("plant", "flower"): plant_flower,
    ("plant", "closed"): plant_closed,
    ("plant", "wilted"): plant_wilted,
    ("bird", "egg"): bird_egg,
    ("bird", "cracked"): bird_cracked,
    ("bird", "chick"): bird_chick,
    ("bird", "grown"): bird_grown,
    ("bird", "asleep"): bird_asleep,
    ("snowman", "standing"): snowman_standing,
    ("puddle", "water"): puddle_water,
    ("puddle", "ice"): puddle_ice,
    ("puddle", "duck"): puddle_duck,
    ("puddle", "frog"): puddle_frog,
    ("ball", "resting"): ball_resting,
    ("blocks", "tower"): blocks_tower,
    ("blocks", "fallen"): blocks_fallen,
    ("candle", "lit"): candle_lit,
    ("candle", "out"): candle_out,
    ("balloon", "floating"): balloon_floating,
    ("cat", "awake"): cat_awake,
    ("cat", "asleep"): cat_asleep,
    ("house", "dark"): house_dark,
    ("house", "lit"): house_lit,
    ("box", "closed"): box_closed,
    ("box", "open"): box_open,
    ("bear", "awake"): bear_awake,
    ("bear", "asleep"): bear_asleep,
    ("tree", "bare"): tree_bare,
    ("tree", "blossom"): tree_blossom,
    ("tree", "apples"): tree_apples,
    ("apple", "whole"): apple_whole,
    ("bee", "flying"): bee_flying,
}
