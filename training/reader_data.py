"""Tasks of the reader, drawn from stories: describe, next, before, steer, judge, draw (frozen list).

Knows nothing of networks. A sample is a prompt (text and, for most, the two ends of the last clip) and an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import numpy as np

from nsp_core import prompts
from nsp_core.model.vision_language import Prompt
from training.picturebook.loosely import describe_loosely, describe_vaguely
from training.picturebook.parse import parse
from training.picturebook.readings import NEGATIONS
from training.picturebook.rules import AMBIENT, MEMORY, enabled, is_enabled, step
from training.picturebook.scenes import Story, odds
from training.picturebook.splits import is_train
from training.picturebook.wishes import dressed, wishes
from training.picturebook.wordings import retold
from training.picturebook.words import (
    HELD_OUT_VARIANTS,
    TRAIN_VARIANTS,
    colourless,
    describe,
    instructions,
    look_back,
    tell,
)
from training.picturebook.world import COLOURED, COLOURS, LIGHTS, SLOTS, STATES, Event, Fact, Thing, World

_DIALECT = prompts.STARTER
VAGUE_SHARE = 0.2  # of described beginnings, those that do not say everything
IMPOSSIBLE_SHARE = 0.3  # of wishes, those that cannot come true


@dataclass(frozen=True)
class Moment:
    """A story up to scene `at`; `event` is what happens next."""

    story: Story
    at: int

    @property
    def world(self) -> World:
        return self.story.worlds[self.at]

    @property
    def event(self) -> Event:
        return self.story.events[self.at]

    @property
    def after(self) -> World:
        return self.story.worlds[self.at + 1]

    @property
    def past(self) -> tuple[Event, ...]:
        return self.story.events[: self.at]

    @property
    def is_closed(self) -> bool:
        """A held-out composition is possible here."""
        return any(not is_train(self.world, event) for event in enabled(self.world))


@dataclass(frozen=True)
class Sample:
    task: str
    prompt: Prompt
    answer: str
    before: World  # worlds at the two ends of the prompt's (first) clip
    now: World
    after: World
    plain: Prompt | None = None  # the same ask in the language's first wording, where a prompt words it otherwise
    answers: tuple[tuple[str, float], ...] = ()  # all right ones with their probabilities, of which `answer` is one
    untaught: tuple[tuple[str, float], ...] = ()  # those that are held out: neither shown nor denied


def possible(moment: Moment, held_out: bool = False) -> list[Event]:
    """What can happen; without the held-out compositions when it is for training."""
    return [event for event in enabled(moment.world) if held_out or is_train(moment.world, event)]


def variants(held_out: bool) -> tuple[int, ...]:
    return HELD_OUT_VARIANTS if held_out else TRAIN_VARIANTS


def story_words(moment: Moment, rng: Random, held_out: bool = False) -> tuple[str, ...]:
    """The words of every scene so far: the beginning described, then what happened."""
    choose = variants(held_out)
    words = [describe(moment.story.worlds[0], rng.choice(choose))]
    for world, event in zip(moment.story.worlds[: moment.at], moment.story.events[: moment.at], strict=True):
        words.append(tell(event, world, rng.choice(choose)))
    return tuple(words)


def ends_of(moment: Moment) -> tuple[World, World]:
    """The worlds at the first and last frame of the scene that is being continued."""
    return moment.story.worlds[max(0, moment.at - 1)], moment.world


def pictures(before: World, after: World, style: str = "house") -> np.ndarray:
    """(2, 96, 160, 3): the ends of a clip."""
    from training.picturebook.draw import still

    return np.stack([still(before, style=style), still(after, style=style)])


def soften(frames: np.ndarray, rng: Random) -> np.ndarray:
    """A half-sharp, slightly noisy copy: what comes out of an autoencoder or a young generator is read too."""
    sharp = frames.astype(np.float32)
    blurred = sharp.copy()
    for axis in (1, 2):
        blurred = (np.roll(blurred, 1, axis) + 2 * blurred + np.roll(blurred, -1, axis)) / 4
    share = rng.random() * 1.3
    mixed = sharp + share * (blurred - sharp)
    noise = np.random.default_rng(rng.getrandbits(32)).standard_normal(frames.shape, np.float32)
    return (mixed + rng.random() * 6 * noise).clip(0, 255).astype(np.uint8)


def sample(moment: Moment, task: str, rng: Random, *, frames: bool, held_out: bool = False) -> Sample:
    """One training or test item. `frames` False leaves the pictures out, so that the words are read too."""
    before, now = ends_of(moment)
    clips = (pictures(before, now),) if frames else ()
    if frames and not held_out and rng.random() < 0.5:
        clips = (soften(clips[0], rng),)
    words = story_words(moment, rng, held_out)
    choose = variants(held_out)
    if frames and rng.random() < 0.25:
        words = words[: 1 if rng.random() < 0.5 else 0] if moment.at == 0 else ()
    text = prompts.story_text(_DIALECT, words)
    event = moment.event
    if task == "describe":
        return Sample(
            task,
            Prompt(_DIALECT.describe, clips),
            describe(now, rng.choice(choose)),
            before,
            now,
            moment.after,
        )
    answers: tuple[tuple[str, float], ...] = ()
    untaught: tuple[tuple[str, float], ...] = ()
    if task == "next":
        likely = comings(moment, held_out)
        event = rng.choices(list(likely), list(likely.values()))[0]
        ask, answer = _DIALECT.next, tell(event, moment.world, rng.choice(choose))
        taught, held = all_odds(moment, likely)
        answers, untaught = (
            tuple((tell(e, moment.world, v), share / len(choose)) for e, share in some.items() for v in choose)
            for some in (taught, held)
        )
    elif task == "before":
        past = moment.story.events[moment.at - 1] if moment.at else None
        ask, answer = _DIALECT.before, look_back(past, before, rng.choice(choose))
    elif task == "steer":
        wish, answers = steering(moment, rng, held_out)
        answer = rng.choice(answers)[0]
        ask = _DIALECT.steer.format(words=wish)
    elif task == "judge":
        told, clip, answer = trial(moment, rng, held_out, frames)
        ask = _DIALECT.judge.format(words=told)
        clips = (*clips, *clip)
    elif task == "draw":
        chosen = rng.choice(possible(moment, held_out) or [event]) if rng.random() < 0.5 else event
        told = tell(chosen, moment.world, rng.choice(choose))
        if not held_out and rng.random() < 0.4:
            told = retold(chosen, rng.randrange(60))
        ask = _DIALECT.draw.format(words=told)
        plain = _DIALECT.draw.format(words=tell(chosen, moment.world, 0))
        after = step(moment.world, chosen)
        return Sample(
            task,
            Prompt(text + ask, clips),
            tell(chosen, moment.world, 0) + " " + describe(after, 0),
            before,
            now,
            after,
            Prompt(text + plain, clips),
        )
    else:
        raise ValueError(f"The reader's tasks are describe, next, before, steer, judge and draw; got '{task}'.")
    return Sample(task, Prompt(text + ask, clips), answer, before, now, step(now, event), None, answers, untaught)


def comings(moment: Moment, held_out: bool = False) -> dict[Event, float]:
    """What the world may tell next, and how often it would. A story's own next event is one draw of these: learning
    from all of them at once has none of that draw's noise. Held-out compositions are not in it for training; nor may
    what is told instead teach that they never happen (`Sample.answers`)."""
    allowed = None if held_out else is_train
    return odds(moment.world, past=moment.past, allowed=allowed) or {moment.event: 1.0}


def all_odds(moment: Moment, likely: dict[Event, float]) -> tuple[dict[Event, float], dict[Event, float]]:
    """The world's odds of what comes next: of the events in `likely`, and of the others, which are held out."""
    every = odds(moment.world, past=moment.past)
    taught = {event: every.get(event, 0.0) for event in likely}
    if not sum(taught.values()):
        taught = likely
    return taught, {event: share for event, share in every.items() if event not in likely}


