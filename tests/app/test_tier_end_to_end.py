"""From the hub to a drawn scene: tiny weights in the real files, fetched over HTTP as a tier, loaded and asked.

What this proves that no part does alone: the patterns of a tier's files are all that its loader needs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import constants

from app import tier_model
from app.settings import Settings
from app.tier_choice import chosen
from nsp_core.hardware import Device, Hardware
from nsp_core.model.quantised import measure_folder
from nsp_core.tiers import GB, LTX_WITH_T5, QWEN_3B, Tier, tier_called
from nsp_core.types import NextScene, SamplingOptions, Scene, SceneRequest, StoryContext
from nsp_core.weights.cache import Cache
from nsp_core.weights.fetch import fetch
from nsp_core.weights.hub import Hub
from tests.hub_layout import write_connector, write_ltx, write_qwen
from tests.hub_server import Repo, served

SMALL = {"width": 160, "height": 96, "frames": 9, "steps": 2, "fps": 8, "offload": "group"}  # in turn wants a card


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache after `models get gpu-8`."""
    folder = tmp_path_factory.mktemp("published")
    write_qwen(folder / "reader")
    write_ltx(folder / "drawer")
    for careless in ("reader/pytorch_model.bin", "drawer/text_encoder/pytorch_model.bin", "drawer/evil.py"):
        (folder / careless).write_bytes(b"this would run what is in it")
    reader = Repo(QWEN_3B.repo, folder / "reader", pinned=QWEN_3B.revision)
    drawer = Repo(LTX_WITH_T5.repo, folder / "drawer", pinned=LTX_WITH_T5.revision)
    cache = Cache(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch, served(reader, drawer) as server:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        fetch(tier_called("gpu-8").models, cache=cache, hub=Hub(server.url))
        assert not [name for name in server.sent if name.endswith((".bin", ".py"))]
    return cache.root


@pytest.fixture(autouse=True)
def here(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These weights, a machine with a card of 12 GB, and a processor that does its work."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(weights))
    found = Device("cuda", "a card", 12 * GB, 12 * GB), Device("cpu", "a processor", 64 * GB, 60 * GB)
    monkeypatch.setattr("nsp_core.hardware.look", lambda: Hardware(found, 2, "Linux x86_64"))

    def small(name: str) -> Tier:
        tier = tier_called(name)
        assert tier.spec is not None
        return replace(tier, needs_cuda=False, spec=replace(tier.spec, **SMALL))  # type: ignore[arg-type]

    monkeypatch.setattr(tier_model, "tier_called", small)


def test_from_the_hub_to_a_scene(tmp_path: Path) -> None:
    settings = chosen(Settings(data_dir=tmp_path))
    assert settings.model == "gpu-8", "what fits and is here runs without being asked for"
    predictor = tier_model.load(settings.model)
    pipeline = predictor
    modules = pipeline.vision_language.named_modules()  # type: ignore[attr-defined]
    names = [name for name, module in modules if type(module).__name__ == "Linear4bit"]
    assert names and not [name for name in names if "visual" in name or "lm_head" in name]
    context = StoryContext((Scene("a red ball rolls across the table"),))
    request = SceneRequest(context, "the red ball falls", "cut", SamplingOptions(seed=1, steps=2))
    finished = [item for item in predictor.act(request) if isinstance(item, NextScene)]
    assert finished[0].frames.shape == (9, 96, 160, 3)


def test_with_a_connector_of_ones_own(tmp_path: Path) -> None:
    """T5, which came along, is left where it lies."""
    write_connector(tmp_path / "bridge")
    settings = chosen(Settings(data_dir=tmp_path, connector=str(tmp_path / "bridge")))
    predictor = tier_model.load(settings.model)
    assert predictor.text_encoder is None  # type: ignore[attr-defined]
    request = SceneRequest(StoryContext((Scene("a red ball rolls"),)), "it falls", "cut", SamplingOptions(steps=1))
    finished = [item for item in predictor.act(request) if isinstance(item, NextScene)]
    assert finished[0].how.startswith("unified: ") and finished[0].frames.shape == (9, 96, 160, 3)


def test_what_four_bits_cost_the_fetched_reader() -> None:
    found = measure_folder(Cache.here().folder_of(QWEN_3B))
    assert 0 < found.at_queries < 0.6 and 0 < found.at_connector < 0.6 and not found.trained
