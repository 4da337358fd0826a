"""What a reader says by itself comes next, in stories it was trained on: where it errs, it can be taught.

python -m training.own_words FILE --checkpoint MODEL [--stories POOL] [--moments 2000] [--seed 0]

Half of the moments are such at which a held-out composition could follow: there it errs most. What it tells of held-out
compositions is left out, so that it is neither shown nor denied. A line is a story's number in the pool, the moment,
the words, and whether they may follow. As `training.own_errors` for pictures (DAgger, Ross et al. 2011).
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from nsp_core.errors import ConfigError
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import Manner, write_several
from training.picturebook.parse import parse
from training.picturebook.rules import is_enabled
from training.picturebook.scenes import Story
from training.picturebook.splits import is_train
from training.reader_data import Moment, ends_of, pictures, sample
from training.stories import read_pool

SAMPLES = 4  # of a moment, one of them the likeliest


@dataclass(frozen=True)
class OwnWords:
    story: int
    at: int
    words: str
    right: bool


def told(pipeline: Any, stories: Sequence[Story], moments: int, seed: int = 0) -> Iterator[OwnWords]:
    """The same again for the same model, stories and seed."""
    rng = Random(f"own words {seed}")
    for number in range(moments):
        moment, index = None, 0
        while moment is None or moment.is_closed != bool(number % 2):
            index = rng.randrange(len(stories))
            if stories[index].events:
                moment = Moment(stories[index], rng.randrange(len(stories[index].events)))
        yield from spoken(pipeline, moment, index, rng)


def spoken(pipeline: Any, moment: Moment, index: int, rng: Random) -> Iterator[OwnWords]:
    asked = sample(moment, "next", rng, frames=False).prompt
    prompt = Prompt(asked.text, (pictures(*ends_of(moment)),))
    manners = [Manner(), *(Manner(rng.getrandbits(30), 1.0) for _ in range(SAMPLES - 1))]
    found = write_several(pipeline.vision_language, pipeline.processor, prompt, manners)
    for words in dict.fromkeys(one.text for one in found):
        event = parse(words)
        if event is not None and is_train(moment.world, event):
            yield OwnWords(index, moment.at, words, is_enabled(moment.world, event))


def save(rows: Sequence[OwnWords], path: Path) -> None:
    part = path.with_suffix(".partial")
    part.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
    os.replace(part, path)


def read(path: Path, stories: Sequence[Story]) -> list[OwnWords]:
    """Raises ConfigError when the file is not one of `save`'s, or was not made from `stories`."""
    try:
        rows = [OwnWords(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{path} holds no reader's own words: make it with python -m training.own_words.") from error
    if not rows or any(row.story >= len(stories) or row.at >= len(stories[row.story].events) for row in rows):
        raise ConfigError(f"{path} was made from other stories: make it anew with --stories as in this config.")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--stories", type=Path, default=Path.home() / ".cache/whatnext/training/stories.jsonl")
    parser.add_argument("--moments", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    from nsp_core.pipeline import NextScenePipeline

    model = NextScenePipeline.from_pretrained(args.checkpoint)
    save(list(told(model, read_pool(args.stories), args.moments, args.seed)), args.out)
