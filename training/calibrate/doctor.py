"""What is needed before Claude is asked: a key, a model that is alive, money, and what it will cost.

Asks a question only when told to; lists of models are free. Knows nothing of sets and agreement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from nsp_core.errors import ModelUnavailable
from nsp_core.judges import templates
from nsp_core.judges.asking import Ask, Picture
from nsp_core.judges.claude import KEY, claude_judge, client_of
from nsp_core.judges.config import JudgeConfig, claude_defaults
from nsp_core.judges.ledger import Ledger
from nsp_core.judges.lifecycle import PAPERS_JUDGE, Life, known_to_sdk, known_to_service, life_of
from nsp_core.judges.paper import CAPTION_SCHEMA, VERDICT_SCHEMA
from nsp_core.judges.prices import NANO, PRICES_OF, estimate, price_of
from nsp_core.types import Scene, StoryContext

CAPTION_TOKENS, VERDICT_TOKENS = 60, 90  # of an answer, about; thinking comes on top
BEFORE = "A glass sitting near the edge of the table begins to wobble."  # the length of the paper's scenes
CAPTION = "The glass tips over the edge, falls to the floor and breaks into many pieces while water spreads."
RL_VERDICTS = 60 * 8 * 16 * 24  # of the paper's reinforcement learning: steps, accumulation, GPUs, candidates


@dataclass
class Findings:
    """`ok` False: Claude cannot be asked as things are."""

    ok: bool = True
    lines: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def say(self, line: str, **figures: Any) -> None:
        self.lines.append(line)
        self.figures.update(figures)

    def wrong(self, line: str, **figures: Any) -> None:
        self.ok = False
        self.say(line, **figures)


def examine(config: JudgeConfig, n: int, client_for: Callable[[JudgeConfig], Any] = client_of) -> Findings:
    """Raises ConfigError for a model without a known price, and for a file that is no judge's."""
    config = claude_defaults(config)
    found = Findings()
    client: Any = None
    try:
        client = client_for(config)
        found.say(f"key        {KEY} is there", key=True)
    except ModelUnavailable as error:
        found.wrong(f"key        {error}", key=False)
    _papers_judge(found)
    _alive(found, client)
    _model(found, config, life_of(client, config.model))
    _money(found, config, n)
    return found


def ask_one(found: Findings, config: JudgeConfig) -> None:
    """One question about the paper's example, by words only. Raises what `claude_judge` raises."""
    judge = claude_judge(replace(config, sees="words", votes=1))
    verdict = judge.judge(StoryContext((Scene(BEFORE),)), Scene(CAPTION))
    line = f"asked      {verdict.outcome} for ${_dollars(verdict.cost_usd or 0.0)}: {verdict.reason}"
    if verdict.outcome == "missing":
        found.wrong(line, asked=verdict.outcome)
    else:
        found.say(line, asked=verdict.outcome)


def _papers_judge(found: Findings) -> None:
    dead = next(life for life in known_to_sdk() if life.model == PAPERS_JUDGE)
    found.say(
        f"the paper  judged with Claude 3.7 Sonnet ({PAPERS_JUDGE}), which was retired on {dead.retires}: its figures "
        "cannot be had again, and no other judge is comparable with them (`judge migrate` measures such a shift)",
        papers_judge={"model": PAPERS_JUDGE, "state": dead.state, "retired": str(dead.retires)},
    )


def _alive(found: Findings, client: Any) -> None:
    import anthropic

    lives: list[Life] = []
    if client is not None:
        try:
            lives = known_to_service(client)
        except anthropic.AnthropicError as error:
            found.wrong(f"service    cannot be asked which models are alive ({type(error).__name__})")
    who = "the service says" if lives else f"the SDK {anthropic.__version__} says; the service was not asked"
    lives = lives or known_to_sdk()
    active = [life.model for life in lives if life.state == "active"]
    ending = [f"{life.model} (until {life.retires})" for life in lives if life.state == "deprecated"]
    found.say(f"alive      {', '.join(active) or 'none'} ({who})", alive=active)
    if ending:
        found.say(
            f"ending     {', '.join(ending)}", ending=[life.model for life in lives if life.state == "deprecated"]
        )


def _model(found: Findings, config: JudgeConfig, life: Life) -> None:
    who = "as the service says" if life.source == "service" else "as the SDK says"
    line = (
        f"model      {config.model}: {life.state}{f' since {life.retires}' if life.state == 'retired' else ''}, {who}"
    )
    figures = {"model": config.model, "state": life.state}
    if life.state in ("active", "deprecated"):
        found.say(line, **figures)
    else:
        found.wrong(f"{line}: set WHATNEXT_JUDGE_MODEL to one that is alive", **figures)
    if life.effort is False and config.effort != "none":
        found.say("effort     this model takes none: it is left out")
    if life.structured is False:
        found.wrong("answers    this model has no structured output: choose another one")


def _money(found: Findings, config: JudgeConfig, n: int) -> None:
    ledger = Ledger(config.path, round(config.max_usd * NANO))
    balance = ledger.balance()
    found.say(
        f"budget     ${config.max_usd:.2f} for {config.path}: ${balance.spent / NANO:.4f} spent, "
        f"${balance.reserved / NANO:.4f} reserved; {ledger.answers()} answers kept, "
        f"{len(ledger.submissions())} batches under way",
        budget=config.max_usd,
        spent=balance.spent / NANO,
        reserved=balance.reserved / NANO,
    )
    ledger.close()
    price = price_of(config, config.model)
    asks = asks_of_one(config)
    found.say(
        f"price      ${price.input:g} in, ${price.output:g} out for a million tokens ({PRICES_OF}); half in batches"
    )
    estimates = {}
    for name, count in (("verdicts", n), ("the paper's reinforcement learning", RL_VERDICTS)):
        for batch in (False, True) if name == "verdicts" else (False,):  # a reward cannot wait for a day
            one = estimate(price, asks, count, config.max_tokens, batch=batch)
            estimates[f"{count}{' in batches' if batch else ''}"] = {"likely": one.likely, "most": one.most}
            what = f"{count:,} verdicts" if name == "verdicts" else f"{name} ({count:,} verdicts)"
            found.say(
                f"estimate   {what}{' in batches' if batch else ''}: {one.calls:,} calls, about ${_dollars(one.likely)}"
                f", thinking not counted; at the very most ${_dollars(one.most)}"
            )
    found.figures["estimates"] = estimates


def asks_of_one(config: JudgeConfig) -> list[tuple[Ask, int]]:
    """What one verdict asks of a clip of the paper's size, with the likely length of each answer."""
    asks: list[tuple[Ask, int]] = []
    if config.sees == "pictures":
        width = min(832, config.longest)
        shown = Picture(b"", width, math.ceil(width * 480 / 832))
        asks.append((Ask(templates.CAPTION, CAPTION_SCHEMA, (shown,) * config.pictures), CAPTION_TOKENS))
    text = templates.fill(config.template, BEFORE, CAPTION)
    return asks + [(Ask(text, VERDICT_SCHEMA, vote=vote), VERDICT_TOKENS) for vote in range(config.votes)]


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else f"{np.format_float_positional(value, precision=2, fractional=False)}"
