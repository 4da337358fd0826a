"""Judges by name, and their verdicts of a whole set: kept as they come, asked for once.

    claude, local, server, picturebook, ...   a judge of the registry
    own                                       what a model's own reader says of a scene
    anything that has verdicts in the set     a person (person:NAME), or a judge that is not asked again

Knows nothing of figures and reports.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nsp_core.errors import UserError
from nsp_core.judges import CausalJudge, Verdict, get_judge, judge_names
from nsp_core.judges.config import JudgeConfig
from nsp_core.types import Scene, StoryContext
from training.calibrate.pairs import Pair, judges_of, keep_verdicts, kept_verdicts
from training.judges import declared_judges

log = logging.getLogger(__name__)

AT_ONCE = 64  # scenes whose verdicts are asked for, and kept, together
AT_ONCE_IN_BATCHES = 5000  # their pictures are in memory at the same time
OWN = "own"


@dataclass(frozen=True)
class OwnJudge:
    """A model's own opinion under the name and template that its verdicts carry."""

    pipeline: Any

    @property
    def name(self) -> str:
        from nsp_core import opinion

        return f"{opinion.OWN}{self.pipeline.fingerprint}"

    @property
    def template(self) -> str:
        from nsp_core import opinion

        return str(opinion.TEMPLATE) if self.pipeline.config.dialect == "starter" else ""

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        found: Verdict = self.pipeline.judge(context, scene)
        return found


def judge_of(name: str, model: Path, *, batch: bool = False) -> CausalJudge:
    """`batch`: Claude by Message Batches, half the price. Answers are kept: the set lies on this machine already.

    Raises UserError for a name that is no judge, and what making that judge raises.
    """
    if name == OWN:
        from nsp_core.pipeline import NextScenePipeline

        return OwnJudge(NextScenePipeline.from_pretrained(model))
    if name not in ("claude", "server"):
        return get_judge(name, declared_judges())
    config = replace(JudgeConfig.from_environment(), keep_answers=True)
    if name == "server":
        from nsp_core.judges.server import server_judge

        return server_judge(config)
    from nsp_core.judges.claude import claude_judge

    judge = claude_judge(config)
    if not batch:
        return judge
    from nsp_core.judges.batches import Batched

    live: Any = judge.asker
    return replace(judge, asker=Batched(live.service, live.ledger))


def verdicts_of(
    name: str, pairs: Sequence[Pair], model: Path, *, batch: bool = False
) -> tuple[str, dict[str, Verdict]]:
    """The judge's full name, and its verdict of each scene. Kept verdicts count; those that are missing are asked for
    again. Raises UserError for a name that is no judge and has no verdicts here."""
    folder = pairs[0].folder
    if name != OWN and name not in judge_names(declared_judges()):
        kept = judges_of(folder)
        if name in kept:
            return name, kept_verdicts(folder, name)
        known = ", ".join([OWN, *judge_names(declared_judges())])
        there = ", ".join(kept) or "none"
        raise UserError(f"'{name}' is no judge ({known}) and has no verdicts in {folder} (there are {there}).")
    judge: Any = judge_of(name, model, batch=batch)
    found = kept_verdicts(folder, judge.name, getattr(judge, "template", "") or None)
    left = [pair for pair in pairs if pair.id not in found or found[pair.id].outcome == "missing"]
    size = AT_ONCE_IN_BATCHES if batch else AT_ONCE
    for start in range(0, len(left), size):
        some = left[start : start + size]
        asked = [(pair.context, pair.scene) for pair in some]
        new = list(zip([pair.id for pair in some], ask_about(judge, asked), strict=True))
        keep_verdicts(folder, new, judge.name, _captions(judge, some, dict(new)))
        found.update(new)
        log.info("%s: %d of %d", judge.name, len(pairs) - len(left) + start + len(some), len(pairs))
    return judge.name, found


def ask_about(judge: Any, asked: Sequence[tuple[StoryContext, Scene]]) -> list[Verdict]:
    """All at once where the judge can; what goes wrong inside one that cannot is missing."""
    if hasattr(judge, "judge_all"):
        return list(judge.judge_all(asked))
    found = []
    for context, scene in asked:
        try:
            found.append(judge.judge(context, scene))
        except Exception as error:
            log.exception("the judge %s failed", judge.name)
            why = f"the judge could not answer ({type(error).__name__})"
            found.append(Verdict("missing", why, judge.name, getattr(judge, "template", "")))
    return found


def _captions(judge: Any, pairs: Sequence[Pair], found: Mapping[str, Verdict]) -> dict[str, str]:
    """What the judge saw in scenes that it gave a verdict of: its answers are kept, so this asks nothing again."""
    if not hasattr(judge, "captions"):
        return {}
    judged = [pair for pair in pairs if found[pair.id].outcome != "missing"]
    captions = judge.captions([pair.scene for pair in judged])
    return {pair.id: seen for pair, seen in zip(judged, captions, strict=True) if seen is not None}
