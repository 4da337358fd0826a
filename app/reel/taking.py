"""One request, one file: a film, its captions, a sheet, a book or the cut, of a plan and its clips.

What the command line and the page's rendering process do alike. Knows nothing of the database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from app.catalogue import say
from app.provenance.account import Provenance
from app.provenance.credentials import Part, Sealed, seal
from app.reel.papers import captions_text, timeline_json
from app.reel.plan import Kind, Plan
from app.reel.render import Clip, Progress, Told, check, look_at_all, render, spoken, whole, words_of
from app.reel.stills import contact_sheet, storybook
from app.reel.voices import remembering, speaker
from app.reel.ways import Decision, Reason, decide
from nsp_core.errors import Cancelled, UserError

Form = Literal["mp4", "webm", "gif", "webp", "srt", "vtt", "sheet", "book", "otio"]
FORMS: tuple[Form, ...] = get_args(Form)
FILMS: tuple[Kind, ...] = get_args(Kind)
ENDINGS: dict[Form, str] = {**{form: form for form in FORMS}, "sheet": "png", "book": "pdf"}
_DONE: dict[Reason, str] = {
    "captions": "The words were drawn into the pictures",
    "shape": "The pictures were brought into another size or shape",
    "cards": "Cards with words were put before or after",
    "joins": "Scenes were dissolved or faded into each other",
    "trims": "Scenes were shortened",
    "held": "A last picture stands still",
}


@dataclass(frozen=True)
class Taken:
    """`way`, `reasons`, `encoded`, `cached`: of films, see app.reel.render.Made; "" and 0 of papers."""

    path: Path
    form: Form
    scenes: int
    seconds: float
    bytes: int
    took: float
    way: str = ""
    reasons: tuple[str, ...] = ()
    encoded: int = 0
    cached: int = 0
    width: int = 0
    height: int = 0
    signed_by: str = ""
    unsigned: str = ""  # why it is not: see app.provenance.credentials.Why; off where nothing is told at all

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "path": str(self.path), "reasons": list(self.reasons)}


def take_out(
    form: Form,
    plan: Plan,
    clips: Sequence[Clip],
    out: Path,
    *,
    pieces: Path,
    title: str,
    language: str = "en",
    provenance: Provenance | None = None,
    told: Told = lambda _progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Taken:
    """`pieces`: a folder that is there, for what is worth keeping. `provenance` None: the file tells nothing of how it
    was made. Raises UserError, Cancelled."""
    began = time.perf_counter()
    if not clips:
        raise UserError("A film of no scenes was asked; take at least one scene with a clip into it.")
    speak = None
    if plan.narration.voice != "off" and form not in ("sheet", "book"):
        speak = remembering(speaker(plan.narration.voice, language), pieces)
    stamp = _Stamp(form, provenance, title, clips)
    if form in FILMS:
        plan = replace(plan, output=replace(plan.output, kind=form))
        made = render(
            plan, clips, out, pieces=pieces, title=title, language=_three_letters(language), speak=speak,
            remark=stamp.remark, finish=lambda path, decision: stamp.seal(path, changes_of(decision, plan)), told=told,
            should_stop=should_stop,
        )  # fmt: skip
        taken = Taken(
            out, form, made.scenes, made.seconds, made.bytes, made.took, made.way, made.reasons, made.encoded,
            made.cached, made.width, made.height,
        )  # fmt: skip
    else:
        taken = _paper(form, plan, clips, out, title, language, speak, stamp, told, should_stop, began)
    return replace(taken, signed_by=stamp.sealed.by, unsigned=stamp.sealed.why if provenance else "off")


def changes_of(decision: Decision, plan: Plan) -> list[str]:
    """What was done to the clips, as the credentials say it."""
    done = [f"{_DONE[reason]}." for reason in decision.reasons if reason in _DONE]
    return [*done, "A synthetic voice reads the words."] if plan.narration.voice != "off" else done


class _Stamp:
    """What a file tells of its making, and who signs that, as the last step."""

    def __init__(self, form: Form, provenance: Provenance | None, title: str, clips: Sequence[Clip]) -> None:
        self.form, self.provenance, self.title, self.clips = form, provenance, title, clips
        self.sealed = Sealed()

    @property
    def remark(self) -> str:
        return self.provenance.account.remark if self.provenance is not None else ""

    def seal(self, path: Path, changes: Sequence[str]) -> None:
        if self.provenance is None:
            return
        told = self.provenance.account
        parts = {clip.path: Part(clip.path, told.scene_of(clip.path.stem)) for clip in self.clips}
        self.sealed = seal(
            path, ENDINGS[self.form], self.provenance, title=self.title, changes=changes, parts=list(parts.values())
        )


def _paper(
    form: Form,
    plan: Plan,
    clips: Sequence[Clip],
    out: Path,
    title: str,
    language: str,
    speak: Any,
    stamp: _Stamp,
    told: Told,
    should_stop: Callable[[], bool],
    began: float,
) -> Taken:
    plan = replace(plan, output=replace(plan.output, kind="mp4"), captions=replace(plan.captions, mode="soft"))
    sources, words = look_at_all(clips), words_of(plan, clips)
    least: list[float] = []
    if form not in ("sheet", "book"):
        check(plan, words)
        _, least = spoken(plan, words, speak, told, should_stop)
    decision = decide(plan, sources, least=least)

    def step(done: int, total: int) -> None:
        if should_stop():
            raise Cancelled("Stopped; nothing was written.")
        told(Progress("encoding", done, total))

    with whole(out) as partial:
        if form in ("srt", "vtt"):
            partial.write_text(captions_text(decision, words, form, stamp.remark), encoding="utf-8")
        elif form == "otio":
            partial.write_text(timeline_json(decision, words, title, stamp.remark), encoding="utf-8")
        elif form == "sheet":
            contact_sheet(decision, words, title, partial, step, remark=stamp.remark)
        else:
            storybook(decision, words, title, partial, step, language=language, remark=stamp.remark)
        stamp.seal(partial, [])
    seconds = float(decision.timeline.frames / decision.master.fps)
    return Taken(out, form, len(clips), seconds, out.stat().st_size, time.perf_counter() - began)


def signature(taken: Mapping[str, Any]) -> str:
    """One line about the credentials of a file, of what Taken.json says; "" where nothing was to be told."""
    if taken.get("signed_by"):
        return say("reel.signed", by=taken["signed_by"])
    why = taken.get("unsigned")
    return say(f"reel.unsigned_{why}") if why in ("library", "form", "failed") else ""


def _three_letters(language: str) -> str:
    """MP4 names languages by ISO 639-2; one that is not known here is undetermined."""
    return {"en": "eng", "de": "ger", "fr": "fre", "es": "spa", "it": "ita", "nl": "dut", "pt": "por"}.get(
        language.split("-")[0], "und"
    )
