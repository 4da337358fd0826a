"""The published weights' classes at test size, from the hub's files to the last frame: both modes, every way to keep
them in memory, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.banks import answers, file
from nsp_core.banks.load import load
from nsp_core.banks.pipeline import BankPipeline
from nsp_core.errors import CheckpointMismatch, ConfigError, GeometryError, ModelUnavailable, UserError
from nsp_core.model.spec import BankSpec
from nsp_core.model.writing import Written
from nsp_core.types import Frames, NextScene, Predictor, SamplingOptions, Scene, SceneRequest, StoryContext
from tests import hub_layout
from tests.scripted import script

WIDTH, HEIGHT, FRAMES = 96, 64, 17
Bank = Callable[..., BankPipeline]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    hub_layout.write_qwen(root / "qwen2.5")
    hub_layout.write_qwen(root / "qwen3", "3")
    hub_layout.write_ltx(root / "ltx-0.9.0")
    hub_layout.write_ltx(root / "ltx-0.9.5", "0.9.5")
    hub_layout.write_connector(root / "connector")
    return root


@pytest.fixture(scope="module")
def bank(hub: Path) -> Bank:
    """A pipeline of the written folders; each is loaded once."""
    kept: dict[Any, BankPipeline] = {}

    def make(connector: bool = True, drawer: str = "ltx-0.9.0", reader: str = "qwen2.5", **how: Any) -> BankPipeline:
        spec = BankSpec(
            mode="unified" if connector else "cascade",
            reader=file.local(hub / reader),
            drawer=file.local(hub / drawer),
            connector=hub / "connector" if connector else None,
            **{"dtype": "float32", "width": WIDTH, "height": HEIGHT, "frames": FRAMES, "steps": 2, **how},
        )
        if spec not in kept:
            kept[spec] = load(spec, file.folder_of)
        return kept[spec]

    return make


def clip(seed: int = 0, count: int = FRAMES) -> Frames:
    """A coarse pattern that moves: something that an autoencoder can tell from noise."""
    cells = np.random.default_rng(seed).integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8)
    whole = cells.repeat(16, 0).repeat(16, 1)
    return np.stack([np.roll(whole, 2 * i, 1) for i in range(count)])


def story(words: str = "A glass begins to wobble.", frames: Frames | None = None) -> StoryContext:
    return StoryContext((Scene(words, clip() if frames is None else frames),))


def drawn(pipeline: BankPipeline, context: StoryContext, words: str, mode: str = "continue") -> NextScene:
    return pipeline(context, words, mode=mode, options=SamplingOptions(seed=3, preview_every=0))


# --- both modes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("connector", [True, False], ids=["unified", "cascade"])
def test_a_bank_is_a_predictor_from_words_to_frames(bank: Bank, connector: bool) -> None:
    pipeline: Predictor = bank(connector)
    beginning = drawn(bank(connector), StoryContext(), "A red ball rolls.", "cut")
    assert beginning.frames.shape == (FRAMES, HEIGHT, WIDTH, 3) and beginning.frames.dtype == np.uint8
    assert beginning.fps == 16 and beginning.fingerprint == pipeline.fingerprint and len(pipeline.fingerprint) == 16
    assert beginning.how.startswith("unified: " if connector else "cascade: ") and "because" in beginning.how
    assert beginning.options.steps == 2 and beginning.options.guidance == 3.0 and beginning.options.shift is None
    again = drawn(bank(connector), StoryContext(), "A red ball rolls.", "cut")
    assert np.array_equal(beginning.frames, again.frames)
    told = drawn(bank(connector), StoryContext((Scene(beginning.words, beginning.frames),)), "It stops.")
    assert told.frames.shape == beginning.frames.shape


@pytest.mark.parametrize("connector", [True, False], ids=["unified", "cascade"])
def test_words_reach_the_picture(bank: Bank, connector: bool) -> None:
    one, other = (drawn(bank(connector), story(), words).latents for words in ("The ice melts.", "A ball rolls."))
    assert np.abs(one[:, 1:] - other[:, 1:]).max() > 1e-4


def test_the_reader_of_unified_mode_sees_the_story_and_its_pictures(bank: Bank) -> None:
    pipeline = bank()
    plain = drawn(pipeline, story(), "It falls.", "cut").latents
    for context in (story("The river flows."), story(frames=clip(5))):
        assert np.abs(drawn(pipeline, context, "It falls.", "cut").latents - plain).max() > 1e-5


def test_without_words_unified_asks_what_the_paper_asks(bank: Bank) -> None:
    """The paper's setting: the model is given the scene before, and has to find out by itself what follows."""
    context = StoryContext((Scene("A glass begins to wobble."),))
    asked = bank().prompt_to_draw(context, "")
    assert asked.text == "Please generate a video showing what happens after this scene: A glass begins to wobble."
    assert "In the video: It falls." in bank().prompt_to_draw(context, "It falls.").text
    with pytest.raises(UserError, match="no words yet"):
        next(bank(False).act(SceneRequest(story(), " ")))


