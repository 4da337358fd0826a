"""Two more judges of the picture book: one for scenes that begin elsewhere, and a witness that reads no picture.

`picturebook-nearest` asks which possible future's rendering is nearest to the clip. It shares neither thresholds nor
reading with the exact judge, so it can testify whether a model that learnt from that one has only learnt to please it.
Knows nothing of models.
"""

from __future__ import annotations

from nsp_core.judges import Verdict
from nsp_core.types import Scene, StoryContext
from training.evaluate.futures import nearest_future
from training.picturebook.judge import JUDGE_VERSION, ExactJudge
from training.picturebook.parse import parse
from training.picturebook.rules import RULES_VERSION, enabled, is_enabled


class CutJudge(ExactJudge):
    """The exact judge for a *cut*: the first picture may be any, only the end is looked at."""

    name = "picturebook-cut"

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        before = self.replay(context)
        event = None if before is None or not scene.words.strip() else parse(scene.words, before)
        if before is None or scene.frames is None or (event is None and scene.words.strip()):
            return super().judge(context, scene)
        return self.judge_clip(before, event, scene.frames, "cut")


class NearestJudge:
    """Passes when the told event's rendering is the nearest; without words, when any event's is, and not none's."""

    name = "picturebook-nearest"
    template = f"rules {RULES_VERSION}, judge {JUDGE_VERSION}, nearest 1"

    def __init__(self) -> None:
        self._exact = ExactJudge()

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        before = self._exact.replay(context)
        if before is None or scene.frames is None:
            return Verdict("missing", "the story can't be followed or there are no pictures", self.name, self.template)
        told = scene.words.strip()
        event = parse(told, before) if told else next(iter(enabled(before)), None)
        if event is None or not is_enabled(before, event):
            return Verdict("fail", "what is told can't happen now", self.name, self.template)
        nearest, count = nearest_future(before, event, scene.frames)
        passed = nearest == 0 if told else nearest < count - 1
        reason = f"future {nearest} of {count} is nearest, the told one is 0, none is {count - 1}"
        return Verdict("pass" if passed else "fail", reason, self.name, self.template, score=float(passed))
