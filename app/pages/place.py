"""Where somebody is on the page. Pure; whatever a browser sends becomes at most three short strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where somebody is: a scene of a story, or a picture that is being looked at before there is a story."""

    story: str | None = None
    scene: str | None = None
    reading: str | None = None  # a describe job

    @classmethod
    def of(cls, message: Any) -> Place:
        """From a browser: whatever it sends, at most three short strings come of it."""
        given = message if isinstance(message, dict) else {}

        def text(name: str) -> str | None:
            value = given.get(name)
            return value if isinstance(value, str) and 0 < len(value) <= 64 else None

        return cls(text("story"), text("scene"), text("reading"))

    def json(self) -> dict[str, str | None]:
        return {"story": self.story, "scene": self.scene, "reading": self.reading}
