"""Labels by eye: what a person sees in clips that a model drew, before any reader has looked at them.

    python -m training.evaluate.labels make FOLDER [--n 200] [--seed 0] [--model FOLDER] [--hard .5]
        draws clips of held-out stories (their own words continued, the same cut, told what to draw; only words that can
        happen), in an order that tells nothing, and writes sheets to look at: before, the words, the clip in six
        pictures. No judge runs. Where nearly all is right there is little to agree about, so a share of them is `hard`:
        drawn in too few steps, or shown with words that they were not drawn for.
    python -m training.evaluate.labels read FOLDER LABELS
        LABELS has a line a clip: its number, then y (what the words say has happened, all else is as it was), n, or ?.
        Asks the exact judge now, and prints how far the two agree (Cohen's kappa, ? and unreadable left out).

Knows nothing of pages. A folder is written once and never over another.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nsp_core.errors import UserError
from nsp_core.types import Frames, Mode
from training.evaluate import cases
from training.evaluate.measure import Measure, Plan
from training.evaluate.opinion_check import STARTER, Agreement
from training.picturebook.judge import ExactJudge
from training.picturebook.rules import enabled, step
from training.picturebook.words import tell

log = logging.getLogger(__name__)

SHOWN = (0, 3, 6, 9, 12, 16)  # frames of a clip on a sheet
ROWS = 8
_FONT = Path(__file__).resolve().parents[2] / "assets" / "fonts" / "quicksand-500.woff2"
_LINE = re.compile(r"\s*(\d+)\s*[:,]?\s*([yn?])\s*", re.IGNORECASE)
MEANS = {"y": "pass", "n": "fail", "?": "missing"}


def make(model: Any, folder: Path, n: int, seed: int, hard: float = 0.0) -> None:
    """`n` clips and their sheets in a new `folder`. Raises UserError when there is something already."""
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: labels belong to the clips they were given to, choose a new folder.")
    folder.mkdir(parents=True, exist_ok=True)
    entries, clips, lasts = [], [], []
    measure = Measure(model, Plan(n, seed))
    number = 0
    while len(entries) < n:
        drawn = _draw(measure, cases.case(seed, number), number, hard)
        if drawn is not None:
            entry, last, frames = drawn
            entries.append({"clip": len(entries), **entry})
            clips.append(frames)
            lasts.append(last)
            log.info("clip %d of %d", len(entries), n)
        number += 1
    np.savez_compressed(folder / "clips.npz", clips=np.stack(clips), last=np.stack(lasts))
    about = {"model": getattr(model, "fingerprint", ""), "seed": seed, "clips": entries}
    (folder / "clips.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    for start in range(0, n, ROWS):
        rows = range(start, min(start + ROWS, n))
        picture = sheet([(i, entries[i]["words"], entries[i]["mode"], lasts[i], clips[i]) for i in rows])
        picture.save(folder / f"sheet-{start:03d}.png")


def _draw(measure: Measure, one: cases.Case, number: int, hard: float) -> tuple[dict[str, Any], Frames, Frames] | None:
    """What is written down of a clip, the picture before it and its frames; nothing where the words can't happen."""
    seed = measure.plan.seed + number
    rng = Random(f"labels {seed}")
    mode: Mode = "cut" if number % 3 == 1 else "continue"
    asked = cases.steered(one.before, None, rng) if number % 3 == 2 else None
    words = measure.think(one.context, seed, None if asked is None else asked[1])
    event = measure.told(one.before, words)
    if event is None:
        return None
    way = rng.choice(("steps", "words")) if rng.random() < hard else "plain"
    steps = rng.choice((1, 2, 3)) if way == "steps" else None
    drawn = measure.draw(one.context, words, mode, seed, steps)
    if drawn is None:
        return None
    others = [e for e in enabled(one.before) if step(one.before, e).seen() != step(one.before, event).seen()]
    if way == "words" and others:
        words = tell(rng.choice(others), one.before, rng)
    entry = {"case": one.number, "mode": mode, "words": words, "way": way, "steps": steps}
    return entry, cases.last_picture(one.context), drawn.frames


def sheet(rows: list[tuple[int, str, str, Frames, Frames]]) -> Image.Image:
    """A row a clip: number, the picture before, six pictures of the clip, and the words below."""
    height, width = rows[0][3].shape[:2]
    line, gap = 20, 4
    out = Image.new("RGB", ((width + gap) * (len(SHOWN) + 1) + gap, (height + line + gap) * len(rows)), "white")
    draw = ImageDraw.Draw(out)
    for at, (number, words, mode, last, clip) in enumerate(rows):
        top = at * (height + line + gap)
        for column, picture in enumerate([last, *(clip[i] for i in SHOWN)]):
            out.paste(Image.fromarray(picture), (gap + column * (width + gap), top))
        draw.text((gap, top + height + 2), f"{number}  [{mode}]  {words}", fill="black", font=font(14))
    return out


def font(size: int) -> Any:
    try:
        return ImageFont.truetype(str(_FONT), size)
    except OSError:
        return ImageFont.load_default()


def read_labels(text: str) -> dict[int, str]:
    """Number to pass, fail or missing. Raises UserError for a line that is no label, and for a clip labelled twice."""
    found: dict[int, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None or int(match[1]) in found:
            raise UserError(f"The line {line!r} is no label: write a clip's number once, then y, n or ?.")
        found[int(match[1])] = MEANS[match[2].lower()]
    return found


def agreement(folder: Path, labels: dict[int, str]) -> Agreement:
    about = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
    clips = np.load(folder / "clips.npz")["clips"]
    judge, measure = ExactJudge(), None
    found = Agreement()
    for entry in about["clips"]:
        said = labels.get(entry["clip"])
        if said is None:
            continue
        one = cases.case(about["seed"], entry["case"])
        measure = measure or Measure(None, Plan(1))  # type: ignore[arg-type]
        event = measure.told(one.before, entry["words"])
        exact = "fail"
        if event is not None:
            exact = judge.judge_clip(one.before, event, clips[entry["clip"]], entry["mode"]).outcome
        found.add(entry["mode"], said, exact, one.number)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tasks = parser.add_subparsers(dest="task", required=True)
    one = tasks.add_parser("make")
    one.add_argument("folder", type=Path)
    one.add_argument("--n", type=int, default=200)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--model", type=Path, default=STARTER)
    one.add_argument("--hard", type=float, default=0.5, help="share of clips in too few steps or with other words")
    two = tasks.add_parser("read")
    two.add_argument("folder", type=Path)
    two.add_argument("labels", type=Path)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        if args.task == "make":
            from nsp_core.pipeline import NextScenePipeline

            make(NextScenePipeline.from_pretrained(args.model), args.folder, args.n, args.seed, args.hard)
            return 0
        found = agreement(args.folder, read_labels(args.labels.read_text(encoding="utf-8")))
        low, high = found.interval()
        answer = {"kappa": found.kappa, "low": low, "high": high, "n": len(found.pairs), "missing": found.missing}
        print(json.dumps({**answer, "by_eye": found.said, "exact": found.exact}))  # noqa: T201
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
