"""What answers cost: the price list, upper bounds that a budget can rely on, and estimates. Knows no protocol.

Money is counted in whole 1e-9 dollars, so that sums are exact. Prices: platform.claude.com/docs, models overview, as of
2026-11-21; a batch costs half (same source). They change: the service's own bill is what counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nsp_core.errors import ConfigError
from nsp_core.judges.asking import Ask
from nsp_core.judges.config import JudgeConfig

NANO = 1_000_000_000
PRICES_OF = "2026-11-21"
BATCH_SHARE = 0.5

# dollars for a million tokens (input, output); haiku 5.5 up to 100,000 tokens of input, which no judgement reaches
CLAUDE_PRICES = {
    "claude-fable-5-1": (10.0, 50.0),
    "claude-opus-5-5": (4.0, 20.0),
    "claude-opus-5": (5.0, 25.0),
    "claude-sonnet-5-5": (2.0, 10.0),
    "claude-sonnet-5": (2.0, 10.0),
    "claude-sonnet-4-6": (3.0, 15.0),
    "claude-sonnet-4-5": (3.0, 15.0),
    "claude-haiku-5-5": (0.10, 0.50),
    "claude-haiku-4-5": (1.0, 5.0),
}
SCHEMA_TOKENS = 1_000  # at most, for what structured output adds to a prompt
PIXELS_A_TOKEN = 750  # of a picture, as documented; newer tokenizers count up to a third more, so bounds take double


@dataclass(frozen=True)
class Price:
    """Dollars for a million tokens of input and of output."""

    input: float
    output: float

    def nano(self, input_tokens: float, output_tokens: float, *, batch: bool = False) -> int:
        """The cost, rounded up."""
        share = BATCH_SHARE if batch else 1.0
        return math.ceil(round((input_tokens * self.input + output_tokens * self.output) * share * 1000, 6))


def price_of(config: JudgeConfig, model: str, *, free: bool = False) -> Price:
    """`free`: a model without a known price costs nothing (one's own server). Else raises ConfigError for it: a budget
    that does not know the price would be none."""
    if config.price_in >= 0:
        return Price(config.price_in, config.price_out)
    for name, (read, written) in CLAUDE_PRICES.items():
        if model == name or model.startswith(f"{name}-20"):  # the same model with its date
            return Price(read, written)
    if free:
        return Price(0.0, 0.0)
    raise ConfigError(
        f"The price of {model} is not known here: set WHATNEXT_JUDGE_PRICE_IN and WHATNEXT_JUDGE_PRICE_OUT "
        "(dollars for a million tokens), so that the budget can be kept."
    )


def most_input(ask: Ask) -> int:
    """Tokens of a question, at the very most: a token of text has one byte or more."""
    seen = sum(2 * math.ceil(one.width * one.height / PIXELS_A_TOKEN) + 100 for one in ask.pictures)
    return len(ask.text.encode()) + seen + SCHEMA_TOKENS


def likely_input(ask: Ask) -> int:
    """Tokens of a question, about: three and a half bytes of English each, and the schema's."""
    seen = sum(math.ceil(1.3 * one.width * one.height / PIXELS_A_TOKEN) for one in ask.pictures)
    return math.ceil(len(ask.text.encode()) / 3.5) + seen + 150


@dataclass(frozen=True)
class Estimate:
    """Dollars for `n` verdicts: as is likely, and at the very most."""

    n: int
    calls: int
    likely: float
    most: float


def estimate(price: Price, asks: Sequence[tuple[Ask, int]], n: int, max_tokens: int, *, batch: bool) -> Estimate:
    """`asks`: what one verdict asks, each with the tokens that its answer is likely to have."""
    likely = sum(price.nano(likely_input(ask), tokens, batch=batch) for ask, tokens in asks)
    most = sum(price.nano(most_input(ask), max_tokens, batch=batch) for ask, _ in asks)
    return Estimate(n, n * len(asks), n * likely / NANO, n * most / NANO)
