"""`python launch.py train plan --config FILE_OR_FOLDER [--json]`: what a config will cost, before anything is run.

A file is planned alone (its name says the stage: pt2.yaml), a folder in the recipe's order with the sum. Exit code 1:
a process's memory does not suffice, or the hours exceed `plan.hours`.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from training import config
from training.plan.machine import MACHINES
from training.plan.parts import parts_of
from training.plan.plan import Plan, SceneCost, scene
from training.plan.sizes import PAPER, T5_XXL, Parts
from training.plan.stages import plan_of
from training.run import CONFIGS, STAGES, for_stage

TERA = 1e12


def report(path: Path, overrides: list[str], as_json: bool) -> int:
    folder = path if path.is_dir() else path.parent
    wanted = [s for s in STAGES if (folder / f"{s}.yaml").is_file()] if path.is_dir() else [path.stem]
    if not wanted or not set(wanted) <= set(STAGES):
        raise ConfigError(f"{path} names no stage: give STAGE.yaml or a folder of such files ({', '.join(STAGES)}).")
    if not path.exists():
        raise ConfigError(f"There is no file {path}: give one of {CONFIGS} or your own.")
    configs = load_all(folder, overrides, wanted)
    logging.disable(logging.WARNING)  # of classes that are made for their shapes only
    plans = [plan_of(stage, configs) for stage in wanted]
    drawn = None if "generator" in wanted else scenes(parts_of(wanted[-1], configs), configs[wanted[-1]].plan.prompt)
    most = max(configs[stage].plan.hours for stage in wanted)
    print(table(plans, drawn, most))  # noqa: T201
    if as_json:
        print(json.dumps(plain(plans, drawn)))  # noqa: T201
    late = most > 0 and sum(p.hours for p in plans) > most
    return 1 if late or not all(p.fits for p in plans) else 0


def load_all(folder: Path, overrides: list[str], wanted: list[str]) -> dict[str, Any]:
    """Every config of `folder` by its stage: one may begin where another ends. An override without a stage in front is
    for those that are `wanted`."""
    from training.table import STAGES as TABLE

    found = {}
    for stage in (s for s in STAGES if (folder / f"{s}.yaml").is_file()):
        mine = [o for o in overrides if stage in wanted or o.partition(".")[0] in STAGES]
        found[stage] = config.load(TABLE[stage][0], folder / f"{stage}.yaml", for_stage(mine, stage))
    return found


def scenes(parts: Parts, prompt: int) -> dict[str, SceneCost]:
    """What a scene costs afterwards; at the paper's size beside that of the drawer with its own text encoder."""
    found = {"a scene drawn afterwards": scene(parts, prompt=prompt)}
    if parts == PAPER:
        found["the same by LTX with its T5"] = scene(parts, text=T5_XXL)
    return found


def plain(plans: list[Plan], drawn: dict[str, SceneCost] | None) -> dict[str, Any]:
    costs = {what: {"gib": one.gib, "flop": one.flop} for what, one in (drawn or {}).items()}
    return {"plans": [p.plain() for p in plans], "hours": sum(p.hours for p in plans), "scenes": costs}


def table(plans: list[Plan], drawn: dict[str, SceneCost] | None, most: float) -> str:
    lines = []
    for p in plans:
        where = f"{p.processes} x {p.machine}"
        lines.append(f"{p.stage}: {p.steps} steps on {where}, {p.epochs:.1f} times each example")
        read = f", the reader {p.prompts:.3g}" if p.prompts else ""
        lines.append(f"  tokens    {p.tokens:.3g} of latents{read}")
        lines += [f"  {r.flop / TERA:9.3g} TFLOP {p.hours_of(r):7.2f} h  {r.what}" for r in p.rows]
        speed = f"{p.rate * p.processes / TERA:.4g} TFLOP a second"
        lines.append(f"  {p.flop / TERA:9.3g} TFLOP {p.hours:7.2f} h  together, at {speed}")
        lines += [f"  {size:9.2f} GiB  {what}" for what, size in p.memory.items()]
        verdict = "fits" if p.fits else "DOES NOT FIT"
        lines.append(f"  {p.gib:9.2f} GiB  a process, of {MACHINES[p.machine].memory:.0f}: {verdict}")
    total = sum(p.hours for p in plans)
    limit = f", of {most:.0f} at most{': TOO MANY' if total > most else ''}" if most else ""
    lines.append(f"all: {total:.2f} h{limit}")
    for what, one in (drawn or {}).items():
        lines.append(f"{what}, 50 guided steps: {one.flop / TERA:.3g} TFLOP, {one.gib:.3g} GiB")
    return "\n".join(lines)
