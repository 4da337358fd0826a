"""The story's reader: positions, left padding, queries behind the prompt, words token by token, and the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.errors import Cancelled
from nsp_core.model import build
from nsp_core.model.processor import load_processor
from nsp_core.model.vision_language import Prompt, positions, prepare, query_states
from nsp_core.model.writing import score, write
from nsp_core.types import Frames

QUERIES = 6
WIDTH = 64


@pytest.fixture(scope="module", params=[(16, 1), (8, 2)], ids=["starter", "merging"])
def geometry(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Side of a patch, and how many patches a side become one token: the starter's, and the way of the big Qwen."""
    return request.param


@pytest.fixture(scope="module")
def processor(geometry: tuple[int, int]) -> Any:
    return build.processor(build.tokenizer(["a red ball on the left. it rolls to the middle."] * 20, 400), *geometry)


@pytest.fixture(scope="module")
def model(processor: Any, geometry: tuple[int, int]) -> Any:
    torch.manual_seed(0)
    patch, merge = geometry
    sizes = {"hidden": WIDTH, "layers": 2, "vision_hidden": 64, "vision_layers": 1}
    made = build.vision_language(processor.tokenizer, **sizes, patch=patch, merge=merge)
    # Newborn weights are so small that every position looks alike; what is tested here must be able to differ.
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def queries() -> torch.Tensor:
    return torch.randn(QUERIES, WIDTH, generator=torch.Generator().manual_seed(1))


def clip(seed: int, height: int = 96, width: int = 160) -> Frames:
    return np.random.default_rng(seed).integers(0, 255, (2, height, width, 3), dtype=np.uint8)


def pictured(seed: int = 0, text: str = "1. a red ball\nWhat happens next?") -> Prompt:
    return Prompt(text, (clip(seed),))


PROMPTS = {
    "words": Prompt("1. a red ball\n2. it rolls\nWhat happens next?"),
    "one clip": pictured(),
    "two clips": Prompt("Does it follow?", (clip(1), clip(2))),
    "a clip of another size": Prompt("What is seen?", (clip(3, 48, 64),)),
}


@pytest.mark.parametrize("name", PROMPTS)
@torch.no_grad()
def test_our_positions_are_those_of_a_plain_forward(model: Any, processor: Any, name: str) -> None:
    """transformers computes positions itself when it is given none: the logits must be the same with ours."""
    inputs = prepare(processor, [PROMPTS[name]])
    plain = model(**inputs, use_cache=False).logits
    extra = {k: v for k, v in inputs.items() if k in ("pixel_values_videos", "video_grid_thw")}
    ours = model(input_ids=inputs["input_ids"], position_ids=positions(model, inputs), use_cache=False, **extra).logits
    torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)
    moved = positions(model, inputs).clone()
    moved[..., -1] += 5
    other = model(input_ids=inputs["input_ids"], position_ids=moved, use_cache=False, **extra).logits
    assert (other[:, -1] - plain[:, -1]).abs().max() > 1e-3, "the comparison above could not have failed"


@torch.no_grad()
def test_positions_count_on_after_a_clip(model: Any, processor: Any) -> None:
    """60 vision tokens of a 6x10 grid take up ten places, not sixty; words go on behind the widest side."""
    inputs = prepare(processor, [pictured()])
    ids = positions(model, inputs)[:, 0]
    video = inputs["input_ids"][0] == processor.tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert int(video.sum()) == 60
    seen = ids[:, video]
    assert (seen.amax(1) - seen.amin(1)).tolist() == [0, 5, 9]
    after = ids[:, int(video.nonzero().max()) + 1 :]
    assert (after[0] == after[1]).all() and (after[1] == after[2]).all()
    assert after[0].diff().unique().tolist() == [1]
    assert int(after[0, 0]) == int(seen.max()) + 1


@pytest.mark.parametrize("multiple", [1, 64])
@torch.no_grad()
def test_padding_changes_nothing(model: Any, processor: Any, queries: torch.Tensor, multiple: int) -> None:
    short, long = pictured(4, "Hi"), pictured(5, "1. a red ball\n" * 6 + "What happens next?")
    both, _ = query_states(model, prepare(processor, [short, long], multiple), queries)
    for row, prompt in enumerate((short, long)):
        alone, _ = query_states(model, prepare(processor, [prompt]), queries)
        torch.testing.assert_close(both[row], alone[0], atol=2e-4, rtol=1e-4)
    for other in (Prompt("1. a red ball rolls to the middle\nWhat happens next?"), long):
        both, _ = query_states(model, prepare(processor, [Prompt("Hi"), other], multiple), queries)
        alone, _ = query_states(model, prepare(processor, [Prompt("Hi")]), queries)
        torch.testing.assert_close(both[0], alone[0], atol=2e-4, rtol=1e-4)


