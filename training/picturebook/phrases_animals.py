"""The sentences for cat and bear. Data only; phrases.py says how a line is read."""

from __future__ import annotations

TEXT = """
# cat_startles
The loud bang scares the cat {s}, and it runs away.
Scared by the bang, the cat {s} runs far away.
The cat {s} hears the bang and flees.
In one jump the cat {s} flees from the noise.
Such a noise makes the cat {s} run for its life.
Off shoots the cat {s}, frightened by the bang.
The cat {s} jumps up at the bang and runs off.
What a bang, and the cat {s} is gone.
< the bang had scared the cat {s} away
< the cat {s} had run away from the bang
! scare the cat
! let the cat run away
! let the cat {s} run away

# cat_returns
The cat comes back and sits down {s}.
The cat has come home and is {s} now.
Look {s}, the cat is back.
No longer scared, the cat sits {s} again.
Welcome back, dear cat, says the place {s}.
The cat peeps around and then returns {s}.
All is quiet, so the cat returns {s}.
On soft paws the cat comes back {s}.
< the cat had come back {s}
< the cat had returned and sat {s}
! let the cat come back
! let the cat return
! let the cat come back {s}

# cat_sleeps
The cat {s} falls asleep.
The cat {s} rolls up and closes its eyes.
The tired cat {s} goes to sleep.
In the dark the cat {s} begins to dream.
Softly the cat {s} purrs and falls asleep.
Curled up and warm, the cat {s} sleeps.
It is night, and the cat {s} sleeps.
Good night, says the cat {s} and rolls up.
< the cat {s} had fallen asleep
< the cat {s} had gone to sleep
! let the cat sleep
! let the cat fall asleep
! let the cat {s} sleep

# cat_wakes
The cat {s} wakes up.
The cat {s} opens its eyes and stretches.
The rested cat {s} gets up.
In the light the cat {s} wakes from its dream.
Softly the cat {s} stands up and stretches.
With a long stretch, the cat {s} is up again.
It is day, and the cat {s} is awake.
Good morning, says the cat {s} and wakes.
< the cat {s} had woken up
< the cat {s} had opened its eyes
! wake the cat
! let the cat wake up
! let the cat {s} wake up

# cat_chases_bird
The cat {s} chases the {c} bird {o} away.
With a jump the cat {s} scares off the {c} bird {o}.
The {c} bird {o} sees the cat {s} and flies off.
Here comes the cat {s}, and away goes the {c} bird {o}.
The cat {s} only wants to play, but the {c} bird {o} leaves.
Quick, {c} bird {o}, the cat {s} is hunting you away.
The cat {s} jumps, and the {c} bird {o} flies away.
The {c} bird {o} flees from the cat {s}.
< the cat {s} had chased the {c} bird {o} away
< the {c} bird {o} had fled from the cat {s}
! chase the {c} bird away
! let the cat chase the {c} bird
! let the cat {s} chase the {c} bird {o}

# cat_shelters
The wet cat {s} runs into the house {o}.
The cat {s} hides from the rain in the house {o}.
Into the dry house {o} runs the cat {s}.
The house {o} gives the cat {s} a dry place.
The cat {s} does not like rain and enters the house {o}.
Through the door of the house {o} slips the cat {s}.
It rains, so the cat {s} goes into the house {o}.
Dry at last, the cat {s} is inside the house {o}.
< the cat {s} had gone into the house {o}
< the cat {s} had hidden from the rain in the house {o}
! let the cat go inside
! let the cat go into the house
! let the cat {s} go into the house {o}

# cat_comes_out
The cat comes out of the house {s} and sits {o}.
The rain is over, and the cat leaves the house {s} to sit {o}.
Out of the house {s} walks the cat and stays {o}.
The house {s} opens its door, and the cat walks {o}.
From the house {s} the dry cat comes out {o}.
Into the sun {o} steps the cat from the house {s}.
The cat has had enough of the house {s} and goes {o}.
Here is the cat again {o}, fresh from the house {s}.
< the cat had come out of the house {s} and sat {o}
< the cat had left the house {s} and gone {o}
! let the cat come out
! let the cat leave the house
! let the cat come out of the house {s} and sit {o}

# bear_sleeps
The bear {s} falls asleep.
It is night, and the bear {s} sleeps.
The bear {s} lies down and closes its eyes.
The tired bear {s} goes to sleep.
In the dark the bear {s} begins to snore.
The big bear {s} yawns and falls asleep.
Good night, says the bear {s} and lies down.
Snoring softly, the bear {s} sleeps.
< the bear {s} had fallen asleep
< the bear {s} had gone to sleep
! let the bear sleep
! let the bear fall asleep
! let the bear {s} sleep

# bear_wakes
The bear {s} wakes up.
It is day, and the bear {s} is awake.
The bear {s} opens its eyes and stands up.
The rested bear {s} gets up.
In the light the bear {s} stops snoring.
The big bear {s} yawns and wakes.
Good morning, says the bear {s} and gets up.
No more snoring, for the bear {s} is up.
< the bear {s} had woken up
< the bear {s} had opened its eyes
! wake the bear
! let the bear wake up
! let the bear {s} wake up

# bear_shelters
The wet bear {s} goes into the house {o}.
It rains, so the bear {s} walks into the house {o}.
Into the dry house {o} walks the bear {s}.
The house {o} gives the bear {s} a dry place.
The bear {s} does not like rain and enters the house {o}.
Through the door of the house {o} squeezes the bear {s}.
The bear {s} hides from the rain in the house {o}.
Dry at last, the bear {s} is inside the house {o}.
< the bear {s} had gone into the house {o}
< the bear {s} had hidden from the rain in the house {o}
! let the bear go inside
! let the bear go into the house
! let the bear {s} go into the house {o}

# bear_comes_out
The bear comes out of the house {s} and stands {o}.
The rain is over, and the bear leaves the house {s} to stand {o}.
Out of the house {s} walks the bear and stays {o}.
The house {s} opens its door, and the bear walks {o}.
From the house {s} the dry bear comes out {o}.
Into the sun {o} steps the bear from the house {s}.
The bear has had enough of the house {s} and goes {o}.
Here is the bear again {o}, fresh from the house {s}.
< the bear had come out of the house {s} and stood {o}
< the bear had left the house {s} and gone {o}
! let the bear come out
! let the bear leave the house
! let the bear come out of the house {s} and stand {o}

# bear_arrives
A bear comes along and stops {s}.
A friendly bear walks in and stays {s}.
Look {s}, a bear has arrived.
A bear on a walk finds a place {s}.
Who is that big friend {s}, it is a bear.
Slowly a bear trots in and rests {s}.
Hello, a bear has come and stands {s}.
Along comes a big bear, who sits down {s}.
< a bear had come along and stopped {s}
< a bear had arrived {s}
! bring a bear
! let a bear come along
! let a bear come {s}

# bear_eats_apple
The bear {s} eats the apple {o}.
The apple {o} tastes good to the bear {s}.
Crunch, the bear {s} bites into the apple {o}.
The bear {s} likes the apple {o} and eats it all.
Soon the apple {o} is inside the happy bear {s}.
What a meal for the bear {s}, the apple {o} is gone.
The hungry bear {s} picks up the apple {o} and eats it.
Nothing stays of the apple {o}, for the bear {s} was hungry.
< the bear {s} had eaten the apple {o}
< the apple {o} had been eaten by the bear {s}
! eat the apple
! let the bear eat the apple
! let the bear {s} eat the apple {o}
"""
