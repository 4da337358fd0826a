"""A prompt's beginning is read once; what is written and understood after it is the same, to the last bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.model.beginnings import Beginnings, beginning
from nsp_core.model.vision_language import Prompt, prepare, query_states, query_states_after
from nsp_core.model.writing import score, write
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import Scene, StoryContext
from training.models import ROOT

FRAMES = 60  # tokens of the two frames that are seen: with words more, and what comes after a beginning is fewer
STARTER = ROOT / "assets" / "starter"
pytestmark = pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return NextScenePipeline.from_pretrained(STARTER)


def story(pipeline: Any, seed: int = 0) -> StoryContext:
    shape = (pipeline.config.num_frames, pipeline.config.height, pipeline.config.width, 3)
    frames = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    return StoryContext((Scene("A red ball lies in the meadow.", None), Scene("The sun goes down.", frames)))


def counted(pipeline: Any) -> list[int]:
    """How many tokens the reader is given, each time."""
    seen: list[int] = []
    layer = pipeline.vision_language.model.language_model.layers[0]
    layer.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    return seen


def asked(pipeline: Any, task: str, seed: int = 0) -> tuple[Prompt, dict[str, torch.Tensor]]:
    prompt = pipeline.prompt(story(pipeline, seed), task)
    return prompt, prepare(pipeline.processor, [prompt])


@torch.no_grad()
def test_what_is_understood_is_within_rounding_what_it_was(pipeline: Any) -> None:
    prompt, inputs = asked(pipeline, "Draw: The ball rolls away.")
    queries = pipeline.connector.queries
    plain, _ = query_states(pipeline.vision_language, inputs, queries)
    begun = Beginnings().of(pipeline.vision_language, pipeline.processor, prompt, inputs)
    assert begun is not None and begun.length < inputs["input_ids"].shape[1]
    after = query_states_after(pipeline.vision_language, inputs, queries, begun)
    torch.testing.assert_close(after, plain, atol=1e-4, rtol=1e-4)
    assert plain.std() > 0.1


@torch.no_grad()
def test_kept_or_not_the_bits_are_the_same(pipeline: Any) -> None:
    """A recipe gives the same pictures whatever was asked before it."""
    task = "Draw: The ball rolls away."
    pipeline.beginnings = Beginnings()
    fresh = pipeline.read(asked(pipeline, task)[0])
    seen = counted(pipeline)
    again = pipeline.read(asked(pipeline, task)[0])
    pipeline.read(asked(pipeline, "Draw: The bird sings.")[0])
    third = pipeline.read(asked(pipeline, task)[0])
    assert torch.equal(fresh, again) and torch.equal(fresh, third)
    assert max(seen) < FRAMES
    seen.clear()
    pipeline.read(asked(pipeline, task, seed=1)[0])  # other pictures
    assert max(seen) > FRAMES


@torch.no_grad()
def test_words_and_their_meaning_begin_alike(pipeline: Any) -> None:
    pipeline.beginnings = Beginnings()
    seen = counted(pipeline)
    told = [one.text for one in pipeline.think(story(pipeline), alternatives=3) if one.done]
    whole = beginning(pipeline.processor, *asked(pipeline, pipeline.dialect.next))
    assert told and whole > FRAMES
    assert seen.count(whole) == 1 and max(seen) == whole, "the story is read once"
    seen.clear()
    pipeline.encode_condition(story(pipeline), told[0])
    assert max(seen) < whole, "and not again for the picture"


@torch.no_grad()
def test_another_reader_and_one_that_learnt_read_anew(pipeline: Any) -> None:
    import copy

    prompt, inputs = asked(pipeline, "What happens next?")
    beginnings, reader = Beginnings(), copy.deepcopy(pipeline.vision_language)
    asked_of = (reader, pipeline.processor, prompt, inputs)
    first = beginnings.of(*asked_of)
    assert first is not None
    weight = next(reader.model.language_model.layers[0].parameters())
    weight.add_(0.1)
    second = beginnings.of(*asked_of)
    assert second is not None
    layers = [begun.cache.layers[-1].keys for begun in (first, second)]
    assert not torch.equal(*layers)
    other = beginnings.of(pipeline.vision_language, *asked_of[1:])
    assert other is not None and not torch.equal(other.cache.layers[-1].keys, layers[1])
    known = beginnings.of(*asked_of)
    assert known is not None and torch.equal(known.cache.layers[-1].keys, layers[1])


def test_nothing_is_kept_while_gradients_are_wanted(pipeline: Any) -> None:
    prompt, inputs = asked(pipeline, "What happens next?")
    assert Beginnings().of(pipeline.vision_language, pipeline.processor, prompt, inputs) is None


def test_what_begins_alike(pipeline: Any) -> None:
    prompt, inputs = asked(pipeline, "What happens next?")
    other, others = asked(pipeline, "Draw: The ball rolls away.")
    alike = beginning(pipeline.processor, prompt, inputs)
    assert alike == beginning(pipeline.processor, other, others)
    assert torch.equal(inputs["input_ids"][:, :alike], others["input_ids"][:, :alike])
    assert alike > FRAMES + 8  # and the words of two scenes
    alone = Prompt("Draw: A cat sits in the meadow.")
    assert beginning(pipeline.processor, alone, prepare(pipeline.processor, [alone])) == 0


@torch.no_grad()
def test_what_was_kept_is_not_touched_by_who_goes_on(pipeline: Any) -> None:
    prompt, inputs = asked(pipeline, "What happens next?")
    beginnings = Beginnings()

    def begin(*given: Any) -> Any:
        return beginnings.of(*given)

    texts = [
        [one.text for one in write(pipeline.vision_language, pipeline.processor, prompt, begin=begin)][-1]
        for _ in range(3)
    ]
    plain = [one.text for one in write(pipeline.vision_language, pipeline.processor, prompt)][-1]
    assert texts == [plain] * 3


@torch.no_grad()
def test_answers_are_weighed_as_if_each_were_asked_alone(pipeline: Any) -> None:
    """Against one pass over prompt and answer together."""
    prompt, inputs = asked(pipeline, "Does it follow? The ball rolls away.")
    answers = ("It follows.", "It does not follow.")
    tokenizer, model = pipeline.processor.tokenizer, pipeline.vision_language
    from nsp_core.model.vision_language import positions

    where = positions(model, inputs)
    expected = []
    for answer in answers:
        ids = tokenizer(answer + tokenizer.eos_token, return_tensors="pt")["input_ids"]
        more = where.max() + 1 + torch.arange(ids.shape[1])
        logits = model(
            input_ids=torch.cat([inputs["input_ids"], ids], 1),
            position_ids=torch.cat([where, more.expand(3, 1, -1)], 2),
            use_cache=False,
            **{k: inputs[k] for k in ("pixel_values_videos", "video_grid_thw")},
        ).logits[0, inputs["input_ids"].shape[1] - 1 : -1]
        expected.append(float(logits.log_softmax(-1).gather(1, ids[0][:, None]).mean()))
    assert score(model, pipeline.processor, prompt, answers) == pytest.approx(expected, abs=1e-4)
