"""Checkpoints of a divided run: each process writes what it holds (torch.distributed.checkpoint), and any number of
processes can go on from it.

The folder is one like those of training/checkpoint.py, whole or absent, with `shards/` in the place of the three files.
Optimiser state is kept by the parameters' names. Knows nothing of the loop.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from training import checkpoint
from training.ema import Ema
from training.optim import Optimiser
from training.parallel import Ranks


def save(
    folder: Path, step: int, module: nn.Module, ema: Ema, optimiser: Optimiser, info: dict[str, Any], ranks: Ranks
) -> None:
    import torch.distributed.checkpoint as dcp

    if ranks.main:
        checkpoint.begin(folder, step)
    ranks.wait()
    part = checkpoint.aside(folder, step)
    with quiet():
        dcp.save(everything(module, ema, optimiser), checkpoint_id=str(part / checkpoint.SHARDS))
    ranks.wait()
    if ranks.main:
        checkpoint.finish(folder, step, {**info, "sharded": ranks.size})
    ranks.wait()


def restore(path: Path, module: nn.Module, ema: Ema, optimiser: Optimiser) -> None:
    """Fill all three from a step folder; the processes need not be as many as those that wrote it."""
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    flat = StateDictOptions(flatten_optimizer_state_dict=True)
    found = everything(module, ema, optimiser)
    with quiet():
        dcp.load(found, checkpoint_id=str(path / checkpoint.SHARDS))
    module.load_state_dict(found["model"])
    for name, one in optimiser.parts.items():
        set_optimizer_state_dict(module, one[0], found["optimiser"][name], options=flat)


def everything(module: nn.Module, ema: Ema, optimiser: Optimiser) -> dict[str, Any]:
    """What a checkpoint holds, as tensors that can be written and filled. New optimiser state is zero.

    Flat, a name a value: groups of parameters are other ones where nothing is divided."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    flat = StateDictOptions(flatten_optimizer_state_dict=True)
    parts = {name: get_optimizer_state_dict(module, one[0], options=flat) for name, one in optimiser.parts.items()}
    return {"model": dict(module.state_dict()), "ema": ema.shadow, "optimiser": parts}


@contextmanager
def quiet() -> Iterator[None]:
    """torch says that one process alone is no group, which is what is meant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = logging.getLogger("torch.distributed").level
        logging.getLogger("torch.distributed").setLevel(logging.ERROR)
        try:
            yield
        finally:
            logging.getLogger("torch.distributed").setLevel(before)
