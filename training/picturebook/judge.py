"""The exact verdict of the picture book: does a scene follow from the state of the world, and is it seen to?

`follows`: it begins as the world was, something moves, and it ends as the rules say, all else kept. `repeats`: it ends
as the world was. `unreadable`: no surely read state at an end, or words outside the language. Everything else
`does not follow`. Registered as "picturebook" (nsp_core.judges). Knows nothing of models.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from nsp_core.judges import Verdict
from nsp_core.types import Mode, Scene, StoryContext
from training.picturebook.draw import clip
from training.picturebook.parse import parse, parse_world
from training.picturebook.reader import READER_VERSION, PictureReader, reader_of
from training.picturebook.rules import RULES_VERSION, enabled, is_enabled, step
from training.picturebook.world import SLOTS, Event, Thing, World

JUDGE_VERSION = 1
# A change must be under way for this share of the frames in which it is in the rendering (2 to 11 of 17). A jump has
# none, but an autoencoder of 24 dB smears it over up to 4.
MOVING_SHARE, MOVING_LEAST = 0.48, 2

Pixels = npt.NDArray[np.uint8]
Detail = Literal["follows", "repeats", "does not follow", "unreadable"]


class ExactJudge:
    """`judge` reads the story's words; who knows the true state calls `judge_clip` or `judge_words`."""

    name = "picturebook"
    template = f"rules {RULES_VERSION}, reader {READER_VERSION}, judge {JUDGE_VERSION}"

    def __init__(self, style: str = "house", reader: PictureReader | None = None) -> None:
        self._reader = reader
        self._style = style

    @property
    def reader(self) -> PictureReader:
        return self._reader or reader_of(self._style)

    # -- a story's words and pictures -----------------------------------------------------------------------------
    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        """The story is followed from its first scene on; *missing* when it can't be."""
        before = self.replay(context)
        if before is None:
            return self._missing("the story so far can't be followed in the picture-book world")
        if not scene.words.strip() and scene.frames is None:
            return self._missing("the scene has neither words nor pictures")
        event = parse(scene.words, before) if scene.words.strip() else None
        if scene.words.strip() and event is None:
            return self.judge_words(before, scene.words)
        if scene.frames is None:
            return self.judge_words(before, scene.words)
        if scene.frames.shape[1:] != (96, 160, 3) or scene.frames.dtype != np.uint8:
            return self._missing(f"the pictures are {scene.frames.dtype} {scene.frames.shape[1:]}, not of this world")
        return self.judge_clip(before, event, scene.frames)

    def replay(self, context: StoryContext) -> World | None:
        """The state at the end of a path, with what is out of sight; where words do not tell it, pictures may."""
        world: World | None = None
        for number, scene in enumerate(context.scenes):
            event = None if world is None else parse(scene.words, world)
            if world is not None and event is not None and is_enabled(world, event):
                world = step(world, event)
            elif (told := parse_world(scene.words)) is not None:
                world = told if world is None else _as_seen(world, told)
            else:
                seen = self._last_look(scene)
                if seen is None:
                    return None
                world = seen if world is None else _as_seen(world, seen)
            world = replace(world, scene=number)
        if world is not None:
            # what is seen outweighs what was told: a scene is not blamed for how the one before was drawn
            seen = self._last_look(context.scenes[-1])
            world = world if seen is None else _as_seen(world, seen)
        return world

    def _last_look(self, scene: Scene) -> World | None:
        if scene.frames is None or scene.frames.shape[1:] != (96, 160, 3) or not len(scene.frames):
            return None
        return self.reader.read(scene.frames[-1]).world

    # -- a known state --------------------------------------------------------------------------------------------
    def judge_words(self, before: World, words: str) -> Verdict:
        """Can what is told happen now?"""
        event = parse(words, before)
        if event is None:
            told = parse_world(words)
            if told is not None and told == before.seen():
                return self._say("repeats", "it tells what is already there")
            return self._say("unreadable", "it tells no event of the picture-book world")
        if not is_enabled(before, event):
            return self._say("does not follow", f"{event.rule} can't happen now")
        return self._say("follows", f"{event.rule} can happen now")

    def judge_clip(self, before: World, event: Event | None, frames: Pixels, mode: Mode = "continue") -> Verdict:
        """Does the clip (17, 96, 160, 3) show `event` happening to `before`? With None any possible event will do.

        A *cut* may begin with any picture: only how it ends is looked at.
        """
        if event is not None and not is_enabled(before, event):
            return self._say("does not follow", f"{event.rule} can't happen now")
        if mode == "cut":
            end = self.reader.read(frames[-1])
            if end.world is None:
                return self._say("unreadable", f"the end: {end.reason}")
            return self._compare(before, event, end.world)[0]
        start, end = self.reader.read(frames[0]), self.reader.read(frames[-1])
        if start.world is None:
            return self._say("unreadable", f"the beginning: {start.reason}")
        if end.world is None:
            return self._say("unreadable", f"the end: {end.reason}")
        verdict, shown = self._compare(before, event, end.world)
        if shown is None:
            return verdict
        if start.world != before.seen():
            return self._say("does not follow", f"it begins elsewhere: {_difference(before, start.world)}")
        if not self.moves(before, shown, frames):
            return self._say("does not follow", "nothing moves: it jumps from one state to the next")
        if not self.reader.settled(frames, end.world, start.world):
            return self._say("unreadable", "the end: still changing")
        return verdict

    def moves(self, before: World, event: Event, frames: Pixels) -> bool:
        """Is the change seen under way about as long as it should be?"""
        after = step(before, event)
        start, end = before.seen(), after.seen()
        wanted = self.reader.under_way(clip(before, event, after, style=self.reader.style), start, end)
        return self.reader.under_way(frames, start, end) >= max(MOVING_LEAST, ceil(MOVING_SHARE * wanted))

    def _compare(self, before: World, event: Event | None, end: World) -> tuple[Verdict, Event | None]:
        """The verdict by the end alone, and the event that leads there when one does."""
        if end == before.seen():
            return self._say("repeats", "it ends as it was before"), None
        for one in enabled(before) if event is None else (event,):
            if end == step(before, one).seen():
                return self._say("follows", one.rule), one
        if event is None:
            return self._say("does not follow", f"nothing leads there: {_difference(before, end)}"), None
        why = f"{event.rule} ends otherwise: {_difference(step(before, event), end)}"
        return self._say("does not follow", why), None

    # -- verdicts -------------------------------------------------------------------------------------------------
    def _say(self, detail: Detail, reason: str) -> Verdict:
        outcome: Literal["pass", "fail"] = "pass" if detail == "follows" else "fail"
        return Verdict(outcome, reason, self.name, self.template, detail, score=float(outcome == "pass"), cost_usd=0.0)

    def _missing(self, reason: str) -> Verdict:
        return Verdict("missing", reason, self.name, self.template, cost_usd=0.0)


def _as_seen(world: World, seen: World) -> World:
    """`seen` with what `world` knows beyond the picture: facts, and the colours of things that do not show theirs."""
    things = []
    for thing in seen.things:
        known = world.at(thing.slot)
        same = known is not None and replace(known, colour=known.visible_colour) == thing
        things.append(known if same and known is not None else thing)
    return replace(seen, things=tuple(things), facts=world.facts, scene=world.scene)


def _difference(wanted: World, found: World) -> str:
    """The first thing that is not as it should be, in words for a person."""
    wanted = wanted.seen()
    for name in ("place", "light", "weather"):
        if getattr(wanted, name) != getattr(found, name):
            return f"{name} {getattr(found, name)}, not {getattr(wanted, name)}"
    for slot in range(len(SLOTS)):
        if wanted.at(slot) != found.at(slot):
            return f"{SLOTS[slot]} {_name(found.at(slot))}, not {_name(wanted.at(slot))}"
    return "no difference"


def _name(thing: Thing | None) -> str:
    if thing is None:
        return "empty"
    return " ".join(part for part in (thing.colour, thing.kind, thing.state) if part)
