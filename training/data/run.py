"""A whole run of curation: every stage in order over all rows, kept after each batch, gone on with where it stopped.

Stages of single rows go through an executor; what needs all rows at once (copies, pairs, the pack, the report) is
arithmetic and is done anew. A result counts while the row is what it was and the stage has the same version and
settings, so a changed threshold costs only what depends on it. `missing` is asked again by every run; `failed` only
with `retry`. Knows nothing of what stages do.
"""

from __future__ import annotations

import gc
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from training.data import caption, content, duplicates, latents, precede, probe, quality, render, split, verify
from training.data.config import DataConfig
from training.data.engine import Executor, Stage, run_stage
from training.data.ingest import ingest, mark_of
from training.data.local import Inline, Local
from training.data.pairs import shot_pairs, written_pairs
from training.data.rows import Row, digest
from training.data.shots import weights_of
from training.data.store import Result, Store

log = logging.getLogger(__name__)
TOGETHER = 32  # outcomes a transaction; at least one a second
# of a source by its clips
INHERITED = ("path", "member", "offset", "size", "place", "source", "licence", "group", "name")


@dataclass(frozen=True)
class Ended:
    """Where a row's way ended. `stage` of one that came through: the last."""

    row: Row
    stage: str
    status: str
    reason: str = ""


@dataclass
class Curated:
    """What a run has found; rows in the order of their films."""

    sources: list[Ended] = field(default_factory=list)
    clips: list[Ended] = field(default_factory=list)
    pairs: list[Ended] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    worked: dict[str, tuple[int, float]] = field(default_factory=dict)  # stage -> rows and seconds of work, ever
    done_now: int = 0  # outcomes that this run had to make

    def captioned(self) -> list[Row]:
        """Clips that can be learnt from: with a caption, whatever became of their pairs."""
        return [e.row for e in self.clips if e.row.values.get("caption") and reached(e, "caption")]


def reached(ended: Ended, stage: str) -> bool:
    """It passed `stage` (it may have ended behind it)."""
    names = ["quality", "duplicates", "look", "content", "render", "caption"]
    return ended.stage not in names or (ended.status == "ok" and names.index(ended.stage) >= names.index(stage))


Watch = Callable[[str, int, int], Any]  # stage, outcomes so far, of how many; returns what is told of each


def curate(config: DataConfig, folder: Path, watch: Watch | None = None, retry: bool = False) -> Curated:
    """Raises ConfigError for a config that cannot work, ModelUnavailable without the content filter that it wants."""
    content.check(config)
    if config.split.detector == "transnet":
        weights_of(config.split)  # says at once what it lacks
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder / "state.db")
    executor = executor_of(config)
    try:
        run = Run(config, folder, store, executor, watch or (lambda *_: None), retry)
        return run.all()
    finally:
        executor.close()
        store.close()


def executor_of(config: DataConfig) -> Executor:
    r = config.run
    if r.executor == "inline":
        return Inline()
    if r.executor == "ray":
        from training.data.cluster import Cluster

        return Cluster(r.address, r.workers)
    return Local(r.workers or os.cpu_count() or 1)