@pytest.mark.parametrize(("drawer", "known"), [("ltx-0.9.0", 1), ("ltx-0.9.5", 2)])
def test_a_scene_goes_on_from_the_last_frames(bank: Bank, drawer: str, known: int) -> None:
    """0.9.0 is given the last frame, 0.9.5 the last nine; what was seen before is not shown again."""
    pipeline = bank(False, drawer)
    before = clip(1)
    with torch.no_grad():
        end = pipeline.encode(before[-(8 * (known - 1) + 1) :])[0].numpy()
    scene = drawn(pipeline, story(frames=before), "It falls.")
    assert scene.latents.shape[1] == 3 + known - 1
    np.testing.assert_allclose(scene.latents[:, :known], end, atol=1e-5)
    assert len(scene.frames) == FRAMES
    picture = drawn(pipeline, story(frames=before[-1:]), "It falls.")
    assert picture.latents.shape[1] == 3 and len(picture.frames) == FRAMES


def test_two_readers_and_two_drawers_are_known_and_others_named(bank: Bank, hub: Path, tmp_path: Path) -> None:
    for reader, drawer in (("qwen3", "ltx-0.9.0"), ("qwen2.5", "ltx-0.9.5")):
        scene = drawn(bank(True, drawer, reader), story(), "It falls.")
        assert scene.frames.std() > 1
    stranger = tmp_path / "wan"
    hub_layout.write_json(stranger / "model_index.json", {"transformer": ["diffusers", "WanTransformer3DModel"]})
    spec = BankSpec("cascade", file.local(hub / "qwen2.5"), file.local(stranger))
    with pytest.raises(CheckpointMismatch, match="no drawer for WanTransformer3DModel"):
        load(spec, file.folder_of)


# --- words ----------------------------------------------------------------------------------------------------------


