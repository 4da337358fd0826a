"""From a file of choices to an adapter: what `launch.py teach --from-choices` does.

Words first (training.choices.words), then takes (takes, reinforce): each leaves something only if it holds on stories
that were not learnt from. The adapter's folder is that of nsp_core.adapters, whole or not at all. Knows nothing of
terminals.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nsp_core import adapters, taste
from nsp_core.errors import UserError
from training.choices import file
from training.choices.reinforce import Reinforced, TakesConfig, pairs_of, reinforce, size_of
from training.choices.reinforce import save as save_layers
from training.choices.takes import LEAST, TakeTaste, fit
from training.choices.words import Learnt, Left, WordsConfig, learn, offers

log = logging.getLogger(__name__)
Told = Callable[[dict[str, Any]], None]
PLAIN = WordsConfig()


@dataclass(frozen=True)
class Taught:
    """What came of it. `adapter` is None when nothing was learnt that held on other stories; `why` says so, or that
    there is more to do (`code` 75: the same command goes on)."""

    adapter: Path | None
    why: str
    choices: int
    used: int
    left_out: dict[str, int]
    learnt: Learnt | None
    takes: TakeTaste | None = None
    drawn: bool = False  # whether pictures were taught, too
    reinforced: Reinforced = Reinforced(0)

    @property
    def code(self) -> int:
        return self.reinforced.code

    def plain(self) -> dict[str, Any]:
        one, right = self.learnt, None if self.takes is None else self.takes.right
        return {
            "adapter": None if self.adapter is None else str(self.adapter),
            "why": self.why,
            "choices": self.choices,
            "used": self.used,
            "left_out": self.left_out,
            "held_out": None if one is None else one.held_out,
            "steps": None if one is None else one.steps,
            "first_before": None if one is None else one.before,
            "first_after": None if one is None else one.after,
            "loss_before": None if one is None else one.loss_before,
            "loss_after": None if one is None else one.loss_after,
            "seconds": None if one is None else round(one.seconds, 1),
            "take_pairs": 0 if self.takes is None else self.takes.pairs,
            "takes_right": None if right is None else right.plain(),
            "drawn": self.drawn,
            "drawn_preferred": self.reinforced.preferred,
        }


def teach(
    pipeline: Any,
    path: Path,
    out: Path,
    *,
    name: str = "my taste",
    config: WordsConfig = PLAIN,
    takes: TakesConfig | None = None,
    told: Told = lambda _row: None,
) -> Taught:
    """Learn from the choices in `path` and leave out/adapter. `takes`: how drawing is taught; None: words only.

    Raises UserError for a file that cannot be used, or that says too little.
    """
    choices = file.read(path)
    found, left = offers(pipeline, path, choices)
    pairs = pairs_of(path, choices, size_of(pipeline)) if takes is not None else []
    if len(found) < 2 and len(pairs) < LEAST:
        raise UserError(_too_few(len(choices), len(found), left))
    learnt = learn(pipeline, found, config, told) if len(found) > 1 else None
    liked = fit(pairs, config.seed)
    if takes is None or liked is None or not liked.believed:
        made = Taught(None, "", len(choices), len(found), left.reasons, learnt, liked)
        return _leave(pipeline, made, out, name, config, takes)
    try:
        lesson = reinforce(pipeline, path, choices, liked, takes)
        better = lesson.preferred is not None and lesson.preferred > 0.5
        made = Taught(None, "", len(choices), len(found), left.reasons, learnt, liked, better, lesson)
        return _leave(pipeline, made, out, name, config, takes)
    finally:
        pipeline.unload_lora_weights()


def _leave(pipeline: Any, made: Taught, out: Path, name: str, config: WordsConfig, takes: TakesConfig | None) -> Taught:
    if made.code:
        return replace(made, why="The lesson in drawing was stopped on its way: the same command goes on.")
    learnt = made.learnt
    if not made.drawn and (learnt is None or not learnt.layers):
        return replace(made, why="Nothing was learnt that holds in other stories: the model stays as it is.")
    drawing = takes if made.drawn else None
    rank = config if drawing is None else drawing.lora
    steps = (learnt.steps if learnt else 0) + (0 if drawing is None else drawing.loop.steps)
    facts = adapters.Facts(name, pipeline.fingerprint, rank.rank, rank.alpha, steps, made.choices)
    return replace(made, adapter=save(pipeline, out / "adapter", made, facts, config))


def _too_few(count: int, used: int, left: Left) -> str:
    why = "; ".join(f"{n} were left out because {reason}" for reason, n in left.reasons.items())
    said = f"Of {count} choices {used} can be learnt from, and two are the least"
    return f"{said}{f' ({why})' if why else ''}: keep, change or throw away more, then export them again."


def save(pipeline: Any, folder: Path, made: Taught, facts: adapters.Facts, config: WordsConfig) -> Path:
    """The adapter's folder, whole or not at all; one that was there before is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    try:
        if made.drawn:
            save_layers(pipeline, part, facts, card(facts, made))
        else:
            part.mkdir()
            (part / adapters.FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
            (part / "README.md").write_text(card(facts, made), encoding="utf-8")
        if made.learnt is not None and made.learnt.layers:
            taste.write(part / adapters.TASTE, made.learnt.layers, config.alpha)
        adapters.put_in_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def card(facts: adapters.Facts, made: Taught) -> str:
    """The adapter's README.md: what it is, how it was made, what it does and what it leaves alone."""
    parts = []
    if made.learnt is not None and made.learnt.layers:
        parts.append(_card_of_words(made.learnt))
    if made.drawn and made.takes is not None:
        parts.append(_card_of_takes(made.takes, made.reinforced))
    said = "\n\n".join(parts)
    return f"""---
library_name: diffusers
tags: [lora, preference, what-happens-next]
---
# {facts.name}

An adapter (LoRA) for the model {facts.base} of *What Happens Next?*, learnt from {made.choices} choices of one person.

{said}

How well it meets that person's taste on stories that nobody told was not measured here.

Use: `python launch.py predict PICTURE --adapter THIS_FOLDER --out DIR`, or in Python:

    from nsp_core.adapters import attach, read
    attach(pipeline, [(read("THIS_FOLDER"), 1.0)])
"""


def _card_of_words(learnt: Learnt) -> str:
    return f"""**Words.** What the reader tells by itself when it is asked what happens next. Learnt from {learnt.used}
choices in {learnt.steps} steps. On {learnt.held_out} choices of other stories the words that were kept were the
likeliest of those offered in {_share(learnt.before)} before and in {_share(learnt.after)} after; these choices also
decided when to stop, so the second figure is a little too good. Answers to a wish, descriptions, the model's own
judgement and what the drawing is told are what they were, to the bit."""


def _card_of_takes(liked: TakeTaste, lesson: Reinforced) -> str:
    right = (
        "" if liked.right is None else f"{liked.right.mean:.0%} (95%: {liked.right.low:.0%} to {liked.right.high:.0%})"
    )
    return f"""**Takes.** How scenes are drawn. A taste over colour, light, contrast and motion was learnt from
{liked.pairs} pairs of takes, agreed with {right} of the choices in stories that were left out, and was the reward of
a short reinforcement (GRPO). By that taste, not by the person, the taught drawing of {lesson.scenes} other scenes is
the better one with a chance of {_share(lesson.preferred)}."""


def _share(value: float | None) -> str:
    return "no case" if value is None or value != value else f"{value:.0%}"
