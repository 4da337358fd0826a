"""A plan and its clips -> a finished film, by the cheapest correct way; see app.reel.ways for which that is.

Knows nothing of the database or the page: paths, words and a folder for pieces in, a file and its facts out. The file
appears under its name when it is whole. Pieces that were encoded are kept under the name of their content and the
master, so that the next film of the same story only encodes what is new in it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.identity import new_id
from app.provenance.remarks import xmp
from app.reel.cues import Cue, cues_of
from app.reel.encode import encode_piece, write_gif, write_webm, write_webp
from app.reel.export import chapter_of
from app.reel.frames import Planes
from app.reel.lettering import unknown_letters
from app.reel.master import Master, Source, look_at
from app.reel.mux import Chapter, Part, write_film
from app.reel.painter import Painter
from app.reel.plan import Kind, Plan
from app.reel.sound import (
    AFTER_WORDS,
    BEFORE_WORDS,
    RATE,
    Samples,
    levelled,
    mixed_sound,
    placed_sound,
    samples_of,
)
from app.reel.splice import Shelf, packets, splice
from app.reel.timeline import Copied, Encoded, Way
from app.reel.ways import Decision, Reason, decide
from app.store.backup import room_for, sync
from nsp_core.errors import Cancelled, UnreadableMedia, UserError
from nsp_core.media import join_clips

Told = Callable[["Progress"], None]
Speak = Callable[[str, float], Samples]  # text and pace -> (n,) mono at 48 kHz

_BYTES_A_PIXEL = 0.03  # of an encoded film, generously: a look at the disk before, no promise
_MOST_SMALL = 600  # pictures of a GIF or animated WebP, which are held in memory
_SAMPLE = 16  # pictures of which a GIF's palette is made


@dataclass(frozen=True)
class Clip:
    """One scene: its chosen take's clip and its words."""

    path: Path
    words: str


@dataclass(frozen=True)
class Progress:
    """`done` of `total` pictures that are encoded; `left`: seconds, None while nobody knows."""

    phase: str  # speaking | encoding | joining
    done: int
    total: int
    left: float | None = None


@dataclass(frozen=True)
class Made:
    """`starts`: where each scene begins, in seconds. `encoded` and `cached` count pictures: encoded now, and before."""

    path: Path
    kind: Kind
    way: Way
    reasons: tuple[Reason, ...]
    width: int
    height: int
    fps: float
    seconds: float
    frames: int
    scenes: int
    starts: tuple[float, ...]
    encoded: int
    cached: int
    bytes: int
    took: float


