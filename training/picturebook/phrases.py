"""All sentences of the picture-book language, read from its data files.

In a data file `# rule` opens a rule; plain lines tell what happens next (eight, the last two held out), `<` lines say
it as the past (two), `!` lines are instructions (three). Fields: {c} colour, {s} the event's slot, {o} its other slot.
Knows nothing of worlds, and nothing of how a sentence is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training.picturebook import phrases_animals, phrases_growing, phrases_sky, phrases_toys

SLOT_PHRASES = ("on the left", "in the middle", "on the right")


@dataclass
class Phrases:
    tell: list[str] = field(default_factory=list)
    past: list[str] = field(default_factory=list)
    instruct: list[str] = field(default_factory=list)


def _read(text: str) -> dict[str, Phrases]:
    found: dict[str, Phrases] = {}
    rule = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("# "):
            rule = line[2:]
            found[rule] = Phrases()
        elif line.startswith("< "):
            found[rule].past.append(line[2:])
        elif line.startswith("! "):
            found[rule].instruct.append(line[2:])
        else:
            found[rule].tell.append(line)
    return found


PARAPHRASES: dict[str, Phrases] = {
    rule: phrases
    for data in (phrases_sky, phrases_growing, phrases_animals, phrases_toys)
    for rule, phrases in _read(data.TEXT).items()
}

# what came before: frame number = variant, the past clauses take turns
PAST_FRAMES = (
    "Before this, {past}.",
    "Just before, {past}.",
    "A moment ago {past}.",
    "Earlier, {past}.",
    "In the last scene {past}.",
    "One scene ago {past}.",
    "Not long ago {past}.",
    "Right before this scene, {past}.",
)
NO_PAST = (
    "Nothing came before, for the story begins here.",
    "This is where the story begins.",
    "The story begins with this scene.",
    "Before this there was nothing.",
    "This is the first scene of the story.",
    "Nothing has happened yet.",
    "Here the story begins, and nothing came before.",
    "This scene is the first.",
)

# what is seen: sky, then the things from left to right
PLACE_PHRASES = {"meadow": "on the meadow", "shore": "at the shore", "mountain": "on the mountain"}
WEATHER_ADJECTIVES = {"clear": "clear", "rain": "rainy", "snow": "snowy", "wind": "windy"}
WEATHER_CLAUSES = {
    "clear": "the sky is clear",
    "rain": "it is raining",
    "snow": "it is snowing",
    "wind": "the wind blows",
}
SKY_FRAMES = (
    "It is a {adjective} {light} {place}.",
    "It is {light} {place}, and {clause}.",
    "This is a {adjective} {light} {place}.",
    "{place} it is {light}, and {clause}.",
    "We are {place} on a {adjective} {light}.",
    "{place} we see a {adjective} {light}.",
    "Here {place} it is a {adjective} {light}.",
    "The {light} is {adjective} {place}.",
)
THING_FRAMES = (
    "{thing} is {s}.",
    "{s} there is {thing}.",
    "There is {thing} {s}.",
    "{s} we see {thing}.",
    "You can see {thing} {s}.",
    "{thing} has its place {s}.",
    "{s} you can see {thing}.",
    "Here is {thing} {s}.",
)
NOTHING_FRAMES = (
    "Nothing is here yet.",
    "There is nothing here yet.",
    "Nothing has its place here yet.",
    "We see nothing here yet.",
    "You can see nothing here yet.",
    "Here there is nothing yet.",
    "Here we see nothing yet.",
    "Here you can see nothing yet.",
)
THING_PHRASES: dict[tuple[str, str], tuple[str, str]] = {
    ("plant", "seed"): ("a {c} seed", "a small {c} seed"),
    ("plant", "sprout"): ("a sprout", "a small sprout"),
    ("plant", "flower"): ("a {c} flower", "an open {c} flower"),
    ("plant", "closed"): ("a closed {c} flower", "a {c} flower with closed petals"),
    ("plant", "wilted"): ("a wilted {c} flower", "a {c} flower that has wilted"),
    ("bird", "egg"): ("a {c} egg", "a smooth {c} egg"),
    ("bird", "cracked"): ("a cracked {c} egg", "a {c} egg with a crack"),
    ("bird", "chick"): ("a chick", "a fluffy chick"),
    ("bird", "grown"): ("a {c} bird", "a {c} bird that is awake"),
    ("bird", "asleep"): ("a sleeping {c} bird", "a {c} bird that sleeps"),
    ("snowman", "standing"): ("a {c} snowman", "a big {c} snowman"),
    ("puddle", "water"): ("a puddle", "a puddle of water"),
    ("puddle", "ice"): ("a frozen puddle", "a puddle of ice"),
    ("puddle", "duck"): ("a puddle with a duck", "a duck in a puddle"),
    ("puddle", "frog"): ("a puddle with a frog", "a frog in a puddle"),
    ("ball", "resting"): ("a {c} ball", "a round {c} ball"),
    ("blocks", "tower"): ("a tower of {c} blocks", "a tall {c} tower"),
    ("blocks", "fallen"): ("a heap of {c} blocks", "a fallen {c} tower"),
    ("candle", "lit"): ("a burning candle", "a candle with a flame"),
    ("candle", "out"): ("a candle without a flame", "a candle that is out"),
    ("balloon", "floating"): ("a {c} balloon", "a round {c} balloon"),
    ("cat", "awake"): ("a cat", "a cat that is awake"),
    ("cat", "asleep"): ("a sleeping cat", "a cat that sleeps"),
    ("house", "dark"): ("a dark {c} house", "a {c} house without light"),
    ("house", "lit"): ("a {c} house with a lamp", "a {c} house with light"),
    ("box", "closed"): ("a closed {c} box", "a {c} box with a closed lid"),
    ("box", "open"): ("an open {c} box", "a {c} box with an open lid"),
    ("bear", "awake"): ("a bear", "a bear that is awake"),
    ("bear", "asleep"): ("a sleeping bear", "a bear that sleeps"),
    ("tree", "bare"): ("a bare tree", "a tree without leaves"),
    ("tree", "blossom"): ("a tree with blossom", "a tree full of blossom"),
    ("tree", "apples"): ("a tree with apples", "a tree full of apples"),
    ("apple", "whole"): ("an apple", "a round apple"),
    ("bee", "flying"): ("a bee", "a humming bee"),
}
