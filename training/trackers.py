"""Where a run's figures go besides metrics.jsonl: TensorBoard, trackio or wandb, through accelerate's trackers.

`loop.trackers=[tensorboard]` writes below OUT/tensorboard; the others take their own settings from the environment
(WANDB_API_KEY, WANDB_MODE=offline, TRACKIO_SPACE_ID). metrics.jsonl stays the record: a tracker that fails is dropped
with a warning, and training goes on. Knows nothing of what is trained.
"""

from __future__ import annotations

import importlib.util
import logging
import zlib
from pathlib import Path
from typing import Any, Literal

from nsp_core.errors import ConfigError

log = logging.getLogger(__name__)

Name = Literal["tensorboard", "trackio", "wandb"]
PROJECT = "what-happens-next"


class Trackers:
    """Told of every row that metrics.jsonl gets. `step` is where this piece of the run begins: what was told of later
    steps, before a kill, is taken back where the tracker can do that (TensorBoard)."""

    def __init__(self, names: tuple[Name, ...], out: Path, step: int, about: dict[str, Any]) -> None:
        for name in names:
            if importlib.util.find_spec(name) is None:
                raise ConfigError(f"loop.trackers names {name}, which is not installed: run `pip install {name}`.")
        self._running = {name: started for name in names if (started := self._start(name, out, step, about))}

    def _start(self, name: Name, out: Path, step: int, about: dict[str, Any]) -> Any:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        kind = LOGGER_TYPE_TO_CLASS[name]
        try:
            if name == "tensorboard":
                tracker = kind("tensorboard", out, purge_step=step + 1)
                tracker.start()
                return tracker
            # two runs of one name ("sft") are two runs; a run that goes on is the same one
            one = f"{out.parent.name}-{out.name}-{zlib.crc32(str(out.resolve()).encode()):08x}"
            tracker = kind(PROJECT, name=one, resume="allow", **({"id": one} if name == "wandb" else {}))
            tracker.start()
            tracker.store_init_configuration(about)
            return tracker
        except Exception as error:  # an outside service: whatever it raises, training is worth more
            log.warning("%s can't be started and is left out: %s", name, error)
            return None

    def tell(self, row: dict[str, Any]) -> None:
        """A row of metrics.jsonl: figures of a step, or held-out ones under `held_out`."""
        held_out = {f"held_out/{name}": value for name, value in row.get("held_out", {}).items()}
        figures = {name: value for name, value in row.items() if name not in ("step", "held_out")} | held_out
        numbers = {name: value for name, value in figures.items() if isinstance(value, int | float)}
        for name, tracker in list(self._running.items()):
            try:
                tracker.log(numbers, step=row["step"])
            except Exception as error:  # as above
                log.warning("%s has failed and is left out from step %d on: %s", name, row["step"], error)
                del self._running[name]

    def close(self) -> None:
        for name, tracker in self._running.items():
            try:
                tracker.finish()
            except Exception as error:  # as above
                log.warning("%s could not be ended: %s", name, error)
        self._running = {}
