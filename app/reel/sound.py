"""One sound track for the whole film: the clips' own sound at its place, mixed in joins, softer under a voice.

Knows nothing of pictures and files that are written. Samples are float32 at 48 kHz, (2, n); what is mixed is made in
order and given in blocks, so that a film of any length needs the memory of a few scenes.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from app.reel.master import Master
from app.reel.timeline import Timeline
from nsp_core.errors import UnreadableMedia
from nsp_core.media import HOUSE
from nsp_core.media.probe import open_clip

Samples = NDArray[np.float32]
RATE = HOUSE.audio_rate
LOUDNESS = -16.0  # LUFS, of the voice: what programs for phones and podcasts are levelled to
PEAK = 0.84  # -1.5 dB: AAC swings over a little
BEFORE_WORDS = 0.12  # seconds of a scene before somebody speaks
AFTER_WORDS = 0.35
_DUCKED = 0.35  # of a clip's own sound while somebody speaks
_EDGE = 0.004  # seconds in which sound comes and goes at a cut, so that it does not crack


@dataclass(frozen=True)
class Placed:
    """Sound of one clip, or of the voice. Times in samples; `lead`, `tail`: in which it comes and goes."""

    at: int
    length: int
    lead: int
    tail: int
    path: Path | None = None
    skip: int = 0
    voice: Samples | None = None
    gain: float = 1.0


def placed_sound(timeline: Timeline, master: Master, voices: Sequence[Samples | None] = ()) -> list[Placed]:
    """`voices`: one for each scene, (n,) mono, at the loudness that it shall have; None where nobody speaks."""
    return sorted(_placed(timeline, master, voices), key=lambda one: one.at)


def mixed_sound(placed: Sequence[Placed], total: int) -> Iterator[Samples]:
    """All of it, `total` samples."""
    pending: Samples = np.zeros((2, 0), np.float32)
    done = 0
    for number, one in enumerate(placed):
        sound = _heard(one)
        missing = one.at + sound.shape[1] - done - pending.shape[1]
        if missing > 0:
            pending = np.pad(pending, ((0, 0), (0, missing)))
        pending[:, one.at - done : one.at - done + sound.shape[1]] += sound
        until = placed[number + 1].at if number + 1 < len(placed) else total
        ready = min(until, total) - done
        if ready > pending.shape[1]:
            pending = np.pad(pending, ((0, 0), (0, ready - pending.shape[1])))
        yield from _blocks(np.clip(pending[:, :ready], -1, 1))
        pending, done = pending[:, ready:], done + ready
    if done < total:
        yield from _blocks(np.zeros((2, total - done), np.float32))


def ahead(blocks: Iterator[Samples], most: int = 4) -> Generator[Samples, None, None]:
    """The same, made in a thread beside whoever takes them: libav decodes and encodes without holding Python up."""
    made: queue.Queue[Samples | BaseException | None] = queue.Queue(most)
    over = threading.Event()

    def put(what: Samples | BaseException | None) -> None:
        while not over.is_set():
            with contextlib.suppress(queue.Full):
                made.put(what, timeout=0.1)
                return

    def make() -> None:
        try:
            for block in blocks:
                if over.is_set():
                    return
                put(block)
            put(None)
        except BaseException as error:  # for whoever waits
            put(error)

    worker = threading.Thread(target=make, name="sound", daemon=True)
    worker.start()
    try:
        while (one := made.get()) is not None:
            if isinstance(one, BaseException):
                raise one
            yield one
    finally:
        over.set()
        worker.join()


def samples_of(frames: int, master: Master) -> int:
    return round(frames / master.fps * RATE)


def levelled(voices: Sequence[Samples | None]) -> list[Samples | None]:
    """All of one voice at one loudness (EBU R 128), without going over the peak."""
    spoken = [voice for voice in voices if voice is not None and voice.size]
    if not spoken:
        return list(voices)
    measured = loudness(np.concatenate(spoken))
    gain = 10 ** ((LOUDNESS - measured) / 20) if math.isfinite(measured) and measured > -60 else 1.0
    return [None if voice is None else _limited(voice * np.float32(gain)) for voice in voices]


def loudness(voice: Samples) -> float:
    """Integrated loudness in LUFS of (n,) mono heard from two loudspeakers; -inf for less than a block of sound."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=RATE, format="fltp", layout="stereo", time_base=None)
    meter = graph.add("ebur128", "metadata=1")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    found = -math.inf

    def read() -> float:
        last = found
        while True:
            try:
                frame: Any = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return last
            last = float(frame.metadata.get("lavfi.r128.I", last))

    # a block of 400 ms is the least that is measured
    heard = np.tile(voice, math.ceil(RATE / max(1, voice.size))) if voice.size < RATE else voice
    for at in range(0, heard.size, RATE):
        frame = av.AudioFrame.from_ndarray(np.tile(heard[at : at + RATE], (2, 1)), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = RATE, at
        graph.push(frame)
        found = read()
    graph.push(None)
    return read()


def resampled(voice: Samples, rate: int) -> Samples:
    """(n,) mono at `rate` to 48 kHz."""
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(voice[None].astype(np.float32)), format="fltp", layout="mono"
    )
    frame.sample_rate = rate
    resampler = AudioResampler(format="fltp", layout="mono", rate=RATE)
    parts = [part.to_ndarray()[0] for part in (*resampler.resample(frame), *resampler.resample(None))]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def decoded(path: Path) -> Iterator[tuple[int, Samples]]:
    """A file's sound as 48 kHz stereo, each block with the sample at which it begins."""
    with open_clip(path) as container:
        if not container.streams.audio:
            return
        resampler = AudioResampler(format="fltp", layout="stereo", rate=RATE)
        at: int | None = None
        ours = False
        try:
            for frame in container.decode(container.streams.audio[0]):
                if at is None:
                    at = round(float(frame.pts * frame.time_base) * RATE) if frame.pts is not None else 0
                    ours = (frame.format.name, frame.layout.name, frame.sample_rate) == ("fltp", "stereo", RATE)
                if ours:  # as all of our clips are
                    yield at, frame.to_ndarray()
                    at += frame.samples
                    continue
                for part in resampler.resample(frame):
                    yield at, part.to_ndarray()
                    at += part.samples
            for part in () if ours else resampler.resample(None):
                yield at or 0, part.to_ndarray()
        except av.error.FFmpegError as error:
            raise UnreadableMedia(f"The sound of {path.name} is damaged; draw that scene again.") from error


