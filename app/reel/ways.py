"""The cheapest correct way to a film, and why it is that: copy, smart or full. Paints and encodes nothing.

copy: every picture lies in a clip as it is wanted. smart: only seams, cards and clips of another form are encoded.
full: every picture changes, because words are burned in, or the film has another shape, size or codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.reel.master import Master, Source, master_of, quick
from app.reel.plan import Plan
from app.reel.timeline import Copied, Encoded, Piece, Timeline, Way, lay_out, pieces_of, way_of
from nsp_core.errors import UserError

Reason = Literal["whole", "captions", "shape", "kind", "cards", "joins", "trims", "held", "differs"]


@dataclass(frozen=True)
class Decision:
    """`reasons`: why it is not simply copied, or ("whole",). `encoded`: frames, of `timeline.frames`."""

    way: Way
    reasons: tuple[Reason, ...]
    master: Master
    timeline: Timeline
    pieces: tuple[Piece, ...]

    @property
    def encoded(self) -> int:
        return sum(piece.frames for piece in self.pieces if isinstance(piece, Encoded))

    @property
    def untouched(self) -> bool:
        """Whole clips in a row: their sound can be copied, too."""
        return self.way == "copy" and all(
            isinstance(piece, Copied) and (piece.first, piece.frames) == (0, piece.source.frames)
            for piece in self.pieces
        )


def decide(plan: Plan, sources: Sequence[Source], *, least: Sequence[float] = ()) -> Decision:
    """`least`: seconds that each scene lasts at least. Raises UserError for a film of nothing."""
    if not sources:
        raise UserError("A film of no scenes was asked; take at least one scene with a clip into it.")
    master = master_of(sources, plan.output)
    reasons: list[Reason] = []
    if plan.output.kind != "mp4":
        reasons.append("kind")
    if master.format is None:
        reasons.append("shape")
    if plan.captions.mode == "burned":
        reasons.append("captions")
    everything = bool(reasons)
    if everything:
        master = quick(master)
    elif len({source.format for source in sources}) == 1 and sources[0].format != master.format:
        # clips of another encoder that are all alike are still joined by copying when no seam has to fit them
        alike = Master(master.width, master.height, master.fps, master.encoding, sources[0].format)
        timeline = lay_out(plan, sources, alike, least)
        pieces = pieces_of(timeline, alike)
        if way_of(pieces) == "copy":
            master = alike
    timeline = lay_out(plan, sources, master, least)
    pieces = pieces_of(timeline, master, all_encoded=everything)
    if plan.title or plan.end:
        reasons.append("cards")
    if any(stretch.effect in ("dissolve", "fade_in", "fade_out") for stretch in timeline.stretches):
        reasons.append("joins")
    if any(shot.start or shot.end is not None for shot in plan.shots):
        reasons.append("trims")
    if any(scene.held for scene in timeline.scenes):
        reasons.append("held")
    if not everything and any(source.format != master.format for source in sources):
        reasons.append("differs")
    way = way_of(pieces)
    # what is cut off at a whole group of pictures costs nothing
    return Decision(way, tuple(reasons) or ("whole",), master, timeline, pieces)
