"""Small convolutions in time and space on a processor, by oneDNN.

    with by_onednn(vae):
        vae.decode(latents)

PyTorch asks oneDNN only when batch x channels x frames x rows of what goes in are more than 20,480, and otherwise takes
a plain loop (`ConvParams::use_mkldnn`, aten/src/ATen/native/Convolution.cpp, 2.13). A clip of the starter's size stays
below that nearly everywhere, and there the loop takes several times as long. The same sums in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.nn import Conv3d, Module


@contextmanager
def by_onednn(module: Module) -> Iterator[None]:
    """All plain float32 convolutions of `module` on the processor; nothing while gradients are wanted."""
    mine = [] if torch.is_grad_enabled() or not torch.backends.mkldnn.is_available() else list(plain(module))
    for conv in mine:
        conv.forward = partial(convolved, conv)
    try:
        yield
    finally:
        for conv in mine:
            conv.__dict__.pop("forward", None)


def plain(module: Module) -> Iterator[Conv3d]:
    for conv in module.modules():
        if type(conv) is Conv3d and "forward" not in conv.__dict__ and not isinstance(conv.padding, str):
            weight = conv.weight
            if weight.device.type == "cpu" and weight.dtype == torch.float32 and conv.padding_mode == "zeros":
                yield conv


def convolved(conv: Conv3d, x: Tensor) -> Tensor:
    """(B, C, T, H, W), float32."""
    made: Tensor = torch.mkldnn_convolution(
        x, conv.weight, conv.bias, conv.padding, conv.stride, conv.dilation, conv.groups
    )
    return made
