"""The model's own errors, to be shown to it again: what its clips add to the latents that the next scene builds upon.

python -m training.own_errors OUT --checkpoint MODEL --stories FILE [--n 120] [--depth 3] [--seed 0]

A transformer that learned from the renderer's pictures alone has never seen what it draws itself. It keeps every speck
of its last clip, adds new ones, and after four scenes the sky is dirt. Here stories are drawn scene after scene and
each clip is held against the truth; stage `generator` adds such errors to the pictures that it continues from
(`errors`, `flow.error_share`), so that it learns to clean up. This is error recycling as in Stable Video Infinity
(arXiv 2510.09212), itself a form of DAgger (Ross et al. 2011).

An error is a pair, because the two are seen together: `heads` of the last frame's latent, which the transformer sees,
`tails` of the clip's last latent, to which its residual is added. Where a cell is off by more than dirt, the clip shows
something else there (another colour, nothing at all): that is to be kept as it is, and counts as no error.

Errors that are added to any picture teach that whatever is faint is dirt, and things that have begun to fade are wiped
away. So every error is kept with its own scene, too (`OwnRows`): what could happen next there and nothing at all, each
with its true clip, which begins with the thing as it was (`flow.own_share`).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import fields
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from nsp_core.errors import UserError
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import NextScene, SamplingOptions, Scene, SceneRequest, StoryContext
from training.generator import RULE_NUMBERS, read_queries
from training.picturebook.rules import enabled, step
from training.picturebook.scenes import Story
from training.picturebook.splits import is_train
from training.picturebook.words import TRAIN_VARIANTS, describe, tell
from training.recycling import OwnErrors, OwnRows
from training.stories import read_pool

log = logging.getLogger(__name__)
DIRT = 0.6  # mean absolute difference over channels, in standard deviations of the latents


def make(
    pipeline: NextScenePipeline, stories: list[Story], depth: int, seed: int = 0, steps: int | None = None
) -> OwnErrors:
    """Draws the first `depth` scenes of every story, each after the model's own one before."""
    from training.picturebook.draw import clip

    heads, tails = [], []
    rows: list[dict[str, Tensor]] = []
    for number, story in enumerate(stories):
        start = clip(story.worlds[0], None, story.worlds[0])
        context = StoryContext((Scene(describe(story.worlds[0]), start),))
        for at, event in enumerate(story.events[:depth]):
            words = tell(event, story.worlds[at])
            options = SamplingOptions(steps=steps, seed=seed + 1000 * at + number, preview_every=0)
            drawn = [x for x in pipeline.act(SceneRequest(context, words, "continue", options)) if _is_scene(x)][-1]
            assert isinstance(drawn, NextScene)
            truth = clip(story.worlds[at], event, story.worlds[at + 1])
            head, tail = error_of(pipeline, drawn, truth)
            heads.append(head)
            tails.append(tail)
            context = StoryContext((*context.scenes, Scene(words, drawn.frames, drawn.latents)))
            rows += rows_after(pipeline, context, story, at, truth, len(heads) - 1)
        if (number + 1) % 10 == 0:
            log.info("%d of %d stories", number + 1, len(stories))
    own = OwnRows(**{f.name: torch.stack([row[f.name] for row in rows]) for f in fields(OwnRows)})
    return OwnErrors(torch.stack(heads), torch.stack(tails), own)


@torch.no_grad()
def rows_after(
    pipeline: NextScenePipeline, context: StoryContext, story: Story, at: int, truth: np.ndarray, number: int
) -> list[dict[str, Tensor]]:
    """Two events that may happen after the clip just drawn, the story's own first, and nothing at all."""
    from training.picturebook.draw import clip

    now, rng = story.worlds[at + 1], Random(f"{at}/{number}")
    others = [event for event in enabled(now) if is_train(now, event)]
    rng.shuffle(others)
    known = [story.events[at + 1]] if at + 1 < len(story.events) else []
    events = list(dict.fromkeys([*known, *others]))[:2]
    model, processor, queries = pipeline.vision_language, pipeline.processor, pipeline.connector.queries
    tail = pipeline.encode(truth)[0, :, -1].bfloat16()
    rows = []
    for event in (*events, None):
        variant = rng.choice(TRAIN_VARIANTS)
        words = tell(event, now, variant) if event else describe(now, variant)
        comes = clip(now, event, step(now, event) if event else now)
        rows.append(
            {
                "latents": pipeline.encode(comes)[0].bfloat16(),
                "tails": tail,
                "conditions": read_queries(model, processor, queries, [pipeline.prompt_to_draw(context, words)])[
                    0
                ].bfloat16(),
                "labels": torch.tensor(RULE_NUMBERS[event.rule] if event else len(RULE_NUMBERS)),
                "of": torch.tensor(number),
            }
        )
    return rows


def _is_scene(value: object) -> bool:
    return isinstance(value, NextScene)


@torch.no_grad()
def error_of(pipeline: NextScenePipeline, drawn: NextScene, truth: np.ndarray) -> tuple[Tensor, Tensor]:
    """-> of the last frame's latent and of the clip's last latent, each (C, h, w), zero where more than dirt is off."""
    head = (pipeline.encode(drawn.frames[-1:]) - pipeline.encode(truth[-1:]))[0, :, 0]
    tail = torch.from_numpy(drawn.latents)[:, -1] - pipeline.encode(truth)[0, :, -1]
    dirt = torch.maximum(head.abs().mean(0), tail.abs().mean(0)) < DIRT
    return head * dirt, tail * dirt


def tensors_of(errors: OwnErrors) -> dict[str, Tensor]:
    """What the file holds."""
    rows = {f"row_{f.name}": getattr(errors.rows, f.name) for f in fields(OwnRows)} if errors.rows else {}
    return {n: t.contiguous() for n, t in {"heads": errors.heads, "tails": errors.tails, **rows}.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a model folder, as training.export writes it")
    parser.add_argument("--stories", type=Path, default=Path.home() / ".cache/whatnext/training/stories.jsonl")
    parser.add_argument("--n", type=int, default=120, help="stories")
    parser.add_argument("--depth", type=int, default=3, help="scenes of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="of drawing (default: what the model recommends)")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        if args.n < 1 or args.depth < 1:
            raise UserError(f"--n and --depth must be 1 or more, got {args.n} and {args.depth}.")
        if not args.stories.is_file():
            raise UserError(f"There are no stories in {args.stories}: make them with python -m training.stories.")
        pool = [s for s in read_pool(args.stories, 4 * args.n) if len(s.events) >= args.depth][-args.n :]
        errors = make(NextScenePipeline.from_pretrained(args.checkpoint), pool, args.depth, args.seed, args.steps)
    except UserError as error:
        raise SystemExit(str(error)) from error
    part = args.out.with_name(f".{args.out.name}.partial")
    save_file(tensors_of(errors), part)
    os.replace(part, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
