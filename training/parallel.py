"""One run on several processes: whose part of a batch is whose, and how they agree. Alone, nothing is different.

torchrun --nproc-per-node 2 -m training.main sft --config FILE loop.parallel=shard

accelerate finds the processes that torchrun started and their devices, and averages between them. Every process draws
the *global* batch with all its noise from (seed, step) and works on its own rows, so the number of processes changes no
random number: two take the steps that one would take. `replicate` keeps a copy of everything in each; `shard` divides
what is trained, its gradients, its optimiser's state and its average between them (torch FSDP2). Knows no stage.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from nsp_core.errors import ConfigError


@dataclass(frozen=True)
class Share:
    """The rows of a global batch that are one process's."""

    rank: int = 0
    size: int = 1

    def rows(self, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """-> this process's row numbers (b,) of a batch whose rows are of `kinds` (B,), and (b,) 1 or 0: does it count?

        Sharded weights come together in every pass, so all processes must make the same ones. Rows of a kind are dealt
        out in turn; a process that would get none of a kind takes one that does not count.
        """
        if self.size == 1:
            return torch.arange(len(kinds), device=kinds.device), torch.ones(len(kinds), device=kinds.device)
        rows, counts = [], []
        for kind in kinds.unique():  # sorted, so the same on every process
            every = (kinds == kind).nonzero()[:, 0]
            mine = every[self.rank :: self.size]
            rows.append(mine if len(mine) else every[:1])
            counts.append(torch.full((len(rows[-1]),), float(len(mine) > 0), device=kinds.device))
        return torch.cat(rows), torch.cat(counts)


@runtime_checkable
class Sharing(Protocol):
    """An objective that can work on a part of a batch: the mean of the processes' losses is the batch's loss."""

    share: Share


class Ranks:
    """The processes of this run. Alone: everything is what it was."""

    rank, size = 0, 1

    @property
    def main(self) -> bool:
        return self.rank == 0

    def mean(self, values: list[float]) -> list[float]:
        return values

    def figures(self, values: dict[str, float]) -> dict[str, float]:
        """The mean of each, over the processes that have it."""
        return values

    def any(self, said: bool) -> bool:
        return said

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Gradients become their mean over the processes."""

    def wait(self) -> None:
        """Until all are here."""

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The first process goes through before the others do: what it makes on disk they find."""
        yield


class Several(Ranks):
    def __init__(self) -> None:
        from accelerate import Accelerator
        from accelerate.utils import InitProcessGroupKwargs

        patient = InitProcessGroupKwargs(timeout=timedelta(hours=6))  # the first one may be making a cache
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[patient])
        self.rank, self.size = self.accelerator.process_index, self.accelerator.num_processes
        if self.size != int(os.environ["WORLD_SIZE"]):
            raise RuntimeError(
                f"{os.environ['WORLD_SIZE']} processes were started, but only {self.size} found each other."
            )

    def mean(self, values: list[float]) -> list[float]:
        here = torch.tensor(values, dtype=torch.float64, device=self.accelerator.device)
        found: list[float] = self.accelerator.reduce(here, "mean").tolist()
        return found

    def figures(self, values: dict[str, float]) -> dict[str, float]:
        from accelerate.utils import gather_object

        every: list[dict[str, float]] = gather_object([values])  # names and all: not each batch has every figure
        names = dict.fromkeys(name for one in every for name in one)
        given = {name: [one[name] for one in every if name in one] for name in names}
        return {name: sum(some) / len(some) for name, some in given.items()}

    def any(self, said: bool) -> bool:
        return self.mean([float(said)])[0] > 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """FSDP averages what it has sharded by itself, in its backward pass."""
        for parameter in parameters:
            if parameter.grad is not None and not is_sharded(parameter):
                parameter.grad = self.accelerator.reduce(parameter.grad, "mean")

    def wait(self) -> None:
        self.accelerator.wait_for_everyone()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        with self.accelerator.main_process_first():
            yield


