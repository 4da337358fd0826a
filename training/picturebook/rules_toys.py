"""Toys: ball, blocks and box, candle and balloon.

Knows nothing of other rules, pictures or words.
"""

from __future__ import annotations

from training.picturebook.rule import (
    CLEAR,
    MEMORY_AGE,
    RAIN,
    WIND,
    Rule,
    adjacent,
    awake_bear,
    changes,
    forget,
    leaves,
    remember,
    returns,
    slot_of,
    standing,
    turn,
)
from training.picturebook.world import Event, Thing, World


def _toppling(name: str, kind: str, hitters: str, weather: str | None, light: str | None) -> Rule:
    """Whoever stands beside a tower knocks it over: slot the one that hits, other the blocks."""

    def candidates(world: World) -> list[Event]:
        if weather not in (None, world.weather) or light not in (None, world.light):
            return []
        return [
            Event(name, hitter.slot, tower.slot, "blocks", tower.colour)
            for hitter in world.find(kind, hitters)
            for tower in world.find("blocks", "tower")
            if adjacent(hitter.slot, tower.slot)
        ]

    return Rule(name, candidates, lambda world, event: turn(world, event.other, "fallen"))


def _rolling(world: World) -> list[Event]:
    if not WIND(world):
        return []
    return [
        Event("ball_rolls", ball.slot, slot, "ball", ball.colour)
        for ball in world.find("ball")
        for slot in world.free_slots()
        if adjacent(ball.slot, slot)
    ]


def _roll(world: World, event: Event) -> World:
    ball = standing(world, event.slot)
    return world.without(ball.slot).put(Thing(slot_of(event.other), "ball", ball.state, ball.colour))


def _fallen_blocks(world: World) -> list[Event]:
    return [
        Event("bear_builds", bear.slot, blocks.slot, "blocks", blocks.colour)
        for bear in world.find("bear", "awake")
        for blocks in world.find("blocks", "fallen")
    ]


def _packing(world: World) -> list[Event]:
    if awake_bear(world) is None:
        return []
    return [
        Event("ball_into_box", ball.slot, box.slot, "ball", ball.colour)
        for ball in world.find("ball")
        for box in world.find("box", "open")
    ]


def _pack(world: World, event: Event) -> World:
    ball = standing(world, event.slot)
    return remember(turn(world.without(ball.slot), event.other, "closed"), "inside", "ball", ball.colour)


def _empty_boxes(world: World) -> list[Event]:
    if world.light != "day" or awake_bear(world) is None or world.facts_of("inside", "ball"):
        return []
    return [Event("box_opens_empty", t.slot, None, "box", t.colour) for t in world.find("box", "closed")]


def _unpacking(world: World) -> list[Event]:
    if not world.facts or awake_bear(world) is None:
        return []
    colours = dict.fromkeys(f.colour for f in world.facts_of("inside", "ball", MEMORY_AGE))
    return [
        Event("ball_from_box", box.slot, slot, "ball", colour)
        for colour in colours
        for box in world.find("box", "closed")
        for slot in world.free_slots()
    ]


def _unpack(world: World, event: Event) -> World:
    world = turn(forget(world, "inside", "ball", event.colour), event.slot, "open")
    return world.put(Thing(slot_of(event.other), "ball", "resting", event.colour))


def _close_calls(world: World) -> list[Event]:
    return [
        Event("balloon_pops", balloon.slot, candle.slot, "balloon", balloon.colour)
        for balloon in world.find("balloon")
        for candle in world.find("candle", "lit")
        if adjacent(balloon.slot, candle.slot)
    ]


def _pop(world: World, event: Event) -> World:
    return remember(world.without(slot_of(event.slot)), "bang", "balloon", event.colour)


def _candle_duty(name: str, state: str, into: str, light: str, weathers: tuple[str, ...]) -> Rule:
    """The bear sees to the candle: slot the bear, other the candle."""

    def candidates(world: World) -> list[Event]:
        if world.light != light or world.weather not in weathers:
            return []
        return [
            Event(name, bear.slot, candle.slot, "candle")
            for bear in world.find("bear", "awake")
            for candle in world.find("candle", state)
        ]

    return Rule(name, candidates, lambda world, event: turn(world, event.other, into))


RULES: tuple[Rule, ...] = (
    _toppling("ball_topples_blocks", "ball", "resting", weather="wind", light=None),
    _toppling("cat_topples_blocks", "cat", "awake", weather=None, light="day"),
    Rule("ball_rolls", _rolling, _roll),
    Rule("bear_builds", _fallen_blocks, lambda world, event: turn(world, event.other, "tower")),
    Rule("ball_into_box", _packing, _pack),
    Rule("ball_from_box", _unpacking, _unpack, memory=True),
    Rule("box_opens_empty", _empty_boxes, lambda world, event: turn(world, event.slot, "open")),
    changes("box_slams", "box", ("open",), "closed", WIND),
    Rule("balloon_pops", _close_calls, _pop),
    leaves("balloon_floats_off", "balloon", (), WIND, fact="away"),
    returns("balloon_returns", "away", "balloon", "floating", CLEAR),
    changes("rain_douses_candle", "candle", ("lit",), "out", RAIN),
    changes("wind_douses_candle", "candle", ("lit",), "out", WIND),
    _candle_duty("bear_lights_candle", "out", "lit", "night", ("clear", "snow")),
    _candle_duty("bear_blows_out", "lit", "out", "day", ("clear",)),
)
