"""Run folders as a parcel: bf16 weights and averages, cut into small files that are verified when they are joined.

A parcel is `manifest.json` and `part_000`, `part_001` ... of at most PART bytes: together one tar of run folders whose
checkpoints are light (no optimiser state; the next machine goes on with a fresh one). Of a run that has taken all its
steps only the averages travel: they are what is used from then on. Knows nothing of stages.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch

FORMAT = 1
MIB = 2**20
PART = 16 * MIB
# what a run folder needs besides its weights: its config and figures, and what later stages are made with
KEPT = ("run.json", "metrics.jsonl", "latents.json", "residual_scale.safetensors")
KEPT_FOLDERS = ("processor",)


def pack(runs: Iterable[Path], out: Path, *, limit: int | None = None) -> dict[str, Any]:
    """Write the parcel of the newest checkpoints of `runs` into `out`; the first runs come first.

    Runs that would make it larger than `limit` bytes are left out whole and named in the manifest.
    """
    out.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    steps: dict[str, int] = {}
    left_out: list[str] = []
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for run in runs:
            files = light_files(run)
            size = sum(len(data) + 1536 for data in files.values())  # with tar's headers
            if limit is not None and packed.tell() + size > limit:
                left_out.append(run.name)
                continue
            for name, data in files.items():
                entry = tarfile.TarInfo(f"{run.name}/{name}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
            steps[run.name] = newest(run)
    everything = packed.getbuffer()
    for old in out.glob("part_*"):
        old.unlink()
    parts = []
    for number, start in enumerate(range(0, len(everything), PART)):
        piece = bytes(everything[start : start + PART])
        (out / f"part_{number:03d}").write_bytes(piece)
        parts.append({"name": f"part_{number:03d}", "bytes": len(piece), "sha256": sha256(piece)})
    manifest = {"format": FORMAT, "steps": steps, "left_out": left_out, "parts": parts, "sha256": sha256(everything)}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1))  # last: without it there is no parcel
    return manifest


def light_files(run: Path) -> dict[str, bytes]:
    """A run folder's files by name: the newest checkpoint in bf16, no optimiser state, and what is kept beside it."""
    import torch
    from safetensors.torch import save

    from training import checkpoint

    saved = checkpoint.load(run / "checkpoints")
    folder = f"checkpoints/step_{saved.step:06d}"
    files = {name: (run / name).read_bytes() for name in KEPT if (run / name).is_file()}
    for kept in KEPT_FOLDERS:
        files |= {str(p.relative_to(run)): p.read_bytes() for p in sorted((run / kept).glob("*")) if p.is_file()}
    about = {**saved.manifest, "light": True}
    parts = {"model": saved.model, "ema": saved.ema}
    if is_finished(run, saved.step):
        parts = {"model": {**saved.model, **saved.ema}}
        about["averaged"] = sorted(saved.ema)
    for name, tensors in parts.items():
        rounded = {k: t.to(torch.bfloat16) if t.is_floating_point() else t for k, t in tensors.items()}
        files[f"{folder}/{name}.safetensors"] = save(rounded)
    files[f"{folder}/manifest.json"] = json.dumps(about, indent=2).encode()
    return files


def is_finished(run: Path, step: int) -> bool:
    about = json.loads((run / "run.json").read_text())
    return bool(step >= about["config"].get("loop", {}).get("steps", math.inf))


def newest(run: Path) -> int:
    from training import checkpoint

    steps = checkpoint.list_steps(run / "checkpoints")
    return int(steps[-1].name.removeprefix("step_")) if steps else -1


def unpack(tar: tarfile.TarFile, folder: Path) -> None:
    """Plain files inside `folder` only, as extractall(filter="data") has it, which is in Python since 3.11.4."""
    for member in tar:
        target = folder / member.name
        if member.isdir():
            continue
        stream = tar.extractfile(member) if member.isfile() else None
        if stream is None or not target.resolve().is_relative_to(folder.resolve()):
            raise CheckpointMismatch(f"A parcel holds plain files of its runs only, this one '{member.name}' too.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out)


def join(parcel: Path, runs: Path) -> dict[str, int]:
    """Verify the parcel and put its run folders under `runs`. -> the step of each.

    A run that is further there already is left as it is. Raises CheckpointMismatch naming the part that is wrong.
    """
    manifest = read_manifest(parcel)
    everything = b"".join(read_part(parcel, part) for part in manifest["parts"])
    if sha256(everything) != manifest["sha256"]:
        raise CheckpointMismatch(f"The parts in {parcel} do not belong together; bring all of them back from one call.")
    aside = runs / ".joining"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(everything)) as tar:
        unpack(tar, aside)
    for name, step in manifest["steps"].items():
        if newest(runs / name) < step:
            settle(aside / name, runs / name)
    shutil.rmtree(aside)
    return {name: newest(runs / name) for name in manifest["steps"]}


def settle(come: Path, run: Path) -> None:
    """Move a joined run folder into place; its checkpoint last, because that is what makes it newer."""
    about = json.loads((come / "run.json").read_text())
    about["config"]["out"] = str(run)
    (come / "run.json").write_text(json.dumps(about, indent=2))
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    for item in sorted(come.iterdir()):
        if item.name != "checkpoints":
            if (run / item.name).is_dir():
                shutil.rmtree(run / item.name)
            os.replace(item, run / item.name)
    for step in (come / "checkpoints").iterdir():
        averaged = json.loads((step / "manifest.json").read_text()).get("averaged")
        if averaged is not None:
            from safetensors.torch import load_file, save_file

            model = load_file(step / "model.safetensors")
            save_file({name: model[name] for name in averaged}, step / "ema.safetensors")
        os.replace(step, run / "checkpoints" / step.name)


def read_manifest(parcel: Path) -> dict[str, Any]:
    path = parcel / "manifest.json"
    if not path.is_file():
        raise CheckpointMismatch(
            f"There is no manifest.json in {parcel}; give the folder that the machine's call filled."
        )
    manifest: dict[str, Any] = json.loads(path.read_text())
    if manifest.get("format") != FORMAT:
        raise CheckpointMismatch(f"{path} has format {manifest.get('format')}, this program reads {FORMAT}.")
    return manifest


def read_part(parcel: Path, part: dict[str, Any]) -> bytes:
    path = parcel / part["name"]
    data = path.read_bytes() if path.is_file() else b""
    if len(data) != part["bytes"] or sha256(data) != part["sha256"]:
        raise CheckpointMismatch(f"{path} is missing or damaged ({len(data)} of {part['bytes']} bytes); copy it again.")
    return data


def sha256(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()
