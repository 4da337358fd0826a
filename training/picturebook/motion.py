"""How things move from one state of the world to the next: a pose of every thing at every frame.

Time `u` goes from 0 to 16 whatever the number of frames; things move within 1..13 and rest afterwards.
Knows nothing of colours, shapes or skia.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.picturebook.world import Event, Thing, World

SLOT_X = (32, 80, 128)
END = 13.0
WALKERS = frozenset({"cat", "bear", "snowman"})
FLYERS = frozenset({"bird", "bee", "balloon"})
RESTLESS = {  # kind, state -> (up and down in px, period in frames)
    ("balloon", "floating"): (2.0, 16),
    ("bee", "flying"): (2.5, 8),
    ("puddle", "duck"): (1.0, 16),
}


@dataclass(frozen=True)
class Pose:
    """Of a thing whose base is at (x, y): lifted by `lift` px over its shadow, scaled about its base, turned."""

    x: float
    y: float = 80.0
    lift: float = 0.0
    sx: float = 1.0
    sy: float = 1.0
    turn: float = 0.0  # degrees, about `pivot` px over the base
    pivot: float = 0.0
    shadow: bool = True

    @property
    def resting(self) -> bool:
        """Upright, whole and on the ground of its slot: drawn from the picture that every still uses."""
        return self.x in SLOT_X and (self.y, self.lift, self.sx, self.sy, self.turn % 360) == (80, 0, 1, 1, 0)


Track = Callable[[float], Pose | None]


@dataclass(frozen=True)
class Part:
    """A thing and where it is at each time; `effect` names what is drawn in its stead."""

    thing: Thing
    track: Track
    depth: int = 0  # drawn later, in front, when higher
    effect: str | None = None


def ease(u: float, a: float, b: float) -> float:
    """0 before `a`, 1 after `b`, gently in between: at most 1.15 times the average speed."""
    t = min(1.0, max(0.0, (u - a) / (b - a)))
    return 0.7 * t + 0.3 * t * t * (3 - 2 * t)


def bell(u: float, a: float, b: float) -> float:
    """From 0 at `a` up to 1 and back to 0 at `b`."""
    return math.sin(math.pi * (u - a) / (b - a)) ** 2 if a < u < b else 0.0


def hops(u: float, a: float, b: float, count: int, height: float) -> float:
    return height * abs(math.sin(math.pi * count * (u - a) / (b - a))) if a < u < b else 0.0


def _home(thing: Thing) -> Pose:
    return Pose(float(SLOT_X[thing.slot]))


def _lift_at_rest(thing: Thing, u: float) -> float:
    reach, period = RESTLESS.get((thing.kind, thing.state), (0.0, 16))
    return reach * (0.5 - 0.5 * math.cos(2 * math.pi * (u % period) / period))


def stands(thing: Thing) -> Part:
    x = float(SLOT_X[thing.slot])
    return Part(thing, lambda u: Pose(x, lift=_lift_at_rest(thing, u)))


def _swap(old: Thing, new: Thing, flat: float = 0.6) -> list[Part]:
    """The old squashes, the new springs up in its place: crisp, no blending of the two."""
    x, middle = float(SLOT_X[new.slot]), 7.0

    def going(u: float) -> Pose | None:
        if u >= middle:
            return None
        t = ease(u, 1, middle)
        return Pose(x, sx=1 + 0.14 * t, sy=1 - (1 - flat) * t)

    def coming(u: float) -> Pose | None:
        if u < middle:
            return None
        if u >= END:
            return Pose(x)
        t = ease(u, middle, 10.5)
        over = 0.09 * bell(u, 9, END)
        return Pose(x, sx=1.14 - 0.14 * t - 0.5 * over, sy=flat + (1 - flat) * t + over)

    return [Part(old, going), Part(new, coming)]


def _grown(thing: Thing, begin: float = 1.0, end: float = END) -> Track:
    x = float(SLOT_X[thing.slot])

    def track(u: float) -> Pose | None:
        t = ease(u, begin, end - 2.5)
        if t <= 0.04:
            return None
        over = 0.08 * bell(u, end - 4, end)
        return Pose(x, sx=min(1.0, 0.35 + 0.65 * t) - 0.5 * over, sy=max(0.04, t) + over)

    return track


def _walked(thing: Thing) -> Track:
    """From far away down to its place, with little hops."""
    x = float(SLOT_X[thing.slot])
    start = x + (14 if thing.slot == 0 else -14)

    def track(u: float) -> Pose | None:
        if u < 1:
            return None
        t = ease(u, 1, END)
        size = 0.3 + 0.7 * t
        return Pose(start + (x - start) * t, 62 + 18 * t, hops(u, 1, END, 4, 5 * size), size, size)

    return track


def _flown(thing: Thing, side: int = 0) -> Track:
    """Down from above the picture; u = 1 is out of sight."""
    x = float(SLOT_X[thing.slot])

    def track(u: float) -> Pose | None:
        t = ease(u, 1, END)
        if t <= 0:
            return None
        away = 1 - t
        swing = 0.0 if thing.kind == "balloon" else 3.0 * math.sin(math.pi * (u - END) / 3)
        return Pose(
            x + side * 20 * away + swing * min(1.0, 3 * away), lift=82 * away, turn=-6 * side * min(1.0, 4 * away)
        )

    return track


def _rolled_in(thing: Thing) -> Track:
    x = float(SLOT_X[thing.slot])
    outside = -20.0 if thing.slot < 2 else 180.0

    def track(u: float) -> Pose | None:
        return None if u <= 0 else _rolling(x, outside, 1 - ease(u, 0, END))

    return track


def _rolling(start: float, goal: float, t: float, whole: bool = False) -> Pose:
    """A ball on its way: it turns as it rolls; over a `whole` way it ends upright."""
    x = start + (goal - start) * t
    turn = math.copysign(360 * t, goal - start) if whole else math.degrees((x - start) / 17)
    return Pose(x, turn=turn, pivot=17)


def _backwards(track: Track, end: float = END) -> Track:
    """The same way back: at rest until 1, gone at 13 and after."""
    return lambda u: track(end + 1 - u) if u < end + 1 else None


def _arc(start: Pose, goal: Pose, height: float, begin: float = 1.0, end: float = END, turn: float = 0.0) -> Track:
    """Through the air from one pose to another; nowhere before a small start, nor after a small end."""

    def track(u: float) -> Pose | None:
        if (u < begin and start.sx < 0.9) or (u > end and goal.sx < 0.9):
            return None
        t = ease(u, begin, end)
        lift = start.lift + (goal.lift - start.lift) * t + 4 * height * t * (1 - t)
        size = start.sx + (goal.sx - start.sx) * t
        x, y = start.x + (goal.x - start.x) * t, start.y + (goal.y - start.y) * t
        return Pose(x, y, lift, size, size, turn * t, 17, shadow=lift < 3)

    return track


def arrives(thing: Thing) -> Part:
    if thing.kind in WALKERS:
        return Part(thing, _walked(thing), -1)
    if thing.kind in FLYERS and thing.state in ("grown", "floating", "flying"):
        return Part(thing, _flown(thing, 1 if thing.slot == 2 else -1), 1)
    if thing.kind == "ball":
        return Part(thing, _rolled_in(thing), 1)
    if thing.kind == "apple":
        x = float(SLOT_X[thing.slot])
        return Part(thing, lambda u: _dropped(x, u), 1)
    return Part(thing, _grown(thing))


def _dropped(x: float, u: float) -> Pose | None:
    if u < 1:
        return None
    lift = 84 * (1 - ease(u, 1, 11)) + 4 * bell(u, 11, END)
    squash = 0.12 * bell(u, 10, 12)
    return Pose(x, lift=max(0.0, lift), sx=1 + squash, sy=1 - squash)


def leaves(thing: Thing) -> Part:
    if thing.kind in ("cat", "bear"):
        return Part(thing, _backwards(_walked(thing)), -1)
    if thing.kind in FLYERS and thing.state in ("grown", "floating", "flying"):
        return Part(thing, _backwards(_flown(thing, 1 if thing.slot == 2 else -1)), 1)
    if thing.kind == "ball":
        return Part(thing, _backwards(_rolled_in(thing)), 1)
    return Part(thing, _backwards(_grown(thing)))


def _moves(old: Thing, new: Thing) -> Part:
    start, goal = float(SLOT_X[old.slot]), float(SLOT_X[new.slot])
    if old.kind == "ball":
        return Part(new, lambda u: _rolling(start, goal, ease(u, 1, END), whole=True), 1)
    return Part(new, lambda u: Pose(start + (goal - start) * ease(u, 1, END), lift=hops(u, 1, END, 4, 5)), 1)


def _nudges(thing: Thing, toward: int, reach: float = 16.0) -> Part:
    """There and back again: the ball rolls, others hop."""
    x = float(SLOT_X[thing.slot])
    side = 1.0 if SLOT_X[toward] > x else -1.0

    def track(u: float) -> Pose:
        t = ease(u, 1, 5) * (1 - ease(u, 6.5, END))
        if thing.kind == "ball":
            return _rolling(x, x + side * reach, t)
        return Pose(x + side * reach * t, lift=hops(u, 1, 5, 1, 5) + hops(u, 7, END, 2, 4))

    return Part(thing, track, 1)


def _hops_in_place(thing: Thing) -> Part:
    x = float(SLOT_X[thing.slot])
    return Part(thing, lambda u: Pose(x, lift=hops(u, 1, END, 3, 5)))


def _special(before: World, event: Event, after: World) -> list[Part]:
    """Parts that an event's rule draws in its own way; slots that they fill are left alone by the generic motion."""
    rule = event.rule
    one = None if event.slot is None else before.at(event.slot)
    two = None if event.other is None else before.at(event.other)
    new_one = None if event.slot is None else after.at(event.slot)
    new_two = None if event.other is None else after.at(event.other)
    if rule == "balloon_pops" and one is not None and new_one is None:
        return [Part(one, _swells(one), 1), Part(one, lambda _: _home(one), 2, "burst")]
    if rule == "chick_eats_seed" and one and two and new_one:
        return _eats(one, new_one, two)
    if rule == "bear_eats_apple" and one and two and new_one and new_two is None:
        return [_hops_in_place(one), _taken(two, one)]
    if rule.endswith("topples_blocks") and one and two and new_two:
        return [_nudges(one, two.slot), *_topples(two, new_two)]
    if rule == "cat_chases_bird" and one and two and new_two is None:
        return [_nudges(one, two.slot, 20), Part(two, _backwards(_flown(two, 1 if two.slot > one.slot else -1)), 2)]
    if rule == "apple_falls" and one and new_one and new_two:
        start = Pose(float(SLOT_X[one.slot]), lift=26, sx=0.3)
        return [*_swap(one, new_one, 0.85), Part(new_two, _arc(start, _home(new_two), 8, 2), 2)]
    if rule == "ball_into_box" and one and two and new_two and new_one is None:
        goal = Pose(float(SLOT_X[two.slot]), lift=20, sx=0.35)
        return [Part(one, _arc(_home(one), goal, 22, 1, 8), 2), *_late_swap(two, new_two, 8)]
    if rule == "ball_from_box" and one and new_one and new_two:
        start = Pose(float(SLOT_X[one.slot]), lift=20, sx=0.35)
        return [*_late_swap(one, new_one, 4), Part(new_two, _arc(start, _home(new_two), 22, 5), 2)]
    if rule.endswith("_shelters") and one and two and new_one is None:
        door = Pose(float(SLOT_X[two.slot]) + 7, 80, sx=0.3)
        return [Part(one, _arc_hops(_home(one), door), 1)]
    if rule.endswith("_comes_out") and two is None and one and new_two:
        door = Pose(float(SLOT_X[one.slot]) + 7, 80, sx=0.3)
        back = _arc_hops(_home(new_two), door)
        return [Part(new_two, lambda u: back(END + 1 - u) if u > 1 else None, 1)]
    if rule == "snowman_built" and one and new_two:
        return [_hops_in_place(one), Part(new_two, _grown(new_two))]
    if rule in ("bear_builds", "bear_lights_candle", "bear_blows_out") and one and two and new_two:
        return [_hops_in_place(one), *_swap(two, new_two)]
    return []


