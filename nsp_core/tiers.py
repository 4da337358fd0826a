"""What a machine can run: tiers from the starter to a card with 80 GB, and what each of them needs.

Figures are sums over the published sizes of the parts ("computed"), except where a run or the paper gave them; every
figure says which. Knows nothing of how a model is loaded.

Parameters in thousand million: Qwen2.5-VL 3B 3.75 and 7B 8.29 (model cards; of these .67 in the vision tower and .31
or 1.09 in embeddings, which NF4 leaves in bfloat16), LTX-Video 0.9.0's transformer 1.92, its autoencoder .42, the
connector .03. NF4 takes .53 bytes a parameter with its scales; bfloat16 two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nsp_core.hardware import Device, Hardware

GB = 10**9
Obtained = Literal["measured", "computed", "paper"]

_QWEN_7B, _QWEN_7B_NF4 = 16.6, 7.0
_QWEN_3B_NF4 = 3.4
_DRAWER = 4.8  # transformer, autoencoder and connector in bfloat16
_ROOM = 5.0  # what a scene of 65 frames at 832x480 needs beside the weights: the paper's 26.4 less its weights
_ROOM_TILED = 2.0  # the same, decoded in tiles


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from."""

    value: float
    obtained: Obtained


@dataclass(frozen=True)
class Tier:
    """`memory` in GB on the device, `disk` in GB, `seconds` a scene of the tier's own size (None: not known yet).

    `published`: whether weights for it can be had at all.
    """

    name: str
    reader: str
    drawer: str
    scene: str
    memory: Figure
    disk: Figure
    seconds: Figure | None
    needs_cuda: bool
    published: bool

    def fits(self, device: Device) -> bool:
        if self.needs_cuda and device.kind != "cuda":
            return False
        return self.memory.value * GB <= device.memory


def _big(name: str, reader: str, memory: float, disk: float, seconds: Figure | None = None) -> Tier:
    return Tier(
        name,
        reader,
        "LTX-Video 0.9.0, 1.9 thousand million numbers",
        "65 frames at 832x480",
        Figure(round(memory, 1), "paper" if name.startswith("gpu-40") else "computed"),
        Figure(disk, "computed"),
        seconds,
        needs_cuda=True,
        published=False,
    )


TIERS: tuple[Tier, ...] = (
    Tier(
        "starter",
        "a small reader of our own, 3.2 million numbers",
        "a small LTX transformer of our own, 7.0 million numbers",
        "17 frames at 160x96",
        Figure(0.65, "measured"),
        Figure(0.03, "measured"),
        Figure(1.6, "measured"),  # two cores of a server processor: python launch.py bench
        needs_cuda=False,
        published=True,
    ),
    _big("gpu-8", "Qwen2.5-VL 3B in 4 bits, freed before drawing", _DRAWER + _ROOM_TILED, 12.4),
    _big(
        "gpu-12",
        "Qwen2.5-VL 7B in 4 bits, freed before drawing",
        max(_QWEN_7B_NF4 + 1.0, _DRAWER + _ROOM),
        21.4,
    ),
    _big("gpu-16", "Qwen2.5-VL 7B in 4 bits", _QWEN_7B_NF4 + _DRAWER + _ROOM_TILED, 21.4),
    _big("gpu-24", "Qwen2.5-VL 7B, freed before drawing", _QWEN_7B + 2.0, 21.4),
    _big("gpu-40", "Qwen2.5-VL 7B", 26.4, 21.4, Figure(13.0, "paper")),
)


def fitting(hardware: Hardware) -> tuple[Tier, ...]:
    """Those that this machine has the memory for, the smallest first. The starter is always among them."""
    return tuple(one for one in TIERS if one.name == "starter" or any(one.fits(device) for device in hardware.devices))
