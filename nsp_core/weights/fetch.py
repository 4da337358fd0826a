"""Fetches published weights: what is here is not fetched twice, and nothing looks whole before its hash is right.

huggingface_hub begins a file anew after every cut (huggingface/huggingface_hub#4196) and compares sizes only, so the
bytes come by a loop of our own over its session: they are appended to one partial file, hashed as they come, and get
the blob's name when the hash is the hub's. Files go one after the other: a line is full with one, and a cut then costs
one partial file. Knows nothing of pages or terminals.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nsp_core.errors import Cancelled, ModelUnavailable
from nsp_core.model.spec import HubModel
from nsp_core.weights.cache import Cache, HubFile, Record, State, size_of
from nsp_core.weights.hub import Busy, Hub, one_sentence

_PIECE = 1 << 20
_WINDOW = 10.0  # seconds over which the rate is taken
SPARE = 500_000_000  # bytes that stay free on the disk

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` bytes of everything that was asked for are here; `rate` in bytes and `left` in seconds, None
    while nothing can be said. `checking`: all bytes of the file came, its hash is being made."""

    repo: str
    file: str
    done: int
    total: int
    rate: float | None = None
    left: float | None = None
    checking: bool = False


Tell = Callable[[Progress], None]


@dataclass
class _Meter:
    """Counts bytes over all files and says how fast they come."""

    tell: Tell
    total: int
    done: int
    clock: Callable[[], float] = time.monotonic
    seen: deque[tuple[float, int]] = field(default_factory=deque)
    received: int = 0

    def show(self, repo: str, file: str, more: int = 0, *, fetched: bool = False, checking: bool = False) -> None:
        """`more`: bytes that are here now, or had to be given up; `fetched`: they came over the network."""
        self.done += more
        if fetched:
            self.received += more
            now = self.clock()
            self.seen.append((now, self.received))
            while now - self.seen[0][0] > _WINDOW:
                self.seen.popleft()
        rate = None
        if len(self.seen) > 1 and self.seen[-1][0] - self.seen[0][0] > 0.5:
            rate = (self.seen[-1][1] - self.seen[0][1]) / (self.seen[-1][0] - self.seen[0][0])
        left = (self.total - self.done) / rate if rate else None
        self.tell(Progress(repo, file, self.done, self.total, rate, left, checking))


def fetch(
    models: Iterable[HubModel],
    *,
    cache: Cache | None = None,
    hub: Hub | None = None,
    tell: Tell = lambda _progress: None,
    should_stop: Stop = lambda: False,
    free: Callable[[Path], int] | None = None,
) -> tuple[State, ...]:
    """See that all of these are here, whole and verified. What is whole needs no network.

    Raises Cancelled when `should_stop` says so (what came stays, and the next call goes on there), ModelUnavailable
    for everything that stands in the way: the disk is too small (before anything is fetched), the hub says no, bytes
    do not have the promised hash, or another process is fetching the same.
    """
    cache, hub = cache or Cache.here(), hub or Hub.here()
    models = tuple(models)
    states = [state if (state := cache.state(one)).whole else _ask(one, cache, hub) for one in models]
    total, have = sum(state.size for state in states), sum(state.have for state in states)
    _room(cache, total - have, free or _free)
    meter = _Meter(tell, total, have)
    for at, state in enumerate(states):
        if not state.whole and state.record is not None:
            _fetch_one(state, cache, hub, meter, should_stop)
            states[at] = cache.state(models[at])
    return tuple(states)


def _ask(model: HubModel, cache: Cache, hub: Hub) -> State:
    """What the hub says the model is made of, written down. What was once said of a commit has to stay so."""
    known = cache.record_of(model)
    if known is not None:
        return cache.state(model)
    found = hub.listing(model)
    before = next((one for one in cache.records(model.repo) if one.commit == found.commit), None)
    if before is not None:
        if set(before.files) - set(found.files):
            raise ModelUnavailable(
                f"The hub tells something else of {model.repo} at {found.commit[:12]} than it did before: nothing was "
                "fetched; python launch.py models remove, then get, trusts it anew."
            )
        found = replace(found, verified=before.verified)
    cache.write(found)
    return cache.state(model)


