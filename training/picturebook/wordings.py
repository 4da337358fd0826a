"""More ways to tell an event, for the reader's training alone: what people type, beside what the language promises.

The language (phrases_*.py) is frozen and small; a reader that was taught its six sentences of an event knows six
sentences. These are not parsed, not spoken by the model and in no test; none is one of the language's held-out
sentences. Fields as there: {c} colour, {s} the event's slot, {o} its other slot. Knows nothing of worlds.
"""

from __future__ import annotations

import re
from functools import cache

from training.picturebook.phrases import SLOT_PHRASES
from training.picturebook.world import Event

TEXT = """
# rain_starts
It begins to rain.
Rain comes down from the clouds.
Clouds cover the sky and it pours.
A shower passes over, everything gets wet.
Raindrops are falling everywhere.
# rain_stops
It is no longer raining.
The clouds go away and it is dry again.
The shower has passed.
No more drops fall, the sky is blue again.
The rain comes to its end and the sky is clear.
# snow_starts
It begins to snow.
Snow is falling from the clouds.
Snowflakes come down and the world turns white.
Winter arrives with snow.
Snow falls on everything.
# snow_stops
It is no longer snowing.
No more snow comes down.
The last snowflake lands and the sky is clear.
The snowfall ends.
The white clouds leave, the snow has ended.
# wind_rises
It becomes windy.
The wind begins to blow.
A storm of wind comes along.
A gust sweeps through the grass.
The breeze grows strong.
# wind_drops
The wind stops blowing.
It is not windy any longer.
The wind goes away and everything is quiet.
The storm calms down.
The breeze dies.
# sunset
It gets dark.
The day ends and the moon comes out.
The sun sets.
Night arrives with the moon and the stars.
The sun disappears and it is night.
# sunrise
It gets light.
The night ends and the sun comes out.
The sun rises.
A new morning begins, it is day.
The moon disappears and it is day.
# snowman_built
The bear {s} makes a {c} snowman {o} out of snow.
A new {c} snowman stands {o}, the bear {s} made it.
{s} the bear rolls snow into a {c} snowman {o}.
The bear {s} puts snow on snow until a {c} snowman stands {o}.
A {c} snowman is made by the bear {s}, it stands {o}.
# snowman_melts
The {c} snowman {s} becomes water.
It gets warm and the {c} snowman {s} melts away.
Of the {c} snowman {s} only a puddle is left.
{s} the {c} snowman melts.
The sun melts the {c} snowman {s}.
# puddle_draws_duck
A duck arrives and swims {s} in the puddle.
{s} a duck lands in the water of the puddle.
The puddle {s} has a duck in it now.
A white duck sits down in the puddle {s}.
There comes a duck, it likes the puddle {s}.
# puddle_draws_frog
A frog arrives and sits {s} in the puddle.
{s} a green frog leaps into the water of the puddle.
The puddle {s} has a frog in it now.
A frog dives into the puddle {s}.
There comes a frog, it likes the puddle {s}.
# frog_hops_off
The frog leaves the puddle {s}.
The puddle {s} is empty because the frog jumped away.
{s} the frog goes away.
The frog {s} is gone, only water is left in the puddle.
With one jump the frog is out of the puddle {s}.
# duck_leaves
The duck swims away from the puddle {s}.
The puddle {s} is empty because the duck flew home.
{s} the duck goes away.
The duck {s} is gone, only water is left in the puddle.
The duck flies away from the puddle {s}.
# puddle_freezes
The puddle {s} turns into ice.
The water of the puddle {s} gets hard and cold.
{s} the puddle freezes over.
Frost turns the puddle {s} to ice.
The puddle {s} is ice now.
# ice_thaws
The ice {s} melts into water.
The frozen puddle {s} becomes water.
{s} the ice melts.
It is warm again and the ice {s} turns to water.
The puddle {s} is no longer frozen.
# rain_makes_puddle
A puddle forms {s} in the rain.
Rain fills a hole {s}, that makes a puddle.
{s} water gathers into a puddle.
There is a new puddle {s} from all the rain.
It rains so much that a puddle appears {s}.
# lamp_lights
The light goes on in the {c} house {s}.
The windows of the {c} house {s} begin to shine.
{s} the {c} house is lit.
Somebody turns on the lamp in the {c} house {s}.
The {c} house {s} gets bright windows.
# lamp_goes_out
The light is turned off in the {c} house {s}.
The windows of the {c} house {s} become dark.
{s} the {c} house gets dark.
Somebody turns off the lamp in the {c} house {s}.
The {c} house {s} has no light now.
# seed_sprouts
A sprout grows out of the {c} seed {s}.
The {c} seed {s} starts to grow.
{s} the {c} seed becomes a sprout.
Green leaves come out of the {c} seed {s}.
The rain makes the {c} seed {s} grow into a sprout.
# sprout_flowers
The sprout {s} becomes a {c} flower.
A {c} flower blooms {s} where the sprout was.
{s} the sprout grows into a {c} flower.
The sprout {s} gets {c} petals.
The sun helps the sprout {s}, it is a {c} flower now.
# flower_draws_bee
A bee visits the flower {s} and stays {o}.
The flower {s} has a guest, a bee {o}.
{o} a bee appears because of the flower {s}.
A bee smells the flower {s} and comes {o}.
There is a bee {o} now, near the flower {s}.
# bee_leaves_rain
The bee {s} leaves because of the rain.
The bee {s} does not like rain and goes away.
{s} the bee flies away from the rain.
The bee {s} is gone, it got too wet.
Rain sends the bee {s} home.
# flower_closes
The {c} flower {s} folds its petals.
The {c} flower {s} is closed now.
{s} the {c} flower shuts for the night.
Petals fold together on the {c} flower {s}.
The {c} flower {s} sleeps with closed petals.
# flower_opens
The {c} flower {s} unfolds its petals.
The {c} flower {s} is open now.
{s} the {c} flower opens again.
Petals spread on the {c} flower {s}.
The {c} flower {s} greets the day with open petals.
# flower_wilts
The {c} flower {s} hangs its head and wilts.
The snow is too much for the {c} flower {s}.
{s} the {c} flower withers.
The {c} flower {s} dies in the cold.
Cold makes the {c} flower {s} droop.
# wilted_drops_seed
A {c} seed drops out of the wilted flower {s}.
The wilted flower {s} leaves a {c} seed behind.
{s} a {c} seed is all that is left of the wilted flower.
The wilted flower {s} turns into a {c} seed.
The wind shakes a {c} seed out of the wilted flower {s}.
# snow_buries_seed
The {c} seed {s} disappears under the snow.
Snow hides the {c} seed {s}.
{s} the {c} seed is covered with snow.
The {c} seed {s} is under the snow now.
So much snow falls that the {c} seed {s} can not be seen.
# seed_reappears
The {c} seed that was under the snow grows {s}, it is a sprout.
A sprout appears {s} from the hidden {c} seed.
{s} the lost {c} seed comes up as a sprout.
The buried {c} seed pushes a sprout up {s}.
The snow is gone and the {c} seed has become a sprout {s}.
# tree_blossoms
The tree {s} gets blossoms.
White blossoms open on the tree {s}.
{s} the bare tree starts to bloom.
The tree {s} is full of flowers.
It is spring for the tree {s}, it blossoms.
# tree_bears
Apples grow on the tree {s}.
The tree {s} is full of apples.
{s} the tree has apples now.
The blossoms of the tree {s} become red apples.
The tree {s} bears fruit.
# apple_falls
An apple drops from the tree {s} and lies {o}.
The wind blows an apple off the tree {s}, it lands {o}.
{o} lies an apple that fell from the tree {s}.
Down comes an apple from the tree {s}, it rolls {o}.
The tree {s} drops an apple {o}.
# tree_bares
The tree {s} loses everything and is bare.
The tree {s} has no leaves left.
{s} the tree stands bare in the snow.
Winter makes the tree {s} bare.
Nothing is left on the tree {s}.
# egg_cracks
The {c} egg {s} gets a crack.
A crack appears in the {c} egg {s}.
{s} the {c} egg breaks a little.
The {c} egg {s} is cracked now.
Something inside makes the {c} egg {s} crack.
# chick_hatches
A chick comes out of the {c} egg {s}.
The {c} egg {s} breaks and there is a chick.
{s} a chick is born from the {c} egg.
The {c} egg {s} hatches.
A little yellow chick leaves the {c} egg {s}.
# chick_eats_seed
The chick {s} finds the seed {o}, eats it and grows into a {c} bird.
The chick {s} eats the seed {o} and is a {c} bird now.
{s} a {c} bird stands where the chick was, the seed {o} is eaten.
After a meal of the seed {o} the chick {s} is a grown {c} bird.
The seed {o} is eaten by the chick {s}, which turns into a {c} bird.
# bird_flies_off
The {c} bird {s} flies away.
The {c} bird {s} leaves with the wind.
{s} the {c} bird takes off and is gone.
The wind carries the {c} bird {s} away.
The {c} bird {s} spreads its wings and leaves.
# bird_returns
The {c} bird returns and sits {s}.
The {c} bird flies home and lands {s}.
{s} the {c} bird is here again.
The {c} bird that flew away comes back {s}.
Back comes the {c} bird, it lands {s}.
# bird_sleeps
The {c} bird {s} sleeps.
The {c} bird {s} shuts its eyes.
{s} the {c} bird goes to sleep for the night.
The {c} bird {s} is tired and sleeps now.
The {c} bird {s} dreams.
# bird_wakes
The {c} bird {s} opens its eyes.
The {c} bird {s} is awake.
{s} the {c} bird wakes from its sleep.
Good morning, says the {c} bird {s}.
The {c} bird {s} stops sleeping.
# cat_startles
The cat {s} is scared by the bang and runs off.
A bang frightens the cat {s} away.
{s} the cat jumps at the noise and is gone.
The cat {s} runs away because of the bang.
The noise was too loud for the cat {s}, it leaves.
# cat_returns
The cat returns and sits {s}.
The cat comes home {s}.
{s} the cat is here again.
The cat that ran away comes back {s}.
Back comes the cat, it sits {s}.
# cat_sleeps
The cat {s} sleeps.
The cat {s} shuts its eyes and dreams.
{s} the cat curls up and goes to sleep.
The cat {s} takes a nap.
The cat {s} is sleeping now.
# cat_wakes
The cat {s} opens its eyes.
The cat {s} is awake.
{s} the cat wakes from its sleep.
The cat {s} stops sleeping and stretches.
The nap of the cat {s} is over.
# cat_chases_bird
The cat {s} runs after the {c} bird {o}, which flies away.
The {c} bird {o} flies away from the cat {s}.
{s} the cat jumps at the {c} bird {o} and it escapes.
The cat {s} hunts, and the {c} bird {o} is gone.
Because of the cat {s} the {c} bird {o} leaves.
# cat_shelters
The cat {s} goes into the house {o} because it rains.
The cat {s} does not like the rain and goes into the house {o}.
{s} the cat leaves, it runs into the house {o}.
The house {o} lets the wet cat {s} in.
The cat {s} is inside the house {o} now.
# cat_comes_out
The cat leaves the house {s} and sits down {o}.
Out comes the cat from the house {s}, it is {o} now.
{o} sits the cat that was in the house {s}.
The cat goes out of the house {s} and waits {o}.
The door of the house {s} opens and the cat walks {o}.
# bear_sleeps
The bear {s} sleeps.
The bear {s} takes a nap.
{s} the bear goes to sleep.
The bear {s} is tired and closes its eyes.
The bear {s} is sleeping now.
# bear_wakes
The bear {s} is awake.
The bear {s} gets up.
{s} the bear wakes from its sleep.
The bear {s} stops sleeping and stretches.
The nap of the bear {s} is over.
# bear_shelters
The bear {s} goes inside the house {o} because it rains.
The bear {s} does not like the rain and goes into the house {o}.
{s} the bear leaves, it walks into the house {o}.
The house {o} lets the wet bear {s} in.
The bear {s} is inside the house {o} now.
# bear_comes_out
The bear leaves the house {s} and stands {o}.
Out comes the bear from the house {s}, it is {o} now.
{o} stands the bear that was in the house {s}.
The bear goes out of the house {s} and waits {o}.
The door of the house {s} opens and the bear walks {o}.
# bear_arrives
A bear arrives {s}.
A bear walks in and stands {s}.
{s} a brown bear appears.
There is a bear {s} now.
Here comes a bear, it stays {s}.
# bear_eats_apple
The bear {s} takes the apple {o} and eats it.
The apple {o} is eaten by the bear {s}.
{s} the hungry bear eats the apple {o} all up.
The bear {s} has an apple {o} for dinner.
The apple {o} is gone, the bear {s} ate it.
# ball_topples_blocks
The ball {s} rolls in the wind and hits the {c} tower {o}, which falls.
The {c} tower {o} tumbles because of the ball {s}.
{o} the {c} blocks fall down, the ball {s} ran into them.
The wind drives the ball {s} into the {c} blocks {o}, they tumble.
The ball {s} crashes into the {c} tower {o}.
# cat_topples_blocks
The cat {s} pushes the {c} tower {o} and it falls.
The {c} tower {o} falls because the cat {s} plays with it.
{o} the {c} blocks tumble, the cat {s} did it.
The cat {s} throws down the {c} blocks {o}.
With its paw the cat {s} knocks the {c} tower {o} down.
# ball_rolls
The {c} ball {s} rolls {o}.
The wind pushes the {c} ball from its place {s}, it stops {o}.
{o} lies the {c} ball that was {s}.
The {c} ball moves from {s} and ends {o}.
The {c} ball {s} is blown away, it comes to rest {o}.
# bear_builds
The bear {s} makes a tower of the {c} blocks {o}.
The bear {s} puts the {c} blocks {o} on top of each other.
{o} stands a {c} tower again, the bear {s} built it.
The {c} blocks {o} are stacked by the bear {s}.
The bear {s} builds up the fallen {c} blocks {o}.
# ball_into_box
The {c} ball {s} goes in the box {o}, the bear puts it there.
The bear lays the {c} ball {s} into the box {o} and shuts it.
{s} the {c} ball is taken by the bear and put into the box {o}.
The box {o} has the {c} ball {s} inside now.
The bear throws the {c} ball {s} into the box {o}.
# ball_from_box
The bear takes the {c} ball out of the box {s}, it lies {o}.
The box {s} is opened and the {c} ball comes out {o}.
{o} lies the {c} ball from the box {s}.
Out of the box {s} comes the {c} ball, the bear puts it down {o}.
The bear looks into the box {s} and finds the {c} ball for the place {o}.
# box_opens_empty
The bear opens the {c} box {s} and finds nothing.
The {c} box {s} is open and there is nothing inside.
{s} the bear looks into the {c} box, it is empty.
Nothing is in the {c} box {s} that the bear opens.
The bear opens up the empty {c} box {s}.
# box_slams
The {c} box {s} closes in the wind.
The wind shuts the lid of the {c} box {s}.
{s} the {c} box falls shut.
The {c} box {s} is closed by the wind.
A gust shuts the {c} box {s}.
# balloon_pops
The {c} balloon {s} bursts at the candle {o}.
The candle {o} is too hot for the {c} balloon {s}, it pops.
{s} the {c} balloon explodes because of the flame of the candle {o}.
The {c} balloon {s} comes too near to the candle {o} and pops.
Pop, the {c} balloon {s} is gone, the candle {o} did it.
# balloon_floats_off
The {c} balloon {s} flies away.
The wind takes the {c} balloon {s} away.
{s} the {c} balloon rises and is gone.
The {c} balloon {s} leaves with the wind.
Away into the sky goes the {c} balloon {s}.
# balloon_returns
The {c} balloon returns and hangs {s}.
The {c} balloon comes down again {s}.
{s} the {c} balloon is here again.
The {c} balloon that flew away is back {s}.
Back comes the {c} balloon, it stays {s}.
# rain_douses_candle
The candle {s} stops burning because it rains.
Rain falls on the candle {s} and its flame dies.
{s} the candle gets wet and stops burning.
The candle {s} is put out by a raindrop.
The rain is too wet for the flame of the candle {s}.
# wind_douses_candle
The candle {s} is blown out by the wind.
The wind ends the flame of the candle {s}.
{s} the candle stops burning in the gust.
The flame of the candle {s} is gone, the wind took it.
A gust puts out the candle {s}.
# bear_lights_candle
The bear {s} makes the candle {o} burn.
The candle {o} is lit by the bear {s}.
{o} the candle burns now, thanks to the bear {s}.
The bear {s} gives the candle {o} a flame.
The bear {s} lights a flame on the candle {o}.
# bear_blows_out
The bear {s} puts out the candle {o}.
The candle {o} is blown out by the bear {s}.
{o} the candle stops burning, the bear {s} blew on it.
With a puff the bear {s} ends the flame of the candle {o}.
The bear {s} blows and the candle {o} goes dark.
"""


def by_rule(text: str) -> dict[str, tuple[str, ...]]:
    """Rule -> its lines: each rule stands above its own behind a `#`."""
    found: dict[str, list[str]] = {}
    rule = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("# "):
            rule = line[2:]
            found[rule] = []
        else:
            found[rule].append(line)
    return {name: tuple(lines) for name, lines in found.items()}


@cache
def wordings() -> dict[str, tuple[str, ...]]:
    """Rule -> its further sentences, with their fields."""
    return by_rule(TEXT)


def retold(event: Event, number: int) -> str:
    """One of the further sentences of an event."""
    lines = wordings()[event.rule]
    slots = {k: "" if v is None else SLOT_PHRASES[v] for k, v in (("s", event.slot), ("o", event.other))}
    text = lines[number % len(lines)].format(c=event.colour or "", **slots)
    return text[0].upper() + text[1:]


def words() -> frozenset[str]:
    """Every word of these sentences, fields left out."""
    bare = re.sub(r"\{\w\}|#.*", " ", TEXT.lower())
    return frozenset(re.findall(r"[a-z]+", bare))
