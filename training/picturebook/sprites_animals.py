"""Bird, cat, bear, bee, and who lives in the puddle. The base of each is at (0, 0); it reaches up to y = -48.

Knows nothing of the picture around them.
"""

from __future__ import annotations

from training.picturebook.palette import (
    BEAR,
    CAT,
    CHEEK,
    CHICK,
    CREAM,
    DUCK,
    FROG,
    ICE,
    INK,
    ORANGE,
    RGB,
    STRAW,
    WATER,
    WHITE,
    deep,
    mix,
    pale,
)
from training.picturebook.pen import Pen

NIGHTCAP: RGB = (150, 190, 232)


def _nest(pen: Pen) -> None:
    pen.bowl(0, -14, 20, 14, deep(STRAW))
    pen.box(-20, -17, 20, -11, STRAW, 3)


def _nightcap(pen: Pen, x: float, y: float, half: float) -> None:
    """Who sleeps wears one: it sits at (x, y) and hangs over to the right."""
    pen.blob(
        [(x - half, y), (x - half * 0.2, y - 15), (x + half + 6, y - 8), (x + half, y - 6), (x + half, y)], NIGHTCAP
    )
    pen.box(x - half - 1, y - 3, x + half + 1, y + 2.5, WHITE, 2.5)
    pen.disc(x + half + 6, y - 6, 3.6, WHITE)


def bird_egg(pen: Pen) -> None:
    pen.blob(
        [(0, -42), (10, -42), (13, -24), (14, -8), (0, -8), (-14, -8), (-13, -24), (-10, -42), (0, -42)], pen.colour
    )
    pen.discs(((-5, -31, 3), (5, -25, 3), (-5, -20.5, 3)), pale(pen.colour, 0.75))
    _nest(pen)


def bird_cracked(pen: Pen) -> None:
    """Its top is lifted; two eyes look out of the gap."""
    pen.oval(0, -25, 11.5, 12, INK)
    pen.eyes(0, -29.5, 10, 3.6, WHITE)
    pen.eyes(0, -29, 9, 1.8)
    shell = [(-13, -24), (-8.5, -20.5), (-4, -25), (0, -20.5), (4, -25), (8.5, -20.5), (13, -24), (12, -8), (-12, -8)]
    pen.poly(shell, pen.colour, 0.8)
    with pen.turned(2, -36, 16):
        pen.blob(
            [
                (-12.5, 1),
                (-12, -13),
                (0, -13),
                (12, -13),
                (12.5, 1),
                (9, -2),
                (6, 2),
                (3, -2),
                (0, 2),
                (-3, -2),
                (-6, 2),
                (-9, -2),
                (-12.5, 1),
            ],
            pen.colour,
        )
        pen.disc(-3, -5.5, 2.8, pale(pen.colour, 0.75))
    _nest(pen)


def bird_chick(pen: Pen) -> None:
    for side in (-1, 1):
        pen.line([(side * 6, -4), (side * 7, -1.5)], 5, ORANGE)
        pen.oval(side * 15, -16, 4.5, 7, mix(CHICK, ORANGE, 0.3))
    pen.oval(0, -15, 15, 13, CHICK)
    pen.disc(0, -29, 11.5, CHICK)
    pen.line([(0, -40), (2, -43)], 5, CHICK)
    pen.eyes(0, -31, 11)
    pen.poly([(-3, -27), (3, -27), (0, -23)], ORANGE, 1.2)
    pen.cheeks(0, -26, 15, 2.6)


def bird_grown(pen: Pen) -> None:
    """Looks to the left, its tail up to the right."""
    for x in (-3, 5):
        pen.line([(x, -9), (x, -1.5)], 3.4, ORANGE)
    pen.blob([(4, -18), (12, -34), (20, -40), (22, -22), (10, -12), (6, -12), (4, -18)], deep(pen.colour))
    pen.oval(1, -18, 14.5, 11, pen.colour)
    pen.disc(-7, -32, 11, pen.colour)
    pen.poly([(-7, -42), (-4, -46), (-1, -41)], pen.colour, 1.6)
    pen.oval(-6, -14, 7, 6, pale(pen.colour, 0.75))
    pen.blob([(0, -23), (14, -24), (15, -15), (6, -10), (0, -23)], deep(pen.colour))
    pen.poly([(-16, -33), (-16, -28), (-20, -30)], ORANGE, 1.4)
    pen.disc(-10, -34, 3.6, WHITE)
    pen.disc(-10.5, -34, 2.3, INK)
    pen.disc(-5, -28.5, 2.6, CHEEK)


