"""Which adapters there are, and which one is chosen: what lessons left, and what lies in the data folder's `adapters`.

The choice is one small file, "FOLDER=STRENGTH", which the next start reads, too; strength 0 is off. Whether an adapter
was made for the model that runs is only known where that model's fingerprint is. Loads no model.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from app.catalogue import say
from app.settings import Settings
from app.teaching.lesson import Lessons
from nsp_core import adapters
from nsp_core.banks import file
from nsp_core.checkpoint import fingerprint
from nsp_core.errors import UserError, WhatNextError

log = logging.getLogger(__name__)

MOST = 1.5  # strength on the page; the command line takes up to 2


@dataclass(frozen=True)
class Offer:
    """One adapter. `key` names it on the page; `lesson` is the key of the lesson that left it; `why`: what is wrong
    with it, "" when it can be read. `base` is the fingerprint of the model that it is for, "" where nobody says."""

    key: str
    path: Path
    name: str
    base: str = ""
    rank: int = 0
    bytes: int = 0
    lesson: str = ""
    why: str = ""


def offers(data_dir: Path) -> tuple[Offer, ...]:
    return tuple(_offers(data_dir))


def _offers(data_dir: Path) -> Iterator[Offer]:
    for lesson in Lessons(data_dir).all():
        if lesson.adapter is not None:
            yield _offer(f"lesson:{lesson.key}", lesson.adapter, lesson.name, lesson.key)
    folder = data_dir / "adapters"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        named = path.suffix == ".safetensors" or (path.is_dir() and adapters.file_of(path).is_file())
        if not path.name.startswith(".") and named:
            yield _offer(f"own:{path.name}", path, path.stem if path.is_file() else path.name, "")


def _offer(key: str, path: Path, name: str, lesson: str) -> Offer:
    if "," in str(path):  # it could not be named beside others
        return Offer(key, path, name, lesson=lesson, why=say("teach.comma"))
    try:
        stat = adapters.file_of(path).stat()
        found = _read(path, stat.st_mtime_ns)
    except (WhatNextError, OSError) as error:
        return Offer(key, path, name, lesson=lesson, why=str(error))
    return Offer(key, path, name if lesson else found.name, found.base, found.rank, stat.st_size, lesson)


@functools.lru_cache(maxsize=64)
def _read(path: Path, _changed: int) -> adapters.Adapter:
    return adapters.read(path)


def offer_called(data_dir: Path, key: str) -> Offer:
    """Raises UserError when there is none."""
    found = next((one for one in offers(data_dir) if one.key == key), None)
    if found is None:
        raise UserError(say("teach.no_adapter"))
    return found


def base_of(settings: Settings) -> str:
    """The fingerprint of a model folder, as adapters name it; "" of models that say theirs only once loaded."""
    folder = Path(settings.model)
    if settings.is_tier or file.find(settings.model) is not None or not folder.is_dir():
        return ""
    return _fingerprint(folder, max((path.stat().st_mtime_ns for path in folder.rglob("*")), default=0))


@functools.lru_cache(maxsize=4)
def _fingerprint(folder: Path, _changed: int) -> str:
    return fingerprint(folder)


def now_chosen(settings: Settings) -> tuple[Path, float] | None:
    """The one adapter of these settings, with its strength; None for none, and for several that were named."""
    named = adapters.named(settings.adapter)
    return named[0] if len(named) == 1 else None


def kept(settings: Settings) -> tuple[Path, float] | None:
    """What was chosen on the page, strength 0 included."""
    try:
        named = adapters.named(settings.adapter_file.read_text(encoding="utf-8"))
    except (OSError, UserError, UnicodeDecodeError):
        return None
    return named[0] if len(named) == 1 and 0 <= named[0][1] <= MOST else None


def keep(settings: Settings, path: Path, strength: float) -> None:
    partial = settings.adapter_file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(f"{path}={strength:g}\n", encoding="utf-8")
    os.replace(partial, settings.adapter_file)


def with_kept(settings: Settings) -> Settings:
    """The settings with the adapter that was chosen on the page, unless one was named at the start. One that cannot be
    read any more is passed over, because a page must open."""
    chosen = kept(settings)
    if settings.adapter or chosen is None or not chosen[1]:
        return settings
    try:
        adapters.read(chosen[0])
    except WhatNextError as error:
        log.warning("%s It was chosen on the page; the model goes on without it.", error)
        return settings
    return with_adapter(settings, *chosen)


def with_adapter(settings: Settings, path: Path, strength: float) -> Settings:
    return replace(settings, adapter=f"{path.resolve()}={strength:g}" if strength else "")


def remove(offer: Offer) -> None:
    """Erase an adapter; a lesson keeps its clips and everything else."""
    if offer.path.is_dir():
        gone = offer.path.with_name(f".{offer.path.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        offer.path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        offer.path.unlink(missing_ok=True)
