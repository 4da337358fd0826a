"""What the reader is asked about stories that only memory decides (picturebook.recall): wishes, a third of them without
the colour that the first scenes alone know, and verdicts on words that name it.

In random stories such a moment is one in some hundred, and one impossible wish in five taught the reader to decline
them all (DECISIONS.md). So the impossible ones here are impossible for the same reason: nothing of that kind went
away, or nothing of that colour. Knows nothing of networks.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from nsp_core import prompts
from training.picturebook.recall import find_recall
from training.picturebook.rules import enabled
from training.picturebook.splits import is_train
from training.picturebook.wishes import dressed
from training.picturebook.words import TRAIN_VARIANTS, colourless, tell
from training.picturebook.world import COLOURS, Event
from training.reader_data import Moment, Sample, fulfilments, judged, sample, story_words, worded

DEPTHS = range(4, 13)  # scenes of such a story: what went away is needed no sooner than two scenes later
# of the wishes; the others name the right colour: were they as few as those that name a wrong one, then a colour alone
# would be a reason to decline, long before the reader learns to compare it
UNCOLOURED, WRONG_COLOUR, NEVER_WENT = 0.35, 0.08, 0.12


def recalls(count: int, seed: int | str = 0) -> list[Moment]:
    """`count` moments of training compositions at which what went away in the first scene can come back."""
    found = []
    for number in range(count):
        rng = Random(f"remembering {seed}/{number}")
        story = find_recall(rng, rng.choice(DEPTHS), is_train).story
        found.append(Moment(story, len(story.events) - 1))
    return found


def remembered(moments: list[Moment], task: str, depth: int, rng: Random, *, frames: bool) -> Sample | None:
    """A wish (`steer`) or a verdict (`judge`) at one of `moments` less than `depth` scenes after its beginning; None
    where there is none."""
    reached = [moment for moment in moments if moment.at < depth]
    if not reached:
        return None
    moment = rng.choice(reached)
    return verdict(moment, rng, frames=frames) if task == "judge" else wish(moment, moments, rng, frames=frames)


def verdict(moment: Moment, rng: Random, *, frames: bool) -> Sample:
    event = moment.event if rng.random() < 0.5 else other_colour(moment, rng)
    words = tell(event, moment.world, rng.choice(TRAIN_VARIANTS))
    one = judged(moment, words, rng, frames=frames)
    return after_all(one, moment, prompts.STARTER.judge.format(words=words), rng)


def wish(moment: Moment, moments: list[Moment], rng: Random, *, frames: bool) -> Sample:
    kind = rng.random()
    possible = enabled(moment.world)
    if kind < NEVER_WENT:
        other = rng.choice(moments).event
        if is_train(moment.world, other) and all(other.rule != event.rule for event in possible):
            text = worded(other, moment.world, rng)
            return asked(moment, colourless(text, other) if rng.random() < 0.6 else text, None, rng, frames=frames)
    elif kind < NEVER_WENT + WRONG_COLOUR:
        other = other_colour(moment, rng)
        return asked(moment, worded(other, moment.world, rng), None, rng, frames=frames)
    event = moment.event
    text = worded(event, moment.world, rng)
    alone = len({o.colour for o in possible if o.rule == event.rule}) == 1
    if alone and kind < NEVER_WENT + WRONG_COLOUR + UNCOLOURED:
        text = colourless(text, event)
    return asked(moment, text, event, rng, frames=frames)


def other_colour(moment: Moment, rng: Random) -> Event:
    """The moment's event in a colour in which it cannot happen; in none that is held out, which is not to be denied."""
    possible = {event.colour for event in enabled(moment.world) if event.rule == moment.event.rule}
    others = [replace(moment.event, colour=colour) for colour in COLOURS if colour not in possible]
    return rng.choice([other for other in others if is_train(moment.world, other)] or others)


def asked(moment: Moment, text: str, event: Event | None, rng: Random, *, frames: bool) -> Sample:
    """The wish `text` at `moment`; `event` is what fulfils it, None when nothing does."""
    answers = ((prompts.UNKNOWN, 1.0),) if event is None else fulfilments(event, moment.world)
    one = sample(moment, "steer", rng, frames=frames)
    one = replace(one, answer=rng.choice(answers)[0], answers=answers, untaught=())
    return after_all(one, moment, prompts.STARTER.steer.format(words=dressed(text, rng)), rng)


def after_all(one: Sample, moment: Moment, text: str, rng: Random) -> Sample:
    """`one`, asked `text` after all words of the story: pictures alone do not know what went away."""
    story = prompts.story_text(prompts.STARTER, story_words(moment, rng))
    return replace(one, prompt=replace(one.prompt, text=story + text))