def _swells(thing: Thing) -> Track:
    x = float(SLOT_X[thing.slot])

    def track(u: float) -> Pose | None:
        if u >= 4:
            return None
        t = ease(u, 1, 4)
        return Pose(x, sx=1 + 0.12 * t, sy=1 + 0.05 * t)

    return track


def _eats(chick: Thing, bird: Thing, seed: Thing) -> list[Part]:
    """The chick hops to the seed, which shrinks away, and is grown when it is back."""
    x = float(SLOT_X[chick.slot])
    reach = 18.0 if SLOT_X[seed.slot] > x else -18.0

    def way(u: float) -> tuple[float, float]:
        return x + reach * ease(u, 1, 4) * (1 - ease(u, 9, END)), hops(u, 1, 4, 1, 6) + hops(u, 9, END, 1, 6)

    def small(u: float) -> Pose | None:
        at, lift = way(u)
        return Pose(at, lift=lift, sy=1 - 0.2 * bell(u, 4, 8)) if u < 8 else None

    def grown(u: float) -> Pose | None:
        at, lift = way(u)
        size = 0.8 + 0.2 * ease(u, 8, 11)
        return Pose(at, lift=lift, sx=size, sy=size) if u >= 8 else None

    sx = float(SLOT_X[seed.slot])

    def eaten(u: float) -> Pose | None:
        size = 1 - ease(u, 3.5, 9)
        return Pose(sx, sx=size, sy=size) if size > 0.05 else None

    return [Part(seed, eaten), Part(chick, small, 1), Part(bird, grown, 1)]


