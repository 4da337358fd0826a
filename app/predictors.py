"""How the worker gets its model. The only place of the app that knows where a Predictor comes from.

`settings.predictor` names a function "module:function"; it is called with `settings.model` and returns a Predictor.
The default loads a folder in hub layout, or the published weights that a bank.json names; tests name a fake of their
own here and nowhere below.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.shortage import OutOfMemory, is_out_of_memory
from nsp_core import hardware
from nsp_core.adapters import attach, named, read
from nsp_core.banks import file
from nsp_core.checkpoint import check_folder
from nsp_core.errors import CheckpointMismatch, ConfigError, ModelUnavailable, UserError, WhatNextError
from nsp_core.fit import check_folders
from nsp_core.types import Predictor

log = logging.getLogger(__name__)


class AdapterRefused(UserError):
    """The model is there, and does not take the adapter."""


@dataclass(frozen=True)
class Canvas:
    """The size of clip that a model reads and draws."""

    width: int = 160
    height: int = 96
    frames: int = 17
    fps: int = 8


def load(spec: str) -> Predictor:
    """The pipeline in the folder or bank.json `spec`. Imports torch; only ever called in the process that draws.

    Raises ModelUnavailable or CheckpointMismatch, one sentence each: the libraries below have dozens of ways to say so.
    """
    check(spec)  # before torch, which takes seconds
    try:
        if bank := file.find(spec):
            from nsp_core.banks.load import load as load_bank

            return load_bank(file.read(bank), file.folder_of)
        from nsp_core.pipeline import NextScenePipeline

        return NextScenePipeline.from_pretrained(spec)
    except WhatNextError:
        raise
    except ImportError as error:
        raise ModelUnavailable(
            f"The model cannot be loaded without the package {error.name or error}: run python launch.py again."
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory("There is not enough memory for the model: close other programs.") from error
        log.info("the model folder %s does not load", spec, exc_info=True)
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CheckpointMismatch(
            f"The model folder {spec} is damaged or of another version ({cause}): copy the whole folder again."
        ) from error


def check(spec: str) -> None:
    """Whether `spec` names a model at all, what is missing if it is not whole, and whether a big one fits here."""
    bank = file.find(spec)
    if bank is not None:
        banks = file.read(bank)
        check_folders(banks, file.sizes(banks), hardware.look(), str(bank))
    elif not Path(spec).is_dir():
        raise ModelUnavailable(
            f"There is no model folder {spec}: get the whole checkout again, or name another one with --starter."
        )
    else:
        check_folder(Path(spec))


def check_adapters(spec: str) -> None:
    """Raises UserError or CheckpointMismatch for one that is not there, or is none."""
    for path, _ in named(spec):
        read(path)


def build(predictor: str, model: str, adapter: str = "") -> Predictor:
    """Call the function that `predictor` names with `model`; what it returns gets the adapters that `adapter` names.

    Raises AdapterRefused when it is these that cannot be used.
    """
    module, _, name = predictor.partition(":")
    if not module or not name:
        raise ConfigError(f"The predictor is named 'module:function', got {predictor!r}.")
    try:
        factory = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ConfigError(f"There is no module {module!r} to take the predictor from.") from error
    except AttributeError as error:
        raise ConfigError(f"The module {module!r} has no function {name!r} to take the predictor from.") from error
    made: Predictor = factory(model)
    if adapter:
        try:
            attach(made, [(read(path), strength) for path, strength in named(adapter)])
        except WhatNextError as error:
            raise AdapterRefused(str(error)) from error
    return made


def canvas_of(predictor: Predictor) -> Canvas:
    """What the model says of itself; a model that says nothing draws what the starter draws."""
    geometry: Any = getattr(predictor, "geometry", None)
    rate = getattr(getattr(predictor, "config", None), "fps", None) or Canvas.fps
    if geometry is None:
        return Canvas(fps=int(rate))
    return Canvas(int(geometry.width), int(geometry.height), int(geometry.frames), int(rate))
