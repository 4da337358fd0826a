"""`python launch.py train tiny`: data, pre-training, fine-tuning, reinforcement and a measure, in minutes on two cores.

Four events, the shipped autoencoder and reader, a newborn transformer of 1.0 M. Measured on held-out stories: told what
comes, is the rendering of that the nearest to the clip of all possible futures and of none (no trained reader judges)?
Against a copy of the last picture, and against the rendering of the event that happens most often.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from nsp_core.types import SamplingOptions
from training.evaluate import told
from training.evaluate.compare import paired
from training.evaluate.intervals import estimate
from training.grpo.asks import AskConfig
from training.models import open_model
from training.run import CONFIGS, How, run_all

log = logging.getLogger(__name__)

HOME = Path.home() / ".cache" / "whatnext" / "training" / "tiny"
RULES = ("snowman_melts", "seed_sprouts", "balloon_pops", "lamp_lights")
STAGES = ("pt2", "sft", "grpo")
CASES = 40
SAMPLING = SamplingOptions(steps=10, guidance=1.5)


def tiny(how: How, as_json: bool) -> int:
    started, worked = time.monotonic(), time.process_time()
    out = (how.out or HOME).expanduser()
    code = run_all(CONFIGS / "tiny", replace(how, out=out))
    if code or how.dry_run:
        return code
    result = measure({s: out / s for s in STAGES}, CASES if how.limit is None else 2)
    result["seconds"] = round(time.monotonic() - started, 1)
    result["cpu_seconds"] = round(time.process_time() - worked, 1)  # what it cost, whatever else the machine does
    (out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    show(result)
    if as_json:
        print(json.dumps(result))  # noqa: T201
    return 0


def measure(models: dict[str, Path], cases: int) -> dict[str, Any]:
    """Every model's figures with intervals, and `nearest` against each baseline, case by case."""
    found = told.measure(
        {name: open_model(path) for name, path in models.items()}, AskConfig(scenes=2, rules=RULES), cases, SAMPLING
    )
    result: dict[str, Any] = {"cases": cases, "figures": {}, "better_than": {}}
    for name, figures in found.items():
        result["figures"][name] = {
            figure: estimate([v for values in by_story.values() for v in values]).plain()
            for figure, by_story in figures.items()
        }
        pairs = {base: paired(figures[base], figures["nearest"]) for base in told.BASELINES}
        result["better_than"][name] = {base: pair.plain() for base, pair in pairs.items() if pair is not None}
    return result


def show(result: dict[str, Any]) -> None:
    for name, figures in result["figures"].items():
        for figure, f in figures.items():
            log.info("%s %s: %.2f [%.2f, %.2f]", name, figure, *(f[k] for k in ("mean", "low", "high")))
    for name, bases in result["better_than"].items():
        for base, f in bases.items():
            log.info("%s - %s: %.2f [%.2f, %.2f]", name, base, *(f[k] for k in ("difference", "low", "high")))
    times = (result["cases"], result["seconds"], result["cpu_seconds"])
    log.info("%d cases, %.0f seconds, %.0f of a processor", *times)
