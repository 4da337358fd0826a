"""Adapters: a few megabytes of weights (LoRA, arXiv 2106.09685) that turn a model towards somebody's own world.

An adapter is a folder with `pytorch_lora_weights.safetensors`, as diffusers writes it (keys such as
`transformer.….lora_A.weight`; rank, alpha and places in the file's header), `adapter.json`, in which stands what it was
made for, and a card. A single file is one too: those of other programs, in ComfyUI's keys (`diffusion_model.…`) as
well, name no model that they were made for and are taken if their shapes fit. Loading, strengths and merging are
diffusers' and peft's own.
Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError

WEIGHTS = "pytorch_lora_weights.safetensors"
FACTS = "adapter.json"
FORMAT = 1


@dataclass(frozen=True)
class Adapter:
    """`path` is the file with the weights. `base` is the fingerprint of the model that it was made for; "" where nobody
    says. `hash` is of the weights, 16 hex digits."""

    path: Path
    name: str
    base: str
    rank: int
    hash: str


@dataclass(frozen=True)
class Facts:
    """What adapter.json says."""

    name: str
    base: str
    rank: int
    alpha: float
    steps: int
    pairs: int
    format: int = FORMAT


def named(spec: str) -> list[tuple[Path, float]]:
    """Folders or files and strengths of "FOLDER[=STRENGTH][,...]". Raises UserError for what is no number."""
    found = []
    for one in filter(None, (part.strip() for part in spec.split(","))):
        path, equals, strength = one.rpartition("=")
        try:
            found.append((Path(path if equals else one).expanduser(), float(strength) if equals else 1.0))
        except ValueError:
            raise UserError(f"An adapter is named FOLDER or FOLDER=STRENGTH with a number, got {one!r}.") from None
    return found


def read(path: str | Path) -> Adapter:
    """The adapter in a folder or file, without its weights.

    Raises UserError when there is none, CheckpointMismatch when it is none that can be used.
    """
    given = Path(path).expanduser()
    file = given / WEIGHTS if given.is_dir() else given
    if not file.is_file():
        raise UserError(f"There is no adapter at {given}: give a folder with {WEIGHTS}, or a .safetensors file.")
    rank = rank_of(file)
    facts = file.parent / FACTS
    told = _facts(facts) if given.is_dir() and facts.is_file() else {}
    name = str(told.get("name") or (given.name if given.is_dir() else given.stem))
    return Adapter(file, name, str(told.get("base") or ""), rank, hash_of(file))


def hash_of(file: Path) -> str:
    """Of tensors, names and settings. (Not of the bytes of the file: safetensors writes a header in any order.)"""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()[:16]


def rank_of(file: Path) -> int:
    """Of the first pair of matrices. Raises CheckpointMismatch when there is none, or the file is no safetensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, "np") as opened:
            for key in opened.keys():  # noqa: SIM118
                if key.endswith((".lora_A.weight", ".lora_down.weight")):
                    return int(opened.get_slice(key).get_shape()[0])
    except (SafetensorError, OSError) as error:
        raise CheckpointMismatch(f"The adapter {file} cannot be read; copy it again.") from error
    raise CheckpointMismatch(f"{file} holds no adapter (LoRA): give one that was made for this kind of model.")


