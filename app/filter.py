"""The content filter: looks at pictures that come in and scenes that were drawn, and refuses what is not for everybody.

A small classifier (nsp_core.content; its weights are fetched on wish by app.filter_weights) gives each picture a number
from 0 to 1; here is what is done about it. On in public mode, else on wish: WHATNEXT_FILTER=on. Knows nothing of jobs,
stories or pages.
"""

from __future__ import annotations

import logging
from pathlib import Path

from app.settings import Settings
from nsp_core import content
from nsp_core.content import THRESHOLD, Classifier
from nsp_core.errors import UserError
from nsp_core.types import Frames

log = logging.getLogger(__name__)

WITHOUT = ", or start with --no-filter and answer for what is shown yourself"


class NotForEverybody(UserError):
    """A picture that the filter does not let through. What it is of is neither said nor kept."""


class ContentFilter(Classifier):
    """What the page does about a picture's number."""

    def __init__(self, weights: Path, threshold: float = THRESHOLD) -> None:
        super().__init__(weights, WITHOUT)
        self.threshold = threshold

    def check_upload(self, frames: Frames) -> None:
        """Raises NotForEverybody."""
        if self._flags(frames, "an upload"):
            raise NotForEverybody("This file was not taken: the content filter of this place does not let it through.")

    def check_take(self, frames: Frames) -> None:
        """Raises NotForEverybody."""
        if self._flags(frames, "a drawn take"):
            raise NotForEverybody(
                "These pictures were not kept: the content filter of this place does not let them through; "
                "try other words."
            )

    def passes(self, frames: Frames) -> bool:
        """Whether a preview may be shown."""
        return max(self.scores(frames, samples=1)) < self.threshold

    def _flags(self, frames: Frames, what: str) -> bool:
        flagged = max(self.scores(frames)) >= self.threshold
        if flagged:
            log.warning("the content filter refused %s", what)  # what it shows, and whose it was, is nobody's business
        return flagged


def content_filter(settings: Settings) -> ContentFilter | None:
    """None when it is off. Raises ModelUnavailable, one sentence, when it is on and cannot be had."""
    if not settings.filter_on:
        return None
    content.check(weights_path(settings), WITHOUT)
    return ContentFilter(weights_path(settings))


def weights_path(settings: Settings) -> Path:
    """A file that was named, or the one that belongs to the person's data of this program."""
    return content.weights_path(settings.filter_model)
