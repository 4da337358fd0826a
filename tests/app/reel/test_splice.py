"""A sound track that is mostly copied sounds like one that was mixed and encoded as a whole, seams included."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame

from app.reel import splice as splicing
from app.reel.plan import Shot, plan_for
from app.reel.render import Clip, render
from app.reel.sound import RATE, Placed, Samples, mixed_sound, shaped
from app.reel.splice import FRAME, Shelf, half_of, packets, splice
from nsp_core.errors import Cancelled
from nsp_core.media import HOUSE, probe_clip
from nsp_core.media.probe import open_clip
from nsp_core.media.write import open_output
from tests.app.reel.conftest import FPS, heard, make_clip

SECONDS = 3


def sounding(path: Path, seed: int, *, claps: bool = False) -> Path:
    """Sound only: chords that never rest, so that whatever a seam does is heard; `claps`: and something sudden."""
    rng = np.random.default_rng(seed)
    time = np.arange(SECONDS * RATE) / RATE
    samples = sum(0.08 * np.sin(2 * np.pi * (hertz * time + rng.random())) for hertz in rng.uniform(120, 5000, 5))
    samples = samples + 0.01 * rng.standard_normal(time.size)
    if claps:
        for at in range(0, time.size - 60, RATE // 7):
            samples[at : at + 60] += 0.5 * rng.standard_normal(60)
    block = np.tile(samples.astype(np.float32), (2, 1))
    block[1] *= 0.7
    with open_output(path, HOUSE) as container:
        audio: Any = container.add_stream("aac", rate=RATE, layout="stereo")
        audio.bit_rate = HOUSE.audio_bits
        frame = AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sound")
    return [sounding(folder / f"{n}.mp4", n, claps=n == 2) for n in range(3)]


def in_a_row(files: list[Path], *, skip: int = 7001, length: int = 100_003) -> tuple[list[Placed], int]:
    """Cut off the grid, one after the other."""
    placed = [Placed(n * length, length, 192, 192, path=file, skip=skip) for n, file in enumerate(files)]
    return placed, length * len(files)


def decoded(track: Any, shelf: Shelf, total: int) -> Samples:
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata = splicing._headers()
    parts = []
    for at, _, data in packets(track, shelf, total):
        packet: Any = av.Packet(data)
        packet.pts = packet.dts = at
        parts += [frame.to_ndarray() for frame in decoder.decode(packet) if at >= 0]
    return np.concatenate(parts, axis=1)[:, :total]


def encoded(samples: Samples, shelf: Shelf) -> Samples:
    """As one track, and decoded again."""
    encoder, total = splicing._encoder(), samples.shape[1]
    frame = AudioFrame.from_ndarray(np.pad(samples, ((0, 0), (0, -total % FRAME))), format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    own = {packet.pts // FRAME: bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None))}
    return decoded(splicing.Track((), own, -(-total // FRAME)), shelf, total)


def away(one: Samples, other: Samples) -> np.ndarray[Any, Any]:
    """How loud the difference is, for each 256 samples, in dB."""
    difference = (one - other)[0]
    blocks = difference[: difference.size // 256 * 256].reshape(-1, 256)
    return 10 * np.log10((blocks**2).mean(axis=1) + 1e-9)


def test_it_sounds_like_the_whole(files: list[Path]) -> None:
    placed, total = in_a_row(files)
    shelf = Shelf()
    track = splice(placed, total, shelf)
    assert track is not None and track.copied > 0.8 * track.frames
    told = list(packets(track, shelf, total))
    assert [at for at, _, _ in told] == [(n - 1) * FRAME for n in range(track.frames + 1)], "without a gap"
    assert told[-1][0] + told[-1][1] == total
    original = shelf.frames(files[1])
    run = track.runs[1]
    assert (
        run.path == files[1]
        and dict((at, data) for at, _, data in told)[run.first * FRAME] == (original[run.first - run.shift])
    )
    wanted = np.concatenate(list(mixed_sound([splicing._on_grid(one) for one in placed], total)), axis=1)
    found, as_whole = away(decoded(track, shelf, total), wanted), away(encoded(wanted, shelf), wanted)
    loud = 10 * np.log10((wanted**2).mean())
    for border in [border for run in track.runs for border in (run.first, run.last + 1)]:
        # a copied frame lies over one of ours in the four blocks from here on
        here = slice(4 * border - 2, 4 * border + 6)
        one, other = found[here].mean(), as_whole[here].mean()
        assert one < loud - 10 and one < other + 8, f"{one:.1f} dB at frame {border}, encoded as a whole {other:.1f}"


def test_joins_without_a_look_at_windows_would_be_heard(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of a join is chosen for a reason: the test above can fail."""
    placed, total = in_a_row(files)
    shelf = Shelf()
    wanted = np.concatenate(list(mixed_sound([splicing._on_grid(one) for one in placed], total)), axis=1)
    track = splice(placed, total, shelf)
    assert track is not None
    moved = replace(track, runs=tuple(replace(run, shift=run.shift + 1) for run in track.runs))
    worse = away(decoded(moved, shelf, total), wanted)
    assert worse.max() > 10 * np.log10((wanted**2).mean()) - 6
    monkeypatch.setattr(splicing, "half_of", lambda _frame: None)
    assert splice(placed, total, shelf) is None, "nothing can be joined: all is encoded"


