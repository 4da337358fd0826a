"""`python launch.py teach proof --out DIR`: is the starter taught a style by 24 clips, and does it keep its old world?

The clips are drawn in the style pack "space", which the starter's generator never saw, written as MP4s with their words
beside them, and taught as `teach` teaches a person's (`--minutes`). As somebody's clips would, they keep to a few
subjects: the eight events that happen most often, three clips each. Then stories that were in neither are asked of the
starter with and without the adapter: the same stories, words and noise.

style         the new style, unseen stories that end with an event of these eight
beyond        the new style, unseen stories that end with any event
old           the old world, any event

right         the exact judge of that style passes the clip
nearest       of the renderings of all possible futures, and of none, the told one is nearest to the clip
continuity    PSNR in dB of the clip's first frame to the last picture before it
motion        mean change from frame to frame, of 255

Differences are paired by story, with 95% intervals (training/evaluate/compare.py). Every case is kept as it is made, so
that the same command goes on where it was, and a larger --n or --old-n adds to what is there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nsp_core.errors import UserError
from nsp_core.media.write import whole_file, write_clip
from nsp_core.types import Frames, NextScene, SamplingOptions, SceneRequest, StoryContext
from training.evaluate.compare import paired
from training.evaluate.futures import nearest_is
from training.grpo.asks import HELD_OUT, AskConfig, context_of, story_of
from training.grpo.rewards import motion
from training.picturebook.draw import clip
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import psnr
from training.picturebook.rules import step
from training.picturebook.words import HELD_OUT_VARIANTS, TRAIN_VARIANTS, tell
from training.picturebook.world import Event, World
from training.teach.base import STARTER, base_of
from training.teach.events import as_lines, say
from training.teach.lesson import Lesson, Told

STYLE = "space"
FIRST = HELD_OUT + 60_000  # others than those that anything else is measured on
FIGURES = ("right", "nearest", "continuity", "motion")
WORLDS = {"style": STYLE, "beyond": STYLE, "old": "house"}
# the most frequent last events of 3,000 stories of the training split
SUBJECTS = (
    *("rain_makes_puddle", "puddle_draws_frog", "seed_sprouts", "wind_douses_candle"),
    *("bear_arrives", "tree_bears", "bear_sleeps", "apple_falls"),
)
BOUND = -0.04  # the old world's lower bound of the difference in right scenes
SHEET = 10  # cases on the sheet


@dataclass(frozen=True)
class Case:
    context: StoryContext
    before: World
    event: Event
    words: str
    style: str


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="launch.py teach proof", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where clips, lesson, cases and result are kept")
    parser.add_argument("--clips", type=int, default=24, help="clips of the new style (default: 24)")
    parser.add_argument("--minutes", type=float, default=18.0, help="of teaching (default: 18)")
    parser.add_argument("--n", type=int, default=100, help="unseen stories of the new style, of each kind (100)")
    parser.add_argument("--old-n", type=int, default=800, help="stories of the old world (default: 800)")
    parser.add_argument("--within", type=float, default=math.inf, help="minutes after which this piece ends (75)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        return proof(args)
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def proof(args: argparse.Namespace) -> int:
    ends = time.monotonic() + args.within * 60
    out: Path = args.out.expanduser()
    write_clips(out / "clips", args.clips)
    lesson = Lesson(out / "lesson")
    code = taught(lesson, out / "clips", args.minutes)
    if code:
        return code
    rows = measured(lesson, out / "cases.jsonl", {"style": args.n, "beyond": args.n, "old": args.old_n}, ends)
    result = result_of(rows, lesson, args)
    with whole_file(out / "result.json") as part:
        part.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    say(table(result))
    if args.json:
        say(json.dumps(result))
    wanted = {"style": args.n, "beyond": args.n, "old": args.old_n}
    return 0 if all(result["stories"][world] >= count for world, count in wanted.items()) else 75


# -- teaching ---------------------------------------------------------------------------------------------------------
def write_clips(folder: Path, count: int) -> None:
    """Scenes of training stories, as somebody else would draw them: MP4s, and what happens beside them."""
    number, taken = 0, Counter[str]()
    while taken.total() < count:
        one, rng = story_of(AskConfig(rules=SUBJECTS), number)
        number += 1
        now, event = one.worlds[-2], one.events[-1]
        if taken[event.rule] > taken.total() // len(SUBJECTS):
            continue  # there are as many of it as there shall be for now
        path = folder / f"clip-{taken.total():02d}.mp4"
        taken[event.rule] += 1
        if path.is_file():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".txt").write_text(tell(event, now, rng.choice(TRAIN_VARIANTS)) + "\n", encoding="utf-8")
        write_clip(path, clip(now, event, step(now, event), style=STYLE), 8)


def taught(lesson: Lesson, clips: Path, minutes: float) -> int:
    """As the command does it; it goes on where it was."""
    from training.teach.learn import How, learn
    from training.teach.plan import make_plan
    from training.teach.prepare import prepare

    if not lesson.exists:
        base = base_of(STARTER)
        lesson.folder.mkdir(parents=True, exist_ok=True)
        prepare(clips, lesson, base, None, lambda *_: None)
        lesson.tell(Told(STYLE, str(base.folder)))
    if not (lesson.folder / "plan.json").is_file():
        plan = make_plan(lesson, base_of(STARTER), minutes)
        as_lines("stage", stage="planned", message="\n".join(plan.sentences))
    return learn(lesson, How(minutes), as_lines)


# -- measuring --------------------------------------------------------------------------------------------------------
def case_of(number: int, world: str) -> Case:
    one, rng = story_of(AskConfig(rules=SUBJECTS if world == "style" else ()), FIRST + number)
    style = WORLDS[world]
    context = context_of(one, HELD_OUT_VARIANTS, rng, style)
    now, event = one.worlds[-2], one.events[-1]
    return Case(context, now, event, tell(event, now, rng.choice(HELD_OUT_VARIANTS)), style)


def measured(lesson: Lesson, path: Path, counts: dict[str, int], ends: float) -> list[dict[str, Any]]:
    """Rows of every case, with and without the adapter; those that are there already are not drawn again."""
    from nsp_core.adapters import attach, read
    from training.models import open_model

    adapter = read(lesson.adapter)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    if any(row["adapter"] not in ("", adapter.hash) for row in rows):
        raise UserError(f"{path} was measured with another adapter: take it away, or name another --out.")
    there = {(row["world"], row["number"]) for row in rows if row["adapter"]}
    model = Path(lesson.told().model)
    pipelines: dict[str, Any] = {"": open_model(model), adapter.hash: open_model(model)}
    attach(pipelines[adapter.hash], [(adapter, 1.0)])
    judges = {style: ExactJudge(style) for style in set(WORLDS.values())}
    shown = []
    for world, number in order(counts):
        if time.monotonic() > ends:
            break
        if (world, number) in there:
            continue
        case = case_of(number, world)
        drawn = {name: draw(pipeline, case, number) for name, pipeline in pipelines.items()}
        made = [row_of(world, number, name, case, frames, judges[case.style]) for name, frames in drawn.items()]
        with path.open("a", encoding="utf-8") as file:  # both at once, so that no pair is ever half there
            file.write("".join(json.dumps(row) + "\n" for row in made))
        rows += made
        if number < SHEET:
            shown.append((world, case, list(drawn.values())))
            write_sheet([one for one in shown if one[0] == world], path.with_name(f"sheet-{world}.png"))
        if number % 10 == 9:
            say(f"{world}: {number + 1} of {counts[world]} stories")
    return rows


def order(counts: dict[str, int]) -> list[tuple[str, int]]:
    """The new style first, then the old world."""
    return [(world, number) for world, count in counts.items() for number in range(count)]


@torch.no_grad()
def draw(pipeline: Any, case: Case, number: int) -> Frames:
    request = SceneRequest(case.context, case.words, "continue", SamplingOptions(seed=number, preview_every=0))
    *_, made = pipeline.act(request)
    assert isinstance(made, NextScene)
    return made.frames


def row_of(world: str, number: int, adapter: str, case: Case, frames: Frames, judge: ExactJudge) -> dict[str, Any]:
    verdict = judge.judge_clip(case.before, case.event, frames)
    last = case.context.scenes[-1].frames
    assert last is not None
    return {
        **{"world": world, "number": number, "adapter": adapter, "rule": case.event.rule},
        "right": None if verdict.passed is None else float(verdict.passed),
        "nearest": float(nearest_is(case.before, case.event, frames, case.style)),
        "continuity": round(psnr(frames[0], last[-1]), 3),
        "motion": round(motion(frames), 3),
        "why": verdict.reason,
    }


def write_sheet(shown: list[Any], path: Path) -> None:
    """A picture: a row a story; the last picture, how it should end, how it ends without and with the adapter."""
    from PIL import Image

    rows = []
    for _, case, (plain, turned) in shown:
        wanted = clip(case.before, case.event, step(case.before, case.event), style=case.style)
        last = case.context.scenes[-1].frames[-1]
        rows.append(np.hstack([last, wanted[-1], plain[8], plain[-1], turned[8], turned[-1]]))
    with whole_file(path) as part:
        Image.fromarray(np.vstack(rows)).save(part, "PNG")


# -- the result -------------------------------------------------------------------------------------------------------
def result_of(rows: list[dict[str, Any]], lesson: Lesson, args: argparse.Namespace) -> dict[str, Any]:
    figures: dict[str, dict[str, Any]] = {}
    for world in WORLDS:
        some = [row for row in rows if row["world"] == world]
        figures[world] = {}
        for name in FIGURES:
            seen = [row for row in some if row[name] is not None]  # else the judge could not say: a pair is left out
            without = {str(r["number"]): [r[name]] for r in seen if not r["adapter"]}
            with_it = {str(r["number"]): [r[name]] for r in seen if r["adapter"]}
            found = paired(without, with_it)
            figures[world][name] = None if found is None else found.plain()
    told, progress = lesson.told(), lesson.progress_rows()
    seconds = max((row["seconds"] for row in progress), default=0.0)
    style, old = figures["style"], figures["old"]
    holds = {
        "right_rises": style["right"] is not None and style["right"]["low"] > 0,
        "continuity_rises": style["continuity"] is not None and style["continuity"]["low"] > 0,
        "old_world_kept": old["right"] is not None and old["right"]["low"] >= BOUND,
        "within_20_minutes": seconds <= 20 * 60,
    }
    counts = {world: len({r["number"] for r in rows if r["world"] == world}) for world in WORLDS}
    return {
        **{"clips": args.clips, "threads": args.threads, "minutes": round(seconds / 60, 1), "steps": told.step},
        **{"adapter": lesson.read("adapter/adapter.json"), "ended": told.message},
        **{"n": counts["style"], "old_n": counts["old"], "stories": counts, **figures, "holds": holds},
    }


def table(result: dict[str, Any]) -> str:
    lines = [f"taught on {result['clips']} clips in {result['minutes']} minutes; with the adapter minus without"]
    for world, count in result["stories"].items():
        lines.append(f"{world}, {count} stories")
        for name, f in result[world].items():
            if f is not None:
                change = f"{f['difference']:+7.3f} [{f['low']:+.3f}, {f['high']:+.3f}]"
                lines.append(f"  {name:12} {f['a']:7.3f} -> {f['b']:7.3f}  {change}")
    lines += [f"{name.replace('_', ' ')}: {'yes' if held else 'no'}" for name, held in result["holds"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
