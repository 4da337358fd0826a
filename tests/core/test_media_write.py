"""The house encoding, and what is kept without loss."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from nsp_core.errors import GeometryError, UnreadableMedia
from nsp_core.media import (
    HOUSE,
    HOUSE_ENCODING_HASH,
    HOUSE_ENCODING_VERSION,
    HouseEncoding,
    load_frames,
    load_latents,
    probe_clip,
    read_media,
    save_frames,
    save_latents,
    to_model_frames,
    write_clip,
    write_png,
)
from tests.odd_files import QUADRANTS, corner_colours, quadrants


def moving(frames: int = 17) -> np.ndarray:
    return np.stack([np.roll(quadrants(), 3 * k, axis=1) for k in range(frames)])


def test_the_house_encoding_is_frozen() -> None:
    """A change here makes every kept clip differ from new ones: raise the version, and say so in CHANGELOG.md."""
    assert (HOUSE_ENCODING_VERSION, HOUSE_ENCODING_HASH) == (1, "5bc25e2666141798")


def test_a_written_clip_has_exactly_the_house_parameters(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving(), 8)
    probe = probe_clip(path)
    form = probe.format
    assert (form.codec, form.profile, form.pixel_format) == ("h264", "High", "yuv420p")
    assert (form.width, form.height, form.fps, form.time_base) == (640, 384, 8, Fraction(1, 120_000))
    assert form.colour == (1, 1, 1, 1)  # BT.709 primaries, transfer and matrix, limited range
    assert (form.audio_codec, form.audio_rate, form.audio_layout) == ("aac", 48_000, "stereo")
    assert probe.frames == 17 and probe.seconds == 2.125 and probe.audio_seconds == 2.125
    assert probe.keyframes == (0, 12) and probe.index_first


def test_times_are_constant_and_every_group_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving(30), 8)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.pts is not None]
    assert sorted(packet.pts or 0 for packet in packets) == [15_000 * k for k in range(30)]
    keys = [packet for packet in packets if packet.is_keyframe]
    assert len(keys) == 3
    for key in keys:  # nothing decoded later may be shown before its key frame, and the key frame is an IDR picture
        position = packets.index(key)
        assert all((later.pts or 0) > (key.pts or 0) for later in packets[position + 1 :])
        data, kinds, at = bytes(key), set(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            kinds.add(data[at + 4] & 31)
            at += 4 + size
        assert 5 in kinds
    order = [packet.pts for packet in packets]
    assert order != sorted(order)  # B frames are used


def test_the_sound_is_silent_and_as_long_as_the_pictures(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving(5), 8)
    with av.open(str(path)) as container:
        blocks = [block.to_ndarray() for block in container.decode(audio=0)]
    sound = np.concatenate(blocks, axis=1)
    assert sound.shape[0] == 2 and np.abs(sound).max() < 1e-5
    assert abs(sound.shape[1] - 5 * 6000) <= 1024


def test_pictures_survive_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frames = moving()
    write_clip(path, frames, 8)
    again = to_model_frames(read_media(path))
    assert again.shape == frames.shape
    assert np.abs(again.astype(int) - frames).mean() < 2.0
    for seen, true in zip(corner_colours(again[0]), QUADRANTS, strict=True):
        assert np.abs(np.subtract(seen, true)).max() <= 3  # colours, not only their average


def test_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_clip(tmp_path / name, moving(), 8)
    first, second = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.mp4", "b.mp4"))
    assert first == second
    assert b"Lavf" not in (tmp_path / "a.mp4").read_bytes() and b"Lavc" not in (tmp_path / "a.mp4").read_bytes()


@pytest.mark.parametrize(
    "size", [(160, 96, 640, 384), (320, 192, 1280, 768), (832, 480, 832, 480), (161, 97, 644, 388)]
)
def test_small_clips_are_enlarged_by_an_integer(tmp_path: Path, size: tuple[int, int, int, int]) -> None:
    write_clip(tmp_path / "clip.mp4", np.stack([quadrants(*size[:2])] * 2), 8)
    form = probe_clip(tmp_path / "clip.mp4").format
    assert (form.width, form.height) == size[2:]


def test_an_odd_large_size_gains_a_row_and_a_column(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", np.stack([quadrants(701, 401)] * 2), 8)
    form = probe_clip(tmp_path / "clip.mp4").format
    assert (form.width, form.height) == (702, 402)


@pytest.mark.parametrize("fps", [8, 24, 25, 30, Fraction(30000, 1001), 23.976023976, 60])
def test_usual_rates_are_exact(tmp_path: Path, fps: float | Fraction) -> None:
    write_clip(tmp_path / "clip.mp4", moving(3), fps)
    found = probe_clip(tmp_path / "clip.mp4")
    assert float(found.format.fps) == pytest.approx(float(fps), rel=1e-6) and found.frames == 3


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for frames, fps in (
        (moving().astype(np.float32), 8.0),
        (moving()[:0], 8.0),
        (moving()[0], 8.0),
        (moving(), 0.0),
        (moving(), 7.0),
    ):
        with pytest.raises(GeometryError) as caught:
            write_clip(path, frames, fps)
        assert str(caught.value).endswith(".")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_encoder_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, moving(3), 8)
    before = path.read_bytes()
    with pytest.raises(Exception, match=r".+"):
        write_clip(path, moving(3), 8, master=HouseEncoding(preset="no such preset"))
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["clip.mp4"]


def test_nearest_keeps_hard_edges(tmp_path: Path) -> None:
    from nsp_core.media.write import enlarge

    frame = quadrants()
    assert np.array_equal(enlarge(frame, HouseEncoding(upscale_filter="nearest"))[2::4, 2::4], frame)
    assert not np.array_equal(enlarge(frame, HOUSE)[2::4, 2::4], frame)


def test_frames_and_latents_come_back_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for frames in (moving(), rng.integers(0, 256, (5, 7, 9, 3), dtype=np.uint8), moving(1)):
        save_frames(tmp_path / "frames.npz", frames, 8.0)
        again, fps = load_frames(tmp_path / "frames.npz")
        assert again.dtype == np.uint8 and np.array_equal(again, frames) and fps == 8.0
    latents = rng.standard_normal((64, 1, 6, 10)).astype(np.float32)
    save_latents(tmp_path / "tail.safetensors", latents)
    assert np.array_equal(load_latents(tmp_path / "tail.safetensors"), latents)
    write_png(tmp_path / "last.png", moving()[-1])
    assert np.array_equal(read_media(tmp_path / "last.png").frames[0], moving()[-1])


def test_same_frames_are_kept_under_the_same_hash(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_frames(tmp_path / name, moving(), 8.0)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_foreign_files_are_no_frames_or_latents(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", steps=np.array([{"code": 1}], dtype=object), fps=8.0)
    np.savez(tmp_path / "other.npz", steps=np.zeros((2, 3)), fps=8.0)
    (tmp_path / "text.npz").write_text("no frames")
    for name in ("objects.npz", "other.npz", "text.npz", "missing.npz"):
        with pytest.raises(UnreadableMedia, match="another file"):
            load_frames(tmp_path / name)
        with pytest.raises(UnreadableMedia, match="another file"):
            load_latents(tmp_path / name)
