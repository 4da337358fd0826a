"""bank.json: which folders of published weights make one model, and how they are kept. For people who have the folders.

    {"reader": "Qwen2.5-VL-7B-Instruct", "drawer": "LTX-Video", "four_bits": true, "offload": "in_turn"}

Folders are relative to the file. With a "connector" the mode is unified, without one it is cascade; every other field
of BankSpec may be given. Knows nothing of torch: what is missing is said before that is loaded.
"""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

from nsp_core.errors import CheckpointMismatch, ConfigError
from nsp_core.model.spec import BankSpec, HubModel
from nsp_core.tiers import GB, Sizes

NAME = "bank.json"
_KEPT = ("visual.", "lm_head", "embed_tokens", "shared.", ".wo.")  # never in four bits, see nsp_core.model.quantised
_NF4 = 0.53  # bytes a number, with its scales
_LONGEST_HEADER = 100_000_000  # bytes, as in the format's own limit
_PLACES = ("reader", "drawer", "connector", "single_file")


def find(model: str | Path) -> Path | None:
    """The bank file that `model` names: itself, or the one in the folder; None when it names none."""
    path = Path(model)
    if path.is_dir():
        path = path / NAME
    return path if path.name.endswith(NAME) and path.is_file() else None


def read(path: Path) -> BankSpec:
    """The spec in a bank file, its folders absolute. Raises ConfigError, or CheckpointMismatch for a missing folder."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON ({error}).") from None
    if not isinstance(given, dict):
        raise ConfigError(f"{path} must hold one JSON object with at least a reader and a drawer.")
    kinds = {field.name: str(field.type) for field in fields(BankSpec)}
    for key, value in given.items():
        check(path, kinds, key, value)
    for needed in ("reader", "drawer"):
        if not given.get(needed):
            raise ConfigError(f"{path} names no {needed}: give the folder of its weights.")
    places = {key: place(path, key, str(given[key])) for key in _PLACES if given.get(key)}
    rest = {key: value for key, value in given.items() if key not in _PLACES}
    rest.setdefault("mode", "unified" if "connector" in places else "cascade")
    return BankSpec(
        reader=local(places["reader"]),
        drawer=local(places["drawer"]),
        connector=places.get("connector"),
        single_file=places.get("single_file"),
        **rest,
    )


def check(path: Path, kinds: dict[str, str], key: str, value: Any) -> None:
    if key not in kinds:
        near = difflib.get_close_matches(key, kinds, 1)
        raise ConfigError(f"{path} has an unknown key '{key}'" + (f"; did you mean '{near[0]}'?" if near else "."))
    kind = kinds[key]
    allowed = {"int": (int,), "float": (int, float), "bool": (bool,)}.get(kind, (str, type(None)))
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
        raise ConfigError(f"{path}: '{key}' must be {kind if kind in ('int', 'float', 'bool') else 'a text'}.")
    choices = {"mode": ("unified", "cascade"), "offload": ("none", "group", "in_turn")}
    choices["dtype"] = ("bfloat16", "float16", "float32")
    if key in choices and value not in choices[key]:
        raise ConfigError(f"{path}: '{key}' is one of {', '.join(choices[key])}, got '{value}'.")


def place(path: Path, key: str, given: str) -> Path:
    where = (path.parent / Path(given).expanduser()).resolve()
    if not (where.is_file() if key == "single_file" else where.is_dir()):
        raise CheckpointMismatch(f"{path} names {where} as its {key}, but it is not there.")
    return where


def local(folder: Path) -> HubModel:
    """A folder on this machine in the place of one on the hub."""
    return HubModel(str(folder), "", ())


def folders(spec: BankSpec) -> tuple[Path, ...]:
    """All that a bank file names, for whoever looks whether the weights are whole."""
    connector = (spec.connector,) if isinstance(spec.connector, Path) else ()
    return (folder_of(spec.reader), folder_of(spec.drawer), *connector)


def sizes(spec: BankSpec) -> Sizes:
    """What the parts in `local` folders take as `spec` keeps them, from the headers of their files. A file that has no
    header counts as large as it is."""
    reader, drawer = folder_of(spec.reader), folder_of(spec.drawer)
    parts = {name: drawer / name for name in ("text_encoder", "transformer", "vae")}
    if spec.mode == "unified" and isinstance(spec.connector, Path):
        parts["connector"] = spec.connector
    found = {name: sorted(folder.glob("*.safetensors")) for name, folder in {"reader": reader, **parts}.items()}
    if spec.mode == "unified":
        found["text_encoder"] = []
    if spec.single_file is not None:
        found["transformer"], found["vae"] = [spec.single_file], []
    small = ("reader", "text_encoder") if spec.four_bits else ()
    taken = {name: sum(_taken(path, spec.dtype, name in small) for path in files) for name, files in found.items()}
    disk = sum(path.stat().st_size for files in found.values() for path in files)
    return Sizes(
        reader=taken["reader"] / GB,
        text=taken["text_encoder"] / GB,
        transformer=taken["transformer"] / GB,
        autoencoder=taken["vae"] / GB,
        connector=taken.get("connector", 0.0) / GB,
        disk=disk / GB,
    )


def _taken(path: Path, dtype: str, four_bits: bool) -> float:
    """Bytes of a file's tensors in memory. In four bits are the matrices but those that `quantised.KEPT` leaves."""
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        try:
            tensors = json.loads(stream.read(length)) if length < _LONGEST_HEADER else None
        except ValueError:
            tensors = None
    if not isinstance(tensors, dict):
        return path.stat().st_size
    width = 4 if dtype == "float32" else 2
    taken = 0.0
    for name, one in tensors.items():
        if name != "__metadata__":
            matrix = len(one["shape"]) == 2 and not any(part in name for part in _KEPT)
            taken += math.prod(one["shape"]) * (_NF4 if four_bits and matrix else width)
    return taken


def folder_of(model: HubModel) -> Path:
    """Where `local` weights lie."""
    return Path(model.repo)
