"""Sharing from the page: a parcel is made and shown, and sent when the person says so. One at a time, in a thread; it
ends with the page, and what was made lies in a folder that goes with it. Knows nothing of components.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from app.identity import new_id
from app.share.hub import Hub, check_size
from app.share.parcel import FOLDER, Choice, Parcel, clear_left_overs, make_parcel
from app.store import Store
from nsp_core.errors import Cancelled, UserError, WhatNextError

log = logging.getLogger(__name__)

What = Literal["making", "ready", "sending", "sent", "failed", "stopped"]


@dataclass(frozen=True)
class State:
    """How far it is. `parcel` is there from "ready" on; `public`: what it was sent as; `fresh`: something was sent."""

    story: str
    choice: Choice
    what: What = "making"
    parcel: Parcel | None = None
    why: str = ""
    url: str = ""
    public: bool = False
    fresh: bool = False


class Sending:
    def __init__(self, store: Store, hub: Callable[[], Hub] = Hub.here) -> None:
        self.store = store
        self.state: State | None = None
        self._hub = hub
        self._folder: Path | None = None
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def make(self, owner_id: str, story_id: str, choice: Choice) -> None:
        """Show what would be sent. Returns at once. Raises UserError while something else is under way."""
        story = self.store.stories(owner_id).story(story_id)

        def work() -> None:
            folder = self._folder = self.store.settings.run_dir / f"{FOLDER}{new_id()}"
            folder.mkdir(mode=0o700)
            parcel = make_parcel(self.store, owner_id, story, choice, folder, should_stop=self._stop.is_set)
            check_size(parcel)
            self._now(what="ready", parcel=parcel)

        self._begin(State(story_id, choice), work)

    def send(self, repo: str, *, public: bool) -> None:
        """What was shown, and nothing else. Returns at once. Raises UserError when nothing was shown."""
        state = self.state
        if state is None or state.parcel is None or state.what not in ("ready", "failed"):
            raise UserError("Look first at what would be sent.")
        parcel = state.parcel

        def work() -> None:
            hub = self._hub()
            target = hub.target(parcel.place, repo, parcel.title, parcel.story)
            if target.public and not public:
                raise UserError(f"{target.url} is public, so everybody would see what is sent: say so first.")
            sent = hub.send(parcel, target, public=public)
            self._now(what="sent", url=target.url, public=public, fresh=sent.fresh)

        self._begin(replace(state, what="sending", why=""), work)

    def forget(self) -> None:
        """What was made goes; one that is being made stops. What is on its way to the Hub is let finish."""
        if self.state is not None and self.state.what == "sending":
            return
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.state = None
        self._clear()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        self._clear()

    def wait(self, timeout: float = 60.0) -> State | None:
        if self._thread is not None:
            self._thread.join(timeout)
        return self.state

    # inside -----------------------------------------------------------------------------------------------------

    def _begin(self, state: State, work: Callable[[], None]) -> None:
        with self._guard:
            if self._thread is not None and self._thread.is_alive():
                raise UserError("Something is being made for the Hub, or sent there: wait for that first.")
            if state.what == "making":
                self._clear()
                clear_left_overs(self.store.settings.run_dir)
            self._stop.clear()
            self.state = state
            self._thread = threading.Thread(target=self._run, args=(work,), name="sharing", daemon=True)
            self._thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Cancelled:
            self._now(what="stopped")
        except WhatNextError as error:
            self._now(what="failed", why=str(error))
        except Exception as error:
            log.exception("sharing failed")
            self._now(what="failed", why=f"Something went wrong inside the program ({type(error).__name__}).")

    def _now(self, **new: object) -> None:
        if self.state is not None:
            self.state = replace(self.state, **new)  # type: ignore[arg-type]

    def _clear(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
