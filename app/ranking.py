"""What a judge says of a scene's takes, one after the other. Knows nothing of jobs, pages or particular models.

Two may be asked: a judge that was set up by name (WHATNEXT_JUDGE, see nsp_core.judges), or the model itself, if it has
an opinion (`judge(context, scene) -> Verdict`). Whatever goes wrong inside a judge is *missing*, never pass or fail.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.store.errors import NotFound
from app.store.stories import Stories
from nsp_core.errors import Cancelled, ConfigError, UserError
from nsp_core.judges import Verdict, get_judge
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.leaving import what_leaves
from nsp_core.judges.registry import OURS
from nsp_core.types import Scene, StoryContext

log = logging.getLogger(__name__)

OWN = "own:"  # how the judge id of a model's own opinion begins: "own:starter@5e50a72c69ac0ec6"

# How far the starter's own opinion agrees with the exact judge, over right, wrong, repeated and shuffled scenes of 260
# held-out stories: Cohen's kappa 0.08 (95%: 0.06 to 0.11; n = 1023 of 1040, seed 0, model 5e50a72c69ac0ec6). It passes
# 215 of 260 scenes whose pictures show something else than their words. Measured by `launch.py judge agree
# picturebook:260 --judge picturebook --judge own`; below 0.7 the page says "not judged" in its stead.
OWN_KAPPA, OWN_PAIRS = 0.08, 1023
OWN_IS_SHOWN = OWN_KAPPA >= 0.7

Ask = Callable[[StoryContext, Scene], Verdict]


def judge_for(
    name: str, predictor: Callable[[], Any], model: str, config: Mapping[str, Any] | None = None
) -> tuple[str, Ask]:
    """The judge's id and how it is asked. The model is only called for when no judge of a name is. `config` is what the
    page was set up with (`config_of`): what is asked is what the page said, whichever process asks.

    Raises UserError when the model has no opinion, ConfigError or ModelUnavailable for a name that is no judge.
    """
    if name:
        judge = get_judge(name) if config is None else get_judge(name, config=JudgeConfig.from_plain(config))
        return judge.name, judge.judge
    made = predictor()
    own = getattr(made, "judge", None)  # optional: not part of the Predictor protocol
    if own is None:
        raise UserError("This model has no opinion of scenes: choose among the takes yourself, or set up a judge.")
    return f"{OWN}{Path(model).name or 'model'}@{made.fingerprint}", own


def config_of(name: str, data_dir: Path) -> dict[str, Any] | None:
    """The settings of a judge that is part of this program, for a job; None for another one. It counts its money in the
    data folder and keeps no words there: those of a story are in the story only.

    Raises ConfigError for settings that make no sense.
    """
    if name not in OURS:
        return None
    return replace(JudgeConfig.from_environment(), file=data_dir / "judge.db", keep_answers=False).plain()


def leaving_of(name: str) -> str:
    """One sentence or two: what leaves this machine when the judge is asked, and what may be spent."""
    try:
        found = what_leaves(name, JudgeConfig.from_environment())
    except LookupError:
        return say("takes.leaves_unknown")
    except ConfigError as error:
        return str(error)
    if found is None:
        return say("takes.leaves_nothing")
    if found.pictures:
        size = {"pictures": found.pictures, "longest": found.longest}
        told = say("takes.leaves_pictures", host=found.host, model=found.model, **size)
    else:
        told = say("takes.leaves_words", host=found.host, model=found.model)
    return told if found.most_usd is None else f"{told} {say('takes.leaves_cost', dollars=f'{found.most_usd:.2f}')}"


def is_own(judge: str) -> bool:
    return judge.startswith(OWN)


def judge_takes(
    stories: Stories,
    scene_id: str,
    take_ids: Iterable[str],
    judge: str,
    ask: Ask,
    *,
    before_each: Callable[[int], None],
    scenes: int,
    frames: int,
) -> dict[str, str]:
    """A verdict for each take, written as soon as it is known; take -> outcome. `before_each` may raise Cancelled."""
    scene = stories.scene(scene_id)
    context, _ = stories.context_and_parents(scene.parent_id, scenes=scenes, frames=frames)
    outcomes: dict[str, str] = {}
    for number, take_id in enumerate(take_ids):
        before_each(number)
        try:
            recipe = stories.recipe(take_id)
        except NotFound:  # thrown away meanwhile
            continue
        words = recipe["words"] if recipe else scene.words  # those it was drawn from, whatever the scene says by now
        verdict = ask_one(judge, ask, context, lambda take_id=take_id, words=words: _seen(stories, take_id, words))
        stories.add_verdict(
            take_id,
            verdict.outcome,
            reason=verdict.reason,
            judge=judge,
            template=verdict.template,
            score=verdict.score,
            votes_json=json.dumps(verdict.votes),
            cost_usd=verdict.cost_usd,
        )
        outcomes[take_id] = verdict.outcome
    return outcomes


def ask_one(judge: str, ask: Ask, context: StoryContext, scene: Callable[[], Scene]) -> Verdict:
    """The verdict under this judge's id; missing when there is nothing before the scene or the judge fails."""
    if not context.scenes:
        return Verdict("missing", "nothing comes before this scene", judge)
    try:
        verdict = ask(context, scene())
        if not isinstance(verdict, Verdict):
            raise TypeError(f"a judge gives a Verdict, this one gave {type(verdict).__name__}")
    except Cancelled:
        raise
    except Exception as error:
        log.exception("the judge %s failed", judge)
        return Verdict("missing", f"the judge could not answer ({type(error).__name__})", judge)
    return replace(verdict, judge=judge)


def _seen(stories: Stories, take_id: str, words: str) -> Scene:
    return Scene(words, stories.frames_of(take_id))
