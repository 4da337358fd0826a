"""The starter is taken apart into run folders, and put together again it is what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from nsp_core.errors import CheckpointMismatch
from training.export import assemble, save
from training.models import ROOT
from training.unpack import unpack

STARTER = ROOT / "assets" / "starter"
pytestmark = pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    unpack(STARTER, out)
    return out


def test_put_together_again_it_is_the_same_to_the_byte(runs: Path, tmp_path: Path) -> None:
    save(assemble(runs / "vae", runs / "reader", runs / "generator"), tmp_path / "again")
    weights = [path.relative_to(STARTER) for path in STARTER.rglob("*.safetensors")]
    assert len(weights) == 4
    for name in (*weights, "model_index.json", "language.json", "processor/tokenizer.json"):
        assert (tmp_path / "again" / name).read_bytes() == (STARTER / name).read_bytes(), name


def test_runs_that_are_there_stay(runs: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="unpack somewhere else"):
        unpack(STARTER, runs)
