"""Puts the page together: director, desk, routes and Blocks, from settings that are given. Starts nothing by itself."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.middleware import Middleware

from app.accounts import Accounts
from app.budget import MOST_OWN, MOST_WAITING, JobBudget
from app.catalogue import say, speak
from app.director import Director
from app.pages.desk import Desk
from app.pages.desks import Desks
from app.pages.examples import Examples, read_examples
from app.pages.installed import app_routes
from app.pages.view import UPLOAD_LIMIT
from app.presence import Presence
from app.routes import routes
from app.security import LOOPBACK, Door, Gate
from app.settings import Settings
from app.store import open_store
from app.store.people import take_over
from app.visitor import Account, account

if TYPE_CHECKING:
    import gradio as gr

log = logging.getLogger(__name__)

CACHE_SWEEP = (3600, 86400)  # how often Gradio looks for old uploads, and from which age they go; in seconds
QUEUE_NAP = 0.25  # seconds
GUEST_STORIES, ACCOUNT_STORIES = 5, 50  # that one person may keep where people are kept apart


@dataclass
class StoryApp:
    """The page, built but not yet listening."""

    demo: gr.Blocks
    desk: Desk
    director: Director
    door: Door
    settings: Settings
    options: dict[str, Any]  # what demo.launch() is given besides host and port

    def launch(self, host: str = "127.0.0.1", port: int | None = None) -> str:
        """Listen, return the address without the token. The server runs in its own thread."""
        self.demo.launch(server_name=host, server_port=port, **self.options)
        self.door.starting = False
        return str(self.demo.local_url)

    def close(self) -> None:
        self.demo.close(verbose=False)
        self.desk.fetching.close()
        self.desk.rendering.close()
        self.desk.sending.close()
        self.desk.teaching.close()
        self.director.shutdown()
        self.director.store.close()


def create_app(
    settings: Settings,
    door: Door,
    *,
    director: Director | None = None,
    examples: Examples | None = None,
    steps: int | None = None,
    presence: Presence | None = None,
) -> StoryApp:
    """`director` None: one on the settings' own store. `steps` None: as many as the model recommends. `presence`: who
    wants to know which windows are open."""
    speak(settings.language)
    settings.make_folders()
    uploads = settings.data_dir / "uploads"
    uploads.mkdir(exist_ok=True, mode=0o700)
    # Gradio keeps what is uploaded in a folder that any program may read, unless it is told before it is imported.
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from app.pages.head import head
    from app.pages.story_room import story_room, style, theme

    director = director or Director(open_store(settings))
    examples = examples or read_examples()
    desk = Desk(
        director,
        director.store.local_owner(),
        examples,
        uploads=uploads,
        steps=steps,
        works_here=settings.in_process,
        at_home=door.hosts <= set(LOOPBACK) and not door.any_address and not settings.public,
    )
    desks = Desks(desk)
    if isinstance(door.lock, Accounts):
        desks = apart(desk, door.lock)
    if settings.public:
        director.allow = budget(director)
    with gr.Blocks(title=say("page.name"), analytics_enabled=False, delete_cache=CACHE_SWEEP, fill_width=True) as demo:
        story_room(desks)
    # Nothing of ours goes through Gradio's queue, which looks for work a thousand times a second while it has none.
    demo._queue.sleep_when_free = QUEUE_NAP
    options: dict[str, Any] = {
        "app_kwargs": {
            "routes": [*routes(desks), *app_routes(presence)],
            "middleware": [Middleware(Gate, door=door)],
            "docs_url": None,
            "redoc_url": None,
        },
        "theme": theme(),
        "css": style(),
        "head": head(windowed=presence is not None),
        "max_file_size": UPLOAD_LIMIT,
        "ssr_mode": False,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": [],
        "show_error": False,
        "strict_cors": True,
        "quiet": True,
        "share": False,
        "inbrowser": False,
        "prevent_thread_lock": True,
        "favicon_path": str(FAVICON) if FAVICON.is_file() else None,
    }
    return StoryApp(demo, desk, director, door, settings, options)


def apart(usual: Desk, lock: Accounts) -> Desks:
    """Desks of people who do not see each other's stories; what a guest began goes along when they log in."""
    store, person = usual.store, usual.person

    def make(owner_id: str, who: Account) -> Desk:
        return Desk(
            usual.director,
            owner_id,
            usual.examples,
            uploads=person.uploads,
            steps=person.steps,
            works_here=person.works_here,
            most_stories=GUEST_STORIES if who.is_guest else ACCOUNT_STORIES,
            beside=usual,
        )

    def took_over(guest: Account, who: Account) -> None:
        take_over(store, *(store.owner(one.kind, one.subject, one.name) for one in (guest, who)))

    lock.took_over = took_over
    return Desks(usual, make, store.owner)


def budget(director: Director) -> JobBudget:
    jobs, store = director.store.jobs, director.store

    def own() -> int:
        who = account.get()
        if who is None:
            return 0
        return len(jobs.recent(owner_id=store.owner(who.kind, who.subject), open_only=True, limit=MOST_OWN))

    return JobBudget(lambda: len(jobs.recent(open_only=True, limit=MOST_WAITING)), own=own)


FAVICON = Path(__file__).parent / "pages" / "client" / "favicon.svg"
