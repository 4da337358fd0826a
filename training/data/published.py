"""The paper's data sets (its Table 5) as they are published: a reader each, a row a caption and its picture or clip.

| name | layout | source |
| blip3o | WebDataset tars: KEY.jpg beside KEY.txt | huggingface.co/datasets/BLIP3o |
| vidgen | VidGen_1M_video_caption.json (vid, caption); VID.mp4, maybe in VidGen_video_N.zip | Fudan-FUXI/VIDGEN-1M |
| openvid | OpenVid-1M.csv or OpenVidHD.csv (video, caption); videos, maybe in OpenVid_partN.zip | nkp37/OpenVid-1M |
| opens2v | *.json: KEY -> metadata.{path, face_cut, crop, face_cap_qwen}; videos there | BestWishYsh/OpenS2V-5M |
| openhumanvid | *.csv with a column of paths and one of captions; videos at those | fudan-generative-ai/OpenHumanVid |
| pack, pack_images, pack_pairs | what `launch.py data` made: its clips, its pictures, its pairs | one's own films |

Written after the sets' own pages and the code of others who read them; the sets themselves could not be had here, and
of openhumanvid not even the names of its columns, so that several are accepted. A row whose file is not there is
counted and left out, and so is an archive that is not whole: sets of this size are rarely had complete. Knows nothing
of models.
"""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from nsp_core.errors import ConfigError, UnreadableMedia
from nsp_core.media import read_media, to_model_frames
from nsp_core.types import Frames

log = logging.getLogger(__name__)

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
VIDEOS = (".mp4", ".webm", ".mkv", ".mov")
PATHS = (
    "video_path",
    "path",
    "video",
    "file_name",
    "filename",
    "url",
)  # columns of openhumanvid, the first that is there
CAPTIONS = ("caption", "long_caption", "structured_caption", "short_caption", "text", "prompt")
# of OpenS2V's captions, as its own scripts choose among them
S2V_CAPTIONS = ("face_cap_glm", "face_cap_Aria", "face_cap_qwen")
Entry = tuple[str, str, dict[str, Any]]  # a row's key, its caption, and what else is told of it


@dataclass(frozen=True)
class Row:
    """`member` names the file inside the archive `path`; None: `path` is the file. `frames`: the first one and the one
    after the last, of the source; `crop`: left, right, top, bottom in its pixels. None: all of it."""

    source: str
    key: str
    caption: str
    kind: Literal["image", "video", "next"]
    path: Path
    member: str | None = None
    frames: tuple[int, int] | None = None
    crop: tuple[int, int, int, int] | None = None
    held_out: bool | None = None  # None: who trains decides by the key
    preceding: str = ""  # of a pair: the words of the scene before, and its clip where that was seen
    before: Row | None = None
    goes_on: bool = False  # from `before` without a cut; where that is the clip itself, from its own first picture
    mirrored: bool = False  # shown left for right; its words say so already


def rows(name: str, folder: Path) -> Iterator[Row]:
    """Rows of a set in the order of its files. Raises ConfigError for a name that is none, and where nothing is."""
    if name not in READERS:
        raise ConfigError(f"There is no reader for '{name}'; there are {', '.join(READERS)}.")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give the one into which {name} was downloaded.")
    return READERS[name](folder)


def frames_of(row: Row, width: int, height: int, count: int, fps: float) -> Frames:
    """(count, height, width, 3) uint8 from its beginning, in the middle of the picture; an image is one frame. What is
    shorter holds its last frame, as where the set's own cut ends before the clip does.

    Raises UnreadableMedia, as any file from outside may.
    """
    side = 2 * max(width, height)
    with tempfile.TemporaryDirectory() as folder:
        path = row.path if row.member is None else unpacked(row, Path(folder))
        if row.kind == "image":
            return turned(to_model_frames(read_media(path, side=side), width, height, 1, fps), row)
        start, seconds = 0.0, count / fps
        if row.frames is not None:
            rate = source_rate(path)
            start, seconds = row.frames[0] / rate, min(seconds, (row.frames[1] - row.frames[0]) / rate)
        clip = read_media(path, start=start, max_seconds=seconds, fps=fps, side=side)
        return turned(to_model_frames(cropped(clip, row), width, height, count, fps, part="first"), row)


def turned(frames: Frames, row: Row) -> Frames:
    return np.ascontiguousarray(frames[:, :, ::-1]) if row.mirrored else frames


SIDES = re.compile(r"(?<=\bthe )(left|right)\b|\b(left|right)(?=most\b|wards?\b|-hand\b)", re.IGNORECASE)


