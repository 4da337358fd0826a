"""Checkpoint folders: what must be in one, loading with clear errors, and the fingerprint that a recipe records.

Hub layout: model_index.json and one folder a component (vision_language, processor, connector, transformer, vae,
scheduler), weights as safetensors only; `language.json` when the model's language is small.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch
from nsp_core.language import Language

COMPONENTS = ("vision_language", "processor", "connector", "transformer", "vae", "scheduler")


def check_folder(path: Path) -> None:
    """Raise CheckpointMismatch naming the first thing that is missing or not allowed."""
    if not (path / "model_index.json").is_file():
        raise CheckpointMismatch(
            f"{path} is not a model folder: it has no model_index.json; give one made by save_pretrained."
        )
    for name in COMPONENTS:
        if not (path / name).is_dir():
            raise CheckpointMismatch(f"The model folder {path} lacks '{name}/'; copy the whole folder again.")
    for name in ("vision_language", "connector", "transformer", "vae"):
        if not list((path / name).glob("*.safetensors")):
            raise CheckpointMismatch(
                f"The model folder {path} has no safetensors in '{name}/'; copy the whole folder again."
            )


def fingerprint(path: Path) -> str:
    """First 16 hex digits of a hash over every file that decides what the model does, names included."""
    digest = hashlib.sha256()
    for file in sorted(
        p for p in path.rglob("*") if p.is_file() and p.suffix in (".json", ".safetensors", ".jinja", ".txt")
    ):
        digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Loading takes a second or two: the libraries' own bars would only write over ours."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    shown = [library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()]
    for library in shown:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library in shown:
            library.enable_progress_bar()


def load_pipeline(cls: Any, path: Path, load: Callable[..., Any], **kwargs: Any) -> Any:
    """Check, load the parts that diffusers cannot find by itself, load the rest, stamp the fingerprint."""
    import torch

    from nsp_core.model.connector import Connector
    from nsp_core.model.processor import load_processor

    # each library has its own default and name for it; fp32 runs on every CPU
    kwargs["dtype"] = kwargs.pop("torch_dtype", None) or kwargs.get("dtype") or torch.float32
    check_folder(path)
    index = json.loads((path / "model_index.json").read_text())
    if index.get("_class_name") != cls.__name__:
        raise CheckpointMismatch(
            f"{path} holds a {index.get('_class_name')}, not a {cls.__name__}; give a next-scene model."
        )
    kwargs.setdefault("processor", load_processor(path / "processor"))
    with without_progress_bars():
        kwargs.setdefault("connector", Connector.from_pretrained(str(path / "connector"), dtype=kwargs["dtype"]))
        pipeline = load(str(path), local_files_only=True, use_safetensors=True, **kwargs)
    pipeline.language = Language.load(path)
    pipeline.fingerprint = fingerprint(path)
    for name in ("vision_language", "connector", "transformer", "vae"):
        getattr(pipeline, name).eval().requires_grad_(False)
    return pipeline
