"""Which model is to run and what stands in its way: failed loads, the model that stands in, a device that is lent.

Looks and says; app.director acts on it. Knows nothing of jobs or pages.
"""

from __future__ import annotations

import time
from dataclasses import replace

from app.catalogue import say
from app.loads import Loads
from app.locks import Holder, holder_of, is_held, lesson_lock, not_predicting, wanted_lock
from app.settings import Settings
from app.tier_choice import lower, tier_of, tier_title
from app.worker_process import WorkerProcess


class Engine:
    def __init__(self, settings: Settings, worker: WorkerProcess) -> None:
        self.asked_for = settings
        self.worker = worker

    @property
    def settings(self) -> Settings:
        """What the worker is started with: the model that was asked for; a smaller tier when the memory was not enough
        for that; or, for a folder that could not be loaded several times in a row, the one that is shipped."""
        now = self.fitted
        return now.safe() if self._given_up(now) else now

    @property
    def fitted(self) -> Settings:
        """The model that was asked for, or the largest tier below it whose memory has not run short."""
        now = self._with_what_fits(self.asked_for)
        while now.step_down and now.is_tier and Loads(now).record().too_big and (smaller := lower(now)) is not None:
            now = self._with_what_fits(smaller)
        return now

    @staticmethod
    def _with_what_fits(settings: Settings) -> Settings:
        """Without the adapter when the model does not take that."""
        return replace(settings, adapter="") if Engine._refused(settings) else settings

    @staticmethod
    def _refused(settings: Settings) -> str:
        return Loads(settings).record().left_out if settings.adapter else ""

    def left_out(self) -> str:
        """Why the adapter that was chosen is not used; "" when it is, or when none was."""
        return self._refused(self.asked_for) or self._refused(replace(self.fitted, adapter=self.asked_for.adapter))

    @property
    def stands_in(self) -> bool:
        return self._given_up(self.fitted)

    def _given_up(self, settings: Settings) -> bool:
        """For a tier nobody stands in: the starter knows another world, and would not go on with its stories."""
        return not settings.is_safe and not settings.is_tier and Loads(settings).record().given_up

    def stand_in(self) -> str:
        """Why the model that is shipped stands in for the one that was asked for; "" when it does not."""
        return self._why(self.fitted) if self.stands_in else ""

    def stepped_down(self) -> tuple[str, str] | None:
        """The tier that was asked for and the smaller one that runs because the memory was not enough; else None."""
        asked, now = tier_of(self.asked_for), tier_of(self.fitted)
        return (asked.name, now.name) if asked and now and asked != now else None

    def broken(self) -> str:
        """That a model for which nobody stands in cannot be loaded: the starter, or a tier and none below it either; ""
        when it can be tried. Trying for ever would only keep people waiting."""
        settings = self.settings
        if not Loads(settings).record().given_up:
            return ""
        why = self._why(settings)
        tier = tier_of(settings)
        if tier is None or not tier.models:
            return say("engine.broken", why=why)
        return say("engine.broken_tier", title=tier_title(tier.name), why=why)

    def reset(self) -> None:
        """All of it may be tried once more."""
        settings: Settings | None = self.asked_for
        while settings is not None:
            for one in {settings, replace(settings, adapter="")}:
                Loads(one).reset()
            settings = lower(settings)
        Loads(self.asked_for.safe()).reset()

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
        if holder.who != "teaching":
            return say("engine.lent", who=holder.who)
        return say("engine.lesson") if self.makes_way() else say("engine.teaching")

    def makes_way(self) -> bool:
        """Whether what is learnt was begun on the page, and makes way for scenes."""
        lock = lesson_lock(self.asked_for.locks_dir)
        return lock.exists() and is_held(lock)

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
