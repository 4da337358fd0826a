"""How often the model could not be loaded in a row, and how long loading takes: a small file that outlives everybody.

    with Loads(settings).attempt():
        predictor = build(...)

The attempt is written down before it begins and struck out when it succeeds, so that a process that is killed by what
it loads has counted itself. Knows nothing of processes, jobs or pages.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.predictors import AdapterRefused
from app.settings import Settings
from app.shortage import is_out_of_memory
from nsp_core.banks import file
from nsp_core.errors import WhatNextError
from nsp_core.tiers import tier_called
from nsp_core.weights.cache import Cache

log = logging.getLogger(__name__)

MOST = 3  # failures in a row, after which it is not tried again by itself
_REMEMBERED = 5  # how many durations are kept
NAME = "loads.json"


@dataclass(frozen=True)
class Record:
    """Of one model on one device. `since`: when a load began that goes on or ended without a word; epoch seconds.
    `short`: the memory was not enough, for loading or for drawing. `left_out`: why its adapter cannot be used."""

    failed: int = 0
    why: str = ""
    since: float | None = None
    seconds: tuple[float, ...] = ()
    short: bool = False
    left_out: str = ""

    @property
    def given_up(self) -> bool:
        return self.failed >= MOST

    @property
    def too_big(self) -> bool:
        """The memory was not enough, or, as far as one can know, it was that which ended the process each time."""
        return self.short or (self.given_up and not self.why)

    @property
    def usual(self) -> float | None:
        """What loading usually takes, in seconds."""
        return sorted(self.seconds)[len(self.seconds) // 2] if self.seconds else None


class Loads:
    def __init__(self, settings: Settings) -> None:
        self.path = settings.run_dir / NAME
        self.key = settings.model_key
        self.model = settings.model
        self.is_tier = settings.is_tier

    def record(self) -> Record:
        """As it is now. Failures of a folder that was changed since do not count."""
        entry = self._read().get(self.key, {})
        # a folder is looked through only when that matters: this is asked with every look at the page
        told = bool(entry.get("failed") or entry.get("left_out"))
        same = told and entry.get("signature") == self._signature()
        return Record(
            failed=int(entry.get("failed", 0)) if same else 0,
            why=str(entry.get("why", "")) if same else "",
            since=entry.get("since"),
            seconds=tuple(entry.get("seconds", ())),
            short=bool(entry.get("short")) and same,
            left_out=str(entry.get("left_out", "")) if same else "",
        )

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        before = self.record()
        started = time.time()
        self._write(failed=before.failed + 1, why="", since=started, seconds=before.seconds)
        try:
            yield
        except AdapterRefused as error:  # says nothing of the model, which goes on without it
            self._write(failed=before.failed, why="", since=None, seconds=before.seconds, left_out=str(error))
            raise
        except Exception as error:
            why = str(error) if isinstance(error, WhatNextError) else f"{type(error).__name__}: {error}"
            short = is_out_of_memory(error)
            self._write(failed=before.failed + 1, why=why, since=None, seconds=before.seconds, short=short)
            raise
        seconds = (*before.seconds, round(time.time() - started, 2))[-_REMEMBERED:]
        self._write(failed=0, why="", since=None, seconds=seconds)

    def ran_short(self, why: str) -> None:
        """It was loaded, and then the memory was not enough for what it was asked to do."""
        now = self.record()
        self._write(failed=max(1, now.failed), why=why, since=None, seconds=now.seconds, short=True)

    def forgive(self) -> None:
        """The load that goes on was broken off by us: that says nothing of the model."""
        now = self.record()
        if now.since is not None:
            self._write(failed=max(0, now.failed - 1), why=now.why, since=None, seconds=now.seconds)

    def reset(self) -> None:
        """It may be tried again."""
        now = self.record()
        self._write(failed=0, why="", since=None, seconds=now.seconds)

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            log.warning("%s cannot be read; failures begin to count anew", self.path)
            return {}
        return entries if isinstance(entries, dict) else {}

    def _write(self, **entry: Any) -> None:
        entries = {**self._read(), self.key: {**entry, "signature": self._signature()}}
        partial = self.path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(entries, indent=1), encoding="utf-8")
        os.replace(partial, self.path)

    def _places(self) -> tuple[Path, ...]:
        """The folders and files that the model is made of."""
        if self.is_tier:
            cache = Cache.here()
            tier = tier_called(self.model)
            records = (cache.record_of(model) for model in tier.models)
            places = tuple(cache.snapshot(record) for record in records if record is not None)
            connector = tier.spec.connector if tier.spec is not None else None
            return (*places, connector) if isinstance(connector, Path) else places
        bank = file.find(self.model)
        if bank is None:
            return (Path(self.model),)
        try:
            spec = file.read(bank)
        except WhatNextError:
            return (bank,)
        return (bank, *file.folders(spec), *((spec.single_file,) if spec.single_file else ()))

    def _signature(self) -> str:
        """Changes when somebody mends what the model is made of."""
        try:
            found = [path for place in self._places() for path in (place, *sorted(place.rglob("*")))]
            stats = [path.stat() for path in found if path.is_file()]
        except OSError:
            return ""
        return f"{len(stats)} {sum(one.st_size for one in stats)} {max((one.st_mtime_ns for one in stats), default=0)}"
