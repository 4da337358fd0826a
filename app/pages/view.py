"""What the page shows, drawn from the database alone: the same question gives the same answer after a restart.

Knows nothing of Gradio, and changes nothing. A view is plain JSON for the scripts in client/; see page.js.
"""

from __future__ import annotations

from typing import Any

from app.access import HUGGING_FACE
from app.catalogue import say
from app.director import Director
from app.pages.alone_view import alone_view
from app.pages.engine_view import because, engine_view
from app.pages.examples import Examples
from app.pages.place import Place
from app.pages.progress import job_view
from app.pages.queue_view import queue_badge
from app.pages.stories import FIRST_PAGE, shelf_view
from app.pages.strip import strip_view
from app.pages.takes_view import Behind, shown_job, takes_view
from app.pages.wander_view import retelling_view, trouble_of, undo_view
from app.settings import Settings
from app.store.errors import NotFound
from app.store.jobs import Job
from app.store.owners import shelf_order
from app.store.queue import Queue
from app.story import Scene, Story, Tree, shown_path
from app.visitor import account, visitor

MOST_TRASH = 60  # stories that are listed
UPLOAD_LIMIT = 200 * 2**20


class Views:
    """Views for one person."""

    def __init__(self, director: Director, owner_id: str, examples: Examples, *, at_home: bool = False) -> None:
        self.director = director
        self.store = director.store
        self.owner_id = owner_id
        self.examples = examples
        self.at_home = at_home
        self.stories = self.store.stories(owner_id)

    def at(self, place: Place) -> dict[str, Any]:
        """The page at that place; the first page when the place is gone."""
        if place.reading is not None:
            try:
                return self.reading(self.director.status(place.reading, self.owner_id))
            except NotFound:
                return self.home({"kind": "info", "text": say("view.gone_picture")})
        if place.story is None:
            return self.home()
        try:
            # jobs before scenes: a drawing that ends in between is then shown as going on, never as not drawn
            jobs = self.store.jobs.recent(owner_id=self.owner_id, story_id=place.story, limit=60)
            story = self.stories.story(place.story)
            tree = self.stories.tree(place.story, bare=True)
        except NotFound as error:
            return self.home({"kind": "info", "text": str(error)})
        if story.deleted_at is not None or not len(tree):
            return self.home({"kind": "info", "text": say("view.in_trash", title=story.title)})
        return self.room(story, tree, jobs, place.scene)

    def home(self, notice: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            **self._frame("home", Place()),
            "notice": notice or told_of(account_view(self.director.settings)),
            "examples": [
                {"name": one.name, "title": one.title, "words": one.words, "image": one.image}
                for one in self.examples.all
            ],
            **self._shelf(),
            "waiting": self._waiting(),
            "limits": {"upload": UPLOAD_LIMIT},
            "may_teach": self.at_home,
        }

    def _shelf(self) -> dict[str, Any]:
        """The first page of the shelf, what was opened last, and the things thrown away."""
        order = shelf_order(self.store.database, self.owner_id)
        latest = self.stories.list_stories(begun=True, order="opened", limit=1)
        return {
            "stories": shelf_view(self.stories.list_stories(begun=True, order=order, limit=FIRST_PAGE)),
            "shelf": {"order": order, "count": self.stories.count_stories(begun=True)},
            "latest": shelf_view(latest)[0] if latest else None,
            "trash": shelf_view(self.stories.list_stories(trashed=True, limit=MOST_TRASH)),
            "trashed": self.stories.count_stories(trashed=True),
        }

    def reading(self, job: Job) -> dict[str, Any]:
        """A picture before it is a scene: being looked at, or waiting for the person's decision."""
        view = {**self._frame("room", Place(reading=job.id)), "path": []}
        if job.is_open:
            return {**view, "job": job_view(job, because=because(self.director))}
        media = job.result.get("media", {})
        return {
            **view,
            "still": media.get("first_frame"),
            "offers": {
                "seen": job.result.get("words", ""),
                "retell": job.result.get("words", ""),
                "note": job.result.get("note", ""),
                "limits": say("view.limits"),
                "bigger": say("view.bigger"),
                "known": [one.words for one in self.examples.all],
            },
        }

    def room(self, story: Story, tree: Tree, recent: tuple[Job, ...], scene_id: str | None) -> dict[str, Any]:
        wanted = next((one for one in (scene_id, story.head_scene_id) if one is not None and one in tree), None)
        at = wanted if wanted is not None else max(scene.id for scene in tree)
        path = self.stories.path_to(shown_path(tree, at)[-1].id)  # takes are read of what is shown, not of every branch
        here = next(scene for scene in path if scene.id == at)
        open_jobs = [job for job in recent if job.is_open]
        drawing = {job.scene_id for job in open_jobs if job.kind == "draw" and job.scene_id}
        job = shown_job(here, open_jobs)
        drawn = [scene for scene in path if scene.chosen is not None]
        view = {
            **self._frame("room", Place(story.id, here.id)),
            "story": {"id": story.id, "title": story.title, "version": story.version},
            "path": strip_view(tree, path, drawing),
            "job": job_view(job, here.words, because(self.director)) if job else None,
            "elsewhere": len(open_jobs) - (job is not None),
            "alone": alone_view(recent),
            "retelling": retelling_view(open_jobs),
            "undo": undo_view(self.stories.steps(story.id)),
            "takes": self._takes(here, recent),
            "thoughts": sum(job.kind == "think" and job.status == "done" for job in recent if job.scene_id == here.id),
            "reel": f"/reel/{drawn[-1].id}.mp4" if drawn else None,
        }
        if job is None:
            kinds = ("think",) if here.chosen is not None else ("think", "draw")  # a take that failed says so itself
            last = next((one for one in recent if one.scene_id == here.id and one.kind in kinds), None)
            trouble = trouble_of(last)
            if last is not None and trouble is not None:
                view["trouble"] = {
                    "text": trouble,
                    "known": last.result.get("known", []),
                    "here": last.result.get("here", False),
                }
                view["steer"] = last.payload.get("steer", "")
            view["draft"] = self._draft(here, tree, recent) if here.chosen is not None else None
        return view

    def _draft(self, here: Scene, tree: Tree, recent: tuple[Job, ...]) -> dict[str, Any] | None:
        """Words that were thought of after this scene and wait to be chosen, until a scene was made since."""
        last = next((job for job in recent if job.kind == "think" and job.scene_id == here.id), None)
        if last is None or last.status != "done":
            return None
        if any(child.created_at >= last.created_at for child in tree.children(here.id)):
            return None
        texts = [one.text for one in last.words if one.text.strip()]
        return {"job": last.id, "alternatives": texts, "steer": last.payload.get("steer", "")} if texts else None

    def _takes(self, here: Scene, recent: tuple[Job, ...]) -> dict[str, Any]:
        jobs = [job for job in recent if job.scene_id == here.id]
        drawing = any(job.kind == "draw" and job.is_open for job in jobs)
        behind = Behind(
            trashed=len(self.stories.trashed_takes(here.id)),
            verdicts=self.stories.verdicts_of(here.id),
            typical=self.store.jobs.typical_seconds("draw") if drawing else None,
            judge=self.director.settings.judge,
        )
        return takes_view(here, jobs, behind)

    def _waiting(self) -> list[dict[str, str]]:
        """Pictures that were brought in and then left: read, or being read, without a story so far."""
        jobs = self.store.jobs.recent(owner_id=self.owner_id, kinds=("describe",), limit=5)
        left = [job for job in jobs if job.story_id is None and (job.is_open or job.status == "done")]
        return [{"job": job.id, "name": str(job.payload.get("name") or say("view.picture"))} for job in left]

    def _frame(self, page: str, place: Place) -> dict[str, Any]:
        return {
            "page": page,
            "here": place.json(),
            "engine": engine_view(self.director),
            "guarded": bool(visitor.get()),
            "account": account_view(self.director.settings),
            "notice": None,
            "story": None,
            "job": None,
            "draft": None,
            "offers": None,
            "trouble": None,
            "alone": None,
            "queue": queue_badge(Queue(self.store.database, self.owner_id).counts()),
            "takes": None,
            "reel": None,
            "still": None,
            "path": [],
        }


def told_of(who: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a person should know of the place before they begin."""
    return {"kind": "info", "text": " ".join(who["tells"])} if who and who["tells"] else None


def account_view(settings: Settings) -> dict[str, Any] | None:
    """Who is logged in where people are told apart; None elsewhere. `tells`: what a person should know of the place."""
    who = account.get()
    if who is None:
        return None
    tells = [say("safety.guest")] if who.is_guest and settings.accounts == HUGGING_FACE else []
    tells += [say("safety.guest_only")] if who.is_guest and not tells else []
    tells += [say("safety.not_durable")] if settings.in_process else []
    login = "/login" if who.is_guest and settings.accounts == HUGGING_FACE else None
    return {"name": None if who.is_guest else who.name, "login": login, "tells": tells}
