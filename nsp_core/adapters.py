"""Adapters: a few megabytes of weights (LoRA, arXiv 2106.09685) that turn a model towards somebody's own world.

An adapter is a folder with `pytorch_lora_weights.safetensors`, as diffusers writes it (keys such as
`transformer.….lora_A.weight`; rank, alpha and places in the file's header), `adapter.json`, in which stands what it was
made for, and a card. Where the connector or its queries were taught as well, `connector.safetensors` holds what was
added to each of their weights. `reader_lora.safetensors` is a taste for words (nsp_core.taste), beside these or instead
of them. A single file is one too: those of other programs, in ComfyUI's keys
(`diffusion_model.…`) as well, name no model that they were made for and are taken if their shapes fit. Loading,
strengths and merging are diffusers' and peft's own; what is taken away again is put back to the bit.
Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError

WEIGHTS = "pytorch_lora_weights.safetensors"
CONNECTOR = "connector.safetensors"
TASTE = "reader_lora.safetensors"
FACTS = "adapter.json"
FORMAT = 1


@dataclass(frozen=True)
class Adapter:
    """`path` is the file with the weights. `base` is the fingerprint of the model that it was made for; "" where nobody
    says. `hash` is of the weights, 16 hex digits. `words`: those that it was taught and the model's language lacks.
    `taste` is the file with a taste for words, where it has one; the same as `path` when there is nothing else."""

    path: Path
    name: str
    base: str
    rank: int
    hash: str
    words: frozenset[str] = frozenset()
    taste: Path | None = None

    @property
    def draws(self) -> bool:
        """Whether it changes pictures."""
        return self.taste != self.path


@dataclass(frozen=True)
class Facts:
    """What adapter.json says."""

    name: str
    base: str
    rank: int
    alpha: float
    steps: int
    pairs: int
    words: tuple[str, ...] = ()
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
    file = file_of(given)
    taste = given / TASTE if given.is_dir() and (given / TASTE).is_file() else None
    if not file.is_file():
        raise UserError(f"There is no adapter at {given}: give a folder with {WEIGHTS}, or a .safetensors file.")
    rank = rank_of(file)
    facts = file.parent / FACTS
    told = _facts(facts) if given.is_dir() and facts.is_file() else {}
    name = str(told.get("name") or (given.name if given.is_dir() else given.stem))
    words = frozenset(str(word) for word in told.get("words") or ())
    return Adapter(file, name, str(told.get("base") or ""), rank, hash_of(file), words, taste)


def file_of(given: Path) -> Path:
    """The file with the weights of a folder or file; where a folder holds a taste for words alone, that one."""
    if not given.is_dir():
        return given
    return next((file for name in (WEIGHTS, TASTE) if (file := given / name).is_file()), given / WEIGHTS)


def hash_of(file: Path) -> str:
    """Of tensors, names and settings. (Not of the bytes of the file: safetensors writes a header in any order.)"""
    digest = hashlib.sha256()
    beside = [file.with_name(name) for name in (CONNECTOR, TASTE)] if file.name == WEIGHTS else []
    for one in (file, *(other for other in beside if other.is_file())):
        with one.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            digest.update(json.dumps(header, sort_keys=True).encode())
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
        if adapter.taste is not None and not getattr(pipeline, "takes_taste", True):
            raise UserError(f"{adapter.name} holds a taste for words, which this model does not take: leave it out.")
    if not adapters:
        return
    taste = _taste(pipeline, adapters)
    drawing = [(adapter, strength) for adapter, strength in adapters if adapter.draws]
    if drawing:
        _load_layers(pipeline, drawing)
    pipeline.taste = taste
    pipeline.taught = frozenset().union(*(adapter.words for adapter, _ in adapters))
    pipeline.adapter = " + ".join(adapter.name for adapter, _ in adapters)
    pipeline.adapter_strength = adapters[0][1] if len(adapters) == 1 else None
    pipeline.fingerprint = fingerprint(base, adapters)
    pipeline._without_adapters = base


def _taste(pipeline: Any, adapters: Sequence[tuple[Adapter, float]]) -> Any:
    from nsp_core.taste import joined

    told = joined([(adapter.taste, strength) for adapter, strength in adapters if adapter.taste is not None])
    if told is not None:
        told.over(pipeline.vision_language)  # fits, or says so now
    return told


def _load_layers(pipeline: Any, adapters: Sequence[tuple[Adapter, float]]) -> None:
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
    try:
        _add_to_connector(pipeline, adapters)
    except CheckpointMismatch:
        detach(pipeline)
        raise


def fingerprint(base: str, adapters: Sequence[tuple[Adapter, float]]) -> str:
    """Of a model with adapters: another model, or another strength, draws other pictures."""
    told = json.dumps([base, *([adapter.hash, strength] for adapter, strength in adapters)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def detach(pipeline: Any) -> None:
    """The model as it was."""
    if getattr(pipeline, "_without_adapters", None) is None and not _has_layers(pipeline):
        return
    unmerge(pipeline)
    if _has_layers(pipeline):
        pipeline.unload_lora_weights()
    pipeline.taste = None
    for name, value in getattr(pipeline, "_connector_before", None) or ():
        pipeline.connector.get_parameter(name).data.copy_(value)
    pipeline._connector_before, pipeline._null, pipeline.taught = None, None, frozenset()
    pipeline.fingerprint = getattr(pipeline, "_without_adapters", None) or pipeline.fingerprint
    pipeline.adapter = pipeline.adapter_strength = pipeline._without_adapters = None


def _has_layers(pipeline: Any) -> bool:
    return bool(getattr(getattr(pipeline, "transformer", None), "peft_config", None))


def _add_to_connector(pipeline: Any, adapters: Sequence[tuple[Adapter, float]]) -> None:
    """Where the connector was taught, too: its weights and `strength` times what was added to them. The pipeline keeps
    them as they were."""
    from safetensors.torch import load_file

    added: list[tuple[str, Any]] = []
    for adapter, strength in adapters:
        file = adapter.path.with_name(CONNECTOR)
        if adapter.path.name == WEIGHTS and file.is_file():
            added += [(name, strength * value) for name, value in load_file(file).items()]
    own = {} if getattr(pipeline, "connector", None) is None else dict(pipeline.connector.named_parameters())
    if any(name not in own or own[name].shape != value.shape for name, value in added):
        raise CheckpointMismatch("The adapter's connector does not fit this model: it was made for another one.")
    names = dict.fromkeys(name for name, _ in added)
    pipeline._connector_before = [(name, own[name].detach().clone()) for name in names] or None
    pipeline._null = None  # guidance's other side goes through the connector
    for name, before in pipeline._connector_before or ():
        more = sum(value.to(before.device) for one, value in added if one == name)
        own[name].data.copy_(before.float() + more)


def merge(pipeline: Any) -> None:
    """What is attached becomes part of the transformer's own weights (at the strengths that it has), so that a step
    costs what it did without. The weights as they were are kept in memory: `unmerge` puts them back to the bit."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if getattr(pipeline, "_unmerged", None) is not None or not _has_layers(pipeline):
        return
    layers = [m for m in pipeline.transformer.modules() if isinstance(m, BaseTunerLayer)]
    pipeline._unmerged = [(m, m.get_base_layer().weight.detach().clone()) for m in layers]
    pipeline.fuse_lora(components=["transformer"])


def unmerge(pipeline: Any) -> None:
    """The inverse of `merge`; nothing where nothing was merged."""
    kept = getattr(pipeline, "_unmerged", None)
    if kept is None:
        return
    pipeline.unfuse_lora(components=["transformer"])
    for layer, weight in kept:
        layer.get_base_layer().weight.data.copy_(weight)  # subtracting again would leave a rounding
    pipeline._unmerged = None


def save(
    transformer: Any, slot: str, folder: Path, facts: Facts, card: str, connector: Mapping[str, Any] | None = None
) -> Path:
    """Write the layers named `slot` of `transformer` as an adapter folder, whole or not at all. `connector`: what was
    added to weights of the connector, by their names."""
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
        if connector:
            from safetensors.torch import save_file

            added = {k: v.detach().float().cpu().contiguous() for k, v in connector.items()}
            save_file(added, part / CONNECTOR)
        (part / FACTS).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card, encoding="utf-8")
        put_in_place(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def put_in_place(part: Path, folder: Path) -> None:
    """`part`, which is whole, becomes `folder`; what lay there goes."""
    import shutil

    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


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
