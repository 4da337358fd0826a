"""Short wishes as people type them, for the reader's training alone.

The language's own instructions (phrases_*.py, `!`) are three an event and all begin with "let" or "make"; a reader that
was taught no others declines "the water freezes". None is one of the evaluation's sixty wishes, however it is dressed.
Fields as in wordings.py: {c} colour, {s} the event's slot, {o} its other slot; most name none. Knows nothing of worlds.
"""

from __future__ import annotations

import re
from functools import cache
from random import Random

from training.picturebook.phrases import SLOT_PHRASES
from training.picturebook.wordings import by_rule
from training.picturebook.world import Event

TEXT = """
# rain_starts
start the rain
it rains
more clouds and then rain
rain falls
rain for us
it begins raining
clouds come and it pours
bring rain
a shower comes
# rain_stops
end the rain
it stops raining
no more rain
the rain goes away
the clouds go away
make it dry again
the sky gets clear
the rain ends
let the shower pass
enough rain
# snow_starts
start the snow
it snows
it begins to snow
snow falls
bring snow
let winter come
snowflakes come down
it starts snowing
snow on everything
# snow_stops
end the snow
it stops snowing
no more snow
the snow goes away
the snowfall is over
the snow stops
enough snow
make the sky clear
the last snowflake falls
# wind_rises
start the wind
the wind blows
it gets windy
a storm comes
wind comes up
bring wind
a breeze starts
the wind begins to blow
it becomes windy
more wind
# wind_drops
end the wind
no more wind
the wind ends
it gets calm
the storm is over
the air is still again
the wind goes away
enough wind
make it calm
the wind dies down
# sunset
the sun goes down
it gets dark
it is night
make the sun set
bring the night
evening comes
the day ends
let the stars come out
the moon comes up
let it be night
# sunrise
the sun rises
it gets light
it is day again
bring the morning
a new day begins
the night ends
let it be day
the stars go away
morning comes
make it light
# snowman_built
make a {c} snowman
the bear makes a {c} snowman
make a snowman out of snow
a {c} snowman stands {o}
the bear rolls a {c} snowman
a new snowman
let there be a {c} snowman {o}
let us make a snowman
# snowman_melts
the {c} snowman melts
the {c} snowman becomes water
the sun melts the {c} snowman
the {c} snowman is gone
the {c} snowman becomes a puddle
make the {c} snowman melt
the {c} snowman melts away
too warm for the snowman
# puddle_draws_duck
a duck arrives
a duck lands on the water
a duck comes to the puddle
let a duck swim here
a duck swims on the water
a duck visits the puddle
there comes a duck
a duck flies in
# puddle_draws_frog
a frog comes
a frog arrives
a frog jumps into the water
a frog comes to the puddle
a frog visits the puddle
there comes a frog
a frog hops in
let a frog jump in
# frog_hops_off
the frog leaves
the frog goes away
the frog jumps away
the frog jumps out of the puddle
the frog leaves the puddle
the frog hops off
no more frog
goodbye frog
make the frog leave
# duck_leaves
the duck leaves
the duck goes away
the duck goes home
the duck flies away
the duck swims away
no more duck
goodbye duck
the duck leaves the puddle
make the duck leave
# puddle_freezes
the water freezes
the puddle freezes
make ice
the puddle becomes ice
ice covers the water
turn the water to ice
the water gets hard
the puddle is frozen
freeze the water
# ice_thaws
the ice melts
the ice becomes water
the ice thaws
make the ice melt
no more ice
turn the ice to water
melt the ice
the puddle thaws
the ice breaks up
# rain_makes_puddle
a puddle appears
a puddle forms
the rain makes a puddle
water gathers {s}
let there be a puddle
a new puddle
the rain fills a puddle
a puddle from the rain
# lamp_lights
the lamp goes on
the light goes on in the house
turn on the light
the {c} house lights up
the windows light up
somebody turns on the lamp
make the house bright
light in the {c} house
turn the lamp on
let there be light in the house
# lamp_goes_out
put the light out
the light goes out
turn off the light
the {c} house gets dark
the windows turn dark
somebody turns off the lamp
turn the lamp off
no light in the {c} house
the light in the house goes off
make the house dark
# seed_sprouts
the {c} seed sprouts
a sprout comes up
the {c} seed begins to grow
the {c} seed becomes a sprout
something grows from the {c} seed
make a sprout
a sprout grows out of the seed
let something grow
a green sprout appears
# sprout_flowers
the sprout blooms
the sprout becomes a flower
a {c} flower blooms
make the sprout bloom
the sprout grows into a flower
the plant blooms
let the {c} flower bloom
a flower appears
the sprout gets petals
# flower_draws_bee
a bee comes
a bee arrives
a bee visits the flower
a bee visits the {c} flower
a bee flies to the flower
there comes a bee
let a bee come
the flower gets a bee
# bee_leaves_rain
the bee leaves
the bee goes away
the bee flies away
the bee goes home
no more bee
the bee flies home
the rain sends the bee away
make the bee leave
goodbye bee
# flower_closes
the {c} flower closes
the flower shuts its petals
the {c} flower goes to sleep
the petals close
shut the {c} flower
make the flower close
the flower folds up
the {c} flower sleeps
# flower_opens
the {c} flower opens
the flower opens its petals
the {c} flower wakes up
the petals open
make the flower open
the flower opens up again
the {c} flower unfolds
the flower is open again
# flower_wilts
the {c} flower wilts
the flower dies
the {c} flower dies in the cold
the cold kills the flower
the {c} flower droops
the flower withers
the snow is too much for the flower
the flower hangs its head
# wilted_drops_seed
a seed falls
the flower drops a seed
the wilted flower becomes a seed
a {c} seed falls from the flower
make a seed
the flower gives us a seed
a seed drops down
the wilted flower leaves a seed
# snow_buries_seed
snow covers the {c} seed
the {c} seed is buried
the seed goes under the snow
the snow hides the seed
hide the {c} seed
cover the seed with snow
the {c} seed is under the snow
the seed disappears
# seed_reappears
the buried seed grows
the {c} seed comes back
the seed comes up again
the hidden seed sprouts
the lost seed comes back
let the seed under the snow grow
the {c} seed is there again
a sprout comes from the buried seed
# tree_blossoms
the tree blooms
blossoms on the tree
the tree gets blossoms
make the tree blossom
flowers on the tree
the tree is in bloom
it is spring for the tree
the bare tree blooms
blossoms open on the tree
# tree_bears
apples grow
apples on the tree
the tree grows apples
the tree gets apples
make apples
the tree bears fruit
fruit on the tree
the blossoms become apples
# apple_falls
an apple falls
an apple falls down
one apple drops
an apple drops from the tree
make an apple fall
the tree drops an apple
the wind blows an apple down
an apple lands on the grass
an apple comes down
# tree_bares
the tree gets bare
the tree is bare
the tree loses everything
no more apples on the tree
the tree becomes bare
winter makes the tree bare
empty the tree
# egg_cracks
the {c} egg breaks
the {c} egg gets a crack
a crack appears in the egg
break the {c} egg
crack open the egg
make the egg crack
the egg begins to crack
something moves in the egg
the shell cracks
# chick_hatches
the chick hatches
the {c} egg hatches
a chick comes out
a little bird comes out
the chick is born
hatch the egg
make the chick hatch
the egg opens
a chick comes out of the {c} egg
a baby bird comes out
# chick_eats_seed
the chick eats the seed
eat the seed
feed the chick
the chick grows up
the chick becomes a bird
the chick turns into a {c} bird
make the chick grow
the chick is hungry
the chick finds the seed
# bird_flies_off
the {c} bird flies away
the bird flies off
the bird leaves
the {c} bird goes away
make the bird fly
goodbye {c} bird
the bird takes off
the wind takes the bird away
# bird_returns
the {c} bird comes back
the bird returns
the {c} bird comes home
bring back the {c} bird
bring the bird back
the bird is back
the bird flies home
the lost bird comes back
# bird_sleeps
the {c} bird sleeps
the bird falls asleep
the bird goes to sleep
the {c} bird closes its eyes
make the bird sleep
good night {c} bird
the bird is tired
the bird takes a nap
# bird_wakes
the {c} bird wakes up
the bird is awake
wake up the {c} bird
the bird opens its eyes
make the bird wake up
good morning {c} bird
the bird stops sleeping
the sleeping bird wakes
# cat_startles
the cat runs away
the bang scares the cat
the cat is scared
frighten the cat
the cat jumps and runs
the cat flees from the noise
the cat is afraid of the bang
the noise scares the cat away
# cat_returns
the cat comes back
the cat returns
the cat comes home
bring back the cat
bring the cat back
the cat is back
the lost cat comes back
the cat that ran away comes home
# cat_sleeps
the cat sleeps
the cat falls asleep
the cat takes a nap
the cat closes its eyes
make the cat sleep
good night cat
the cat is tired
the cat lies down to sleep
the cat rolls up
# cat_wakes
the cat is awake
wake up the cat
the cat opens its eyes
the cat gets up
make the cat wake up
good morning cat
the cat stops sleeping
the sleeping cat wakes
wake that cat up
# cat_chases_bird
chase the {c} bird
chase away the bird
the cat runs after the {c} bird
the cat hunts the bird
the cat jumps at the bird
make the cat chase the bird
the cat scares the bird away
the cat wants the bird
the bird flies away from the cat
# cat_shelters
the cat goes inside
the cat goes into the house
the cat runs into the house
the cat hides in the house
the cat hides from the rain
bring the cat inside
the cat runs out of the rain
the cat wants to be dry
# cat_comes_out
the cat comes out
the cat comes out of the house
the cat leaves the house
the cat goes out
let the cat out
the cat walks out of the door
out comes the cat
# bear_sleeps
the bear sleeps
the bear falls asleep
the bear takes a nap
the bear goes to sleep
the bear closes its eyes
make the bear sleep
good night bear
the bear is tired
the bear lies down to sleep
# bear_wakes
the bear wakes up
the bear is awake
wake up the bear
the bear opens its eyes
the bear gets up
the sleeping bear gets up
make the bear wake up
good morning bear
the bear stops sleeping
# bear_shelters
the bear goes inside
the bear goes into the house
the bear runs into the house
the bear hides in the house
the bear hides from the rain
bring the bear inside
the bear runs out of the rain
the bear wants to be dry
# bear_comes_out
the bear comes out
the bear comes out of the house
the bear leaves the house
the bear goes out
let the bear out
the bear walks out of the door
out comes the bear
# bear_arrives
a bear comes
a bear arrives
a bear walks in
a bear appears
there comes a bear
a bear visits us
let a bear come here
a new friend comes, a bear
# bear_eats_apple
the bear eats an apple
the bear takes the apple and eats it
feed the bear
the bear is hungry
the apple is eaten
give the bear its apple
the bear bites the apple
make the bear eat the apple
eat that apple
# ball_topples_blocks
the ball hits the tower
the ball rolls into the tower
the ball hits the {c} blocks
the ball makes the tower fall
knock the tower down with the ball
roll the ball into the blocks
the wind rolls the ball into the tower
the {c} tower falls down
# cat_topples_blocks
the cat hits the tower
the cat knocks over the tower
the cat makes the {c} blocks fall
the cat pushes the tower
the cat plays with the blocks
the cat knocks the {c} blocks down
let the cat break the tower
the {c} tower falls down
# ball_rolls
the {c} ball rolls
the ball rolls away
the wind moves the ball
the wind pushes the {c} ball
move the ball
push the {c} ball
make the ball roll
the ball is blown away
the ball rolls {o}
# bear_builds
the bear stacks the blocks
build a tower
build the tower again
stack the blocks
make a tower of the blocks
the bear makes a {c} tower
build up the {c} blocks
put the blocks on top of each other
let the bear build
# ball_into_box
the ball goes into the box
put away the ball
put the ball away
the bear puts the {c} ball into the box
tidy up
the bear tidies up the ball
the {c} ball is put into the box
into the box with the ball
the bear throws the ball into the box
# ball_from_box
the ball comes out of the box
take the ball out
take the ball out of the box
bring back the {c} ball
the bear finds the ball
the bear takes out the {c} ball
out of the box with the ball
the bear wants the ball
# box_opens_empty
the bear opens the box
open the box
look into the box
the bear looks into the box
what is in the box
the box opens
see what is in the {c} box
the {c} box is opened
# box_slams
shut the box
close the box
the box shuts
the wind shuts the box
the {c} box slams shut
the lid falls down
slam the {c} box
the box falls shut
# balloon_pops
the {c} balloon bursts
burst the balloon
the balloon explodes
pop goes the balloon
the candle pops the balloon
make the balloon pop
the {c} balloon breaks
the balloon is too near the flame
the balloon hits the candle
# balloon_floats_off
the {c} balloon floats away
the balloon drifts away
the balloon is blown away
the wind takes the balloon
the {c} balloon goes up into the sky
let the {c} balloon go
goodbye balloon
the balloon leaves
up and away
# balloon_returns
the {c} balloon comes back
the balloon returns
bring back the {c} balloon
bring the balloon back
the balloon is back
the lost balloon comes back
the {c} balloon comes down again
the balloon comes home
# rain_douses_candle
the rain puts out the candle
the candle goes out
the candle gets wet
the flame goes out
the rain ends the flame
the candle stops burning
put out the candle
a raindrop falls on the candle
# wind_douses_candle
the wind puts out the candle
the candle goes out
blow out the candle
the flame goes out
the wind takes the flame
the candle stops burning
put out the candle
the candle is blown out
# bear_lights_candle
the candle is lit
the candle burns
light that candle
make the candle burn
the bear makes a flame
put a flame on the candle
the candle gets a flame
let the candle burn
# bear_blows_out
the bear blows out the candle
the bear puts out the candle
the candle goes out
blow out the candle
the flame goes out
the bear blows on the candle
put out the candle
the candle stops burning
the candle is blown out
"""
# what a wish may be dressed in; "please" and the like are taken off before the reader sees one
_DRESSES = ("{}",) * 7 + ("{} now", "now {}", "and then {}", "so {}", "{} again", "soon {}", "look {}")


@cache
def lines() -> dict[str, tuple[str, ...]]:
    """Rule -> its wishes, with their fields."""
    return by_rule(TEXT)


def wishes(event: Event) -> tuple[str, ...]:
    """All short wishes for an event, with its colour where they name one."""
    slots = {k: "" if v is None else SLOT_PHRASES[v] for k, v in (("s", event.slot), ("o", event.other))}
    made = (line.format(c=event.colour or "", **slots) for line in lines()[event.rule])
    return tuple(" ".join(one.split()) for one in made)


def dressed(wish: str, rng: Random) -> str:
    """A short wish with a small word, a capital or a stop, as people type; a whole sentence stays as it is."""
    if wish.endswith("."):
        return wish
    made = rng.choice(_DRESSES).format(wish)
    return made if rng.random() < 0.75 else made[0].upper() + made[1:] + rng.choice(("", ".", "!"))


def dresses(wish: str) -> set[str]:
    return {dress.format(wish) for dress in _DRESSES}


def words() -> frozenset[str]:
    """Every word of these wishes, fields left out."""
    plain = re.sub(r"\{\w*\}|#.*", " ", "\n".join((TEXT.lower(), *_DRESSES)))
    return frozenset(re.findall(r"[a-z]+", plain))
