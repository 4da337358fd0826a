"""The sentences for ball, blocks, box, candle and balloon. Data only; phrases.py says how a line is read."""

from __future__ import annotations

TEXT = """
# ball_topples_blocks
The wind pushes the ball {s}, and the {c} tower {o} falls.
The ball {s} rolls against the {c} blocks {o}, and they fall.
Pushed by the wind, the ball {s} knocks over the {c} blocks {o}.
The ball {s} bumps the {c} blocks {o}, and down they come.
A gust sends the ball {s} into the {c} tower {o}, which falls.
Boom, the {c} tower {o} is hit by the ball {s}.
The {c} tower {o} falls because the ball {s} hits it.
Down come the {c} blocks {o}, hit by the windy ball {s}.
< the ball {s} had knocked over the {c} blocks {o}
< the {c} tower {o} had fallen because of the ball {s}
! let the ball knock over the {c} blocks
! let the ball hit the {c} tower
! let the ball {s} knock over the {c} blocks {o}

# cat_topples_blocks
The cat {s} knocks over the {c} tower {o}.
With one paw the cat {s} makes the {c} blocks {o} fall.
The cat {s} plays, and the {c} blocks {o} fall down.
The cat {s} bumps the {c} tower {o}, and down it comes.
A push from the cat {s}, and the {c} tower {o} falls.
Oh no, the cat {s} throws down the {c} blocks {o}.
The {c} tower {o} falls because the cat {s} touches it.
Down come the {c} blocks {o}, thanks to the cat {s}.
< the cat {s} had knocked over the {c} blocks {o}
< the {c} tower {o} had fallen because of the cat {s}
! let the cat knock over the {c} blocks
! let the cat hit the {c} tower
! let the cat {s} knock over the {c} blocks {o}

# ball_rolls
The wind rolls the {c} ball {s} to a new place {o}.
The {c} ball {s} rolls away and stops {o}.
A gust moves the {c} ball from its place {s}, now it is {o}.
Blown by the wind, the {c} ball {s} comes to rest {o}.
The {c} ball {s} starts to roll and ends up {o}.
From its place {s} the {c} ball rolls until it lies {o}.
Roll, {c} ball {s}, and come to a stop {o}.
Over the ground goes the {c} ball {s} and stays {o}.
< the {c} ball {s} had rolled until it lay {o}
< the wind had rolled the {c} ball {s} to its place {o}
! roll the {c} ball
! let the {c} ball roll
! let the {c} ball {s} roll and stop {o}

# bear_builds
The bear {s} builds a tower from the {c} blocks {o}.
Block by block, the bear {s} builds the {c} tower {o}.
The {c} blocks {o} become a tower, built by the bear {s}.
The bear {s} picks up the {c} blocks {o} and makes a tower.
With careful paws the bear {s} stacks the {c} blocks {o}.
Up goes the {c} tower {o}, for the bear {s} is a builder.
The bear {s} stacks up the {c} blocks {o} again.
The bear {s} puts the fallen {c} blocks {o} back together.
< the bear {s} had built a tower from the {c} blocks {o}
< the bear {s} had stacked up the {c} blocks {o}
! stack the {c} blocks
! let the bear stack the {c} blocks
! let the bear {s} stack the {c} blocks {o}

# ball_into_box
The bear puts the {c} ball {s} into the box {o}.
Into the open box {o} the bear drops the {c} ball {s}.
The bear tidies up the {c} ball {s} in the box {o}.
The box {o} swallows the {c} ball {s} and is closed.
The bear packs the {c} ball {s} away in the box {o}.
Time to tidy up, so the {c} ball {s} fills the box {o}.
The {c} ball {s} goes into the box {o}, and the lid closes.
Under the lid of the box {o} goes the {c} ball {s}.
< the bear had put the {c} ball {s} into the box {o}
< the {c} ball {s} had gone into the box {o}
! put the {c} ball into the box
! let the bear put away the {c} ball
! let the bear put the {c} ball {s} into the box {o}

# ball_from_box
The bear opens the box {s} and puts the {c} ball {o}.
Out of the box {s} comes the {c} ball and lies {o}.
The bear takes the {c} ball from the box {s} and lays it {o}.
The box {s} opens, and the {c} ball is back {o}.
From the box {s} the bear brings the {c} ball {o}.
The {c} ball leaves the box {s} and lands {o}.
Time to play, so the {c} ball from the box {s} lies {o}.
The lid of the box {s} lifts, and the {c} ball hops {o}.
< the bear had taken the {c} ball from the box {s} and laid it {o}
< the {c} ball had come out of the box {s} and lay {o}
! take out the {c} ball
! let the bear take the {c} ball from the box
! let the bear take the {c} ball from the box {s} and lay it {o}

# box_opens_empty
The bear opens the {c} box {s}, but it is empty.
The bear looks into the {c} box {s} and finds nothing.
The lid of the {c} box {s} goes up, but it is empty.
Open now, the {c} box {s} shows that it is empty.
The bear lifts the lid of the empty {c} box {s}.
Curious, the bear peeps into the empty {c} box {s}.
The {c} box {s} is opened, and nothing is inside.
What is in the {c} box {s}, nothing, sees the bear.
< the bear had opened the empty {c} box {s}
< the {c} box {s} had been opened and was empty
! open the {c} box
! let the bear open the {c} box
! let the bear open the {c} box {s}

# box_slams
The wind slams the {c} box {s} shut.
A gust closes the lid of the {c} box {s}.
The lid of the {c} box {s} falls shut in the wind.
Slam, the {c} box {s} is closed by the wind.
The {c} box {s} shuts with a slam.
The wind blows, and the {c} box {s} closes.
One strong gust, and the {c} box {s} is shut.
The open {c} box {s} loses to the wind and closes.
< the wind had slammed the {c} box {s} shut
< the {c} box {s} had been closed by the wind
! close the {c} box
! let the wind close the {c} box
! let the wind close the {c} box {s}

# balloon_pops
The {c} balloon {s} pops at the flame of the candle {o}.
The candle {o} is too hot, and the {c} balloon {s} pops.
Bang, the {c} balloon {s} touches the candle {o} and bursts.
The flame of the candle {o} makes the {c} balloon {s} burst.
The {c} balloon {s} comes too near the candle {o} and bursts.
Pop goes the {c} balloon {s} beside the candle {o}.
With a bang the candle {o} pops the {c} balloon {s}.
Hot candle {o}, goodbye {c} balloon {s}, says the bang.
< the {c} balloon {s} had popped at the candle {o}
< the candle {o} had made the {c} balloon {s} burst
! pop the {c} balloon
! let the {c} balloon pop
! let the {c} balloon {s} pop at the candle {o}

# balloon_floats_off
The {c} balloon {s} floats off with the wind.
The wind takes the {c} balloon {s} up into the sky.
Up goes the {c} balloon {s} on the strong wind.
The {c} balloon {s} pulls free and drifts away.
Away floats the {c} balloon {s} through the windy air.
Higher and higher, the {c} balloon {s} drifts from sight.
A gust carries the {c} balloon {s} away.
Goodbye, {c} balloon {s}, the wind takes you high.
< the {c} balloon {s} had floated off
< the wind had carried the {c} balloon {s} away
! let the {c} balloon fly away
! let the {c} balloon float off
! let the {c} balloon {s} float off

# balloon_returns
The {c} balloon comes back and floats {s}.
The {c} balloon returns from far away and stays {s}.
Slowly the {c} balloon drifts back and stops {s}.
Look {s}, the {c} balloon is back.
The {c} balloon has found its way home and hangs {s}.
After its long trip the {c} balloon floats {s} again.
Out of the clear sky the {c} balloon sinks down {s}.
Welcome back, {c} balloon, your place is {s}.
< the {c} balloon had come back {s}
< the {c} balloon had returned and floated {s}
! let the {c} balloon come back
! let the {c} balloon return
! let the {c} balloon come back {s}

# rain_douses_candle
The rain puts out the candle {s}.
The candle {s} goes out in the rain.
A drop hits the flame of the candle {s} and ends it.
The wet candle {s} can not burn any more.
In the rain the candle {s} loses its flame.
Hiss, says the candle {s} in the rain and is out.
Raindrops fall on the candle {s}, and its flame dies.
Too much rain falls, and the candle {s} stops burning.
< the rain had put out the candle {s}
< the candle {s} had gone out in the rain
! let the rain put out the candle
! put out the candle with rain
! let the rain put out the candle {s}

# wind_douses_candle
The wind blows out the candle {s}.
A gust hits the candle {s}, and its flame dies.
The candle {s} goes out in the wind.
Puff, the wind ends the flame of the candle {s}.
The wind is too strong for the candle {s}.
In the wind the candle {s} loses its flame.
One gust is enough, and the candle {s} is out.
The flame of the candle {s} bends in the wind and dies.
< the wind had blown out the candle {s}
< the candle {s} had gone out in the wind
! let the wind blow out the candle
! put out the candle with wind
! let the wind blow out the candle {s}

# bear_lights_candle
The bear {s} lights the candle {o}.
With a match the bear {s} lights the candle {o}.
The candle {o} burns, lit by the bear {s}.
The bear {s} gives the candle {o} a warm flame.
The bear {s} does not like the dark and lights the candle {o}.
Let there be light, says the bear {s} to the candle {o}.
It is dark, so the bear {s} lights the candle {o}.
A small flame on the candle {o} makes the bear {s} happy.
< the bear {s} had lit the candle {o}
< the candle {o} had been lit by the bear {s}
! light the candle
! let the bear light the candle
! let the bear {s} light the candle {o}

# bear_blows_out
The bear {s} blows out the candle {o}.
The candle {o} goes out, blown out by the bear {s}.
The bear {s} breathes on the candle {o} until it is out.
Puff, makes the bear {s}, and the candle {o} is out.
Nobody needs the candle {o} by day, thinks the bear {s}.
The bear {s} saves the candle {o} for the night.
It is day, so the bear {s} puts out the candle {o}.
With one puff the bear {s} ends the flame of the candle {o}.
< the bear {s} had blown out the candle {o}
< the candle {o} had been put out by the bear {s}
! let the bear blow out the candle
! let the bear put out the candle
! let the bear {s} blow out the candle {o}
"""
