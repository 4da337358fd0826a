"""Checkpoints that are whole or absent: written aside, manifest last, renamed into place.

A folder `step_000500/` holds `model.safetensors` (fp32 masters), `ema.safetensors`, `optimiser.pt` (exact resume on one
machine; absent in a light checkpoint, from which another machine resumes with fresh optimiser state), `manifest.json`.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nsp_core.errors import CheckpointMismatch

FORMAT = 1


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
    target = folder / f"step_{step:06d}"
    part = folder / f".{target.name}.partial"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    # cloned: tied weights share memory, which safetensors refuses
    save_file({k: v.detach().clone().contiguous() for k, v in model.items()}, part / "model.safetensors")
    save_file({k: v.contiguous() for k, v in ema.items()}, part / "ema.safetensors")
    if optimiser is not None:
        torch.save(optimiser, part / "optimiser.pt")
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
    """Read a checkpoint folder, or the newest one under it. Raises CheckpointMismatch when there is none."""
    if not (path / "manifest.json").is_file():
        steps = list_steps(path) if path.is_dir() else []
        if not steps:
            raise CheckpointMismatch(f"No checkpoint in {path}; give a step_* folder or a run folder that has one.")
        path = steps[-1]
    manifest = json.loads((path / "manifest.json").read_text())
    if manifest["format"] != FORMAT:
        raise CheckpointMismatch(f"{path} has checkpoint format {manifest['format']}, this program reads {FORMAT}.")
    state = path / "optimiser.pt"
    return Saved(
        step=manifest["step"],
        model=load_file(path / "model.safetensors"),
        ema=load_file(path / "ema.safetensors"),
        optimiser=torch.load(state, map_location="cpu", weights_only=True) if state.exists() else None,
        manifest=manifest,
    )
