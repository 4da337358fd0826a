"""A plan and the facts of its clips -> what is seen in every frame of the film, and which of it can be copied.

Pure arithmetic in whole frames of the master: reads no file, paints nothing. A `Stretch` is a run of frames that are
made alike; stretches follow each other without a gap. Joins take their time from inside the scenes: a dissolve of d
frames lets two scenes overlap by d, a fade takes d/2 from the end of one and d/2 from the beginning of the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.reel.master import Master, Source
from app.reel.plan import Card, Join, Plan

Way = Literal["copy", "smart", "full"]
Effect = Literal["plain", "dissolve", "fade_out", "fade_in", "card"]


@dataclass(frozen=True)
class Run:
    """Frames of one scene, as the master counts them: `first` .. of a shot whose picture 0 is at `start` of its clip.
    Beyond the last one of the shot its last picture stands still."""

    source: Source
    start: int  # in frames of the master, from the clip's beginning
    length: int  # of the shot's moving part
    first: int

    def shifted(self, by: int) -> Run:
        return replace(self, first=self.first + by)


@dataclass(frozen=True)
class Stretch:
    """`frames` of them, the first being number `at` of the film. `under` is what a dissolve comes from. `step`, `of`:
    where in its effect the first frame is, so that a stretch can be divided."""

    at: int
    frames: int
    effect: Effect
    run: Run | None = None
    under: Run | None = None
    card: Card | None = None
    step: int = 0
    of: int = 1

    def divided(self, at: int) -> tuple[Stretch, Stretch]:
        """Its first `at` frames, and the rest."""
        rest = replace(
            self,
            at=self.at + at,
            frames=self.frames - at,
            step=self.step + at,
            run=self.run and self.run.shifted(at),
            under=self.under and self.under.shifted(at),
        )
        return replace(self, frames=at), rest


@dataclass(frozen=True)
class Scene:
    """Where a shot is in the film: `at` its first frame, `frames` until the last; neighbours overlap in a dissolve.
    `held`: frames of it in which its last picture stands still."""

    shot: int
    source: Source
    at: int
    frames: int
    held: int
    start: int  # of the clip, in frames of the master
    lead: int  # frames shared with the scene before
    tail: int  # and with the one after


@dataclass(frozen=True)
class Timeline:
    stretches: tuple[Stretch, ...]
    scenes: tuple[Scene, ...]
    frames: int


@dataclass(frozen=True)
class Copied:
    """Whole groups of pictures of a clip: frames `first` .. `first + frames` of the clip as it lies."""

    source: Source
    first: int
    frames: int


@dataclass(frozen=True)
class Encoded:
    stretches: tuple[Stretch, ...]

    @property
    def frames(self) -> int:
        return sum(stretch.frames for stretch in self.stretches)


Piece = Copied | Encoded


def lay_out(plan: Plan, sources: Sequence[Source], master: Master, least: Sequence[float] = ()) -> Timeline:
    """`least`: seconds that each scene must last at least, for words that are spoken in it."""
    shots = [_cut_out(plan, number, source, master) for number, source in enumerate(sources)]
    moving = [length for _, length in shots]
    needed = [master.frames(seconds) for seconds in least] or [0] * len(shots)
    joins = _join_lengths(plan, [max(pair) for pair in zip(moving, needed, strict=True)], master)
    # words are not spoken over a scene that goes while the next one comes
    whole = [
        max(length, need + tail) if need else length
        for length, need, (tail, _) in zip(moving, needed, [*joins, (0, "cut")], strict=True)
    ]
    stretches: list[Stretch] = []
    scenes: list[Scene] = []
    at = _card(stretches, plan.title, 0, master)
    lead, into = 0, "cut"
    for number, (source, (start, length)) in enumerate(zip(sources, shots, strict=True)):
        run = Run(source, start, length, 0)
        tail, join = joins[number] if number < len(joins) else (0, "cut")
        overlap = lead if into == "dissolve" else 0
        scenes.append(
            Scene(number, source, at - overlap, whole[number], whole[number] - length, start, overlap,
                  tail if join == "dissolve" else 0)
        )  # fmt: skip
        begin, end = lead, whole[number] - tail
        if into == "fade":
            stretches.append(Stretch(at, lead, "fade_in", run, of=lead))
            at += lead
        stretches.append(Stretch(at, end - begin, "plain", run.shifted(begin)))
        at += end - begin
        if join == "fade":
            stretches.append(Stretch(at, tail, "fade_out", run.shifted(end), of=tail))
            at += tail
        elif join == "dissolve":
            following = Run(sources[number + 1], *shots[number + 1], 0)
            stretches.append(Stretch(at, tail, "dissolve", following, under=run.shifted(end), of=tail))
            at += tail
        lead, into = tail, join
    at = _card(stretches, plan.end, at, master)
    return Timeline(tuple(stretch for stretch in stretches if stretch.frames), tuple(scenes), at)


def pieces_of(timeline: Timeline, master: Master, *, all_encoded: bool = False) -> tuple[Piece, ...]:
    """The film in pieces that are copied or encoded. Neighbours that are encoded become one piece while they are short:
    a seam is one."""
    pieces: list[Piece] = []
    for stretch in timeline.stretches:
        for piece in [stretch] if all_encoded else _copied_inside(stretch, master):
            if isinstance(piece, Copied):
                pieces.append(piece)
                continue
            last = pieces[-1] if pieces else None
            if isinstance(last, Encoded) and last.frames + piece.frames <= _longest_seam(master):
                pieces[-1] = Encoded((*last.stretches, piece))
            else:
                pieces.append(Encoded((piece,)))
    return tuple(pieces)


def way_of(pieces: Sequence[Piece]) -> Way:
    kinds = {type(piece) for piece in pieces}
    return "copy" if kinds == {Copied} else "full" if kinds == {Encoded} else "smart"


def _cut_out(plan: Plan, number: int, source: Source, master: Master) -> tuple[int, int]:
    """First frame and number of frames of a shot; what the plan says beyond the clip's end is the clip's end."""
    shot = plan.shots[number]
    every = max(1, round(source.frames * master.fps / source.format.fps))
    start = min(master.frames(shot.start), every - 1)
    end = every if shot.end is None else min(every, max(start + 1, master.frames(shot.end)))
    return start, end - start


def _join_lengths(plan: Plan, lengths: Sequence[int], master: Master) -> list[tuple[int, Join]]:
    """Frames that each join takes from the end of its scene and from the beginning of the next: never more than half of
    either, so that the joins at both ends of a scene do not meet."""
    found: list[tuple[int, Join]] = []
    wanted = max(1, master.frames(plan.join_seconds))
    for shot, one, other in zip(plan.shots, lengths, lengths[1:], strict=False):
        taken = wanted if shot.join == "dissolve" else (wanted + 1) // 2
        taken = min(taken, one // 2, other // 2)
        join: Join = shot.join if taken else "cut"
        found.append((0 if join == "cut" else taken, join))
    return found


def _card(stretches: list[Stretch], card: Card | None, at: int, master: Master) -> int:
    if card is None:
        return at
    frames = max(1, master.frames(card.seconds))
    stretches.append(Stretch(at, frames, "card", card=card, of=frames))
    return at + frames


def _copied_inside(stretch: Stretch, master: Master) -> list[Stretch | Copied]:
    """The stretch with every whole group of pictures of a fitting clip as a copy."""
    run = stretch.run
    if stretch.effect != "plain" or run is None or master.format is None or run.source.format != master.format:
        return [stretch]
    moving = min(stretch.frames, run.length - run.first)  # the rest stands still
    first = run.start + run.first
    bounds = (*run.source.keyframes, run.source.frames)
    inside = [bound for bound in bounds if first <= bound <= first + moving]
    if len(inside) < 2:
        return [stretch]
    before, copied = inside[0] - first, inside[-1] - inside[0]
    head, rest = stretch.divided(before)
    _, tail = rest.divided(copied)
    found: list[Stretch | Copied] = [head, Copied(run.source, inside[0], copied), tail]
    return [one for one in found if one.frames]


def _longest_seam(master: Master) -> int:
    return max(1, master.frames(4.0))
