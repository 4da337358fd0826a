"""The whole pipeline of real classes at tiny size: what it promises to the app, from a folder to the last frame."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nsp_core import NextScenePipeline, flow
from nsp_core.checkpoint import COMPONENTS
from nsp_core.errors import Cancelled, CheckpointMismatch, GeometryError, OutsideLanguage, UserError
from nsp_core.language import Language
from nsp_core.model.velocity import predict_velocity
from nsp_core.model.writing import Written
from nsp_core.types import Frames, NextScene, Predictor, Progress, SamplingOptions, Scene, SceneRequest, StoryContext
from tests.core import golden
from tests.scripted import script

QUICK = SamplingOptions(steps=1, guidance=1.0, seed=3, preview_every=0)
LANGUAGE = Language(frozenset(["a", "red", "ball", "rolls", "it", "rains"]), ("A red ball rolls.",))
LOADED_WEIGHTS = ("vision_language", "connector", "transformer", "vae")


@pytest.fixture(scope="module")
def pipeline() -> NextScenePipeline:
    return golden.fixed_pipeline()


@pytest.fixture(scope="module")
def folder(pipeline: NextScenePipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model")
    pipeline.language = LANGUAGE
    pipeline.save_pretrained(path)
    pipeline.language = None
    return path


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """A folder of one's own to break."""
    return Path(shutil.copytree(folder, tmp_path / "model"))


@pytest.fixture(scope="module")
def story() -> StoryContext:
    return StoryContext((Scene("The sun shines.", golden.last_clip()),))


@pytest.fixture
def evaluations(pipeline: NextScenePipeline) -> Iterator[list[int]]:
    """The batch size of every evaluation of the transformer."""
    seen: list[int] = []
    handle = pipeline.transformer.register_forward_hook(lambda _m, _a, out: seen.append(len(out.sample)))
    yield seen
    handle.remove()


def finish(items: Iterator[Progress | NextScene]) -> NextScene:
    last = list(items)[-1]
    assert isinstance(last, NextScene)
    return last


def take(pipeline: NextScenePipeline, story: StoryContext, words: str = "it rolls", **options: Any) -> NextScene:
    return pipeline(story, words, options=replace(QUICK, **options))


def noise_frames(seed: int, count: int = 17) -> Frames:
    return np.random.default_rng(seed).integers(0, 255, (count, 96, 160, 3), dtype=np.uint8)


# --- the same again -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["continue", "cut"])
def test_golden_frames(pipeline: NextScenePipeline, mode: str) -> None:
    """The mathematics from words to pixels, on weights that no release of a library can change."""
    measured = golden.measure(golden.draw(pipeline, mode))
    with np.load(golden.FILE) as stored:
        latents, blocks = (stored[f"{mode}_{name}"].astype(np.float32) for name in ("latents", "blocks"))
    assert latents.std() > 0.5 and blocks.std() > 5, "a golden picture of nothing would always be met"
    np.testing.assert_allclose(measured["latents"], latents, atol=0.02)
    np.testing.assert_allclose(measured["blocks"], blocks, atol=1.0)


def test_a_saved_pipeline_draws_the_same_frames(pipeline: NextScenePipeline, folder: Path, story: StoryContext) -> None:
    loaded = NextScenePipeline.from_pretrained(folder)
    words = "A red ball rolls."
    before, after = (
        take(pipeline, story, words, steps=2, guidance=2.0),
        take(loaded, story, words, steps=2, guidance=2.0),
    )
    assert np.array_equal(before.frames, after.frames) and np.array_equal(before.latents, after.latents)
    assert before.fingerprint == "unsaved" and len(after.fingerprint) == 16
    assert loaded.language == LANGUAGE
    assert dict(loaded.config)["sampling"] == dict(pipeline.config)["sampling"]
    assert all(getattr(loaded, name).training is False for name in LOADED_WEIGHTS)
    # The language lies in the folder: words outside it are refused by act and by a wish, before anything is drawn.
    with pytest.raises(OutsideLanguage, match="'dragon'"):
        next(loaded.act(SceneRequest(story, "a dragon")))
    with pytest.raises(OutsideLanguage, match="'dragon'"):
        next(loaded.think(story, steer="a dragon"))


