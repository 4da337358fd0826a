"""A described scene as people put it: the order of its parts and the small words around them vary freely.

The eight frames of `words.describe` are what the language promises; a reader that is taught on six of them knows six
sentences, not what the words say. Here the same facts come in any order with any of the small words. The held-out
frames are never made, and every word is one of the language. Knows nothing of pictures or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from training.picturebook import phrases
from training.picturebook.words import HELD_OUT_VARIANTS, VARIANTS, sky_sentence, thing_sentence
from training.picturebook.world import Thing, World

# What may stand before a thing or its place without saying anything. "Here" is among them on purpose: where it is only
# taught in "nothing is here yet", a reader takes "here is a cat" for an empty meadow (DECISIONS.md).
_OPENINGS = (
    *("", "", "there is", "we see", "look", "now", "see", "you see", "this is", "there stands", "there lies"),
    *("here we see", "here lies", "here stands", "here", "and here is", "look here", "here you see"),
)
_VERBS = ("", "is", "stands", "lies", "rests", "sits", "is there", "stays", "has its place", "is here", "here is")
_SKY_OPENINGS = (
    *("", "", "it is", "now it is", "this is", "we are", "there is", "look", "so it is", "then it is"),
    *("here it is", "here", "we are here", "here we are"),
)
_AND = (", ", " and ", ", and ")


def describe_loosely(world: World, rng: Random) -> str:
    """What `words.describe` says, said some other way. Things are named in any order, most often from left to right."""
    things = list(world.things)
    if rng.random() < 0.3:
        rng.shuffle(things)
    told = [_thing(thing, rng) for thing in things] or [phrases.NOTHING_FRAMES[rng.randrange(VARIANTS - 2)].rstrip(".")]
    told.insert(0 if rng.random() < 0.85 else rng.randint(0, len(told)), _sky(world, rng))
    return _sentences(told, rng)


def describe_vaguely(world: World, rng: Random) -> str:
    """As `describe_loosely`, with something left open that a picture has to settle: the sky, the colours or the places
    of things. A person who writes "an egg lies in a nest" wants one egg in one colour, not the mean of all."""
    sky, colours, slots = rng.choice(((0, 1, 1), (0, 0, 1), (0, 1, 0), (0, 0, 0), (1, 0, 1), (1, 1, 0), (1, 0, 0)))
    told = [_sky(world, rng)] if sky or not world.things else []
    told += [_thing(thing, rng, colour=bool(colours), slot=bool(slots)) for thing in world.things]
    return _sentences(told, rng)


def _sentences(told: list[str], rng: Random) -> str:
    text = told[0]
    for part in told[1:]:
        text += rng.choice(_AND) + part if rng.random() < 0.2 else ". " + part[0].upper() + part[1:]
    return text[0].upper() + text[1:] + ("." if rng.random() < 0.9 else "")


def _thing(thing: Thing, rng: Random, *, colour: bool = True, slot: bool = True) -> str:
    """One clause: the thing and its place, whichever comes first."""
    name = rng.choice(phrases.THING_PHRASES[thing.kind, thing.state])
    name = name.replace("{c}", thing.visible_colour or "") if colour else name.replace("{c} ", "")
    name = " ".join("an" if one == "a" and then[0] in "aeiou" else one for one, then in _pairs(name))
    place = phrases.SLOT_PHRASES[thing.slot] if slot else ""
    held_out = {_bare(thing_sentence(thing, variant)) for variant in HELD_OUT_VARIANTS}
    while True:
        opening, verb = rng.choice(_OPENINGS), rng.choice(_VERBS)
        form = rng.random()
        if form < 0.45:
            parts = (opening, name, verb, place) if not opening else (opening, name, place)
        elif form < 0.85:
            parts = (place, opening or verb, name)
        else:
            parts = (opening, place, name)
        text = _joined(parts)
        if _bare(text) not in held_out:
            return text


def _sky(world: World, rng: Random) -> str:
    """Light, weather and place in any order."""
    adjective, clause = phrases.WEATHER_ADJECTIVES[world.weather], phrases.WEATHER_CLAUSES[world.weather]
    place, light = phrases.PLACE_PHRASES[world.place], world.light
    held_out = {_bare(sky_sentence(world, variant)) for variant in HELD_OUT_VARIANTS}
    while True:
        opening = rng.choice(_SKY_OPENINGS)
        if rng.random() < 0.6:
            noun = rng.choice((f"a {adjective} {light}", f"{adjective} {light}", f"a {light} that is {adjective}"))
            noun = rng.choice((noun, f"the {light} is {adjective}")) if not opening else noun
            parts = [noun, place]
            rng.shuffle(parts)
            text = _joined((opening, *parts))
        else:
            parts = [place, rng.choice((light, f"the {light}", f"a {light}")), clause]
            rng.shuffle(parts)
            text = _joined((opening, parts[0])) + "".join(rng.choice(_AND) + part for part in parts[1:])
        if _bare(text) not in held_out:
            return text


def _pairs(text: str) -> list[tuple[str, str]]:
    """Each word and the one after it."""
    words = text.split()
    return list(zip(words, [*words[1:], " "], strict=True))


def _joined(parts: Sequence[str]) -> str:
    return " ".join(filter(None, parts))


def _bare(text: str) -> str:
    return text.lower().strip(" .")
