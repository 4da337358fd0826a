"""What the page notes of a person's choices: the switch, the list, erasing. Knows nothing of Gradio."""

from __future__ import annotations

from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Told, Wish, number_of, text_of
from app.store.choices import KINDS, Choice, by_story, choices, counts, erase
from app.store.choosing import is_noting, set_noting

A_PAGE = 30


class Choosing:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"note_choices": self._note, "erase_choices": self._erase}
        self.questions: dict[str, Question] = {"choices": self._choices}

    def _note(self, message: Message, place: Place) -> Place:
        set_noting(self.person.store.database, self.person.owner_id, message.get("on") is True)
        return place

    def _erase(self, message: Message, place: Place) -> Told:
        """All of them, or those of the story `which`."""
        story = text_of(message, "which", limit=64) or None
        n = erase(self.person.store.database, self.person.owner_id, story_id=story)
        return Told(place, say("choices.erased", n=n))

    def _choices(self, message: Message, _place: Place) -> dict[str, Any]:
        database, owner = self.person.store.database, self.person.owner_id
        offset = number_of(message, "offset", 0, least=0, most=10**7)
        found = counts(database, owner)
        return {
            "on": is_noting(database, owner),
            "total": sum(found.values()),
            "kinds": [say(f"choices.count_{kind}", n=found[kind]) for kind in KINDS if found[kind]],
            "stories": [
                {"id": story, "title": title or say("view.untitled"), "n": n}
                for story, title, n in by_story(database, owner)
            ],
            "list": [choice_view(one) for one in choices(database, owner, limit=A_PAGE, offset=offset)],
        }


def choice_view(one: Choice) -> dict[str, Any]:
    """A sentence, and what it is about."""
    words = {"before": one.before, "after": one.after}
    takes = {"take": one.take, "other": one.other}
    if one.kind == "chose":
        key = "choices.says_chose_over" if one.other is not None else "choices.says_chose"
    elif one.kind == "threw_away" and one.take is None:
        key, words = "choices.says_threw_away_scene", {"before": one.before}
    else:
        key = f"choices.says_{one.kind}"
    return {
        "story": one.story or say("view.untitled"),
        "at": one.at.isoformat(),
        "text": say(key, scene=one.scene, **words, **takes),
    }
