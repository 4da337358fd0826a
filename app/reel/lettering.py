"""Words as pictures: burned captions in three looks, and title and end cards that move. MoviePy draws them.

Its clips are short here by construction (a caption is one picture, a card at most ten seconds) and are closed; joins,
sound and encoding are done elsewhere. Only letters of our own fonts can be drawn (Lora and Quicksand: Latin);
`unknown_letters` says which cannot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.reel.frames import Overlay, Planes, overlay_of, planes_from_rgb
from app.reel.master import Master
from app.reel.plan import CaptionLook, Card
from app.settings import ROOT

FONTS = ROOT / "assets" / "fonts"
SERIF, SANS, STRONG = FONTS / "lora-600.woff2", FONTS / "quicksand-500.woff2", FONTS / "quicksand-700.woff2"
LINE = FONTS / "lora-400-italic.woff2"

# Programs for upright films lay their buttons and names over the lower edge: words stay above that.
_LOWER_EDGE = ((0.7, 0.22), (0.9, 0.14), (1.1, 0.10), (9.9, 0.07))  # width over height up to, share that stays free
_GROUNDS = {"paper": ((250, 244, 232), (236, 222, 196)), "night": ((24, 28, 44), (44, 40, 66))}
_INKS = {"paper": ("#3b2f26", "#7a5b3a"), "night": ("#f6ecd8", "#d9b98a")}


@dataclass(frozen=True)
class _Style:
    font: Path
    size: float  # of the shorter side
    color: str
    edge: str | None = None
    edge_share: float = 0.0  # of the size of the letters
    ground: tuple[int, int, int, float] | None = None


STYLES: dict[CaptionLook, _Style] = {
    "plain": _Style(STRONG, 0.058, "#ffffff", edge="#101010", edge_share=0.09),
    "box": _Style(SANS, 0.054, "#ffffff", ground=(16, 16, 20, 0.68)),
    "story": _Style(SERIF, 0.062, "#fff6e0", edge="#2a1c10", edge_share=0.06, ground=(42, 28, 16, 0.35)),
}


def caption_overlay(text: str, look: CaptionLook, width: int, height: int) -> Overlay:
    """The words at the lower edge, inside the part that programs on phones leave free."""
    style = STYLES[look]
    size = max(10, round(style.size * min(width, height)))
    picture = _lettering(text, style, size, round(width * 0.88))
    if picture.shape[0] > height * 0.6:  # a great many words
        size = max(8, round(size * (height * 0.6 / picture.shape[0]) ** 0.5))
        picture = _lettering(text, style, size, round(width * 0.88))
    free = next(share for most, share in _LOWER_EDGE if width / height <= most)
    y = max(0, round(height * (1 - free)) - picture.shape[0])
    return overlay_of(picture, max(0, (width - picture.shape[1]) // 2), y)


def card_pictures(card: Card, master: Master, first: int, frames: int) -> Iterator[Planes]:
    """Frames `first` .. of a card: the ground is there at once, words rise and show themselves, a line grows."""
    with closing(_card(card, master)) as clip:
        for number in range(first, first + frames):
            picture = np.ascontiguousarray(clip.get_frame(number / master.fps)).astype(np.uint8)
            yield planes_from_rgb(picture)


def unknown_letters(text: str) -> str:
    """Those that our fonts cannot draw, each once."""
    font = _font(SERIF, 24)
    nothing = _shape(font, "\uffff")
    return "".join(letter for letter in dict.fromkeys(text) if not letter.isspace() and _shape(font, letter) == nothing)


def _lettering(text: str, style: _Style, size: int, width: int) -> NDArray[np.uint8]:
    """RGBA, as wide as the words need."""
    edge = max(1, round(size * style.edge_share)) if style.edge else 0
    words = letters_in_lines(text, style.font, size, width - size - 2 * edge)
    color, alpha = _drawn(words, style.font, size, style.color, edge)
    if style.edge:  # MoviePy's own eats into the letters
        from PIL import ImageColor

        around = np.maximum(alpha, _widened(alpha, edge))
        share = (alpha / np.maximum(around, 1e-6))[:, :, None]
        below = np.array(ImageColor.getrgb(style.edge), np.float32)
        color, alpha = (color * share + below * (1 - share)).astype(np.uint8), around
    if style.ground is not None:
        *ground, opacity = style.ground
        over = alpha + opacity * (1 - alpha)
        share = (alpha / np.maximum(over, 1e-6))[:, :, None]
        color = (color * share + np.array(ground, np.float32) * (1 - share)).astype(np.uint8)
        alpha = over
    return np.dstack([color, (alpha * 255).round().astype(np.uint8)])


def _drawn(words: str, font: Path, size: int, color: str, more: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Letters and how opaque they are, 0 to 1, with `more` pixels of room all around."""
    from moviepy import TextClip

    made = TextClip(
        text=words,
        font=str(font),
        font_size=size,
        color=color,
        text_align="center",
        interline=round(size * 0.18),
        # MoviePy measures letters without what hangs below the line
        margin=(round(size * 0.5) + more, round(size * 0.32) + more),
    )
    with closing(made):
        return made.get_frame(0).astype(np.uint8), np.asarray(made.mask.get_frame(0), dtype=np.float32)


