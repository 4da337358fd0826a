"""Do a teacher and its students draw the scene that was described? On held-out compositions of the picture book.

python -m training.distil.measure TEACHER_RUN STUDENT_RUN ... [--n 100] [--out FOLDER]

right     of the pictures of all that could have happened to the scene before (and of nothing), the described one is
          the nearest to what was drawn; compared only where they differ
place     the same among the pictures of 20 described scenes: is it the right scene at all?
psnr      of what was drawn against the described scene's rendering, in dB

Every model draws the same captions from the same noise. FOLDER gets a file a model, which `eval compare` reads.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nsp_core import flow
from nsp_core.errors import CheckpointMismatch, UserError
from nsp_core.sampler import denoise
from training.distil.stage import image_shape
from training.distil.teacher import DrawConfig, Teacher, open_teacher
from training.evaluate import cases
from training.evaluate.compare import paired, table
from training.evaluate.intervals import estimate
from training.grpo.asks import HELD_OUT, AskConfig, story_of
from training.models import open_model
from training.picturebook.draw import still
from training.picturebook.rules import step
from training.picturebook.words import describe
from training.run import commit

log = logging.getLogger(__name__)
FIRST = HELD_OUT + 5000  # others than the stages' own held-out examples
PLACES = 20
NOISES = 10**7  # between the noise of one seed and of the next
Cases = dict[str, dict[str, list[float]]]  # figure -> case -> values
Drawer = Callable[[list[str], int], np.ndarray]  # captions, seed -> frames (B, H, W, 3) uint8


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.distil.measure", description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path, help="a run of stage teacher")
    parser.add_argument("students", type=Path, nargs="*", help="runs that began with it")
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the noise; the scenes are always the same")
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="a file a model with its single cases")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return report(args)
    except (UserError, CheckpointMismatch) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2


def report(args: argparse.Namespace) -> int:
    if args.n < 1:
        raise UserError(f"--n must be 1 or more, got {args.n}.")
    world, config = world_of(args.teacher), DrawConfig(20, args.guidance, 4.0)
    first, *others = names_of([args.teacher, *args.students])
    pipeline: Any = open_model(args.teacher)
    drawers: dict[str, Drawer] = {first: teacher_draws(pipeline, open_teacher(args.teacher, pipeline), config)}
    drawers |= {n: student_draws(open_model(run), config) for n, run in zip(others, args.students, strict=True)}
    found = measure(drawers, world, args.n, args.seed)
    about = {"split": f"held_out of {asdict(world)}", "n": args.n, "seed": args.seed, "guidance": args.guidance}
    for name, figures in found.items():
        means = {f: estimate([v for vs in by.values() for v in vs]).plain() for f, by in figures.items()}
        for figure, f in means.items():
            print(f"{name:12} {figure:6} {f['mean']:7.3f} [{f['low']:.3f}, {f['high']:.3f}]  n={f['n']}")  # noqa: T201
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            told = {"result": {**about, **means}, "cases": figures, "command": sys.argv, "commit": commit()}
            (args.out / f"{name}.json").write_text(json.dumps(told))
    for name in others:
        pairs = {f: paired(found[first][f], by) for f, by in found[name].items()}
        figures = {f: pair.plain() for f, pair in pairs.items() if pair is not None}
        print(table({"a": first, "b": name, "figures": figures}))  # noqa: T201
    return 0


def names_of(runs: Sequence[Path]) -> list[str]:
    """A run's folder's name, with as many of the folders around it as tell it from the others."""
    parts = [run.resolve().parts[1:] for run in runs]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["-".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    raise UserError("One run was named twice; name every run once.")


def world_of(run: Path) -> AskConfig:
    """Scenes of the part of the world that the teacher was taught. Raises UserError for what is no such run."""
    try:
        taught = json.loads((run / "run.json").read_text())["config"]["examples"]
        return AskConfig(scenes=taught["scenes"], rules=tuple(taught["rules"]), seed=taught["seed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run} is no run of stage teacher (its run.json: {error}); give that stage's out=.") from error


def measure(drawers: dict[str, Drawer], world: AskConfig, count: int, seed: int = 0) -> dict[str, Cases]:
    found: dict[str, Cases] = {name: {} for name in drawers}
    for start in range(FIRST, FIRST + count, PLACES):
        scenes = [scene_of(world, n) for n in range(start, start + PLACES)]
        asked = scenes[: FIRST + count - start]  # of the last ones maybe a few; their place is among as many
        pictures = np.stack([s[1][0] for s in scenes]).astype(np.float32)
        for name, draw in drawers.items():
            made = draw([s[0] for s in asked], seed * NOISES + start).astype(np.float32)
            for i, (_, futures) in enumerate(asked):
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
