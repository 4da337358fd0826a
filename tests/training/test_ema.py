"""The averaged weights: what they follow, what they leave alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from training.ema import Ema


def test_a_young_average_follows_quickly_and_an_old_one_slowly():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.99)
    nn.init.ones_(module.weight)
    ema.update(module, 1)
    assert float(ema.shadow["weight"]) == pytest.approx(1 - 2 / 11)
    before = float(ema.shadow["weight"])
    nn.init.zeros_(module.weight)
    ema.update(module, 10_000)
    assert float(ema.shadow["weight"]) == pytest.approx(0.99 * before)


def test_the_average_stays_in_fp32_when_the_weights_do_not():
    module = nn.Linear(4, 4).bfloat16()
    ema = Ema(module, 0.999)
    for step in range(20):
        ema.update(module, step)
    assert ema.shadow["weight"].dtype == torch.float32
    ema.copy_to(module)
    assert module.weight.dtype == torch.bfloat16


def test_frozen_parameters_are_not_averaged_nor_written():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[0].requires_grad_(False)
    ema = Ema(module, 0.9)
    assert set(ema.shadow) == {"1.weight", "1.bias"}
    kept = module[0].weight.clone()
    ema.shadow = {n: torch.zeros_like(t) for n, t in ema.shadow.items()}
    ema.copy_to(module)
    assert torch.equal(module[0].weight, kept) and not module[1].weight.any()


def test_a_state_is_copied_in_and_one_of_another_model_is_refused():
    module = nn.Linear(2, 2)
    ema = Ema(module, 0.9)
    state = {n: t.bfloat16() for n, t in ema.state_dict().items()}
    ema.load_state_dict(state)
    assert ema.shadow["weight"].dtype == torch.float32
    state["weight"].zero_()
    assert ema.shadow["weight"].any()
    with pytest.raises(ValueError, match="other parameters"):
        ema.load_state_dict({"weight": torch.zeros(2, 2)})
