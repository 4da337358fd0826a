"""What a machine can run: the cards that nvidia-smi tells of, and which tiers they have room for."""

from __future__ import annotations

import sys

import pytest

from nsp_core import hardware
from nsp_core.fit import fitting
from nsp_core.hardware import Device, Hardware
from nsp_core.tiers import GB, TIERS


def machine(*cards: float) -> Hardware:
    processor = Device("cpu", "a processor", 512 * GB, 500 * GB)
    found = [Device("cuda", "a card", int(size * GB), int(size * GB)) for size in cards]
    return Hardware((*found, processor), 2, "Linux x86_64")


def says(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", f"print({text!r})")


def test_memory_of_the_processor_is_no_card() -> None:
    assert [one.name for one in fitting(machine())] == ["starter"]


@pytest.mark.parametrize(
    ("card", "largest"),
    [(4, "starter"), (8.2, "gpu-8"), (12, "gpu-12"), (16.5, "gpu-16"), (24, "gpu-24"), (42, "gpu-40"), (85, "gpu-80")],
)
def test_the_largest_tier_of_a_card(card: float, largest: str) -> None:
    assert fitting(machine(card))[-1].name == largest


def test_a_bigger_card_never_fits_less() -> None:
    counts = [len(fitting(machine(size))) for size in range(1, 100)]
    assert counts == sorted(counts)


def test_every_figure_says_where_it_comes_from() -> None:
    for one in TIERS:
        assert {one.memory.obtained, one.disk.obtained} <= {"measured", "computed", "paper"}
        assert one.memory.value > 0


CARDS = """0, GPU-5ecd, Old, 2048, 100
1, GPU-a100-1, NVIDIA A100, PCIe, 40960, 40000
2, GPU-5bad, Shared, [N/A], [N/A]
No more devices were found"""


@pytest.mark.parametrize(
    ("named", "names"),
    [
        (None, ["NVIDIA A100, PCIe", "Old"]),
        ("0", ["Old"]),
        ("1,0", ["NVIDIA A100, PCIe", "Old"]),
        ("GPU-a1", ["NVIDIA A100, PCIe"]),
        ("", []),
        ("-1", []),
        ("7,1", []),
        ("0, 7, 1", ["Old"]),
    ],
)
def test_only_the_cards_that_programs_may_see(
    named: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert [one.name for one in hardware.look(says(CARDS)).devices[:-1]] == names


def test_cards_as_the_driver_tells_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = hardware.look(says(CARDS))
    assert [(one.name, one.memory) for one in found.devices[:2]] == [
        ("NVIDIA A100, PCIe", 40960 * 2**20),
        ("Old", 2048 * 2**20),
    ]
    assert found.devices[-1].kind == "cpu" and found.best.kind == "cuda"


@pytest.mark.parametrize("command", [("/nowhere/nvidia-smi",), (sys.executable, "-c", "raise SystemExit(9)")])
def test_no_driver_no_card(command: tuple[str, ...]) -> None:
    here = hardware.look(command)
    assert not [one for one in here.devices if one.kind == "cuda"]
    assert here.best.memory > 0 and here.cores >= 1