def _room(cache: Cache, needed: int, free: Callable[[Path], int]) -> None:
    """Raises ModelUnavailable when the disk is too small for the rest."""
    cache.root.mkdir(parents=True, exist_ok=True)
    there = free(cache.root)
    if needed > 0 and there < needed + SPARE:
        raise ModelUnavailable(
            f"{(needed + SPARE) / 1e9:.1f} GB are needed on the disk of {cache.root} and {there / 1e9:.1f} GB are "
            "free: free some space, or set HF_HOME to a folder on another disk."
        )


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _fetch_one(state: State, cache: Cache, hub: Hub, meter: _Meter, should_stop: Stop) -> None:
    assert state.record is not None
    with cache.alone(state.model.repo):
        for file in state.missing:
            _fetch_file(state.record, file, cache, hub, meter, should_stop)


def _fetch_file(record: Record, file: HubFile, cache: Cache, hub: Hub, meter: _Meter, should_stop: Stop) -> None:
    blob, partial = cache.blob(record.repo, file), cache.partial(record.repo, file)
    blob.parent.mkdir(parents=True, exist_ok=True)
    if blob.is_file() and digest_of(blob, file) == file.digest:  # another program, or another revision, has it
        meter.show(record.repo, file.name, file.size - (size_of(partial) or 0))
        partial.unlink(missing_ok=True)
    else:
        for fresh in (False, True):
            resumed = size_of(partial) or 0
            _append_patiently(record, file, partial, hub, meter, should_stop)
            meter.show(record.repo, file.name, checking=True)
            if digest_of(partial, file) == file.digest:
                break
            meter.show(record.repo, file.name, -(size_of(partial) or 0))
            partial.unlink()
            if fresh or not resumed:  # what was resumed may have been spoilt here, and is fetched once more
                raise ModelUnavailable(
                    f"{file.name} of {record.repo} came with other bytes than the hub promised, so nothing of it was "
                    "kept: ask again later, or through another network."
                )
        os.replace(partial, blob)
    cache.link(record, file)
    latest = cache.record_of(HubModel(record.repo, record.commit, ())) or record
    cache.write(replace(latest, verified=tuple(dict.fromkeys((*latest.verified, file.name)))))


def _append_patiently(record: Record, file: HubFile, partial: Path, hub: Hub, meter: _Meter, should_stop: Stop) -> None:
    """As long as anything comes, patience begins anew."""
    model = HubModel(record.repo, record.revision, ())
    while True:
        before = size_of(partial) or 0
        try:
            return hub.patiently(model, lambda: _append(record, file, partial, hub, meter, should_stop))
        except Busy:
            if (size_of(partial) or 0) <= before:
                raise


def _append(record: Record, file: HubFile, partial: Path, hub: Hub, meter: _Meter, should_stop: Stop) -> None:
    """Fetch what is lacking of a file. Raises Busy's causes when the line is cut; what came until then stays."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    begun = size_of(partial) or 0
    if begun > file.size:
        partial.unlink()
        meter.show(record.repo, file.name, -file.size)
        begun = 0
    if begun == file.size and partial.exists():
        return
    url = hf_hub_url(record.repo, file.name, revision=record.commit, endpoint=hub.endpoint)
    headers = {
        **build_hf_headers(),
        "Accept-Encoding": "identity",
    }  # the bytes as they are: a range of a zip is no use
    if begun:
        headers["Range"] = f"bytes={begun}-"
    with (
        one_sentence(HubModel(record.repo, record.revision, ()), hub.endpoint),
        get_session().stream("GET", url, headers=headers, timeout=30) as answer,
    ):
        hf_raise_for_status(answer)
        if begun and answer.status_code != 206:  # whoever answers does not know ranges
            meter.show(record.repo, file.name, -begun)
            begun = 0
        with partial.open("ab" if begun else "wb") as out:
            _pour(answer, out, record.repo, file, file.size - begun, meter, should_stop)


def _pour(answer: Any, out: Any, repo: str, file: HubFile, lacking: int, meter: _Meter, should_stop: Stop) -> None:
    for piece in answer.iter_raw():
        if should_stop():
            raise Cancelled(f"Stopped; what came of {repo} is kept.")
        piece = piece[:lacking]  # never more than was promised, whatever comes
        out.write(piece)
        lacking -= len(piece)
        meter.show(repo, file.name, len(piece), fetched=True)
        if not lacking:
            break
    out.flush()
    os.fsync(out.fileno())
    if lacking:
        raise ConnectionError(f"{lacking} bytes of {file.name} did not come")


def digest_of(path: Path, file: HubFile) -> str:
    """The hash of a file's bytes in the way that its `digest` was made: SHA-256, or git's SHA-1 of a small file."""
    if len(file.digest) == 64:
        made = hashlib.sha256()
    else:
        made = hashlib.sha1(usedforsecurity=False)
        made.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as source:
        while piece := source.read(_PIECE):
            made.update(piece)
    return made.hexdigest()
