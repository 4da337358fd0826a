"""A reader whose answers are given: for what is done with them, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nsp_core.model.writing import Written


def script(monkeypatch: pytest.MonkeyPatch, module: str, say: Callable[[int], Written]) -> None:
    """`module` (of nsp_core), which asks for words, is given say(seed) instead."""
    monkeypatch.setattr(f"nsp_core.{module}.write", lambda *_, seed=0, **__: iter([say(seed)]))

    def several(_model: Any, _processor: Any, _prompt: Any, manners: Any, **_: Any) -> list[Written]:
        return [say(manner.seed) for manner in manners]

    monkeypatch.setattr(f"nsp_core.{module}.write_several", several)
