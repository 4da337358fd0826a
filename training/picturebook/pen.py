"""A pen over a skia canvas: the dozen flat, rounded shapes from which the picture book is cut.

Knows nothing of things or worlds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import skia

from training.picturebook.palette import CHEEK, INK, NO_COLOUR, RGB

Point = tuple[float, float]


@lru_cache(maxsize=4096)
def _fill(colour: RGB, alpha: int) -> skia.Paint:
    return skia.Paint(AntiAlias=True, Color=skia.Color(*colour, alpha))


@lru_cache(maxsize=4096)
def _stroke(colour: RGB, width: float, alpha: int, filled: bool) -> skia.Paint:
    paint = skia.Paint(AntiAlias=True, Color=skia.Color(*colour, alpha), StrokeWidth=width)
    paint.setStyle(skia.Paint.kStrokeAndFill_Style if filled else skia.Paint.kStroke_Style)
    paint.setStrokeCap(skia.Paint.kRound_Cap)
    paint.setStrokeJoin(skia.Paint.kRound_Join)
    return paint


class Pen:
    """Draws in the canvas' own coordinates; x to the right, y down.

    `colour` is the colour of the thing being drawn, `beat` its idle time in frames (0 and 16 are rest).
    """

    def __init__(self, canvas: skia.Canvas) -> None:
        self.canvas = canvas
        self.colour: RGB = NO_COLOUR
        self.beat = 0.0

    def oval(self, x: float, y: float, rx: float, ry: float, colour: RGB, alpha: int = 255) -> None:
        self.canvas.drawOval(skia.Rect(x - rx, y - ry, x + rx, y + ry), _fill(colour, alpha))

    def disc(self, x: float, y: float, r: float, colour: RGB, alpha: int = 255) -> None:
        self.canvas.drawCircle(x, y, r, _fill(colour, alpha))

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: RGB, r: float = 0, alpha: int = 255
    ) -> None:
        self.canvas.drawRoundRect(skia.Rect(left, top, right, bottom), r, r, _fill(colour, alpha))

    def poly(self, points: Sequence[Point], colour: RGB, r: float = 0, alpha: int = 255) -> None:
        """A polygon; its corners are rounded by swelling it by `r`."""
        path = skia.Path()
        path.addPoly([skia.Point(*p) for p in points], True)
        self.canvas.drawPath(path, _stroke(colour, 2 * r, alpha, True) if r else _fill(colour, alpha))

    def line(self, points: Sequence[Point], width: float, colour: RGB, alpha: int = 255) -> None:
        path = skia.Path()
        path.addPoly([skia.Point(*p) for p in points], False)
        self.canvas.drawPath(path, _stroke(colour, width, alpha, False))

    def curve(self, points: Sequence[Point], width: float, colour: RGB, alpha: int = 255) -> None:
        """A line through a start and pairs of (control point, next point)."""
        path = skia.Path()
        path.moveTo(*points[0])
        for control, end in zip(points[1::2], points[2::2], strict=True):
            path.quadTo(*control, *end)
        self.canvas.drawPath(path, _stroke(colour, width, alpha, False))

    def blob(self, points: Sequence[Point], colour: RGB, alpha: int = 255) -> None:
        """A closed shape of curves: a start and pairs of (control point, next point)."""
        path = skia.Path()
        path.moveTo(*points[0])
        for control, end in zip(points[1::2], points[2::2], strict=True):
            path.quadTo(*control, *end)
        path.close()
        self.canvas.drawPath(path, _fill(colour, alpha))

    def dome(self, x: float, bottom: float, rx: float, height: float, colour: RGB) -> None:
        """The upper half of an oval."""
        self.canvas.drawArc(
            skia.Rect(x - rx, bottom - height, x + rx, bottom + height), 180, 180, False, _fill(colour, 255)
        )

    def bowl(self, x: float, top: float, rx: float, height: float, colour: RGB) -> None:
        """The lower half of an oval."""
        self.canvas.drawArc(skia.Rect(x - rx, top - height, x + rx, top + height), 0, 180, False, _fill(colour, 255))

    def star(self, x: float, y: float, r: float, colour: RGB, points: int = 5, inner: float = 0.5) -> None:
        corners = []
        for i in range(2 * points):
            angle, reach = math.pi * i / points - math.pi / 2, r if i % 2 == 0 else r * inner
            corners.append((x + math.cos(angle) * reach, y + math.sin(angle) * reach))
        self.poly(corners, colour)

    def eyes(self, x: float, y: float, gap: float, r: float = 2.2, colour: RGB = INK) -> None:
        for side in (-1, 1):
            self.disc(x + side * gap / 2, y, r, colour)

    def lids(self, x: float, y: float, gap: float, r: float = 3.2, width: float = 2.2, colour: RGB = INK) -> None:
        """Closed eyes: two hanging arcs."""
        for side in (-1, 1):
            self.curve(
                [(x + side * gap / 2 - r, y), (x + side * gap / 2, y + r), (x + side * gap / 2 + r, y)], width, colour
            )

    def smile(self, x: float, y: float, half: float = 3.5, width: float = 2, colour: RGB = INK) -> None:
        self.curve([(x - half, y), (x, y + half * 1.1), (x + half, y)], width, colour)

    def cheeks(self, x: float, y: float, gap: float, r: float = 2.8, colour: RGB = CHEEK) -> None:
        for side in (-1, 1):
            self.disc(x + side * gap / 2, y, r, colour)

    def discs(self, circles: Iterable[tuple[float, float, float]], colour: RGB, alpha: int = 255) -> None:
        for x, y, r in circles:
            self.disc(x, y, r, colour, alpha)

    def turned(self, x: float, y: float, degrees: float) -> _Turned:
        """`with pen.turned(x, y, 20):` draws about (x, y), turned clockwise."""
        return _Turned(self.canvas, x, y, degrees)


class _Turned:
    def __init__(self, canvas: skia.Canvas, x: float, y: float, degrees: float) -> None:
        self._canvas, self._x, self._y, self._degrees = canvas, x, y, degrees

    def __enter__(self) -> None:
        self._canvas.save()
        self._canvas.translate(self._x, self._y)
        self._canvas.rotate(self._degrees)

    def __exit__(self, *_: object) -> None:
        self._canvas.restore()
