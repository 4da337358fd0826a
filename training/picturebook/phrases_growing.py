"""The sentences for plants, trees and birds. Data only; phrases.py says how a line is read."""

from __future__ import annotations

TEXT = """
# seed_sprouts
The {c} seed {s} sprouts in the rain.
A small sprout grows from the {c} seed {s}.
The {c} seed {s} drinks the rain and sprouts.
Out of the {c} seed {s} comes a tiny sprout.
The wet {c} seed {s} opens, and a sprout looks out.
Now the {c} seed {s} is a sprout with two leaves.
Rain wakes the {c} seed {s}, and a sprout comes up.
Thanks to the rain the {c} seed {s} becomes a sprout.
< the {c} seed {s} had sprouted
< a sprout had grown from the {c} seed {s}
! let the {c} seed sprout
! make the {c} seed grow
! let the {c} seed {s} sprout

# sprout_flowers
The sprout {s} opens into a {c} flower.
The sprout {s} grows tall and shows a {c} flower.
Warm sun turns the sprout {s} into a {c} flower.
The sprout {s} blooms, and its flower is {c}.
At last the sprout {s} wears a {c} flower.
Out of the sprout {s} comes a lovely {c} flower.
In the sun the sprout {s} becomes a {c} flower.
A {c} flower opens on the sprout {s}.
< the sprout {s} had opened into a {c} flower
< a {c} flower had opened on the sprout {s}
! let the sprout flower
! let the sprout become a {c} flower
! let the sprout {s} become a {c} flower

# flower_draws_bee
A bee comes to the flower {s} and hums {o}.
A busy bee finds the flower {s} and stays {o}.
Humming, a bee arrives {o} to see the flower {s}.
The open flower {s} calls a bee, which flies {o}.
Look, a bee hums {o} because of the flower {s}.
Sweet smell from the flower {s} brings a bee {o}.
The flower {s} smells sweet, and a bee flies in {o}.
Along comes a bee {o} to visit the flower {s}.
< a bee had come {o} to the flower {s}
< the flower {s} had drawn a bee {o}
! bring a bee
! let a bee come to the flower
! let a bee come {o} to the flower {s}

# bee_leaves_rain
The bee {s} flies home out of the rain.
Off flies the bee {s} to stay dry.
The wet bee {s} hurries home.
Raindrops chase the bee {s} away.
No weather for humming, thinks the bee {s}, and leaves.
The bee {s} hums goodbye and escapes the rain.
Rain falls, so the bee {s} flies away.
The bee {s} does not like the wet and leaves.
< the bee {s} had flown home
< the bee {s} had left because of the rain
! let the bee fly home
! let the bee leave
! let the bee {s} fly home

# flower_closes
The {c} flower {s} closes for the night.
It is night, and the {c} flower {s} folds its leaves.
The {c} flower {s} shuts and goes to sleep.
In the dark the {c} flower {s} closes.
Slowly the {c} flower {s} folds up.
The tired {c} flower {s} shuts its petals.
Good night, {c} flower {s}, now you are closed.
The petals of the {c} flower {s} close in the dark.
< the {c} flower {s} had closed
< the {c} flower {s} had folded up
! close the {c} flower
! let the {c} flower close
! let the {c} flower {s} close

# flower_opens
The {c} flower {s} opens for the day.
It is day, and the {c} flower {s} spreads its petals.
The {c} flower {s} wakes up and opens.
In the morning light the {c} flower {s} opens.
Slowly the {c} flower {s} unfolds.
The closed {c} flower {s} opens its petals again.
Good morning, {c} flower {s}, now you are open.
The petals of the {c} flower {s} open in the light.
< the {c} flower {s} had opened again
< the {c} flower {s} had unfolded
! open the {c} flower
! let the {c} flower open
! let the {c} flower {s} open

# flower_wilts
The {c} flower {s} wilts in the cold snow.
The {c} flower {s} hangs its head in the cold.
It is too cold, and the {c} flower {s} fades.
Slowly the {c} flower {s} wilts under the snow.
The cold makes the {c} flower {s} droop.
Poor {c} flower {s}, the snow has made it wilt.
Snow falls on the {c} flower {s}, and it wilts.
The {c} flower {s} bends low and wilts.
< the {c} flower {s} had wilted
< the snow had made the {c} flower {s} wilt
! let the {c} flower wilt
! make the {c} flower wilt
! let the {c} flower {s} wilt

# wilted_drops_seed
The wilted flower {s} drops a {c} seed.
A {c} seed falls from the wilted flower {s}.
In the wind the wilted flower {s} becomes a {c} seed.
A gust takes the wilted flower {s} and leaves a {c} seed.
The wilted flower {s} blows away, but a {c} seed stays.
Shaken by the wind, the wilted flower {s} loses a {c} seed.
Wind shakes the wilted flower {s}, and a {c} seed falls.
All that stays of the wilted flower {s} is a {c} seed.
< the wilted flower {s} had dropped a {c} seed
< a {c} seed had fallen from the wilted flower {s}
! let the wilted flower drop its {c} seed
! drop the {c} seed
! let the wilted flower {s} drop its {c} seed

# snow_buries_seed
Snow covers the {c} seed {s} until it is hidden.
White snow hides the {c} seed {s}.
The {c} seed {s} sinks into the deep snow.
Soon the {c} seed {s} lies under the snow, out of sight.
Flake by flake, the snow buries the {c} seed {s}.
The {c} seed {s} goes to sleep below the snow.
The {c} seed {s} is buried under the snow.
Gone under the snow is the {c} seed {s}.
< the snow had buried the {c} seed {s}
< the {c} seed {s} had been covered by the snow
! bury the {c} seed
! let the snow bury the {c} seed
! let the snow bury the {c} seed {s}

# seed_reappears
The buried {c} seed comes up as a sprout {s}.
The hidden {c} seed is back as a sprout {s}.
Out of the ground {s} comes a sprout of the {c} seed.
The lost {c} seed wakes and sprouts {s}.
A sprout {s} shows where the {c} seed was hidden.
Not forgotten, the buried {c} seed sends up a sprout {s}.
A sprout of the buried {c} seed appears {s}.
Look {s}, the {c} seed from under the snow is a sprout.
< the buried {c} seed had come up as a sprout {s}
< a sprout of the hidden {c} seed had appeared {s}
! let the buried {c} seed come up
! let the hidden {c} seed sprout
! let the buried {c} seed come up {s}

# tree_blossoms
The bare tree {s} is covered with blossom.
The tree {s} puts on white blossom.
Warm light fills the bare tree {s} with blossom.
The tree {s} wakes up and blossoms.
Spring has come to the tree {s}, for it blossoms.
Look how the bare tree {s} starts to blossom.
Blossom opens all over the bare tree {s}.
In the sun the bare tree {s} begins to blossom.
< the tree {s} had begun to blossom
< blossom had covered the tree {s}
! let the tree blossom
! make the tree bloom
! let the tree {s} blossom

# tree_bears
The blossom of the tree {s} turns into apples.
Thanks to the bee, the tree {s} bears apples.
The bee helps the tree {s} to grow apples.
Where blossom was, the tree {s} carries apples.
The bee has worked well, and apples hang on the tree {s}.
One by one, apples ripen on the tree {s}.
The tree {s} is full of apples now.
Round apples grow on the tree {s}.
< the tree {s} had grown apples
< the blossom of the tree {s} had turned into apples
! let the tree grow apples
! let the tree bear apples
! let the tree {s} bear apples

# apple_falls
The wind shakes the tree {s}, and an apple falls {o}.
A gust throws an apple from the tree {s}, and it lies {o}.
The tree {s} loses its apples, and one lands {o}.
Plop, an apple from the tree {s} lies {o}.
The wind picks the tree {s} bare and drops an apple {o}.
One apple rolls {o} as the wind empties the tree {s}.
An apple falls from the tree {s} and lands {o}.
Down comes an apple {o} from the windy tree {s}.
< an apple had fallen {o} from the tree {s}
< the tree {s} had dropped an apple {o}
! let an apple fall
! drop an apple
! let an apple fall {o} from the tree {s}

# tree_bares
Snow falls, and the tree {s} is bare again.
The cold snow strips the tree {s} bare.
The tree {s} lets all fall and stands bare.
Winter takes what was on the tree {s}.
Nothing stays on the tree {s}, for the snow is heavy.
The snowy tree {s} drops all that it wore.
The tree {s} loses everything in the snow.
In the snow the tree {s} stands bare.
< the snow had made the tree {s} bare
< the tree {s} had become bare
! make the tree bare
! let the tree become bare
! let the tree {s} become bare

# egg_cracks
The {c} egg {s} cracks in the warm sun.
The {c} egg {s} moves, and its shell cracks.
Crack, says the {c} egg {s}.
The shell of the {c} egg {s} begins to break.
Listen, the {c} egg {s} makes a cracking sound.
Something knocks inside, and the {c} egg {s} cracks.
A crack runs over the {c} egg {s}.
Warm in the sun, the {c} egg {s} gets a crack.
< the {c} egg {s} had cracked
< a crack had run over the {c} egg {s}
! crack the {c} egg
! let the {c} egg crack
! let the {c} egg {s} crack

# chick_hatches
A chick hatches from the {c} egg {s}.
The cracked {c} egg {s} breaks, and a chick is born.
The {c} egg {s} opens, and a fluffy chick looks out.
A fluffy chick leaves the {c} egg {s}.
Peep, a chick steps out of the {c} egg {s}.
Say hello to the chick from the {c} egg {s}.
Out of the {c} egg {s} climbs a small chick.
The {c} shell {s} falls off, and there sits a chick.
< a chick had hatched from the {c} egg {s}
< the {c} egg {s} had opened, and a chick was born
! let the chick hatch
! let the {c} egg hatch
! let the {c} egg {s} hatch

# chick_eats_seed
The chick {s} eats the seed {o} and becomes a {c} bird.
After eating the seed {o}, the chick {s} is a {c} bird.
Peck, peck, the chick {s} eats the seed {o}, now a {c} bird.
The seed {o} feeds the chick {s}, which turns {c}, a grown bird.
The hungry chick {s} takes the seed {o}, a {c} bird at last.
Fed by the seed {o}, the chick {s} grows {c} feathers.
The chick {s} picks up the seed {o} and grows into a {c} bird.
A {c} bird is what the chick {s} becomes after the seed {o}.
< the chick {s} had eaten the seed {o} and become a {c} bird
< the seed {o} had turned the chick {s} into a {c} bird
! let the chick eat the seed
! let the chick become a {c} bird
! let the chick {s} eat the seed {o}

# bird_flies_off
The {c} bird {s} flies off with the wind.
The {c} bird {s} spreads its wings and flies away.
Up goes the {c} bird {s} into the windy sky.
The wind calls, and the {c} bird {s} flies off.
Away flies the {c} bird {s} on the strong wind.
Riding the wind, the {c} bird {s} leaves us.
A gust carries the {c} bird {s} away.
Goodbye, {c} bird {s}, the wind takes you far.
< the {c} bird {s} had flown off
< the wind had carried the {c} bird {s} away
! let the {c} bird fly away
! let the {c} bird fly off
! let the {c} bird {s} fly off

# bird_returns
The {c} bird comes back and lands {s}.
Out of the clear sky the {c} bird comes back {s}.
Look {s}, the {c} bird is back.
The {c} bird has found its way back and sits {s}.
Welcome back, {c} bird, your place is {s}.
After its long flight the {c} bird rests {s}.
Home again, the {c} bird sits down {s}.
The {c} bird returns from far away and lands {s}.
< the {c} bird had come back {s}
< the {c} bird had returned and landed {s}
! let the {c} bird come back
! let the {c} bird return
! let the {c} bird come back {s}

# bird_sleeps
The {c} bird {s} falls asleep.
The {c} bird {s} puts its head under its wing.
In the dark the {c} bird {s} goes to sleep.
Good night, says the {c} bird {s} and sleeps.
Fluffed up and warm, the {c} bird {s} starts to dream.
The {c} bird {s} sleeps while the stars shine.
It is night, and the {c} bird {s} sleeps.
The tired {c} bird {s} closes its eyes.
< the {c} bird {s} had fallen asleep
< the {c} bird {s} had gone to sleep
! let the {c} bird sleep
! let the {c} bird fall asleep
! let the {c} bird {s} sleep

# bird_wakes
The {c} bird {s} wakes up.
The {c} bird {s} opens its eyes and sings.
The rested {c} bird {s} wakes in the light.
In the morning the {c} bird {s} wakes and sings.
Good morning, says the {c} bird {s} and wakes.
Tweet, the {c} bird {s} has slept enough.
It is day, and the {c} bird {s} is awake.
The {c} bird {s} shakes its wings after a good sleep.
< the {c} bird {s} had woken up
< the {c} bird {s} had opened its eyes
! wake the {c} bird
! let the {c} bird wake up
! let the {c} bird {s} wake up
"""
