"""A set of scenes that judges are asked about, as a folder: `pairs.jsonl`, and the clips that it names.

Each line is {"id", "story", "kind", "before": [scene, ...], "scene": scene}; a scene is its words as a string, or
{"words", "frames"}, where frames is a file in the folder: frames kept without loss, or any picture or clip that this
program reads. "story" (what belongs together) and "kind" may be left out. Such a file can be written by hand. Verdicts
lie beside it, one file a judge. Knows nothing of judges.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core.errors import UserError
from nsp_core.judges import Verdict
from nsp_core.media import load_frames, read_media, save_frames
from nsp_core.types import Frames, Scene, StoryContext

PAIRS = "pairs.jsonl"
_NAME = re.compile(r"[\w.:-]{1,80}")


@dataclass(frozen=True)
class Made:
    """A scene on its way into a set; of `context`, the pictures of the last scene are kept."""

    id: str
    story: str
    kind: str
    context: StoryContext
    scene: Scene


@dataclass(frozen=True)
class Pair:
    """A scene of a set. Its pictures are read when they are asked for, so that a set of any size fits into memory."""

    id: str
    story: str
    kind: str
    before: tuple[Any, ...]
    asked: Any
    folder: Path

    @property
    def context(self) -> StoryContext:
        return StoryContext(tuple(_scene(one, self.folder) for one in self.before))

    @property
    def scene(self) -> Scene:
        return _scene(self.asked, self.folder)

    @property
    def before_words(self) -> str:
        """Of the scene before."""
        return _words(self.before[-1]) if self.before else ""

    @property
    def words(self) -> str:
        return _words(self.asked)


def read_pairs(folder: Path) -> list[Pair]:
    """Raises UserError for what is no set, naming the line."""
    path = folder / PAIRS
    if not path.is_file():
        raise UserError(f"{folder} is no set of scenes: it has no {PAIRS}.")
    found: dict[str, Pair] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            pair = _pair(json.loads(line), folder)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f'{path}, line {number}: {error}; a line is {{"id", "before", "scene"}}.') from None
        if pair.id in found:
            raise UserError(f"{path}, line {number}: the id {pair.id} was there before; give each scene its own.")
        found[pair.id] = pair
    if not found:
        raise UserError(f"{path} has no scenes.")
    return list(found.values())


def write_pairs(folder: Path, made: Iterable[Made]) -> None:
    """A new set. Raises UserError when the folder has one: verdicts belong to the scenes they were given to."""
    if (folder / PAIRS).exists():
        raise UserError(f"{folder} has a set of scenes already: choose a new folder.")
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    lines = []
    for one in made:
        *earlier, last = one.context.scenes or (Scene(""),)
        before = [scene.words for scene in earlier] + [_plain(last, folder)]
        row = {"id": one.id, "story": one.story, "kind": one.kind, "before": before}
        lines.append(json.dumps({**row, "scene": _plain(one.scene, folder)}, ensure_ascii=False) + "\n")
    part = folder / f".{PAIRS}.partial"
    part.write_text("".join(lines), encoding="utf-8")
    os.replace(part, folder / PAIRS)


def fingerprint(pairs: Sequence[Pair]) -> str:
    """16 hexadecimal digits of all ids, words and files."""
    digest = hashlib.sha256()
    for pair in pairs:
        digest.update(json.dumps([pair.id, pair.before, pair.asked], sort_keys=True).encode())
        for plain in (*pair.before, pair.asked):
            if isinstance(plain, dict) and plain.get("frames"):
                digest.update(hashlib.sha256((pair.folder / plain["frames"]).read_bytes()).digest())
    return digest.hexdigest()[:16]


# --- verdicts ------------------------------------------------------------------------------------------------------
def verdict_file(folder: Path, judge: str) -> Path:
    """The judge's name is in the file, too: two names may only differ in what a file's name cannot have."""
    digest = hashlib.sha256(judge.encode()).hexdigest()[:8]
    return folder / "verdicts" / f"{re.sub(r'[^a-zA-Z0-9._-]+', '-', judge)[:60]}-{digest}.jsonl"


def keep_verdicts(
    folder: Path, found: Iterable[tuple[str, Verdict]], judge: str, captions: Mapping[str, str] | None = None
) -> None:
    """Added to what is there; a later verdict of the same scene counts. `captions`: what the judge saw, by scene."""
    path = verdict_file(folder, judge)
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as out:
        for name, verdict in found:
            seen = {"caption": captions[name]} if captions and name in captions else {}
            out.write(json.dumps({"id": name, **seen, **vars(verdict)}, ensure_ascii=False) + "\n")


def kept_verdicts(folder: Path, judge: str, template: str | None = None) -> dict[str, Verdict]:
    """By scene; of one template only, or of the last one that was used. A line that a kill cut off is not there."""
    rows = _rows(folder, judge)
    wanted = template if template is not None or not rows else rows[-1]["template"]
    found = {}
    for row in rows:
        if row["template"] == wanted:
            plain = {key: value for key, value in row.items() if key not in ("id", "caption")}
            found[row["id"]] = Verdict(**{**plain, "votes": tuple(row["votes"])})
    return found


def kept_captions(folder: Path, judge: str, template: str | None = None) -> dict[str, str]:
    """What the judge saw, by scene, where it was shown pictures and said so; of one template only, or of all."""
    rows = [row for row in _rows(folder, judge) if template is None or row["template"] == template]
    return {row["id"]: row["caption"] for row in rows if "caption" in row}


def spent_on(folder: Path, judge: str, template: str, scenes: Collection[str]) -> float:
    """US dollars for all verdicts of `scenes` that were ever asked for: one that is missing may have cost, too."""
    rows = [row for row in _rows(folder, judge) if row["template"] == template and row["id"] in scenes]
    return sum(row["cost_usd"] or 0.0 for row in rows)


def _rows(folder: Path, judge: str) -> list[dict[str, Any]]:
    path = verdict_file(folder, judge)
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:  # a kill cut it off
            continue
    return rows


def judges_of(folder: Path) -> list[str]:
    """Whose verdicts are kept."""
    names = set()
    for path in (folder / "verdicts").glob("*.jsonl"):
        with path.open(encoding="utf-8") as lines:
            first = next(lines, "")
        try:
            names.add(str(json.loads(first)["judge"]))
        except (ValueError, KeyError):
            continue
    return sorted(names)


# --- lines ---------------------------------------------------------------------------------------------------------
def _pair(row: dict[str, Any], folder: Path) -> Pair:
    name = str(row["id"])
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no id (letters, digits and .:-_ only)")
    before = row["before"] if isinstance(row["before"], list) else [row["before"]]
    for plain in (*before, row["scene"]):
        if not isinstance(plain, str):
            _words(plain)
            if plain.get("frames") is not None:
                _file(folder, str(plain["frames"]))
    return Pair(name, str(row.get("story", name)), str(row.get("kind", "")), tuple(before), row["scene"], folder)


def _words(plain: Any) -> str:
    return plain if isinstance(plain, str) else str(plain.get("words", ""))


def _scene(plain: Any, folder: Path) -> Scene:
    name = None if isinstance(plain, str) else plain.get("frames")
    return Scene(_words(plain), None if name is None else _frames(_file(folder, str(name))))


def _plain(scene: Scene, folder: Path) -> Any:
    if scene.frames is None:
        return scene.words
    digest = hashlib.sha256(repr(scene.frames.shape).encode() + np.ascontiguousarray(scene.frames).tobytes())
    name = f"frames/{digest.hexdigest()[:24]}.npz"
    if not (folder / name).exists():
        save_frames(folder / name, scene.frames, 0.0)
    return {"words": scene.words, "frames": name}


def _file(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ValueError(f"there is no file {name} in the folder")
    return path


def _frames(path: Path) -> Frames:
    return load_frames(path)[0] if path.suffix == ".npz" else read_media(path).frames
