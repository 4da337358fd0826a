"""`launch.py export STORY --to mp4|webm|gif|webp|srt|vtt|sheet|book|otio`: the film's part of the command.

The film is the one that was cut on the page, or every scene of the path as it is; options change it for this once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

from app.catalogue import say
from app.progress_bar import ProgressBar
from app.provenance.account import Provenance, provenance_of
from app.reel.cutting import clips_of, cut_of
from app.reel.plan import (
    CaptionLook,
    CaptionMode,
    Card,
    Fit,
    Join,
    Look,
    Narration,
    Plan,
    Shape,
    Shot,
    Size,
    Voice,
    plan_of,
)
from app.reel.render import Progress
from app.reel.taking import Form, signature, take_out
from app.store import Store
from app.store.reels import pieces_folder
from app.story import Scene, Story
from app.terminal import plain, tell


def add_options(parser: argparse.ArgumentParser) -> None:
    film = parser.add_argument_group("films, captions, sheet, book and cut", "The film is as it was cut on the page.")
    film.add_argument("--scene", metavar="ID", help="of the path through this scene (default: looked at last)")
    film.add_argument("--plain", action="store_true", help="every scene as it is, not as it was cut on the page")
    film.add_argument("--join", choices=get_args(Join), help="how scenes follow each other")
    film.add_argument("--join-seconds", type=float, metavar="S", help="how long a dissolve or fade takes")
    film.add_argument("--title-card", metavar="TEXT", help="words before the film")
    film.add_argument("--end-card", metavar="TEXT", help="words after it")
    film.add_argument("--card-look", choices=get_args(Look), help="ground of both cards")
    film.add_argument("--captions", choices=get_args(CaptionMode), help="soft ones can be switched off in a player")
    film.add_argument("--caption-look", choices=get_args(CaptionLook), help="of burned ones")
    film.add_argument("--voice", choices=get_args(Voice), help="who reads the words; README says what server needs")
    film.add_argument("--size", choices=get_args(Size), help="of the shorter side")
    film.add_argument("--shape", choices=get_args(Shape), help="width to height")
    film.add_argument("--fit", choices=get_args(Fit), help="into another shape: on a blurred ground, or cut")


def write_film(store: Store, story: Story, form: Form, arguments: argparse.Namespace) -> dict[str, Any]:
    """What --json prints of it."""
    cut = cut_of(store, None, story.id, arguments.scene)
    plan = changed(Plan(tuple(Shot(one) for one in cut.scenes)) if arguments.plain else cut.plan, arguments)
    clips = clips_of(store, plan, cut.scenes)
    pieces = pieces_folder(store.settings.data_dir, story.id)
    pieces.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ProgressBar(sys.stderr, say("reel.making")) as bar:

        def told(progress: Progress) -> None:
            bar.show(progress.done, progress.total)

        taken = take_out(
            form, plan, clips, arguments.out, pieces=pieces, title=story.title,
            language=say("language.code"), provenance=told_of(store, story, cut.scenes, plan, arguments), told=told,
        )  # fmt: skip
    tell(f"“{plain(story.title)}”, {taken.scenes} scenes, {taken.seconds:.1f} s: {taken.path}")
    if taken.way:
        why = " ".join(say(f"reel.why_{reason}") for reason in taken.reasons)
        tell(say(f"reel.way_{taken.way}", n=taken.encoded + taken.cached) + " " + why)
    if line := signature(taken.json()):
        tell(line)
    return {
        "scenes": taken.scenes,
        "takes": len({clip.path for clip in clips}),
        "files": 1,
        "missing": 0,
        "bytes": taken.bytes,
        "seconds": round(taken.seconds, 3),
        "way": taken.way,
        "why": list(taken.reasons),
        "encoded": taken.encoded,
        "cached": taken.cached,
        "took": round(taken.took, 3),
        "signed_by": taken.signed_by or None,
    }


def told_of(
    store: Store, story: Story, scenes: Mapping[str, Scene], plan: Plan, arguments: argparse.Namespace
) -> Provenance | None:
    """What the file tells of its making; None where that was not wanted."""
    if arguments.without_recipe:
        return None
    shown = [scenes[shot.scene] for shot in plan.shots]
    prompts = True if arguments.with_prompts else None
    return provenance_of(store.settings, store.stories(None), story.id, shown, prompts=prompts)


def changed(plan: Plan, given: argparse.Namespace) -> Plan:
    """The plan with what was said on the command line. Raises UserError when that cannot be."""
    shots = plan.shots
    if given.join:
        shots = tuple(replace(shot, join=given.join) for shot in shots)
    cards: dict[str, Card | None] = {"title": plan.title, "end": plan.end}
    for name, text in (("title", given.title_card), ("end", given.end_card)):
        old = cards[name]
        if text is not None:
            old = replace(old or Card(""), text=text) if text else None
        cards[name] = replace(old, look=given.card_look) if old is not None and given.card_look else old
    captions, output = plan.captions, plan.output
    new = replace(
        plan,
        shots=shots,
        title=cards["title"],
        end=cards["end"],
        join_seconds=given.join_seconds if given.join_seconds is not None else plan.join_seconds,
        captions=replace(captions, mode=given.captions or captions.mode, look=given.caption_look or captions.look),
        narration=Narration(given.voice, plan.narration.pace) if given.voice else plan.narration,
        output=replace(
            output,
            size=given.size or output.size,
            shape=given.shape or output.shape,
            fit=given.fit or output.fit,
        ),
    )
    return plan_of(new.to_json())
