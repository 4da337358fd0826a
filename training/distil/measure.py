"""Do a teacher and its students draw the scene that was described? On held-out compositions of the picture book.

python -m training.distil.measure TEACHER_RUN STUDENT_RUN ... [--n 100] [--out FILE]

right     of the pictures of all that could have happened to the scene before (and of nothing), the described one is
          the nearest to what was drawn; compared only where they differ
place     the same among the pictures of 20 described scenes: is it the right scene at all?
psnr      of what was drawn against the described scene's rendering, in dB

Every model draws the same captions from the same noise, so results can be compared case by case (`eval compare`).
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core import flow
from nsp_core.errors import UserError
from nsp_core.sampler import denoise
from training.distil.stage import image_shape
from training.distil.teacher import DrawConfig, Teacher, open_teacher
from training.evaluate import cases
from training.evaluate.compare import paired
from training.evaluate.intervals import estimate
from training.grpo.asks import HELD_OUT, AskConfig, story_of
from training.models import open_model
from training.picturebook.draw import still
from training.picturebook.rules import step
from training.picturebook.words import describe

log = logging.getLogger(__name__)
FIRST = HELD_OUT + 5000  # others than the stages' own held-out examples
PLACES = 20
Cases = dict[str, dict[str, list[float]]]  # figure -> case -> values
Drawer = Callable[[list[str], int], np.ndarray]  # captions, seed -> frames (B, H, W, 3) uint8


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.distil.measure", description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path, help="a run of stage teacher")
    parser.add_argument("students", type=Path, nargs="*", help="runs that began with it")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if args.n < PLACES:
        raise UserError(f"--n must be {PLACES} or more, got {args.n}.")
    config = DrawConfig(20, args.guidance, 4.0)
    pipeline: Any = open_model(args.teacher)
    drawers: dict[str, Drawer] = {"teacher": teacher_draws(pipeline, open_teacher(args.teacher, pipeline), config)}
    drawers |= {run.name: student_draws(open_model(run), config) for run in args.students}
    found = measure(drawers, world_of(args.teacher), args.n)
    result: dict[str, Any] = {"n": args.n, "guidance": args.guidance, "figures": {}, "against_teacher": {}}
    for name, figures in found.items():
        means = {f: estimate([v for vs in by.values() for v in vs]) for f, by in figures.items()}
        result["figures"][name] = {f: mean.plain() for f, mean in means.items()}
        for figure, f in result["figures"][name].items():
            print(f"{name:12} {figure:6} {f['mean']:7.3f} [{f['low']:.3f}, {f['high']:.3f}]")  # noqa: T201
        if name != "teacher":
            pairs = {f: paired(found["teacher"][f], by) for f, by in figures.items()}
            result["against_teacher"][name] = {f: pair.plain() for f, pair in pairs.items() if pair is not None}
    result["cases"] = found
    if args.out:
        args.out.write_text(json.dumps(result))
    return 0


def world_of(run: Path) -> AskConfig:
    """Scenes of the part of the world that the teacher was taught."""
    taught = json.loads((run / "run.json").read_text())["config"]["examples"]
    return AskConfig(scenes=taught["scenes"], rules=tuple(taught["rules"]), seed=taught["seed"])


def measure(drawers: dict[str, Drawer], world: AskConfig, count: int) -> dict[str, Cases]:
    found: dict[str, Cases] = {name: {} for name in drawers}
    for start in range(FIRST, FIRST + count, PLACES):
        scenes = [scene_of(world, n) for n in range(start, min(start + PLACES, FIRST + count))]
        pictures = np.stack([s[1][0] for s in scenes]).astype(np.float32)
        for name, draw in drawers.items():
            made = draw([s[0] for s in scenes], start).astype(np.float32)
            for i, (_, futures) in enumerate(scenes):
                squared = np.square(pictures - made[i]).mean((1, 2, 3))
                values = {
                    "right": float(nearest(futures, made[i]) == 0),
                    "place": float(squared.argmin() == i),
                    "psnr": float(10 * np.log10(255**2 / max(squared[i], 1e-6))),
                }
                for figure, value in values.items():
                    found[name].setdefault(figure, {})[str(start + i)] = [value]
        log.info("%d of %d", min(start + PLACES - FIRST, count), count)
    return found


def scene_of(world: AskConfig, number: int) -> tuple[str, np.ndarray]:
    """A caption of what is there after an event, and the pictures (K, H, W, 3) of all that could be: that one first,
    what other events would have led to, and last what was before."""
    one, rng = story_of(world, number)
    before, event = one.worlds[-2], one.events[-1]
    worlds = [step(before, e) for e in cases.futures(before, event)] + [before]
    return describe(worlds[0], rng), np.stack([still(w) for w in worlds])


def nearest(futures: np.ndarray, frame: np.ndarray) -> int:
    differ = np.ptp(futures.astype(np.float32), axis=0).max(-1) > 24
    if not differ.any():
        return 0
    return int(np.square(futures.astype(np.float32) - frame)[:, differ].mean((1, 2)).argmin())


def teacher_draws(pipeline: Any, teacher: Teacher, config: DrawConfig) -> Drawer:
    def draw(captions: list[str], seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        return decode(pipeline, teacher.draw(captions, image_shape(pipeline), config, generator))

    return draw


def student_draws(pipeline: Any, config: DrawConfig) -> Drawer:
    """Through the pipeline's own steps: prompt, reader, connector, guided velocity."""
    from nsp_core.model.vision_language import Prompt

    @torch.no_grad()
    def draw(captions: list[str], seed: int) -> np.ndarray:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn((len(captions), *image_shape(pipeline)), generator=generator)
        made = []
        for caption, noise in zip(captions, x, strict=True):
            told = pipeline.read(Prompt(pipeline.dialect.draw.format(words=caption)))
            conditions = (told, pipeline.null_condition())

            def velocity(x: Tensor, sigma: float, given: Any = conditions) -> Tensor:
                return pipeline.velocity(x, sigma, given, None, config.guidance)

            for last in denoise(velocity, noise[None], flow.sigma_schedule(config.steps, config.shift)):  # noqa: B007
                pass
            made.append(last.x)
        return decode(pipeline, torch.cat(made))

    return draw


@torch.no_grad()
def decode(pipeline: Any, latents: Tensor) -> np.ndarray:
    """(B, C, 1, h, w) -> (B, H, W, 3) uint8."""
    return np.concatenate([pipeline.decode(one[None]) for one in latents])


if __name__ == "__main__":
    sys.exit(main())
