"""Which tier for which machine: what it has room for, what is refused before anything is loaded, what comes instead.

Knows nothing of what is on the disk, nor of how a model is loaded.
"""

from __future__ import annotations

from nsp_core.errors import ModelUnavailable
from nsp_core.hardware import Hardware
from nsp_core.model.spec import BankSpec
from nsp_core.tiers import GB, TIERS, Sizes, Tier, needs

_BESIDE = 2.0  # GB of the computer's own memory that the page, the system and the loading itself want


def fitting(hardware: Hardware) -> tuple[Tier, ...]:
    """Those that this machine has the memory for, the smallest first. The starter is always among them."""
    return tuple(one for one in TIERS if one.name == "starter" or _fits(one, hardware))


def largest(hardware: Hardware) -> Tier:
    """What suits this machine best."""
    return fitting(hardware)[-1]


def below(tier: Tier) -> Tier | None:
    """One tier lower; None below the starter."""
    at = TIERS.index(tier)
    return TIERS[at - 1] if at else None


def check_fit(tier: Tier, hardware: Hardware, *, now: bool = False) -> None:
    """Raises ModelUnavailable when the tier cannot run here, naming the nearest that can. `now`: what other programs
    hold counts, too."""
    if tier.spec is None:
        return
    check_spec(tier.spec, hardware, tier.name, now=now)


def check_spec(spec: BankSpec, hardware: Hardware, name: str, *, now: bool = False, sizes: Sizes | None = None) -> None:
    """As `check_fit`, for banks that somebody put together otherwise, of parts with these `sizes`."""
    need = needs(spec, sizes)
    nearest = largest(hardware)
    instead = f"choose {nearest.name}, which fits"
    cards = [one for one in hardware.devices if one.kind == "cuda"]
    if not cards:
        raise ModelUnavailable(f"{name} needs a graphics card of NVIDIA's, and this machine has none: {instead}.")
    card = max(cards, key=lambda one: one.memory)
    if need.device * GB > card.memory:
        raise ModelUnavailable(
            f"{name} needs {need.device} GB on the graphics card, and {card.name} has "
            f"{card.memory / GB:.1f}: {instead}."
        )
    if now and need.device * GB > card.free:
        raise ModelUnavailable(
            f"{name} needs {need.device} GB on the graphics card, and only {card.free / GB:.1f} of {card.name}'s "
            f"{card.memory / GB:.1f} are free: close other programs that use it, or choose a smaller tier."
        )
    memory = hardware.devices[-1].memory
    if (need.host + _BESIDE) * GB > memory and spec.offload != "none":
        raise ModelUnavailable(
            f"{name} keeps {need.host} GB in the computer's own memory while it draws, and there are "
            f"{memory / GB:.1f}: {instead if nearest.name != name else 'choose the starter'}."
        )


def check_folders(spec: BankSpec, sizes: Sizes, hardware: Hardware, name: str) -> None:
    """As `check_spec`, for folders of a person's own, which draw on the processor where there is no card."""
    if any(one.kind == "cuda" for one in hardware.devices):
        return check_spec(spec, hardware, name, sizes=sizes)
    need, memory = needs(spec, sizes), hardware.devices[-1].memory
    whole = round(need.device + need.host, 1)
    if whole * GB > memory:
        raise ModelUnavailable(
            f"{name} needs {whole} GB of memory on the processor, and there are {memory / GB:.1f}: choose "
            f"{largest(hardware).name}, which fits."
        )


def _fits(tier: Tier, hardware: Hardware) -> bool:
    if tier.spec is None or tier.spec.offload == "none":
        return any(tier.fits(device) for device in hardware.devices)
    enough = (tier.host + _BESIDE) * GB <= hardware.devices[-1].memory
    return enough and any(tier.fits(device) for device in hardware.devices)
