"""Six beginnings, gently moving, for the page and the tests: python -m training.picturebook.examples assets/examples"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image

from training.picturebook.draw import clip
from training.picturebook.words import describe
from training.picturebook.world import Thing, World

BEGINNINGS: tuple[tuple[str, World], ...] = (
    (
        "A seed in the rain",
        World("meadow", "day", "rain", (Thing(0, "plant", "seed", "red"), Thing(2, "house", "dark", "blue"))),
    ),
    (
        "An egg in the sun",
        World("shore", "day", "clear", (Thing(0, "bird", "egg", "yellow"), Thing(2, "plant", "seed", "purple"))),
    ),
    (
        "A balloon and a candle",
        World(
            "shore",
            "day",
            "clear",
            (Thing(0, "balloon", "floating", "purple"), Thing(1, "candle", "lit"), Thing(2, "cat", "asleep")),
        ),
    ),
    ("A bear in the snow", World("mountain", "day", "snow", (Thing(0, "bear", "awake"), Thing(1, "puddle", "water")))),
    (
        "Wind and a tower",
        World("meadow", "day", "wind", (Thing(0, "ball", "resting", "yellow"), Thing(1, "blocks", "tower", "blue"))),
    ),
    (
        "A house at night",
        World("shore", "night", "clear", (Thing(0, "house", "dark", "red"), Thing(1, "cat", "awake"))),
    ),
)


def make_examples(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    entries = []
    for title, world in BEGINNINGS:
        name = title.lower().replace(" ", "-") + ".webp"
        frames = [Image.fromarray(f) for f in clip(world, None, world)]
        options = {"duration": 125, "loop": 0, "lossless": True, "method": 6}
        frames[0].save(out / name, save_all=True, append_images=frames[1:], **options)
        entries.append({"title": title, "words": describe(world), "image": name})
    (out / "examples.json").write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    make_examples(parser.parse_args().out)
