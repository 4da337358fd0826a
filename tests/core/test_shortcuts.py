"""Drawing faster at the price of another picture: only when asked for, and never beyond one run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nsp_core import shortcuts
from nsp_core.errors import Cancelled, UserError
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import NextScene, Progress, SamplingOptions, SceneRequest, StoryContext
from tests.core import golden

STEPS = 10


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return golden.fixed_pipeline()


def request(faster: str = "") -> SceneRequest:
    options = SamplingOptions(steps=STEPS, guidance=2.0, seed=3, preview_every=0, faster=faster)
    return SceneRequest(StoryContext(), golden.WORDS, "cut", options)


def drawn(pipeline: NextScenePipeline, faster: str = "") -> tuple[NextScene, int]:
    """The scene, and how often the last block was worked out."""
    counted: list[int] = []
    hook = pipeline.transformer.transformer_blocks[-1].ff.register_forward_hook(lambda *_: counted.append(1))
    try:
        *_, scene = pipeline.act(request(faster))
    finally:
        hook.remove()
    assert isinstance(scene, NextScene)
    return scene, len(counted)


def held(pipeline: NextScenePipeline) -> list[str]:
    return [name for name, module in pipeline.transformer.named_modules() if "forward" in module.__dict__]


@pytest.mark.parametrize("name", shortcuts.SHORTCUTS)
def test_a_shortcut_is_told_saves_steps_and_leaves_nothing_behind(
    pipeline: NextScenePipeline, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcuts, "THRESHOLD", 1e6)  # whatever changes, it is taken over
    monkeypatch.setattr(shortcuts, "has_bf16", lambda: True)  # elsewhere it is the same, and slow
    plain, every = drawn(pipeline)
    short, some = drawn(pipeline, name)
    assert every == STEPS and (some == STEPS if name == "bf16" else 1 <= some < STEPS * 0.6)
    assert short.options.faster == name and plain.options.faster == ""
    assert not np.array_equal(short.latents, plain.latents) and np.isfinite(short.latents).all()
    again, _ = drawn(pipeline)
    assert np.array_equal(again.latents, plain.latents)
    twice, _ = drawn(pipeline, name)
    assert np.array_equal(twice.latents, short.latents), "a run begins with what an earlier one found out"


@pytest.mark.parametrize("name", shortcuts.SHORTCUTS)
def test_a_run_that_is_stopped_lets_the_model_go(
    pipeline: NextScenePipeline, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcuts, "has_bf16", lambda: True)
    before = held(pipeline)
    with pytest.raises(Cancelled):
        list(pipeline.act(request(name), should_stop=lambda: True))
    run = pipeline.act(request(name))
    while next(run).step < 2:  # type: ignore[union-attr]
        pass
    assert not torch.is_autocast_enabled("cpu"), "between steps others work"
    run.close()
    assert held(pipeline) == before and not pipeline.transformer.is_cache_enabled


def test_a_threshold_of_nothing_takes_nothing_over(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcuts, "THRESHOLD", 0.0)
    plain, _ = drawn(pipeline)
    short, count = drawn(pipeline, "first-block")
    assert count == STEPS and np.array_equal(short.latents, plain.latents)


def test_half_the_digits_draw_nearly_the_same(pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "has_bf16", lambda: True)
    plain, short = drawn(pipeline)[0].latents, drawn(pipeline, "bf16")[0].latents
    assert 1e-5 < np.abs(short - plain).max() < 0.2 * np.abs(plain).max()


def test_half_the_digits_are_refused_where_they_are_slower(
    pipeline: NextScenePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shortcuts, "has_bf16", lambda: False)
    with pytest.raises(UserError, match="AMX"):
        drawn(pipeline, "bf16")
    assert not held(pipeline)


def test_an_unknown_shortcut_is_refused_before_anything_is_read(pipeline: NextScenePipeline) -> None:
    with pytest.raises(UserError, match="first-block, bf16, taylor"):
        next(iter(pipeline.act(request("teacache"))))
    assert isinstance(next(iter(pipeline.act(request("taylor")))), Progress)