def _taken(food: Thing, eater: Thing) -> Part:
    start = _home(food)
    return Part(food, _arc(start, Pose(float(SLOT_X[eater.slot]), lift=16, sx=0.25), 14, 2, 11), 2)


def _topples(tower: Thing, fallen: Thing) -> list[Part]:
    """The tower leans away once it is hit and lies there a moment later."""
    x = float(SLOT_X[tower.slot])

    def leans(u: float) -> Pose | None:
        if u >= 8.5:
            return None
        t = ease(u, 4, 8.5)
        return Pose(x, sy=1 - 0.45 * t, sx=1 + 0.2 * t, turn=5 * math.sin(u * 2.2) * bell(u, 3.5, 8.5))

    def lies(u: float) -> Pose | None:
        if u < 8.5:
            return None
        return Pose(x, lift=5 * bell(u, 8.5, END), sy=1 - 0.15 * bell(u, 8.0, 10.5))

    return [Part(tower, leans), Part(fallen, lies)]


def _late_swap(old: Thing, new: Thing, middle: float) -> list[Part]:
    x = float(SLOT_X[old.slot])

    def going(u: float) -> Pose | None:
        t = ease(u, middle - 3, middle)
        return Pose(x, sx=1 + 0.1 * t, sy=1 - 0.25 * t) if u < middle else None

    def coming(u: float) -> Pose | None:
        t = ease(u, middle, middle + 3)
        over = 0.06 * bell(u, middle + 1.5, middle + 5)
        return Pose(x, sx=1.1 - 0.1 * t, sy=0.75 + 0.25 * t + over) if u >= middle else None

    return [Part(old, going), Part(new, coming)]