@torch.no_grad()
def test_queries_are_what_appended_embeddings_would_be(model: Any, processor: Any, queries: torch.Tensor) -> None:
    """The hook must not change what the model computes: the same by handing the embeddings in, causal mask and all."""
    inputs = prepare(processor, [PROMPTS["words"]])
    states, _ = query_states(model, inputs, queries)
    embedded = torch.cat([model.get_input_embeddings()(inputs["input_ids"]), queries[None]], 1)
    ids = torch.arange(embedded.shape[1]).expand(3, 1, -1)
    plain = model.model.language_model(inputs_embeds=embedded, position_ids=ids, use_cache=False).last_hidden_state
    torch.testing.assert_close(states[0], plain[0, -QUERIES:], atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_queries_see_all_of_the_prompt(model: Any, processor: Any, queries: torch.Tensor) -> None:
    before, _ = query_states(model, prepare(processor, [pictured(6, "1. a red ball\nDraw: it rolls")]), queries)
    other_words, _ = query_states(model, prepare(processor, [pictured(6, "1. a red bell\nDraw: it rolls")]), queries)
    other_picture, _ = query_states(model, prepare(processor, [pictured(7, "1. a red ball\nDraw: it rolls")]), queries)
    for changed in (other_words, other_picture):
        assert (changed - before).abs().amax(-1).min() > 1e-3, "a query did not notice"


@torch.no_grad()
def test_a_suffix_reads_the_queries_only(model: Any, processor: Any, queries: torch.Tensor) -> None:
    inputs = prepare(processor, [pictured(8, "1. a red ball\nDraw: it rolls"), pictured(9, "Hi")])
    suffix = torch.randint(10, 100, (2, 7), generator=torch.Generator().manual_seed(2))
    ones = torch.ones_like(suffix)
    alone, none = query_states(model, inputs, queries)
    states, tail = query_states(model, inputs, queries, (suffix, ones))
    assert none.shape == (2, 0, WIDTH) and tail.shape == (2, 7, WIDTH)
    torch.testing.assert_close(states, alone, atol=1e-4, rtol=1e-4)

    # Other queries reach the suffix ...
    _, moved = query_states(model, inputs, queries.flip(0), (suffix, ones))
    assert (moved - tail).abs().amax(-1).min() > 1e-3
    # ... later words of it do not reach earlier ones ...
    changed = suffix.clone()
    changed[:, -1] += 1
    _, later = query_states(model, inputs, queries, (changed, ones))
    torch.testing.assert_close(later[:, :-1], tail[:, :-1], atol=1e-4, rtol=1e-4)
    assert (later[:, -1] - tail[:, -1]).abs().max() > 1e-3


def test_no_gradient_reaches_the_prompt_past_the_queries(model: Any, processor: Any) -> None:
    """With the queries' own rows cut off, nothing of the prompt is left in the suffix."""
    inputs = prepare(processor, [PROMPTS["words"]])
    suffix = torch.randint(10, 100, (1, 5), generator=torch.Generator().manual_seed(3))
    table = model.get_input_embeddings()
    seen: list[torch.Tensor] = []

    def watch(_module: Any, _args: Any, out: torch.Tensor) -> torch.Tensor:
        seen.append(out.detach().requires_grad_(True))
        return seen[-1]

    handle = table.register_forward_hook(watch)
    try:
        empty = torch.zeros(0, WIDTH)
        _, tail = query_states(model, inputs, empty, (suffix, torch.ones_like(suffix)))
        tail.sum().backward()
    finally:
        handle.remove()
    gradient = seen[0].grad
    assert gradient is not None
    length = inputs["input_ids"].shape[1]
    assert gradient[:, :length].abs().max() == 0
    assert gradient[:, length:].abs().min() > 0


@pytest.mark.parametrize("name", ["words", "one clip"])
@torch.no_grad()
def test_writing_word_by_word_is_the_full_forward(model: Any, processor: Any, name: str) -> None:
    prompt = PROMPTS[name]
    tokenizer = processor.tokenizer
    inputs = prepare(processor, [prompt])
    greedy: list[int] = []
    odds_taken: list[float] = []
    for _ in range(8):
        tail = torch.tensor([greedy], dtype=torch.long)
        ids = torch.cat([inputs["input_ids"], tail], 1)
        grown = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if "mm_token_type_ids" in inputs:
            kinds = inputs["mm_token_type_ids"]
            grown["mm_token_type_ids"] = torch.cat([kinds, kinds.new_zeros(1, len(greedy))], 1)
        odds = model(**grown, use_cache=False).logits[0, -1].log_softmax(-1)
        token = int(odds.argmax())
        odds_taken.append(float(odds[token]))
        if token in (tokenizer.eos_token_id, tokenizer.pad_token_id):
            break
        greedy.append(token)
    assert len(greedy) >= 4, "too short an answer to compare"
    pieces = list(write(model, processor, prompt, max_tokens=8))
    assert pieces[-1].done and not any(piece.done for piece in pieces[:-1])
    assert len(pieces) == len(greedy) + 1
    assert pieces[-1].text == tokenizer.decode(greedy, skip_special_tokens=True).strip()
    assert pieces[-1].score == pytest.approx(np.mean(odds_taken), abs=1e-5)
    assert pieces[1].score == pytest.approx(np.mean(odds_taken[:2]), abs=1e-5)


@torch.no_grad()
def test_writing_is_the_same_by_seed_and_stops_within_a_token(model: Any, processor: Any) -> None:
    def told(seed: int) -> str:
        return list(write(model, processor, pictured(), max_tokens=12, temperature=1.0, top_p=0.95, seed=seed))[-1].text

    assert told(1) == told(1)
    assert len({told(seed) for seed in range(4)}) > 1
    asked = iter([False, False, True])
    pieces = write(model, processor, pictured(), max_tokens=12, temperature=2.0, should_stop=lambda: next(asked))
    with pytest.raises(Cancelled):
        for _ in pieces:
            pass


@torch.no_grad()
def test_a_score_is_the_log_probability_of_the_answer(model: Any, processor: Any) -> None:
    prompt, answer = pictured(), " ball on the left"
    inputs = prepare(processor, [prompt])
    end = processor.tokenizer.eos_token
    ids = processor.tokenizer(answer + end, return_tensors="pt")["input_ids"]
    kinds = inputs["mm_token_type_ids"]
    grown = {
        **inputs,
        "input_ids": torch.cat([inputs["input_ids"], ids], 1),
        "attention_mask": torch.ones(1, inputs["input_ids"].shape[1] + ids.shape[1], dtype=torch.long),
        "mm_token_type_ids": torch.cat([kinds, kinds.new_zeros(ids.shape)], 1),
    }
    odds = model(**grown, use_cache=False).logits[0, inputs["input_ids"].shape[1] - 1 : -1].log_softmax(-1)
    expected = float(odds.gather(1, ids[0][:, None]).mean())
    assert score(model, processor, prompt, [answer]) == [pytest.approx(expected, abs=1e-4)]


@torch.no_grad()
def test_the_processor_is_the_same_after_saving(processor: Any, tmp_path: Path) -> None:
    processor.save_pretrained(str(tmp_path))
    loaded = load_processor(tmp_path)
    prompts = [pictured(1), Prompt("What is seen?", (clip(2, 48, 64), clip(3)))]
    before, after = prepare(processor, prompts), prepare(loaded, prompts)
    assert before.keys() == after.keys()
    for key in before:
        assert torch.equal(before[key], after[key]), key
    assert loaded.tokenizer.padding_side == "left"
    assert loaded.tokenizer.decode(loaded.tokenizer("It rolls — 3 m, “ja”.")["input_ids"]) == "It rolls — 3 m, “ja”."


def test_a_starter_clip_passes_unresized(processor: Any, geometry: tuple[int, int]) -> None:
    side, merge = geometry
    inputs = prepare(processor, [pictured(10)])
    assert inputs["video_grid_thw"].tolist() == [[1, 96 // side, 160 // side]]
    pixels = inputs["pixel_values_videos"].reshape(6, 10, merge, merge, 3, 2, side, side)  # token, patch, channel, time
    frames = processor.video_processor
    mean, deviation = torch.tensor(frames.image_mean), torch.tensor(frames.image_std)
    picture = torch.from_numpy(clip(10)).float().div(255).sub(mean).div(deviation)
    block = pixels[2, 3, merge - 1, 0].permute(1, 2, 3, 0)  # the lower left patch of the token in row 2, column 3
    top, left = 2 * 16 + 16 - side, 3 * 16
    torch.testing.assert_close(block, picture[:, top : top + side, left : left + side], atol=1e-5, rtol=1e-5)
