"""The cutting room: how the film of a path is cut, which way it would be made, and making it. Knows nothing of Gradio.

A plan is kept with every change, and with it the version that the person saw: two windows do not overwrite each other.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Wish, number_of, text_of
from app.provenance.account import provenance_of
from app.reel.cutting import Cut, clips_of, cut_of, only_of
from app.reel.master import Source, look_at
from app.reel.plan import plan_of
from app.reel.render import words_of
from app.reel.rendering import Rendering, Report
from app.reel.taking import FORMS, Form, signature
from app.reel.voices import voices_here
from app.reel.ways import decide
from app.store.reels import forget_plan, keep_plan
from nsp_core.errors import UserError

_LETTERS_A_SECOND = 14  # of a voice, to say beforehand how long a film will be
_MOST_LETTERS = 400_000  # of a plan from a browser; two thousand shots have fewer


class Film:
    def __init__(self, person: Person, rendering: Rendering) -> None:
        self.person = person
        self.rendering = rendering
        self.wishes: dict[str, Wish] = {
            "film_keep": self._keep,
            "film_anew": self._anew,
            "film_make": self._make,
            "film_stop": self._stop,
        }
        self.questions: dict[str, Question] = {"film": self._film, "film_report": self._report}

    # what is asked ----------------------------------------------------------------------------------------------

    def _film(self, _message: Message, place: Place) -> dict[str, Any]:
        """Everything that the cutting room shows."""
        cut = self._cut(place)
        return {
            "end": cut.end,
            "version": cut.version,
            "plan": plan_json(cut),
            "scenes": [
                {
                    "id": scene.id,
                    "number": scene.depth + 1,
                    "words": scene.words or scene.seen,
                    "clip": scene.chosen.media["clip"],
                    "thumb": scene.chosen.media.get("thumb"),
                    "seconds": scene.chosen.seconds,
                }
                for scene in cut.scenes.values()
                if scene.chosen is not None
            ],
            "voices": list(self._voices),
            "forms": list(self._forms),
            "way": self._way(cut),
            "report": self._told(cut.end),
            "may_share": self.person.at_home,
        }

    def _report(self, message: Message, _place: Place) -> dict[str, Any]:
        return {"report": self._told(text_of(message, "end", limit=64))}

    # what is wished ---------------------------------------------------------------------------------------------

    def _keep(self, message: Message, place: Place) -> Place:
        """`plan` as app.reel.plan has it, `version` as it was read."""
        given = message.get("plan")
        if not isinstance(given, dict) or len(str(given)) > _MOST_LETTERS:
            raise UserError(say("desk.strange"))
        plan = plan_of(given)
        if plan.narration.voice not in self._voices:
            raise UserError(say("film.no_voice"))
        cut = self._cut(place)
        only_of(plan, list(cut.scenes))
        version = number_of(message, "version", 0, least=0, most=1 << 40)
        keep_plan(self.person.stories, cut.end, plan.to_json(), expected_version=version)
        return place

    def _anew(self, _message: Message, place: Place) -> Place:
        forget_plan(self.person.stories, self._cut(place).end)
        return place

    def _make(self, message: Message, place: Place) -> Place:
        """`form`: a film in the plan's own form, or what else is made of it."""
        cut = self._cut(place)
        form = text_of(message, "form", limit=16) or cut.plan.output.kind
        found = next((one for one in self._forms if one == form), None)
        if found is None:
            raise UserError(say("desk.strange"))
        if cut.plan.narration.voice not in self._voices:
            raise UserError(say("film.no_voice"))
        self.rendering.make(
            found,
            cut.plan,
            clips_of(self.person.store, cut.plan, cut.scenes),
            owner=self.person.owner_id,
            story=cut.story.id,
            scene=cut.end,
            title=cut.story.title,
            language=say("language.code"),
            provenance=provenance_of(
                self.person.store.settings,
                self.person.stories,
                cut.story.id,
                [cut.scenes[shot.scene] for shot in cut.plan.shots],
            ),
        )
        return place

    def _stop(self, _message: Message, place: Place) -> Place:
        self.rendering.stop_for(self.person.owner_id)
        return place

    # inside -----------------------------------------------------------------------------------------------------

    def _cut(self, place: Place) -> Cut:
        if place.story is None:
            raise UserError(say("desk.strange"))
        return cut_of(self.person.store, self.person.owner_id, place.story, place.scene)

    @property
    def _voices(self) -> tuple[str, ...]:
        """A server's voice may cost its owner money: only whoever sits at this machine may ask for it."""
        return tuple(one for one in voices_here() if one != "server" or self.person.at_home)

    @property
    def _forms(self) -> tuple[Form, ...]:
        """The cut for other programs names files of this machine: that is for whoever sits at it."""
        return tuple(one for one in FORMS if one != "otio" or self.person.at_home)

    def _way(self, cut: Cut) -> dict[str, Any] | None:
        """Which way the film would take and why, in words; None while there is nothing to make."""
        if not cut.plan.shots:
            return None
        clips = clips_of(self.person.store, cut.plan, cut.scenes)
        words = words_of(cut.plan, clips) if cut.plan.narration.voice != "off" else []
        least = [len(text) / _LETTERS_A_SECOND / cut.plan.narration.pace for text in words]
        try:
            decision = decide(cut.plan, [_facts(clip.path) for clip in clips], least=least)
        except (UserError, OSError) as error:
            return {"text": str(error), "seconds": None}
        why = " ".join(say(f"reel.why_{reason}") for reason in decision.reasons)
        seconds = float(decision.timeline.frames / decision.master.fps)
        return {"text": say(f"reel.way_{decision.way}", n=decision.encoded) + " " + why, "seconds": seconds}

    def _told(self, end: str) -> dict[str, Any] | None:
        report = self.rendering.report(self.person.owner_id)
        return None if report is None or report.scene != end else report_view(report)


def plan_json(cut: Cut) -> dict[str, Any]:
    """As a browser reads it and sends it back."""
    plan: dict[str, Any] = json.loads(cut.plan.to_json())
    return plan


def report_view(report: Report) -> dict[str, Any]:
    taken = report.taken or {}
    text = {
        "running": say(f"film.phase_{report.phase}") if report.phase else say("film.phase_begins"),
        "done": say("film.done"),
        "stopped": say("film.stopped"),
        "failed": report.why,
    }[report.what]
    way = ""
    if taken.get("way"):
        why = " ".join(say(f"reel.why_{reason}") for reason in taken["reasons"])
        way = say(f"reel.way_{taken['way']}", n=taken["encoded"] + taken["cached"]) + " " + why
    if report.what == "done":
        way = " ".join(part for part in (way, signature(taken)) if part)
    return {
        "what": report.what,
        "form": report.form,
        "text": text,
        "way": way,
        "share": report.done / report.total if report.total else None,
        "left": report.left,
        "address": f"/film/{report.film}" if report.what == "done" else None,
        "bytes": taken.get("bytes"),
        "seconds": taken.get("seconds"),
    }


@lru_cache(maxsize=2000)
def _facts(path: Path) -> Source:
    """A media file never changes: it is named by its content."""
    return look_at(path)
