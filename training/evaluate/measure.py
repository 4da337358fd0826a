"""What is measured of a model in the picture book, one case at a time.

words          the event that the model tells is possible now, and its things, colours and places are right
verbatim       of these, those that stand in the story word for word, and those that are a sentence it was taught
right_scene    the clip that it draws for its *own* words is judged `follows` (exact judge); words that tell no
               possible event count as wrong. `cut`: the same words drawn without the last picture; only the end counts
closed_loop    as right_scene, at the 4th and 8th scene that the model adds to a beginning, on nothing but its own
               words, clips and tail latents
steering       told in held-out words what shall happen (a possible event that it did not choose itself), the model
               says that very event and its clip follows
what_if        of two stories that differ in one fact both get a right next scene, and not the same one
continuity     PSNR in dB of a continued clip's first frame to the last frame before it
motion         continued clips in which the change is seen under way, of those that tell a possible event
reader         the model's description of the last scene names exactly what is there
reader_free    of the renderings of all possible futures, and of none, the told one is nearest to the clip, on the
               pixels where they differ: a witness that does not use the reader (nor its thresholds)
floors         what needs no model: the last picture again, the pictures of another story, the most frequent event,
               the nearest training moment's words and clip; the first two also by reader_free, and its chance
ceiling        the true pictures through the model's autoencoder, judged like right_scene
phrases        sixty wishes as people type them (phrases.py), some of which can't come true: `done` is the share of the
               possible ones that are told rightly and whose clip follows, `done_or_declined` that of all that are
               either done or declined plainly, or rightly declined
idle_chain     PSNR in dB of the last frame of eight scenes in which nothing happens (the words say what is there) to
               the first: what a long story loses by being drawn
vae            PSNR in dB of the true clips through the autoencoder, whole and on things alone
legibility     the last frame of a continued clip against a re-rendering of the state read from it: structural
               similarity, sharpness as a ratio, and in how many clips a state could be read at all
variety        of moments with three possible events or more: where four sampled alternatives tell two or more of them;
               `variety_world`: where four draws of the world itself do
collapse       total variation between the rules of sampled alternatives and those of the world at the same moments;
               `noise` is the same between two draws of the world. `ordinary`: at moments of unseen stories in which
               all that happens was trained; at the others the world mostly does what the model was never told of
events         right_scene of continued clips by rule, the model's own choices and the steered ones together

Knows nothing of the command line or of files. A verdict that is missing is left out, never averaged.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np

from nsp_core.errors import UserError
from nsp_core.types import Frames, Mode, NextScene, Predictor, SamplingOptions, Scene, SceneRequest, StoryContext
from training.evaluate import cases
from training.evaluate.bounds import FLOORS, RoundTrip, ceiling, floors
from training.evaluate.breadth import Spread, choices, world_rules
from training.evaluate.futures import nearest_is
from training.evaluate.intervals import Tally, plain
from training.evaluate.phrases import PHRASES, Phrase
from training.evaluate.pictures import legibility
from training.evaluate.report import Exhibit
from training.picturebook.draw import clip
from training.picturebook.judge import ExactJudge
from training.picturebook.parse import parse, parse_world
from training.picturebook.reader import idle, psnr
from training.picturebook.rules import is_enabled, step
from training.picturebook.words import TRAIN_VARIANTS, describe, tell
from training.picturebook.world import Event, World

log = logging.getLogger(__name__)

SAMPLED = 4  # alternatives, for what a model tells when it is not asked for the likeliest
ENOUGH = 3  # possible events


@dataclass(frozen=True)
class Plan:
    """How much is measured. `minutes` stops between two cases, and what was done until then is reported."""

    n: int = 64
    seed: int = 0
    closed_loops: int = 16
    depth: int = 8
    what_ifs: int = 32
    phrases: int = 60
    cut: bool = True
    words_only: bool = False  # nothing is drawn: many stories in little time
    minutes: float = math.inf


@dataclass(frozen=True)
class Asked:
    """What a clip was drawn for."""

    kind: str
    case: str
    context: StoryContext
    words: str
    wish: str = ""


@dataclass
class Report:
    plan: Plan
    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    events: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    spread: Spread = field(default_factory=Spread)
    ordinary: Spread = field(default_factory=Spread)
    cases: int = 0
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """The object that `eval picturebook --json` prints: keys kept stable, null where nothing was measured."""
        t = self.tallies
        return {
            "split": "held_out",
            "n": self.cases,
            "seed": self.plan.seed,
            **{name: plain(t[name]) for name in ("reader", "words")},
            "verbatim": {name: plain(t[f"verbatim.{name}"]) for name in ("story", "taught")},
            "right_scene": {mode: plain(t[f"right_scene.{mode}"]) for mode in ("continue", "cut")},
            "closed_loop": {depth: plain(t[f"closed_loop.{depth}"]) for depth in ("4", "8")},
            **{name: plain(t[name]) for name in ("steering", "what_if", "continuity", "motion", "reader_free")},
            "floors": {name: plain(t[f"floors.{name}"]) for name in FLOORS},
            "ceiling": plain(t["ceiling"]),
            "events": {rule: plain(tally) for rule, tally in sorted(self.events.items())},
            "phrases": {name: plain(t[f"phrases.{name}"]) for name in ("done", "done_or_declined")},
            "idle_chain": plain(t["idle_chain"]),
            "vae": {name: plain(t[f"vae.{name}"]) for name in ("clip", "things")},
            "legibility": {name: plain(t[f"legibility.{name}"]) for name in ("readable", "ssim", "sharpness")},
            "variety": plain(t["variety"]),
            "variety_world": plain(t["variety_world"]),
            "collapse": {
                "distance": plain(self.spread.distance()),
                "noise": plain(self.spread.noise()),
                "ordinary": plain(self.ordinary.distance()),
                "ordinary_noise": plain(self.ordinary.noise()),
            },
        }

    def cases_of(self) -> dict[str, dict[str, list[float]]]:
        """Figure -> story -> what was measured of it: for comparisons case by case."""
        found: dict[str, dict[str, list[float]]] = {}
        for name, tally in sorted(self.tallies.items()):
            for story, value in zip(tally.stories, tally.values, strict=True):
                found.setdefault(name, {}).setdefault(str(story), []).append(value)
        return found


class Measure:
    """Asks `predictor` case after case. `round_trip` is its autoencoder, for the ceiling; `show` gets every scene that
    is judged."""

    def __init__(
        self,
        predictor: Predictor,
        plan: Plan,
        round_trip: RoundTrip | None = None,
        show: Callable[[Exhibit], None] | None = None,
    ) -> None:
        self.predictor = predictor
        self.show = show
        self.plan = plan
        self.round_trip = round_trip
        self.judge = ExactJudge()
        self.report = Report(plan)
        self._started = time.monotonic()

    def run(self) -> Report:
        """All measures take turns, so that each has its share when time runs out."""
        plan = self.plan
        pairs = cases.what_ifs(plan.seed, min(plan.what_ifs, plan.n))
        for number in range(plan.n):
            if self._late():
                break
            if plan.words_only:
                self.tells(cases.case(plan.seed, number))
            else:
                self.everything(number, pairs)
            self.report.cases = number + 1
            self.report.seconds = time.monotonic() - self._started
            log.info("case %d of %d, %.0f s", number + 1, plan.n, self.report.seconds)
        return self.report

    def everything(self, number: int, pairs: list[tuple[Any, StoryContext, StoryContext]]) -> None:
        plan = self.plan
        self.next_scene(cases.case(plan.seed, number))
        if number < len(pairs):
            self.what_if(number, *pairs[number])
        if number < plan.closed_loops:
            self.closed_loop(cases.case(plan.seed, plan.n + number))
            self.idle_chain(cases.case(plan.seed, plan.n + number))
        self.breadth(cases.case(plan.seed, number), cases.ordinary(plan.seed, number))
        for i in range(number * plan.phrases // plan.n, (number + 1) * plan.phrases // plan.n):
            self.phrase(i, PHRASES[i])

    def _late(self) -> bool:
        return time.monotonic() - self._started > 60 * self.plan.minutes

    def _add(self, name: str, story: object, value: float | bool | None) -> None:
        self.report.tallies[name].add(str(story), value)

    # -- the model's answers --------------------------------------------------------------------------------------
    def think(self, context: StoryContext, seed: int, steer: str | None = None) -> str:
        """The model's words; nothing when it declines."""
        text = ""
        try:
            for thought in self.predictor.think(context, steer=steer, seed=seed):
                text = thought.text
        except UserError:
            return ""
        return text

    def draw(
        self, context: StoryContext, words: str, mode: Mode, seed: int, steps: int | None = None
    ) -> NextScene | None:
        request = SceneRequest(context, words, mode, SamplingOptions(steps, seed=seed, preview_every=0))
        try:
            last = deque(self.predictor.act(request), maxlen=1)
        except UserError as error:
            log.info("not drawn: %s", error)
            return None
        return last[0] if last and isinstance(last[0], NextScene) else None

    def told(self, before: World, words: str) -> Event | None:
        """The event that the words tell in full, if it can happen."""
        event = parse(words)
        return event if event is not None and is_enabled(before, event) else None

    def follows(
        self, asked: Asked, before: World, event: Event | None, made: NextScene | None, mode: Mode = "continue"
    ) -> bool | None:
        """The verdict on a clip that was drawn for `asked`; words that tell no possible event are wrong as they are."""
        passed: bool | None = False
        said = "the words tell nothing that can happen here" if event is None else "nothing was drawn"
        if event is not None and made is not None:
            verdict = self.judge.judge_clip(before, event, made.frames, mode)
            passed, said = verdict.passed, f"{verdict.detail}, {verdict.reason}"
        log.info("%s, %s: %s", asked.words, asked.kind, said)
        if self.show is not None:
            wanted = None if event is None else clip(before, event, step(before, event))
            last, drawn = cases.last_picture(asked.context), None if made is None else made.frames
            before_it = asked.wish or asked.context.scenes[-1].words
            self.show(Exhibit(asked.kind, asked.case, before_it, asked.words, last, drawn, wanted, passed, said))
        return passed

    # -- measures -------------------------------------------------------------------------------------------------
    def next_scene(self, one: cases.Case) -> None:
        seed = self.plan.seed + one.number
        last = cases.last_picture(one.context)
        frames = one.context.scenes[-1].frames
        assert frames is not None
        self._add("reader", one.number, self._describes(frames, one.before))
        words, event = self.tells(one)
        drawn = self.draw(one.context, words, "continue", seed) if words else None
        if drawn is not None:
            self._add("continuity", one.number, psnr(drawn.frames[0], last))
        name = f"story {one.number}"
        right = self.follows(Asked("continue", name, one.context, words), one.before, event, drawn)
        self._add("right_scene.continue", one.number, right)
        if self.plan.cut:
            cut = self.draw(one.context, words, "cut", seed) if event is not None else None
            asked = Asked("cut", name, one.context, words)
            self._add("right_scene.cut", one.number, self.follows(asked, one.before, event, cut, "cut"))
        if event is not None:
            self.report.events[event.rule].add(one.number, right)
            moved = drawn is not None and self.judge.moves(one.before, event, drawn.frames)
            self._add("motion", one.number, moved)
        free = event is not None and drawn is not None and nearest_is(one.before, event, drawn.frames)
        self._add("reader_free", one.number, free)
        if drawn is not None:
            self._legible(one, drawn.frames)
        self._steering(one, event, seed)
        self._bounds(one)

    def tells(self, one: cases.Case) -> tuple[str, Event | None]:
        words = self.think(one.context, self.plan.seed + one.number)
        event = self.told(one.before, words)
        self._add("words", one.number, event is not None)
        if event is not None:
            self._add("verbatim.story", one.number, any(words == scene.words for scene in one.context.scenes))
            taught = (tell(event, one.before, variant) for variant in TRAIN_VARIANTS)
            self._add("verbatim.taught", one.number, words in taught)
        return words, event

    def _legible(self, one: cases.Case, frames: Frames) -> None:
        found = legibility(frames[-1], self.judge.reader)
        self._add("legibility.readable", one.number, found is not None)
        if found is not None:
            self._add("legibility.ssim", one.number, found.ssim)
            self._add("legibility.sharpness", one.number, found.sharpness)

    def _describes(self, frames: Frames, world: World) -> bool:
        try:
            words = self.predictor.describe(frames).words
        except UserError:
            return False
        return parse_world(words) == replace(world.seen(), scene=0)

    def _steering(self, one: cases.Case, own: Event | None, seed: int) -> None:
        asked = cases.steered(one.before, own, Random(f"steer {self.plan.seed}/{one.number}"))
        if asked is None:
            return
        event, wish = asked
        words = self.think(one.context, seed, wish)
        understood = self.told(one.before, words) == event
        drawn = self.draw(one.context, words, "continue", seed) if understood else None
        told = Asked("steering", f"story {one.number}", one.context, words, wish)
        right = self.follows(told, one.before, event if understood else None, drawn)
        if understood:
            self.report.events[event.rule].add(one.number, right)
        self._add("steering", one.number, right)

    def _bounds(self, one: cases.Case) -> None:
        stranger = cases.case(self.plan.seed + 1, one.number)
        for name, value in floors(one, stranger, self.judge):
            self._add(f"floors.{name}", one.number, value)
        if self.round_trip is not None:
            for name, value in ceiling(one, self.judge, self.round_trip):
                self._add(name, one.number, value)

    def what_if(self, number: int, pair: Any, one: StoryContext, other: StoryContext) -> None:
        events: list[Event | None] = []
        right: list[bool | None] = []
        for context, world in zip((one, other), pair.worlds, strict=True):
            words = self.think(context, self.plan.seed + number)
            event = self.told(world, words)
            events.append(event)
            drawn = None if event is None else self.draw(context, words, "continue", self.plan.seed + number)
            right.append(self.follows(Asked("what_if", f"pair {number}", context, words), world, event, drawn))
        missing = None in right and False not in right
        self._add("what_if", number, None if missing else all(right) and events[0] != events[1])

    def phrase(self, number: int, one: Phrase) -> None:
        context = StoryContext((Scene(describe(one.world), np.array(idle(one.world.seen()))),))
        words = self.think(context, self.plan.seed + number, one.text)
        event = self.told(one.world, words)
        right: bool | None = False
        if event is not None and event.rule in one.rules:
            drawn = self.draw(context, words, "continue", self.plan.seed + number)
            right = self.follows(Asked("phrases", f"wish {number}", context, words, one.text), one.world, event, drawn)
        elif words:
            log.info("wish %s: told %s", one.text, words)
        if one.rules:
            self._add("phrases.done", number, right)
        self._add("phrases.done_or_declined", number, right if words else True)

    def breadth(self, one: cases.Case, ordinary: cases.Case) -> None:
        """What four sampled alternatives tell, beside what the world does at that moment."""
        events, world = self._beside(one, self.report.spread)
        if choices(one.before) >= ENOUGH:
            self._add("variety", one.number, len({step(one.before, event).seen() for event in events}) > 1)
            self._add("variety_world", one.number, len(set(world)) > 1)
        self._beside(ordinary, self.report.ordinary)

    def _beside(self, one: cases.Case, spread: Spread) -> tuple[list[Event], list[str]]:
        seed = self.plan.seed + one.number
        texts: dict[int, str] = {}
        try:
            for thought in self.predictor.think(one.context, alternatives=SAMPLED, seed=seed):
                texts[thought.alternative] = thought.text
        except UserError:
            texts = {}
        events = [event for words in texts.values() if (event := self.told(one.before, words)) is not None]
        rng = Random(f"breadth {seed}")
        world, again = (world_rules(one.before, one.past, SAMPLED, rng) for _ in range(2))
        spread.add((event.rule for event in events), world, again)
        return events, world

    def idle_chain(self, one: cases.Case) -> None:
        """Scene after scene in which nothing happens, each drawn after the one before."""
        context = StoryContext(one.context.scenes[:1])
        first = context.scenes[0].frames
        words = context.scenes[0].words
        assert first is not None
        last = first[-1]
        for depth in range(self.plan.depth):
            drawn = self.draw(context, words, "continue", self.plan.seed + 1000 * depth + one.number)
            if drawn is None:
                return
            context = StoryContext((*context.scenes, Scene(words, drawn.frames, drawn.latents)))
            last = drawn.frames[-1]
        self._add("idle_chain", one.number, psnr(last, first[0]))

    def closed_loop(self, one: cases.Case) -> None:
        """From the first scene of the case, only the model's own; once it tells what can't be, all is wrong."""
        context = StoryContext(one.context.scenes[:1])
        start = parse_world(context.scenes[0].words)
        assert start is not None
        world: World | None = start
        for depth in range(1, self.plan.depth + 1):
            right: bool | None = False
            if world is not None:
                seed = self.plan.seed + 1000 * depth + one.number
                words = self.think(context, seed)
                event = self.told(world, words)
                drawn = None if event is None else self.draw(context, words, "continue", seed)
                name = f"story {one.number}, scene {depth}"
                right = self.follows(Asked("closed_loop", name, context, words), world, event, drawn)
                if event is None or drawn is None:
                    world = None
                else:
                    context = StoryContext((*context.scenes, Scene(words, drawn.frames, drawn.latents)))
                    world = step(world, event)
            if depth in (4, 8):
                self._add(f"closed_loop.{depth}", one.number, right)
