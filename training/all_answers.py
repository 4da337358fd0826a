"""Where a question has many right answers with known probabilities: learn from all of them at every token.

An answer that was drawn is taught token by token; at each, the target is the exact distribution of the next token over
all answers that begin like this. In expectation that is the loss of drawing again and again, without its noise: which
of ten things happens next no longer hides what cannot happen at all. An answer with probability 0 is one that may be
right and must not be taught: where only such answers go on, their token is left out of the sum, neither shown nor
denied.
Knows nothing of worlds or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

Answers = Sequence[tuple[Sequence[int], float]]  # token ids with their end, and a probability


def next_tokens(path: Sequence[int], answers: Answers) -> list[dict[int, float]]:
    """For each token of `path`, the probabilities of what may stand there after the tokens before it; up to and with
    the first one that is of no answer. Without answers the path is the only one."""
    alive = list(answers) or [(path, 1.0)]
    found = []
    for at, token in enumerate(path):
        here: dict[int, float] = {}
        for ids, share in alive:
            if at < len(ids):
                here[ids[at]] = here.get(ids[at], 0.0) + share
        total = sum(here.values()) or 1.0
        found.append({one: share / total for one, share in here.items()})
        if token not in here:
            break
        alive = [(ids, share) for ids, share in alive if at < len(ids) and ids[at] == token]
    return found


def targets(rows: Sequence[tuple[Sequence[int], Answers]], width: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """(B, width, vocabulary) probabilities, zero behind the end of a path, and which tokens are to be left out."""
    wanted = torch.zeros(len(rows), width, vocabulary)
    left_out = torch.zeros(len(rows), width, vocabulary, dtype=torch.bool)
    for row, (path, answers) in enumerate(rows):
        for at, here in enumerate(next_tokens(path, answers)):
            wanted[row, at, list(here)] = torch.tensor(list(here.values()))
            left_out[row, at, [token for token, share in here.items() if not share]] = True
    return wanted, left_out


def divergence(logits: Tensor, rows: Sequence[tuple[Sequence[int], Answers]]) -> Tensor:
    """(B, S, vocabulary) -> (B,): KL divergence of the model's next tokens from the answers' odds, a token. It is 0
    where the model knows the odds: the entropy of the answers themselves, which has no gradient, is not in it."""
    wanted, left_out = (t.to(logits.device) for t in targets(rows, *logits.shape[1:]))
    told = logits.float().masked_fill(left_out, -1e4).log_softmax(-1)
    followed = torch.tensor([len(next_tokens(path, answers)) for path, answers in rows], device=logits.device)
    return functional.kl_div(told, wanted, reduction="none").sum((1, 2)) / followed
