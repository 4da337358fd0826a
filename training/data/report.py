"""The data card: one HTML file with counts, reasons, histograms, samples, licences and cost. Loads nothing."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core.content import SAMPLES as FRAMES_SEEN
from nsp_core.media.write import whole_file
from training.data.rows import Row
from training.data.run import Curated, Ended, outcome_counts
from training.data.sheet import thumbnail

SAMPLES = 12
MEASURED = ("motion", "brightness", "sharpness", "text", "still", "bars", "content")
_ROWS = "<tr>{}</tr>"


def write_report(found: Curated, manifest: dict[str, Any], folder: Path) -> Path:
    path = folder / "report.html"
    parts = [_HEAD, summary(found, manifest), reasons(found), looked(found, manifest), histograms(found)]
    parts += [samples(found, folder), licences(manifest), cost(found), "</main></html>\n"]
    with whole_file(path) as partial:
        partial.write_text("".join(parts), encoding="utf-8")
    return path


def summary(found: Curated, manifest: dict[str, Any]) -> str:
    captioned, missing = len(found.captioned()), sum(e.status == "missing" for e in found.clips)
    kept = [e for e in found.pairs if e.status == "ok"]
    origins = Counter(str(e.row.values["origin"]) for e in kept)
    lines = [
        ("films and pictures brought", len(found.sources) + len(found.left_out)),
        ("of these readable and large enough", sum(e.status == "ok" for e in found.sources)),
        ("clips cut from them", len(found.clips)),
        ("clips with a caption", captioned),
        ("clips that wait for words or a verdict (missing)", missing),
        *((f"pairs: {PAIRS.get(origin, origin)}", count) for origin, count in sorted(origins.items())),
        *(
            (f"in the pack, {split}", f"{s['clips']} clips of {s['films']} films")
            for split, s in manifest["splits"].items()
        ),
    ]
    return "<h2>Counts</h2>" + table(("", ""), lines)


PAIRS = {
    "written": "written before, and checked",
    "shots": "two shots that follow each other in one film",
    "same shot": "two parts of one shot",
}


def reasons(found: Curated) -> str:
    lines = []
    for what, some in (("film", found.sources), ("clip", found.clips), ("pair", found.pairs)):
        for (stage, status, reason), count in sorted(outcome_counts(some).items(), key=lambda item: -item[1]):
            if status != "ok":
                lines.append((what, stage, status, reason, count))
    for reason, count in Counter(reason for _, reason in found.left_out).items():
        lines.append(("film", "ingest", "dropped", reason, count))
    return "<h2>What was left out, and why</h2>" + (
        table(("what", "stage", "status", "reason", "how many"), lines) if lines else "<p>Nothing.</p>"
    )


def looked(found: Curated, manifest: dict[str, Any]) -> str:
    """Whether the content filter ran, and what that is worth."""
    quality = manifest["config"]["quality"]
    if quality["content"] == "none":
        said = "It did not run: nothing has looked at whether these pictures are for everybody."
    else:
        seen = sum("content" in e.row.values for e in found.clips)
        left_out = sum(e.stage == "content" for e in found.clips)
        said = (
            f"A classifier (open-nsfw) looked at up to {FRAMES_SEEN} frames of each of {seen} clips and left out "
            f"{left_out}, at or above {quality['content_threshold']:g}. Its threshold was measured on safe pictures "
            "only and what it lets through was never tested: it promises nothing about the others."
        )
    return f"<h2>Content filter</h2><p>{said}</p>"


def histograms(found: Curated) -> str:
    kept, dropped = [], []
    for ended in found.clips:
        (dropped if ended.status in ("dropped", "failed") else kept).append(ended.row.values)
    charts = [histogram("seconds", [v["end"] - v["start"] for v in kept], [v["end"] - v["start"] for v in dropped])]
    for name in MEASURED:
        charts.append(histogram(name, *([v[name] for v in some if name in v] for some in (kept, dropped))))
    return (
        "<h2>Measures</h2><p>Clips that were kept (dark) and left out (light).</p><div class='charts'>"
        + "".join(charts)
        + "</div>"
    )


def histogram(name: str, kept: Sequence[float], dropped: Sequence[float], bins: int = 16) -> str:
    """Bars as SVG, with the two ends of the axis below."""
    values = [*kept, *dropped]
    if not values:
        return ""
    low, high = min(values), max(values)
    if high <= low:
        high = low + 1
    one, _ = np.histogram(kept, bins, (low, high))
    two, _ = np.histogram(dropped, bins, (low, high))
    most, bars = max(1, int((one + two).max())), []
    for number, (dark, light) in enumerate(zip(one.tolist(), two.tolist(), strict=True)):
        x, tall, more = 2 + number * 14, 80 * dark / most, 80 * light / most
        bars.append(f"<rect x='{x}' y='{84 - tall:.1f}' width='12' height='{tall:.1f}' fill='#2f6f8f'/>")
        bars.append(f"<rect x='{x}' y='{84 - tall - more:.1f}' width='12' height='{more:.1f}' fill='#d9b48f'/>")
    said = f"{name}: {len(kept)} kept, {len(dropped)} left out, from {low:.3g} to {high:.3g}"
    return (
        f"<figure><svg viewBox='0 0 228 100' role='img' aria-label='{said}'>{''.join(bars)}"
        f"<text x='2' y='97'>{low:.3g}</text><text x='226' y='97' text-anchor='end'>{high:.3g}</text></svg>"
        f"<figcaption>{name}</figcaption></figure>"
    )


def samples(found: Curated, folder: Path) -> str:
    """Evenly over all clips that have a file."""
    there = [e for e in found.clips if e.row.values.get("file") and e.status != "failed"]
    if not there:
        return ""
    chosen = np.unique(np.linspace(0, len(there) - 1, SAMPLES).round().astype(int))
    cards = "".join(sample(there[int(i)], folder) for i in chosen)
    return f"<h2>Samples</h2><div class='samples'>{cards}</div>"


def sample(ended: Ended, folder: Path) -> str:
    v = ended.row.values
    words = str(v.get("caption") or "") or f"no caption: {ended.reason}"
    before = f"<p><b>Before:</b> {html.escape(str(v['preceding']))}</p>" if v.get("preceding") else ""
    guess = f"<p class='dim'>a guess, not used: {html.escape(str(v['guess']))}</p>" if v.get("guess") else ""
    where = f"{v['name']}, {v['start']:.1f} to {v['end']:.1f} s, {v['licence']}"
    return (
        f"<article><img alt='a clip' src='{thumbnail(ended.row, folder)}'>{before}<p>{html.escape(words)}</p>{guess}"
        f"<p class='dim'>{html.escape(where)}</p></article>"
    )


def licences(manifest: dict[str, Any]) -> str:
    note = ""
    if manifest["licences"].get("unknown"):
        note = "<p><b>Some licences are not known.</b> Name them in the config (sources: licence) or in a column.</p>"
    lines = [*manifest["licences"].items()] or [("nothing is packed", "")]
    return f"<h2>Licences</h2>{table(('licence', 'clips'), lines)}{note}<h2>Sources</h2>" + table(
        ("source", "clips"), list(manifest["sources"].items())
    )


def cost(found: Curated) -> str:
    lines = [
        (stage, count, f"{seconds:.1f}", f"{count / seconds:.2f}" if seconds else "")
        for stage, (count, seconds) in found.worked.items()
        if count
    ]
    paid = dollars([e.row for e in (*found.clips, *found.pairs)])
    return (
        "<h2>Cost</h2>"
        + table(("stage", "rows", "seconds of work", "rows a second"), lines)
        + f"<p>Paid to services: {paid:.4f} dollars.</p>"
    )


def dollars(rows: Iterable[Row]) -> float:
    return sum(float(value) for row in rows for name, value in row.values.items() if "_usd" in name and value)


def table(heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads) if any(heads) else ""
    body = "".join(_ROWS.format("".join(f"<td>{html.escape(str(cell))}</td>" for cell in line)) for line in lines)
    return f"<table>{_ROWS.format(head) if head else ''}{body}</table>"


_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Data card</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; background: #f7f4ee; color: #2b2a33 }
main { max-width: 1000px; margin: 0 auto; padding: 24px } h2 { margin: 28px 0 8px; font-size: 19px }
table { border-collapse: collapse; background: #fff; border-radius: 8px } td, th { padding: 4px 14px; text-align: left }
td { border-top: 1px solid #eee7da } .charts { display: flex; flex-wrap: wrap; gap: 12px }
figure { margin: 0; width: 228px }
svg { background: #fff; border-radius: 8px } svg text { font-size: 10px; fill: #6d6a78 } figcaption { font-size: 13px }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(260px, 1fr)); gap: 14px }
article { background: #fff; border-radius: 10px; padding: 10px } article img { width: 100%; border-radius: 6px }
p { margin: 4px 0 } .dim { color: #6d6a78; font-size: 13px }
</style><main><h1>Data card</h1>"""
