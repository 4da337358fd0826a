"""The paper's data sets in the layouts in which they are published, three rows each, and training from them."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from nsp_core.errors import ConfigError, UnreadableMedia
from nsp_core.media import write_clip
from nsp_core.model import build
from training.data import published
from training.data.published import frames_of, rows, swap_sides
from training.distil.stage import stills
from training.picturebook.words import corpus
from training.pretrain.cache import make_cache
from training.pretrain.examples import HELD_OUT, ExampleConfig, example, prompts, real_rows

SHADES = (40, 120, 200)
NAMES = ("Eep9uvenxAo-Scene-0030", "b-Scene-0002", "c-Scene-0003")
WORDS = ("A hand touches red flowers.", "A dog runs on sand.", "Coffee is poured into a cup.")


def film(path, shade, frames=24):
    """Left half of a shade, right half white, and each frame a little lighter than the one before."""
    made = np.full((frames, 64, 96, 3), 255, np.uint8)
    made[:, :, :48] = (shade + 2 * np.arange(frames))[:, None, None, None]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, made, 8)


def picture(shade):
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def blip3o(folder):
    with tarfile.open(folder / "00000.tar", "w") as archive:
        for name, words, shade in zip(NAMES, WORDS, SHADES, strict=True):
            for suffix, data in ((".png", picture(shade)), (".txt", words.encode())):
                member = tarfile.TarInfo(name + suffix)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        alone = tarfile.TarInfo("alone.txt")
        archive.addfile(alone, io.BytesIO(b""))


def vidgen(folder):
    entries = [{"vid": n, "caption": w} for n, w in zip(NAMES, WORDS, strict=True)]
    (folder / "VidGen_1M_video_caption.json").write_text(json.dumps([*entries, {"vid": "gone", "caption": "Gone."}]))
    for name, shade in zip(NAMES, SHADES, strict=True):
        film(folder / "made" / f"{name}.mp4", shade)
    with zipfile.ZipFile(folder / "VidGen_video_0.zip", "w") as archive:
        for name in NAMES[1:]:
            archive.write(folder / "made" / f"{name}.mp4", f"{name}.mp4")
            (folder / "made" / f"{name}.mp4").unlink()


def openvid(folder):
    with (folder / "OpenVid-1M.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["video", "caption", "aesthetic score", "motion score", "frame", "fps", "seconds"])
        table.writerows([f"{n}.mp4", w, 5.1, 3, 24, 8, 3] for n, w in zip(NAMES, WORDS, strict=True))
        table.writerow(["silent.mp4", "", 5.1, 3, 24, 8, 3])
    for name, shade in zip((*NAMES, "silent"), (*SHADES, 0), strict=True):
        film(folder / "videos" / f"{name}.mp4", shade)


def opens2v(folder):
    entries = {}
    for name, words, shade in zip(NAMES, WORDS, SHADES, strict=True):
        about = {"path": f"part_1/{name}/v.mp4", "face_cut": [8, 24], "crop": [0, 48, 0, 64], "face_cap_qwen": words}
        entries[name] = {"metadata": about, "annotation": {}}
        film(folder / "part_1" / name / "v.mp4", shade)
    (folder / "total_part1.json").write_text(json.dumps(entries))


def openhumanvid(folder):
    with (folder / "OpenHumanVid.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "short_caption"])
        table.writerows([f"x/{n}.mp4", w] for n, w in zip(NAMES, WORDS, strict=True))
    for name, shade in zip(NAMES, SHADES, strict=True):
        film(folder / "x" / f"{name}.mp4", shade)


LAYOUTS = {"blip3o": blip3o, "vidgen": vidgen, "openvid": openvid, "opens2v": opens2v, "openhumanvid": openhumanvid}


@pytest.mark.parametrize("name", LAYOUTS)
def test_three_rows_in_the_published_layout(name, tmp_path):
    LAYOUTS[name](tmp_path)
    read = list(rows(name, tmp_path))
    assert [row.caption for row in read] == list(WORDS)
    for row, shade in zip(read, SHADES, strict=True):
        count = 1 if name == "blip3o" else 9
        frames = frames_of(row, 32, 32, count, 8)
        assert frames.shape == (count, 32, 32, 3)
        first = shade + 16 if name == "opens2v" else shade  # from the eighth frame on
        assert abs(int(frames[0, 16, 4, 0]) - first) < 10
        right = frames[0, 16, 28]
        if name == "opens2v":  # the white half is cut away
            assert abs(int(right[0]) - first) < 10
        elif name != "blip3o":
            assert right.min() > 240
            assert frames[-1, 16, 4, 0] > frames[0, 16, 4, 0] + 8


def test_the_sets_own_cut_is_not_left(tmp_path):
    """Four frames from the eighth on, then what comes is another scene: the last of the four is held."""
    opens2v(tmp_path)
    file = tmp_path / "total_part1.json"
    file.write_text(file.read_text().replace("[8, 24]", "[8, 12]"))
    for row, shade in zip(rows("opens2v", tmp_path), SHADES, strict=True):
        seen = frames_of(row, 32, 32, 9, 8)[:, 16, 4, 0].astype(int)
        assert abs(seen[0] - (shade + 16)) < 10 and seen[3] > seen[0]
        assert (seen[3:] == seen[3]).all() and seen[-1] < shade + 16 + 8 + 6


def test_videos_of_one_name_in_two_folders_keep_their_own_words(tmp_path):
    with (tmp_path / "OpenHumanVid.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [["path", "caption"], *([f"{n}/v.mp4", w] for n, w in zip("abc", WORDS, strict=True))]
        )
    for name, shade in zip("ac", SHADES[::2], strict=True):
        film(tmp_path / name / "v.mp4", shade)
    read = list(rows("openhumanvid", tmp_path))
    assert [(row.key, row.caption) for row in read] == [("a/v", WORDS[0]), ("c/v", WORDS[2])]
    assert [abs(int(frames_of(r, 32, 32, 1, 8)[0, 16, 4, 0]) - s) < 10 for r, s in zip(read, SHADES[::2], strict=True)]


def test_a_key_in_a_tar_is_the_name_of_its_file(tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for name in ("./000", "./001", "deep.er/000"):
            for suffix, data in ((".png", picture(40)), (".txt", name.encode())):
                member = tarfile.TarInfo(name + suffix)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    read = list(rows("blip3o", tmp_path))
    assert [(r.key, r.caption) for r in read] == [("000", "./000"), ("001", "./001"), ("deep.er/000", "deep.er/000")]
    assert all(frames_of(row, 32, 32, 1, 8).shape == (1, 32, 32, 3) for row in read)


def test_a_part_of_a_set_beside_the_whole_doubles_nothing(tmp_path):
    openvid(tmp_path)
    (tmp_path / "OpenVidHD.csv").write_text((tmp_path / "OpenVid-1M.csv").read_text())
    assert [row.caption for row in rows("openvid", tmp_path)] == list(WORDS)


def test_zips_are_looked_through_once_for_all_tables(tmp_path, monkeypatch):
    opened = []
    real = zipfile.ZipFile
    monkeypatch.setattr(published.zipfile, "ZipFile", lambda path, *more: opened.append(path) or real(path, *more))
    opens2v(tmp_path)
    (tmp_path / "total_part2.json").write_text((tmp_path / "total_part1.json").read_text())
    with real(tmp_path / "more.zip", "w") as archive:
        archive.writestr("part_9/v.mp4", b"")
    assert len(list(rows("opens2v", tmp_path))) == 6 and len(opened) == 1


def test_an_archive_that_is_not_whole_leaves_the_others(tmp_path):
    vidgen(tmp_path)
    (tmp_path / "VidGen_video_1.zip").write_bytes(b"half of a download")
    assert len(list(rows("vidgen", tmp_path))) == 3
    (tmp_path / "tars").mkdir()
    blip3o(tmp_path / "tars")
    whole = (tmp_path / "tars" / "00000.tar").read_bytes()
    (tmp_path / "tars" / "00001.tar").write_bytes(whole[:1200])  # one picture, and half a caption
    (tmp_path / "tars" / "00002.tar").write_bytes(b"nothing of a tar at all")
    read = list(rows("blip3o", tmp_path / "tars"))
    assert [row.path.name for row in read] == ["00000.tar"] * 3
    assert frames_of(read[2], 32, 32, 1, 8).shape == (1, 32, 32, 3)


def test_what_cannot_be_read_is_unreadable_whatever_it_is(tmp_path):
    opens2v(tmp_path)
    row = next(rows("opens2v", tmp_path))
    row.path.write_bytes(b"no video")
    with pytest.raises(UnreadableMedia):
        frames_of(row, 32, 32, 9, 8)
    vidgen_folder = tmp_path / "vidgen"
    vidgen_folder.mkdir()
    vidgen(vidgen_folder)
    zipped = next(row for row in rows("vidgen", vidgen_folder) if row.member)
    data = bytearray(zipped.path.read_bytes())
    data[200:400] = bytes(200)
    zipped.path.write_bytes(data)
    with pytest.raises(UnreadableMedia, match="download it again"):
        frames_of(zipped, 32, 32, 9, 8)


def test_what_is_no_set_is_said_in_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match="no reader for 'laion'"):
        rows("laion", tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        rows("vidgen", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"no VidGen_1M_video_caption\.json"):
        list(rows("vidgen", tmp_path))
    (tmp_path / "odd.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"odd\.csv has the columns a, b"):
        list(rows("openhumanvid", tmp_path))


def test_a_stage_learns_from_them(tmp_path, monkeypatch):
    for name in ("vidgen", "openvid"):
        (tmp_path / name).mkdir()
        LAYOUTS[name](tmp_path / name)
    pipeline = build.tiny_pipeline(corpus(Random(0), 200))
    sources = tuple(f"{name}:{tmp_path / name}" for name in ("vidgen", "openvid"))
    config = ExampleConfig(videos=6, video_sources=sources)
    made = [example(pipeline, config, "video", number) for number in range(4)]
    assert all(one.frames.shape == (17, 96, 160, 3) and one.before is None for one in made)
    assert {words for one in made for words in WORDS if words in one.prompt.text} == set(WORDS[:2])
    assert all(one.words in one.prompt.text and one.words in WORDS for one in made)
    assert {row.source for row in real_rows(sources, False)} == {"vidgen", "openvid"}
    with pytest.raises(ConfigError, match="that is for video_sources"):
        example(pipeline, ExampleConfig(images=1, image_sources=sources), "image", 0)
    with pytest.raises(ConfigError, match="held-out part"):
        example(pipeline, config, "video", HELD_OUT)
    with pytest.raises(ConfigError, match="NAME:FOLDER"):
        example(pipeline, ExampleConfig(videos=1, video_sources=("vidgen",)), "video", 0)


def test_every_second_round_is_seen_in_a_mirror(tmp_path):
    (tmp_path / "openvid").mkdir()
    openvid(tmp_path / "openvid")
    pipeline = build.tiny_pipeline(corpus(Random(0), 200))
    config = ExampleConfig(videos=6, video_sources=(f"openvid:{tmp_path / 'openvid'}",), mirrored=True)
    count = len(real_rows(config.video_sources, False))
    one, other, again = (example(pipeline, config, "video", count * turn) for turn in range(3))
    assert np.array_equal(other.frames, one.frames[:, :, ::-1]) and np.array_equal(again.frames, one.frames)
    assert not np.array_equal(other.frames, one.frames)
    assert swap_sides("The ball on the left rolls to the right.") == "The ball on the right rolls to the left."
    for kept in ("The cat has left.", "Only water is left in the puddle.", "It is all right."):
        assert swap_sides(kept) == kept


def test_a_cache_is_of_the_rows_that_were_there(tmp_path):
    """More of a set is downloaded: other rows have the numbers of before, and old pictures would get their words."""
    (tmp_path / "set").mkdir()
    vidgen(tmp_path / "set")
    packed = tmp_path / "set" / "VidGen_video_0.zip"
    packed.rename(tmp_path / "later.zip")
    pipeline = build.tiny_pipeline(corpus(Random(0), 200))
    config = ExampleConfig(videos=2, video_sources=(f"vidgen:{tmp_path / 'set'}",))
    real_rows.cache_clear()
    first = make_cache(pipeline, config, "video", tmp_path / "cache", False)
    assert torch.equal(first.latents[0], first.latents[1])  # one row, twice
    (tmp_path / "later.zip").rename(packed)
    real_rows.cache_clear()
    assert {row.caption for row in real_rows(config.video_sources, False)} == set(WORDS)
    second = make_cache(pipeline, config, "video", tmp_path / "cache", False)
    assert not torch.equal(second.latents[0], second.latents[1])
    again = make_cache(pipeline, config, "video", tmp_path / "cache", False)
    assert torch.equal(again.latents, second.latents) and len(list((tmp_path / "cache").iterdir())) == 2
    pipeline.register_to_config(num_frames=9)
    assert make_cache(pipeline, config, "video", tmp_path / "cache", False).latents.shape[2] == 3


def test_a_file_that_cannot_be_read_is_left_out_with_its_words(tmp_path):
    """Of three films the second is broken: two examples, and each still has its own words."""
    (tmp_path / "set").mkdir()
    openvid(tmp_path / "set")
    (tmp_path / "set" / "videos" / f"{NAMES[1]}.mp4").write_bytes(b"half of a download")
    pipeline = build.tiny_pipeline(corpus(Random(0), 200))
    config = ExampleConfig(videos=3, video_sources=(f"openvid:{tmp_path / 'set'}",))
    for _ in range(2):  # made, and read back
        cache = make_cache(pipeline, config, "video", tmp_path / "cache", False)
        assert len(cache.latents) == len(cache.labels) == 2 and cache.numbers.tolist() == [0, 2]
        told = prompts(pipeline, config, "video", cache.numbers.tolist())
        assert [words in ask.text for ask, words in zip(told, WORDS[::2], strict=True)] == [True, True]
    for name in NAMES:
        (tmp_path / "set" / "videos" / f"{name}.mp4").write_bytes(b"half of a download")
    with pytest.raises(ConfigError, match="not one can be read"):
        make_cache(pipeline, config, "video", tmp_path / "other", False)
    with pytest.raises(ConfigError, match="not one can be read"):
        make_cache(pipeline, config, "video", tmp_path / "other", False)  # nothing half made was left


def test_stills_of_a_published_set_keep_their_captions(tmp_path):
    (tmp_path / "set").mkdir()
    blip3o(tmp_path / "set")
    pipeline = build.tiny_pipeline(corpus(Random(0), 200))
    config = ExampleConfig(images=3, image_sources=(f"blip3o:{tmp_path / 'set'}",))
    first = stills(pipeline, config, 3, 0, tmp_path / "cache")
    assert first.captions == WORDS and len(first.latents) == 3
    (tmp_path / "set" / "00000.tar").rename(tmp_path / "set" / "00009.tar")
    more = tmp_path / "more"
    more.mkdir()
    blip3o(more)
    (more / "00000.tar").write_bytes((more / "00000.tar").read_bytes().replace(b"A hand touches", b"A foot touches"))
    (more / "00000.tar").rename(tmp_path / "set" / "00000.tar")
    real_rows.cache_clear()
    stills(pipeline, config, 3, 0, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    with torch.no_grad():
        pipeline.vae.latents_std.mul_(2)  # what is kept is divided by it
    stills(pipeline, config, 3, 0, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 3
