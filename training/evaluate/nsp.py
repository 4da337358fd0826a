"""`python launch.py eval nsp`: told one scene in words, does a model draw what could happen next? For real checkpoints.

The paper's benchmark (arXiv 2512.13015, supplement 10): for every sentence the model draws a clip from words alone, a
captioner puts the clip into words without knowing the sentence, and a judge holds caption against sentence with
Template 10.1. The figure is the share that passes. The sentences are ours, because the paper's are not published: its
figures and these must not be set side by side.

off   the model has to find out by itself what comes (the paper's setting)
own   its reader writes first what comes, and that is drawn (thinking on)
text  the drawer alone is given the sentence as if it were what to draw (the paper's row of LTX)

A verdict that is missing is in no mean. A model that draws nothing has failed its case, which is counted. Everything
lies in one folder, which is also a set for `judge label` and `judge agree`; a run that was killed goes on in it. Knows
nothing of the command line.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from nsp_core.errors import UserError
from nsp_core.judges import Verdict
from nsp_core.judges.paper import PaperJudge
from nsp_core.language import Language
from nsp_core.media import read_media, write_clip
from nsp_core.types import (
    Frames,
    NextScene,
    Predictor,
    SamplingOptions,
    Scene,
    SceneRequest,
    StoryContext,
    Thought,
)
from training.calibrate.asking import ask_about
from training.calibrate.pairs import PAIRS, keep_verdicts, kept_captions, kept_verdicts, spent_on
from training.evaluate import sentences
from training.evaluate.captioner import Caption, Captioner
from training.evaluate.intervals import Tally, plain
from training.evaluate.sentences import Sentence
from training.grpo.rewards import motion

log = logging.getLogger(__name__)

Way = Literal["off", "own", "text"]
AT_ONCE = 8  # clips that are drawn, then captioned and judged together
FLOORS = 64  # sentences that a judge's floors are taken from
LONGEST = 1280  # pixels of a kept clip's longer side, as it is read back


@dataclass(frozen=True)
class Asked:
    """Which clips a folder holds: those of one model, asked in one way."""

    checkpoint: str  # the model's fingerprint
    way: Way
    seed: int
    steps: int | None
    sentences: str  # their fingerprint


@dataclass(frozen=True)
class Drawn:
    """One sentence's clip as it lies in the folder. `undrawn`: why there is none."""

    words: str
    motion: float | None
    undrawn: str = ""


class Clips:
    """The clips of one run in a folder: `clips/ID.mp4`, and `clips/ID.json` after it, which says that it is whole."""

    def __init__(self, folder: Path, asked: Asked) -> None:
        """Raises UserError when the folder has other clips."""
        self.folder, self._options = folder, SamplingOptions(steps=asked.steps, preview_every=0)
        self._asked = asked
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        path, about = folder / "nsp.json", json.dumps(vars(asked), indent=1)
        if path.exists() and path.read_text(encoding="utf-8") != about:
            raise UserError(
                f"{folder} has clips of another model, seed, number of steps, way of asking or version of the "
                "sentences: give --clips a new folder."
            )
        _write(path, about)

    def draw(self, predictor: Predictor, one: Sentence) -> Drawn:
        """The kept clip, or a new one. Raises what drawing raises."""
        kept, clip = self._about(one), self.clip(one)
        if kept.exists():
            return Drawn(**json.loads(kept.read_text(encoding="utf-8")))
        scene, undrawn = ask(predictor, one, self._asked.way, self._options, self._asked.seed)
        if scene is None:
            found = Drawn("", None, undrawn)
        else:
            write_clip(clip, scene.frames, scene.fps)
            found = Drawn(scene.words, round(motion(scene.frames), 4))
        _write(kept, json.dumps(vars(found), ensure_ascii=False))
        return found

    def frames(self, one: Sentence) -> Frames:
        """What a viewer of the kept file sees, so that a run that goes on shows the captioner the same pictures."""
        return read_media(self.clip(one), fps=None, side=LONGEST, max_seconds=60.0).frames

    def clip(self, one: Sentence) -> Path:
        return self.folder / "clips" / f"{one.id}.mp4"

    def write_set(self, drawn: Mapping[Sentence, Drawn]) -> None:
        """pairs.jsonl, with which the folder is a set of scenes (training/calibrate/pairs.py)."""
        rows = [
            {"id": one.id, "kind": one.category, "before": [one.text], "scene": {"words": how.words, "frames": clip}}
            for one, how in drawn.items()
            if not how.undrawn
            for clip in [f"clips/{one.id}.mp4"]
        ]
        _write(self.folder / PAIRS, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))

    def _about(self, one: Sentence) -> Path:
        return self.folder / "clips" / f"{one.id}.json"