def _arc_hops(start: Pose, goal: Pose) -> Track:
    """Hopping on the ground from `start` to a small `goal`, then gone."""

    def track(u: float) -> Pose | None:
        t = ease(u, 1, END)
        if t >= 1:
            return None
        size = 1 + (goal.sx - 1) * t
        return Pose(start.x + (goal.x - start.x) * t, start.y, hops(u, 1, END, 4, 5 * size), size, size)

    return track


def parts(before: World, event: Event | None, after: World) -> list[Part]:
    """Everything that is seen between two states, from the back to the front."""
    made = [] if event is None else _special(before, event, after)
    taken = {(p.thing.slot, p.thing) for p in made}
    gone = [t for t in before.things if after.at(t.slot) != t and (t.slot, t) not in taken]
    come = [t for t in after.things if before.at(t.slot) != t and (t.slot, t) not in taken]
    for thing in before.things:
        if after.at(thing.slot) == thing and (thing.slot, thing) not in taken:
            made.append(stands(thing))
    for old in list(gone):
        new = next((t for t in come if t.slot == old.slot), None)
        if new is not None:
            made.extend(_swap(old, new, 0.6 if old.kind == new.kind else 0.3))
            gone.remove(old)
            come.remove(new)
    for old in list(gone):
        new = next((t for t in come if t.kind == old.kind and t.colour == old.colour), None)
        if new is not None:
            made.append(_moves(old, new))
            gone.remove(old)
            come.remove(new)
    made.extend(leaves(t) for t in gone)
    made.extend(arrives(t) for t in come)
    return sorted(made, key=lambda p: p.depth)
