"""A pool of stories on disk: made once, in parallel, read by the reader's and the generator's training.

python -m training.stories OUT --stories 8000 --seed 1

One JSON line a story. Stories of the training pool hold training compositions only (`splits.split_of`). A person may
describe a beginning that no story would come to, a bear between two apples: `--anywhere .33` makes a third of them
short ones that begin with any things at all.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from training.picturebook.pool import random_world
from training.picturebook.scenes import Story, story
from training.picturebook.splits import is_train
from training.picturebook.world import COLOUR_HIDDEN, Event, Fact, Thing, World

SHORT = (2, 4)  # scenes of a story that begins anywhere: most of its moments are near its beginning


def make_story(index: int, seed: int, scenes: int, held_out: bool, anywhere: float = 0.0) -> Story:
    """Story `index` of pool `seed`: the same on every machine."""
    rng = Random(f"{seed}/{index}")
    allowed = None if held_out else is_train
    if anywhere and rng.random() < anywhere:
        return story(rng, rng.randint(*SHORT), start=any_world(rng), allowed=allowed)
    return story(rng, scenes, allowed=allowed)


def any_world(rng: Random) -> World:
    """Any things anywhere, one at least; no sprout and no chick, whose colour nobody could know."""
    while True:
        world = random_world(np.random.default_rng(rng.getrandbits(32)))
        if world.things and all((thing.kind, thing.state) not in COLOUR_HIDDEN for thing in world.things):
            return world


def make_pool(
    out: Path,
    count: int,
    seed: int,
    *,
    scenes: int = 12,
    held_out: bool = False,
    anywhere: float = 0.0,
    workers: int = 2,
) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(out.suffix + ".partial")
    make = partial(make_story, seed=seed, scenes=scenes, held_out=held_out, anywhere=anywhere)
    with ProcessPoolExecutor(workers) as pool, part.open("w") as lines:
        for one in pool.map(make, range(count), chunksize=50):
            lines.write(json.dumps(asdict(one), separators=(",", ":")) + "\n")
    os.replace(part, out)


def read_pool(path: Path, limit: int | None = None) -> list[Story]:
    stories = []
    with path.open() as lines:
        for i, line in enumerate(lines):
            if limit is not None and i >= limit:
                break
            stories.append(_story(json.loads(line)))
    return stories


def _story(value: dict[str, Any]) -> Story:
    return Story(tuple(_world(w) for w in value["worlds"]), tuple(Event(**e) for e in value["events"]))


def _world(value: dict[str, Any]) -> World:
    things = tuple(Thing(**t) for t in value.pop("things"))
    facts = tuple(Fact(**f) for f in value.pop("facts"))
    return World(**value, things=things, facts=facts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--stories", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--held-out", action="store_true", help="all compositions, for evaluation")
    parser.add_argument("--anywhere", type=float, default=0.0, help="share of short ones that begin with any things")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    options = {"held_out": args.held_out, "anywhere": args.anywhere, "workers": args.workers}
    make_pool(args.out.expanduser(), args.stories, args.seed, **options)