@cache
def ranks() -> Ranks:
    """The processes that torchrun started, or this one alone. Called before anything is put on a device."""
    return Several() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Ranks()


def take_part(objective: Any, found: Ranks) -> None:
    """Tell an objective its part of every batch. Raises ConfigError where it can't be divided."""
    if found.size == 1:
        return
    if not isinstance(objective, Sharing):
        raise ConfigError(
            f"{type(objective).__name__} can't be divided between processes: start this stage without torchrun."
        )
    objective.share = Share(found.rank, found.size)


def shard(module: nn.Module, found: Ranks, half: bool) -> None:
    """Divide `module` between the processes: its blocks one by one, so that only one is whole at a time.

    The connector's queries stay whole, being read outside of its forward pass, and so do single numbers. `half`:
    blocks come together in bfloat16; the masters that are divided stay fp32, and so does what comes in (a noise level
    in bfloat16 would be another one). Raises RuntimeError when afterwards the weights are not divided.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh("cuda" if torch.cuda.is_available() else "cpu", (found.size,))
    for part in module.children():
        whole = {p for n, p in part.named_parameters() if n == "queries" or not p.ndim}
        dtypes = {p.dtype for p in part.parameters() if p not in whole}
        policy = MixedPrecisionPolicy(
            param_dtype=torch.bfloat16 if half else None,
            reduce_dtype=torch.float32,
            cast_forward_inputs=False,
        )
        assert len(dtypes) == 1, f"{type(part).__name__} has parameters of {dtypes}; FSDP takes one kind at a time"
        for block in blocks_of(part):
            fully_shard(block, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
        # the outermost would stay whole after an evaluation, for a backward pass that does not come
        fully_shard(part, mesh=mesh, mp_policy=policy, reshard_after_forward=True, ignored_params=whole)
    check_sharded(module, found.size)


def blocks_of(part: nn.Module) -> list[nn.Module]:
    """The members of its outermost lists: what a transformer repeats."""
    found: list[nn.Module] = []
    for child in part.children():
        found += list(child) if isinstance(child, nn.ModuleList) else blocks_of(child)
    return found


def is_sharded(parameter: Tensor) -> bool:
    from torch.distributed.tensor import DTensor

    return isinstance(parameter, DTensor)


def check_sharded(module: nn.Module, size: int) -> None:
    """Raise RuntimeError unless each process holds about its part. (Several known trainers fell back to full copies
    without a word: DanceGRPO issue 110, UniRL issue 410, accelerate's FSDP plugin on CPUs.)"""
    total = sum(p.numel() for p in module.parameters())
    held = sum(local(p).numel() for p in module.parameters())
    whole = sum(p.numel() for p in module.parameters() if not is_sharded(p))
    # a tensor whose rows don't divide evenly is padded to the next row
    if whole > 0.5 * total or held > whole + 1.2 * (total - whole) / size:
        raise RuntimeError(f"Of {total} parameters this process holds {held}, with {size} processes: not sharded.")


def local(tensor: Tensor) -> Tensor:
    """What of a tensor lies in this process."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[operator]


def clip(parameters: list[nn.Parameter], most: float) -> Tensor:
    """As torch.nn.utils.clip_grad_norm_, also where some gradients are sharded and some whole. -> the norm before."""
    kinds = [[p for p in parameters if is_sharded(p) == divided] for divided in (True, False)]
    if not kinds[0]:
        return torch.nn.utils.clip_grad_norm_(parameters, most)
    norms = [torch.nn.utils.get_total_norm([p.grad for p in some if p.grad is not None]) for some in kinds if some]
    total = torch.stack([n.full_tensor() if is_sharded(n) else n for n in norms]).norm()  # type: ignore[operator]
    for some in kinds:
        torch.nn.utils.clip_grads_with_norm_(some, most, total)
    return total
