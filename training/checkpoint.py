"""Checkpoints that are whole or absent: written aside, manifest last, renamed into place.

A folder `step_000500/` holds `model.safetensors` (fp32 masters), `ema.safetensors`, `optimiser.pt` (exact resume on one
machine; absent in a light checkpoint, from which another machine resumes with fresh optimiser state), `manifest.json`.
A run that is divided between processes has `shards/` instead of the three (training/sharded.py).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nsp_core.errors import CheckpointMismatch

FORMAT = 1
SHARDS = "shards"


@dataclass(frozen=True)
class Saved:
    step: int
    model: dict[str, Tensor]
    ema: dict[str, Tensor]
    optimiser: dict[str, Any] | None
    manifest: dict[str, Any]


def save(
    folder: Path,
    step: int,
    model: dict[str, Tensor],
    ema: dict[str, Tensor],
    optimiser: dict[str, Any] | None,
    info: dict[str, Any],
    *,
    keep: int = 2,
) -> Path:
    """Write step `step` under `folder`; older ones beyond `keep` are removed after the new one stands."""
    part = begin(folder, step)
    # cloned: tied weights share memory, which safetensors refuses
    save_file({k: v.detach().clone().contiguous() for k, v in model.items()}, part / "model.safetensors")
    save_file({k: v.contiguous() for k, v in ema.items()}, part / "ema.safetensors")
    if optimiser is not None:
        torch.save(optimiser, part / "optimiser.pt")
    return finish(folder, step, info, keep=keep)


def aside(folder: Path, step: int) -> Path:
    """Where a checkpoint lies while it is being written."""
    return folder / f".step_{step:06d}.partial"


def begin(folder: Path, step: int) -> Path:
    part = aside(folder, step)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def finish(folder: Path, step: int, info: dict[str, Any], *, keep: int = 2) -> Path:
    """The manifest, and then the name that says that it is whole."""
    part, target = aside(folder, step), folder / f"step_{step:06d}"
    (part / "manifest.json").write_text(json.dumps({"format": FORMAT, "step": step, **info}, indent=2))
    if target.exists():  # a finished run that was started once more
        _remove(target)
    os.replace(part, target)
    for old in list_steps(folder)[:-keep]:
        _remove(old)
    return target


def _remove(step: Path) -> None:
    """Renamed first: a folder that is half removed must not look like a checkpoint."""
    gone = step.with_name(f".{step.name}.removed")
    shutil.rmtree(gone, ignore_errors=True)
    os.replace(step, gone)
    shutil.rmtree(gone)


def list_steps(folder: Path) -> list[Path]:
    """Whole checkpoints under `folder`, oldest first."""
    whole = (p for p in folder.glob("step_*") if (p / "manifest.json").is_file())
    return sorted(whole, key=lambda p: int(p.name.removeprefix("step_")))


def adopt(path: Path, folder: Path) -> Path:
    """A copy of checkpoint `path` (a step_* folder) under `folder`, which must have none: a run goes on from there."""
    if not (path / "manifest.json").is_file():
        raise CheckpointMismatch(f"{path} is no checkpoint; give a step_* folder of a run's checkpoints.")
    if list_steps(folder):
        raise CheckpointMismatch(f"{folder} holds checkpoints of its own; to go on from {path} name another out=.")
    part = folder / f".{path.name}.partial"
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(path, part)
    os.replace(part, folder / path.name)
    return folder / path.name


def load(path: Path) -> Saved:
    """Read a checkpoint folder, or the newest one under it. Raises CheckpointMismatch when there is none.

    One of a divided run comes without its optimiser's state, which training.sharded.restore reads."""
    path, manifest = newest(path)
    if manifest.get("sharded"):
        return Saved(manifest["step"], *read_shards(path), optimiser=None, manifest=manifest)
    state = path / "optimiser.pt"
    return Saved(
        step=manifest["step"],
        model=load_file(path / "model.safetensors"),
        ema=load_file(path / "ema.safetensors"),
        optimiser=torch.load(state, map_location="cpu", weights_only=True) if state.exists() else None,
        manifest=manifest,
    )


def read_shards(path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Model and average of a divided run's checkpoint, whole, in one process."""
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

    with tempfile.TemporaryDirectory() as aside:
        whole = Path(aside) / "whole.pt"
        dcp_to_torch_save(str(path / SHARDS), str(whole))
        found = torch.load(whole, map_location="cpu", weights_only=True)
    return found["model"], found["ema"]


def newest(path: Path) -> tuple[Path, dict[str, Any]]:
    """A step_* folder, or the newest one under `path`, and its manifest."""
    if not (path / "manifest.json").is_file():
        steps = list_steps(path) if path.is_dir() else []
        if not steps:
            raise CheckpointMismatch(f"No checkpoint in {path}; give a step_* folder or a run folder that has one.")
        path = steps[-1]
    manifest = json.loads((path / "manifest.json").read_text())
    if manifest["format"] != FORMAT:
        raise CheckpointMismatch(f"{path} has checkpoint format {manifest['format']}, this program reads {FORMAT}.")
    return path, manifest
