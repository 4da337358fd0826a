"""The picture-book language: what is seen, what happens next, what came before, what to do.

Eight variants each; the last two are held out from training. Every sentence can be parsed back (parse.py). Frozen: a
change in any sentence needs a new LANGUAGE_VERSION. Knows nothing of pictures or models.
"""

from __future__ import annotations

import re
from random import Random

from training.picturebook import phrases
from training.picturebook.phrases import PARAPHRASES, SLOT_PHRASES
from training.picturebook.scenes import story
from training.picturebook.world import COLOURS, LIGHTS, PLACES, WEATHERS, Event, Thing, World

LANGUAGE_VERSION = 1
VARIANTS = 8
TRAIN_VARIANTS = (0, 1, 2, 3, 4, 5)
HELD_OUT_VARIANTS = (6, 7)
INSTRUCTIONS = 3  # an event; the first two name no slot


def describe(world: World, variant: int | Random = 0) -> str:
    """What a picture of this world shows. With a Random every sentence takes its own training variant."""
    sentences = [sky_sentence(world, _pick(variant))]
    sentences += [thing_sentence(thing, _pick(variant)) for thing in world.things]
    if not world.things:
        sentences.append(phrases.NOTHING_FRAMES[_pick(variant)])
    return " ".join(sentences)


def sky_sentence(world: World, variant: int) -> str:
    frame = phrases.SKY_FRAMES[variant]
    return sentence(
        frame,
        adjective=phrases.WEATHER_ADJECTIVES[world.weather],
        clause=phrases.WEATHER_CLAUSES[world.weather],
        light=world.light,
        place=phrases.PLACE_PHRASES[world.place],
    )


def thing_sentence(thing: Thing, variant: int) -> str:
    """The thing as it looks: a hidden colour is not named."""
    names = phrases.THING_PHRASES[thing.kind, thing.state]
    name = names[variant % len(names)].replace("{c}", thing.visible_colour or "")
    return sentence(phrases.THING_FRAMES[variant], thing=name, s=SLOT_PHRASES[thing.slot])


def tell(event: Event, before: World | None = None, variant: int | Random = 0) -> str:  # noqa: ARG001
    """What happens next. The event says it all today: `before` is in the interface for languages that need more."""
    return _fill(PARAPHRASES[event.rule].tell[_pick(variant)], event)


def look_back(event: Event | None, before: World | None = None, variant: int | Random = 0) -> str:  # noqa: ARG001
    """What came before: the event that led here, None at the beginning of a story."""
    number = _pick(variant)
    if event is None:
        return phrases.NO_PAST[number]
    clauses = PARAPHRASES[event.rule].past
    return sentence(phrases.PAST_FRAMES[number], past=_fill(clauses[number // 2 % len(clauses)], event, whole=False))


def instructions(event: Event) -> tuple[str, ...]:
    """Short steering phrases from loose to exact: "let the seed sprout", "let the red seed on the left sprout"."""
    return tuple(_fill(line, event, whole=False) for line in PARAPHRASES[event.rule].instruct)


def colourless(wish: str, event: Event) -> str:
    """A wish without its colour, as people say it where it is plain which thing is meant."""
    return " ".join(word for word in wish.split(" ") if word != event.colour)


def sentence(template: str, **fields: str) -> str:
    text = template.format(**fields)
    return text[0].upper() + text[1:]


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def vocabulary() -> list[str]:
    """Every word of the language, sorted."""
    lines = [*phrases.PAST_FRAMES, *phrases.NO_PAST, *phrases.SKY_FRAMES, *phrases.THING_FRAMES]
    lines += [*phrases.NOTHING_FRAMES, *COLOURS, *SLOT_PHRASES, *LIGHTS, *PLACES, *WEATHERS]
    lines += [*phrases.PLACE_PHRASES.values(), *phrases.WEATHER_ADJECTIVES.values(), *phrases.WEATHER_CLAUSES.values()]
    lines += [name for names in phrases.THING_PHRASES.values() for name in names]
    for entry in PARAPHRASES.values():
        lines += [*entry.tell, *entry.past, *entry.instruct]
    return sorted({word for line in lines for word in words_of(re.sub(r"\{\w+\}", " ", line))})


def corpus(rng: Random, n: int) -> list[str]:
    """`n` lines of everything that can be said, in all variants: for training a tokenizer."""
    lines: list[str] = []
    while len(lines) < n:
        told = story(rng)
        past: Event | None = None
        for world, event in zip(told.worlds, told.events, strict=False):
            lines.append(describe(world, rng.randrange(VARIANTS)))
            lines.append(look_back(past, None, rng.randrange(VARIANTS)))
            lines.append(tell(event, world, rng.randrange(VARIANTS)))
            lines.append(rng.choice(instructions(event)))
            past = event
    return lines[:n]


def _pick(variant: int | Random) -> int:
    return variant.choice(TRAIN_VARIANTS) if isinstance(variant, Random) else variant


def _fill(template: str, event: Event, whole: bool = True) -> str:
    fields = {"c": event.colour or ""}
    for name, slot in (("s", event.slot), ("o", event.other)):
        fields[name] = "" if slot is None else SLOT_PHRASES[slot]
    text = template.format(**fields)
    return text[0].upper() + text[1:] if whole else text
