"""What a file that leaves the program tells of how it was made: by which model, from which seed, after which scene.

The prompts (words, and what was wished for) are told only when that is allowed; the model's folder, this machine and
its owner never are. Knows nothing of files and signatures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from app.settings import Settings
from app.store.reading import StoryReader
from app.story import Scene

NAME = "What Happens Next?"
FORMAT = 1
_DRAWN_BY = ("model", "fingerprint", "adapter", "adapter_strength")


@dataclass(frozen=True)
class Account:
    """`models`: what drew, each once. `scenes`, in the file's order: {"scene", "after", "take", "kind", "clip"}, of one
    that was drawn {"model" (its place in `models`), "seed", "mode", "settings", "pictures", "after_takes"} as well,
    and {"words", "steer"} where prompts may be told. `clip` and `pictures` are SHA-256."""

    story: str
    models: tuple[Mapping[str, Any], ...]
    scenes: tuple[Mapping[str, Any], ...]
    prompts: bool
    made_with: str = NAME
    version: str = ""
    format: int = FORMAT

    @property
    def remark(self) -> str:
        """JSON in ASCII, on one line: it can lie in any metadata."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    def scene_of(self, clip: str) -> str:
        """The id of the scene that shows this clip, by its SHA-256; "" for none."""
        return next((str(scene["scene"]) for scene in self.scenes if scene.get("clip") == clip), "")

    @property
    def source_type(self) -> str:
        """Of the IPTC's list (http://cv.iptc.org/newscodes/digitalsourcetype): all drawn by a model, some, or none."""
        drawn = [scene["kind"] == "drawn" for scene in self.scenes]
        if all(drawn):
            return "trainedAlgorithmicMedia"
        return "compositeWithTrainedAlgorithmicMedia" if any(drawn) else "composite"


@dataclass(frozen=True)
class Signing:
    """Who signs. `folder`: where this installation's own certificate is, or will be. `certificate`, `key`: PEM files
    of somebody who has a better one. `timestamps`: address of an authority that is asked when it was signed."""

    folder: str
    certificate: str = ""
    key: str = ""
    timestamps: str = ""


@dataclass(frozen=True)
class Provenance:
    """What is told of a file, and who signs it."""

    account: Account
    signing: Signing

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        given = json.loads(text)
        account = given["account"]
        told = {**account, "models": tuple(account["models"]), "scenes": tuple(account["scenes"])}
        return cls(Account(**told), Signing(**given["signing"]))


def provenance_of(
    settings: Settings, stories: StoryReader, story_id: str, scenes: Sequence[Scene], *, prompts: bool | None = None
) -> Provenance | None:
    """Of a file that shows these scenes' chosen takes; None where it is switched off (WHATNEXT_PROVENANCE=off)."""
    if not settings.provenance:
        return None
    allowed = settings.provenance_prompts if prompts is None else prompts
    signing = Signing(
        str(settings.data_dir / "signing"), settings.certificate, settings.certificate_key, settings.timestamps
    )
    return Provenance(account_of(stories, story_id, scenes, prompts=allowed), signing)


def account_of(stories: StoryReader, story_id: str, scenes: Sequence[Scene], *, prompts: bool) -> Account:
    models: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    for scene in scenes:
        take = scene.chosen
        if take is None:
            continue
        one: dict[str, Any] = {"scene": scene.id, "after": scene.parent_id, "take": take.id, "kind": take.kind}
        if "clip" in take.media:
            one["clip"] = take.media["clip"].partition(".")[0]
        recipe = stories.recipe(take.id)
        if recipe is not None:
            model = {name: recipe[name] for name in _DRAWN_BY if recipe[name] is not None}
            model = {name: without_folder(value) if isinstance(value, str) else value for name, value in model.items()}
            if model not in models:
                models.append(model)
            one |= {
                "model": models.index(model),
                "seed": recipe["seed"],
                "mode": recipe["mode"],
                "settings": json.loads(recipe["settings_json"]),
                "pictures": recipe["frames_sha256"],
                "after_takes": [parent.get("take") for parent in json.loads(recipe["parents_json"])],
            }
        if prompts:
            words, steer = (recipe["words"], recipe["steer"]) if recipe is not None else (scene.words, scene.steer)
            one |= {"words": words, "steer": steer}
        told.append(one)
    return Account(story_id, tuple(models), tuple(told), prompts, version=version())


def version() -> str:
    try:
        return metadata.version("what-happens-next")
    except metadata.PackageNotFoundError:
        return ""


def without_folder(model: str) -> str:
    """The name of a model that lies in a folder of this machine; where it lies is nobody's business."""
    for kind in (PureWindowsPath, PurePosixPath):
        if kind(model).is_absolute():
            return kind(model).name
    return model