def test_the_halves_of_windows_are_read(files: list[Path]) -> None:
    frames = Shelf().frames(files[2])
    halves = {half_of(frame) for place, frame in frames.items() if place >= 0}  # the first one begins with a name
    assert {half[0] for half in halves if half is not None} == {False, True}, "claps are cut into short windows"
    assert half_of(bytes.fromhex("211004608c1c")) == (False, 1), "silence, as it is written here"
    assert half_of(b"\x20\x00") is None and half_of(b"\x00\x00") is None and half_of(b"!") is None


def test_only_what_is_one_clips_alone_is_copied(files: list[Path]) -> None:
    long = 28 * RATE // 10
    clip = Placed(0, long, 192, 192, path=files[0])
    voice = Placed(RATE, RATE // 4, 192, 192, voice=np.full(RATE // 4, 0.1, np.float32))
    track = splice([clip, voice], long, Shelf())
    assert track is not None and len(track.runs) == 2
    before, after = track.runs
    assert (before.last + 2) * FRAME <= voice.at and after.first * FRAME >= voice.at + voice.length
    assert splice([replace(clip, gain=0.35)], long, Shelf()) is None, "softer is not the same"
    assert splice([replace(clip, length=20 * FRAME)], 20 * FRAME, Shelf()) is None, "too short for two seams"

    def stop() -> None:
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        splice([clip], long, Shelf(), stop)


def test_other_peoples_sound_is_not_copied(tmp_path: Path) -> None:
    from tests.odd_files import quadrants, write_video

    assert Shelf().frames(write_video(tmp_path / "film.mp4", [quadrants(64, 48)] * 5, fps=10)) == {}
    path = tmp_path / "mono.mp4"
    with av.open(str(path), "w") as container:
        audio: Any = container.add_stream("aac", rate=44100, layout="mono")
        frame = AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    assert Shelf().frames(path) == {}
    assert splice([Placed(0, 90_000, 0, 0, path=path)], 90_000, Shelf()) is None


def test_parts_of_a_ramp_are_the_ramp() -> None:
    one = Placed(0, 1000, 300, 200, gain=0.5)
    whole = shaped(one, np.ones((2, 1000), np.float32), 0)
    for begin, end in ((0, 100), (250, 320), (400, 700), (790, 810), (900, 1000), (100, 950)):
        part = shaped(one, np.ones((2, end - begin), np.float32), begin)
        assert np.allclose(part, whole[:, begin:end])


def test_a_film_of_trimmed_scenes_keeps_its_length_and_places(tmp_path: Path) -> None:
    clips = [Clip(make_clip(tmp_path / f"{n}.mp4", n, 36), "") for n in range(2)]
    (tmp_path / "pieces").mkdir()
    plan = replace(plan_for("ab"), shots=(Shot("a", start=1.0), Shot("b", end=2.5)))
    made = render(plan, clips, tmp_path / "film.mp4", pieces=tmp_path / "pieces")
    assert made.seconds == 4.5
    found = probe_clip(tmp_path / "film.mp4")
    assert found.audio_seconds == pytest.approx(4.5, abs=0.001)
    assert heard(tmp_path / "film.mp4").size == pytest.approx(4.5 * RATE, abs=FRAME)
    assert FPS * made.seconds == found.frames


def test_packets_are_the_same_however_a_clip_is_opened(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", 0)

    def told(**how: bool) -> list[tuple[Any, ...]]:
        with open_clip(path, **how) as container:
            return [(one.stream.index, one.pts, one.dts, one.duration, bytes(one)) for one in container.demux()]

    assert told() == told(packets_only=True) and len(told()) > 30
