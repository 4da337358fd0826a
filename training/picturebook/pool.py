"""A pool of rendered clips on disk for the autoencoder: every sprite in every colour, place and light, evenly.

python -m training.picturebook.pool OUT --clips 3000 [--seed 1] [--pack-share 0.1]

Not stories: worlds and changes are drawn at random so that rare things are seen as often as common ones. Written as
`frames.npy` (N, 17, 96, 160, 3) uint8 and `masks.npy` (N, 17, 96, 20) packed bits, `.partial` until whole.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from training.picturebook.draw import clip, masks
from training.picturebook.rules import enabled, step
from training.picturebook.world import COLOURED, COLOURS, LIGHTS, PLACES, STATES, Thing, World

RULE_SHARE = 0.25  # clips that show a rule with its own motion; the others are any change at all
SPRITES = tuple((k, s) for k, states in STATES.items() for s in states)
WEATHERS_OF = {
    "meadow": ("clear", "rain", "wind"),
    "shore": ("clear", "rain", "wind"),
    "mountain": ("clear", "snow", "wind"),
}


def random_thing(rng: np.random.Generator, slot: int) -> Thing:
    kind, state = SPRITES[rng.integers(len(SPRITES))]
    return Thing(slot, kind, state, COLOURS[rng.integers(len(COLOURS))] if kind in COLOURED else None)


def random_world(rng: np.random.Generator) -> World:
    """Any place, light, weather and things, whether or not a story would put them together."""
    place = PLACES[rng.integers(len(PLACES))]
    things = tuple(random_thing(rng, slot) for slot in range(3) if rng.random() < 0.75)
    weather = WEATHERS_OF[place][rng.integers(3)]
    return World(place, LIGHTS[rng.integers(2)], weather, things)


def random_change(rng: np.random.Generator, world: World) -> World:
    """The world after one change: a thing comes, goes or changes, the light or the weather turns, or nothing."""
    roll = rng.random()
    slot = int(rng.integers(3))
    if roll < 0.15:
        return world
    if roll < 0.25:
        return replace(world, light="night" if world.light == "day" else "day")
    if roll < 0.35:
        return replace(world, weather=WEATHERS_OF[world.place][rng.integers(3)])
    if roll < 0.5 and world.at(slot):
        return world.without(slot)
    there = world.at(slot)
    if there and rng.random() < 0.7:  # another state of the same thing
        states = STATES[there.kind]
        return world.put(replace(there, state=states[rng.integers(len(states))]))
    return world.put(random_thing(rng, slot))


def draw_some(rows: range, parts: tuple[Path, Path], seed: int, pack_share: float) -> None:
    frames, things = (np.load(p, mmap_mode="r+") for p in parts)
    for i in rows:
        rng = np.random.default_rng((seed, i))
        before = random_world(rng)
        events = enabled(before) if rng.random() < RULE_SHARE else ()
        event = events[rng.integers(len(events))] if events else None
        after = step(before, event) if event else random_change(rng, before)
        style = "space" if rng.random() < pack_share else "house"
        frames[i] = clip(before, event, after, style=style)
        things[i] = np.packbits(masks(before, event, after, style=style), axis=-1)
    frames.flush()
    things.flush()


def make_pool(out: Path, clips: int, seed: int, pack_share: float, workers: int = 2) -> None:
    out.mkdir(parents=True, exist_ok=True)
    parts = (out / "frames.npy.partial", out / "masks.npy.partial")
    np.lib.format.open_memmap(parts[0], "w+", np.uint8, (clips, 17, 96, 160, 3)).flush()
    np.lib.format.open_memmap(parts[1], "w+", np.uint8, (clips, 17, 96, 20)).flush()
    chunks = [range(i, min(i + 100, clips)) for i in range(0, clips, 100)]
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(partial(draw_some, parts=parts, seed=seed, pack_share=pack_share), chunks))
    for part in parts:
        os.replace(part, part.with_suffix(""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pack-share", type=float, default=0.1)
    args = parser.parse_args()
    make_pool(args.out.expanduser(), args.clips, args.seed, args.pack_share)