def _placed(timeline: Timeline, master: Master, voices: Sequence[Samples | None]) -> Iterator[Placed]:
    edge = round(_EDGE * RATE)
    fades = _fades(timeline)
    for scene in timeline.scenes:
        voice = voices[scene.shot] if scene.shot < len(voices) else None
        at = samples_of(scene.at, master)
        if not scene.source.silent:
            length = samples_of(scene.at + scene.frames - scene.held, master) - at
            lead, tail = fades.get(scene.shot, (0, 0))
            yield Placed(
                at,
                length,
                max(edge, samples_of(scene.lead or lead, master)),
                max(edge, samples_of(scene.tail or tail, master)),
                path=scene.source.path,
                skip=samples_of(scene.start, master),
                gain=_DUCKED if voice is not None else 1.0,
            )
        if voice is not None:
            begin = at + samples_of(scene.lead, master) + round(BEFORE_WORDS * RATE)
            yield Placed(begin, voice.size, edge, edge, voice=voice)


def _fades(timeline: Timeline) -> dict[int, tuple[int, int]]:
    """Frames in which scenes come from black and go to black."""
    found: dict[int, tuple[int, int]] = {}
    shots = {scene.at: scene.shot for scene in timeline.scenes}
    ends = {scene.at + scene.frames: scene.shot for scene in timeline.scenes}
    for stretch in timeline.stretches:
        if stretch.effect == "fade_in" and stretch.at in shots:
            shot = shots[stretch.at]
            found[shot] = (stretch.frames, found.get(shot, (0, 0))[1])
        elif stretch.effect == "fade_out" and stretch.at + stretch.frames in ends:
            shot = ends[stretch.at + stretch.frames]
            found[shot] = (found.get(shot, (0, 0))[0], stretch.frames)
    return found


def _heard(one: Placed) -> Samples:
    made: Samples = np.zeros((2, max(0, one.length)), np.float32)
    if one.voice is not None:
        made[:] = one.voice
    elif one.path is not None:
        for at, block in decoded(one.path):
            begin = at - one.skip
            first, last = max(0, begin), min(one.length, begin + block.shape[1])
            if last > first:
                made[:, first:last] = block[:, first - begin : last - begin]
            if begin >= one.length:
                break
    return shaped(one, made, 0)


def shaped(one: Placed, samples: Samples, first: int) -> Samples:
    """Louder and softer as it should be, in place; `samples` are those from number `first` of it on."""
    samples *= np.float32(one.gain)
    length = max(0, one.length)
    lead, tail = min(one.lead, length // 2), min(one.tail, length // 2)
    if first < lead:
        ramp = np.linspace(0, 1, lead, dtype=np.float32)[first : first + samples.shape[1]]
        samples[:, : ramp.size] *= ramp
    over = first + samples.shape[1] - (length - tail)
    if tail and over > 0:
        ramp = np.linspace(1, 0, tail, dtype=np.float32)[:over]
        begin = max(0, length - tail - first)
        ramp = ramp[max(0, first - (length - tail)) :]
        samples[:, begin : begin + ramp.size] *= ramp
    return samples


def _limited(voice: Samples) -> Samples:
    """Bent, not cut, above 80% of the peak."""
    knee = 0.8 * PEAK
    over = np.abs(voice) > knee
    bent = np.sign(voice) * (knee + (PEAK - knee) * np.tanh((np.abs(voice) - knee) / (PEAK - knee)))
    return np.where(over, bent, voice).astype(np.float32)


def _blocks(samples: Samples) -> Iterator[Samples]:
    for at in range(0, samples.shape[1], RATE):
        yield np.ascontiguousarray(samples[:, at : at + RATE])