def render(
    plan: Plan,
    clips: Sequence[Clip],
    out: Path,
    *,
    pieces: Path,
    title: str = "",
    language: str = "eng",
    speak: Speak | None = None,
    remark: str = "",
    finish: Callable[[Path, Decision], None] = lambda _path, _decision: None,
    told: Told = lambda _progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Made:
    """`clips` are those of plan.shots; `pieces` is a folder that is there; `remark` is put into the file's metadata;
    `finish` has the whole file before it gets its name. Raises UserError, Cancelled."""
    began = time.perf_counter()
    sources, words = look_at_all(clips), words_of(plan, clips)
    check(plan, words)
    voices, least = spoken(plan, words, speak, told, should_stop)
    decision = decide(plan, sources, least=least)
    _room(decision, sources, out.parent)
    work = _Work(plan, decision, pieces, told, should_stop, began)
    cues = cues_of(decision.timeline, words, decision.master) if plan.captions.mode != "off" else ()
    with whole(out) as partial:
        if plan.output.kind == "mp4":
            _mp4(work, partial, words, cues, voices, title, language, remark)
        else:
            _other(work, partial, cues, voices, title, language, remark)
        if should_stop():
            raise Cancelled("Stopped; nothing was written.")
        finish(partial, decision)
        sync(partial)
    master, timeline = work.master, decision.timeline
    return Made(
        path=out,
        kind=plan.output.kind,
        way=decision.way,
        reasons=decision.reasons,
        width=master.width,
        height=master.height,
        fps=float(master.fps),
        seconds=float(timeline.frames / decision.master.fps),
        frames=timeline.frames,
        scenes=len(clips),
        starts=tuple(float(scene.at / decision.master.fps) for scene in timeline.scenes),
        encoded=work.encoded,
        cached=work.cached,
        bytes=out.stat().st_size,
        took=time.perf_counter() - began,
    )


def look_at_all(clips: Sequence[Clip]) -> list[Source]:
    """Facts of the clips; one that is there twice is looked at once. Raises UnreadableMedia with the scene's number."""
    known: dict[Path, Source] = {}
    for number, clip in enumerate(clips, 1):
        if not clip.path.is_file():
            raise UnreadableMedia(
                f"The clip of scene {number} is gone ({clip.path.name}); draw that scene again, then make the film."
            )
        if clip.path not in known:
            known[clip.path] = look_at(clip.path)
    return [known[clip.path] for clip in clips]


def words_of(plan: Plan, clips: Sequence[Clip]) -> list[str]:
    """What is read and spoken, a text a scene."""
    texts = [clip.words if shot.words is None else shot.words for shot, clip in zip(plan.shots, clips, strict=True)]
    return [" ".join(text.split()) for text in texts]


def check(plan: Plan, words: Sequence[str]) -> None:
    """What can be said to be impossible before anything is done."""
    cards = [text for card in (plan.title, plan.end) if card for text in (card.text, card.under)]
    drawn = cards + (list(words) if plan.captions.mode == "burned" else [])
    if letters := unknown_letters("".join(drawn)):
        shown = " ".join(letters[:8])
        raise UserError(
            f"The letters {shown} cannot be drawn with the fonts that are here (Latin only): use soft captions, which "
            "the player draws, and other words on the cards."
        )
    if plan.output.kind in ("gif", "webp") and plan.narration.voice != "off":
        raise UserError(f"A {plan.output.kind.upper()} has no sound: choose MP4 or WebM for a film with a voice.")


def spoken(
    plan: Plan, words: Sequence[str], speak: Speak | None, told: Told, should_stop: Callable[[], bool]
) -> tuple[list[Samples | None], list[float]]:
    """A voice for each scene with words, all at one loudness, and how long each scene has to be for it."""
    if plan.narration.voice == "off":
        return [], []
    if speak is None:
        raise UserError("A voice was asked for and there is none here; see README, Narration, or choose no voice.")
    voices: list[Samples | None] = []
    for number, text in enumerate(words):
        if should_stop():
            raise Cancelled("Stopped; nothing was written.")
        told(Progress("speaking", number, len(words)))
        voices.append(speak(text, plan.narration.pace) if any(letter.isalnum() for letter in text) else None)
    voices = levelled(voices)
    least = [0.0 if one is None else BEFORE_WORDS + one.size / RATE + AFTER_WORDS for one in voices]
    return voices, least


class _Work:
    """What is being done: pieces, and how far they are."""

    def __init__(
        self, plan: Plan, decision: Decision, pieces: Path, told: Told, should_stop: Callable[[], bool], began: float
    ) -> None:
        self.plan, self.decision, self.folder = plan, decision, pieces
        self.told, self.should_stop, self.began = told, should_stop, began
        self.master: Master = decision.master
        self.encoded = self.cached = 0
        self._total = decision.encoded
        self._since = time.perf_counter()

    def painter(self, cues: Sequence[Cue]) -> Painter:
        burned = cues if self.plan.captions.mode == "burned" else ()
        return Painter(self.master, self.plan.output.fit, burned, self.plan.captions.look)

    def counted(self, pictures: Iterator[Planes]) -> Iterator[Planes]:
        """Tells how far it is, and stops when it should."""
        for number, picture in enumerate(pictures):
            if number % 4 == 0:
                if self.should_stop():
                    raise Cancelled("Stopped; nothing was written.")
                self.told(Progress("encoding", self.encoded + self.cached, self._total, self._left()))
            yield picture
            self.encoded += 1

    def part(self, painter: Painter, piece: Copied | Encoded) -> Part:
        """The piece as a file: of the clip, of an earlier time, or encoded now."""
        if isinstance(piece, Copied):
            return Part(piece.source.path, piece.first, piece.frames)
        path = self.folder / f"{painter.key_of(piece.stretches)}.mp4"
        if path.is_file():
            self.cached += piece.frames
            os.utime(path)  # what is used is kept longest
        else:
            partial = path.with_name(f"{path.stem}.{new_id()}.partial")
            try:
                encode_piece(self.counted(painter.pictures(piece.stretches)), partial, self.master)
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        return Part(path, 0, piece.frames)

    def check(self) -> None:
        if self.should_stop():
            raise Cancelled("Stopped; nothing was written.")

    def joining(self, frames: int) -> None:
        self.check()
        self.told(Progress("joining", frames, self.decision.timeline.frames))

    def _left(self) -> float | None:
        spent = time.perf_counter() - self._since
        if self.encoded < 8:
            return None
        return spent / self.encoded * max(0, self._total - self.encoded - self.cached)


def _mp4(
    work: _Work,
    partial: Path,
    words: Sequence[str],
    cues: Sequence[Cue],
    voices: Sequence[Samples | None],
    title: str,
    language: str,
    remark: str,
) -> None:
    decision, master = work.decision, work.master
    captions = _soft(work, cues)
    names = [chapter_of(text, number) for number, text in enumerate(words, 1)]
    if decision.untouched and not voices:
        paths = [piece.source.path for piece in decision.pieces if isinstance(piece, Copied)]
        join_clips(
            paths, partial, captions, lambda done, _total: work.joining(done), chapters=names, title=title,
            comment=remark, language=language,
        )  # fmt: skip
        return
    painter = work.painter(cues)
    parts = [work.part(painter, piece) for piece in decision.pieces]
    total, placed = samples_of(decision.timeline.frames, master), placed_sound(decision.timeline, master, voices)
    shelf = Shelf()
    track = splice(placed, total, shelf, work.check) if placed else None
    frames = packets(track, shelf, total) if track is not None else None
    sound = mixed_sound(placed, total) if placed and track is None else None
    write_film(
        parts, partial, master, sound, frames=frames, captions=captions, chapters=_chapters(decision, names),
        title=title, comment=remark, language=language, told=work.joining,
    )  # fmt: skip


def _other(
    work: _Work,
    partial: Path,
    cues: Sequence[Cue],
    voices: Sequence[Samples | None],
    title: str,
    language: str,
    remark: str,
) -> None:
    kind, decision = work.plan.output.kind, work.decision
    if kind == "webm":
        painter = work.painter(cues)
        pictures = work.counted(painter.pictures(decision.timeline.stretches))
        placed = placed_sound(decision.timeline, work.master, voices)
        sound = mixed_sound(placed, samples_of(decision.timeline.frames, work.master)) if placed else None
        write_webm(
            pictures, sound, partial, work.master, captions=_soft(work, cues), title=title, comment=remark,
            language=language,
        )  # fmt: skip
        return
    frames, master = decision.timeline.frames, work.master
    if frames > _MOST_SMALL:
        raise UserError(
            f"A {kind.upper()} of {frames} pictures was asked, at most {_MOST_SMALL} are written "
            f"({_MOST_SMALL / float(master.fps):.0f} s): take fewer scenes, or MP4."
        )
    painter = work.painter(cues)
    pictures = work.counted(painter.pictures(decision.timeline.stretches))
    if kind == "webp":
        write_webp(pictures, frames, partial, master, xmp(remark) if remark else b"")
        return
    # one picture from the middle of each stretch
    middles = [one.divided(one.frames // 2)[1].divided(1)[0] for one in decision.timeline.stretches[:_SAMPLE]]
    write_gif(pictures, painter.pictures(middles), partial, master, remark)


def _soft(work: _Work, cues: Sequence[Cue]) -> list[tuple[str, float, float]]:
    fps = work.master.fps
    shown = cues if work.plan.captions.mode == "soft" else ()
    return [(cue.text, float(cue.first / fps), float(cue.last / fps)) for cue in shown]


def _chapters(decision: Decision, names: Sequence[str]) -> list[Chapter]:
    """One a scene; a title card is part of the first one, an end card of the last one."""
    starts = [scene.at + scene.lead // 2 for scene in decision.timeline.scenes]
    starts[0] = 0
    ends = [*starts[1:], decision.timeline.frames]
    return [Chapter(name, first, last) for name, first, last in zip(names, starts, ends, strict=True)]


def _room(decision: Decision, sources: Sequence[Source], folder: Path) -> None:
    copied = sum(path.stat().st_size for path in {source.path for source in sources})
    master = decision.master
    room_for(copied + round(2 * _BYTES_A_PIXEL * master.width * master.height * decision.encoded), folder)


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A name beside `out` to write to; it becomes `out` when the block ends well and vanishes when it does not. A disk
    that is full is a UserError."""
    partial = out.with_name(f".{out.name}.{new_id()}.partial")
    try:
        with _disk(out.parent):
            yield partial
            os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """What the disk says, in one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(f"The disk of {folder} is full: make room, then make the film again.") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOENT):
            raise UserError(
                f"Nothing can be written in {folder} ({os.strerror(error.errno).lower()}): choose another folder."
            ) from error
        raise
