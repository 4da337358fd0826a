"""What goes beside a film: captions as .srt and .vtt, and the cut as OpenTimelineIO for other editing programs.

Knows a plan, a decision and words; renders nothing.

OpenTimelineIO (https://opentimelineio.readthedocs.io, schemas Timeline.1, Track.1, Clip.2, Transition.1, Gap.1) is
written as plain JSON: the library is a compiled package that nothing else here needs. Times are whole frames of the
film's rate.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from app.provenance.remarks import KEY, note
from app.reel.cues import cues_of, to_srt, to_vtt
from app.reel.export import chapter_of
from app.reel.timeline import Scene, Stretch
from app.reel.ways import Decision


def captions_text(decision: Decision, words: Sequence[str], kind: str, remark: str = "") -> str:
    """`kind` is srt or vtt. SubRip has no place for remarks: players would show it."""
    cues = cues_of(decision.timeline, words, decision.master)
    if kind == "srt":
        return to_srt(cues, decision.master)
    return to_vtt(cues, decision.master, note(remark) if remark else "")


def timeline_json(decision: Decision, words: Sequence[str], title: str, remark: str = "") -> str:
    """The cut with its dissolves and trims, on one track of pictures with the clips' own files."""
    rate = decision.master.fps
    children: list[dict[str, Any]] = []
    for stretch in decision.timeline.stretches:
        if stretch.effect == "card" and stretch.at == 0:
            children.append(_card(stretch, rate))
    for scene in decision.timeline.scenes:
        children += _clips(scene, words[scene.shot], rate)
        if scene.tail:
            # the half of the overlap that lies before the cut, and the half behind it
            children.append(_dissolve(scene.tail // 2, scene.tail - scene.tail // 2, rate))
    last = decision.timeline.stretches[-1]
    if last.effect == "card" and last.at:
        children.append(_card(last, rate))
    track = _named("Track.1", "Pictures", children=children, kind="Video", source_range=None, effects=[], markers=[])
    stack = _named("Stack.1", "tracks", children=[track], source_range=None, effects=[], markers=[])
    whole = _named("Timeline.1", title, global_start_time=None, tracks=stack)
    if remark:
        whole["metadata"] = {KEY: json.loads(remark)}
    return json.dumps(whole, ensure_ascii=False, indent=1)


def _clips(scene: Scene, words: str, rate: Fraction) -> list[dict[str, Any]]:
    """In a cut of overlapping scenes each gives half of the overlap to its neighbour: a transition covers the rest.
    Where the last picture stands still there is a second clip of it."""
    begin, end = scene.lead // 2, scene.frames - (scene.tail - scene.tail // 2)
    moving = scene.frames - scene.held
    every = round(scene.source.frames * rate / scene.source.format.fps)
    reference = _named(
        "ExternalReference.1",
        scene.source.path.name,
        target_url=Path(scene.source.path).resolve().as_uri(),
        available_range=_range(0, every, rate),
        available_image_bounds=None,
    )
    name = chapter_of(words, scene.shot + 1)
    made = [_shown(name, reference, _range(scene.start + begin, min(moving, end) - begin, rate))]
    if end > moving:
        still = _named("FreezeFrame.1", "", effect_name="FreezeFrame", time_scalar=0.0)
        made.append(_shown(name, reference, _range(scene.start + moving - 1, end - moving, rate), still))
    return made


def _shown(name: str, reference: dict[str, Any], shown: dict[str, Any], *effects: dict[str, Any]) -> dict[str, Any]:
    return _named(
        "Clip.2",
        name,
        source_range=shown,
        media_references={"DEFAULT_MEDIA": reference},
        active_media_reference_key="DEFAULT_MEDIA",
        effects=list(effects),
        markers=[],
    )


def _dissolve(before: int, after: int, rate: Fraction) -> dict[str, Any]:
    return _named(
        "Transition.1",
        "dissolve",
        transition_type="SMPTE_Dissolve",
        in_offset=_time(before, rate),
        out_offset=_time(after, rate),
    )


def _card(stretch: Stretch, rate: Fraction) -> dict[str, Any]:
    card = stretch.card
    name = card.text if card is not None else ""
    reference = _named(
        "GeneratorReference.1",
        name,
        generator_kind="TitleCard",
        parameters={"text": name, "under": card.under if card is not None else ""},
        available_range=None,
        available_image_bounds=None,
    )
    return _shown(name, reference, _range(0, stretch.frames, rate))


def _named(schema: str, name: str, **values: Any) -> dict[str, Any]:
    return {"OTIO_SCHEMA": schema, "name": name, "metadata": {}, **values}


def _time(frames: int, rate: Fraction) -> dict[str, Any]:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(rate), "value": float(frames)}


def _range(begin: int, length: int, rate: Fraction) -> dict[str, Any]:
    times = {"start_time": _time(begin, rate), "duration": _time(length, rate)}
    return {"OTIO_SCHEMA": "TimeRange.1", **times}
