"""A take's recipe: what it was drawn from and by what, written when it is drawn and read when it is drawn again.

Knows nothing of jobs and pages, and never imports the model: what it says of torch it learns from a model that is
already loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import numpy as np

from app.store.media import Media
from nsp_core.errors import WhatNextError
from nsp_core.media.lossless import load_frames, load_latents
from nsp_core.types import NextScene, Predictor, SamplingOptions, Scene, SceneRequest, StoryContext

Recipe = Mapping[str, Any]  # the columns of RecipeRow
PACKAGES = ("torch", "diffusers", "transformers", "numpy", "what-happens-next")
FACTS = ("fingerprint", "adapter", "adapter_strength", "device", "threads", "dtype")


class MissingPicture(WhatNextError):
    """A picture that the take was drawn after is no longer as it was. `scene` is whose it was."""

    def __init__(self, sentence: str, scene: str) -> None:
        super().__init__(sentence)
        self.scene = scene


@dataclass(frozen=True)
class Difference:
    """One recorded fact that is no longer so."""

    what: str
    then: str
    now: str


def surroundings(predictor: Predictor, *, device: str, threads: int) -> dict[str, Any]:
    """What draws, and on what: the columns of a recipe that do not depend on the story."""
    torch = sys.modules.get("torch")  # only if the predictor brought it; never imported here
    how = getattr(predictor, "how", "")  # a model with more than one way to draw says which one it took, and why
    return {
        "adapter": getattr(predictor, "adapter", None),
        "adapter_strength": getattr(predictor, "adapter_strength", None),
        "device": getattr(predictor, "draws_on", device),  # a model that finds its device by itself says which
        "threads": int(torch.get_num_threads()) if torch is not None else threads,
        "dtype": str(getattr(predictor, "dtype", "unknown")).removeprefix("torch."),
        "versions_json": json.dumps({**dict(_versions()), **({"mode": how} if how else {})}),
    }


def recipe_of(
    request: SceneRequest, finished: NextScene, parents: Sequence[Mapping[str, Any]], steer: str
) -> dict[str, Any]:
    """What was drawn, from what, and its hashes: the other columns, but for the model's own name."""
    settings = asdict(finished.options)
    if not finished.options.faster:
        del settings["faster"]  # as it was before there were shortcuts: an older program can still read this
    return {
        "fingerprint": finished.fingerprint,
        "seed": finished.options.seed,
        "settings_json": json.dumps(settings),
        "mode": finished.mode,
        "words": finished.words,
        "steer": steer,
        "bible": request.context.bible,
        "parents_json": json.dumps(parents, ensure_ascii=False),
        "frames_sha256": raw_sha256(finished.frames),
        "latents_sha256": raw_sha256(finished.latents),
    }


def request_of(recipe: Recipe, media: Media, tail_of: Mapping[str, str]) -> SceneRequest:
    """The same request once more, from the recorded files and words, whatever the story has become since.

    `tail_of` maps a take to its latents' file, for recipes that were written before the file was recorded in them.
    Raises MissingPicture when a file is gone or is not what it was.
    """
    parents = json.loads(recipe["parents_json"])
    scenes = []
    for at, parent in enumerate(parents):
        frames, latents = parent["frames"], parent.get("latents")
        if "latents" not in parent and frames is not None and at == len(parents) - 1:
            latents = tail_of.get(parent["take"])
        scenes.append(
            Scene(
                parent["words"],
                None if frames is None else load_frames(_kept(media, frames, parent["scene"]))[0],
                None if latents is None else load_latents(_kept(media, latents, parent["scene"])),
            )
        )
    options = SamplingOptions(**json.loads(recipe["settings_json"]))
    return SceneRequest(StoryContext(tuple(scenes), recipe["bible"]), recipe["words"], recipe["mode"], options)


def differences(recipe: Recipe, fingerprint: str, now: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Which recorded facts are not so any more; `now` is from `surroundings`."""
    today = {**now, "fingerprint": fingerprint}
    found = [
        Difference(fact, _plain(recipe[fact]), _plain(today[fact])) for fact in FACTS if recipe[fact] != today[fact]
    ]
    then, versions = json.loads(recipe["versions_json"]), json.loads(now["versions_json"])
    for name in sorted({*then, *versions}):
        # a fact that an older program did not record says nothing
        if name in then and then[name] != versions.get(name):
            found.append(Difference(name, _plain(then[name]), _plain(versions.get(name))))
    seed = json.loads(recipe["settings_json"]).get("seed")
    if seed != recipe["seed"]:
        found.append(Difference("seed", _plain(recipe["seed"]), _plain(seed)))
    return tuple(found)


def raw_sha256(array: np.ndarray[Any, Any]) -> str:
    """Of the bare values: equal for equal pictures, whatever file they are kept in."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@contextlib.contextmanager
def as_many_threads(count: int) -> Iterator[None]:
    """Sums are rounded differently with another number of threads: draw with as many as then."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else count
    if torch is None or before == count or count < 1:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _kept(media: Media, name: str, scene: str) -> Any:
    path = media.path(name)
    if not path.is_file():
        raise MissingPicture(f"The file {name[:12]}… that this take was drawn after is gone.", scene)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != name.partition(".")[0]:
            raise MissingPicture(f"The file {name[:12]}… that this take was drawn after has been changed.", scene)
    return path


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _versions() -> Iterator[tuple[str, str]]:
    yield "python", platform.python_version()
    yield "system", f"{platform.system()} {platform.machine()}"
    torch = sys.modules.get("torch")
    if torch is not None:
        yield "processor", torch.backends.cpu.get_cpu_capability()  # which instructions add the numbers up
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)
