"""What one look of the picture book consists of: its things, their colours, their shadows and the sky behind.

Knows nothing of motion or of worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from training.picturebook import backdrop, sprites_animals, sprites_growing, sprites_toys
from training.picturebook.palette import COLOUR, NO_COLOUR, RGB
from training.picturebook.pen import Pen
from training.picturebook.world import COLOUR_HIDDEN

Sprite = Callable[[Pen], None]  # draws with its base at (0, 0) in pen.colour, at pen.beat
LIVELY = frozenset({("bee", "flying"), ("candle", "lit")})  # sprites that look at the beat


@dataclass(frozen=True)
class Style:
    """`sprites` by (kind, state); `shadow` is the half width of a thing's shadow, 18 unless told."""

    name: str
    colours: Mapping[str, RGB]
    sprites: Mapping[tuple[str, str], Sprite]
    sky: Callable[[Pen, backdrop.Sky], None]
    shadow: Mapping[tuple[str, str], float] = field(default_factory=dict)
    burst: RGB = (255, 240, 170)

    def colour(self, kind: str, state: str, name: str | None) -> RGB:
        hidden = name is None or (kind, state) in COLOUR_HIDDEN
        return NO_COLOUR if hidden else self.colours[str(name)]


HOUSE = Style(
    name="house",
    colours=COLOUR,
    sprites={**sprites_growing.SPRITES, **sprites_animals.SPRITES, **sprites_toys.SPRITES},
    sky=backdrop.draw,
    shadow={
        ("balloon", "floating"): 9,
        ("bee", "flying"): 11,
        ("puddle", "water"): 0,
        ("puddle", "ice"): 0,
        ("puddle", "duck"): 0,
        ("puddle", "frog"): 0,
    },
)
