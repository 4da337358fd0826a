"""Fewer passes over memory, the same velocity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import LTXVideoTransformer3DModel
from torch import Tensor

from nsp_core.model.quick import Quick

FRAMES, HEIGHT, WIDTH = 3, 2, 4
CELLS, FRAME = FRAMES * HEIGHT * WIDTH, HEIGHT * WIDTH


@pytest.fixture
def transformer() -> LTXVideoTransformer3DModel:
    torch.manual_seed(0)
    made = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=2,
        caption_channels=12,
    )
    return made.eval().requires_grad_(False)


def asked(clean: int | None, mask: bool = False, alike: bool = False) -> dict[str, Any]:
    """`clean` frames at timestep 0, the others at 700; None: one timestep a sample. `alike`: as guidance asks."""
    timestep = torch.full((2,), 700.0)
    if clean is not None:
        timestep = timestep[:, None].repeat(1, CELLS)
        timestep[:, : clean * FRAME] = 0
    generator = torch.Generator().manual_seed(1)
    counts = torch.tensor([[1, 0, 0, 0, 0], [1, 1, 1, 1, 0]])
    cells = torch.randn(2, CELLS, 8, generator=generator)
    return {
        "hidden_states": cells[:1].repeat(2, 1, 1) if alike else cells,
        "encoder_hidden_states": torch.randn(2, 5, 12, generator=generator),
        "encoder_attention_mask": counts if mask else None,
        "timestep": timestep,
        "num_frames": FRAMES,
        "height": HEIGHT,
        "width": WIDTH,
        "rope_interpolation_scale": (0.5, 32, 32),
        "return_dict": False,
    }


def both(transformer: Any, how: dict[str, Any]) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        plain = transformer(**how)[0]
        with Quick(transformer):
            return plain, transformer(**how)[0]


@pytest.mark.parametrize("clean", [None, 0, 1, 2])
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("alike", [False, True])
def test_the_same_velocity(transformer: Any, clean: int | None, mask: bool, alike: bool) -> None:
    plain, quick = both(transformer, asked(clean, mask, alike))
    assert plain.std() > 0.1, "nothing would always be met"
    torch.testing.assert_close(quick, plain, atol=1e-5, rtol=1e-5)


def test_evaluations_of_one_run_may_differ_in_their_noise(transformer: Any) -> None:
    """Nothing of the evaluation before is left over: neither its kinds of cells nor its place."""
    quick = Quick(transformer)
    with torch.no_grad():
        for clean in (1, None, 2, 0, 1):
            plain = transformer(**asked(clean))[0]
            with quick:
                torch.testing.assert_close(transformer(**asked(clean))[0], plain, atol=1e-5, rtol=1e-5)


def test_each_kind_of_cell_is_embedded_once(transformer: Any) -> None:
    seen: list[int] = []
    transformer.time_embed.linear.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    both(transformer, asked(1))
    assert seen == [2 * CELLS, 2]


def test_cells_that_are_alike_are_one_until_words_tell_them_apart(transformer: Any) -> None:
    seen: list[tuple[int, ...]] = []
    for block in transformer.transformer_blocks:
        block.attn1.to_q.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape[:2])))
    both(transformer, asked(1, alike=True))
    assert seen == [(2, CELLS), (2, CELLS), (1, CELLS), (2, CELLS)]
    seen.clear()
    both(transformer, asked(1, alike=False))
    assert seen == 4 * [(2, CELLS)]


def test_where_one_token_counts_nobody_is_asked_for_it(transformer: Any) -> None:
    seen: list[tuple[int, ...]] = []
    hear = transformer.transformer_blocks[1].attn2
    hear.to_q.register_forward_hook(lambda _, given, __: seen.append(tuple(given[0].shape[:2])))
    both(transformer, asked(1, mask=True))
    assert seen == [(2, CELLS), (1, CELLS)]
    seen.clear()
    last = asked(1, mask=True)
    last["encoder_attention_mask"] = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 1, 0, 0]])
    plain, quick = both(transformer, last)
    torch.testing.assert_close(quick, plain, atol=1e-5, rtol=1e-5)
    assert seen == [(2, CELLS)], "the plain one alone asks"


def test_an_adapter_counts(transformer: Any) -> None:
    from peft import LoraConfig

    before, _ = both(transformer, asked(1))
    transformer.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    for name, weight in transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    plain, quick = both(transformer, asked(1))
    assert (plain - before).abs().max() > 1e-2
    torch.testing.assert_close(quick, plain, atol=1e-5, rtol=1e-5)


def test_blocks_that_a_hook_holds_are_asked_as_they_are(transformer: Any) -> None:
    """As diffusers' offloading and its caches hold them."""
    from diffusers.hooks import FirstBlockCacheConfig

    transformer.enable_cache(FirstBlockCacheConfig(threshold=0.0))
    with torch.no_grad(), transformer.cache_context("one"):
        plain = transformer(**asked(1))[0]
    held = [block.forward for block in transformer.transformer_blocks]
    with torch.no_grad(), transformer.cache_context("two"), Quick(transformer):
        assert [block.forward for block in transformer.transformer_blocks] == held
        assert torch.equal(transformer(**asked(1))[0], plain)


def test_the_model_is_as_it_was(transformer: Any) -> None:
    both(transformer, asked(1))
    assert not [name for name, module in transformer.named_modules() if "forward" in module.__dict__]
    with torch.enable_grad(), Quick(transformer):
        assert not [name for name, module in transformer.named_modules() if "forward" in module.__dict__]