@torch.no_grad()
def ask(
    predictor: Predictor, one: Sentence, way: Way, options: SamplingOptions, seed: int
) -> tuple[NextScene | None, str]:
    """The next scene of a sentence, or why the model's reader had none to tell. Always a cut: there are no pictures to
    go on from. Raises UserError where a model cannot be asked in this way."""
    noise = seed * sentences.MOST + one.number
    context = StoryContext((Scene(one.text),))
    words = ""
    if way == "own":
        thought: Thought | None = None
        try:
            for thought in predictor.think(context, seed=noise):  # noqa: B007 - the last one is whole
                pass
        except UserError as error:
            return None, str(error)
        if thought is None or not thought.text.strip():
            return None, "the reader had nothing to say"
        words = thought.text
    elif way == "text":
        context, words = StoryContext(), one.text
    request = SceneRequest(context, words, "cut", replace(options, seed=noise))
    try:
        *_, scene = predictor.act(request)
    except UserError as error:
        if way != "off":
            raise
        raise UserError(
            f"This model does not draw what comes next from the scene before alone ({str(error).rstrip('.')}): give "
            "--think, so that its reader writes it first, or --text for the drawer alone."
        ) from error
    assert isinstance(scene, NextScene)
    return scene, ""


@dataclass(frozen=True)
class Outcome:
    """Of every sentence: its clip, and its verdict where there is a clip. `cost_usd`: of all that was asked."""

    drawn: Mapping[Sentence, Drawn]
    verdicts: Mapping[str, Verdict]
    cost_usd: float

    def passed(self, one: Sentence) -> float | None:
        """None when missing. A model that draws nothing has not drawn what follows."""
        if self.drawn[one].undrawn:
            return 0.0
        verdict = self.verdicts[one.id].passed
        return None if verdict is None else float(verdict)


def run(predictor: Predictor, clips: Clips, some: Sequence[Sentence], captioner: Captioner, judge: Any) -> Outcome:
    """Draw, caption and judge what is not there yet; verdicts that were missing are asked for again. Raises UserError
    when not one of the first verdicts comes: nothing more is drawn for a judge that does not answer."""
    name = f"{judge.name} reading {captioner.name}"
    template = template_of(judge, captioner)
    found = kept_verdicts(clips.folder, name, template)
    seen = kept_captions(clips.folder, name, template)
    drawn: dict[Sentence, Drawn] = {}
    for start in range(0, len(some), AT_ONCE):
        part = some[start : start + AT_ONCE]
        for one in part:
            drawn[one] = clips.draw(predictor, one)
            log.info("%d of %d drawn", len(drawn), len(some))
        clips.write_set(drawn)
        open_ = [o for o in part if not drawn[o].undrawn and (o.id not in found or found[o.id].outcome == "missing")]
        captions = {one.id: Caption(seen[one.id]) for one in open_ if one.id in seen}
        new = [one for one in open_ if one.id not in captions]
        captions |= zip([one.id for one in new], captioner.captions([clips.frames(one) for one in new]), strict=True)
        verdicts = judged(judge, [(one.text, captions[one.id]) for one in open_], name, template)
        rows = list(zip([one.id for one in open_], verdicts, strict=True))
        keep_verdicts(clips.folder, rows, name, {k: c.text for k, c in captions.items() if c.text is not None})
        found |= rows
        given = [verdict for verdict in found.values() if verdict.outcome != "missing"]
        if rows and not given:
            raise UserError(
                f"None of the first {len(found)} clips has a verdict of {name} ({rows[0][1].reason}): mend that and "
                "give the same command again; the clips are kept."
            )
    verdicts = {one.id: found[one.id] for one in some if one.id in found}
    return Outcome(drawn, verdicts, spent_on(clips.folder, name, template, verdicts.keys()))


def judged(judge: Any, asked: Sequence[tuple[str, Caption]], name: str, template: str) -> list[Verdict]:
    """Verdicts of (sentence, caption), under the name of both who saw and who judged."""
    pairs = [(StoryContext((Scene(before),)), Scene(caption.text)) for before, caption in asked if caption.text]
    said = iter(ask_about(judge, pairs))
    found = []
    for _, caption in asked:
        verdict = next(said) if caption.text else Verdict("missing", f"no caption: {caption.reason}", name)
        cost = (verdict.cost_usd or 0.0) + caption.cost_usd
        found.append(replace(verdict, judge=name, template=template, cost_usd=cost))
    return found


def template_of(judge: Any, captioner: Captioner) -> str:
    """Everything that was asked, by version: verdicts are comparable only where it is the same."""
    return f"{getattr(judge, 'template', '')}; {captioner.how}"


