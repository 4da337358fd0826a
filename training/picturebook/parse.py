"""Words back to the event, and to the world, that they speak of.

Every sentence of the language is read exactly, in any case and punctuation. Other words are matched by keywords with
what can happen, and only when one reading is left: an unknown or two-sided text gives None, never a guess.
Knows nothing of pictures or models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from training.picturebook import phrases
from training.picturebook.phrases import PARAPHRASES, SLOT_PHRASES
from training.picturebook.readings import ACTIONS, BYSTANDERS, KIND_WORDS, NEGATIONS, STOP_WORDS
from training.picturebook.rules import KIND_OF, RULES, enabled
from training.picturebook.words import VARIANTS, sentence, sky_sentence, vocabulary, words_of
from training.picturebook.world import COLOURS, LIGHTS, PLACES, SLOTS, WEATHERS, Event, Thing, World

_SLOT_FIELDS = {"{s}": "slot", "{o}": "other"}


@dataclass(frozen=True)
class _Form:
    """A sentence with its colour and slots taken out; `slots` names the fields that the slots fill, in order."""

    rule: str
    slots: tuple[str, ...]


def parse(text: str, before: World | None = None) -> Event | None:
    """The event that `text` tells, orders or looks back on; None when it is none, or not surely one.

    A whole sentence is taken at its word, possible or not. A looser one ("let the seed sprout") needs `before`.
    """
    form, colours, slots = _abstract(text)
    found = _forms().get(form)
    if found is not None:
        said = _event(found, colours, slots)
        if _is_whole(said):
            return said
        return None if before is None else _resolve(said, before)
    return None if before is None else _by_keywords(text, before)


def parse_world(text: str) -> World | None:
    """The world that `describe` put into words, as it looks: no facts, no hidden colours; None when it is not one."""
    world: World | None = None
    things: list[Thing] = []
    for part in filter(str.strip, re.split(r"[.!\n]+", text)):
        words = " ".join(words_of(part))
        if words in _skies():
            if world is not None:
                return None
            world = _skies()[words]
        elif words not in _nothing():
            thing = _thing(part)
            if thing is None or any(t.slot == thing.slot for t in things):
                return None
            things.append(thing)
    return None if world is None else replace(world, things=tuple(sorted(things)))


def is_known(text: str) -> bool:
    """Are all words of the text words of the language?"""
    words = words_of(text)
    return bool(words) and not _unknown(words)


def unknown_words(text: str) -> list[str]:
    """The words of the text that the language does not have, in order, each once."""
    return list(dict.fromkeys(_unknown(words_of(text))))


# --- exact forms -----------------------------------------------------------------------------------------------------
def _abstract(text: str) -> tuple[str, list[str], list[int]]:
    """The text with {c} for colours and {s} for slots, and what was taken out, in order."""
    words = words_of(text)
    form: list[str] = []
    colours: list[str] = []
    slots: list[int] = []
    at = 0
    while at < len(words):
        phrase = " ".join(words[at : at + 3])
        if phrase in SLOT_PHRASES:
            slots.append(SLOT_PHRASES.index(phrase))
            form.append("{s}")
            at += 3
            continue
        if words[at] in COLOURS:
            colours.append(words[at])
            form.append("{c}")
        else:
            form.append(words[at])
        at += 1
    return " ".join(form), colours, slots


def _template_form(template: str) -> tuple[str, tuple[str, ...]]:
    """A template as `_abstract` would give it, and which fields its slots fill."""
    parts = re.findall(r"\{\w\}|[a-z]+", template.lower())
    slots = tuple(_SLOT_FIELDS[part] for part in parts if part in _SLOT_FIELDS)
    return " ".join("{s}" if part in _SLOT_FIELDS else part for part in parts), slots


@cache
def _forms() -> dict[str, _Form]:
    found: dict[str, _Form] = {}

    def add(template: str, rule: str) -> None:
        text, slots = _template_form(template)
        form = _Form(rule, slots)
        if found.setdefault(text, form) != form:
            raise ValueError(f"{template!r} was given to {rule} and to {found[text].rule}, but a sentence has one rule")

    for rule, entry in PARAPHRASES.items():
        for line in (*entry.tell, *entry.past, *entry.instruct):
            add(line, rule)
        for past in entry.past:
            for frame in phrases.PAST_FRAMES:
                add(frame.replace("{past}", past), rule)
    return found


def _event(form: _Form, colours: Sequence[str], slots: Sequence[int]) -> Event:
    fields = dict(zip(form.slots, slots, strict=True))
    colour = colours[0] if colours else None
    return Event(form.rule, fields.get("slot"), fields.get("other"), KIND_OF[form.rule], colour)


def _is_whole(event: Event) -> bool:
    """Does the event name all that the language says of its rule?"""
    template = PARAPHRASES[event.rule].tell[0]
    return all(
        value is not None
        for name, value in (("{s}", event.slot), ("{o}", event.other), ("{c}", event.colour))
        if name in template
    )


def _resolve(said: Event, before: World) -> Event | None:
    """The one enabled event that a half-said one means."""
    agreeing = [
        event
        for event in RULES[said.rule].candidates(before)
        if said.slot in (None, event.slot) and said.other in (None, event.other) and said.colour in (None, event.colour)
    ]
    return _one(agreeing, before)


def _one(events: Sequence[Event], before: World) -> Event | None:
    """The only event, or the first of several that differ only in what nobody can point at yet.

    Where a new thing goes, and a snowman's colour, are free: asked for no more, any will do. But two seeds are two.
    """
    if not events:
        return None
    fixed = {_fixed(event, before) for event in events}
    return min(events, key=_order) if len(fixed) == 1 else None


def _fixed(event: Event, before: World) -> tuple[object, ...]:
    slots = [slot for slot in (event.slot, event.other) if slot is not None and before.at(slot) is not None]
    return (event.rule, tuple(slots), None if event.rule == "snowman_built" else event.colour)


def _order(event: Event) -> tuple[int, int, int]:
    colour = -1 if event.colour is None else COLOURS.index(event.colour)
    return (-1 if event.slot is None else event.slot, -1 if event.other is None else event.other, colour)


# --- what is seen ----------------------------------------------------------------------------------------------------
@cache
def _skies() -> dict[str, World]:
    worlds = [World(place, light, weather) for place in PLACES for light in LIGHTS for weather in WEATHERS]
    return {" ".join(words_of(sky_sentence(w, v))): w for w in worlds for v in range(VARIANTS)}


@cache
def _nothing() -> frozenset[str]:
    return frozenset(" ".join(words_of(frame)) for frame in phrases.NOTHING_FRAMES)


@cache
def _thing_forms() -> dict[str, tuple[str, str]]:
    forms: dict[str, tuple[str, str]] = {}
    for look, names in phrases.THING_PHRASES.items():
        for name in names:
            for frame in phrases.THING_FRAMES:
                forms[_template_form(sentence(frame, thing=name, s="{s}"))[0]] = look
    return forms


def _thing(text: str) -> Thing | None:
    form, colours, slots = _abstract(text)
    look = _thing_forms().get(form)
    if look is None:
        return None
    return Thing(slots[0], *look, colours[0] if colours else None)


# --- free words ------------------------------------------------------------------------------------------------------
@cache
def _lexicon() -> frozenset[str]:
    return frozenset(vocabulary())


def _unknown(words: Sequence[str]) -> list[str]:
    known = _lexicon() | STOP_WORDS | set(KIND_WORDS) | {w for ways in ACTIONS.values() for way in ways for w in way}
    return [word for word in words if word not in known]


@dataclass(frozen=True)
class _Named:
    """What a text names. `placed` ties a slot to the kind of thing named last before it: "a bear on the right"."""

    colours: frozenset[str]
    kinds: frozenset[str]
    slots: frozenset[int]
    placed: frozenset[tuple[str, int]]


def _named(words: Sequence[str]) -> _Named:
    kind: str | None = None
    slots: set[int] = set()
    placed: set[tuple[str, int]] = set()
    for word in words:
        kind = KIND_WORDS.get(word, kind)
        if word in SLOTS:
            slots.add(SLOTS.index(word))
            if kind is not None:
                placed.add((kind, SLOTS.index(word)))
    kinds = frozenset(KIND_WORDS[word] for word in words if word in KIND_WORDS)
    return _Named(frozenset(words) & set(COLOURS), kinds, frozenset(slots), frozenset(placed))


def _by_keywords(text: str, before: World) -> Event | None:
    """The one enabled event whose action is named and with which everything else that is named agrees."""
    words = words_of(text)
    said = set(words)
    if not said or _unknown(words) or said & NEGATIONS:
        return None
    # the best action of all rules, possible or not: "stop the rain" under a clear sky must not start it
    scores = {rule: max((len(way) for way in ways if way <= said), default=0) for rule, ways in ACTIONS.items()}
    best = max(scores.values())
    if best == 0:
        return None
    named = _named(words)
    return _one([e for e in enabled(before) if scores[e.rule] == best and _agrees(e, before, named)], before)


def _agrees(event: Event, before: World, named: _Named) -> bool:
    """Is nothing named that has no part in the event?"""
    slots = {slot for slot in (event.slot, event.other) if slot is not None}
    things = [thing for thing in before.things if thing.slot in slots]
    # whose slot is it? a thing's own, or that of the thing to come
    places = {(thing.kind, thing.slot) for thing in things} | {(event.kind, s) for s in slots if before.at(s) is None}
    colours = {event.colour, *(thing.visible_colour for thing in things)}
    kinds = {event.kind, *(thing.kind for thing in things), *BYSTANDERS.get(event.rule, ())}
    apart = {(kind, slot) for kind, slot in named.placed if kind in {k for k, _ in places}}
    return named.colours <= colours and named.slots <= slots and named.kinds <= kinds and apart <= places
