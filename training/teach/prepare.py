"""From a folder of somebody's clips and photos to the rows of a lesson: what is there, what it shows, what is left out.

`training.data` splits, measures and filters; here stands only what is particular to few clips of one's own: they are
cut to what the model draws, the bars are low (it is their world, not a data set), and words that came with a film of
few shots are those of every part of it. A person's words win over a table's, these over NAME.txt, and these over the
model's. Nothing is sent anywhere. Knows nothing of training.
"""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from nsp_core.errors import ConfigError, UserError
from nsp_core.media.write import whole_file
from training.data.config import (
    ClipConfig,
    DataConfig,
    PackConfig,
    PairConfig,
    QualityConfig,
    RunConfig,
    SourceConfig,
    WordsConfig,
)
from training.data.ingest import beside
from training.data.pack import held_out_groups
from training.data.pairs import shot_pairs
from training.data.rows import Row
from training.data.run import Curated, curate
from training.data.sheet import COLUMNS, keep_words, line_of
from training.teach.base import Base
from training.teach.lesson import Clip, Lesson

Watch = Callable[[str, int, int], Any]
LEAST = 4  # clips or pictures with words: fewer teach nothing but themselves
HELD_OUT = 0.15  # of the films, at least one
MOST_SHOTS = 3  # of a film whose words are those of each of its parts
WINDOWS = 4  # of one shot: more of the same add little
Words = tuple[str, Literal["file", "model", "none", "person"]]


@dataclass(frozen=True)
class Prepared:
    clips: list[Clip]
    unreadable: int
    copies: int


def prepare(folder: Path, lesson: Lesson, base: Base, captions: Path | None, watch: Watch) -> Prepared:
    """Write the lesson's clips. Raises UserError where there is nothing to be read."""
    folder = folder.expanduser()
    if not folder.exists():
        raise UserError(f"There is no folder {folder}: give one with clips or photos.")
    try:
        found = curate(config_of(folder, base, "none"), lesson.data, watch)
    except ConfigError:
        raise UserError(
            f"There is no clip and no photo in {folder}: put some there ({LEAST} or more; MP4, MOV, WebM, JPEG, PNG "
            "and others are read)."
        ) from None
    told = words_that_came(found, folder, captions)
    keep_words(lesson.data, {id: {"caption": words, "preceding": ""} for id, words in told.items()})
    if any(e.row.id not in told for e in found.clips if e.row.values.get("file")):
        found = curate(config_of(folder, base, captioner_of(base)), lesson.data, watch)
    rows = [e.row for e in found.clips if e.row.values.get("file")]
    held_out = kept_apart(rows)
    after = {pair.values["before"]: pair.parent for pair in shot_pairs(rows_with_words(rows), PAIRS)}
    clips = []
    for ended in found.clips:
        words, by = caption_of(ended.row, told)
        there = bool(ended.row.values.get("file"))
        clips.append(row_of(ended.row, lesson, there, words, by, "" if there else ended.reason, held_out, after))
    bad = [e for e in found.sources if e.status != "ok"]
    for ended in bad:
        clips.append(
            Clip(ended.row.id, str(ended.row.values["name"]), None, None, 0.0, "", "none", False, ended.reason)
        )
    for number, (name, reason) in enumerate(found.left_out):
        clips.append(Clip(f"left-out-{number}", name, None, None, 0.0, "", "none", False, reason))
    (lesson.data / "rows.json").write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    write_table(rows, lesson.folder / "captions.csv")
    lesson.write_clips(clips)
    copies = sum(e.stage == "duplicates" for e in found.clips) + sum("twice" in why for _, why in found.left_out)
    return Prepared(lesson.clips(), len(bad), copies)


def captioner_of(base: Base) -> str:
    """Who says what is seen where no person did: the model's own reader. The starter only knows its drawn world, and
    says nothing of other pictures."""
    return "starter" if base.language else str(base.folder)


PAIRS = PairConfig(shots=True, same_shot=True)


def config_of(folder: Path, base: Base, captioner: str) -> DataConfig:
    """Bars so low that only what nothing can be learnt from is left out."""
    side = max(base.width, base.height)
    return DataConfig(
        sources=(SourceConfig(folder, licence="own"),),
        clip=ClipConfig(
            *(base.width, base.height, base.fps, base.frames),
            least_frames=min(9, base.frames),
            least_width=base.width // 2,
            least_height=base.height // 2,
            windows=WINDOWS,
            image_side=min(1024, side + side % 2),
        ),
        quality=QualityConfig(
            least_motion=0.02,
            most_motion=80.0,
            most_still=0.95,
            most_black=0.5,
            most_text=0.3,
            most_bars=0.4,
            least_sharpness=2.0,
            duplicate_bits=2,
        ),
        words=WordsConfig(captioner, "none", "none", 1),
        pair=PAIRS,
        pack=PackConfig(held_out=HELD_OUT),
        run=RunConfig(executor="inline"),
    )


# -- words ------------------------------------------------------------------------------------------------------------
def words_that_came(found: Curated, folder: Path, captions: Path | None) -> dict[str, str]:
    """Clip id -> the words of the table, else of NAME.txt beside its film: for every part of a film the same."""
    table = {} if captions is None else read_table(captions.expanduser())
    inside = folder if folder.is_dir() else folder.parent
    told = {}
    shots: dict[str, set[int]] = defaultdict(set)
    for ended in found.clips:
        shots[ended.row.parent].add(int(ended.row.values["shot"]))
    for ended in found.clips:
        v = ended.row.values
        path = Path(str(v["path"]))
        if len(shots[ended.row.parent]) > MOST_SHOTS:  # one sentence for all of them would be wrong for most
            if words := table.get(ended.row.id):
                told[ended.row.id] = " ".join(words.split())
            continue
        names = [ended.row.id, path.name, path.stem, str(path)]
        if path.is_relative_to(inside.resolve()):
            names.append(path.relative_to(inside.resolve()).as_posix())
        words = next((table[name] for name in names if name in table), "")
        words = words or str(v.get("given") or "") or words_beside(path)
        if words.strip():
            told[ended.row.id] = " ".join(words.split())
    used = {Path(str(e.row.values["path"])).name for e in found.clips}
    if table and not told:
        raise UserError(
            f"{captions} names no file of {folder} (it has {', '.join(sorted(used)[:3])}): write their names into its "
            "first column."
        )
    return told


