"""`python launch.py train table`: the paper's ablation (Table 6) in kind, in the picture-book world.

Every arm is a chain of stages from the configs of one folder; arms share what they have in common. Every row, an arm
asked in one way, draws the next scene of the same held-out stories with the same noise. Both resume: a row that was
measured is read back; several workers share both. The table, its intervals and its comparisons case by case lie in
OUT/table.json and OUT/table.md.

| arm | what is trained |
| drawer | a transformer that draws from words and knows nothing of the reader (stands for LTX with its T5) |
| pretrained | PT-1, PT-2, PT-3 after it |
| plain | no pre-training: SFT right after the drawer, with new queries and a new bridge, which learn here |
| plain-long | the same with as many steps as pre-training and SFT together |
| sft-0, sft-1, sft-2 | SFT after pre-training, three seeds |
| grpo-0, grpo-1, grpo-2 | reinforcement after each |
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nsp_core.errors import ConfigError
from nsp_core.types import Mode, SamplingOptions, Scene
from training import crew
from training.crew import Job
from training.evaluate import composition
from training.evaluate.compare import paired
from training.evaluate.intervals import estimate
from training.evaluate.ways import ALONE, Way, clip_of
from training.grpo.asks import HELD_OUT, AskConfig, Asks
from training.grpo.rewards import adherence, motion
from training.grpo.witness import CutJudge, NearestJudge
from training.models import open_model
from training.picturebook.judge import JUDGE_VERSION, ExactJudge
from training.picturebook.reader import READER_VERSION, psnr
from training.picturebook.rules import RULES_VERSION
from training.picturebook.words import LANGUAGE_VERSION
from training.run import CONFIGS, How, for_stage, run

log = logging.getLogger(__name__)

HOME = Path.home() / ".cache" / "whatnext" / "training" / "table"
FIRST = HELD_OUT + 2000  # others than those of `eval told` and of stage grpo
SEEDS = (0, 1, 2)
PRETRAINING = ("pt1", "pt2", "pt3")
# without pre-training nothing else would ever teach the new queries; elsewhere pt1 did
NEWBORN = ("fresh=[queries, bridge]", "moves=[queries, bridge, transformer]")
SAMPLING = SamplingOptions(steps=10, guidance=1.5)
# what a row that was measured before must have been measured with, to be read back
MEASURED_WITH = {
    "first": [FIRST, composition.FIRST],
    "sampling": [SAMPLING.steps, SAMPLING.guidance],
    "world": [RULES_VERSION, READER_VERSION, JUDGE_VERSION, LANGUAGE_VERSION],
}
Cases = dict[str, dict[str, list[float]]]  # figure -> story -> values


@dataclass(frozen=True)
class Arm:
    name: str
    after: str | None  # the arm with whose model it begins; None: with what the first stage's config says
    stages: tuple[str, ...]
    changes: tuple[str, ...] = ()
    as_long_as: tuple[str, ...] = ()  # as many steps as these stages and its own together


@dataclass(frozen=True)
class Row:
    arm: str
    way: Way
    mode: Mode

    @property
    def name(self) -> str:
        return f"{self.arm} {self.way} {self.mode}"


ARMS: tuple[Arm, ...] = (
    Arm("drawer", None, ("drawer",)),
    Arm("pretrained", "drawer", PRETRAINING),
    Arm("plain", "drawer", ("sft",), NEWBORN),
    Arm("plain-long", "drawer", ("sft",), NEWBORN, PRETRAINING),
    *(Arm(f"sft-{s}", "pretrained", ("sft",), (f"loop.seed={s}",)) for s in SEEDS),
    *(Arm(f"grpo-{s}", f"sft-{s}", ("grpo",), (f"loop.seed={s}",)) for s in SEEDS),
)
ROWS: tuple[Row, ...] = (
    *(Row("drawer", way, "cut") for way in ALONE),
    *(Row(arm, "off", "cut") for arm in ("plain", "plain-long", "pretrained", "sft-0", "grpo-0")),
    *(Row(arm, "own", "cut") for arm in ("plain", "sft-0")),
    *(Row(f"{arm}-{s}", "told", "continue") for s in SEEDS for arm in ("sft", "grpo")),
    Row("sft-0", "told", "cut"),
)  # fmt: skip
# what is expected to be better than what (the paper's claim in kind): compared case by case, seeds taken together
CLAIMS: tuple[tuple[str, tuple[Row, ...], tuple[Row, ...]], ...] = (
    *((f"pre-training, thinking {w}", (Row("plain", w, "cut"),), (Row("sft-0", w, "cut"),)) for w in ("off", "own")),
    ("pre-training at equal total steps", (Row("plain-long", "off", "cut"),), (Row("sft-0", "off", "cut"),)),
    ("fine-tuning", (Row("pretrained", "off", "cut"),), (Row("sft-0", "off", "cut"),)),
    ("thinking", (Row("sft-0", "off", "cut"),), (Row("sft-0", "own", "cut"),)),
    ("one model over the drawer alone", (Row("drawer", "text", "cut"),), (Row("sft-0", "own", "cut"),)),
    ("one model over a cascade", (Row("drawer", "cascade", "cut"),), (Row("sft-0", "own", "cut"),)),
    (
        "reinforcement",
        tuple(Row(f"sft-{s}", "told", "continue") for s in SEEDS),
        tuple(Row(f"grpo-{s}", "told", "continue") for s in SEEDS),
    ),
)  # fmt: skip
REINFORCED = {row for claim, less, more in CLAIMS if claim == "reinforcement" for row in (*less, *more)}
STAGES_SHOWN = ("drawer", "pretrained", "sft-0", "grpo-0")  # of the table of compositions


def table(how: How, config: Path | None, cases: int, as_json: bool, workers: int = 1) -> int:
    """Train what is not trained, measure what is not measured, print the table. 75 when a piece ended before.

    Several `workers` share arms and rows, each with its part of the processors.
    """
    started = time.monotonic()
    out = (how.out or HOME).expanduser()
    folder = config or CONFIGS / "lab"
    if how.dry_run:
        return next((code for arm in ARMS if (code := train_arm(arm, folder, out, how))), 0)
    code = crew.together(workers, out / "crew", work, (how, folder, out, cases, workers))
    if code:
        return code
    measured = {row: measure(out, row, cases) for row in ROWS}
    shown = {arm: compose(out, arm, cases) for arm in STAGES_SHOWN}
    result = summary(measured, shown, cases)
    result["seconds"] = round(time.monotonic() - started, 1)
    write(out / "table.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    write(out / "table.md", markdown(result))
    print(markdown(result))  # noqa: T201
    if as_json:
        print(json.dumps(result, allow_nan=False))  # noqa: T201
    return 0


def work(how: How, folder: Path, out: Path, cases: int, workers: int, shared: Path) -> int:
    """One worker's share of the jobs, which lie in the folder `shared`."""
    if workers > 1:
        threads = max(1, (os.cpu_count() or 1) // workers)
        torch.set_num_threads(threads)
        how = replace(how, overrides=(f"threads={threads}", *how.overrides))
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s", datefmt="%H:%M:%S")
    return crew.work_through(jobs(how, folder, out, cases), shared)


def jobs(how: How, folder: Path, out: Path, cases: int) -> list[Job]:
    """Arms first: rows fill the time in which no arm can begin."""
    found = []
    for arm in ARMS:
        found.append(Job(arm.name, (arm.after,) if arm.after else (), partial(train_arm, arm, folder, out, how)))
    for row in ROWS:
        found.append(Job(row.name.replace(" ", "_"), (row.arm,), partial(done, measure, out, row, cases)))
    for name in STAGES_SHOWN:
        found.append(Job(f"{name}_composition", (name,), partial(done, compose, out, name, cases)))
    return found


def done(measure: Callable[..., Cases], *given: Any) -> int:
    measure(*given)
    return 0


# -- training ---------------------------------------------------------------------------------------------------------
def train_arm(arm: Arm, folder: Path, out: Path, how: How) -> int:
    before = None if arm.after is None else last_run(out, arm.after)
    for stage in arm.stages:
        file = folder / f"{stage}.yaml"
        if not file.is_file():
            raise ConfigError(f"{folder} has no {stage}.yaml, which the table needs; name a folder with all six.")
        place = out / arm.name / stage
        changes = [f"out={json.dumps(str(place))}"]
        if stage != "grpo":
            changes.append(f"cache={json.dumps(str(out / 'cache'))}")
        if before is not None:
            changes.append(f"init={json.dumps(str(before))}")
        changes += for_stage(list(how.overrides), stage)
        if arm.as_long_as and how.limit is None:
            changes.append(f"loop.steps={sum(steps_of(folder, s, how) for s in (*arm.as_long_as, stage))}")
        log.info("arm %s, stage %s", arm.name, stage)
        code = run(stage, file, [*changes, *arm.changes], how)
        if code:
            return code
        before = place
    return 0


def last_run(out: Path, name: str) -> Path:
    arm = next(a for a in ARMS if a.name == name)
    return out / arm.name / arm.stages[-1]


def steps_of(folder: Path, stage: str, how: How) -> int:
    from training import config
    from training.table import STAGES

    steps: int = config.load(
        STAGES[stage][0], folder / f"{stage}.yaml", for_stage(list(how.overrides), stage)
    ).loop.steps
    return steps


# -- measuring --------------------------------------------------------------------------------------------------------
def measure(out: Path, row: Row, cases: int) -> Cases:
    count = cases_of(row, cases)
    return kept(out, row.name, row.arm, count, lambda model: measure_row(model, row, count, SAMPLING))


def compose(out: Path, arm: str, cases: int) -> Cases:
    """Two clips a scene, so of half as many."""
    asked = (AskConfig(), count := math.ceil(cases / 2), SAMPLING)
    return kept(out, f"{arm} composition", arm, count, lambda model: composition.measure(model, *asked))


def cases_of(row: Row, cases: int) -> int:
    """Twice as many where reinforcement is held against fine-tuning: what it changes is small."""
    return 2 * cases if row in REINFORCED else cases


def measure_row(pipeline: Any, row: Row, cases: int, options: SamplingOptions) -> Cases:
    """right: the exact judge; told, that event, else any that can happen. nearest (told only): the reader-free witness.

    `copy_last` is `right` of the last picture again; continuity is that of frame 0 with it, in dB (continue only).
    """
    asks = Asks(pipeline, AskConfig(mode=row.mode, told=row.way == "told"))
    exact = CutJudge() if row.mode == "cut" else ExactJudge()
    witness = NearestJudge()
    found: Cases = {}
    for number in range(FIRST, FIRST + cases):
        ask = asks.make(number)
        frames = clip_of(pipeline, ask, row.way, row.mode, options)
        told = row.way == "told"
        values: dict[str, float | bool | None] = {
            "right": exact.judge(ask.context, Scene(ask.words if told else "", frames)).passed,
            "copy_last": exact.judge(ask.context, Scene(ask.words if told else "", ask.still)).passed,
            "nearest": witness.judge(ask.context, Scene(ask.words, frames)).passed if told else None,
            "adherence": adherence(frames, ask.told, ask.still) if told else None,
            "motion": motion(frames),
            "continuity": finite(psnr(frames[0], ask.still[0])) if row.mode == "continue" else None,
        }
        for figure, value in values.items():
            if value is not None:  # missing
                found.setdefault(figure, {})[str(number)] = [float(value)]
        log.info("%s: case %d of %d", row.name, number - FIRST + 1, cases)
    return found


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def kept(out: Path, name: str, arm: str, cases: int, measure: Callable[[Any], Cases]) -> Cases:
    """What was measured before of the same model and as many cases, else measured now and kept."""
    path = out / "measured" / f"{name.replace(' ', '_')}.json"
    about = {"cases": cases, "weights": weights_of(last_run(out, arm) / "model"), **MEASURED_WITH}
    if path.is_file():
        before = json.loads(path.read_text())
        if before["about"] == about:
            found: Cases = before["found"]
            return found
    found = measure(open_model(last_run(out, arm)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps({"about": about, "found": found}))
    return found


def weights_of(model: Path) -> str:
    """A hash over all weights; configs name the folder that they were once read from, so they say less."""
    digest = hashlib.sha256()
    for file in sorted(model.rglob("*.safetensors")):
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def write(path: Path, text: str) -> None:
    part = path.with_suffix(path.suffix + ".partial")
    part.write_text(text)
    os.replace(part, path)


# -- the table --------------------------------------------------------------------------------------------------------
def summary(measured: dict[Row, Cases], shown: dict[str, Cases], cases: int) -> dict[str, Any]:
    return {
        "split": "held_out",
        "cases": cases,
        "rows": {row.name: figures_of(found) for row, found in measured.items()},
        "composition": {arm: figures_of(found) for arm, found in shown.items()},
        "claims": {
            claim: {
                figure: pair.plain()
                for figure in ("right", "nearest", "motion", "continuity")
                if (pair := paired(together(measured, less, figure), together(measured, more, figure))) is not None
            }
            for claim, less, more in CLAIMS
        },
    }


def figures_of(found: Cases) -> dict[str, Any]:
    return {figure: estimate([v for values in by.values() for v in values]).plain() for figure, by in found.items()}


def together(measured: dict[Row, Cases], rows: tuple[Row, ...], figure: str) -> dict[str, list[float]]:
    """Story -> what all `rows` (seeds) have of it."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for story, values in measured[row].get(figure, {}).items():
            found.setdefault(story, []).extend(values)
    return found


def markdown(result: dict[str, Any]) -> str:
    rows = ("right", "nearest", "adherence", "motion", "continuity", "copy_last")
    twice = f"{2 * result['cases']} where reinforcement is held against fine-tuning"
    lines = [f"{result['cases']} held-out stories, {twice}; 95% intervals.", "", head("arm, way, mode", rows)]
    lines += [line(name, figures, rows) for name, figures in result["rows"].items()]
    lines += ["", f"{math.ceil(result['cases'] / 2)} described scenes.", "", head("after", composition.FIGURES)]
    lines += [line(name, figures, composition.FIGURES) for name, figures in result["composition"].items()]
    lines += ["", "| claim | figure | without | with | difference | p | won, lost |", "| --- " * 7 + "|"]
    for claim, figures in result["claims"].items():
        for figure, f in figures.items():
            difference = f"{f['difference']:+.2f} [{f['low']:+.2f}, {f['high']:+.2f}]"
            sides = f"{f['a']:.2f} | {f['b']:.2f}"
            lines.append(f"| {claim} | {figure} | {sides} | {difference} | {f['p']:.3f} | {f['won']}, {f['lost']} |")
    return "\n".join(lines) + "\n"


def head(first: str, figures: tuple[str, ...]) -> str:
    return f"| {first} | " + " | ".join(figures) + " |\n" + "| --- " * (len(figures) + 1) + "|"


def line(name: str, found: dict[str, Any], figures: tuple[str, ...]) -> str:
    cells = [f"{f['mean']:.2f} [{f['low']:.2f}, {f['high']:.2f}]" if (f := found.get(one)) else "" for one in figures]
    return f"| {name} | " + " | ".join(cells) + " |"
