"""The predictor of a tier, from weights that were fetched. Only ever called in the process that draws."""

from __future__ import annotations

import importlib
import logging

from app.shortage import OutOfMemory, is_out_of_memory
from nsp_core import hardware
from nsp_core.errors import ModelUnavailable, WhatNextError
from nsp_core.fit import check_fit
from nsp_core.tiers import tier_called
from nsp_core.types import Predictor
from nsp_core.weights.cache import Cache

log = logging.getLogger(__name__)


def load(name: str) -> Predictor:
    """The tier's banks. What cannot fit, or is not here, is refused before torch is imported.

    Raises ModelUnavailable, OutOfMemory when the device's memory was not enough after all, CheckpointMismatch.
    """
    tier = tier_called(name)
    if tier.spec is None:
        raise ModelUnavailable("The starter is no bank: name its folder instead.")
    here = hardware.look()
    check_fit(tier, here)
    try:
        check_fit(tier, here, now=True)
    except ModelUnavailable as error:
        raise OutOfMemory(str(error)) from None  # it would fit: a smaller one may do while others hold the memory
    cache = Cache.here()
    for model in tier.models:
        cache.folder_of(model)
    try:
        banks = importlib.import_module("nsp_core.banks.load")
        made: Predictor = banks.load(tier.spec, cache.folder_of, "cuda" if tier.needs_cuda else None)
    except WhatNextError:
        raise
    except ImportError as error:
        raise ModelUnavailable(
            f"{name} cannot be loaded without {error.name or error}: run python launch.py again."
        ) from error
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"The graphics card's memory was not enough to load {name}.") from error
        log.info("%s does not load", name, exc_info=True)
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelUnavailable(
            f"{name} cannot be loaded ({cause}): python launch.py models verify says whether its files are whole."
        ) from error
    return made
