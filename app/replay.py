"""Draw a take again from its recipe and say whether it came out the same, and if not, what is no longer as it was.

Changes nothing in the story: what comes of it is an answer. Knows nothing of the queue and of pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from app.recipe import MissingPicture, Recipe, as_many_threads, differences, raw_sha256, request_of, surroundings
from app.store import Store
from nsp_core.types import NextScene, Predictor, SceneRequest

EQUAL, DIFFERS, UNEXPLAINED, MISSING = "equal", "differs", "unexplained", "missing"


def replay(
    store: Store, take_id: str, predictor: Predictor, act: Callable[[SceneRequest], NextScene]
) -> dict[str, Any]:
    """What a replay job answers: {"take", "verdict", "then", "now", "differences", "notes", "seconds"}.

    verdict: "equal"; "differs", and `differences` names recorded facts that changed; "unexplained": all of them are as
    they were, the pictures are not; "missing": a picture that it was drawn after is gone, so nothing was drawn.
    """
    stories = store.stories(None)
    recipe = stories.recipe(take_id)
    if recipe is None:
        raise ValueError(f"take {take_id} has no recipe")
    answer: dict[str, Any] = {"take": take_id, "then": recipe["frames_sha256"], "now": None, "seconds": None}
    try:
        request = request_of(recipe, store.media, _tails(store, recipe))
    except MissingPicture as error:
        return {**answer, "verdict": MISSING, "differences": [], "notes": [str(error)]}
    with as_many_threads(int(recipe["threads"])):
        now = surroundings(predictor, device=store.settings.device, threads=store.settings.threads)
        finished = act(request)
    found = differences(recipe, finished.fingerprint, now)
    sha256 = raw_sha256(finished.frames)
    equal = sha256 == recipe["frames_sha256"]
    return {
        **answer,
        "now": sha256,
        "seconds": finished.seconds,
        "verdict": EQUAL if equal else DIFFERS if found else UNEXPLAINED,
        "differences": [asdict(one) for one in found],
        "notes": [],
    }


def _tails(store: Store, recipe: Recipe) -> dict[str, str]:
    """The latents of the takes that it was drawn after, for recipes that do not name the files themselves."""
    stories = store.stories(None)
    found = {}
    for parent in json.loads(recipe["parents_json"]):
        if "latents" not in parent and parent["take"] is not None:
            found[parent["take"]] = stories.take(parent["take"], trashed=True).media.get("tail_latents", "")
    return {take: name for take, name in found.items() if name}
