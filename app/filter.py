"""The content filter: looks at pictures that come in and scenes that were drawn, and refuses what is not for everybody.

A small classifier (Yahoo's open-nsfw, an ONNX file of 24 MB that app.filter_weights fetches on wish) gives each picture
a number from 0 to 1. On in public mode, else on wish: WHATNEXT_FILTER=on. Knows nothing of jobs, stories or pages;
onnxruntime comes in with the first picture.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.settings import Settings
from nsp_core.errors import ModelUnavailable, UserError
from nsp_core.types import Frames

log = logging.getLogger(__name__)

THRESHOLD = 0.8  # see DECISIONS.md: of what is surely safe, the highest frame had 0.53
SAMPLES = 6
WEIGHTS_SHA256 = "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa"
WEIGHTS_NAME = "open-nsfw.onnx"
MISSING = (
    "The content filter has no weights yet: get them once with python launch.py app --get-filter (22 MB), or start "
    "with --no-filter and answer for what is shown yourself."
)
_MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)


class NotForEverybody(UserError):
    """A picture that the filter does not let through. What it is of is neither said nor kept."""


class ContentFilter:
    """Loads at the first picture. One for each process."""

    def __init__(self, weights: Path, threshold: float = THRESHOLD) -> None:
        self.weights = weights
        self.threshold = threshold
        self._guard = threading.Lock()
        self._session: Any = None

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

    def scores(self, frames: Frames, *, samples: int = SAMPLES) -> list[float]:
        """Of some of the frames, first and last among them: from 0, safe, to 1."""
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(samples, len(frames))).round().astype(int))
        if samples == 1:
            chosen = np.array([len(frames) // 2])
        batch = np.stack([_prepared(frames[index]) for index in chosen])
        session = self._ready()
        (scores,) = session.run(None, {session.get_inputs()[0].name: batch})
        return [float(score) for score in scores[:, 1]]

    def _flags(self, frames: Frames, what: str) -> bool:
        flagged = max(self.scores(frames)) >= self.threshold
        if flagged:
            log.warning("the content filter refused %s", what)  # what it shows, and whose it was, is nobody's business
        return flagged

    def _ready(self) -> Any:
        with self._guard:
            if self._session is None:
                check_weights(self.weights)
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1
                self._session = onnxruntime.InferenceSession(
                    str(self.weights), options, providers=["CPUExecutionProvider"]
                )
            return self._session


def content_filter(settings: Settings) -> ContentFilter | None:
    """None when it is off. Raises ModelUnavailable, one sentence, when it is on and cannot be had."""
    if not settings.filter_on:
        return None
    try:
        import importlib.util

        if importlib.util.find_spec("onnxruntime") is None:
            raise ModelUnavailable(MISSING)
        check_weights(weights_path(settings))
    except OSError as error:
        raise ModelUnavailable(f"The content filter's weights cannot be read ({error.strerror}).") from error
    return ContentFilter(weights_path(settings))


def weights_path(settings: Settings) -> Path:
    """A file that was named, or the one that belongs to the person's data of this program."""
    if settings.filter_model:
        return Path(settings.filter_model)
    from nsp_core.places import default_data_dir

    return default_data_dir() / "filter" / WEIGHTS_NAME


def check_weights(path: Path) -> None:
    """Exactly the file that was tested, or ModelUnavailable."""
    if not path.is_file():
        raise ModelUnavailable(MISSING)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != WEIGHTS_SHA256:
            raise ModelUnavailable(
                f"The content filter's weights {path} are not the ones that were tested: remove that file and get them "
                "again with python launch.py app --get-filter."
            )


def _prepared(frame: Frames) -> np.ndarray[Any, np.dtype[np.float32]]:
    """As the classifier was trained: 256x256, the middle 224x224 of it, blue first, less the mean colour."""
    small = Image.fromarray(np.ascontiguousarray(frame)).resize((256, 256), Image.Resampling.BILINEAR)
    middle = np.asarray(small.crop((16, 16, 240, 240)), dtype=np.float32)
    return np.ascontiguousarray(middle[:, :, ::-1] - _MEAN_BGR)
