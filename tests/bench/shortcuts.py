"""Times the shortcuts (nsp_core.shortcuts) in a process of its own, and says what they change: `python -m
tests.bench.shortcuts` prints one JSON object as its last line.

A scene that goes on, drawn from the same noise with and without, in turns. The change is of the finished frames, in dB
(PSNR), the median over scenes; two exact takes of other seeds stand beside it, so that the number has a measure.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core.shortcuts import SHORTCUTS
from nsp_core.types import Frames, NextScene, SamplingOptions, SceneRequest, StoryContext
from tests.bench.model import THREADS, beginning, load, paired_ratio

BAR = 0.5  # at least twice as fast


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.shortcuts")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args(argv)

    import torch

    torch.set_num_threads(THREADS)
    pipeline, name = load(arguments.model)
    steps = int(pipeline.config.sampling["continue"]["steps"])
    print(json.dumps({"model": name, "steps": steps, **measure(pipeline, arguments.rounds)}))
    return 0


def measure(pipeline: Any, rounds: int) -> dict[str, Any]:
    """Seconds of each scene by shortcut, "" for none, and dB against the exact frames, "another seed" beside them."""
    examples = pipeline.language.examples if pipeline.language else ("A red ball rolls.", "It rains.")
    seconds: dict[str, list[float]] = {name: [] for name in ("", *SHORTCUTS)}
    kept: dict[str, list[float]] = {name: [] for name in (*SHORTCUTS, "another seed")}
    for number in range(rounds + 1):  # the first one warms up
        story = beginning(pipeline, examples[number % len(examples)])
        words = examples[(number + 1) % len(examples)]
        drawn: dict[str, NextScene] = {}
        order = list(seconds) if number % 2 else list(seconds)[::-1]
        for name in order:
            drawn[name] = draw(pipeline, story, words, number, name)
            if number:
                seconds[name].append(drawn[name].seconds)
        drawn["another seed"] = draw(pipeline, story, words, number + 1000, "")
        for name in kept:
            kept[name].append(psnr(drawn[name].frames, drawn[""].frames))
    return {"seconds": seconds, "decibels": {name: statistics.median(some) for name, some in kept.items()}}


def draw(pipeline: Any, story: StoryContext, words: str, seed: int, faster: str) -> NextScene:
    options = SamplingOptions(seed=seed, preview_every=0, faster=faster)
    *_, scene = pipeline.act(SceneRequest(story, words, "continue", options))
    assert isinstance(scene, NextScene)
    return scene


def psnr(one: Frames, other: Frames) -> float:
    """Of 8-bit frames, in dB; 99 for the same ones."""
    off = float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())
    return 99.0 if off == 0 else 10 * float(np.log10(255**2 / off))


def rows(row: Callable[..., dict[str, Any]], timing: dict[str, Any]) -> list[dict[str, Any]]:
    made = []
    for name in SHORTCUTS:
        ratio, noise = paired_ratio(timing["seconds"][name], timing["seconds"][""])
        changed, other = timing["decibels"][name], timing["decibels"]["another seed"]
        what = f"a scene with shortcut {name}, {timing['steps']} steps ({timing['model']}); its frames {changed:.1f} dB"
        made.append(
            {
                **row(f"{what} from the exact ones, where another seed's are {other:.1f} dB", None, "s", bar=BAR),
                "value": round(statistics.median(timing["seconds"][name]), 4),
                "peer": "the same without a shortcut",
                "peer_value": round(statistics.median(timing["seconds"][""]), 4),
                "ratio": round(ratio, 4),
                "ok": ratio <= BAR + noise,
            }
        )
    return made


if __name__ == "__main__":
    sys.exit(main())
