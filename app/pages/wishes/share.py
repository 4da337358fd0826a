"""The Hub: what would be sent is made and shown, then sent. Only for whoever sits at this machine, whose token it is.

Knows nothing of Gradio.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Wish, text_of
from app.share.parcel import FORMS, Choice, slug
from app.share.sending import Sending, State
from nsp_core.errors import UserError

SHOWN = 400  # texts; a page with more would not be read, and says how many more there are


class Share:
    def __init__(self, person: Person, sending: Sending) -> None:
        self.person = person
        self.sending = sending
        self.wishes: dict[str, Wish] = {
            "share_look": self._look,
            "share_send": self._send,
            "share_forget": self._forget,
        }
        self.questions: dict[str, Question] = {"share": self._share}

    def _share(self, _message: Message, place: Place) -> dict[str, Any]:
        """How far it is; null while nothing was asked for this story."""
        self._allowed()
        story = self.person.stories.story(place.story or "")
        state = self.sending.state
        mine = state if state is not None and state.story == story.id else None
        return {"forms": list(FORMS), "name": slug(story.title), "state": state_view(mine) if mine else None}

    def _look(self, message: Message, place: Place) -> Place:
        """`form` is page, pack or a film; `originals`: with the files that the person brought."""
        self._allowed()
        form = next((one for one in FORMS if one == text_of(message, "form", limit=8)), None)
        if form is None or place.story is None:
            raise UserError(say("desk.strange"))
        originals = message.get("originals") is not False
        self.sending.make(self.person.owner_id, place.story, Choice(form, originals))
        return place

    def _send(self, message: Message, place: Place) -> Place:
        """`repo` is OWNER/NAME or NAME; `public` has to be said."""
        self._allowed()
        if self.sending.state is None or self.sending.state.story != place.story:
            raise UserError(say("desk.strange"))
        self.sending.send(text_of(message, "repo", limit=200), public=message.get("public") is True)
        return place

    def _forget(self, _message: Message, place: Place) -> Place:
        self._allowed()
        self.sending.forget()
        return place

    def _allowed(self) -> None:
        if not self.person.at_home:
            raise UserError(say("share.not_here"))


def state_view(state: State) -> dict[str, Any]:
    parcel = state.parcel
    return {
        "what": state.what,
        "form": state.choice.form,
        "why": state.why,
        "url": state.url,
        "public": state.public,
        "text": say(f"share.state_{state.what}") if state.what != "sent" or state.fresh else say("share.state_same"),
        "files": [asdict(file) for file in parcel.files] if parcel else [],
        "words": [asdict(line) for line in parcel.words[:SHOWN]] if parcel else [],
        "more": max(0, len(parcel.words) - SHOWN) if parcel else 0,
        "notes": list(parcel.notes) if parcel else [],
        "bytes": parcel.bytes if parcel else 0,
    }