def _widened(alpha: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    from PIL import Image, ImageFilter

    wide = Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * by + 1))
    return np.asarray(wide.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float32) / 255


def _card(card: Card, master: Master) -> Any:
    from moviepy import ColorClip, CompositeVideoClip, ImageClip, TextClip, vfx

    width, height, short = master.width, master.height, min(master.width, master.height)
    ink, faint = _INKS[card.look]
    seconds = card.seconds
    top, bottom = (np.array(color, np.float32) for color in _GROUNDS[card.look])
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    ground = np.broadcast_to(top * (1 - fall) + bottom * fall, (height, width, 3)).astype(np.uint8)
    size = max(12, round(short * (0.12 if len(card.text) <= 24 else 0.085 if len(card.text) <= 60 else 0.065)))
    layers: list[Any] = [ImageClip(ground, duration=seconds)]
    middle = height * (0.44 if card.under else 0.48)

    def words(text: str, font: Path, size: int, color: str, top_edge: float, begin: float) -> float:
        lines = letters_in_lines(text, font, size, round(width * 0.82))
        made = TextClip(
            text=lines, font=str(font), font_size=size, color=color, text_align="center",
            interline=round(size * 0.2), margin=(round(size * 0.3), round(size * 0.3)),
        )  # fmt: skip
        rise = short * 0.03
        y = top_edge - (made.h / 2 if top_edge == middle else 0)
        moving = (
            made.with_start(begin)
            .with_duration(seconds - begin)
            .with_position(lambda t: ("center", y + rise * (1 - min(1.0, t / 0.7)) ** 3))
            .with_effects([vfx.CrossFadeIn(min(0.7, seconds / 3)), vfx.CrossFadeOut(min(0.35, seconds / 4))])
        )
        layers.append(moving)
        return float(y + made.h)

    below = words(card.text, SERIF, size, ink, middle, 0.0) if card.text.strip() else middle
    long, thick = max(2, round(width * 0.18)), max(1, round(short * 0.006))
    line = ColorClip((long, thick), color=tuple(int(faint[i : i + 2], 16) for i in (1, 3, 5)), duration=seconds - 0.2)
    line = line.with_effects([vfx.CrossFadeIn(0.5), vfx.CrossFadeOut(0.3)]).with_start(0.2)
    layers.append(line.with_position(("center", round(below + short * 0.01))))
    if card.under.strip():
        words(card.under, LINE, max(10, round(size * 0.5)), faint, below + short * 0.04, 0.35)
    return CompositeVideoClip(layers, size=(width, height)).with_duration(seconds)


def letters_in_lines(text: str, font: Path, size: int, width: int) -> str:
    """Broken between words where the line is full; a word that is wider than a line is broken inside."""
    measure = _font(font, size).getlength
    lines: list[str] = []
    for word in text.split():
        while measure(word) > width and len(word) > 1:
            fits = max(1, next((n - 1 for n in range(1, len(word) + 1) if measure(word[:n]) > width), len(word)))
            lines.append(word[:fits])
            word = word[fits:]
        if lines and measure(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines) or " "


@lru_cache(maxsize=32)
def _font(path: Path, size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(str(path), size)


def _shape(font: Any, letter: str) -> bytes:
    mask = font.getmask(letter)
    return bytes(mask) + repr(mask.size).encode()
