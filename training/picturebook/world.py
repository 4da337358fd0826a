"""The state of the picture-book world: what stands where, under which sky, and what was before.

Knows nothing of rules, pictures or words. Frozen: a change here needs a new WORLD_VERSION.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

WORLD_VERSION = 1

PLACES = ("meadow", "shore", "mountain")
LIGHTS = ("day", "night")
WEATHERS = ("clear", "rain", "snow", "wind")  # rain never on the mountain, snow only there
COLOURS = ("red", "yellow", "blue", "green", "purple")
SLOTS = ("left", "middle", "right")

# kind -> its states. One thing stands in a slot; a slot is 2 x 2 latent cells or more.
STATES: dict[str, tuple[str, ...]] = {
    "plant": ("seed", "sprout", "flower", "closed", "wilted"),
    "bird": ("egg", "cracked", "chick", "grown", "asleep"),
    "snowman": ("standing",),
    "puddle": ("water", "ice", "duck", "frog"),
    "ball": ("resting",),
    "blocks": ("tower", "fallen"),
    "candle": ("lit", "out"),
    "balloon": ("floating",),
    "cat": ("awake", "asleep"),
    "house": ("dark", "lit"),
    "box": ("closed", "open"),
    "bear": ("awake", "asleep"),
    "tree": ("bare", "blossom", "apples"),
    "apple": ("whole",),
    "bee": ("flying",),
}
COLOURED = frozenset({"plant", "bird", "snowman", "ball", "blocks", "balloon", "house", "box"})
# states in which a coloured thing does not show its colour: it must be remembered
COLOUR_HIDDEN = frozenset({("plant", "sprout"), ("bird", "chick")})


@dataclass(frozen=True, order=True)
class Thing:
    """`slot` 0 left, 1 middle, 2 right. `colour` is None for kinds that have none."""

    slot: int
    kind: str
    state: str
    colour: str | None = None

    @property
    def visible_colour(self) -> str | None:
        return None if (self.kind, self.state) in COLOUR_HIDDEN else self.colour


@dataclass(frozen=True, order=True)
class Fact:
    """Something out of sight. name: away | inside | buried | bang; `scene` is when it came to be."""

    name: str
    kind: str
    colour: str | None
    scene: int


@dataclass(frozen=True)
class World:
    place: str
    light: str
    weather: str
    things: tuple[Thing, ...] = ()  # sorted by slot, at most one a slot
    facts: tuple[Fact, ...] = ()
    scene: int = 0

    def at(self, slot: int) -> Thing | None:
        return next((t for t in self.things if t.slot == slot), None)

    def find(self, kind: str, *states: str) -> tuple[Thing, ...]:
        return tuple(t for t in self.things if t.kind == kind and (not states or t.state in states))

    def free_slots(self) -> tuple[int, ...]:
        return tuple(s for s in range(len(SLOTS)) if self.at(s) is None)

    def put(self, thing: Thing) -> World:
        """The world with `thing` in its slot, whatever stood there."""
        rest = tuple(t for t in self.things if t.slot != thing.slot)
        return replace(self, things=tuple(sorted((*rest, thing))))

    def without(self, slot: int) -> World:
        return replace(self, things=tuple(t for t in self.things if t.slot != slot))

    def facts_of(self, name: str, kind: str, min_age: int = 0) -> tuple[Fact, ...]:
        """Facts that are at least `min_age` scenes old when the next scene begins."""
        return tuple(f for f in self.facts if f.name == name and f.kind == kind and self.scene + 1 - f.scene >= min_age)

    def seen(self) -> World:
        """What a picture can show: no facts, no hidden colours. Two worlds that look alike are equal here."""
        things = tuple(replace(t, colour=t.visible_colour) for t in self.things)
        return replace(self, things=things, facts=(), scene=0)


@dataclass(frozen=True)
class Event:
    """One thing that happens. `slot` is its main thing, `other` a second one or the slot that is filled."""

    rule: str
    slot: int | None = None
    other: int | None = None
    kind: str | None = None
    colour: str | None = None
