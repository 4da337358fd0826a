"""Small convolutions by oneDNN: the same sums, sooner; and nothing is left over."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Conv3d, Module, Sequential, SiLU

from nsp_core.model.convolution import by_onednn

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")


@pytest.fixture
def several() -> Module:
    torch.manual_seed(0)
    return Sequential(
        Conv3d(4, 16, 3, padding=1),
        SiLU(),
        Conv3d(16, 16, (2, 3, 1), stride=(1, 2, 1), padding=(0, 1, 0), dilation=(2, 1, 1), groups=4, bias=False),
    ).eval()


def kernels(module: Module, x: torch.Tensor) -> set[str]:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as seen:
        module(x)
    return {event.key for event in seen.key_averages()} & {"aten::slow_conv3d_forward", "aten::mkldnn_convolution"}


@torch.no_grad()
def test_the_same_sums_by_onednn(several: Module) -> None:
    x = torch.randn(1, 4, 5, 6, 7)
    plain = several(x)
    assert "aten::slow_conv3d_forward" in kernels(several, x)
    with by_onednn(several):
        torch.testing.assert_close(several(x), plain, atol=1e-5, rtol=1e-5)
        assert kernels(several, x) == {"aten::mkldnn_convolution"}
    assert torch.equal(several(x), plain)


def test_gradients_go_the_usual_way(several: Module) -> None:
    with by_onednn(several):
        assert not any("forward" in part.__dict__ for part in several.modules())
        several(torch.randn(1, 4, 5, 6, 7)).sum().backward()
    assert all(parameter.grad is not None for parameter in several.parameters())


@torch.no_grad()
def test_what_is_not_plain_stays_as_it_is(several: Module) -> None:
    """Half precision, another padding, and what somebody's hook holds."""
    half = Conv3d(4, 4, 3).to(torch.bfloat16)
    around = Conv3d(4, 4, 3, padding=1, padding_mode="replicate")
    hooked = several[0]
    hooked.forward = held = lambda x: x  # type: ignore[method-assign, assignment]
    with by_onednn(Sequential(half, around, several)):
        assert "forward" not in half.__dict__ and "forward" not in around.__dict__
        assert hooked.__dict__["forward"] is held and "forward" in several[2].__dict__
    assert hooked.__dict__["forward"] is held and "forward" not in several[2].__dict__


@torch.no_grad()
def test_an_error_leaves_nothing_behind(several: Module) -> None:
    with pytest.raises(RuntimeError), by_onednn(several):
        several(torch.randn(1, 3, 5, 6, 7))
    assert not any("forward" in part.__dict__ for part in several.modules())
