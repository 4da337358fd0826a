"""`python launch.py eval memory`: does a fact of the first scene decide the eighth and the twelfth?

In each story something goes out of sight in its first event (a bird flies off, a balloon drifts away, snow buries a
seed, a ball goes into a box) and is needed again by the last, many scenes later. The wish is the loosest wording of
that event without its colour ("let the bird come back"): which colour it is stands in the first scenes' words alone.

right_scene_D      the model says that event, in the colour of the thing that went, and the clip shows it (exact judge);
                   scene D of the story, all scenes before it given
words_D            of these, what is said
forgetful_...      the same model, asked with the last two scenes only: what it can do without memory
gain_D             right_scene_D minus forgetful_right_scene_D, story by story

Knows nothing of the command line.
"""

from __future__ import annotations

import logging
from random import Random

from nsp_core.types import Predictor, StoryContext
from training.evaluate.cases import context_of
from training.evaluate.measure import Asked, Measure, Plan
from training.picturebook.recall import Recall, find_recall
from training.picturebook.words import colourless, instructions

log = logging.getLogger(__name__)

DEPTHS = (8, 12)
LATELY = 2  # scenes that the forgetful one is given
Cases = dict[str, dict[str, list[float]]]  # figure -> story -> values


def recall(seed: int, number: int, depth: int) -> Recall:
    """Case `number`: the same on every machine. Raises ValueError when no such story turns up."""
    return find_recall(Random(f"recall {seed}/{number}/{depth}"), depth)


def measure(predictor: Predictor, count: int, seed: int = 0) -> Cases:
    """`count` stories of each depth."""
    asker = Measure(predictor, Plan(count, seed))
    found: Cases = {}
    for number in range(count):
        for depth in DEPTHS:
            one = recall(seed, number, depth)
            past = one.story
            context = context_of(past.worlds[:-1], past.events[:-1], Random(f"recall words {seed}/{number}/{depth}"))
            name, story = f"story {number}, scene {depth}", str(number)
            said, right = _ask(asker, one, context, name, seed + number)
            lately = StoryContext(context.scenes[-LATELY:])
            without_said, without = _ask(asker, one, lately, f"{name}, forgetful", seed + number)
            found.setdefault(f"words_{depth}", {})[story] = [float(said)]
            found.setdefault(f"forgetful_words_{depth}", {})[story] = [float(without_said)]
            if right is not None and without is not None:  # else the judge could not see
                found.setdefault(f"right_scene_{depth}", {})[story] = [float(right)]
                found.setdefault(f"forgetful_right_scene_{depth}", {})[story] = [float(without)]
                found.setdefault(f"gain_{depth}", {})[story] = [float(right) - float(without)]
        log.info("story %d of %d", number + 1, count)
    return found


def _ask(asker: Measure, one: Recall, context: StoryContext, name: str, seed: int) -> tuple[bool, bool | None]:
    """Whether what is said is the remembered event, and whether its clip shows it (None: can't be seen)."""
    now, wish = one.story.worlds[-2], colourless(instructions(one.event)[0], one.event)
    words = asker.think(context, seed, wish)
    event = asker.told(now, words)
    if event is None or event.rule != one.event.rule or event.colour != one.event.colour:
        log.info("%s, wish '%s': %s", name, wish, words or "declined")
        return False, False
    drawn = asker.draw(context, words, "continue", seed)
    return True, asker.follows(Asked("recall", name, context, words, wish), now, event, drawn)
