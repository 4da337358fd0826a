"""Run folders of the three stages at tiny size, made by the stages themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from training.generator import GeneratorConfig
from training.reader import ReaderConfig
from training.vae import VaeConfig


@dataclass(frozen=True)
class Runs:
    folder: Path
    vae: VaeConfig
    reader: ReaderConfig
    generator: GeneratorConfig


@pytest.fixture(scope="session")
def tiny_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """An autoencoder and a reader that were saved before their first step, and the config of a tiny generator."""
    from tests.training.tiny_parts import make_tiny_runs
    from training.picturebook import words

    everything = words.corpus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "corpus", lambda rng, _n: everything(rng, 300))
        yield make_tiny_runs(tmp_path_factory.mktemp("runs"))
