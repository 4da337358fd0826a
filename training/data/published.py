"""The paper's data sets (its Table 5) as they are published: a reader each, a row a caption and its picture or clip.

| name | layout | source |
| blip3o | WebDataset tars: KEY.jpg beside KEY.txt | huggingface.co/datasets/BLIP3o |
| vidgen | VidGen_1M_video_caption.json (vid, caption); VID.mp4, maybe in VidGen_video_N.zip | Fudan-FUXI/VIDGEN-1M |
| openvid | OpenVid-1M.csv or OpenVidHD.csv (video, caption); videos, maybe in OpenVid_partN.zip | nkp37/OpenVid-1M |
| opens2v | *.json: KEY -> metadata.{path, face_cut, crop, face_cap_qwen}; videos below | BestWishYsh/OpenS2V-5M |
| openhumanvid | *.csv with a column of paths and one of captions; videos below | fudan-generative-ai/OpenHumanVid |

Written after the sets' own pages and the code of others who read them; the sets themselves could not be had here, and
of openhumanvid not even the names of its columns, so that several are accepted. A row whose file is not there is
counted and left out: sets of this size are rarely had whole. Knows nothing of models.
"""

from __future__ import annotations

import csv
import json
import logging
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nsp_core.errors import ConfigError
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


@dataclass(frozen=True)
class Row:
    """`member` names the file inside the archive `path`; None: `path` is the file. `frames`: the first one and the one
    after the last, of the source; `crop`: left, right, top, bottom in its pixels. None: all of it."""

    source: str
    key: str
    caption: str
    kind: Literal["image", "video"]
    path: Path
    member: str | None = None
    frames: tuple[int, int] | None = None
    crop: tuple[int, int, int, int] | None = None


def rows(name: str, folder: Path) -> Iterator[Row]:
    """Rows of a set in the order of its files. Raises ConfigError for a name that is none, and where nothing is."""
    if name not in READERS:
        raise ConfigError(f"There is no reader for '{name}'; there are {', '.join(READERS)}.")
    folder = folder.expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give the one into which {name} was downloaded.")
    return READERS[name](folder)


def frames_of(row: Row, width: int, height: int, count: int, fps: float) -> Frames:
    """(count, height, width, 3) uint8 from its beginning, in the middle of the picture; an image is one frame.

    Raises UnreadableMedia, as any file from outside may.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = row.path if row.member is None else unpacked(row, Path(folder))
        if row.kind == "image":
            return to_model_frames(read_media(path), width, height, 1, fps)
        start = 0.0 if row.frames is None else row.frames[0] / source_rate(path)
        clip = read_media(path, start=start, max_seconds=count / fps, fps=fps, side=2 * max(width, height))
        return to_model_frames(cropped(clip, row), width, height, count, fps, part="first")


def unpacked(row: Row, folder: Path) -> Path:
    assert row.member is not None
    target = folder / Path(row.member).name
    if tarfile.is_tarfile(row.path):
        with tarfile.open(row.path) as archive, target.open("wb") as out:
            inside = archive.extractfile(row.member)
            assert inside is not None
            shutil.copyfileobj(inside, out)
    else:
        with zipfile.ZipFile(row.path) as archive, archive.open(row.member) as stream, target.open("wb") as out:
            shutil.copyfileobj(stream, out)
    return target


def source_rate(path: Path) -> float:
    import av

    with av.open(str(path)) as container:
        rate = container.streams.video[0].average_rate
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
        with tarfile.open(tar) as archive:
            for member in archive:
                key, dot, suffix = member.name.partition(".")
                if dot + suffix == ".txt":
                    stream = archive.extractfile(member)
                    captions[key] = "" if stream is None else stream.read().decode("utf-8", "replace").strip()
                elif (dot + suffix).lower() in PICTURES:
                    pictures[key] = member.name
                if captions.get(key) and key in pictures:
                    yield Row("blip3o", key, captions.pop(key), "image", tar, pictures.pop(key))
        if left := len(captions.keys() ^ pictures.keys()):
            log.info("%s: %d of its pictures and captions stand alone and are left out", tar.name, left)


def vidgen(folder: Path) -> Iterator[Row]:
    entries = json.loads(only(folder, "VidGen_1M_video_caption.json").read_text(encoding="utf-8"))
    yield from matched("vidgen", folder, ((e["vid"], e["caption"], {}) for e in entries))


def openvid(folder: Path) -> Iterator[Row]:
    for table in found(folder, (".csv",)):
        with table.open(encoding="utf-8", newline="") as stream:
            lines = ((Path(r["video"]).stem, r["caption"], {}) for r in csv.DictReader(stream))
            yield from matched("openvid", folder, lines)


def opens2v(folder: Path) -> Iterator[Row]:
    def entries(file: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for value in json.loads(file.read_text(encoding="utf-8")).values():
            about = value["metadata"]
            caption = next((about[name] for name in S2V_CAPTIONS if about.get(name)), "")
            left, right, top, bottom = about.get("crop") or (0, 0, 0, 0)
            kept = {
                "frames": tuple(about["face_cut"]) if about.get("face_cut") else None,
                "crop": (left, right, top, bottom) if right > left and bottom > top else None,
            }
            yield Path(about["path"]).with_suffix("").as_posix(), caption, kept

    for file in found(folder, (".json",)):
        yield from matched("opens2v", folder, entries(file), by_path=True)


def openhumanvid(folder: Path) -> Iterator[Row]:
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
            yield from matched("openhumanvid", folder, ((Path(r[where]).stem, r[what], {}) for r in reader))


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "blip3o": blip3o,
    "vidgen": vidgen,
    "openvid": openvid,
    "opens2v": opens2v,
    "openhumanvid": openhumanvid,
}


# -- files ------------------------------------------------------------------------------------------------------------
def matched(
    source: str, folder: Path, entries: Iterator[tuple[str, str, dict[str, Any]]], by_path: bool = False
) -> Iterator[Row]:
    """Rows of the entries whose video is there, unpacked or in a zip."""
    there = videos(folder, by_path)
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
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                if name.lower().endswith(VIDEOS):
                    inside = Path(name).with_suffix("")
                    there[inside.as_posix() if by_path else inside.name] = (archive, name)
    for file in found(folder, VIDEOS):
        inside = file.relative_to(folder).with_suffix("")
        there[inside.as_posix() if by_path else inside.name] = (file, None)
    return there


def found(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in endings and p.is_file())


def only(folder: Path, name: str) -> Path:
    path = next((p for p in sorted(folder.rglob(name)) if p.is_file()), None)
    if path is None:
        raise ConfigError(f"{folder} has no {name}; download it beside the videos.")
    return path
