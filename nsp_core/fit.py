"""Which tier for which machine: what it has room for, what is refused before anything is loaded, what comes instead.

Knows nothing of what is on the disk, nor of how a model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable

from nsp_core.errors import ModelUnavailable
from nsp_core.hardware import Device, Hardware
from nsp_core.model.spec import BankSpec
from nsp_core.tiers import GB, TIERS, Needs, Sizes, Tier, needs

_BESIDE = 2.0  # GB of the computer's own memory that the page, the system and the loading itself want


def fitting(hardware: Hardware, tiers: Iterable[Tier] = TIERS) -> tuple[Tier, ...]:
    """Those that this machine has the memory for, the smallest first. The starter is always among them."""
    return tuple(one for one in tiers if one.spec is None or _chosen_by_itself(one, hardware))


def largest(hardware: Hardware) -> Tier:
    """What suits this machine best."""
    return fitting(hardware)[-1]


def check_fit(tier: Tier, hardware: Hardware, *, now: bool = False) -> None:
    """Raises ModelUnavailable when the tier cannot run here, naming the nearest that can. `now`: what other programs
    hold counts, too."""
    if tier.spec is None:
        return
    if lacks := _lacks(needs(tier.spec), hardware):
        nearest = largest(hardware)
        instead = f"{nearest.name}, which fits" if nearest.name != tier.name else "a smaller one"
        raise ModelUnavailable(f"{tier.name} {lacks}: choose {instead}.")
    card = _card(hardware)
    need = needs(tier.spec).device
    if now and card is not None and need * GB > card.free:
        raise ModelUnavailable(
            f"{tier.name} needs {need} GB on the graphics card, and only {card.free / GB:.1f} of {card.name}'s "
            f"{card.memory / GB:.1f} are free: close other programs that use it, or choose a smaller tier."
        )


def check_folders(spec: BankSpec, sizes: Sizes, hardware: Hardware, name: str) -> None:
    """As `check_fit`, for folders of a person's own with parts of these `sizes`. They draw on the processor where there
    is no card."""
    need = needs(spec, sizes)
    lacks = _lacks(need, hardware) if _card(hardware) else _processor_lacks(need, hardware)
    if lacks:
        raise ModelUnavailable(f"{name} {lacks}: choose {largest(hardware).name}, which fits.")


def _chosen_by_itself(tier: Tier, hardware: Hardware) -> bool:
    assert tier.spec is not None
    card = _card(hardware)
    return card is not None and tier.card * GB <= card.memory and not _lacks(needs(tier.spec), hardware)


def _lacks(need: Needs, hardware: Hardware) -> str:
    """What the machine has too little of, as the end of a sentence; "" when there is enough."""
    card = _card(hardware)
    if card is None:
        return "needs a graphics card of NVIDIA's, and this machine has none"
    if need.device * GB > card.memory:
        return f"needs {need.device} GB on the graphics card, and {card.name} has {card.memory / GB:.1f}"
    memory = hardware.devices[-1].memory
    if need.host and (need.host + _BESIDE) * GB > memory:
        return f"keeps {need.host} GB in the computer's own memory while it draws, and there are {memory / GB:.1f}"
    return ""


def _processor_lacks(need: Needs, hardware: Hardware) -> str:
    whole, memory = round(need.device + need.host, 1), hardware.devices[-1].memory
    if whole * GB <= memory:
        return ""
    return f"needs {whole} GB of memory on the processor, and there are {memory / GB:.1f}"


def _card(hardware: Hardware) -> Device | None:
    cards = [one for one in hardware.devices if one.kind == "cuda"]
    return max(cards, key=lambda one: one.memory) if cards else None