def in_a_mirror(row: Row) -> Row:
    """The row left for right, in its pictures and in its (English) words: "on the left" becomes "on the right"."""
    words = {"caption": swap_sides(row.caption), "preceding": swap_sides(row.preceding)}
    return replace(row, **words, before=None if row.before is None else in_a_mirror(row.before), mirrored=True)


def swap_sides(words: str) -> str:
    other = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}
    return SIDES.sub(lambda found: other[found.group()], words)


def unpacked(row: Row, folder: Path) -> Path:
    """The file in `folder`. Raises UnreadableMedia when the archive is broken where it lies."""
    assert row.member is not None
    target = folder / Path(row.member).name
    try:
        if row.path.suffix.lower() == ".tar":
            with tarfile.open(row.path) as tar, target.open("wb") as out:
                inside = tar.extractfile(tar_members(row.path)[row.member])
                assert inside is not None
                shutil.copyfileobj(inside, out)
        else:
            with zipfile.ZipFile(row.path) as packed, packed.open(row.member) as stream, target.open("wb") as out:
                shutil.copyfileobj(stream, out)
    except (OSError, EOFError, KeyError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableMedia(f"{row.member} can't be taken out of {row.path} ({error}); download it again.") from error
    return target


@lru_cache(maxsize=4)
def tar_members(path: Path) -> dict[str, tarfile.TarInfo]:
    """Where each file lies in a tar, which has no table of its own: looked for once, not for every picture."""
    there: dict[str, tarfile.TarInfo] = {}
    with tarfile.open(path) as archive, suppress(tarfile.TarError, EOFError):  # one that is not whole ends early
        for member in archive:
            there[member.name] = member
    return there


def source_rate(path: Path) -> float:
    import av

    try:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
    except (av.FFmpegError, IndexError) as error:
        raise UnreadableMedia(f"{path.name} is no video that can be read ({error}); download it again.") from error
    return float(rate) if rate else 25.0


def cropped(clip: Any, row: Row) -> Any:
    """The part of the picture that the set itself kept (it cuts away watermarks), at the size that was read."""
    if row.crop is None:
        return clip
    left, right, top, bottom = row.crop
    across, down = clip.frames.shape[2] / clip.source_width, clip.frames.shape[1] / clip.source_height
    part = clip.frames[:, int(top * down) : round(bottom * down), int(left * across) : round(right * across)]
    return clip if 0 in part.shape else replace(clip, frames=part)


# -- one function a set -----------------------------------------------------------------------------------------------
def blip3o(folder: Path) -> Iterator[Row]:
    for tar in found(folder, (".tar",)):
        captions: dict[str, str] = {}
        pictures: dict[str, str] = {}
        try:
            with tarfile.open(tar) as archive:
                for member in archive:
                    inside = PurePosixPath(member.name)  # "./000.jpg" is 000.jpg
                    stem, dot, suffix = inside.name.partition(".")
                    key = (inside.parent / stem).as_posix()
                    if dot + suffix == ".txt":
                        stream = archive.extractfile(member)
                        captions[key] = "" if stream is None else stream.read().decode("utf-8", "replace").strip()
                    elif (dot + suffix).lower() in PICTURES:
                        pictures[key] = member.name
                    if captions.get(key) and key in pictures:
                        yield Row("blip3o", key, captions.pop(key), "image", tar, pictures.pop(key))
        except (tarfile.TarError, EOFError) as error:
            log.warning("%s is not whole (%s): the rest of it is left out", tar, error)
        if left := len(captions.keys() ^ pictures.keys()):
            log.info("%s: %d of its pictures and captions stand alone and are left out", tar.name, left)


def vidgen(folder: Path) -> Iterator[Row]:
    entries = json.loads(only(folder, "VidGen_1M_video_caption.json").read_text(encoding="utf-8"))
    return matched("vidgen", videos(folder, by_path=False), ((e["vid"], e["caption"], {}) for e in entries))


def openvid(folder: Path) -> Iterator[Row]:
    def entries() -> Iterator[Entry]:
        seen: set[str] = set()  # OpenVidHD.csv is a part of OpenVid-1M.csv
        for table in found(folder, (".csv",)):
            with table.open(encoding="utf-8", newline="") as stream:
                for line in csv.DictReader(stream):
                    key = Path(line["video"] or "").stem
                    if key not in seen:
                        seen.add(key)
                        yield key, line["caption"], {}

    return matched("openvid", videos(folder, by_path=False), entries())


def opens2v(folder: Path) -> Iterator[Row]:
    def entries() -> Iterator[Entry]:
        for file in found(folder, (".json",)):
            for value in json.loads(file.read_text(encoding="utf-8")).values():
                about = value["metadata"]
                caption = next((about[name] for name in S2V_CAPTIONS if about.get(name)), "")
                left, right, top, bottom = about.get("crop") or (0, 0, 0, 0)
                first, end = about.get("face_cut") or (0, 0)
                kept = {
                    "frames": (first, end) if end > first else None,
                    "crop": (left, right, top, bottom) if right > left and bottom > top else None,
                }
                yield inside_of(about["path"]), caption, kept

    return matched("opens2v", videos(folder, by_path=True), entries())


def openhumanvid(folder: Path) -> Iterator[Row]:
    def entries() -> Iterator[Entry]:
        for table in found(folder, (".csv",)):
            with table.open(encoding="utf-8", newline="") as stream:
                reader = csv.DictReader(stream)
                names = tuple(reader.fieldnames or ())
                where, what = (next((n for n in known if n in names), None) for known in (PATHS, CAPTIONS))
                if where is None or what is None:
                    raise ConfigError(
                        f"{table.name} has the columns {', '.join(names)}; one of {', '.join(PATHS)} and one of "
                        f"{', '.join(CAPTIONS)} are needed. Rename them in its first line."
                    )
                for line in reader:
                    yield inside_of(line[where] or ""), line[what], {}

    return matched("openhumanvid", videos(folder, by_path=True), entries())


def packed(folder: Path, kind: str) -> Iterator[Row]:
    """Rows of the index of a pack (training/data/pack.py), whose split by films is kept."""
    for index in [p for p in found(folder, (".jsonl",)) if p.name == "index.jsonl"]:
        lines = [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
        for line in lines:
            if line["kind"] == kind and line["caption"]:
                yield packed_row(index.parent, line)


def packed_pairs(folder: Path) -> Iterator[Row]:
    for index in [p for p in found(folder, (".jsonl",)) if p.name == "index.jsonl"]:
        lines = {line["key"]: line for line in map(json.loads, index.read_text(encoding="utf-8").splitlines())}
        for line in lines.values():
            clip = packed_row(index.parent, line)
            for number, pair in enumerate(line["pairs"] if line["kind"] == "video" else ()):
                before = packed_row(index.parent, lines[pair["before"]]) if pair.get("before") else None
                goes_on = pair["origin"] in ("opening", "same shot")
                words = {"preceding": pair["preceding"], "before": before, "goes_on": goes_on}
                yield replace(clip, key=f"{clip.key}.{number}", kind="next", **words)


def packed_row(folder: Path, line: dict[str, Any]) -> Row:
    held_out = line["split"] == "held_out"
    return Row(
        "pack", line["key"], line["caption"], line["kind"], folder / line["shard"], line["member"], held_out=held_out
    )


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "blip3o": blip3o,
    "vidgen": vidgen,
    "openvid": openvid,
    "opens2v": opens2v,
    "openhumanvid": openhumanvid,
    "pack": lambda folder: packed(folder, "video"),
    "pack_images": lambda folder: packed(folder, "image"),
    "pack_pairs": packed_pairs,
}


# -- files ------------------------------------------------------------------------------------------------------------
def matched(source: str, there: dict[str, tuple[Path, str | None]], entries: Iterator[Entry]) -> Iterator[Row]:
    """Rows of the entries whose video is there, unpacked or in a zip."""
    missing = silent = 0
    for key, caption, more in entries:
        place = there.get(key)
        if place is None:
            missing += 1
        elif not (caption or "").strip():
            silent += 1
        else:
            yield Row(source, key, " ".join(caption.split()), "video", *place, **more)
    if missing or silent:
        log.info("%s: %d rows without their video and %d without words are left out", source, missing, silent)


def videos(folder: Path, by_path: bool) -> dict[str, tuple[Path, str | None]]:
    """Every video below `folder` by its name (or its path) without the ending; in a folder rather than in a zip."""
    there: dict[str, tuple[Path, str | None]] = {}
    for archive in found(folder, (".zip",)):
        try:
            with zipfile.ZipFile(archive) as opened:
                names = opened.namelist()
        except zipfile.BadZipFile as error:
            log.warning("%s is not whole (%s): it is left out", archive, error)
            continue
        for name in names:
            if name.lower().endswith(VIDEOS):
                there[inside_of(name) if by_path else Path(name).stem] = (archive, name)
    for file in found(folder, VIDEOS):
        there[inside_of(file.relative_to(folder).as_posix()) if by_path else file.stem] = (file, None)
    return there


def inside_of(path: str) -> str:
    """A path below a set's folder without its ending: what two videos of one name differ in."""
    inside = PurePosixPath(path)
    return (inside.parent / inside.stem).as_posix()


def found(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())


def only(folder: Path, name: str) -> Path:
    path = next((p for p in sorted(folder.rglob(name)) if p.is_file()), None)
    if path is None:
        raise ConfigError(f"{folder} has no {name}; download it beside the videos.")
    return path
