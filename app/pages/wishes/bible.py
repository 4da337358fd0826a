"""What holds for a whole story: premise, cast and look. Knows nothing of Gradio."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.pages.place import Place
from app.pages.wishes.person import Message, Person, Question, Wish, unchanged
from app.store.stories import MAX_BIBLE
from nsp_core.errors import UserError
from nsp_core.language import Language

FIELDS = ("premise", "cast", "look")


class Bible:
    def __init__(self, person: Person) -> None:
        self.person = person
        self.wishes: dict[str, Wish] = {"bible": self._write}
        self.questions: dict[str, Question] = {"bible": self._read}

    def _write(self, message: Message, place: Place) -> Place:
        """One field. It must still say what the person saw when they began to write."""
        field, value = message.get("field"), message.get("text")
        if field not in FIELDS or not isinstance(value, str):
            raise UserError(say("bible.no_such_field"))
        story = self.person.stories.story(place.story or "")
        now = getattr(story, field)
        value = value.strip()
        if value != now:
            unchanged(message, now)
            self.person.stories.edit_story(story.id, expected_version=story.version, **{field: value})
        return place

    def _read(self, _message: Message, place: Place) -> dict[str, Any]:
        story = self.person.stories.story(place.story or "")
        return {
            "fields": [self._field(name, getattr(story, name)) for name in FIELDS],
            "most": MAX_BIBLE,
            "small": self._language is not None,
            "examples": list(self._language.examples[:3]) if self._language else [],
        }

    def _field(self, name: str, text: str) -> dict[str, Any]:
        language = self._language
        if language is None or not text.strip():
            return {"name": name, "text": text, "read": [], "unread": []}
        read, unread = language.split(text)
        return {"name": name, "text": text, "read": list(read), "unread": list(unread)}

    @property
    def _language(self) -> Language | None:
        """The words of a small model; None for one that reads everything, or is not there."""
        return _language_of(Path(self.person.director.engine.settings.model))


@lru_cache(maxsize=1)
def _language_of(folder: Path) -> Language | None:
    return Language.load(folder) if folder.is_dir() else None
