"""How far the starter's own opinion of a scene agrees with the exact judge: Cohen's kappa over right, wrong, repeated
and shuffled scenes of held-out stories. What the page may show of that opinion is decided by this figure.

python -m training.evaluate.opinion_check [--stories 40] [--seed 0] [--model FOLDER] [--json]

Knows nothing of pages. A verdict that is missing on either side is counted apart.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from nsp_core.judges import CausalJudge
from nsp_core.types import Scene, StoryContext
from training.evaluate.agreement import kappa, kappa_interval
from training.evaluate.cases import Case, case
from training.picturebook.draw import clip
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import idle
from training.picturebook.rules import enabled, step
from training.picturebook.words import HELD_OUT_VARIANTS, tell

KINDS = ("right", "wrong", "repeated", "shuffled")
STARTER = Path(__file__).resolve().parents[2] / "assets" / "starter"


@dataclass
class Agreement:
    """Pairs of verdicts (own, exact), each pass or fail; `said[kind]` counts the own ones."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    stories: list[int] = field(default_factory=list)  # of each pair
    said: dict[str, Counter[str]] = field(default_factory=dict)
    exact: dict[str, Counter[str]] = field(default_factory=dict)
    missing: int = 0

    def add(self, kind: str, own: str, exact: str, story: int) -> None:
        self.said.setdefault(kind, Counter())[own] += 1
        self.exact.setdefault(kind, Counter())[exact] += 1
        if "missing" in (own, exact):
            self.missing += 1
        else:
            self.pairs.append((own, exact))
            self.stories.append(story)

    @property
    def kappa(self) -> float | None:
        """Agreement beyond chance; None when one side always says the same and chance explains it all."""
        return kappa(self.pairs)

    def interval(self, seed: int = 0) -> tuple[float | None, float | None]:
        """The middle 95% of kappas of whole stories drawn again: what is asked of one story is not independent."""
        found = kappa_interval(self.pairs, self.stories, seed)
        return found.low, found.high


def candidates(seed: int, stories: int) -> Iterator[tuple[str, Case, Scene]]:
    """One scene of each kind for each held-out story; a story in which nothing else can happen has no wrong one."""
    for number in range(stories):
        told = case(seed, number)
        rng = Random(f"opinion {seed}/{number}")
        words = tell(told.event, told.before, rng.choice(HELD_OUT_VARIANTS))
        right = Scene(words, clip(told.before, told.event, told.after))
        yield "right", told, right
        seen = (told.before.seen(), told.after.seen())
        others = [e for e in enabled(told.before) if step(told.before, e).seen() not in seen]
        if others:
            other = rng.choice(others)
            yield "wrong", told, replace(right, frames=clip(told.before, other, step(told.before, other)))
        yield "repeated", told, Scene(told.context.scenes[-1].words, np.array(idle(told.before.seen())))
        away = case(seed, stories + number)
        strange = tell(away.event, away.before, rng.choice(HELD_OUT_VARIANTS))
        yield "shuffled", told, Scene(strange, clip(away.before, away.event, away.after))


def check(own: CausalJudge, stories: int, *, seed: int = 0) -> Agreement:
    exact = ExactJudge()
    found = Agreement()
    for kind, told, scene in candidates(seed, stories):
        context: StoryContext = told.context
        found.add(kind, own.judge(context, scene).outcome, exact.judge(context, scene).outcome, told.number)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", type=Path, default=STARTER)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    from nsp_core.pipeline import NextScenePipeline

    model: Any = NextScenePipeline.from_pretrained(args.model)
    found = check(model, args.stories, seed=args.seed)
    if not args.json:
        for kind in found.said:
            print(f"{kind:9} own {dict(found.said[kind])}, exact {dict(found.exact[kind])}")  # noqa: T201
    low, high = found.interval(args.seed)
    answer = {"model": model.fingerprint, "kappa": found.kappa, "low": low, "high": high, "n": len(found.pairs)}
    print(json.dumps({**answer, "missing": found.missing, "seed": args.seed}))  # noqa: T201


if __name__ == "__main__":
    main()