def near_miss(moment: Moment, rng: Random) -> str | None:
    """What could happen next if one fact were another one (a state, a colour, the sky, what is out of sight), and
    cannot."""
    world, changes = moment.world, _changes(moment.world, rng)
    wrong = next(filter(None, (_impossible(world, changed) for changed in changes)), None)
    return tell(rng.choice(wrong), world, rng.choice(TRAIN_VARIANTS)) if wrong else None


def mistaken(moment: Moment, rng: Random) -> Event | None:
    """An event that cannot happen here and lies near: one fact or two would have to be others, or another thing there.
    None that is of a held-out composition: of these neither is to be learnt, that they happen or that they do not."""
    world = moment.world
    for _ in range(8):
        changed = world
        for _ in range(rng.choice((1, 1, 2))):
            changed = _exchanged(changed, rng) if rng.random() < 0.25 else next(iter(_changes(changed, rng)), changed)
        wrong = [event for event in _impossible(world, changed) if is_train(world, event)]
        wrong = [event for event in wrong if event.rule not in AMBIENT] or (wrong if rng.random() < 0.2 else [])
        if wrong:
            return rng.choice(wrong)
    return None


def _impossible(world: World, changed: World) -> list[Event]:
    return [event for event in enabled(changed) if not is_enabled(world, event)]


