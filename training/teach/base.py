"""The model that is taught, as far as its folder tells without loading it: the clips that it draws, and its words.

Knows nothing of lessons.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nsp_core.banks import file
from nsp_core.checkpoint import check_folder
from nsp_core.errors import UserError
from nsp_core.language import Language
from nsp_core.tiers import TIERS

STARTER = Path(__file__).resolve().parents[2] / "assets" / "starter"


@dataclass(frozen=True)
class Base:
    """`language` None: it reads everything, and no exact world of its own can be drawn to keep it in mind."""

    folder: Path
    width: int
    height: int
    frames: int
    fps: int
    language: Language | None

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


def base_of(model: Path) -> Base:
    """Raises UserError for what cannot be taught, CheckpointMismatch for a folder that is not whole."""
    model = STARTER if str(model) == "starter" else model.expanduser()
    if file.find(model) is not None or str(model) in {tier.name for tier in TIERS}:
        raise UserError(
            f"{model} is made of the big models' published weights, which draw in a way of their own and cannot be "
            "taught by this version: teach the starter, or a model folder of `launch.py train`."
        )
    folder = next((f for f in (model, model / "model") if (f / "model_index.json").is_file()), None)
    if folder is None:
        raise UserError(f"There is no model in {model}: give a folder with a model_index.json, such as assets/starter.")
    check_folder(folder)
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    width, height, frames, fps = (int(index[name]) for name in ("width", "height", "num_frames", "fps"))
    return Base(folder.resolve(), width, height, frames, fps, Language.load(folder))
