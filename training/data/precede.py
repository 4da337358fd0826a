"""Stage precede: what may have happened just before a clip, written from its caption (the paper's Template 11.1).

One stage a round: a clip whose last description passed is left alone, another one gets a new description. A
description that a person wrote stands from the first round on. Knows nothing of verdicts but the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from training.data.caption import ALL, at_once, frames_of
from training.data.config import DataConfig
from training.data.engine import Stage
from training.data.rows import Outcome, Row, digest
from training.data.words import asked_for_words

VERSION = 1


def open_still(row: Row) -> bool:
    return row.values.get("verdict") != "pass"


def precede(rows: Sequence[Row], name: str, rounds: int, number: int, folder: Path) -> list[Outcome]:
    asked = [row for row in rows if not by_hand(row, number)]
    pairs = [(str(row.values["caption"]), frames_of(row, folder) if name == "starter" else None) for row in asked]
    answers = iter(asked_for_words(name, rounds).precede_all(pairs, number) if asked else ())
    found = []
    for row in rows:
        if words := by_hand(row, number):
            found.append(Outcome(values={"preceding": words, "preceded_by": "person", "rounds": number + 1}))
            continue
        answer = next(answers)
        cost = {f"precede_usd_{number}": answer.cost_usd} if answer.cost_usd else {}
        if answer.text is None:
            found.append(Outcome("missing", answer.reason, cost))
        else:
            who = asked_for_words(name, rounds).name
            found.append(Outcome(values={"preceding": answer.text, "preceded_by": who, "rounds": number + 1, **cost}))
    return found


def by_hand(row: Row, number: int) -> str:
    return str(row.values.get("preceding_by_hand") or "") if number == 0 else ""


def stage(config: DataConfig, folder: Path, number: int) -> Stage:
    w = config.words
    return Stage(
        f"precede {number + 1}",
        "clip",
        partial(precede, name=w.writer, rounds=w.rounds, number=number, folder=folder),
        digest("precede", VERSION, w.writer, number),
        cpus=ALL,
        batch_size=at_once(w.writer),
        timeout=config.run.timeout,
        wants=open_still,
    )
