"""The sentences for sky, snow, water and lamp. Data only; phrases.py says how a line is read."""

from __future__ import annotations

TEXT = """
# rain_starts
Dark clouds gather, and soft rain begins to fall.
It starts to rain all over the quiet land.
Grey clouds roll in and bring the rain.
Rain begins, and every little drop makes a sound.
The clear sky fills with clouds, and rain comes down.
A gentle rain sets in and wets the ground.
The first drops fall, and soon it is raining.
Now the clouds open, and the rain starts.
< the rain had begun
< it had started to rain
! make it rain
! let it rain
! let the rain begin

# rain_stops
The rain stops, and the sky clears again.
It stops raining, and the air smells fresh.
The rain is over, and the sky turns clear.
Slowly the rain ends, and the clouds part.
No more drops fall, for the rain has ended.
The clouds drift off, and the rain is done.
The last drops fall, and the clouds move on.
Now the rain grows thin and stops.
< the rain had stopped
< it had stopped raining
! stop the rain
! let the rain stop
! let the rain end

# snow_starts
Soft white flakes begin to fall from the sky.
It starts to snow on the high mountain.
The first flakes of snow dance through the air.
Snow begins to fall, quiet and white.
Cold clouds gather and bring the snow.
The air turns cold, and snow comes down.
Now white flakes drift down, for it is snowing.
A gentle snow sets in and covers the ground.
< the snow had begun
< it had started to snow
! make it snow
! let it snow
! let the snow begin

# snow_stops
The snow stops, and the sky clears again.
The last flakes fall, and the clouds move on.
It stops snowing, and the air is still.
The snow is over, and the sky turns clear.
Slowly the snow ends, and the cold clouds part.
No more flakes fall, for the snow has ended.
Now the snow grows thin and stops.
The clouds drift off, and the snow is done.
< the snow had stopped
< it had stopped snowing
! stop the snow
! let the snow stop
! let the snow end

# wind_rises
A strong wind rises and rushes over the land.
The wind begins to blow, and everything sways.
Suddenly a wind comes up and whistles around.
It gets windy, and the grass bends low.
A fresh wind starts to blow across the land.
A gust comes first, and then a steady wind.
The still air moves, and a wind rises.
Now the wind wakes up and blows hard.
< the wind had come up
< it had become windy
! make the wind blow
! let the wind blow
! let a wind rise

# wind_drops
The wind drops, and the air is still again.
The wind grows weak and dies down.
It stops blowing, and all is calm.
The last gust passes, and the wind is over.
Slowly the wind lies down to rest.
No more wind blows, and the grass stands still.
Now the wind is tired and stops.
A calm comes over the land as the wind ends.
< the wind had dropped
< the wind had died down
! stop the wind
! let the wind drop
! let the wind stop

# sunset
The sun goes down, and night falls.
The sun sets, and the stars come out.
Evening comes, and the sky turns dark.
The day ends, and the moon climbs up.
Slowly the sun sinks, and it gets dark.
The light fades, and night covers the land.
Now the sun says good night and sinks away.
Day turns into night under the first stars.
< the sun had set
< night had fallen
! make it night
! let the sun set
! let night fall

# sunrise
The sun comes up, and a new day begins.
The sun rises, and the stars fade.
Morning comes, and the sky turns bright.
The night ends, and warm light fills the land.
Slowly the sun climbs up, and it gets light.
The moon goes down, and day begins.
Now the sun says good morning and shines.
Night turns into day as the sun looks out.
< the sun had come up
< a new day had begun
! make it day
! let the sun rise
! let the day begin

# snowman_built
The bear {s} builds a {c} snowman {o}.
The bear {s} rolls up snow, and a {c} snowman stands {o}.
A {c} snowman goes up {o}, built by the bear {s}.
With busy paws the bear {s} shapes a {c} snowman {o}.
The happy bear {s} gives us a {c} snowman {o}.
The bear {s} works hard until a {c} snowman stands {o}.
Out of fresh snow the bear {s} makes a {c} snowman {o}.
Snow becomes a {c} snowman {o} in the paws of the bear {s}.
< the bear {s} had built a {c} snowman {o}
< a {c} snowman had been made {o} by the bear {s}
! build a {c} snowman
! let the bear build a {c} snowman
! let the bear build a {c} snowman {o}

# snowman_melts
The {c} snowman {s} melts into a puddle.
In the warm sun the {c} snowman {s} melts away.
The {c} snowman {s} gets smaller and turns into water.
Drop by drop, the {c} snowman {s} becomes a puddle.
The sun shines, and the {c} snowman {s} melts.
Only a puddle remains of the {c} snowman {s}.
The {c} snowman {s} grows soft and runs into a puddle.
Too warm now, the {c} snowman {s} turns into a puddle.
< the {c} snowman {s} had melted
< the {c} snowman {s} had turned into a puddle
! melt the {c} snowman
! let the {c} snowman melt
! let the {c} snowman {s} melt

# puddle_draws_duck
A duck comes to swim in the puddle {s}.
The puddle {s} gets a visit from a duck.
A happy duck paddles on the puddle {s}.
Along comes a duck and sits on the puddle {s}.
The water of the puddle {s} calls a duck.
Soon a duck is swimming round in the puddle {s}.
A little duck lands on the puddle {s}.
Look, a duck splashes down on the puddle {s}.
< a duck had come to the puddle {s}
< a duck had landed on the puddle {s}
! bring a duck
! let a duck come to the puddle
! let a duck come to the puddle {s}

# puddle_draws_frog
A frog jumps into the puddle {s}.
A happy frog sits down in the puddle {s}.
Along comes a frog and splashes into the puddle {s}.
The rain calls a frog to the puddle {s}.
Look, a frog lands with a splash in the puddle {s}.
Soon a frog is sitting in the wet puddle {s}.
A little frog comes to the puddle {s} in the rain.
The puddle {s} gets a visit from a frog.
< a frog had come to the puddle {s}
< a frog had jumped into the puddle {s}
! bring a frog
! let a frog come to the puddle
! let a frog come to the puddle {s}

# frog_hops_off
The frog hops out of the puddle {s}.
The frog hops away, and the puddle {s} is empty.
Off hops the frog from the puddle {s}.
The rain is over, so the frog leaves the puddle {s}.
The puddle {s} lies still, for the frog has hopped away.
The frog says goodbye to the puddle {s} and jumps off.
With one big jump the frog leaves the puddle {s}.
Hop, hop, the frog is gone from the puddle {s}.
< the frog had left the puddle {s}
< the frog had hopped out of the puddle {s}
! let the frog hop away
! let the frog leave
! let the frog leave the puddle {s}

# duck_leaves
The duck leaves the puddle {s} for the night.
It is late, and the duck swims off the puddle {s}.
Away goes the duck from the dark puddle {s}.
The tired duck flies home from the puddle {s}.
The puddle {s} lies still, for the duck has gone home.
The duck looks for a nest and leaves the puddle {s}.
The duck goes home, and the puddle {s} is empty.
Good night, says the duck, and leaves the puddle {s}.
< the duck had left the puddle {s}
< the duck had gone home from the puddle {s}
! let the duck go home
! let the duck leave
! let the duck leave the puddle {s}

# puddle_freezes
The puddle {s} freezes into smooth ice.
It is so cold that the puddle {s} turns to ice.
Ice covers the puddle {s} in the snow.
The water of the puddle {s} becomes hard and white.
Slowly the cold puddle {s} freezes over.
The snow makes the puddle {s} stiff with ice.
Crack, the puddle {s} is frozen all over.
The puddle {s} grows cold and freezes hard.
< the puddle {s} had frozen
< the puddle {s} had turned to ice
! freeze the puddle
! let the puddle freeze
! let the puddle {s} freeze

# ice_thaws
The ice {s} thaws and becomes a puddle again.
The frozen puddle {s} melts in the sun.
The ice {s} gets thin and thaws.
Slowly the ice {s} melts into water.
Warm light turns the ice {s} back into water.
Drip, drip, the ice {s} is water again.
In the warm sun the ice {s} turns to water.
The frozen puddle {s} grows soft and thaws.
< the ice {s} had thawed
< the ice {s} had turned back into water
! thaw the ice
! let the ice thaw
! let the ice {s} thaw

# rain_makes_puddle
The rain makes a new puddle {s}.
So much rain falls that a puddle grows {s}.
The wet ground holds a puddle {s} now.
Drop by drop, a puddle appears {s}.
Splash, the rain leaves a wide puddle {s}.
Rainwater runs together and forms a puddle {s}.
Raindrops gather in a puddle {s}.
A puddle fills with rain {s}.
< the rain had made a puddle {s}
< a puddle had filled with rain {s}
! make a puddle
! let the rain make a puddle
! let the rain make a puddle {s}

# lamp_lights
A lamp lights up in the {c} house {s}.
The windows of the {c} house {s} begin to glow.
In the {c} house {s} someone lights the lamp.
Warm light shines from the {c} house {s}.
The {c} house {s} switches on its lamp for the night.
The lamp of the {c} house {s} glows in the dark.
It is dark, so the {c} house {s} lights its lamp.
Look, the {c} house {s} has light in its windows.
< the lamp had been lit in the {c} house {s}
< the {c} house {s} had lit its lamp
! light the lamp
! let the {c} house light its lamp
! let the {c} house {s} light its lamp

# lamp_goes_out
The lamp goes out in the {c} house {s}.
The windows of the {c} house {s} turn dark.
No light shines from the {c} house {s} any more.
The {c} house {s} switches off its lamp for the day.
Look, the {c} house {s} needs no lamp now.
The lamp of the {c} house {s} stops glowing in the morning.
It is day, so the {c} house {s} puts out its lamp.
In the {c} house {s} someone puts out the lamp.
< the lamp had gone out in the {c} house {s}
< the {c} house {s} had put out its lamp
! put out the lamp
! let the {c} house put out its lamp
! let the {c} house {s} put out its lamp
"""
