"""Where rows come from: folders, tars of WebDataset, tables (CSV, JSONL, Parquet), the Hub's layouts, published sets.

| what is given | rows | words, licence, film |
| a folder | every picture and film below it | NAME.txt or NAME.json beside it |
| a folder with metadata.csv, .jsonl or .parquet (Hugging Face) | its `file_name`s | its other columns |
| a .parquet, or a folder with some (the Hub's data/train-00000-of-00001.parquet) | its paths, or its bytes | the same |
| a .tar, or a folder of them (WebDataset) | its pictures and films | KEY.txt, KEY.json |
| a .csv or .jsonl | its paths, absolute or beside the table | its other columns |
| NAME:FOLDER (vidgen, openvid, openhumanvid, blip3o) | as training.data.published reads them | the set's captions |

Columns: file_name, path, video, image (the first that is there); caption or text; licence or license; group (what
belongs together, such as the film that clips are from: it is kept apart as a whole). Parquet has these or one struct
{bytes, path} (the features Image and Video); a file that it names lies beside it or in the folder above.
A row's id is the hash of the bytes. Knows nothing of what is in the files.
"""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import stat
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from nsp_core.errors import ConfigError, UnreadableMedia
from training.data import parquet, published
from training.data.config import SourceConfig
from training.data.parquet import EMPTY, Place
from training.data.place import opened
from training.data.rows import Row, digest, hash_of_file, share_of
from training.data.store import Store

log = logging.getLogger(__name__)

ENDINGS = {
    *(".mp4", ".m4v", ".webm", ".mkv", ".mov", ".avi", ".mpg", ".mpeg", ".ts", ".flv", ".ogv", ".wmv", ".gif"),
    *(".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif", ".tif", ".tiff", ".bmp"),
}
PATHS = ("file_name", "path", "video", "image", "video_path", "media_path")
TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
TOLD = ("caption", "text", "licence", "license", "group")  # columns, beside the one of the file
HASHING = 4  # files at once
UNREAD = ""


@dataclass(frozen=True)
class Found:
    """A file before it has been read. `about`: caption, licence, group, as far as they are told. `place`: of bytes in a
    row of Parquet. `fault`: why it is none."""

    path: Path
    about: dict[str, Any] = field(default_factory=dict)
    member: str | None = None
    offset: int | None = None
    size: int | None = None
    place: Place | None = None
    fault: str = ""


def ingest(sources: tuple[SourceConfig, ...], store: Store, part: str = "") -> tuple[list[Row], list[tuple[str, str]]]:
    """Rows in the order in which they are found, each content once; and (name, reason) of what is none."""
    rows: dict[str, Row] = {}
    left_out: list[tuple[str, str]] = []
    kept = store.hashes()
    wanted = part_of(part)
    for source in sources:
        found = list(listed(source))
        marks = [(None, None) if one.fault else hash_of(one, kept, read=False) for one in found]
        new = together([number for number, (_, mark) in enumerate(marks) if mark == UNREAD], found)
        with ThreadPoolExecutor(HASHING) as pool:  # hashing lets other threads run
            made = pool.map(partial(hashes_of, kept=kept), [[found[number] for number in some] for some in new])
            for numbers, lines in zip(new, made, strict=True):
                for number, one_mark in zip(numbers, lines, strict=True):
                    marks[number] = one_mark
        fresh = [line for line, _ in marks if line is not None]
        if fresh:
            store.put_hashes(fresh)
        for one, (_, mark) in zip(found, marks, strict=True):
            name = one.member or one.path.name
            if one.fault:
                left_out.append((name, one.fault))
            elif mark is None:
                left_out.append((name, "its file is not there" if one.place is None else "its row cannot be read"))
            elif mark == EMPTY:
                left_out.append((name, "its row holds no bytes"))
            elif mark[:16] in rows:
                left_out.append((name, "the same file stands in the sources twice"))
            elif wanted(str(one.about.get("group") or mark[:16])):
                rows[mark[:16]] = row_of(one, source, mark)
    return list(rows.values()), left_out


def row_of(one: Found, source: SourceConfig, mark: str) -> Row:
    values: dict[str, Any] = {"path": os.path.abspath(one.path), "sha256": mark, "name": one.member or one.path.name}
    if one.member is not None:
        values |= {"member": one.member}
    if one.offset is not None:
        values |= {"offset": one.offset, "size": one.size}
    if one.place is not None:
        values |= {"place": [*one.place]}
    values |= {"source": source.name or source.path.name, "licence": str(one.about.get("licence") or source.licence)}
    values |= {"group": str(one.about.get("group") or mark[:16]), "given": str(one.about.get("caption") or "").strip()}
    return Row(mark[:16], "source", "", values)


