"""Words by people: a table to fill in and a page to look at while doing so; what comes back is kept with the run.

`captions.csv` has a line a clip (id, film, second, caption, preceding, guess); `captions.html` shows every clip beside
its field and saves the same table. A guess is what the captioner would have said; it becomes a caption only when a
person writes it there. Knows nothing of stages.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nsp_core.errors import UserError
from nsp_core.media import crop_resize, read_media
from nsp_core.media.write import whole_file
from training.data.rows import Row
from training.evaluate.report import webp

COLUMNS = ("id", "film", "second", "caption", "preceding", "guess")
MOST_SHOWN = 200  # clips in one page: each is about 60 kB


def write_sheets(clips: Sequence[Row], folder: Path) -> tuple[Path, Path]:
    """captions.csv (all) and captions.html (the first MOST_SHOWN) of clips that have a file."""
    table, page = folder / "captions.csv", folder / "captions.html"
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(line_of(clip) for clip in clips)
    with whole_file(table) as partial:
        partial.write_text(out.getvalue(), encoding="utf-8")
    cards = "".join(card(clip, folder) for clip in clips[:MOST_SHOWN])
    rest = len(clips) - min(len(clips), MOST_SHOWN)
    note = f"<p>{rest} more stand in captions.csv.</p>" if rest else ""
    with whole_file(page) as partial:
        partial.write_text(_HEAD + cards + note + _TAIL, encoding="utf-8")
    return table, page


def line_of(clip: Row) -> list[str]:
    v = clip.values
    words = [str(v.get(name) or "") for name in ("caption", "preceding", "guess")]
    return [clip.id, str(v["name"]), f"{v['start']:.2f}", *words]


def read_words(path: Path, known: set[str]) -> dict[str, dict[str, str]]:
    """id -> caption and preceding, lines without words left out. Raises UserError for a table that is not ours."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8.") from None
    if not lines or not {"id", "caption"} <= set(lines[0]):
        raise UserError(f"{path} has no columns id and caption: begin with the captions.csv of the run.")
    strange = [line["id"] for line in lines if line["id"] not in known]
    if strange:
        raise UserError(f"{path} names a clip that this run does not have ({strange[0]}): it belongs to another run.")
    said = {}
    for line in lines:
        words = {name: " ".join((line.get(name) or "").split()) for name in ("caption", "preceding")}
        if words["caption"]:
            said[line["id"]] = words
    return said


def keep_words(folder: Path, said: dict[str, dict[str, str]]) -> int:
    """Beside what was kept before, which the new words replace; how many clips have words now."""
    path = folder / "by_hand.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    kept |= said
    with whole_file(path) as partial:
        partial.write_text(json.dumps(kept, ensure_ascii=False, indent=1, sort_keys=True), encoding="utf-8")
    return len(kept)


def thumbnail(clip: Row, folder: Path, pictures: int = 8, width: int = 256) -> str:
    """A moving picture of a clip as a data address."""
    frames = read_media(folder / str(clip.values["file"]), fps=None, side=2 * width).frames
    some = frames[np.unique(np.linspace(0, len(frames) - 1, pictures).round().astype(int))]
    height = round(width * some.shape[1] / some.shape[2])
    small = [crop_resize(frame, width, height) for frame in some]
    return "data:image/webp;base64," + base64.b64encode(webp(small, 60)).decode()


def card(clip: Row, folder: Path) -> str:
    v = clip.values
    guess = f"<p class='guess'>The captioner would say: {html.escape(str(v['guess']))}</p>" if v.get("guess") else ""
    fields = "".join(
        f"<label>{label}<textarea data-name='{name}' rows='2'>{html.escape(str(v.get(name) or ''))}</textarea></label>"
        for name, label in (
            ("caption", "What is seen and happens"),
            ("preceding", "What came just before (may stay empty)"),
        )
    )
    name, second = html.escape(str(v["name"]), quote=True), f"{v['start']:.2f}"
    return (
        f'<section data-id="{clip.id}" data-film="{name}" data-second="{second}">'
        f"<img alt='the clip' src='{thumbnail(clip, folder)}'><div><h2>{name}, second {second}</h2>{guess}{fields}"
        "</div></section>\n"
    )


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>What do these clips show?</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f7f4ee; color: #2b2a33 }
main { max-width: 900px; margin: 0 auto; padding: 16px 16px 90px }
section { display: flex; flex-wrap: wrap; gap: 16px; background: #fff; border-radius: 10px;
 padding: 12px; margin: 14px 0 }
section > div { flex: 1 1 320px } img { width: 256px; align-self: flex-start; border-radius: 6px }
h2 { font-size: 15px; margin: 0 } label { display: block; font-size: 13px; color: #6d6a78; margin-top: 6px }
textarea { width: 100%; font: inherit; font-size: 16px; color: #2b2a33 }
.guess { color: #6d6a78; font-size: 13px; margin: 4px 0 }
footer { position: fixed; inset: auto 0 0 0; background: #2b2a33; padding: 10px; text-align: center }
button { font: inherit; padding: 6px 16px }
</style><main><h1>What do these clips show?</h1>
<p>Write one or two plain sentences of what is seen and what happens. Leave a field empty where you cannot say. Save
the table and give it to <code>python launch.py data captions RUN captions.csv</code>; then run the same again.</p>
"""

_TAIL = """</main><footer><button id="save">Save captions.csv</button></footer><script>
const quoted = text => '"' + text.replaceAll('"', '""') + '"';
document.getElementById('save').addEventListener('click', () => {
  const lines = [['id', 'film', 'second', 'caption', 'preceding', 'guess'].join(',')];
  for (const one of document.querySelectorAll('section')) {
    const said = name => one.querySelector(`[data-name=${name}]`).value;
    const about = one.dataset;
    const line = [about.id, about.film, about.second, said('caption'), said('preceding'), ''];
    lines.push(line.map(quoted).join(','));
  }
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([lines.join('\\r\\n') + '\\r\\n'], {type: 'text/csv'}));
  link.download = 'captions.csv'; link.click();
});
</script></html>
"""
