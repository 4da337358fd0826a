"""The paper's judge: the clip is put into words first, and the words are held against the scene before (Template 10.1).

arXiv 2512.13015, supplement 10. Who looks at the pictures does not know what should be in them. Knows nothing of how
answers are got: that is an `Asker`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nsp_core.judges import templates
from nsp_core.judges.asking import Answer, Ask, Asker, object_schema, pictures_of
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.prices import NANO
from nsp_core.judges.verdict import Outcome, Verdict, majority
from nsp_core.types import Scene, StoryContext

CAPTION_SCHEMA = object_schema(caption={"type": "string"})
# the reason comes first, so that a verdict is given after it
VERDICT_SCHEMA = object_schema(reason={"type": "string"}, verdict={"type": "string", "enum": ["Pass", "Fail"]})
_OUTCOMES: dict[str, Outcome] = {"Pass": "pass", "Fail": "fail"}


@dataclass(frozen=True)
class PaperJudge:
    """`name` has the model in it, because verdicts of two models are not comparable."""

    name: str
    asker: Asker
    config: JudgeConfig

    @property
    def template(self) -> str:
        c = self.config
        seen = f"{c.pictures} pictures of {c.longest}" if c.sees == "pictures" else "words"
        effort = f", effort {c.effort}" if c.effort != "none" and self.name.startswith("claude:") else ""
        return f"{c.template} v{templates.TEMPLATE_VERSION}, {seen}, {c.votes} votes{effort}"

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        return self.judge_all([(context, scene)])[0]

    def judge_all(self, pairs: Sequence[tuple[StoryContext, Scene]]) -> list[Verdict]:
        """Many at once: all captions, then all verdicts. One that cannot be given is missing, the others are not."""
        asked = [scene for context, scene in pairs if _before(context)]  # nothing is paid for what cannot be judged
        seen = iter(self._captions(asked))
        nothing = Answer(None, "there are no words of the scene before")
        captions = [next(seen) if _before(context) else nothing for context, _ in pairs]
        asks: list[Ask] = []
        for (context, _), caption in zip(pairs, captions, strict=True):
            if caption.fields is not None:
                asks += self.verdict_asks(_before(context), str(caption.fields["caption"]))
        answers = iter(self.asker.ask_all(asks))
        verdicts = []
        for caption in captions:
            if caption.fields is None:
                cost = caption.cost_nano / NANO
                verdicts.append(Verdict("missing", caption.reason, self.name, self.template, cost_usd=cost))
            else:
                verdicts.append(self._count([next(answers) for _ in range(self.config.votes)], caption.cost_nano))
        return verdicts

    def captions(self, scenes: Sequence[Scene]) -> list[str | None]:
        """What the judge sees in each clip, or the scene's own words where it is shown none; None: missing."""
        return [None if one.fields is None else str(one.fields["caption"]) for one in self._captions(scenes)]

    def caption_ask(self, scene: Scene) -> Ask | None:
        """None for a scene that is judged by its own words."""
        if self.config.sees == "words" or scene.frames is None or not len(scene.frames):
            return None
        pictures = pictures_of(scene.frames, self.config.pictures, self.config.longest)
        return Ask(templates.CAPTION, CAPTION_SCHEMA, pictures)

    def verdict_asks(self, before: str, caption: str) -> list[Ask]:
        text = templates.fill(self.config.template, before, caption)
        return [Ask(text, VERDICT_SCHEMA, vote=vote) for vote in range(self.config.votes)]

    def _captions(self, scenes: Sequence[Scene]) -> list[Answer]:
        asks = [self.caption_ask(scene) for scene in scenes]
        answers = iter(self.asker.ask_all([ask for ask in asks if ask is not None]))
        found = []
        for scene, ask in zip(scenes, asks, strict=True):
            words = scene.words.strip()
            if ask is not None:
                answer = next(answers)
                empty = answer.fields is not None and not str(answer.fields["caption"]).strip()
                found.append(Answer(None, "the judge saw nothing", answer.cost_nano) if empty else answer)
            elif words:
                found.append(Answer({"caption": words}))
            else:
                found.append(Answer(None, "there is no scene with words or pictures to look at"))
        return found

    def _count(self, answers: Sequence[Answer], paid: int) -> Verdict:
        cost = (paid + sum(one.cost_nano for one in answers)) / NANO
        votes: list[Outcome] = [_OUTCOMES[str(a.fields["verdict"])] if a.fields else "missing" for a in answers]
        outcome = majority(votes)
        given = [vote for vote in votes if vote != "missing"]
        if outcome == "missing":
            why = "as many votes say the one as the other" if given else answers[0].reason
            return Verdict("missing", why, self.name, self.template, votes=tuple(votes), cost_usd=cost)
        reason = next(
            str(a.fields["reason"]) for a, vote in zip(answers, votes, strict=True) if a.fields and vote == outcome
        )
        score = given.count("pass") / len(given)
        return Verdict(outcome, reason, self.name, self.template, votes=tuple(votes), score=score, cost_usd=cost)


def _before(context: StoryContext) -> str:
    """The preceding scene is the last one of the path, as in the paper."""
    return context.scenes[-1].words.strip() if context.scenes else ""