def bird_asleep(pen: Pen) -> None:
    """A round ball, head sunk in, under a nightcap."""
    pen.blob([(8, -8), (20, -20), (20, -8), (20, -2), (8, -3)], deep(pen.colour))
    pen.oval(-1, -14, 17, 14, pen.colour)
    pen.oval(-5, -7, 9, 6, pale(pen.colour, 0.75))
    pen.blob([(4, -17), (15, -18), (13, -8), (6, -6), (4, -17)], deep(pen.colour))
    pen.lids(-6, -18, 12)
    pen.poly([(-8, -14), (-4, -14), (-6, -11)], ORANGE, 1.2)
    _nightcap(pen, -4, -25, 8)


def cat_awake(pen: Pen) -> None:
    pen.curve([(9, -5), (23, -4), (17, -22)], 6, deep(CAT))
    pen.blob([(-12, 0), (-14, -24), (0, -26), (14, -24), (12, 0)], CAT)
    pen.oval(0, -9, 6, 8.5, CREAM)
    for side in (-1, 1):
        pen.poly([(side * 11, -37), (side * 10, -45), (side * 4, -40)], CAT, 2)
    pen.oval(0, -31, 14, 11.5, CAT)
    pen.oval(0, -26.5, 7, 5, CREAM)
    pen.line([(0, -42), (0, -38)], 4, deep(CAT))
    pen.eyes(0, -32, 13, 2.4)
    pen.oval(0, -28.5, 2.6, 1.8, CHEEK)


def cat_asleep(pen: Pen) -> None:
    """Curled into a flat ring, the tail around it."""
    pen.oval(1, -12, 19, 12, CAT)
    pen.line([(2, -24), (3, -20)], 4.5, deep(CAT))
    pen.line([(10, -22.5), (11, -18)], 4.5, deep(CAT))
    pen.curve([(18, -12), (18, -1), (0, -3)], 6, deep(CAT))
    for x in (-16, -3):
        pen.poly([(x - 3, -16), (x, -23), (x + 4, -17)], CAT, 1.6)
    pen.oval(-9, -11, 11, 9, CAT)
    pen.oval(-9, -8, 6, 4, CREAM)
    pen.lids(-9, -13, 11, 2.6)


def bear_awake(pen: Pen) -> None:
    for side in (-1, 1):
        pen.oval(side * 9, -4, 7, 4.5, deep(BEAR))
        pen.oval(side * 15, -17, 5, 8, deep(BEAR))
        pen.disc(side * 11, -42, 5.5, BEAR)
        pen.disc(side * 11, -42, 2.8, CHEEK)
    pen.oval(0, -14, 15, 13, BEAR)
    pen.oval(0, -12, 9, 8.5, pale(BEAR, 0.45))
    pen.oval(0, -33, 15, 12.5, BEAR)
    pen.oval(0, -28, 7.5, 5.5, CREAM)
    pen.oval(0, -30, 3.4, 2.4, INK)
    pen.eyes(0, -35, 14, 2.4)


def bear_asleep(pen: Pen) -> None:
    """Lies on its belly, head to the left, under a nightcap."""
    pen.dome(6, 0, 14, 25, BEAR)
    pen.oval(15, -3.5, 5, 4, deep(BEAR))
    pen.oval(-9, -10, 11, 10, BEAR)
    pen.disc(0, -18, 4.2, BEAR)
    pen.oval(-10, -6, 7, 4.5, CREAM)
    pen.oval(-11, -8, 3, 2.2, INK)
    pen.lids(-9, -13, 11, 2.6)
    _nightcap(pen, -11, -18, 7)


