"""From a BankSpec and folders of weights to a predictor: parts loaded in their own classes, kept where memory allows.

Where the weights come from is not known here: `folder_of(HubModel)` says where they lie. Memory is saved with the
libraries' own means: bitsandbytes NF4 through transformers, accelerate's hooks, diffusers' group offload and tiles.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nsp_core import checkpoint
from nsp_core.banks import reading
from nsp_core.banks.pipeline import BankPipeline
from nsp_core.errors import CheckpointMismatch, ModelUnavailable
from nsp_core.model import build
from nsp_core.model.connector import Connector
from nsp_core.model.quantised import quantisation
from nsp_core.model.spec import BankSpec, HubModel

FolderOf = Callable[[HubModel], Path]
TILE, TILE_STRIDE = 256, 192  # pixels; multiples of 32, or the autoencoder's output would silently be smaller
_COMMIT = re.compile(r"[0-9a-f]{40}")


def load(spec: BankSpec, folder_of: FolderOf, device: str | None = None) -> BankPipeline:
    """The pipeline that `spec` describes, on `device` ("cuda" where there is one, else "cpu").

    Raises ModelUnavailable or CheckpointMismatch, with what is missing.
    """
    if spec.mode == "unified" and spec.connector is None:
        raise ModelUnavailable(
            "Unified mode needs a trained connector, and none was given: name one, or use cascade mode instead."
        )
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype: torch.dtype = getattr(torch, spec.dtype)
    reader, drawer = folder_of(spec.reader), folder_of(spec.drawer)
    family = reading.family_of(reader)
    small = quantisation(spec, target)
    with checkpoint.without_progress_bars():
        processor = reading.load_processor(reader, family, (spec.frames - 1) / spec.fps or 1.0)
        vision_language = reading.load_model(reader, dtype, **small)
        module = build.drawer(transformer_of(drawer))
        words = spec.mode == "cascade"
        parts = module.load(drawer, dtype, words=words, single_file=spec.single_file, **(small if words else {}))
        connector = None if words else load_connector(spec, folder_of, dtype)
    if connector is not None:
        check_fit(vision_language, connector, parts["transformer"])
    best = {"steps": spec.steps, "guidance": spec.guidance, "shift": None}
    pipeline = BankPipeline(
        vision_language,
        processor,
        connector=connector,
        **parts,
        width=spec.width,
        height=spec.height,
        num_frames=spec.frames,
        fps=spec.fps,
        sampling={"continue": best, "cut": best},
    )
    pipeline.how = spec.why
    pipeline.fingerprint = fingerprint(spec, folder_of)
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    place(pipeline, spec, target)
    return pipeline


# --- parts ----------------------------------------------------------------------------------------------------------


def transformer_of(folder: Path) -> str:
    """The class of the transformer that model_index.json names."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        return str(index["transformer"][1])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise CheckpointMismatch(f"The drawer's folder {folder} has no usable model_index.json.") from error


def load_connector(spec: BankSpec, folder_of: FolderOf, dtype: torch.dtype) -> Connector:
    assert spec.connector is not None
    folder = folder_of(spec.connector) if isinstance(spec.connector, HubModel) else spec.connector
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise CheckpointMismatch(f"{folder} is no connector: it needs config.json and its safetensors.")
    connector: Connector = Connector.from_pretrained(str(folder), dtype=dtype, local_files_only=True)
    return connector


def check_fit(vision_language: Any, connector: Connector, transformer: Any) -> None:
    """Raise CheckpointMismatch when the connector was made for other banks."""
    hidden = vision_language.config.get_text_config().hidden_size
    captions = transformer.config.caption_channels
    made_for = (connector.config.hidden, connector.config.caption_channels)
    if made_for != (hidden, captions):
        raise CheckpointMismatch(
            f"The connector joins a reader of width {made_for[0]} to a drawer that takes {made_for[1]}, but these have "
            f"{hidden} and {captions}: choose the models that it was trained with."
        )


# --- memory ---------------------------------------------------------------------------------------------------------


def place(pipeline: BankPipeline, spec: BankSpec, device: torch.device) -> None:
    """Put the parts where they compute, or where they wait until they do (`spec.offload`, `spec.tiled`)."""
    if spec.tiled:
        pipeline.vae.enable_tiling(
            tile_sample_min_height=TILE,
            tile_sample_min_width=TILE,
            tile_sample_stride_height=TILE_STRIDE,
            tile_sample_stride_width=TILE_STRIDE,
        )
    if spec.offload == "in_turn":
        pipeline.enable_model_cpu_offload(device=device)
        return
    if spec.offload == "group":
        pipeline.transformer.enable_group_offload(
            onload_device=device,
            offload_device=torch.device("cpu"),
            offload_type="block_level",
            num_blocks_per_group=1,
            use_stream=device.type == "cuda",
        )
        offloaded = {"transformer"}
    else:
        offloaded = set()
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module) and name not in offloaded:
            part.to(device)  # bitsandbytes' parts lie there already


# --- identity -------------------------------------------------------------------------------------------------------


def fingerprint(spec: BankSpec, folder_of: FolderOf) -> str:
    """16 hex digits of what decides a drawing: the weights and how they are kept.

    A commit of the hub stands for its files. Other folders are read whole, which takes seconds a gigabyte.
    """
    named: dict[str, Any] = {k: v for k, v in asdict(spec).items() if k in ("mode", "four_bits", "dtype", "tiled")}
    for name in ("reader", "drawer", "connector", "single_file"):
        what = getattr(spec, name)
        if isinstance(what, HubModel) and _COMMIT.fullmatch(what.revision):
            named[name] = [what.repo, what.revision]
        elif isinstance(what, Path) and what.is_file():
            with what.open("rb") as stream:
                named[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        elif what is not None:
            named[name] = checkpoint.fingerprint(folder_of(what) if isinstance(what, HubModel) else what)
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]
