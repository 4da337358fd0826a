"""Snowman, ball, blocks, candle, balloon, house and box. The base of each is at (0, 0); it reaches up to y = -48.

Knows nothing of the picture around them.
"""

from __future__ import annotations

import math

from training.picturebook.palette import CANDLE, INK, ORANGE, RGB, SNOW, WALL, WHITE, WOOD, deep, mix, pale
from training.picturebook.pen import Pen

COOL: RGB = (176, 200, 226)
GLOW: RGB = (255, 214, 50)
DARK_PANE: RGB = (62, 70, 106)
GOLD: RGB = (206, 150, 62)


def snowman_standing(pen: Pen) -> None:
    pen.disc(0, -13.5, 15, COOL)
    pen.disc(-1, -14, 14, SNOW)
    pen.disc(0, -30, 11, COOL)
    pen.disc(-0.7, -30.4, 10.2, SNOW)
    pen.box(-11, -25, 11, -18.5, pen.colour, 3)
    pen.box(4, -21, 10.5, -9, pen.colour, 3)
    pen.disc(-3, -13, 2.4, INK)
    pen.disc(-3, -6.5, 2.4, INK)
    pen.box(-8, -48, 8, -37, pen.colour, 2)
    pen.box(-12.5, -40.5, 12.5, -35.5, deep(pen.colour), 2.5)
    pen.eyes(0, -32, 9)
    pen.poly([(0, -29.5), (0, -26.5), (-9, -27)], ORANGE, 1.2)


def ball_resting(pen: Pen) -> None:
    pen.disc(0, -17, 17, pen.colour)
    pen.canvas.save()
    pen.canvas.rotate(-20, 0, -17)
    pen.blob(
        [
            (-16.6, -21),
            (0, -24.5),
            (16.6, -21),
            (17.6, -17),
            (16.6, -13),
            (0, -16.5),
            (-16.6, -13),
            (-17.6, -17),
            (-16.6, -21),
        ],
        WHITE,
    )
    pen.oval(-5, -28, 4.5, 2.8, pale(pen.colour, 0.6))
    pen.canvas.restore()


def _block(pen: Pen, x: float, y: float, w: float, h: float, colour: RGB) -> None:
    """A block centred at (x, y): a coloured square with a pale disc."""
    pen.box(x - w / 2, y - h / 2, x + w / 2, y + h / 2, colour, 2.5)
    pen.disc(x, y, 4.2, pale(colour, 0.7))


def blocks_tower(pen: Pen) -> None:
    _block(pen, 0, -8, 32, 16, pen.colour)
    pen.box(-13, -31.5, 13, -16.5, pale(pen.colour, 0.6), 2.5)
    pen.disc(0, -24, 4.2, pen.colour)
    _block(pen, 0, -39.5, 20, 15, pen.colour)


def blocks_fallen(pen: Pen) -> None:
    with pen.turned(-16, -8.3, -9):
        _block(pen, 0, 0, 14.5, 14.5, pen.colour)
    with pen.turned(16, -8.3, 10):
        _block(pen, 0, 0, 14.5, 14.5, pen.colour)
    pen.box(-7.3, -14.6, 7.3, 0, pale(pen.colour, 0.6), 2.5)
    pen.disc(0, -7.3, 4.2, pen.colour)


def _holder(pen: Pen) -> None:
    pen.disc(16, -8, 5, GOLD)
    pen.box(-17, -8, 17, 0, GOLD, 4)
    pen.box(-8.5, -27, 8.5, -4, CANDLE, 3)


def candle_lit(pen: Pen) -> None:
    lean = 2.2 * math.sin(pen.beat * math.pi / 4)
    pen.disc(0, -34, 16, (255, 238, 156))
    _holder(pen)
    pen.blob(
        [(lean, -48), (10, -38), (8, -32), (6, -26), (0, -26), (-6, -26), (-8, -32), (-10, -38), (lean, -48)], ORANGE
    )
    pen.blob(
        [(lean * 0.6, -40), (5, -35), (4, -31), (3, -28), (0, -28), (-3, -28), (-4, -31), (-5, -35), (lean * 0.6, -40)],
        GLOW,
    )
    pen.eyes(0, -18, 8)
    pen.smile(0, -14.5, 3)


def candle_out(pen: Pen) -> None:
    _holder(pen)
    pen.line([(0, -27), (0, -31)], 3.4, INK)
    pen.curve([(2, -36), (-9, -38), (-1, -41), (9, -44), (3, -47)], 5, (150, 152, 166))
    pen.lids(0, -18, 9, 2.4)


def balloon_floating(pen: Pen) -> None:
    pen.curve([(0, -12), (6, -8), (0, -4), (-3, -2), (0, -1.5)], 2.6, INK)
    pen.poly([(-3, -10), (3, -10), (0, -14)], deep(pen.colour), 1.4)
    pen.blob(
        [(0, -48), (16, -48), (16, -31), (15, -18), (0, -13), (-15, -18), (-16, -31), (-16, -48), (0, -48)], pen.colour
    )
    pen.oval(-7, -36, 3.2, 5.5, pale(pen.colour, 0.65))


def _house(pen: Pen, colour: RGB, pane: RGB, lit: bool) -> None:
    pen.box(8, -44, 14, -28, deep(WOOD), 1)
    pen.box(-16, -26, 16, 0, WALL, 1)
    pen.poly([(-18, -25), (0, -43), (18, -25)], colour, 2.2)
    if lit:
        pen.box(-15, -22, -1, -7, (255, 240, 170), 3)
    pen.box(-13.5, -20.5, -2.5, -8.5, pane, 2)
    pen.box(2.5, -18, 12.5, 0, mix(WOOD, GLOW, 0.35) if lit else WOOD, 3)
    pen.disc(0, -31.5, 6, WALL)
    pen.disc(0, -31.5, 4, pane)


def house_dark(pen: Pen) -> None:
    _house(pen, pen.colour, DARK_PANE, False)


def house_lit(pen: Pen) -> None:
    _house(pen, pen.colour, GLOW, True)


def box_closed(pen: Pen) -> None:
    pen.oval(-7, -38, 6, 5, WHITE)
    pen.oval(7, -38, 6, 5, WHITE)
    pen.box(-16, -26, 16, 0, pen.colour, 2)
    pen.box(-19, -34, 19, -24, deep(pen.colour), 2.5)
    pen.box(-3.5, -36, 3.5, 0, WHITE, 1)


def box_open(pen: Pen) -> None:
    """The lid leans behind it; inside it is dark."""
    with pen.turned(13, -31, 62):
        pen.box(-16, -5, 16, 5, deep(pen.colour), 2.5)
    pen.oval(0, -25, 16, 6.5, INK)
    pen.box(-16, -25, 16, 0, pen.colour, 2)
    pen.oval(0, -25, 16, 5, deep(INK))
    pen.box(-3.5, -19.5, 3.5, 0, WHITE, 1)


SPRITES = {
    ("snowman", "standing"): snowman_standing,
    ("ball", "resting"): ball_resting,
    ("blocks", "tower"): blocks_tower,
    ("blocks", "fallen"): blocks_fallen,
    ("candle", "lit"): candle_lit,
    ("candle", "out"): candle_out,
    ("balloon", "floating"): balloon_floating,
    ("house", "dark"): house_dark,
    ("house", "lit"): house_lit,
    ("box", "closed"): box_closed,
    ("box", "open"): box_open,
}