def test_half_precision_on_disk_is_full_precision_in_memory(copy: Path) -> None:
    """The starter is kept in bf16; a processor without bf16 must not meet it."""
    for file in copy.rglob("*.safetensors"):
        weights = {k: v.bfloat16() if v.is_floating_point() else v for k, v in load_file(file).items()}
        save_file(weights, file, metadata={"format": "pt"})
    loaded = NextScenePipeline.from_pretrained(copy)
    kinds = {p.dtype for name in LOADED_WEIGHTS for p in getattr(loaded, name).parameters()}
    assert kinds == {torch.float32}


def test_a_fingerprint_changes_with_the_weights_and_not_with_the_place(folder: Path, copy: Path) -> None:
    from nsp_core.checkpoint import fingerprint

    (copy / "README.md").write_text("a note")
    assert fingerprint(copy) == fingerprint(folder)
    file = next((copy / "connector").glob("*.safetensors"))
    weights = load_file(file)
    weights["scale"] += 1
    save_file(weights, file, metadata={"format": "pt"})
    assert fingerprint(copy) != fingerprint(folder)


def test_a_seed_decides_the_take_and_nothing_else_does(pipeline: NextScenePipeline, story: StoryContext) -> None:
    torch.manual_seed(1)
    first = take(pipeline, story)
    torch.manual_seed(2)
    torch.rand(5)
    state = torch.get_rng_state()
    assert np.array_equal(first.frames, take(pipeline, story).frames)
    assert torch.equal(torch.get_rng_state(), state), "drawing moved the process's own random numbers"
    other = take(pipeline, story, seed=4)
    assert np.abs(first.frames[1:].astype(int) - other.frames[1:]).mean() > 1


def test_a_take_says_how_to_draw_it_again(pipeline: NextScenePipeline, story: StoryContext) -> None:
    scene = finish(pipeline.act(SceneRequest(story, "it rolls", "cut", SamplingOptions(seed=9, preview_every=0))))
    assert scene.options == SamplingOptions(2, 2.0, 2.0, 9, 0), "what the checkpoint recommends was not filled in"
    assert (scene.words, scene.mode, scene.fps) == ("it rolls", "cut", 8)
    assert scene.frames.shape == (17, 96, 160, 3) and scene.frames.dtype == np.uint8
    assert scene.latents.shape == (16, 5, 6, 10) and scene.latents.dtype == np.float32
    again = finish(pipeline.act(SceneRequest(story, scene.words, scene.mode, scene.options)))
    assert np.array_equal(scene.frames, again.frames)


# --- what a scene depends on ----------------------------------------------------------------------------------------