def _changes(world: World, rng: Random) -> Iterator[World]:
    """The same world with one fact changed, a fact of each thing and of the sky in turn."""
    kinds: list[int | str | Fact] = [*range(len(world.things)), "light", "weather", *world.facts]
    rng.shuffle(kinds)
    for kind in kinds:
        if isinstance(kind, Fact):  # what is out of sight: it never was, or had another colour
            others = [replace(kind, colour=colour) for colour in COLOURS if kind.colour not in (None, colour)]
            kept = tuple(fact for fact in world.facts if fact != kind)
            yield replace(world, facts=(*kept, *rng.sample(others, min(1, len(others)) if rng.random() < 0.7 else 0)))
            continue
        if isinstance(kind, int):
            thing = world.things[kind]
            others = [replace(thing, state=state) for state in STATES[thing.kind] if state != thing.state]
            others += [replace(thing, colour=colour) for colour in COLOURS if thing.colour not in (None, colour)]
            if others:
                yield world.put(rng.choice(others))
        elif kind == "light":
            yield replace(world, light=rng.choice([light for light in LIGHTS if light != world.light]))
        else:
            wet = "snow" if world.place == "mountain" else "rain"
            yield replace(world, weather=rng.choice([w for w in ("clear", wet, "wind") if w != world.weather]))


def _exchanged(world: World, rng: Random) -> World:
    """The same world with another thing in one slot."""
    kind, colour = rng.choice(sorted(STATES)), rng.choice(COLOURS)
    state = rng.choice(STATES[kind])
    return world.put(Thing(rng.randrange(len(SLOTS)), kind, state, colour if kind in COLOURED else None))


# words without which nobody could answer: arguments, negations and what a task is called by
_KEPT = frozenset({*COLOURS, *SLOTS, *NEGATIONS, "next", "draw", "does", "it", "follow"})


def thinned(one: Sample, rng: Random, share: float = 0.15) -> Sample:
    """The same sample with some words of its prompt left out: what a sentence says is learnt from several of its words,
    so that a paraphrase that was never seen is understood by those it shares."""
    lines = one.prompt.text.split("\n")
    asked = lines.pop() if one.task in ("describe", "next", "before") else None
    lines = [" ".join(w for w in line.split() if _is_kept(w) or rng.random() >= share) for line in lines]
    return replace(one, prompt=replace(one.prompt, text="\n".join(lines if asked is None else [*lines, asked])))


def _is_kept(word: str) -> bool:
    return word.strip(".,:?!").lower() in _KEPT or word[0].isdigit()


def begin_sample(moment: Moment, rng: Random, held_out: bool = False) -> Sample:
    """A described beginning (text-to-scene): draw what is described, with no story before it. In training half of them
    are told in sentences of their own, the others with a frame for each sentence, or leave something open."""
    world = moment.world
    if held_out:
        told = describe(world, rng.choice(variants(held_out)))
    elif rng.random() < VAGUE_SHARE:
        asked = Prompt(_DIALECT.draw.format(words=describe_vaguely(world, rng)))
        return Sample("draw", asked, describe(world, 0), world, world, world)  # no plain one: it would say more
    else:
        told = describe_loosely(world, rng) if rng.random() < 0.5 else describe(world, rng)
    plain = Prompt(_DIALECT.draw.format(words=describe(world, 0)))
    return Sample("draw", Prompt(_DIALECT.draw.format(words=told)), describe(world, 0), world, world, world, plain)


def steering(moment: Moment, rng: Random, held_out: bool) -> tuple[str, tuple[tuple[str, float], ...]]:
    """A wish and the words that fulfil it; a wish that cannot come true here is declined. Both are worded in all ways:
    were the impossible ones only short, then a short wish that was never heard would be declined for its shortness."""
    options = possible(moment, held_out)
    if not options or rng.random() < (0.2 if held_out else IMPOSSIBLE_SHARE):
        other = unlikely(moment, rng, held_out)
        wish = worded(other, moment.world, rng, held_out)
        if all(other.rule != o.rule and wish not in shortly(o) for o in enabled(moment.world)):
            return dressed(wish, rng), ((prompts.UNKNOWN, 1.0),)
    remembered = [event for event in options if event.rule in MEMORY]  # seldom possible: else they are hardly learnt
    events = remembered if remembered and rng.random() < 0.4 else options or [moment.event]
    things = [event for event in events if event.rule not in AMBIENT]  # the sky has few wishes and would have half
    event = rng.choice(things if things and rng.random() < 0.5 and not held_out else events)
    wish = worded(event, moment.world, rng, held_out)
    if not held_out and rng.random() < 0.4 and len({o.colour for o in options if o.rule == event.rule}) == 1:
        wish = colourless(wish, event)
    matching = [o for o in options if wish in shortly(o)]
    event = rng.choice(matching) if matching and event not in matching else event
    return dressed(wish, rng), fulfilments(event, moment.world)


