"""What does not change from step to step is computed once a run, and nothing else is different."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nsp_core.banks import file
from nsp_core.banks.load import load
from nsp_core.banks.pipeline import BankPipeline
from nsp_core.model.once import Once
from nsp_core.model.spec import BankSpec
from nsp_core.types import SamplingOptions, StoryContext
from tests import hub_layout


@pytest.fixture(scope="module", params=["0.9.0", "0.9.5"])
def pipeline(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> BankPipeline:
    root = tmp_path_factory.mktemp("hub")
    hub_layout.write_qwen(root / "qwen")
    hub_layout.write_ltx(root / "ltx", request.param)
    spec = BankSpec("cascade", file.local(root / "qwen"), file.local(root / "ltx"), dtype="float32", steps=3)
    small = {"width": 96, "height": 64, "frames": 17}
    made = load(replace(spec, **small), file.folder_of)  # type: ignore[arg-type]
    made.drawer.as_published = True
    return made


def take(pipeline: BankPipeline, words: str = "It falls.") -> np.ndarray:
    return pipeline(StoryContext(), words, mode="cut", options=SamplingOptions(seed=2, preview_every=0)).latents


def test_once_a_run(pipeline: BankPipeline) -> None:
    inside = pipeline.transformer.caption_projection.linear_1  # of what is asked once
    keys = pipeline.transformer.transformer_blocks[0].attn2.to_k
    seen: list[str] = []
    hook = inside.register_forward_hook(lambda *_: seen.append("words"))
    first = take(pipeline)
    assert len(seen) == 1, "not in each of three steps"
    take(pipeline, "It breaks.")
    assert len(seen) == 2, "other words are other words"
    assert np.array_equal(take(pipeline), first) and len(seen) == 3, "nothing is kept beyond a run"
    assert "forward" not in keys.__dict__, "the model is as it was"
    hook.remove()


def test_a_changed_weight_counts_from_the_next_run(pipeline: BankPipeline) -> None:
    """As with a LoRA that is loaded between two takes of the same words."""
    first, keys = take(pipeline), pipeline.transformer.transformer_blocks[0].attn2.to_k
    kept = keys.weight.detach().clone()
    with torch.no_grad():
        keys.weight.add_(torch.randn_like(keys.weight))
    other = take(pipeline)
    with torch.no_grad():
        keys.weight.copy_(kept)
    assert not np.array_equal(other, first) and np.array_equal(take(pipeline), first)


def test_the_same_to_the_last_bit(pipeline: BankPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = take(pipeline)
    monkeypatch.setattr(Once, "__enter__", lambda self: self)
    assert np.array_equal(take(pipeline), kept)


def test_nothing_is_kept_where_gradients_are_wanted(pipeline: BankPipeline) -> None:
    once = Once(pipeline.transformer)
    with torch.enable_grad(), once:
        assert "forward" not in pipeline.transformer.rope.__dict__
    with torch.no_grad(), once:
        assert "forward" in pipeline.transformer.rope.__dict__
    assert "forward" not in pipeline.transformer.rope.__dict__
