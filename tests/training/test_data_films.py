"""From a film to clips: shots, windows, the same frames by both ways, measures, reasons, copies."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import av
import cv2
import numpy as np
import pytest

from nsp_core.errors import ConfigError
from nsp_core.media import read_media
from nsp_core.media.geometry import at_constant_rate
from tests.training.data_parts import SHOTS, frames_of_shot, small_config, write_film
from training.data import measure, quality
from training.data.config import ClipConfig, QualityConfig
from training.data.duplicates import same_looks
from training.data.encode import place_of
from training.data.film import Film, Scaler
from training.data.probe import look_at
from training.data.render import render_one
from training.data.rows import Row, hash_of_file
from training.data.split import Picker, split_one


def source(path: Path, **values) -> Row:
    return Row(hash_of_file(path)[:16], "source", "", {"path": str(path), "kind": "video", **values})


def test_a_film_is_cut_where_its_pictures_change(tmp_path):
    path = write_film(tmp_path / "film.mp4")
    found = split_one(source(path), small_config(tmp_path), tmp_path)
    assert found.values == {"cuts": [60, 120], "ends_early": ""}
    assert [(c.values["shot"], c.values["window"], c.values["start"], c.values["frames"]) for c in found.children] == [
        (0, 0, 0.0, 33),
        (1, 0, 2.5, 33),
        (2, 0, 5.0, 33),
    ]
    assert all(c.parent == source(path).id for c in found.children)
    clip = read_media(place_of(tmp_path, found.children[1].id, ".mp4"), fps=None)
    assert clip.frames.shape == (33, 48, 64, 3)
    assert clip.fps == 16
    wanted = frames_of_shot(SHOTS[1], 60)[0].reshape(-1, 3).mean(0)
    assert np.abs(clip.frames[0].reshape(-1, 3).mean(0) - wanted).max() < 12


@pytest.mark.parametrize(("fps", "shots", "clip"), [(24, 2, {}), (10, 1, {}), (30, 1, {"frames": 17})])
def test_a_clip_made_in_passing_is_the_clip_that_is_cut_out_later(tmp_path, fps, shots, clip):
    path = write_film(tmp_path / "film.mp4", SHOTS[:shots], 75, fps)
    config = small_config(tmp_path, clip=clip)
    children = split_one(source(path), config, tmp_path / "a").children
    assert len(children) >= 2
    for child in children:
        row = Row(child.id, "clip", child.parent, {**child.values, "path": str(path)})
        made = render_one(row, config.clip, tmp_path / "a").values
        again = render_one(row, config.clip, tmp_path / "b").values
        assert made == again


def test_windows_of_a_long_shot_follow_each_other_without_a_gap(tmp_path):
    path = write_film(tmp_path / "film.mp4", SHOTS[:1], 140)  # 5.83 s: 33 + 33 frames, and a rest of 27
    config = small_config(tmp_path)
    children = split_one(source(path), config, None).children
    assert [(c.values["start"], c.values["frames"]) for c in children] == [(0.0, 33), (2.0625, 33), (4.125, 25)]
    one = small_config(tmp_path, clip={"windows": 1})
    assert [c.id for c in split_one(source(path), one, None).children] == [children[0].id]


def test_picked_frames_are_those_on_screen():
    rng = Random(3)
    for _ in range(50):
        times = np.cumsum([rng.uniform(0.01, 0.2) for _ in range(rng.randint(1, 40))]).tolist()
        timed = [(at, 0.05, number) for number, at in enumerate(times)]
        start, fps, count = rng.uniform(times[0], times[-1]), rng.choice((8, 16)), rng.randint(1, 60)
        wanted = list(at_constant_rate(iter(timed), fps, start, count / fps))
        picker = Picker(start, fps, count)
        got = [one for at, _, number in timed for one in picker.push(at, number)]
        got += picker.push(times[-1] + 0.05, None)
        assert got == wanted or (not got and len(wanted) == 1)  # a picker gives nothing where nothing is left to show


def test_a_turned_film_stands_upright_and_fills_the_clip(tmp_path):
    path = tmp_path / "turned.mp4"
    plain = write_film(tmp_path / "plain.mp4", SHOTS[:1], 40, width=128, height=96)
    with av.open(str(plain)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40  # the matrix of a version 0 track header: a quarter turn clockwise
    turn = [0, 1 << 16, 0, -(1 << 16) & 0xFFFFFFFF, 0, 0, 0, 0, 1 << 30]
    data[at : at + 36] = b"".join(value.to_bytes(4, "big") for value in turn)
    path.write_bytes(bytes(data))
    with Film(path) as film:
        look = film.look()
        assert (look.width, look.height, look.turns) == (96, 128, 90)
        scale = Scaler(film, look, 64, 48, "rgb24", crop=True, flags="bicubic")
        frame = next(film.frames()).frame
        assert scale(frame).to_ndarray().shape == (48, 64, 3)
    shown = read_media(path, fps=None).frames
    assert shown.shape[1:3] == (128, 96)


def test_what_is_no_film_is_dropped_with_one_reason(tmp_path):
    text = tmp_path / "film.mp4"
    text.write_text("no film at all")
    small = write_film(tmp_path / "small.mp4", SHOTS[:1], 10, width=32, height=32)
    clip = small_config(tmp_path).clip
    assert "plain text" in look_at(source(text), clip).reason
    assert text.name not in look_at(source(text), clip).reason
    assert look_at(source(small), clip).reason == "it is smaller than 64x48"
    assert look_at(source(tmp_path / "small.mp4"), ClipConfig()).reason == "it is smaller than 832x480"


def test_a_film_that_ends_early_keeps_what_can_be_read(tmp_path):
    path = write_film(tmp_path / "film.mp4")
    with av.open(str(path)) as given, av.open(str(tmp_path / "cut.mkv"), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)
    data = (tmp_path / "cut.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) // 2])
    whole = split_one(source(path), small_config(tmp_path), None)
    part = split_one(source(tmp_path / "cut.mkv"), small_config(tmp_path), None)
    assert 1 <= len(part.children) < len(whole.children)


# -- measures ---------------------------------------------------------------------------------------------------------
def lettered(text: str) -> np.ndarray:
    picture = np.random.default_rng(0).normal(110, 6, (480, 832)).clip(0, 255).astype(np.uint8)
    cv2.putText(picture, text, (60, 430), cv2.FONT_HERSHEY_DUPLEX, 1.6, 255, 4)
    return picture


def test_letters_are_seen_and_a_plain_picture_has_none():
    assert measure.text_share(lettered("and then the rain began to fall")) > 0.03
    assert measure.text_share(lettered("")) == 0.0


def test_bars_black_and_stillness():
    grey = np.full((48, 64), 120, np.uint8)
    grey[:8] = grey[-8:] = 0
    assert measure.bars_of(grey) == pytest.approx(1 / 3)
    assert measure.bars_of(np.zeros((48, 64), np.uint8)) == 0.0
    moving = [np.roll(lettered("x"), 5 * n, 1)[::4, ::4].copy() for n in range(9)]
    assert measure.measures_of(moving, lettered("x"), 18.0)["still"] == 0.0
    held = measure.measures_of(moving[:1] * 9, lettered("x"), 18.0)
    assert (held["still"], held["motion"]) == (1.0, 0.0)


GOOD = {"kind": "video", "frames": 81, "motion": 3.0, "still": 0.0, "black": 0.0, "flat": 0.0}
GOOD |= {"bars": 0.0, "text": 0.0, "sharpness": 300.0}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"frames": 25}, "the shot is shorter than 33 frames"),
        ({"black": 0.5}, "it is black for too long"),
        ({"still": 0.9}, "it stands still"),
        ({"motion": 0.1}, "hardly anything moves"),
        ({"motion": 90.0}, "it moves too wildly"),
        ({"bars": 0.4}, "it has black bars"),
        ({"text": 0.2}, "there is text in the picture"),
        ({"sharpness": 3.0}, "it is not sharp"),
        ({"kind": "image", "motion": 0.0, "still": 1.0}, ""),
        ({"kind": "image", "flat": 1.0}, "nothing is to be seen in it"),
    ],
)
def test_each_threshold_has_its_reason(change, reason):
    assert quality.reason_against({**GOOD, **change}, ClipConfig(), QualityConfig()) == reason


def test_copies_are_found_whatever_bits_differ_and_one_stays():
    rng = Random(1)

    def clip(id, prints, parent="film", shot=0):
        values = {"prints": [f"{p:016x}" for p in prints], "shot": shot, "kind": "video"}
        return Row(id, "clip", parent, values)

    first = [rng.getrandbits(64) for _ in range(3)]
    near = [p ^ sum(1 << bit for bit in rng.sample(range(64), 6)) for p in first]
    far = [p ^ sum(1 << bit for bit in rng.sample(range(64), 7)) for p in first]
    rows = [clip("a", first), clip("b", near, "other"), clip("c", far, "other"), clip("d", first)]
    rows += [clip("e", [first[0], first[1], rng.getrandbits(64)], "third")]
    found = same_looks(rows, 6)
    assert set(found) == {"b"}  # d is another window of a's shot, e ends otherwise
    assert found["b"].values["same_as"] == "a"
    assert same_looks(rows, -1) == {}


def test_numbers_that_cannot_work_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="8k\\+1"):
        small_config(tmp_path, clip={"frames": 80})


# -- real ones --------------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not os.environ.get("WHATNEXT_TEST_MEDIA"), reason="WHATNEXT_TEST_MEDIA names no folder")
@pytest.mark.full
def test_cuts_are_pyscenedetects_own():
    from scenedetect import AdaptiveDetector, SceneManager, open_video

    from training.data.config import DataConfig, SourceConfig

    films = [p for p in sorted(Path(os.environ["WHATNEXT_TEST_MEDIA"]).iterdir()) if p.suffix in (".mp4", ".webm")]
    compared = 0
    for path in films:
        found = split_one(source(path), DataConfig((SourceConfig(path),)), None)
        if found.status != "ok":
            continue
        manager = SceneManager()
        manager.add_detector(AdaptiveDetector(min_scene_len="0.6s"))
        manager.detect_scenes(open_video(str(path)))
        peer = [scene[0].frame_num for scene in manager.get_scene_list(start_in_scene=True)[1:]]
        assert found.values["cuts"] == peer, path.name
        compared += 1
    assert compared >= 5
