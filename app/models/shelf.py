"""Which weights there are to be had, what is here of them, and which tiers each is for. Asks no network.

A person names weights by their repository, by its last part, or by the tier that they want.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nsp_core.errors import UserError
from nsp_core.model.spec import HubModel
from nsp_core.tiers import TIERS, Tier
from nsp_core.weights.cache import Cache, State


@dataclass(frozen=True)
class Item:
    """One repository of weights, and the names of the tiers that it is for."""

    model: HubModel
    state: State
    tiers: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.model.repo

    @property
    def status(self) -> str:
        """here, part, or absent."""
        return "here" if self.state.whole else "part" if self.state.have else "absent"


@dataclass(frozen=True)
class Shelf:
    cache: Cache

    @classmethod
    def here(cls) -> Shelf:
        return cls(Cache.here())

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """In the order in which the tiers name them."""
        models = dict.fromkeys(model for tier in TIERS for model in tier.models)
        return tuple(
            Item(model, self.cache.state(model), tuple(tier.name for tier in TIERS if model in tier.models))
            for model in models
        )

    def has(self, tier: Tier) -> bool:
        """Whether everything that the tier is made of is here."""
        return all(self.cache.state(model).whole for model in tier.models)

    def called(self, names: Iterable[str]) -> tuple[Item, ...]:
        """Raises UserError for a name that is neither weights nor a tier."""
        found: dict[str, Item] = {}
        for name in names:
            tier = next((one for one in TIERS if one.name == name), None)
            mine = [
                item
                for item in self.items
                if (tier and item.model in tier.models) or name.lower() in (item.name.lower(), _short(item.name))
            ]
            if not mine:
                if tier is not None:
                    raise UserError(f"{name} came with the program: there is nothing to fetch or remove for it.")
                known = [*(item.name for item in self.items), *(one.name for one in TIERS if one.models)]
                raise UserError(f"There are no weights {name!r}; there are {', '.join(known)}.")
            found |= {item.name: item for item in mine}
        return tuple(found.values())


def _short(name: str) -> str:
    return name.rpartition("/")[2].lower()


def free_beside(folder: Path) -> int:
    """Bytes that are free on the disk of a folder that may not be there yet."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