def unlikely(moment: Moment, rng: Random, held_out: bool) -> Event:
    """What somebody might wish for in vain: an event of this very story, one that nearly could happen, or a sky that
    cannot come."""
    kind = rng.random()
    if held_out or kind < 0.5:
        return rng.choice(moment.story.events)
    if kind < 0.65:
        return Event(rng.choice(sorted(AMBIENT)))
    return mistaken(moment, rng) or rng.choice(moment.story.events)


def worded(event: Event, world: World, rng: Random, held_out: bool = False) -> str:
    """A wish for `event`, short or a whole sentence."""
    kind = rng.random()
    if held_out:
        return rng.choice(instructions(event)) if kind < 0.6 else tell(event, world, rng.choice(variants(held_out)))
    if kind < 0.65:
        return rng.choice(instructions(event) if kind < 0.3 else wishes(event))
    return retold(event, rng.randrange(60)) if kind < 0.8 else tell(event, world, rng.choice(TRAIN_VARIANTS))


def shortly(event: Event) -> set[str]:
    """All short wishes for `event`, with its colour and without."""
    short = {*instructions(event), *wishes(event)}
    return short | {colourless(one, event) for one in short}


def fulfilments(event: Event, world: World) -> tuple[tuple[str, float], ...]:
    return tuple((tell(event, world, variant), 1 / len(TRAIN_VARIANTS)) for variant in TRAIN_VARIANTS)


def judged(moment: Moment, words: str, rng: Random, *, frames: bool) -> Sample:
    """The verdict on `words` that somebody told at `moment`, before anything is drawn."""
    event = parse(words)
    assert event is not None
    one = sample(moment, "before", rng, frames=frames)
    text = one.prompt.text.removesuffix(_DIALECT.before) + _DIALECT.judge.format(words=words)
    return replace(one, task="judge", prompt=replace(one.prompt, text=text), answer=verdict_on(moment, event))


def verdict_on(moment: Moment, event: Event) -> str:
    past = moment.story.events[moment.at - 1] if moment.at else None
    return prompts.VERDICTS[0 if is_enabled(moment.world, event) else 1 if event == past else 2]


def checked(moment: Moment, rng: Random) -> tuple[str, tuple[np.ndarray, ...], str]:
    """Words alone, before anything is drawn: half of them can come true; the others nearly could, or just did."""
    now, past = moment.world, moment.story.events[moment.at - 1] if moment.at else None
    told = rng.choice(possible(moment) or [moment.event])
    if rng.random() < 0.5:
        likely = comings(moment)
        told = rng.choices(list(likely), list(likely.values()))[0]
    if rng.random() < 0.5:
        told = past if past is not None and rng.random() < 0.3 else mistaken(moment, rng) or told
    return tell(told, now, rng.choice(TRAIN_VARIANTS)), (), verdict_on(moment, told)


def trial(moment: Moment, rng: Random, held_out: bool, frames: bool) -> tuple[str, tuple[np.ndarray, ...], str]:
    """A candidate next scene (words and, with frames, mostly its clip) and its true verdict."""
    now, event = moment.world, moment.event
    if not held_out and rng.random() < 0.6:
        return checked(moment, rng)
    kind = rng.random()
    if kind < 0.4:
        clip = (pictures(now, moment.after),) if frames else ()
        return tell(event, now, rng.choice(variants(held_out))), clip, prompts.VERDICTS[0]
    if kind < 0.6 and moment.at:
        before, past = moment.story.worlds[moment.at - 1], moment.story.events[moment.at - 1]
        clip = (pictures(now, now),) if frames else ()
        return tell(past, before, rng.choice(variants(held_out))), clip, prompts.VERDICTS[1]
    other = rng.choice(moment.story.events)
    if any(o.rule == other.rule for o in enabled(now)):
        return (
            tell(event, now, rng.choice(variants(held_out))),
            (pictures(now, moment.after),) if frames else (),
            prompts.VERDICTS[0],
        )
    clip = (pictures(now, now),) if frames else ()
    repeated = moment.at > 0 and other == moment.story.events[moment.at - 1]
    return tell(other, now, rng.choice(variants(held_out))), clip, prompts.VERDICTS[1 if repeated else 2]
