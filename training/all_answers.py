"""Where a question has many right answers with known probabilities: learn from all of them at every token.

An answer that was drawn is taught token by token; at each, the target is the exact distribution of the next token over
all answers that begin like this. In expectation that is the loss of drawing again and again, without its noise: which
of ten things happens next no longer hides what cannot happen at all.

Some answers may be right and must not be taught (held-out compositions). Where only such answers go on, their token is
left out of the sum, neither shown nor denied; and at every token what is taught weighs as much as it has of the odds
among all that may stand there, but LEAST at least: what seldom happens is not taught as if it were all that can.
Knows nothing of worlds or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

LEAST = 0.2
Answers = Sequence[tuple[Sequence[int], float]]  # token ids with their end, and a probability


class Row(NamedTuple):
    """The tokens that are read, all answers that are taught, and those that may be right and are not taught."""

    path: Sequence[int]
    answers: Answers = ()
    untaught: Answers = ()


class Next(NamedTuple):
    """What may stand at a token: odds of what is taught, tokens that are left out, and the share that is taught."""

    odds: dict[int, float]
    left_out: frozenset[int]
    taught: float


def next_tokens(row: Row) -> list[Next]:
    """For each token of the path, what may stand there after the tokens before it; up to and with the first one that is
    of no answer. Without answers the path is the only one."""
    alive, untaught = list(row.answers) or [(row.path, 1.0)], list(row.untaught)
    found = []
    for at, token in enumerate(row.path):
        here, others = _shares(alive, at), _shares(untaught, at)
        total = sum(here.values())
        weight = max(LEAST, total / (total + sum(others.values()))) if total else 0.0
        odds = {one: share / total for one, share in here.items()} if total else {}
        found.append(Next(odds, frozenset(others) - frozenset(here), weight))
        if token not in here and token not in others:
            break
        alive, untaught = ([one for one in some if _goes_on(one, at, token)] for some in (alive, untaught))
    return found


def _shares(answers: Answers, at: int) -> dict[int, float]:
    here: dict[int, float] = {}
    for ids, share in answers:
        if at < len(ids):
            here[ids[at]] = here.get(ids[at], 0.0) + share
    return here


def _goes_on(answer: tuple[Sequence[int], float], at: int, token: int) -> bool:
    return at < len(answer[0]) and answer[0][at] == token


def targets(rows: Sequence[Row], width: int, vocabulary: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, width, vocabulary) probabilities, zero behind the end of a path; which tokens are to be left out; and
    (B, width) shares that are taught, of which each row's path makes a mean."""
    wanted = torch.zeros(len(rows), width, vocabulary)
    left_out = torch.zeros(len(rows), width, vocabulary, dtype=torch.bool)
    weights = torch.zeros(len(rows), width)
    for number, row in enumerate(rows):
        found = next_tokens(row)
        for at, here in enumerate(found):
            wanted[number, at, list(here.odds)] = torch.tensor(list(here.odds.values()))
            left_out[number, at, list(here.left_out)] = True
            weights[number, at] = here.taught / len(found)
    return wanted, left_out, weights


def divergence(logits: Tensor, rows: Sequence[Row]) -> Tensor:
    """(B, S, vocabulary) -> (B,): KL divergence of the model's next tokens from the answers' odds, a token. It is 0
    where the model knows the odds: the entropy of the answers themselves, which has no gradient, is not in it."""
    wanted, left_out, weights = (t.to(logits.device) for t in targets(rows, *logits.shape[1:]))
    told = logits.float().masked_fill(left_out, -1e4).log_softmax(-1)
    return (functional.kl_div(told, wanted, reduction="none").sum(2) * weights).sum(1)
