"""Films, looked at frame by frame and heard: lengths, seams, sound, captions, and what is copied, kept or encoded."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.reel import render as rendering
from app.reel.plan import Captions, Card, Narration, Output, Plan, Shot, plan_for
from app.reel.render import Clip, Progress, render
from app.reel.sound import RATE, Samples, loudness
from nsp_core.errors import Cancelled, UnreadableMedia, UserError
from nsp_core.media import probe_clip
from tests.app.reel.conftest import FPS, FRAMES, heard, make_clip, nearest, seen, tones

PLAIN = plan_for(["a", "b", "c"])
MIDDLE = FRAMES / FPS / 2  # of a scene, where it beeps


def joined(join: str, **more: Any) -> Plan:
    return replace(PLAIN, shots=tuple(replace(shot, join=join) for shot in PLAIN.shots), **more)


def test_whole_scenes_are_copied_to_the_bit(clips: list[Clip], pieces: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    made = render(PLAIN, clips, out, pieces=pieces, title="Bars")
    assert (made.way, made.reasons, made.encoded, made.frames) == ("copy", ("whole",), 0, 3 * FRAMES)
    originals = [frame for clip in clips for frame in seen(clip.path)]
    assert all(np.array_equal(one, other) for one, other in zip(seen(out), originals, strict=True))
    found = probe_clip(out)
    assert found.seconds == made.seconds == 3 * FRAMES / FPS and found.index_first
    assert [name for name, _, _ in found.chapters][:1] == ["A red bar moves."]
    places = [n * FRAMES / FPS + MIDDLE for n in range(3)]
    assert tones(heard(out)) == pytest.approx(places, abs=0.04)


def test_trims_encode_only_what_is_no_whole_group(clips: list[Clip], pieces: Path, tmp_path: Path) -> None:
    plan = replace(PLAIN, shots=(Shot("a", start=0.5), Shot("b", start=1.0, end=2.25), Shot("c", end=2.0)))
    made = render(plan, clips, tmp_path / "film.mp4", pieces=pieces)
    # a: 6..30 = 6 encoded + 12..30 copied; b: 12..27 = 12 copied + 3; c: 0..24 copied
    assert (made.way, made.reasons, made.encoded, made.frames) == ("smart", ("trims",), 9, 24 + 15 + 24)
    frames = [nearest(frame) for frame in seen(tmp_path / "film.mp4")]
    wanted = [(0, n) for n in range(6, 30)] + [(1, n) for n in range(12, 27)] + [(2, n) for n in range(24)]
    assert [frame[:2] for frame in frames] == wanted
    assert max(away for _, _, away in frames) < 4
    assert probe_clip(tmp_path / "film.mp4").audio_seconds == pytest.approx(63 / FPS, abs=1 / FPS)
    places = [MIDDLE - 0.5, 24 / FPS + MIDDLE - 1.0, 39 / FPS + MIDDLE]
    assert tones(heard(tmp_path / "film.mp4")) == pytest.approx(places, abs=0.04)


def test_a_dissolve_mixes_without_a_dark_moment(clips: list[Clip], pieces: Path, tmp_path: Path) -> None:
    out = tmp_path / "film.mp4"
    made = render(joined("dissolve", join_seconds=0.5), clips, out, pieces=pieces)
    assert (made.way, made.frames) == ("smart", 3 * FRAMES - 2 * 6)
    assert made.encoded < made.frames
    assert made.starts == pytest.approx([0, 24 / FPS, 48 / FPS])
    frames = seen(out)
    light = [float(frame.mean()) for frame in frames]
    assert min(light) > 0.9 * min(float(frame.mean()) for clip in clips for frame in seen(clip.path))
    half = frames[26].astype(float)  # 3 of 7 steps
    one, other = (seen(clip.path)[n].astype(float) for clip, n in ((clips[0], 26), (clips[1], 2)))
    assert np.abs(half - (one * 4 + other * 3) / 7).mean() < 4
    places = [MIDDLE, 24 / FPS + MIDDLE, 48 / FPS + MIDDLE]
    assert tones(heard(out)) == pytest.approx(places, abs=0.04)
    assert probe_clip(out).audio_seconds == pytest.approx(made.seconds, abs=0.001)


def test_a_fade_goes_through_black_and_takes_no_time(clips: list[Clip], pieces: Path, tmp_path: Path) -> None:
    made = render(joined("fade", join_seconds=1.0), clips, tmp_path / "film.mp4", pieces=pieces)
    assert made.frames == 3 * FRAMES
    light = [float(frame.mean()) for frame in seen(tmp_path / "film.mp4")]
    darkest = [int(np.argmin(light[:45])), 45 + int(np.argmin(light[45:]))]
    assert all(abs(place - cut) <= 1 for place, cut in zip(darkest, (FRAMES, 2 * FRAMES), strict=True))
    assert light[FRAMES] < 0.3 * light[FRAMES // 2]


def test_cards_stand_before_and_after(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    plan = replace(
        PLAIN, title=Card("The bars", "a story", seconds=1.0), end=Card("The end", seconds=1.0, look="night")
    )
    made = render(plan, silent, tmp_path / "film.mp4", pieces=pieces)
    assert (made.way, made.encoded, made.frames) == ("smart", 2 * FPS, 3 * FRAMES + 2 * FPS)
    frames = seen(tmp_path / "film.mp4")
    assert frames[0].mean() > 200 and frames[-1].mean() < 80
    assert np.abs(frames[FPS // 2].astype(int) - frames[0]).max() > 60, "words have come"
    assert nearest(frames[FPS])[:2] == (0, 0) and nearest(frames[-FPS - 1])[:2] == (2, FRAMES - 1)
    found = probe_clip(tmp_path / "film.mp4")
    assert found.captions[0][1:] == pytest.approx((1.0, 1.0 + FRAMES / FPS))
    assert found.seconds == found.audio_seconds == made.seconds


def test_the_next_film_encodes_only_what_is_new(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    plan = joined("dissolve", title=Card("One", seconds=1.0))
    first = render(plan, silent, tmp_path / "1.mp4", pieces=pieces)
    again = render(plan, silent, tmp_path / "2.mp4", pieces=pieces)
    assert first.encoded > 0 and (again.encoded, again.cached) == (0, first.encoded)
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
    other = render(replace(plan, title=Card("Two", seconds=1.0)), silent, tmp_path / "3.mp4", pieces=pieces)
    assert other.encoded == FPS and other.cached == first.encoded - FPS


def test_burned_words_are_in_the_pictures_at_their_time(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    clips = [silent[0], Clip(silent[1].path, ""), silent[2]]
    for look in ("plain", "box", "story"):
        plan = replace(PLAIN, captions=Captions("burned", look))
        made = render(plan, clips, tmp_path / f"{look}.mp4", pieces=pieces)
        assert (made.way, made.reasons) == ("full", ("captions",))
        assert probe_clip(tmp_path / f"{look}.mp4").captions == ()
        frames = seen(tmp_path / f"{look}.mp4")
        changed = [np.abs(frame.astype(int) - seen_clip).mean() > 3 for frame, seen_clip in zip(
            (frame[60:] for frame in frames), (frame[60:] for clip in clips for frame in seen(clip.path)), strict=True
        )]  # fmt: skip
        assert (
            all(changed[3 : FRAMES - 3]) and not any(changed[FRAMES : 2 * FRAMES]) and all(changed[2 * FRAMES + 3 : -3])
        )


@pytest.mark.parametrize(
    ("output", "size"),
    [
        (Output(size="720p"), (960, 720)),
        (Output(shape="9:16"), (128, 228)),
        (Output(shape="16:9", fit="crop"), (170, 96)),
        (Output(shape="1:1", fit="crop"), (128, 128)),
        (Output(shape="4:5"), (128, 160)),
    ],
)
def test_shapes_and_sizes(
    silent: list[Clip], pieces: Path, tmp_path: Path, output: Output, size: tuple[int, int]
) -> None:
    out = tmp_path / "film.mp4"
    made = render(Plan((Shot("a", end=0.5),), output=output), silent[:1], out, pieces=pieces)
    frames = seen(out)
    assert (made.way, made.width, made.height) == ("full", *size)
    assert (frames[0].shape[1], frames[0].shape[0], len(frames)) == (*size, 6)
    corner, middle = frames[3][2, 2].astype(int), frames[3][size[1] // 2, -4].astype(int)
    assert np.abs(middle - (200, 60, 60)).max() < 25, "the picture itself"
    if output.fit == "crop" or output.shape == "source":
        assert np.abs(corner - (200, 60, 60)).max() < 25, "it fills the shape"
    else:
        assert corner.sum() < 0.9 * middle.sum(), "a darker ground"


@pytest.mark.parametrize("kind", ["webm", "gif", "webp"])
def test_other_kinds_are_as_long_and_show_the_same(clips: list[Clip], pieces: Path, tmp_path: Path, kind: Any) -> None:
    from PIL import Image

    out = tmp_path / f"film.{kind}"
    made = render(replace(joined("dissolve"), output=Output(kind=kind)), clips, out, pieces=pieces)
    assert made.way == "full" and "kind" in made.reasons
    if kind == "webm":
        frames = seen(out)
        with av.open(str(out)) as container:
            assert container.duration / 1e6 == pytest.approx(made.seconds, abs=1 / FPS)
            said = [bytes(packet).decode() for packet in container.demux(container.streams.subtitles[0]) if packet.size]
        assert said == ["A red bar moves.", "The green one follows; it is slower, and nobody knows why.", "Blue."]
        assert tones(heard(out))[-1] == pytest.approx(48 / FPS + MIDDLE, abs=0.04)
    else:
        film: Any = Image.open(out)
        frames, lasting = [], 0
        for number in range(film.n_frames):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
            film.load()
            lasting += film.info["duration"]
        assert lasting / 1000 == pytest.approx(made.seconds, abs=0.02)
    assert len(frames) == made.frames
    assert nearest(frames[3])[:2] == (0, 3) and nearest(frames[-2])[:2] == (2, FRAMES - 2)


def speech(text: str, pace: float) -> Samples:
    """A tone as long as the words: 50 ms a letter."""
    return (0.02 * np.sin(2 * np.pi * 300 * np.arange(int(len(text) * 0.05 / pace * RATE)) / RATE)).astype(np.float32)


def test_a_voice_is_heard_whole_and_at_its_scene(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    words = ["A word.", "x" * 80 + ".", "The last words of it."]
    clips = [Clip(clip.path, text) for clip, text in zip(silent, words, strict=True)]
    plan = replace(PLAIN, narration=Narration("offline"))
    made = render(plan, clips, tmp_path / "film.mp4", pieces=pieces, speak=speech)
    assert made.way == "smart" and made.reasons == ("held",)
    assert made.starts[2] - made.starts[1] > 81 * 0.05, "the scene waits for its words"
    samples = heard(tmp_path / "film.mp4")
    starts = tones(samples)
    assert starts == pytest.approx([start + 0.12 for start in made.starts], abs=0.04)
    parts = [(round(start * RATE), round(len(text) * 0.05 * RATE)) for start, text in zip(starts, words, strict=True)]
    spoken = np.concatenate([samples[begin : begin + length] for begin, length in parts])
    assert np.sqrt((spoken[-2400:] ** 2).mean()) > 0.1, "and not cut off"
    assert loudness(spoken) == pytest.approx(-16, abs=1)
    captions = probe_clip(tmp_path / "film.mp4").captions
    assert [text for text, _, _ in captions] == words
    assert [start for _, start, _ in captions] == pytest.approx(list(made.starts), abs=1 / FPS)


def test_clips_of_another_form_are_encoded_once(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    from tests.odd_files import quadrants, write_video

    foreign = write_video(tmp_path / "film.mp4", [quadrants(160, 120)] * 20, fps=10)
    clips = [silent[0], Clip(foreign, "Another one."), silent[2]]
    made = render(PLAIN, clips, tmp_path / "1.mp4", pieces=pieces)
    assert (made.way, made.reasons, made.encoded) == ("smart", ("differs",), 24)
    frames = seen(tmp_path / "1.mp4")
    assert len(frames) == 2 * FRAMES + 24 and nearest(frames[-1])[:2] == (2, FRAMES - 1)
    assert render(PLAIN, clips, tmp_path / "2.mp4", pieces=pieces).cached == 24


def test_it_tells_how_far_it_is_and_stops_when_told(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    plan = joined("dissolve")
    render(plan, silent, tmp_path / "film.mp4", pieces=pieces, told=told.append)
    counted = [one.done for one in told if one.phase == "encoding"]
    assert counted == sorted(counted) and told[-1].phase == "joining" and told[-1].done == told[-1].total
    for piece in pieces.iterdir():
        piece.unlink()
    stop = iter([False, False, True])
    with pytest.raises(Cancelled):
        render(plan, silent, tmp_path / "no.mp4", pieces=pieces, should_stop=lambda: next(stop, True))
    assert not list(tmp_path.glob("*no.mp4*")) and not list(pieces.glob("*.partial"))


def test_what_cannot_be_is_said_in_one_sentence(
    silent: list[Clip], pieces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "film.mp4"
    gone = [silent[0], Clip(tmp_path / "gone.mp4", "")]
    with pytest.raises(UnreadableMedia, match="scene 2 is gone"):
        render(plan_for("ab"), gone, out, pieces=pieces)
    with pytest.raises(UserError, match="letters 日 本"):
        render(replace(PLAIN, title=Card("日本")), silent, out, pieces=pieces)
    with pytest.raises(UserError, match="no sound"):
        render(replace(PLAIN, narration=Narration("offline"), output=Output(kind="gif")), silent, out, pieces=pieces)

    def full(*_given: Any, **_more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rendering, "encode_piece", full)
    with pytest.raises(UserError, match="is full"):
        render(joined("fade"), silent, out, pieces=pieces)
    assert not list(tmp_path.glob("*film*")) and not list(pieces.iterdir())


def test_a_kill_leaves_no_file_under_its_name(silent: list[Clip], pieces: Path, tmp_path: Path) -> None:
    """A process that writes a film is killed in the middle of a piece."""
    program = f"""
        import sys
        from pathlib import Path
        from app.reel.plan import Card, plan_for
        from app.reel.render import Clip, render
        from dataclasses import replace
        plan = replace(plan_for("a"), title=Card("Long", seconds=10.0))
        def told(progress):
            if progress.done >= 8:
                print("now", flush=True)
                sys.stdin.read()
        clips = [Clip(Path({str(silent[0].path)!r}), "")]
        render(plan, clips, Path("film.mp4"), pieces=Path({str(pieces)!r}), told=told)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=environment,
    )  # fmt: skip
    assert child.stdout is not None and child.stdout.readline() == b"now\n"
    child.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    child.wait()
    child.stdout.close()
    assert not (tmp_path / "film.mp4").exists()
    assert all(path.suffix == ".partial" for path in pieces.iterdir()), "no half piece is taken for a whole one"
    made = render(
        replace(plan_for("a"), title=Card("Long", seconds=1.0)), silent[:1], tmp_path / "film.mp4", pieces=pieces
    )
    assert made.encoded == FPS


def test_a_clip_of_one_frame_and_one_with_an_odd_end(pieces: Path, tmp_path: Path) -> None:
    short = [Clip(make_clip(tmp_path / f"{n}.mp4", n, n, sound=False), "") for n in (1, 2, 13)]
    made = render(joined("dissolve"), short, tmp_path / "film.mp4", pieces=pieces)
    assert made.frames == probe_clip(tmp_path / "film.mp4").frames == len(seen(tmp_path / "film.mp4"))
