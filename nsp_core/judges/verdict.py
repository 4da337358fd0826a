"""What a judge says, and what a judge is.

Knows nothing of any particular judge, of models or of databases. Frozen: a change needs a new VERDICT_VERSION.

*missing* means that the judge could not say (no answer, no network, a story that it cannot follow). It is never a pass
and never a fail: who counts verdicts leaves it out and says how many were left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol, get_args, runtime_checkable

from nsp_core.types import Scene, StoryContext

VERDICT_VERSION = 1

Outcome = Literal["pass", "fail", "missing"]


@dataclass(frozen=True)
class Verdict:
    """One judgement of one scene. Judges are comparable only when `judge` and `template` are the same.

    `template` is the version of the prompt, or of the rules, that was applied. `detail` is a finer answer where the
    judge has one (follows | repeats | does not follow | unreadable), `score` a graded one from 0 to 1. `votes` are the
    single answers when a judge was asked more than once.
    """

    outcome: Outcome
    reason: str
    judge: str
    template: str = ""
    detail: str = ""
    votes: tuple[Outcome, ...] = ()
    score: float | None = None
    cost_usd: float | None = None

    def __post_init__(self) -> None:
        for value in (self.outcome, *self.votes):
            if value not in get_args(Outcome):
                raise ValueError(f"a verdict of {value!r} was given, but it is pass, fail or missing: choose one")
        if self.outcome == "missing" and not self.reason:
            raise ValueError("a missing verdict was given without a reason: say why the judge could not answer")

    @property
    def passed(self) -> bool | None:
        """None when missing."""
        return None if self.outcome == "missing" else self.outcome == "pass"

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has three outcomes, so it is neither true nor false: look at `outcome` or `passed`")


@runtime_checkable
class CausalJudge(Protocol):
    """`name` is the judge's id in the registry and in every verdict of its own."""

    name: str

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        """Does `scene` follow from the path `context`, without repeating it? What goes wrong inside is *missing*."""
        ...


def majority(votes: Sequence[Outcome]) -> Outcome:
    """What most of the votes that were given say; missing when none was given, or as many say the one as the other."""
    passes, fails = votes.count("pass"), votes.count("fail")
    if passes == fails:
        return "missing"
    return "pass" if passes > fails else "fail"
