"""Reading files from outside: odd ones come out right, broken ones end in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nsp_core.errors import UnreadableMedia
from nsp_core.media import Limits, MediaClip, read_media, to_model_frames
from tests.odd_files import (
    BLUE,
    GREEN,
    MAKERS,
    QUADRANTS,
    RED,
    VFR_TIMES,
    YELLOW,
    corner_colours,
    make_odd_file,
    quadrants,
    write_video,
)

WHITE = (255, 255, 255)
READABLE = [name for name, (readable, _, _) in MAKERS.items() if readable]
BROKEN = [name for name, (readable, _, _) in MAKERS.items() if not readable]
PLAIN = [name for name in READABLE if name not in {"varying_rate.mp4", "hdr10.mp4", "hlg.mp4", "gray16.png"}]
HALF_WHITE = {"alpha.png": (RED, GREEN, WHITE, WHITE), "alpha.mov": (RED, GREEN, WHITE, WHITE)}
HALF_WHITE["palette.png"] = (WHITE, GREEN, BLUE, YELLOW)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("odd")


def check_shape(clip: MediaClip, kind: str) -> None:
    assert clip.kind == kind
    assert clip.frames.dtype == np.uint8 and clip.frames.ndim == 4 and clip.frames.shape[3] == 3
    assert clip.frames.flags.c_contiguous
    assert (len(clip.frames) == 1 and clip.fps == 0) if kind == "picture" else clip.fps > 0
    assert clip.source_width > 0 and clip.source_height > 0
    shown, source = clip.frames.shape[2] / clip.frames.shape[1], clip.source_width / clip.source_height
    assert shown == pytest.approx(source, rel=0.02)


def one_sentence(message: str) -> None:
    assert "\n" not in message and 30 < len(message) < 400
    assert message.endswith(".") and "Traceback" not in message
    assert ". " not in message, "more than one sentence"


@pytest.mark.parametrize("name", PLAIN)
def test_quadrants_come_out_upright_and_in_colour(folder: Path, name: str) -> None:
    made = make_odd_file(folder, name)
    clip = read_media(made.path)
    check_shape(clip, made.kind)
    for seen, true in zip(corner_colours(clip.frames[0]), HALF_WHITE.get(name, QUADRANTS), strict=True):
        assert np.abs(np.subtract(seen, true)).max() <= 4, f"{seen} instead of {true}"


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_give_one_sentence(folder: Path, name: str) -> None:
    made = make_odd_file(folder, name)
    with pytest.raises(UnreadableMedia) as caught:
        read_media(made.path)
    one_sentence(str(caught.value))
    assert name in str(caught.value)


def test_missing_files_and_folders_give_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.mp4"):
        with pytest.raises(UnreadableMedia) as caught:
            read_media(path)
        one_sentence(str(caught.value))


def test_a_varying_rate_becomes_constant_by_time_stamps(folder: Path) -> None:
    made = make_odd_file(folder, "varying_rate.mp4")
    clip = read_media(made.path, fps=25)
    shown = clip.frames[:, 40, 40, 0].astype(int)
    for index, value in enumerate(shown):
        at = index / 25 * 1000
        expected = max(k for k, time in enumerate(VFR_TIMES) if time <= at + 0.5)
        assert abs(value - (20 * expected + 20)) <= 4, f"at {at:.0f} ms"
    assert 1.8 <= clip.seconds <= 2.4


def test_high_dynamic_range_is_brought_to_an_ordinary_screen(folder: Path) -> None:
    pq = read_media(make_odd_file(folder, "hdr10.mp4").path)
    black, grey, white, bright = (colour[0] for colour in corner_colours(pq.frames[0]))
    assert black <= 2
    assert abs(grey - 100) <= 5  # 26 of 203 nits is 12.8% of the light, 100 in sRGB
    assert 215 <= white <= 240 and bright >= 253 and "dynamic" in pq.note
    hlg = read_media(make_odd_file(folder, "hlg.mp4").path)
    black, dim, white, bright = (colour[0] for colour in corner_colours(hlg.frames[0]))
    assert black <= 2 and 60 <= dim <= 95 and 215 <= white <= 240 and bright >= 253


def test_sixteen_bits_are_scaled_and_not_clipped(folder: Path) -> None:
    ramp = read_media(make_odd_file(folder, "gray16.png").path).frames[0, 0, :, 0].astype(int)
    assert ramp[0] == 0 and ramp[-1] == 255 and np.all(np.abs(np.diff(ramp) - 1.6) < 1.1)


def test_animations_keep_their_own_time(folder: Path) -> None:
    for name in ("animated.gif", "animated.webp", "animated.png"):
        clip = read_media(make_odd_file(folder, name).path, fps=8)
        assert len(clip.frames) == 12 and clip.source_seconds == pytest.approx(1.5)
        for index, frame in enumerate(clip.frames):  # six frames of 250 ms, moved by 4 pixels each
            assert np.abs(frame.astype(int) - np.roll(quadrants(), 4 * (index // 2), axis=1)).mean() < 1


def test_sound_is_noticed(folder: Path) -> None:
    assert read_media(make_odd_file(folder, "film named.jpg").path).has_audio
    assert not read_media(make_odd_file(folder, "yuv444.mp4").path).has_audio


def test_only_the_asked_part_is_read(tmp_path: Path) -> None:
    greys = [np.full((96, 160, 3), 5 * k, np.uint8) for k in range(48)]
    path = write_video(tmp_path / "long.mp4", greys, codec_options={"g": "12"})  # 4 s at 12 a second
    clip = read_media(path, start=2.0, max_seconds=1.0, fps=12)
    assert len(clip.frames) == 12 and "Only 1 s" in clip.note
    assert np.abs(clip.frames[:, 5, 5, 0].astype(int) - 5 * np.arange(24, 36)).max() <= 3
    with pytest.raises(UnreadableMedia, match="earlier start"):
        read_media(path, start=9.0)


def test_a_film_cut_short_late_is_read_with_a_note(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (96, 160, 3), dtype=np.uint8) for _ in range(60)]
    path = write_video(tmp_path / "film.mp4", noise, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.75)])
    clip = read_media(path)
    assert 2.5 <= clip.seconds <= 4.5 and "ends early" in clip.note


def test_limits_name_what_was_asked_and_what_is_allowed(folder: Path) -> None:
    film = make_odd_file(folder, "yuv444.mp4").path
    picture = make_odd_file(folder, "rgb16.png").path
    for path, limits, words in (
        (film, Limits(bytes=100), "MB"),
        (film, Limits(frame_pixels=1000), "megapixels"),
        (film, Limits(seconds=0.5), r"at most 0\.5 s"),
        (film, Limits(decode_seconds=0.0), "takes longer"),
        (picture, Limits(pixels=1000), "megapixels"),
    ):
        with pytest.raises(UnreadableMedia, match=words) as caught:
            read_media(path, limits=limits)
        assert path.name in str(caught.value)


def test_large_pictures_and_films_are_kept_small(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(quadrants(3200, 1920)).save(tmp_path / "large.jpg", quality=95)
    clip = read_media(tmp_path / "large.jpg", side=400)
    assert clip.frames.shape == (1, 240, 400, 3) and clip.source_width == 3200
    for seen, true in zip(corner_colours(clip.frames[0]), QUADRANTS, strict=True):
        assert np.abs(np.subtract(seen, true)).max() <= 4


def test_model_frames_are_cut_to_the_middle_and_averaged() -> None:
    wide = np.zeros((1, 192, 480, 3), np.uint8)
    wide[:, :, :80], wide[:, :, 400:] = 255, 255  # outside of 5:3
    checker = np.indices((192, 320)).sum(axis=0) % 2 * 255
    wide[:, :, 80:400] = checker[None, :, :, None]
    frames = to_model_frames(MediaClip(wide, 0.0, "picture"))
    assert frames.shape == (17, 96, 160, 3)
    assert np.all(np.abs(frames.astype(int) - 127) <= 1)  # 2x2 of a checkerboard is grey; the white edges are cut off


def test_model_frames_take_the_last_part_at_the_models_rate() -> None:
    frames = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None, None], 96, 1).repeat(160, 2).repeat(3, 3)
    clip = MediaClip(frames, 24.0, "clip")
    last = to_model_frames(clip)[:, 0, 0, 0].tolist()
    assert last == [99 - 48 + 3 * k for k in range(17)]
    first = to_model_frames(clip, part="first")[:, 0, 0, 0].tolist()
    assert first == [3 * k for k in range(17)]
    short = to_model_frames(MediaClip(frames[:4], 8.0, "clip"))[:, 0, 0, 0].tolist()
    assert short == [0, 1, 2] + [3] * 14


def test_damaged_bytes_never_escape_as_anything_but_one_sentence(folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    for name in ("film named.jpg", "hdr10.mp4", "no_duration.webm", "old.avi", "turned.jpg", "phone.heic",
                 "modern.avif", "animated.gif", "animated.webp", "palette.png", "fragmented.mp4"):  # fmt: skip
        whole = make_odd_file(folder, name).path.read_bytes()
        for attempt in range(4):
            data = bytearray(whole)
            for position in rng.integers(0, len(data), 1 + 8 * attempt):
                data[position] = int(rng.integers(0, 256))
            if attempt == 3:
                data = data[: int(rng.integers(16, len(data)))]
            path = tmp_path / f"{attempt}-{name}"
            path.write_bytes(data)
            try:
                clip = read_media(path, limits=Limits(decode_seconds=10))
            except UnreadableMedia as error:
                one_sentence(str(error))
            else:
                assert clip.frames.ndim == 4 and len(clip.frames)


def test_media_needs_no_torch() -> None:
    check = "import sys, nsp_core.media; raise SystemExit(int('torch' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], cwd=Path(__file__).parents[2]).returncode == 0


def media_folder() -> list[Path]:
    named = os.environ.get("WHATNEXT_TEST_MEDIA", "")
    return sorted(path for path in Path(named).iterdir() if path.suffix != ".csv") if named else []


@pytest.mark.parametrize("path", media_folder(), ids=lambda path: path.name)
def test_every_file_of_the_given_folder_is_read_or_refused_clearly(path: Path) -> None:
    broken = any(word in path.name for word in ("truncated", "invalid", "text_named"))
    try:
        clip = read_media(path, max_seconds=5)
    except UnreadableMedia as error:
        assert broken, str(error)
        one_sentence(str(error))
    else:
        assert not broken, "a broken file was read"
        check_shape(clip, clip.kind)
        assert to_model_frames(clip).shape == (17, 96, 160, 3)
