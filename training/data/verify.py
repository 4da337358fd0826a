"""Stage verify: does the clip follow from the description that was written, without repeating it? Up to `words.rounds`
rounds; a description that fails the last one costs the pair, not the clip. A missing verdict is neither pass nor fail:
the pair waits for the next run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from training.data.caption import ALL, at_once, frames_of
from training.data.config import DataConfig
from training.data.engine import Stage
from training.data.precede import open_still
from training.data.rows import Outcome, Row, digest
from training.data.words import asked_for_words

VERSION = 1


def verify(rows: Sequence[Row], name: str, rounds: int, number: int, folder: Path) -> list[Outcome]:
    asked = [
        (
            str(row.values["preceding"]),
            str(row.values["caption"]),
            frames_of(row, folder) if name == "starter" else None,
        )
        for row in rows
    ]
    found = []
    for row, verdict in zip(rows, asked_for_words(name, rounds).judge_all(asked), strict=True):
        values: dict[str, Any] = {f"verify_usd_{number}": verdict.cost_usd} if verdict.cost_usd else {}
        if verdict.outcome == "missing":
            found.append(Outcome("missing", verdict.reason, values))
            continue
        said = {"judge": verdict.judge, "template": verdict.template, "why": verdict.reason, "score": verdict.score}
        values |= {"verdict": verdict.outcome, **said}
        if verdict.outcome == "fail":
            values["refused"] = [*row.values.get("refused", ()), row.values["preceding"]]
        last = verdict.outcome == "fail" and number + 1 >= rounds
        many = "one round" if rounds == 1 else f"{rounds} rounds"
        found.append(
            Outcome("dropped", f"no description of the scene before passed in {many}", values)
            if last
            else Outcome(values=values)
        )
    return found


def stage(config: DataConfig, folder: Path, number: int) -> Stage:
    w = config.words
    return Stage(
        f"verify {number + 1}",
        "clip",
        partial(verify, name=w.judge, rounds=w.rounds, number=number, folder=folder),
        digest("verify", VERSION, w.judge, w.rounds, number),
        cpus=ALL,
        batch_size=at_once(w.judge),
        timeout=config.run.timeout,
        wants=open_still,
    )


def verify_shots(rows: Sequence[Row], name: str, folder: Path) -> list[Outcome]:
    """Pairs of two shots: what fails is no pair."""
    asked = [
        (
            str(row.values["preceding"]),
            str(row.values["caption"]),
            frames_of(row, folder) if name == "starter" else None,
        )
        for row in rows
    ]
    found = []
    for verdict in asked_for_words(name, 1).judge_all(asked):
        values: dict[str, Any] = {"verify_usd": verdict.cost_usd} if verdict.cost_usd else {}
        if verdict.outcome == "missing":
            found.append(Outcome("missing", verdict.reason, values))
            continue
        values |= {"verdict": verdict.outcome, "judge": verdict.judge, "template": verdict.template}
        no = verdict.outcome == "fail"
        found.append(Outcome("dropped" if no else "ok", "the second shot does not follow" if no else "", values))
    return found


def stage_of_pairs(config: DataConfig, folder: Path) -> Stage:
    name = config.words.judge
    return Stage(
        "verify shots",
        "pair",
        partial(verify_shots, name=name, folder=folder),
        digest("verify shots", VERSION, name),
        cpus=ALL,
        batch_size=at_once(name),
        timeout=config.run.timeout,
    )
