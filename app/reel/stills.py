"""The film on paper: a sheet with one picture a scene, and a book with one page a scene. Knows nothing of films' sound.

A scene's picture is the one in the middle of its shot. Pictures go through the same reader as the film's.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from app.provenance.account import NAME
from app.provenance.remarks import KEY, unpacked
from app.reel.frames import Reader, Window
from app.reel.lettering import LINE, SANS, SERIF, letters_in_lines, unknown_letters
from app.reel.timeline import Scene
from app.reel.ways import Decision
from nsp_core.errors import UserError

PAPER, INK, FAINT = (250, 244, 232), (59, 47, 38), (122, 91, 58)
_WIDE = 360  # of a picture on the sheet
_PAGE = (210.0, 148.0)  # millimetres: A5, lying
_MOST = 400  # scenes on a sheet


def contact_sheet(
    decision: Decision,
    words: Sequence[str],
    title: str,
    out: Path,
    told: Callable[[int, int], None],
    *,
    remark: str = "",
) -> None:
    """A PNG: as many columns as make it about as wide as high, each picture with its time and its words."""
    from PIL import Image, ImageDraw, ImageFont
    from PIL.PngImagePlugin import PngInfo

    scenes = decision.timeline.scenes
    if len(scenes) > _MOST:
        raise UserError(f"A sheet of {len(scenes)} scenes was asked, at most {_MOST} find room: take fewer scenes.")
    first = scenes[0].source.format
    tall = round(_WIDE * first.height / first.width)
    columns = max(1, min(len(scenes), round((len(scenes) * (tall + 90) / _WIDE) ** 0.5)))
    rows = -(-len(scenes) // columns)
    gap, below, head = 18, 78, 84
    sheet = Image.new("RGB", (columns * (_WIDE + gap) + gap, head + rows * (tall + below + gap) + gap), PAPER)
    draw = ImageDraw.Draw(sheet)
    small = ImageFont.truetype(str(SANS), 17)
    large = ImageFont.truetype(str(SERIF), 34)
    draw.text((gap, 24), _drawable(title)[:80], INK, large)
    for number, (scene, picture) in enumerate(zip(scenes, _pictures(decision), strict=True)):
        x = gap + number % columns * (_WIDE + gap)
        y = head + number // columns * (tall + below + gap)
        picture.thumbnail((_WIDE, tall))
        sheet.paste(picture, (x + (_WIDE - picture.width) // 2, y + (tall - picture.height) // 2))
        draw.text((x, y + tall + 6), f"{number + 1}   {_clock(scene, decision)}", FAINT, small)
        lines = letters_in_lines(_drawable(words[scene.shot]), SANS, 17, _WIDE).splitlines()
        shown = lines[:2] if len(lines) <= 2 else [lines[0], lines[1].rstrip(" .,;") + " …"]
        for row, line in enumerate(shown):
            draw.text((x, y + tall + 28 + 22 * row), line, INK, small)
        told(number + 1, len(scenes))
    text = PngInfo()
    if remark:
        text.add_itxt("Software", NAME)
        text.add_itxt(KEY, remark)
    with out.open("wb") as file:
        sheet.save(file, "PNG", pnginfo=text)


def storybook(
    decision: Decision,
    words: Sequence[str],
    title: str,
    out: Path,
    told: Callable[[int, int], None],
    *,
    language: str = "en",
    remark: str = "",
) -> None:
    """A PDF with real text: a title page, then the picture of a scene above its words."""
    from fpdf import FPDF

    strange = unknown_letters(title + "".join(words))
    if strange:
        raise UserError(
            f"The letters {' '.join(strange[:8])} are not in the book's font (Latin only): no book is made."
        )
    wide, high = _PAGE
    book: Any = FPDF(orientation="landscape", unit="mm", format=(high, wide))
    book.set_auto_page_break(False)
    book.set_title(title)
    book.set_lang(language)
    if remark:
        book.set_creator(NAME)
        book.set_xmp_metadata(unpacked(remark))
    with tempfile.TemporaryDirectory(prefix="whatnext-book-") as folder:
        book.add_font("Lora", "", _ttf(SERIF, Path(folder)))
        book.add_font("Lora", "I", _ttf(LINE, Path(folder)))
    book.add_page()
    _ground(book)
    book.set_font("Lora", size=30)
    book.set_text_color(*INK)
    book.set_xy(20, high * 0.36)
    book.multi_cell(wide - 40, 14, title, align="C")
    scenes = decision.timeline.scenes
    for number, (scene, picture) in enumerate(zip(scenes, _pictures(decision), strict=True), 1):
        book.add_page()
        _ground(book)
        text = words[scene.shot]
        box_wide, box_high = wide - 40, high - 58
        share = min(box_wide / picture.width, box_high / picture.height)
        shown_wide, shown_high = picture.width * share, picture.height * share
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=88)
        book.image(data, (wide - shown_wide) / 2, 12, shown_wide, shown_high, alt_text=text[:300])
        size = 15.0
        book.set_font("Lora", size=size)
        while (
            size > 7
            and len(book.multi_cell(wide - 50, size * 0.48, text, dry_run=True, output="LINES")) * size * 0.48 > 30
        ):
            size -= 1
            book.set_font("Lora", size=size)
        book.set_text_color(*INK)
        book.set_xy(25, 16 + shown_high + 2)
        book.multi_cell(wide - 50, size * 0.48, text, align="C")
        book.set_font("Lora", "I", 9)
        book.set_text_color(*FAINT)
        book.set_xy(0, high - 10)
        book.cell(wide, 5, str(number), align="C")
        told(number, len(scenes))
    with out.open("wb") as file:
        file.write(book.output())


def _pictures(decision: Decision) -> Iterator[Any]:
    """One a scene, in the clip's own size."""
    from PIL import Image

    for scene in decision.timeline.scenes:
        form = scene.source.format
        window = Window(0, 0, form.width, form.height, 0, 0, form.width, form.height)
        middle = scene.start + (scene.frames - scene.held) // 2
        reader = Reader(scene.source.path, form.fps, decision.master.fps, form.width, form.height, window)
        with closing(reader):
            yield Image.fromarray(reader.rgb(middle))


def _clock(scene: Scene, decision: Decision) -> str:
    seconds = float(scene.at / decision.master.fps)
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _drawable(text: str) -> str:
    """Letters that our fonts lack become a sign that they are missing."""
    strange = unknown_letters(text)
    return "".join("□" if letter in strange else letter for letter in text) if strange else text


def _ground(book: Any) -> None:
    book.set_fill_color(*PAPER)
    book.rect(0, 0, *_PAGE, style="F")


def _ttf(font: Path, folder: Path) -> str:
    """Our fonts are WOFF2; a PDF holds TrueType."""
    from fontTools.ttLib import TTFont

    made = folder / f"{font.stem}.ttf"
    with TTFont(font) as opened:
        opened.flavor = None
        opened.save(made)
    return str(made)