def bee_flying(pen: Pen) -> None:
    flap = 14 if round(pen.beat) % 2 else 0
    for x, turn in ((-3, -24), (7, 24)):
        with pen.turned(x, -33, turn + (flap if turn > 0 else -flap)):
            pen.oval(0, -7, 6, 9, (226, 242, 255))
    pen.poly([(14, -25), (14, -20), (19, -22)], INK, 1)
    pen.oval(0, -23, 17, 12, (255, 196, 40))
    pen.box(-1.5, -34.8, 4.5, -11.2, INK, 1)
    pen.box(8.5, -31, 13.5, -14.8, INK, 2)
    pen.eyes(-10, -25, 8, 2.3)
    pen.smile(-10, -21.5, 3)
    for x, tip in ((-12, -16), (-6, -6)):
        pen.line([(x, -33), (tip, -40)], 2.6, INK)
        pen.disc(tip, -40, 2.6, INK)


def _pool(pen: Pen) -> None:
    pen.oval(0, -9, 20, 9, deep(WATER))
    pen.oval(0, -10, 19, 8, WATER)


def puddle_water(pen: Pen) -> None:
    pen.oval(0, -11, 20, 11, deep(WATER))
    pen.oval(0, -12.5, 19.5, 9.5, WATER)
    pen.oval(-6, -15, 7, 2.8, pale(WATER, 0.65))
    pen.oval(7, -8, 7, 2.6, pale(WATER, 0.65))


def puddle_ice(pen: Pen) -> None:
    rim = (96, 168, 216)
    for x, top, half in ((-11, -27, 5), (10, -33, 5.5), (0, -40, 6.5)):
        pen.poly([(x - half, -8), (x, top), (x + half, -8)], rim, 2.2)
        pen.poly([(x - half, -8), (x, top + 3), (x + half, -8)], WHITE if x == 0 else ICE, 0.4)
    pen.poly([(-18, -8), (-11, -14), (12, -14), (18, -7), (11, -2), (-12, -2)], rim, 2.2)
    pen.poly([(-17, -8), (-10, -13), (11, -13), (17, -7), (10, -3), (-11, -3)], ICE, 0.4)
    pen.line([(-8, -5), (-2, -11)], 4, WHITE)
    pen.line([(3, -5), (9, -11)], 4, WHITE)


def puddle_duck(pen: Pen) -> None:
    _pool(pen)
    pen.blob([(-13, -17), (-12, -8), (0, -7), (13, -8), (19, -25), (10, -20), (3, -21)], DUCK)
    pen.oval(0, -16, 14, 9, DUCK)
    pen.disc(-7, -33, 10, DUCK)
    pen.box(-12, -30, -2, -16, DUCK, 4)
    pen.oval(6, -17, 7.5, 4.5, mix(DUCK, (150, 170, 200), 0.35))
    pen.oval(-17, -30.5, 5, 3.2, ORANGE)
    pen.disc(-9, -35, 2.4, INK)
    pen.disc(-4, -29.5, 2.6, CHEEK)
    pen.oval(0, -6, 14, 2.6, pale(WATER, 0.6))


def puddle_frog(pen: Pen) -> None:
    _pool(pen)
    for side in (-1, 1):
        pen.disc(side * 9, -33, 6.5, FROG)
        pen.oval(side * 15, -12, 5, 6.5, deep(FROG))
    pen.oval(0, -17, 15, 12.5, FROG)
    pen.oval(0, -24, 15.5, 9, FROG)
    pen.oval(0, -12, 9, 6.5, pale(FROG, 0.6))
    for side in (-1, 1):
        pen.disc(side * 9, -34, 4, WHITE)
        pen.disc(side * 9, -33.5, 2.4, INK)
    pen.curve([(-9, -24), (0, -17), (9, -24)], 2.8, deep(deep(FROG)))
    pen.oval(0, -3.5, 15, 2.6, pale(WATER, 0.6))


SPRITES = {
    ("bird", "egg"): bird_egg,
    ("bird", "cracked"): bird_cracked,
    ("bird", "chick"): bird_chick,
    ("bird", "grown"): bird_grown,
    ("bird", "asleep"): bird_asleep,
    ("cat", "awake"): cat_awake,
    ("cat", "asleep"): cat_asleep,
    ("bear", "awake"): bear_awake,
    ("bear", "asleep"): bear_asleep,
    ("bee", "flying"): bee_flying,
    ("puddle", "water"): puddle_water,
    ("puddle", "ice"): puddle_ice,
    ("puddle", "duck"): puddle_duck,
    ("puddle", "frog"): puddle_frog,
}
