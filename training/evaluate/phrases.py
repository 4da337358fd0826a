"""Sixty wishes as people type them, written by hand before any model was asked. Data only.

A wish with rules is fulfilled by an event of one of them; a wish without can't come true in its world (or is no wish of
this world at all) and should be declined plainly.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.picturebook.world import Thing, World


@dataclass(frozen=True)
class Phrase:
    text: str
    world: World
    rules: frozenset[str] = frozenset()


def _world(sky: str, *things: str) -> World:
    """ "meadow day clear", "left cat awake", "middle bird egg yellow" -> World."""
    place, light, weather = sky.split()
    made = []
    for thing in things:
        slot, kind, state, *colour = thing.split()
        made.append(Thing(("left", "middle", "right").index(slot), kind, state, colour[0] if colour else None))
    return World(place, light, weather, tuple(sorted(made)))


GARDEN = _world("meadow day clear", "left plant flower red", "middle tree bare")
RAINY_SEED = _world("meadow day rain", "left plant seed blue", "right house dark yellow")
NEST = _world("shore day clear", "left bird egg yellow", "right ball resting red")
CRACKED = _world("shore day clear", "middle bird cracked green")
CAT_AND_BIRD = _world("meadow day clear", "left cat awake", "middle bird grown purple")
NIGHT_CAT = _world("meadow night clear", "left cat awake", "right house dark red")
MORNING = _world("meadow day clear", "left cat asleep", "right house lit blue")
POND = _world("shore day clear", "middle puddle water", "right house dark green")
RAINY_POND = _world("shore day rain", "middle puddle water", "left cat awake")
FROG = _world("meadow day clear", "left puddle frog")
DUCK_AT_NIGHT = _world("shore night clear", "middle puddle duck")
SNOWY = _world("mountain day snow", "left bear awake", "middle puddle water")
SNOWMAN = _world("mountain day clear", "middle snowman standing blue", "right bear asleep")
STORM = _world("meadow day wind", "left balloon floating red", "middle candle lit")
ORCHARD = _world("meadow day wind", "left tree apples", "right box open yellow")
TOYS = _world("meadow day wind", "left ball resting green", "middle blocks tower red")
RUINS = _world("meadow day clear", "left bear awake", "right blocks fallen yellow")
PACKING = _world("shore day clear", "left bear awake", "middle ball resting purple", "right box open blue")
PARTY = _world("shore day clear", "left balloon floating yellow", "middle candle lit")
DARK_ROOM = _world("meadow night clear", "left bear awake", "middle candle out")
SNACK = _world("meadow day clear", "left bear awake", "right apple whole")


def _can(world: World, rule: str, *texts: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(text, world, frozenset(rule.split("|"))) for text in texts)


def _cannot(world: World, *texts: str) -> tuple[Phrase, ...]:
    return tuple(Phrase(text, world) for text in texts)


PHRASES: tuple[Phrase, ...] = (
    *_can(GARDEN, "rain_starts", "let it rain", "I want some rain now", "rain please"),
    *_can(GARDEN, "sunset", "night falls", "make it dark", "the day is over"),
    *_can(GARDEN, "wind_rises", "a strong wind blows", "make it windy"),
    *_can(GARDEN, "flower_draws_bee", "a bee comes to the red flower", "bring a bee here"),
    *_can(GARDEN, "tree_blossoms", "the tree blossoms", "let the tree bloom"),
    *_can(RAINY_SEED, "seed_sprouts", "the seed grows", "let the blue seed sprout"),
    *_can(RAINY_SEED, "rain_stops", "stop the rain", "the rain is over"),
    *_can(NEST, "egg_cracks", "the egg cracks", "the yellow egg on the left should crack now"),
    *_can(CRACKED, "chick_hatches", "a chick hatches", "let the chick come out of the egg"),
    *_can(CAT_AND_BIRD, "cat_chases_bird", "the cat chases the bird away", "the bird flees from the cat"),
    *_can(NIGHT_CAT, "cat_sleeps", "the cat goes to sleep", "let the cat sleep"),
    *_can(NIGHT_CAT, "lamp_lights", "light the lamp in the house", "the red house turns on its lamp"),
    *_can(NIGHT_CAT, "sunrise", "the sun comes up", "make it morning"),
    *_can(MORNING, "cat_wakes", "the cat wakes up"),
    *_can(MORNING, "lamp_goes_out", "the lamp goes out"),
    *_can(POND, "puddle_draws_duck", "a duck comes", "a duck swims in the puddle"),
    *_can(RAINY_POND, "puddle_draws_frog", "a frog jumps into the puddle"),
    *_can(FROG, "frog_hops_off", "the frog hops away"),
    *_can(DUCK_AT_NIGHT, "duck_leaves", "the duck flies home"),
    *_can(SNOWY, "snowman_built", "the bear builds a snowman", "build a green snowman on the right"),
    *_can(SNOWY, "puddle_freezes", "the puddle turns to ice"),
    *_can(SNOWMAN, "snowman_melts", "the snowman melts in the sun"),
    *_can(SNOWMAN, "bear_wakes", "wake the bear"),
    *_can(SNOWMAN, "snow_starts", "let it snow"),
    *_can(STORM, "wind_douses_candle", "the wind blows out the candle"),
    *_can(STORM, "balloon_floats_off", "the balloon flies away"),
    *_can(STORM, "wind_drops", "the wind stops"),
    *_can(ORCHARD, "apple_falls", "an apple falls from the tree"),
    *_can(ORCHARD, "box_slams", "the box closes in the wind"),
    *_can(TOYS, "ball_topples_blocks", "the ball knocks over the tower", "the tower falls"),
    *_can(RUINS, "bear_builds", "the bear builds a tower"),
    *_can(PACKING, "ball_into_box", "put the ball in the box"),
    *_can(PARTY, "balloon_pops", "the balloon pops"),
    *_can(DARK_ROOM, "bear_lights_candle", "the bear lights the candle"),
    *_can(SNACK, "bear_eats_apple", "the bear eats the apple"),
    *_cannot(GARDEN, "a dragon lands on the castle", "the cat goes to sleep"),
    *_cannot(NEST, "the red ball explodes", "stop the rain"),
    *_cannot(CAT_AND_BIRD, "let it snow", "two astronauts dance"),
    *_cannot(POND, "the house flies to the moon"),
)