def test_a_continued_scene_begins_with_the_clean_last_frame(
    pipeline: NextScenePipeline, story: StoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = golden.last_clip()
    with torch.no_grad():
        head = pipeline.encode(last[-1:])[0, :, 0].numpy()
        tail = pipeline.encode(last)[0, :, -1].numpy()
    for seed in (3, 4):
        np.testing.assert_allclose(take(pipeline, story, seed=seed).latents[:, 0], head, atol=1e-5)
    assert np.abs(pipeline(story, "it rolls", mode="cut", options=QUICK).latents[:, 0] - head).mean() > 0.1
    # A residual of nothing is the tail of the last clip, unchanged; its latents may also be handed over.
    monkeypatch.setattr(pipeline, "_scale", torch.zeros(16))
    still = take(pipeline, story).latents
    np.testing.assert_allclose(still[:, 1:], np.repeat(tail[:, None], 4, 1), atol=1e-5)
    tail_latents = np.random.default_rng(0).standard_normal((16, 5, 6, 10)).astype(np.float32)
    handed = StoryContext((Scene("The sun shines.", last, tail_latents),))
    np.testing.assert_allclose(take(pipeline, handed).latents[:, 1:], tail_latents[:, -1:].repeat(4, 1), atol=1e-5)


def test_a_single_picture_can_be_continued(pipeline: NextScenePipeline) -> None:
    picture = StoryContext((Scene("The sun shines.", golden.last_clip()[:1]),))
    scene = take(pipeline, picture)
    with torch.no_grad():
        head = pipeline.encode(golden.last_clip()[:1])[0, :, 0].numpy()
    np.testing.assert_allclose(scene.latents[:, 0], head, atol=1e-5)


def test_a_described_beginning_is_drawn_with_a_cut(pipeline: NextScenePipeline) -> None:
    scene = pipeline(StoryContext(), "A red ball on the meadow.", mode="cut", options=QUICK)
    assert scene.frames.shape == (17, 96, 160, 3)
    for empty in (StoryContext(), StoryContext((Scene("The sun shines."),))):
        with pytest.raises(UserError, match="no picture to continue from"):
            pipeline(empty, "it rolls", options=QUICK)


def test_words_story_and_pictures_all_reach_the_picture(pipeline: NextScenePipeline, story: StoryContext) -> None:
    def drawn(context: StoryContext, words: str) -> Any:
        return pipeline(context, words, mode="cut", options=QUICK).latents

    plain = drawn(story, "it rolls")
    other_pictures = StoryContext((Scene("The sun shines.", noise_frames(1)),))
    other_story = StoryContext((Scene("The moon shines.", golden.last_clip()),))
    for changed in (drawn(story, "it jumps"), drawn(other_pictures, "it rolls"), drawn(other_story, "it rolls")):
        assert np.abs(changed - plain).max() > 1e-3


def test_twelve_scenes_are_read_and_no_more(pipeline: NextScenePipeline) -> None:
    def long(changed: int) -> StoryContext:
        words = [f"It rolls {i} times." for i in range(15)]
        words[changed] = "It rains."
        return StoryContext((*map(Scene, words[:-1]), Scene(words[-1], golden.last_clip())))

    def condition(changed: int) -> torch.Tensor:
        with torch.no_grad():
            return pipeline.encode_condition(long(changed), "it rolls")[0]

    oldest_read = condition(3)
    torch.testing.assert_close(condition(0), condition(2), atol=1e-6, rtol=0)
    assert (oldest_read - condition(2)).abs().max() > 1e-4
    assert "15. It rolls 14 times." in pipeline.prompt(long(0), "").text
    assert take(pipeline, long(0)).frames.shape == (17, 96, 160, 3)


def test_guidance_pushes_away_from_the_null_prompt(
    pipeline: NextScenePipeline, story: StoryContext, evaluations: list[int]
) -> None:
    take(pipeline, story, steps=2, guidance=1.0)
    assert evaluations == [1, 1], "without guidance nothing but the condition is computed"
    take(pipeline, story, steps=2, guidance=2.0)
    assert evaluations[2:] == [2, 2], "one evaluation for both sides"
    with torch.no_grad():
        conditions = pipeline.encode_condition(story, "it rolls")
        reference, x = pipeline.encode_reference(story), pipeline.prepare_noise(1)
        given, null = (pipeline.velocity(x, 0.7, (c, c), reference, 1.0) for c in conditions)
        guided = pipeline.velocity(x, 0.7, conditions, reference, 3.0)
    torch.testing.assert_close(guided, flow.guide(given, null, 3.0), atol=1e-4, rtol=1e-4)
    assert guided[:, :, 0].abs().max() == 0, "the clean latent moved"


def test_the_clean_frame_is_at_timestep_zero(pipeline: NextScenePipeline) -> None:
    """Tokens of the last frame carry no noise, and the transformer is told so; the others are told sigma."""
    seen: list[torch.Tensor] = []
    handle = pipeline.transformer.register_forward_pre_hook(
        lambda _m, _a, kw: seen.append(kw["timestep"].clone()), with_kwargs=True
    )
    try:
        with torch.no_grad():
            x, condition = pipeline.prepare_noise(0), torch.zeros(1, 8, 32)
            predict_velocity(pipeline.transformer, x, torch.tensor([0.3337]), condition, clean_frames=1)
            predict_velocity(pipeline.transformer, x, torch.tensor([0.3337]), condition)
    finally:
        handle.remove()
    assert seen[0].shape == (1, 300)
    assert (seen[0][0, :60] == 0).all()
    torch.testing.assert_close(seen[0][0, 60:], torch.full((240,), 333.7))  # a float: truncation loses fine steps
    torch.testing.assert_close(seen[1], torch.tensor([333.7]))


# --- progress, previews, cancel -------------------------------------------------------------------------------------


def test_progress_counts_steps_and_previews_change_with_the_words(
    pipeline: NextScenePipeline, story: StoryContext
) -> None:
    def progress(words: str, every: int) -> list[Progress]:
        options = replace(QUICK, steps=3, preview_every=every)
        items = list(pipeline.act(SceneRequest(story, words, "continue", options)))
        assert isinstance(items.pop(), NextScene)
        return [item for item in items if isinstance(item, Progress)]

    items = progress("it rolls", 2)
    assert [(p.phase, p.step, p.total) for p in items] == [
        *[("read", 0, 3), ("draw", 1, 3), ("draw", 2, 3), ("draw", 3, 3)],
        ("decode", 3, 3),
    ]
    assert [p.step for p in items if p.preview is not None] == [2]
    preview = items[2].preview
    assert preview is not None and preview.shape == (17, 96, 160, 3) and preview.dtype == np.uint8
    other = progress("A red ball rolls to the middle of the meadow.", 2)[2].preview
    assert other is not None and not np.array_equal(preview, other)
    assert all(p.preview is None for p in progress("it rolls", 0))


@pytest.mark.parametrize("after", [0, 1, 3])
def test_cancel_ends_within_one_step(
    pipeline: NextScenePipeline, story: StoryContext, evaluations: list[int], after: int
) -> None:
    request = SceneRequest(story, "it rolls", "continue", replace(QUICK, steps=6))
    with pytest.raises(Cancelled):
        for _ in pipeline.act(request, should_stop=lambda: len(evaluations) > after):
            pass
    assert len(evaluations) == after + 1


def test_closing_the_generator_stops_at_once(
    pipeline: NextScenePipeline, story: StoryContext, evaluations: list[int]
) -> None:
    items = pipeline.act(SceneRequest(story, "it rolls", "continue", replace(QUICK, steps=6)))
    next(items), next(items)
    items.close()  # type: ignore[attr-defined]
    assert len(evaluations) == 1


# --- words ----------------------------------------------------------------------------------------------------------


def test_alternatives_differ_and_the_first_is_the_likeliest(pipeline: NextScenePipeline, story: StoryContext) -> None:
    told = list(pipeline.think(story, alternatives=3, seed=1))
    done = [thought for thought in told if thought.done]
    assert [thought.alternative for thought in done] == [0, 1, 2]
    assert len({thought.text for thought in done}) == 3
    assert all(thought.score is not None and thought.score < 0 for thought in done)
    alone = [thought for thought in pipeline.think(story, seed=99) if thought.done]
    assert [thought.text for thought in alone] == [done[0].text], "the first one must not depend on the seed"
    growing = [thought for thought in told if thought.alternative == 0 and not thought.done]
    assert len(growing) >= 2 and all(thought.score is None for thought in growing)


def test_thinking_stops_when_asked(pipeline: NextScenePipeline, story: StoryContext) -> None:
    with pytest.raises(Cancelled):
        list(pipeline.think(story, should_stop=lambda: True))


def test_a_wish_changes_the_words(pipeline: NextScenePipeline, story: StoryContext) -> None:
    def told(steer: str | None) -> str:
        return list(pipeline.think(story, steer=steer))[-1].text

    assert len({told(None), told("it rains"), told("the red ball rolls")}) > 1


@pytest.mark.parametrize("sayings", [("A red bxll rolls.", "It rains."), ("It rains.",)])
def test_words_that_could_not_be_drawn_are_not_offered(
    pipeline: NextScenePipeline, story: StoryContext, monkeypatch: pytest.MonkeyPatch, sayings: tuple[str, ...]
) -> None:
    script(monkeypatch, "telling", lambda seed: Written(sayings[seed % len(sayings)], True, -0.1))
    monkeypatch.setattr(pipeline, "language", LANGUAGE)
    assert [thought.text for thought in pipeline.think(story, alternatives=2)] == ["It rains."]


def test_nothing_but_garble_is_declined(
    pipeline: NextScenePipeline, story: StoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, "telling", lambda _: Written("bxll", True, -9.0))
    monkeypatch.setattr(pipeline, "language", LANGUAGE)
    with pytest.raises(OutsideLanguage):
        list(pipeline.think(story, alternatives=2))


def test_fillers_never_reach_the_reader(
    pipeline: NextScenePipeline, story: StoryContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "language", replace(LANGUAGE, fillers=frozenset(["please", "now"])))
    asked: list[str] = []
    monkeypatch.setattr("nsp_core.telling.write", lambda _m, _p, prompt, **_: asked.append(prompt.text) or iter(()))
    monkeypatch.setattr(
        "nsp_core.telling.write_several", lambda _m, _p, prompt, *_, **__: asked.append(prompt.text) or []
    )
    polite = StoryContext((replace(story.scenes[0], words="Please, it rains now."),))
    with pytest.raises(OutsideLanguage):
        list(pipeline.think(polite, steer="please, a red ball rolls"))
    assert set(asked) == {"1. it rains.\nNext: a red ball rolls"}


def test_calling_it_thinks_and_then_acts(pipeline: NextScenePipeline, story: StoryContext) -> None:
    words = list(pipeline.think(story))[-1].text
    scene = pipeline(story, options=QUICK)
    assert scene.words == words
    assert np.array_equal(scene.frames, pipeline(story, words, options=QUICK).frames)


def test_a_picture_that_the_autoencoder_does_not_know_is_not_in_its_world(pipeline: NextScenePipeline) -> None:
    seen = pipeline.describe(golden.last_clip())
    assert seen.in_world and 0 < seen.confidence < 1
    fidelity = pipeline.fidelity(golden.last_clip())
    pipeline.register_to_config(in_world_gain=fidelity + 0.1)
    try:
        assert not pipeline.describe(golden.last_clip()).in_world
        pipeline.register_to_config(in_world_gain=fidelity - 0.1)
        assert pipeline.describe(golden.last_clip()).in_world
    finally:
        pipeline.register_to_config(in_world_gain=-100.0)


def test_it_is_a_predictor(pipeline: NextScenePipeline) -> None:
    predictor: Predictor = pipeline
    assert predictor.fingerprint


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "about"),
    [
        ({"steps": 0}, "steps must be from 1 to 200, got 0"),
        ({"steps": 201}, "steps must be from 1 to 200, got 201"),
        ({"guidance": 0.5}, "guidance must be from 1 to 20, got 0.5"),
        ({"guidance": 21.0}, "guidance must be from 1 to 20, got 21.0"),
    ],
)
def test_settings_out_of_range_are_refused_before_any_work(
    pipeline: NextScenePipeline, story: StoryContext, options: dict[str, Any], about: str, evaluations: list[int]
) -> None:
    with pytest.raises(UserError, match=about):
        take(pipeline, story, **options)
    assert not evaluations


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (
            np.zeros((17, 64, 64, 3), np.uint8),
            "are 64x64, and this model draws 160x96: choose the model that drew them",
        ),
        (np.zeros((17, 96, 160, 3), np.float32), r"uint8 \(T, 96, 160, 3\), got"),
        (np.zeros((96, 160, 3), np.uint8), r"uint8 \(T, 96, 160, 3\), got"),
        (np.zeros((17, 96, 160, 4), np.uint8), r"uint8 \(T, 96, 160, 3\), got"),
    ],
)
def test_frames_of_another_shape_are_refused(pipeline: NextScenePipeline, frames: Any, says: str) -> None:
    with pytest.raises(UserError, match=says):
        take(pipeline, StoryContext((Scene("The sun shines.", frames),)))
    with pytest.raises(UserError, match=says):
        pipeline.describe(frames)