def _facts(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointMismatch(f"{path} cannot be read; copy the adapter's folder again.") from error
    if not isinstance(told, dict) or int(told.get("format") or 0) > FORMAT:
        raise CheckpointMismatch(f"{path} was written by a newer version of this program: get that one.")
    return told


def attach(pipeline: Any, adapters: Sequence[tuple[Adapter, float]]) -> None:
    """Give `pipeline` these adapters at these strengths (1 is as it was taught, 0 is none), and no others.

    Several add up. The pipeline's fingerprint becomes that of model and adapters together; `pipeline.adapter` and
    `pipeline.adapter_strength` say so in words, for a take's recipe.

    Raises CheckpointMismatch when one was made for another model, ModelUnavailable without peft, UserError for a
    strength that makes no sense.
    """
    if adapters and not hasattr(pipeline, "load_lora_weights"):
        raise UserError("This model takes no adapters: leave them out.")
    detach(pipeline)
    base = pipeline.fingerprint
    for adapter, strength in adapters:
        if not 0 <= strength <= 2:
            raise UserError(f"The strength of an adapter lies between 0 and 2, got {strength:g} for {adapter.name}.")
        if adapter.base and adapter.base != base:
            raise CheckpointMismatch(
                f"The adapter {adapter.name} was made for another model ({adapter.base}, and this one is {base}): "
                "choose the model that it was taught on, or teach it again on this one."
            )
    if not adapters:
        return
    slots = [f"adapter_{number}" for number in range(len(adapters))]
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise ModelUnavailable("Adapters need the package peft: run pip install peft, then this again.") from error
    try:
        for slot, (adapter, _) in zip(slots, adapters, strict=True):
            pipeline.load_lora_weights(str(adapter.path.parent), weight_name=adapter.path.name, adapter_name=slot)
    except (ValueError, RuntimeError, KeyError) as error:
        detach(pipeline)
        raise CheckpointMismatch(
            f"The adapter {adapter.name} does not fit this model: it was made for another one."
        ) from error
    pipeline.set_adapters(slots, adapter_weights=[strength for _, strength in adapters])
    pipeline.adapter = " + ".join(adapter.name for adapter, _ in adapters)
    pipeline.adapter_strength = adapters[0][1] if len(adapters) == 1 else None
    pipeline.fingerprint = fingerprint(base, adapters)
    pipeline._without_adapters = base


def fingerprint(base: str, adapters: Sequence[tuple[Adapter, float]]) -> str:
    """Of a model with adapters: another model, or another strength, draws other pictures."""
    told = json.dumps([base, *([adapter.hash, strength] for adapter, strength in adapters)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def detach(pipeline: Any) -> None:
    """The model as it was."""
    if getattr(pipeline, "_without_adapters", None) is None and not _has_layers(pipeline):
        return
    pipeline.unload_lora_weights()
    pipeline.fingerprint = getattr(pipeline, "_without_adapters", None) or pipeline.fingerprint
    pipeline.adapter = pipeline.adapter_strength = pipeline._without_adapters = None


def _has_layers(pipeline: Any) -> bool:
    return bool(getattr(getattr(pipeline, "transformer", None), "peft_config", None))


def save(transformer: Any, slot: str, folder: Path, facts: Facts, card: str) -> Path:
    """Write the layers named `slot` of `transformer` as an adapter folder, whole or not at all."""
    import shutil
    import tempfile

    from diffusers.loaders import LTXVideoLoraLoaderMixin
    from peft.utils import get_peft_model_state_dict

    layers = get_peft_model_state_dict(transformer, adapter_name=slot)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        LTXVideoLoraLoaderMixin.save_lora_weights(
            part,
            transformer_lora_layers={k: v.detach().float().cpu().contiguous() for k, v in layers.items()},
            transformer_lora_adapter_metadata=header(transformer.peft_config[slot]),
        )
        (part / FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card, encoding="utf-8")
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def header(config: Any) -> dict[str, Any]:
    """What diffusers needs to build the same layers again, as JSON knows it."""
    told = config.to_dict()
    return {k: sorted(v) if isinstance(v, set) else v for k, v in told.items() if v is not None}


def for_comfyui(folder: Path, file: Path) -> Path:
    """The weights of an adapter folder in ComfyUI's keys: one file, which `read` takes as well. What is added alpha /
    rank times is so from the start, because such a file has no place to say it."""
    from safetensors.torch import load_file, save_file

    facts = _facts(folder / FACTS)
    scale = float(facts["alpha"]) / int(facts["rank"])
    state = {
        f"diffusion_model.{name.removeprefix('transformer.')}": value * scale if ".lora_B." in name else value
        for name, value in load_file(folder / WEIGHTS).items()
    }
    part = file.with_suffix(".partial")
    save_file(state, part)
    part.replace(file)
    return file