def words_beside(path: Path) -> str:
    """What NAME.json or NAME.txt beside a film says."""
    texts = {str(one) for one in (path.with_suffix(".json"), path.with_suffix(".txt")) if one.is_file()}
    return str(beside(path, texts).get("caption") or "")


def read_table(path: Path) -> dict[str, str]:
    """A CSV with a column of files (file, file_name, name, path or id) and one of words (caption, text or words)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table ({error}): save it as CSV in UTF-8.") from None
    columns = set(lines[0]) if lines else set()
    file = next((n for n in ("file", "file_name", "name", "path", "id") if n in columns), None)
    words = next((n for n in ("caption", "text", "words") if n in columns), None)
    if file is None or words is None:
        raise UserError(f"{path} needs a first line with the columns file and caption, as in: file,caption.")
    return {str(line[file]).strip(): str(line[words]).strip() for line in lines if line[words]}


def write_table(rows: list[Row], path: Path) -> None:
    """To be filled in, and given back with --captions."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *map(line_of, rows)])


def caption_of(row: Row, told: dict[str, str]) -> Words:
    if row.id in told:
        return told[row.id], "file"
    words = str(row.values.get("caption") or "")
    return (words, "model") if words else ("", "none")


def rows_with_words(rows: list[Row]) -> list[Row]:
    """Which clip follows which does not hang on whether somebody has said yet what they show."""
    return [row if row.values.get("caption") else row.with_values({"caption": "?"}) for row in rows]


# -- rows -------------------------------------------------------------------------------------------------------------
def kept_apart(rows: list[Row]) -> set[str]:
    """Ids of clips that are never learnt from: whole films where there are several, else whole shots or parts."""
    for group in (group_of_film, group_of_shot, lambda row: row.id):
        groups = {group(row) for row in rows}
        if len(groups) > 1:
            apart = held_out_groups(groups, HELD_OUT)
            return {row.id for row in rows if group(row) in apart}
    return set()


def group_of_film(row: Row) -> str:
    return str(row.values["group"])


def group_of_shot(row: Row) -> str:
    return f"{row.values['group']}/{row.values['shot']}"


def row_of(
    row: Row,
    lesson: Lesson,
    there: bool,
    words: str,
    by: Any,
    reason: str,
    held_out: set[str],
    after: dict[str, str],
) -> Clip:
    v = row.values
    picture = v["kind"] == "image"
    file = f"data/{v['file']}" if there else None
    return Clip(
        *(row.id, str(v["name"])),
        clip=None if picture else file,
        still=still_of(lesson, row) if there else None,
        seconds=0.0 if picture else round(float(v["end"]) - float(v["start"]), 3),
        caption=words,
        caption_by=by,
        keep=there,
        reason=reason,
        held_out=row.id in held_out,
        next=after.get(row.id) if there else None,
    )


def still_of(lesson: Lesson, row: Row) -> str:
    """A picture of a clip for the page: its middle frame."""
    from nsp_core.media import read_media
    from training.data.split import write_jpeg

    if row.values["kind"] == "image":
        return f"data/{row.values['file']}"
    path = lesson.data / "stills" / f"{row.id}.jpg"
    if not path.is_file():
        frames = read_media(lesson.data / str(row.values["file"]), fps=None, side=1280).frames
        write_jpeg(path, frames[len(frames) // 2], 90)
    return f"data/stills/{row.id}.jpg"


def rows_of(lesson: Lesson) -> list[Row]:
    """The curated clips, with the words that hold now."""
    path = lesson.data / "rows.json"
    if not path.is_file():
        raise UserError(f"{lesson.folder} has no curated clips: prepare it again with its folder of clips.")
    return [Row(**value) for value in json.loads(path.read_text(encoding="utf-8"))]


def check_enough(lesson: Lesson) -> None:
    """Raises UserError when there is too little to learn from."""
    if why := too_few(lesson.clips(), str(lesson.folder)):
        raise UserError(why)


def too_few(clips: list[Clip], folder: str) -> str:
    """Why these cannot be taught from, in one sentence with the numbers; "" when they can."""
    there = [c for c in clips if c.clip or c.still]
    kept = [c for c in there if c.keep]
    usable = [c for c in kept if c.usable]
    if len(usable) >= LEAST and any(c.usable for c in clips if not c.held_out):
        return ""
    what = f"{LEAST} clips or photos with words are needed, and there {'is' if len(usable) == 1 else 'are'} "
    what += str(len(usable) or "none")
    reasons = Counter(c.reason for c in clips if c.reason)
    if len(kept) >= LEAST:
        return (
            f"{what}: {len(kept) - len(usable)} have no words yet, write what they show into NAME.txt beside them, "
            f"into {Path(folder) / 'captions.csv'} (then --captions it), or on the page."
        )
    why = "; ".join(f"{n} left out: {reason}" for reason, n in reasons.most_common(2))
    if any("same" in reason for reason in reasons):
        return f"{what}, because the others look the same ({why}): add clips that differ."
    return f"{what}{f' ({why})' if why else ''}: add more of them and prepare it again."