def mark_of(row: Row) -> str:
    """What of a source the results depend on: not where it lies."""
    return digest(row.id, *(row.values[name] for name in ("source", "licence", "group", "given")))


def part_of(part: str) -> Any:
    if not part:
        return lambda _: True
    number, slash, of = part.partition("/")
    if not (slash and number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise ConfigError(f"run.part is NUMBER/OF, such as 3/16; got '{part}'.")
    return lambda group: int(share_of(group) * int(of)) == int(number) - 1


Kept = dict[str, tuple[int, int, str]]  # as the store has it
Marked = tuple[tuple[str, int, int, str] | None, str | None]  # the line to keep when it is new, the hash


def together(numbers: Sequence[int], found: Sequence[Found]) -> list[list[int]]:
    """What one pass hashes: a file, or all new rows of a Parquet file."""
    packed: dict[Path, list[int]] = defaultdict(list)
    for number in numbers:
        if found[number].place is not None:
            packed[found[number].path].append(number)
    return [[number] for number in numbers if found[number].place is None] + list(packed.values())


def hashes_of(some: Sequence[Found], kept: Kept) -> list[Marked]:
    if some[0].place is None:
        return [hash_of(one, kept) for one in some]
    try:
        marks = parquet.hashes(some[0].path, {one.place for one in some if one.place is not None})
    except UnreadableMedia as error:
        log.warning("%s: %s", some[0].path, error)
        marks = {}
    return [hash_of(one, kept, made=marks.get(one.place or Place(0, 0, ""))) for one in some]


def hash_of(one: Found, kept: Kept, read: bool = True, made: str | None = None) -> Marked:
    """A file that was not changed is not read again; `made`: the hash of a row of Parquet, None where it has none."""
    try:
        state = one.path.stat()
    except (OSError, ValueError):  # such as a name with a zero byte in it
        return None, None
    if not stat.S_ISREG(state.st_mode):
        return None, None
    name = f"{os.path.abspath(one.path)}\n{one.member or ''}"
    known = kept.get(name)
    if known is not None and known[:2] == (state.st_size, state.st_mtime_ns):
        return None, known[2]
    if not read:
        return None, UNREAD
    if one.place is not None:
        return (None, None) if made is None else ((name, state.st_size, state.st_mtime_ns, made), made)
    try:
        mark = hash_of_file(one.path) if one.member is None else hash_of_member(one)
    except (OSError, UnreadableMedia) as error:
        log.warning("%s cannot be read: %s", one.path, error)
        return None, None
    return (name, state.st_size, state.st_mtime_ns, mark), mark


def hash_of_member(one: Found) -> str:
    values: dict[str, Any] = {"path": str(one.path), "member": one.member}
    if one.offset is not None:
        values |= {"offset": one.offset, "size": one.size}
    with opened(Row("", "source", "", values)) as path, path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# -- one function a layout --------------------------------------------------------------------------------------------
def listed(source: SourceConfig) -> Iterator[Found]:
    """Raises ConfigError where nothing is."""
    name, colon, folder = str(source.path).partition(":")
    if colon and name in published.READERS:
        yield from of_published(name, Path(folder))
        return
    path = source.path.expanduser()
    if path.is_dir():
        table = next((path / name for name in TABLES if (path / name).is_file()), None)
        if table is None:
            yield from of_folder(path)
        else:
            yield from of_parquet(table) if table.suffix == ".parquet" else of_table(table)
    elif path.suffix.lower() == ".tar" and path.is_file():
        yield from of_tar(path)
    elif path.suffix.lower() in (".csv", ".jsonl") and path.is_file():
        yield from of_table(path)
    elif path.suffix.lower() in ENDINGS and path.is_file():
        texts = {str(p) for p in (path.with_suffix(".json"), path.with_suffix(".txt")) if p.is_file()}
        yield Found(path, beside(path, texts))
    elif path.suffix.lower() == ".parquet" and path.is_file():
        yield from of_parquet(path)
    else:
        raise ConfigError(f"There is nothing to read at {path}; give a folder, a .tar, a .csv, .jsonl or .parquet.")


def of_folder(folder: Path) -> Iterator[Found]:
    names = [os.path.join(where, name) for where, _, some in os.walk(folder) for name in some]
    texts = {name for name in names if name.endswith((".json", ".txt"))}
    names.sort(key=lambda name: name.split(os.sep))
    rows = [one for name in names if name.lower().endswith(".parquet") for one in of_parquet(Path(name), apart=False)]
    yield from rows
    taken = {str(one.path) for one in rows}  # with the words of their rows
    for name in names:
        ending = os.path.splitext(name)[1].lower()
        if ending in ENDINGS and name not in taken:
            path = Path(name)
            yield Found(path, beside(path, texts) if texts else {})
        elif ending == ".tar":
            yield from of_tar(Path(name))


def beside(path: Path, texts: set[str]) -> dict[str, Any]:
    """What NAME.json and NAME.txt say of NAME.mp4, where they are among `texts`."""
    stem, about = str(path).removesuffix(path.suffix), dict[str, Any]()
    if (name := stem + ".json") in texts:
        about = told(Path(name).read_text(encoding="utf-8", errors="replace"))
    if (name := stem + ".txt") in texts:
        about["caption"] = " ".join(Path(name).read_text(encoding="utf-8", errors="replace").split())
    return about


def told(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return named(value) if isinstance(value, dict) else {}


def named(line: dict[str, Any]) -> dict[str, Any]:
    """A table's line by our names."""
    caption, licence = line.get("caption") or line.get("text"), line.get("licence") or line.get("license")
    if isinstance(caption, list):  # several of one picture
        caption = next((one for one in caption if one), None)
    return {"caption": caption, "licence": licence, "group": line.get("group")}


def of_tar(path: Path) -> Iterator[Found]:
    """A key's files stand one after the other; the media file is given when all of them have been seen."""
    key, media, about = "", None, dict[str, Any]()
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                inside = PurePosixPath(member.name)
                stem, _, suffix = inside.name.partition(".")
                if not member.isfile():
                    continue
                if (now := (inside.parent / stem).as_posix()) != key:
                    if media is not None:
                        yield Found(path, about, *media)
                    key, media, about = now, None, {}
                ending = "." + suffix.lower()
                if ending in ENDINGS and media is None:
                    media = (member.name, member.offset_data, member.size)
                elif ending in (".txt", ".json"):
                    stream = archive.extractfile(member)
                    text = "" if stream is None else stream.read().decode("utf-8", "replace")
                    about |= told(text) if ending == ".json" else {"caption": " ".join(text.split())}
    except (tarfile.TarError, EOFError) as error:
        log.warning("%s is not whole (%s): the rest of it is left out", path, error)
    if media is not None:
        yield Found(path, about, *media)


def of_table(path: Path) -> Iterator[Found]:
    with path.open(encoding="utf-8", newline="") as stream:
        lines: Iterator[dict[str, Any]] = (
            csv.DictReader(stream)
            if path.suffix.lower() == ".csv"
            else (json.loads(line) for line in stream if line.strip())
        )
        for number, line in enumerate(lines, 1):
            where = next((str(line[name]) for name in PATHS if line.get(name)), None)
            if where is None:
                raise ConfigError(
                    f"Line {number} of {path.name} names no file; one of the columns {', '.join(PATHS)} is needed."
                )
            yield Found(path.parent / where, named(line))


def of_parquet(path: Path, apart: bool = True) -> Iterator[Found]:
    """Raises ConfigError without pyarrow; inside a folder (`apart` False) that is said of the file only."""
    try:
        for line in parquet.lines(path, PATHS, TOLD):
            if line.fault:
                yield Found(path, fault=line.fault)
            elif line.place is None:
                yield Found(file_of(path, line.path), named(dict(line.about)))
            else:
                inside = "".join(c for c in line.path if c.isprintable())[-100:].replace("\\", "/").rpartition("/")[2]
                member = f"{path.stem}/{line.place.group}-{line.place.row}/{inside}".rstrip("/")
                yield Found(path, named(dict(line.about)), member, place=line.place)
    except ConfigError as error:
        if apart:
            raise
        yield Found(path, fault=str(error))


def file_of(table: Path, where: str) -> Path:
    """Beside the table, or above it: the Hub has data/train-00000-of-00001.parquet and the films elsewhere."""
    beside, above = table.parent / where, table.parent.parent / where
    return above if not beside.exists() and above.exists() else beside


def of_published(name: str, folder: Path) -> Iterator[Found]:
    """Rows that are a part of a film or of its picture are left out: their set has cut them already in its own way."""
    parts = 0
    for row in published.rows(name, folder):
        if row.frames is not None or row.crop is not None:
            parts += 1
            continue
        yield Found(row.path, {"caption": row.caption, "group": f"{name}/{row.key}"}, row.member)
    if parts:
        log.warning("%s: %d rows name a part of their film and are left out", name, parts)