@dataclass
class Run:
    config: DataConfig
    folder: Path
    store: Store
    executor: Executor
    watch: Watch
    retry: bool
    found: Curated = field(default_factory=Curated)
    marks: dict[str, str] = field(default_factory=dict)  # row -> digest of what it is now
    born: dict[str, tuple[Row, ...]] = field(default_factory=dict)

    def all(self) -> Curated:
        with seldom_collected():
            return self._all()

    def _all(self) -> Curated:
        config, folder = self.config, self.folder
        sources, self.found.left_out = ingest(config.sources, self.store, config.run.part)
        if not sources:
            where = ", ".join(str(source.path) for source in config.sources)
            why = next((f" ({name}: {reason})" for name, reason in self.found.left_out), "")
            raise ConfigError(f"There is no picture or film in {where}{why}; give a folder with some.")
        self.marks = {row.id: mark_of(row) for row in sources}
        there = self.through([probe.stage(config.clip)], sources, self.found.sources)
        films = self.through([split.stage(config, folder)], there, self.found.sources)
        self.found.sources += [Ended(row, "split", "ok") for row in films]
        clips = [clip for film in films for clip in self.children(film)]
        clips = self.through([quality.stage(config.clip, config.quality)], clips, self.found.clips)
        copies = duplicates.same_looks(clips, config.quality.duplicate_bits)
        for clip in clips:
            if clip.id in copies:
                copy = copies[clip.id]
                self.found.clips.append(Ended(clip.with_values(copy.values), "duplicates", copy.status, copy.reason))
        clips = [clip for clip in clips if clip.id not in copies]
        clips = self.looked_at(clips)
        clips = self.with_hand(self.through([render.stage(config, folder)], clips, self.found.clips))
        clips = self.through([caption.stage(config, folder)], clips, self.found.clips)
        if config.latents.model is not None:
            clips = self.through([latents.stage(config, folder)], clips, self.found.clips)
        captioned = clips
        rounds = [m.stage(config, folder, n) for n in range(config.words.rounds) for m in (precede, verify)]
        clips = self.through(rounds, clips, self.found.clips)
        self.found.clips += [Ended(clip, "pair", "ok") for clip in clips]
        order = {row.id: number for number, row in enumerate(sources)}
        self.found.clips.sort(key=lambda e: (order[e.row.parent], e.row.values["shot"], e.row.values["window"]))
        self.pair(captioned)
        return self.found

    def pair(self, captioned: Sequence[Row]) -> None:
        config, last = self.config, {e.row.id: e.row for e in self.found.clips}
        clips = [last[clip.id] for clip in captioned]
        self.found.pairs = [Ended(pair, "pair", "ok") for pair in written_pairs(clips)]
        natural = shot_pairs(clips, config.pair)
        if config.pair.judge_shots and natural:
            files = {clip.id: clip.values["file"] for clip in clips}
            natural = [pair.with_values({"file": files[pair.parent]}) for pair in natural]
            self.marks |= {pair.id: digest(pair.id, dict(pair.values)) for pair in natural}
            judged = self.through([verify.stage_of_pairs(config, self.folder)], natural, self.found.pairs)
            self.found.pairs += [Ended(pair, "pair", "ok") for pair in judged]
        else:
            self.found.pairs += [Ended(pair, "pair", "ok") for pair in natural]

    # -- rows through stages ------------------------------------------------------------------------------------------
    def through(self, stages: Sequence[Stage], rows: list[Row], ended: list[Ended]) -> list[Row]:
        """Those that come out; the others go to `ended`."""
        for stage in stages:
            rows = self.one(stage, rows, ended)
        return rows

    def one(self, stage: Stage, rows: list[Row], ended: list[Ended]) -> list[Row]:
        again = {"missing", "failed"} if self.retry else {"missing"}
        wanted = rows if stage.wants is None else [row for row in rows if stage.wants(row)]
        known = self.store.results(stage.name) if wanted else {}
        keys = {row.id: key_of(self.marks[row.id], stage.version) for row in wanted}
        results: dict[str, Result] = {}
        todo = []
        for row in wanted:
            old = known.get(row.id)
            if old is None or old.key != keys[row.id] or old.outcome.status in again:
                todo.append(row)
            else:
                results[row.id] = old
        if todo:
            for result in self.work(stage, todo, keys):
                results[result.row] = result
            self.found.done_now += len(todo)
        count, seconds = self.found.worked.get(stage.name, (0, 0.0))
        mine = [results[row.id] for row in wanted]
        self.found.worked[stage.name] = (count + len(mine), seconds + sum(one.seconds for one in mine))
        passed = []
        for row in rows:
            result = results.get(row.id)
            if result is None:  # it did not want this stage
                passed.append(row)
                continue
            if result.outcome.values:
                row = row.with_values(result.outcome.values)
            self.marks[row.id] = result.digest
            if result.outcome.status == "ok":
                passed.append(row)
                if result.outcome.children:
                    self.born[row.id] = result.outcome.children
            else:
                ended.append(Ended(row, stage.name, result.outcome.status, result.outcome.reason))
        return passed

    def work(self, stage: Stage, rows: list[Row], keys: dict[str, str]) -> Iterator[Result]:
        """Outcomes, each in the store before it is given."""
        batch: list[Result] = []
        told = time.monotonic()
        self.watch(stage.name, 0, len(rows))
        for number, (row, outcome, seconds) in enumerate(run_stage(self.executor, stage, rows), 1):
            mark = digest(self.marks[row.id], dict(outcome.values), outcome.status)
            batch.append(Result(row.id, keys[row.id], outcome, mark, round(seconds, 4)))
            if len(batch) >= TOGETHER or time.monotonic() - told > 1 or number == len(rows):
                self.store.put(stage.name, batch)
                yield from batch
                batch, told = [], time.monotonic()
            self.watch(stage.name, number, len(rows))

    def looked_at(self, clips: list[Row]) -> list[Row]:
        """The content filter only takes away: nothing behind it is done again because it was switched on."""
        before = {clip.id: self.marks[clip.id] for clip in clips}
        clips = self.through(content.stages(self.config, self.folder), clips, self.found.clips)
        self.marks |= {clip.id: before[clip.id] for clip in clips}
        return clips

    def children(self, film: Row) -> Iterable[Row]:
        """A film's clips, with what they need of it. Words that came with the film are those of its only clip."""
        some = self.born.get(film.id, ())
        more = {name: film.values[name] for name in INHERITED if name in film.values}
        if len(some) == 1 and film.values.get("given"):
            more["given"] = film.values["given"]
        for one in some:
            self.marks[one.id] = digest(one.id, dict(one.values), more.get("given", ""), more["licence"])
            yield Row(one.id, "clip", film.id, {**one.values, **more})

    def with_hand(self, clips: list[Row]) -> list[Row]:
        """What people wrote (`data captions`)."""
        path = self.folder / "by_hand.json"
        said: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        found = []
        for clip in clips:
            if words := said.get(clip.id):
                more = {"by_hand": words.get("caption", ""), "preceding_by_hand": words.get("preceding", "")}
                clip = clip.with_values(more)
                self.marks[clip.id] = digest(self.marks[clip.id], more)
            found.append(clip)
        return found


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Rows hold no circles: to look for some among a million of them takes a quarter of the time of going on."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def key_of(mark: str, version: str) -> str:
    return hashlib.sha256(f"{mark}/{version}".encode()).hexdigest()[:16]


def outcome_counts(some: Sequence[Ended]) -> dict[tuple[str, str, str], int]:
    """(stage, status, reason) -> how many, in the order of the stages."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in some:
        key = (one.stage, one.status, one.reason)
        counts[key] = counts.get(key, 0) + 1
    return counts
