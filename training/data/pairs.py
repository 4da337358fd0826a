"""Pairs of a scene and what comes next, from clips with captions.

`written`: a description of what came before, checked (the paper's pairs). `shots`: two shots that follow each other in
one film, so that what came before was really seen; the paper has none of these. Not every cut leads to a next moment:
with pair.judge_shots the judge decides, else the pair says that nobody did. `opening`: a clip after its own first
picture, as a story that begins with a photograph goes on. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from training.data.config import PairConfig
from training.data.rows import Row, digest


def written_pairs(clips: Sequence[Row]) -> list[Row]:
    """Of clips that have a preceding description which passed."""
    made = []
    for clip in clips:
        v = clip.values
        if v.get("verdict") == "pass":
            values = {"origin": "written", "preceding": v["preceding"], "caption": v["caption"], "verdict": "pass"}
            values |= {"judge": v.get("judge", ""), "template": v.get("template", "")}
            made.append(Row(digest("written", clip.id, v["preceding"]), "pair", clip.id, values))
    return made


def shot_pairs(clips: Sequence[Row], config: PairConfig) -> list[Row]:
    """Of clips with captions, in the order of their films."""
    if not config.shots and not config.same_shot:
        return []
    made = []
    films = [c for c in clips if c.values["kind"] == "video" and c.values.get("caption")]
    for _, some in groupby(films, key=lambda clip: clip.parent):
        in_order = sorted(some, key=lambda clip: (clip.values["shot"], clip.values["window"]))
        for one, two in zip(in_order, in_order[1:], strict=False):
            origin = follows(one.values, two.values, config)
            if origin:
                values = {"origin": origin, "preceding": one.values["caption"], "caption": two.values["caption"]}
                values |= {"before": one.id, "gap": round(two.values["start"] - one.values["end"], 4)}
                made.append(Row(digest(origin, one.id, two.id), "pair", two.id, values))
    return made


def follows(one: Mapping[str, Any], two: Mapping[str, Any], config: PairConfig) -> str:
    """The kind of pair that two clips of one film are; "" for none."""
    if two["shot"] == one["shot"]:
        return "same shot" if config.same_shot and two["window"] == one["window"] + 1 else ""
    next_shot = two["shot"] == one["shot"] + 1 and two["window"] == 0
    return "shots" if config.shots and next_shot and two["start"] - one["end"] <= config.most_gap else ""


def openings(clips: Sequence[Row]) -> list[Row]:
    """Of clips with captions. No part of `data run`, which wants what comes next; `teach` has little else."""
    films = (c for c in clips if c.values["kind"] == "video" and c.values.get("caption"))
    values = [
        (c, {"origin": "opening", "preceding": "", "before": c.id, "caption": c.values["caption"]}) for c in films
    ]
    return [Row(digest("opening", clip.id), "pair", clip.id, one) for clip, one in values]