def test_the_reader_writes_one_json_string(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = ['The glass falls \\"hard\\"', 'The glass falls \\"hard\\" and cracks."} Thanks!']
    asked: list[Any] = []

    def scripted(_model: Any, _processor: Any, prompt: Any, **how: Any) -> Iterator[Written]:
        asked.append((prompt.text, how["begun"]))
        yield from (Written(text, False, -0.5) for text in answered)
        pytest.fail("the answer had ended")

    monkeypatch.setattr("nsp_core.banks.pipeline.write", scripted)
    thoughts = list(bank(False).think(story(), steer="it breaks"))
    assert [(t.text, t.done) for t in thoughts] == [
        ('The glass falls "hard"', False),
        ('The glass falls "hard" and cracks.', True),
    ]
    text, begun = asked[0]
    assert begun == '{"scene": "' and 'It must show this: "it breaks".' in text
    assert "Please generate a video showing what happens after this scene: A glass begins to wobble." in text


def test_an_answer_that_is_no_scene_is_asked_for_again_and_then_refused(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = iter(["\\x bad", "It falls."])
    script(monkeypatch, "banks.pipeline", lambda _: Written(next(said), True, -0.5))
    assert [t.text for t in bank(False).think(story())] == ["It falls."]
    script(monkeypatch, "banks.pipeline", lambda _: Written("", True, -0.5))
    with pytest.raises(UserError, match="did not answer with a scene"):
        list(bank(False).think(story()))


def test_words_that_the_drawer_would_cut_are_not_offered(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "The ice melts and the river flows. " * 30
    said = iter([long, "It falls."])
    script(monkeypatch, "banks.pipeline", lambda _: Written(next(said), True, -0.5))
    assert [t.text for t in bank(False).think(story())] == ["It falls."]
    script(monkeypatch, "banks.pipeline", lambda _: Written(long, True, -0.5))
    assert [t.text for t in bank().think(story())] == [long.strip()], "in unified mode the reader reads them"


@pytest.mark.parametrize(
    ("text", "scene"),
    [
        ('It falls."}', "It falls."),
        ('It \\u00e9\\n falls."', "It é falls."),
        ("It falls. And then it", "It falls."),
        ("no end and no stop", "no end and no stop"),  # the reader closed its turn: this is all it wanted to say
        ('"}', None),
        ("a \\q b", None),
    ],
)
def test_what_counts_as_an_answer(text: str, scene: str | None) -> None:
    assert answers.finished(text) == scene


def test_a_story_of_another_model_is_refused_in_plain_words(bank: Bank) -> None:
    drawn_small = story(frames=np.zeros((17, 96, 160, 3), np.uint8))
    with pytest.raises(GeometryError, match="are 160x96, and this model draws .* choose the model that drew them"):
        list(bank(False).think(drawn_small))
    with pytest.raises(GeometryError, match="begin a new story"):
        drawn(bank(False), drawn_small, "It falls.")


def test_half_a_sentence_is_no_scene(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that the limit of tokens cut is taken up to its last whole sentence; without one it is asked again."""
    said = iter(["The glass falls and then it", "It falls. And then"])
    script(monkeypatch, "banks.pipeline", lambda _: Written(next(said), True, -0.5, cut=True))
    assert [t.text for t in bank(False).think(story()) if t.done] == ["It falls."]


def test_true_weights_write_what_they_were_begun_with(bank: Bank) -> None:
    """The random reader's own text, from the real write(): the answer is begun in the prompt, not repeated."""
    thoughts = [t for t in bank(False).think(story(), alternatives=2, seed=3) if t.done]
    assert thoughts and all("scene" not in t.text[:8] and t.score is not None for t in thoughts)


@pytest.mark.parametrize("connector", [True, False], ids=["unified", "cascade"])
def test_takes_of_one_scene_are_read_once(bank: Bank, connector: bool) -> None:
    """Words and last frames are understood once for all seeds, anew for other words or frames."""
    pipeline = bank(connector, steps=3)
    seen: list[str] = []
    reader = pipeline.vision_language.model if connector else pipeline.text_encoder
    hooks = [reader.register_forward_hook(lambda *_: seen.append("words"))]
    hooks.append(pipeline.vae.encoder.register_forward_hook(lambda *_: seen.append("frames")))

    def asked(context: StoryContext, words: str, seed: int) -> list[str]:
        seen.clear()
        pipeline(context, words, options=SamplingOptions(steps=1, seed=seed, preview_every=0))
        return [*seen]

    story_alone = ["words"] if connector else []  # read before the words of the scene, once
    assert asked(story(), "It falls.", 1) == [*story_alone, "words", "words", "frames"], (
        "the scene's, the null prompt's"
    )
    assert asked(story(), "It falls.", 2) == []
    more = 1 if connector else 2  # the null prompt of the queries is kept for good
    assert asked(story(), "It breaks.", 2) == ["words"] * more
    assert asked(story(frames=clip(7)), "It breaks.", 2) == 2 * story_alone + ["frames"]
    for hook in hooks:
        hook.remove()


# --- budgets --------------------------------------------------------------------------------------------------------


def test_pictures_are_made_smaller_until_they_fit(bank: Bank) -> None:
    from nsp_core.banks.reading import frame_size, measure
    from nsp_core.model.vision_language import Prompt

    big = np.zeros((2, 480, 832, 3), np.uint8)
    for reader in ("qwen2.5", "qwen3"):
        processor = bank(True, "ltx-0.9.0", reader).processor
        assert 300 < measure(processor, Prompt("What?", (big,)))[1] <= 448
        small = frame_size(processor.video_processor, reader.replace("qwen2.5", "qwen2_5_vl"), 100)
        processor.reading, kept = replace(processor.reading, size=small), processor.reading
        assert 60 < measure(processor, Prompt("What?", (big,)))[1] <= 100
        processor.reading = kept


def test_old_scenes_are_left_out_and_too_many_words_are_refused_by_budget(bank: Bank) -> None:
    pipeline = bank()
    scenes = tuple(Scene(f"Scene about the number {i}, " + "a glass falls and cracks, " * 20) for i in range(12))
    prompt = pipeline.prompt_to_draw(StoryContext(scenes), "It falls.")
    assert "number 11" in prompt.text and "number 1," not in prompt.text
    assert "number 0," in prompt.text, "the story's anchor is left out last"
    long = StoryContext((Scene("The ice melts and the river flows. " * 200),))
    with pytest.raises(UserError, match=r"of 1024, 16 are queries and 0 pictures"):
        pipeline.prompt_to_draw(long, "It falls.")
    with pytest.raises(UserError, match="reads 128 tokens of words"):
        next(bank(False).act(SceneRequest(story(), "The ice melts and the river flows. " * 30)))


def test_a_story_of_a_hundred_scenes_costs_what_one_of_twelve_does(bank: Bank) -> None:
    """What is read and what is drawn, in tokens, which is what time and memory follow from."""
    from nsp_core.banks.reading import measure

    pipeline = bank()

    def cost(count: int) -> tuple[int, int]:
        scenes = tuple(Scene(f"A ball rolls {i % 10} times.", clip(i)) for i in range(count))
        prompt = pipeline.prompt_to_draw(StoryContext(scenes), "It falls.")
        return measure(pipeline.processor, prompt)[0], pipeline.encode_reference(StoryContext(scenes)).numel()

    with torch.no_grad():
        (words, known), (few, _), (many, still) = cost(3), cost(12), cost(100)
    assert abs(many - few) <= 0.02 * few and known == still
    assert words < many <= 1024


# --- memory ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"offload": "in_turn"}, {"offload": "group"}])
def test_parts_that_wait_elsewhere_draw_the_same(bank: Bank, how: dict[str, Any]) -> None:
    for connector in (True, False):
        plain = drawn(bank(connector), story(), "It falls.")
        # a drawer that moves about is evaluated as published, one that stays by its quick path (model/quick.py)
        assert np.allclose(drawn(bank(connector, **how), story(), "It falls.").latents, plain.latents, atol=1e-5)


def test_in_turn_frees_the_reader_before_the_drawer_begins(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """accelerate's hook of a part brings it in and sends the one before away. On a processor nothing moves, so that who
    is called, and whom it would send away, is what can be seen."""
    from accelerate.hooks import CpuOffload

    real = CpuOffload.pre_forward
    for connector, bridge in ((True, "connector"), (False, "text_encoder")):
        pipeline = bank(connector, offload="in_turn")
        names = {id(part): name for name, part in pipeline.components.items()}
        seen: list[tuple[str, str]] = []

        def record(hook: Any, module: Any, *args: Any, names: Any = names, seen: Any = seen, **more: Any) -> Any:
            before = hook.prev_module_hook
            seen.append((names[id(module)], names[id(before.model)] if before else ""))
            return real(hook, module, *args, **more)

        monkeypatch.setattr(CpuOffload, "pre_forward", record)
        list(pipeline.think(story(), seed=3))
        drawn(pipeline, story(frames=clip(9)), "It wobbles and falls.")
        order = list(dict.fromkeys(seen))
        expected = [
            ("vision_language", ""),
            (bridge, "vision_language"),
            ("vae", "transformer"),
            ("transformer", bridge),
        ]
        assert order == expected, "the first call of each part, and which one leaves for it"


def test_four_bits_can_wait_elsewhere_too(bank: Bank) -> None:
    plain, waiting = (bank(False, four_bits=True, offload=offload) for offload in ("none", "in_turn"))
    for context in (StoryContext(), story()):
        one, other = (drawn(p, context, "It falls.", "cut").latents for p in (plain, waiting))
        assert np.array_equal(one, other)


def test_tiles_cover_the_whole_picture(bank: Bank) -> None:
    """A stride that is no multiple of 32 would give a smaller picture without a word."""
    size = {"width": 320, "height": 288, "frames": 9, "steps": 1}
    plain, tiled = (
        drawn(bank(True, tiled=t, **size), StoryContext(), "It falls.", "cut").frames for t in (False, True)
    )
    assert plain.shape == tiled.shape == (9, 288, 320, 3)
    assert not np.array_equal(plain, tiled) and np.abs(plain.astype(int) - tiled).mean() < 20


def test_four_bits_leave_the_vision_tower_and_the_head_alone(bank: Bank) -> None:
    from bitsandbytes.nn import Linear4bit

    pipeline = bank(False, four_bits=True)
    for part in (pipeline.vision_language, pipeline.text_encoder):
        small = [name for name, module in part.named_modules() if isinstance(module, Linear4bit)]
        assert small and not [name for name in small if "visual" in name or "lm_head" in name]
    exact = drawn(bank(False), story(), "It falls.").latents
    error = np.abs(drawn(pipeline, story(), "It falls.").latents - exact).max()
    assert 0 < error < 1


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_spec_that_cannot_be_met_is_refused_with_what_is_missing(hub: Path, tmp_path: Path) -> None:
    spec = BankSpec("unified", file.local(hub / "qwen2.5"), file.local(hub / "ltx-0.9.0"))
    with pytest.raises(ModelUnavailable, match="needs a trained connector"):
        load(spec, file.folder_of)
    with pytest.raises(CheckpointMismatch, match=r"no usable config\.json"):
        load(replace(spec, mode="cascade", reader=file.local(tmp_path)), file.folder_of)
    hub_layout.write_connector(tmp_path / "other")
    settings = json.loads((tmp_path / "other" / "config.json").read_text())
    from nsp_core.model.connector import Connector

    Connector(num_queries=4, hidden=32, caption_channels=settings["caption_channels"]).save_pretrained(
        tmp_path / "narrow"
    )
    with pytest.raises(CheckpointMismatch, match="reader of width 32"):
        load(replace(spec, connector=tmp_path / "narrow"), file.folder_of)


def test_a_bank_file_names_folders_and_says_what_is_wrong(hub: Path) -> None:
    path = hub / "bank.json"
    hub_layout.write_json(path, {"reader": "qwen2.5", "drawer": "ltx-0.9.0", "frames": 17, "four_bits": True})
    spec = file.read(path)
    assert (spec.mode, spec.frames, spec.four_bits) == ("cascade", 17, True)
    assert file.folder_of(spec.drawer) == hub / "ltx-0.9.0" and file.find(hub) == path == file.find(path)
    hub_layout.write_json(path, {"reader": "qwen2.5", "drawer": "ltx-0.9.0", "connector": "connector"})
    assert file.read(path).mode == "unified"
    for wrong, sentence in (
        ({"reader": "qwen2.5", "drawer": "ltx-0.9.0", "four_bit": True}, "did you mean 'four_bits'"),
        ({"reader": "qwen2.5", "drawer": "ltx-0.9.0", "offload": "disk"}, "is one of none, group, in_turn"),
        ({"reader": "qwen2.5", "drawer": "ltx-0.9.0", "steps": "many"}, "'steps' must be int"),
        ({"reader": "qwen2.5"}, "names no drawer"),
    ):
        hub_layout.write_json(path, wrong)
        with pytest.raises(ConfigError, match=sentence):
            file.read(path)
    hub_layout.write_json(path, {"reader": "qwen9", "drawer": "ltx-0.9.0"})
    with pytest.raises(CheckpointMismatch, match="qwen9 as its reader, but it is not there"):
        file.read(path)
    path.unlink()