def test_a_size_that_the_autoencoder_cannot_make_is_refused(pipeline: NextScenePipeline) -> None:
    parts = {name: getattr(pipeline, name) for name in COMPONENTS}
    with pytest.raises(GeometryError, match=r"num_frames must be 4k\+1 \(for example 17\), got 16"):
        NextScenePipeline(**parts, num_frames=16)
    with pytest.raises(GeometryError, match="multiples of 16"):
        NextScenePipeline(**parts, width=150)


def test_a_folder_that_holds_no_model_is_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(CheckpointMismatch, match=f"{path.name} is not a model folder"):
            NextScenePipeline.from_pretrained(path)


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_missing_component_is_named(copy: Path, name: str) -> None:
    shutil.rmtree(copy / name)
    with pytest.raises(CheckpointMismatch, match=f"lacks '{name}/'"):
        NextScenePipeline.from_pretrained(copy)


def test_weights_come_from_safetensors_only(copy: Path) -> None:
    file = next((copy / "transformer").glob("*.safetensors"))
    torch.save(load_file(file), file.with_suffix(".bin"))
    file.unlink()
    with pytest.raises(CheckpointMismatch, match="no safetensors in 'transformer/'"):
        NextScenePipeline.from_pretrained(copy)


def test_another_kind_of_pipeline_is_refused(copy: Path) -> None:
    index = json.loads((copy / "model_index.json").read_text())
    index["_class_name"] = "LTXPipeline"
    (copy / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointMismatch, match="holds a LTXPipeline, not a NextScenePipeline"):
        NextScenePipeline.from_pretrained(copy)
