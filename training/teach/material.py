"""What a lesson learns from: its clips as a pack, and the stage's config for them.

The pack holds each clip with the words that hold now, names put in; a pair is a clip after its own first picture, after
the part of the shot before it, or after the shot before it. Knows nothing of models' insides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training import config as configs
from training.adapt.stage import AdaptConfig
from training.data import published
from training.data.pack import pack
from training.data.pairs import openings, shot_pairs
from training.data.rows import Row
from training.pretrain import examples
from training.pretrain.examples import ExampleConfig
from training.teach.base import Base
from training.teach.lesson import Clip, Lesson
from training.teach.names import with_names
from training.teach.prepare import PAIRS, check_enough, config_of, rows_of

RECIPE = Path(__file__).resolve().parents[1] / "configs" / "starter" / "adapt.yaml"
APART = "apart"  # the group of clips that are never learnt from
TURNS = 2  # each clip is learnt from as it is, and in a mirror


@dataclass(frozen=True)
class Material:
    """Counts of what is learnt from, and of what is kept apart to look at."""

    pairs: int
    pictures: int
    held_out_pairs: int
    held_out_pictures: int
    words: tuple[str, ...]  # that the model's language lacks


def gather(lesson: Lesson, base: Base) -> Material:
    """Write the lesson's pack. Raises UserError when there is too little."""
    check_enough(lesson)
    clips, names = lesson.clips(), lesson.names()
    words = {clip.id: with_names(clip.caption, names) for clip in clips if clip.usable}
    apart = kept_apart(clips)
    rows = [
        row.with_values({"caption": words[row.id], "group": APART if row.id in apart else "learnt"})
        for row in rows_of(lesson)
        if row.id in words
    ]
    pairs = [pair for pair in [*openings(rows), *shot_pairs(rows, PAIRS)] if same_side(pair, apart)]
    pack(rows, pairs, config_of(lesson.folder, base, "none"), lesson.data, {APART})
    published.tar_members.cache_clear()
    examples.real_rows.cache_clear()

    pictures = [row.id for row in rows if row.values["kind"] == "image"]
    after = [pair.parent for pair in pairs]
    lacking = base.language.unknown(" ".join(words.values())) if base.language else ()
    return Material(
        pairs=sum(id not in apart for id in after),
        pictures=sum(id not in apart for id in pictures),
        held_out_pairs=sum(id in apart for id in after),
        held_out_pictures=sum(id in apart for id in pictures),
        words=lacking,
    )


def kept_apart(clips: list[Clip]) -> set[str]:
    """Ids that are never learnt from. Where every clip that was meant for that has been taken out, the last that can be
    spared takes its place."""
    usable = [clip for clip in clips if clip.usable]
    apart = {clip.id for clip in usable if clip.held_out}
    return apart or {usable[-1].id}


def same_side(pair: Row, apart: set[str]) -> bool:
    return (pair.parent in apart) == (pair.values["before"] in apart)


def between_looks(steps: int) -> int:
    """Steps from one look at the held-out clips to the next."""
    return max(5, steps // 12)


def stage_config(lesson: Lesson, base: Base, found: Material, steps: int, device: str = "cpu") -> AdaptConfig:
    """The recipe of configs/starter/adapt.yaml for these clips. A model without a drawn world of its own has none that
    could be kept in mind."""
    place = lesson.data / "pack"
    recipe: AdaptConfig = configs.load(AdaptConfig, RECIPE, [])
    # nobody looks at the old world while it learns: `proof` and `eval` do that
    prior: dict[str, Any] = {"prior": replace(recipe.prior, held_out=0, pairs=min(recipe.prior.pairs, steps))}
    if base.language is None:
        prior = {"prior": ExampleConfig(), "prior_share": 0.0}
    own = ExampleConfig(
        images=TURNS * found.pictures,
        pairs=TURNS * found.pairs,
        mirrored=True,
        held_out=max(found.held_out_pairs, found.held_out_pictures),
        pair_sources=(f"pack_pairs:{place}",) if found.pairs or found.held_out_pairs else (),
        image_sources=(f"pack_images:{place}",) if found.pictures or found.held_out_pictures else (),
    )
    loop = replace(
        recipe.loop,
        steps=steps,
        eval_every=between_looks(steps),
        log_every=max(1, min(10, steps // 20)),
        save_minutes=1.0,
    )
    loop = replace(loop, warmup=min(loop.warmup, max(1, steps // 10)))
    return replace(
        recipe,
        init=base.folder,
        out=lesson.run,
        cache=lesson.run / "cache",
        name=lesson.told().name,
        examples=own,
        loop=loop,
        device=device,
        words=found.words,
        **prior,
    )
