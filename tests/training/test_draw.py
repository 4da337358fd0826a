"""The picture book's drawings: exact at rest, the same every time, and no two things alike."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from training.picturebook import draw
from training.picturebook.world import COLOUR_HIDDEN, COLOURED, COLOURS, LIGHTS, PLACES, STATES, Event, Thing, World

PICTURES = [
    Thing(1, kind, state, colour)
    for kind, states in STATES.items()
    for state in states
    for colour in (COLOURS if kind in COLOURED and (kind, state) not in COLOUR_HIDDEN else (None,))
]
APART = 8.0  # mean absolute difference of two things within a slot's 48 x 52 px, of 255


def weathers(place: str) -> tuple[str, ...]:
    return ("clear", "snow", "wind") if place == "mountain" else ("clear", "rain", "wind")


def world(*things: Thing, place: str = "meadow", light: str = "day", weather: str = "clear") -> World:
    return World(place, light, weather, tuple(sorted(things)))


FLOWER = Thing(0, "plant", "flower", "red")
BALL = Thing(1, "ball", "resting", "blue")
BEAR = Thing(2, "bear", "awake")
STORIES = {
    "idle": (world(FLOWER, BEAR), None, world(FLOWER, BEAR)),
    "state": (
        world(FLOWER, light="night"),
        Event("flower_closes", 0),
        world(Thing(0, "plant", "closed", "red"), light="night"),
    ),
    "arrival": (world(FLOWER), Event("flower_draws_bee", 0, 1), world(FLOWER, Thing(1, "bee", "flying"))),
    "leaving": (world(BEAR, FLOWER), Event("snow_buries_seed", 0), world(BEAR)),
    "rolling": (world(Thing(0, "ball", "resting", "blue")), Event("ball_rolls", 0, 1), world(BALL)),
    "sunset": (world(FLOWER), Event("sunset"), world(FLOWER, light="night")),
    "rain": (world(BEAR), Event("rain_starts"), world(BEAR, weather="rain")),
    "snow": (world(BEAR, place="mountain"), Event("snow_starts"), world(BEAR, place="mountain", weather="snow")),
    "unknown": (world(BALL, weather="wind"), Event("something_else", 1, 0), world(BEAR, weather="clear")),
    "pop": (
        world(Thing(0, "balloon", "floating", "green"), Thing(1, "candle", "lit")),
        Event("balloon_pops", 0, 1),
        world(Thing(1, "candle", "lit")),
    ),
    "topple": (
        world(Thing(0, "blocks", "tower", "red"), BALL, weather="wind"),
        Event("ball_topples_blocks", 1, 0),
        world(Thing(0, "blocks", "fallen", "red"), BALL, weather="wind"),
    ),
    "meal": (
        world(Thing(0, "bird", "chick", "red"), Thing(1, "plant", "seed", "blue")),
        Event("chick_eats_seed", 0, 1),
        world(Thing(0, "bird", "grown", "red")),
    ),
    "box": (
        world(Thing(0, "box", "open", "red"), BALL, BEAR),
        Event("ball_into_box", 1, 0),
        world(Thing(0, "box", "closed", "red"), BEAR),
    ),
    "shelter": (
        world(Thing(0, "cat", "awake"), Thing(2, "house", "dark", "red"), weather="rain"),
        Event("cat_shelters", 0, 2),
        world(Thing(2, "house", "dark", "red"), weather="rain"),
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_a_clip_begins_and_ends_with_the_still_pictures(name: str) -> None:
    before, event, after = STORIES[name]
    clip = draw.clip(before, event, after)
    assert clip.shape == (17, 96, 160, 3) and clip.dtype == np.uint8
    assert np.array_equal(clip[0], draw.still(before))
    assert np.array_equal(clip[-1], draw.still(after))


@pytest.mark.parametrize("name", [name for name in STORIES if name != "idle"])
def test_something_is_seen_to_happen(name: str) -> None:
    clip = draw.clip(*STORIES[name]).astype(int)
    changed = np.abs(clip[1:] - clip[:-1]).max(-1) > 12
    assert (changed.reshape(16, -1).sum(1) > 40).sum() >= 5


def test_drawing_is_the_same_every_time_and_for_every_seed() -> None:
    before, event, after = STORIES["topple"]
    first = draw.clip(before, event, after, seed=1)
    draw._sprite_image.cache_clear()
    draw._backdrop_image.cache_clear()
    assert np.array_equal(first, draw.clip(before, event, after, seed=2))


def test_hidden_colours_and_facts_are_not_in_the_picture() -> None:
    red = world(Thing(0, "plant", "sprout", "red"), Thing(2, "bird", "chick", "blue"))
    assert np.array_equal(draw.still(red), draw.still(red.seen()))


@pytest.mark.parametrize("scale", [2, 4])
def test_other_sizes_show_the_same_picture(scale: int) -> None:
    small = draw.still(STORIES["idle"][0]).astype(float)
    big = draw.still(STORIES["idle"][0], scale=scale).astype(float)
    shrunk = big.reshape(96, scale, 160, scale, 3).mean((1, 3))
    assert np.abs(small - shrunk).mean() < 2


@pytest.mark.parametrize("style", ["house", "space"])
@pytest.mark.parametrize("place", PLACES)
def test_no_two_things_look_alike(style: str, place: str) -> None:
    """Blurred to half the size, as a small model sees them; the place is the same for both of a pair."""
    pictures = []
    for thing in PICTURES:
        slot = draw.still(world(thing, place=place), style=style)[30:82, 56:104].astype(np.float32)
        pictures.append(slot.reshape(26, 2, 24, 2, 3).mean((1, 3)))
    near = [
        (float(np.abs(pictures[i] - pictures[j]).mean()), PICTURES[i], PICTURES[j])
        for i, j in itertools.combinations(range(len(PICTURES)), 2)
    ]
    assert min(near, key=lambda pair: pair[0])[0] > APART, sorted(near, key=lambda pair: pair[0])[:5]


def test_no_two_backdrops_look_alike() -> None:
    skies = [
        draw.still(world(place=place, light=light, weather=weather)).astype(int)
        for place in PLACES
        for light in LIGHTS
        for weather in weathers(place)
    ]
    assert len(skies) == 18
    assert min(np.abs(a - b).mean() for a, b in itertools.combinations(skies, 2)) > 6


@pytest.mark.parametrize("place", PLACES)
def test_weather_repeats_every_four_frames(place: str) -> None:
    for weather in weathers(place):
        here = world(BEAR, place=place, weather=weather)
        clip = draw.clip(here, None, here)
        assert np.array_equal(clip[:-4], clip[4:])
        assert weather == "clear" or not np.array_equal(clip[0], clip[1])


def test_masks_show_things_and_only_things() -> None:
    rain = world(weather="rain")
    assert draw.masks(rain, None, rain).sum() == 0
    mask = draw.masks(world(BEAR), None, world(BEAR, weather="rain"))
    assert mask.shape == (17, 96, 160) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    assert mask[:, :, :104].sum() == 0 and mask[0].sum() > 700
    with_bear, without = draw.still(world(BEAR)).astype(int), draw.still(world()).astype(int)
    changed = np.abs(with_bear - without).max(-1) > 100
    assert (changed & (mask[0] == 0)).sum() <= 4


def test_masks_follow_what_moves() -> None:
    mask = draw.masks(*STORIES["rolling"])
    columns = [np.nonzero(m.any(0))[0].mean() for m in mask]
    assert columns[0] == pytest.approx(32, abs=1) and columns[-1] == pytest.approx(80, abs=1)
    assert all(b >= a - 0.6 for a, b in itertools.pairwise(columns))


def test_an_unknown_style_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="'oil'.*'house' and 'space'"):
        draw.still(world(), style="oil")
