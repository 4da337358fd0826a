"""Is the program itself whole: Python, packages, memory, the encoder, the model's folder. Knows nothing of stories."""

from __future__ import annotations

import json
import platform
import struct
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from app.checkup.finding import Finding, Findings, fine, in_bytes, note, wrong
from app.settings import DEFAULT_PREDICTOR, ROOT, Settings
from nsp_core.banks import file
from nsp_core.checkpoint import check_folder
from nsp_core.errors import CheckpointMismatch, ConfigError

LEAST_MEMORY = 2_000_000_000  # what the starter and a page need together


def look_at_machine(settings: Settings) -> Findings:
    yield from python()
    yield from packages()
    yield memory()
    yield encoder()
    yield model(settings)


def python() -> Findings:
    wanted = SpecifierSet(_project()["requires-python"])
    here = platform.python_version()
    if wanted.contains(here, prereleases=True):
        yield fine("python_fine", version=here, path=sys.executable)
    else:
        yield wrong("python_old", version=here, wanted=str(wanted))


def packages() -> Findings:
    """Every requirement is there and in its range; where the version is not the one that was tested, that is a note."""
    lacking, untested = [], []
    pins = dict(_pins())
    for text in _project()["dependencies"]:
        requirement = Requirement(text)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            lacking.append(f"{text}: not installed")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            lacking.append(f"{text}: {version} is installed")
        elif (pin := pins.get(_plain(requirement.name))) is not None and version.partition("+")[0] != pin:
            untested.append(f"{requirement.name} {version}, tested with {pin}")
    count = len(_project()["dependencies"])
    if lacking:
        yield wrong("packages_lacking", n=len(lacking), details=tuple(lacking))
    else:
        yield fine("packages_fine", n=count)
    if untested:
        yield note("packages_untested", n=len(untested), details=tuple(untested))


def memory() -> Finding:
    import psutil

    found = psutil.virtual_memory()
    sizes = {"total": in_bytes(found.total), "free": in_bytes(found.available)}
    if found.total < LEAST_MEMORY:
        return wrong("memory_small", **sizes, least=in_bytes(LEAST_MEMORY))
    if found.available < LEAST_MEMORY:
        return note("memory_taken", **sizes, least=in_bytes(LEAST_MEMORY))
    return fine("memory_fine", **sizes)


def encoder() -> Finding:
    """A clip is written and read again: whether the libraries are there says less."""
    import numpy as np

    try:
        from nsp_core.media import probe_clip, write_clip

        with tempfile.TemporaryDirectory(prefix="whatnext-doctor-") as folder:
            path = Path(folder) / "clip.mp4"
            frames = np.zeros((9, 64, 96, 3), dtype=np.uint8)
            frames[:, :32] = 200
            write_clip(path, frames, 8)
            found = probe_clip(path)
        if found.frames != len(frames):
            return wrong("encoder_broken", cause=f"{found.frames} of {len(frames)} frames came back")
    except Exception as error:  # av raises what ffmpeg says, in dozens of classes
        return wrong("encoder_broken", cause=" ".join(f"{type(error).__name__}: {error}".split())[:200])
    return fine("encoder_fine")


def model(settings: Settings) -> Finding:
    if settings.is_tier:
        return fine("model_tier", name=settings.model)
    if settings.predictor != DEFAULT_PREDICTOR:
        return note("model_other", predictor=settings.predictor)
    folder = Path(settings.model)
    try:
        bank = file.find(folder)
        if bank is None:
            check_folder(folder)
        folders = (folder,) if bank is None else file.folders(file.read(bank))
    except (CheckpointMismatch, ConfigError) as error:
        return wrong("model_broken", cause=str(error))
    weights = [(path, one) for one in folders for path in sorted(one.rglob("*.safetensors"))]
    cut = tuple(path.relative_to(one).as_posix() for path, one in weights if not is_whole(path))
    if cut:
        return wrong("model_cut", folder=str(folder), details=cut)
    size = sum(path.stat().st_size for path, _ in weights)
    return fine("model_fine", folder=str(folder), size=in_bytes(size))


def is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says: not cut off, and no pointer left by git-lfs."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > 100_000_000:
                return False
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        return path.stat().st_size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return False


def _project() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _pins() -> Iterator[tuple[str, str]]:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        name, found, version = line.partition("#")[0].strip().partition("==")
        if found:
            yield _plain(name), version.strip()


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(".", "-")