def of_words(judge: Any) -> Any:
    """A judge of the paper's kind is given words, and says so in its template; any other as it is."""
    return replace(judge, config=replace(judge.config, sees="words")) if isinstance(judge, PaperJudge) else judge


def others_of(some: Sequence[Sentence]) -> list[Sentence]:
    """Beside each sentence one of another story. Raises UserError where there is none: before anything is drawn."""
    turned = [*some[1:], *some[:1]]
    if any(one.category == other.category for one, other in zip(some, turned, strict=True)):
        raise UserError("Floors need sentences of two categories or more, each beside another one: give a larger --n.")
    return turned


def floors(judge: Any, some: Sequence[Sentence]) -> dict[str, Any]:
    """What this judge passes that it should not, in words alone: the same moment again, and the beginning of another
    story. A pass rate means as much as it is above these."""
    turned, found = others_of(some), dict[str, Any]()
    for name, after in {"repeat": some, "unrelated": turned}.items():
        pairs = [(StoryContext((Scene(a.text),)), Scene(b.text)) for a, b in zip(some, after, strict=True)]
        tally = Tally()
        for one, verdict in zip(some, ask_about(judge, pairs), strict=True):
            tally.add(one.id, verdict.passed)
        found[name] = plain(tally)
    return found


def check_language(checkpoint: Path, language: Language | None, some: Sequence[Sentence]) -> None:
    """Raise UserError for a model that never learnt the words of the sentences."""
    if language is None:
        return
    strange = sum(bool(language.unknown(one.text)) for one in some)
    if strange:
        raise UserError(
            f"{checkpoint} speaks the language of the picture-book world only, and {strange} of {len(some)} sentences "
            "about the real world have words that it never learnt: measure it with `eval picturebook`."
        )


def result_of(outcome: Outcome, asked: Asked, captioner: Captioner, judge: Any) -> tuple[dict[str, Any], dict]:
    """The result as JSON, and its single cases by figure and sentence, for `eval compare`."""
    whole, moves = Tally(), Tally()
    by: dict[str, Tally] = {}
    cases: dict[str, dict[str, list[float]]] = {"pass": {}, "motion": {}}
    for one, how in outcome.drawn.items():
        value = outcome.passed(one)
        whole.add(one.id, value)
        by.setdefault(one.category, Tally()).add(one.id, value)
        if value is not None:
            cases["pass"][one.id] = [value]
        if how.motion is not None:
            moves.add(one.id, how.motion)
            cases["motion"][one.id] = [how.motion]
    unsaid = Counter(v.reason for v in outcome.verdicts.values() if v.outcome == "missing")
    result = {
        "split": f"nsp sentences v{sentences.VERSION} {asked.sentences}",
        "n": len(outcome.drawn),
        "seed": asked.seed,
        "mode": asked.way,
        "steps": asked.steps,
        "checkpoint": asked.checkpoint,
        "captioner": captioner.name,
        "judge": judge.name,
        "template": template_of(judge, captioner),
        "pass": plain(whole),
        "missing": whole.missing,
        "reasons": dict(unsaid.most_common()),
        "undrawn": sum(bool(how.undrawn) for how in outcome.drawn.values()),
        "motion": plain(moves),
        "categories": {category: plain(tally) for category, tally in sorted(by.items())},
        "cost_usd": round(outcome.cost_usd, 6),
    }
    return result, cases


def default_folder(asked: Asked) -> Path:
    digest = hashlib.sha256(json.dumps(vars(asked), sort_keys=True).encode()).hexdigest()[:8]
    return Path(f"~/.cache/whatnext/eval/nsp/{asked.checkpoint}-{asked.way}-{digest}").expanduser()


def table(result: Mapping[str, Any]) -> str:
    """For a person."""
    head = f"nsp, {result['n']} sentences, way {result['mode']}, seed {result['seed']}"
    lines = [head, f"  captions by {result['captioner']}, verdicts by {result['judge']} ({result['template']})"]
    for name, figure in {"pass": result["pass"], **result["categories"]}.items():
        if figure is None:
            lines.append(f"  {name:24} not measured")
        else:
            low, high = figure["low"], figure["high"]
            lines.append(f"  {name:24} {figure['mean']:6.1%}  [{low:.1%}, {high:.1%}]  n={figure['n']}")
    for name, figure in (result.get("floors") or {}).items():
        said = "not measured" if figure is None else f"{figure['mean']:6.1%}  n={figure['n']}"
        lines.append(f"  {'floor: ' + name:24} {said}")
    lines.append(f"  missing verdicts {result['missing']}, scenes not drawn {result['undrawn']}")
    return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.partial")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
