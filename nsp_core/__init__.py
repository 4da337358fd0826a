"""The next-scene model: reads a story, says what happens next, draws it. Importing this package loads no torch."""

from __future__ import annotations

import logging
from typing import Any

_LAZY = {
    "NextScenePipeline": "nsp_core.pipeline",
    "Connector": "nsp_core.model.connector",
    "VisionLanguageProcessor": "nsp_core.model.processor",
}

__all__ = ["Connector", "NextScenePipeline", "VisionLanguageProcessor"]

# It says on every start that a faster kernel for 4 bits could be installed; on a CPU nothing of ours uses it
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'nsp_core' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
