"""Which model is to run and what stands in its way: failed loads, the model that stands in, a device that is lent.

Looks and says; app.director acts on it. Knows nothing of jobs or pages.
"""

from __future__ import annotations

import time

from app.catalogue import say
from app.loads import Loads
from app.locks import Holder, holder_of, not_predicting, wanted_lock
from app.settings import Settings
from app.worker_process import WorkerProcess


class Engine:
    def __init__(self, settings: Settings, worker: WorkerProcess) -> None:
        self.asked_for = settings
        self.worker = worker

    @property
    def settings(self) -> Settings:
        """What the worker is started with: the model that was asked for, or the one that is shipped when that could not
        be loaded several times in a row."""
        return self.asked_for.safe() if self.stands_in else self.asked_for

    @property
    def stands_in(self) -> bool:
        return not self.asked_for.is_safe and Loads(self.asked_for).record().given_up

    def stand_in(self) -> str:
        """Why the model that is shipped stands in for the one that was asked for; "" when it does not."""
        return self._why(self.asked_for) if self.stands_in else ""

    def broken(self) -> str:
        """That even the model which stands in for all others cannot be loaded; "" when it can be tried. Trying for ever
        would only keep people waiting."""
        settings = self.settings
        return say("engine.broken", why=self._why(settings)) if Loads(settings).record().given_up else ""

    def reset(self) -> None:
        """All of it may be tried once more."""
        for settings in (self.asked_for, self.asked_for.safe()):
            Loads(settings).reset()

    def holder(self) -> Holder | None:
        """Who has the device, or wants it, for something else than predicting: teaching, for one."""
        if self.asked_for.in_process:
            return None
        return holder_of(wanted_lock(self.worker.lock_path)) or not_predicting(holder_of(self.worker.lock_path))

    def held_up(self) -> str:
        """Why nothing new is begun just now, in one sentence; "" when nothing is in the way."""
        holder = self.holder()
        if holder is None:
            return ""
        return say("engine.teaching") if holder.who == "teaching" else say("engine.lent", who=holder.who)

    def waking(self) -> tuple[float, float | None] | None:
        """While the model is being loaded: for how many seconds already, and how many it usually takes."""
        if self.asked_for.in_process or not self.worker.alive() or self.holder() is not None:
            return None
        row = self.worker.row()
        if row is not None and row.state not in ("starting", "loading"):
            return None
        record = Loads(self.settings).record()
        if row is not None and row.state == "loading" and record.since is not None:
            return max(0.0, time.time() - record.since), record.usual
        return max(0.0, time.monotonic() - self.worker.started_at) if self.worker.child else 0.0, record.usual

    def _why(self, settings: Settings) -> str:
        return Loads(settings).record().why or say("engine.died", log=self.worker.log_path)
