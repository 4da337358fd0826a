"""What this machine has to compute with: asked of the system, never of torch, so that a page can say it at once.

Knows nothing of models. Sizes are in bytes.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["cuda", "mps", "cpu"]

_ASK_NVIDIA = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total,memory.free", "--format=csv,noheader,nounits")
_PATIENCE = 5.0  # seconds for nvidia-smi, which may have to wake a driver


@dataclass(frozen=True)
class Device:
    """Something that can run a model. `memory` is its own, or the machine's where it has none of its own."""

    kind: Kind
    name: str
    memory: int
    free: int


@dataclass(frozen=True)
class Hardware:
    """`devices`: the fastest kind first; the processor is always the last one."""

    devices: tuple[Device, ...]
    cores: int
    system: str

    @property
    def best(self) -> Device:
        return self.devices[0]


def look(nvidia: tuple[str, ...] = _ASK_NVIDIA) -> Hardware:
    """What is here now. A graphics card whose driver does not answer is not here, nor is one that CUDA_VISIBLE_DEVICES
    keeps from programs."""
    import psutil

    memory = psutil.virtual_memory()
    found = [*_nvidia_cards(nvidia)]
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        found.append(Device("mps", "Apple graphics", memory.total, memory.available))
    found.append(Device("cpu", _processor_name(), memory.total, memory.available))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Hardware(tuple(found), cores, f"{platform.system()} {platform.machine()}")


def _nvidia_cards(command: tuple[str, ...]) -> tuple[Device, ...]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    cards: dict[tuple[str, str], Device] = {}  # by index and uuid
    for line in done.stdout.splitlines():
        if line.count(",") < 4:
            continue  # a remark ("No devices were found")
        index, uuid, rest = (part.strip() for part in line.split(",", 2))
        name, total, free = (part.strip() for part in rest.rsplit(",", 2))
        if total.isdigit() and free.isdigit():  # "[N/A]" on boards that share the machine's memory
            cards[index, uuid] = Device("cuda", name, int(total) * 2**20, int(free) * 2**20)
    return tuple(sorted(_visible(cards, os.environ.get("CUDA_VISIBLE_DEVICES")), key=lambda card: -card.memory))


def _visible(cards: Mapping[tuple[str, str], Device], named: str | None) -> Iterator[Device]:
    """As CUDA reads the variable (CUDA C++ Programming Guide, "CUDA Environment Variables"): numbers or beginnings of
    uuids, and nothing counts after the first that there is not. Numbers are nvidia-smi's here, which are CUDA's own
    where all cards are alike or CUDA_DEVICE_ORDER is PCI_BUS_ID."""
    if named is None:
        yield from cards.values()
        return
    for one in (part.strip() for part in named.split(",")):
        found = [
            card
            for (index, uuid), card in cards.items()
            if one == index or (one[:4] == "GPU-" and uuid[: len(one)] == one)
        ]
        if not found:
            return
        yield found[0]


def _processor_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "processor"
