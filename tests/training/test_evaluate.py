"""The evaluation: what a perfect model, a copying one and a random one get; one JSON object at the end."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from nsp_core.errors import OutsideLanguage
from nsp_core.types import (
    Description,
    Frames,
    NextScene,
    Progress,
    SceneRequest,
    ShouldStop,
    StoryContext,
    Thought,
)
from training.evaluate import cases, main, neighbours, pictures
from training.evaluate.bounds import FLOORS
from training.evaluate.futures import nearest_is
from training.evaluate.measure import Measure, Plan
from training.evaluate.phrases import PHRASES
from training.evaluate.report import Gallery
from training.picturebook.draw import clip, still
from training.picturebook.judge import ExactJudge
from training.picturebook.parse import parse
from training.picturebook.reader import idle, reader_of
from training.picturebook.rules import AMBIENT, enabled, is_enabled, step
from training.picturebook.splits import is_train, split_of
from training.picturebook.words import HELD_OUT_VARIANTS, TRAIN_VARIANTS, describe, tell
from training.picturebook.world import Event, World

SMALL = Plan(n=4, closed_loops=1, what_ifs=4, depth=4, phrases=60)
KEYS = [
    "split",
    "n",
    "seed",
    "reader",
    "words",
    "verbatim",
    "right_scene",
    "closed_loop",
    "steering",
    "what_if",
    "continuity",
]
KEYS += ["motion", "reader_free", "floors", "ceiling", "events", "phrases", "idle_chain", "vae", "legibility"]
KEYS += ["variety", "variety_world", "collapse"]
SUNSET = tell(Event("sunset"))


class Perfect:
    """Knows the rules and draws with the renderer itself."""

    fingerprint = "perfect"

    def __init__(self) -> None:
        self.judge = ExactJudge()

    def describe(self, frames: Frames) -> Description:
        world = reader_of().read(frames[-1]).world
        assert world is not None
        return Description(describe(world), True, 1.0)

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,  # noqa: ARG002
    ) -> Iterator[Thought]:
        world = self.judge.replay(context)
        assert world is not None
        for number in range(alternatives):
            event = parse(steer, world) if steer else self.choose(world, seed + number)
            if event is None:
                raise OutsideLanguage(f"I don't know that yet: {steer}")
            yield Thought(number, "")
            yield Thought(number, tell(event), True, 0.0)

    def choose(self, world: World, seed: int) -> Event:
        caused = [e for e in enabled(world) if e.rule not in AMBIENT]
        return Random(seed).choice(caused or list(enabled(world)))

    def frames(self, request: SceneRequest) -> Frames:
        event = parse(request.words)
        if event is None:  # words that say what is there
            seen = reader_of().read(cases.last_picture(request.context)).world
            assert seen is not None
            return np.array(idle(seen))
        world = self.judge.replay(request.context)
        assert world is not None
        return clip(world, event, step(world, event))

    def act(
        self,
        request: SceneRequest,
        *,
        should_stop: ShouldStop | None = None,  # noqa: ARG002
    ) -> Iterator[Progress | NextScene]:
        yield Progress("draw", 1, 1)
        latents = np.zeros((4, 5, 6, 10), np.float32)
        yield NextScene(request.words, self.frames(request), latents, 8, request.mode, request.options, 0.0, "perfect")


class Saying(Perfect):
    """Has one sentence for everything."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def think(self, *_: object, **__: object) -> Iterator[Thought]:
        yield Thought(0, self.words, True, 0.0)


class Copying(Perfect):
    """Says the right words and draws the last picture again."""

    def frames(self, request: SceneRequest) -> Frames:
        return np.repeat(cases.last_picture(request.context)[None], 17, 0)


class Monotone(Perfect):
    """Whatever the story, night falls; whatever is asked, too."""

    def think(self, context: StoryContext, **asked: object) -> Iterator[Thought]:  # noqa: ARG002
        yield Thought(0, SUNSET, True, 0.0)

    def frames(self, request: SceneRequest) -> Frames:
        world = self.judge.replay(request.context)
        assert world is not None
        still = np.repeat(cases.last_picture(request.context)[None], 17, 0)
        return super().frames(request) if world.light == "day" else still


@pytest.fixture(scope="module")
def perfect() -> dict:  # type: ignore[type-arg]
    return Measure(Perfect(), SMALL, lambda frames: frames).run().plain()


def test_a_perfect_model_gets_everything(perfect: dict) -> None:  # type: ignore[type-arg]
    assert list(perfect) == KEYS
    shares = dict(main.flat(perfect))
    for name in ("reader", "words", "right_scene.continue", "right_scene.cut", "closed_loop.4", "steering", "motion"):
        assert shares[name]["mean"] == 1.0, name
    assert shares["reader_free"]["mean"] == shares["ceiling"]["mean"] == 1.0
    assert shares["continuity"]["mean"] == shares["idle_chain"]["mean"] == shares["vae.clip"]["mean"] == 99.0
    assert shares["legibility.readable"]["mean"] == 1.0 and shares["legibility.ssim"]["mean"] > 0.95
    assert 0.9 < shares["legibility.sharpness"]["mean"] < 1.1
    assert shares["closed_loop.8"] is None  # the plan went to depth 4
    assert shares["words"]["n"] == perfect["n"] == 4 and perfect["split"] == "held_out"
    assert perfect["events"] and all(figure["mean"] == 1.0 for figure in perfect["events"].values())


def test_wishes_as_people_type_them(perfect: dict) -> None:  # type: ignore[type-arg]
    possible = [p for p in PHRASES if p.rules]
    assert len(PHRASES) == 60 and 45 <= len(possible) <= 56
    for one in possible:
        assert one.rules & {e.rule for e in enabled(one.world)}, one
    figures = perfect["phrases"]
    assert figures["done"]["n"] == len(possible) and figures["done_or_declined"]["n"] == 60
    assert 0.9 <= figures["done"]["mean"] <= figures["done_or_declined"]["mean"]  # the keyword parser misses a few


def test_one_story_for_all_is_seen() -> None:
    plan = replace(SMALL, n=12, phrases=0, closed_loops=0, what_ifs=0)

    def broad(model: Perfect) -> dict:  # type: ignore[type-arg]
        measure = Measure(model, plan)
        for number in range(plan.n):
            measure.breadth(cases.case(plan.seed, number), cases.ordinary(plan.seed, number))
        return measure.report.plain()

    many, one = broad(Perfect()), broad(Monotone())
    assert many["variety"]["mean"] > 0.4 and one["variety"]["mean"] == 0
    assert one["collapse"]["distance"]["mean"] > 0.8 > many["collapse"]["distance"]["mean"]
    assert 0 < many["collapse"]["noise"]["mean"] < one["collapse"]["distance"]["low"]
    assert one["collapse"]["ordinary"]["mean"] > 0.8 > many["collapse"]["ordinary"]["mean"]


def test_words_alone_are_those_of_the_whole_measure(perfect: dict) -> None:  # type: ignore[type-arg]
    alone = Measure(Perfect(), replace(SMALL, words_only=True)).run().plain()
    assert alone["words"] == perfect["words"] and alone["n"] == perfect["n"]
    assert alone["right_scene"]["continue"] is None and alone["phrases"]["done"] is None


def test_an_ordinary_moment_is_one_of_a_story_that_could_be_trained_on() -> None:
    found = [cases.ordinary(0, number) for number in range(20)]
    assert all(is_train(one.before, one.event) and is_enabled(one.before, one.event) for one in found)
    again = [cases.ordinary(0, number) for number in range(20)]
    assert [(one.before, one.event, one.past) for one in found] == [(one.before, one.event, one.past) for one in again]
    assert len({one.event.rule for one in found}) > 8


def test_blur_is_not_sharp_and_another_picture_is_not_alike() -> None:
    told = cases.case(0, 0)
    right = clip(told.before, told.event, told.after)[-1]
    soft = np.asarray(Image.fromarray(right).resize((80, 48)).resize((160, 96)))
    assert pictures.ssim(right, right) == pytest.approx(1) and pictures.sharpness(soft) < 0.5 * pictures.sharpness(
        right
    )
    assert pictures.ssim(soft, right) < 0.98
    found = pictures.legibility(right, reader_of())
    assert found is not None and found.ssim > 0.98
    noise = np.random.default_rng(0).integers(0, 255, right.shape, dtype=np.uint8)
    assert pictures.legibility(noise, reader_of()) is None
    assert pictures.masked_psnr(right[None], right[None], np.zeros((1, 96, 160), np.uint8)) is None


def test_floors_are_low(perfect: dict) -> None:  # type: ignore[type-arg]
    assert set(perfect["floors"]) == set(FLOORS)
    assert perfect["floors"]["copy_last"]["mean"] == perfect["floors"]["copy_last_reader_free"]["mean"] == 0
    assert perfect["floors"]["other_story"]["mean"] == 0
    assert perfect["floors"]["neighbour"]["mean"] < 0.5
    assert 0 < perfect["floors"]["chance_reader_free"]["mean"] < 0.5


def test_the_nearest_training_moment_is_the_one_that_looks_so() -> None:
    moments, drawn, _ = neighbours.known()
    assert len(moments) == len(drawn) == neighbours.MOMENTS
    for one in moments[5:8]:
        found = neighbours.nearest(still(one.before))
        assert found.before.seen() == one.before.seen()
        assert is_train(found.before, found.event) and len(found.frames()) == 17


def test_words_that_stand_in_the_story_or_were_taught_are_counted() -> None:
    told = cases.case(0, 0)
    taught = tell(told.event, told.before, TRAIN_VARIANTS[0])
    again = replace(told, context=StoryContext((*told.context.scenes, replace(told.context.scenes[-1], words=taught))))
    for one, words, expected in (
        (told, taught, [0, 1]),
        (told, tell(told.event, told.before, HELD_OUT_VARIANTS[0]), [0, 0]),
        (again, taught, [1, 1]),
    ):
        measure = Measure(Saying(words), Plan(n=1))
        measure.tells(one)
        found = measure.report.plain()["verbatim"]
        assert [found["story"]["mean"], found["taught"]["mean"]] == expected


def test_right_words_with_the_last_picture_are_no_right_scene() -> None:
    figures = Measure(Copying(), Plan(n=2, closed_loops=1, depth=4, what_ifs=1, phrases=0)).run().plain()
    assert figures["words"]["mean"] == 1.0
    for name in ("steering", "what_if", "motion", "reader_free"):
        assert figures[name]["mean"] == 0.0, name
    assert figures["right_scene"]["continue"]["mean"] == figures["right_scene"]["cut"]["mean"] == 0.0
    assert figures["closed_loop"]["4"]["mean"] == 0.0
    assert figures["ceiling"] is None  # nothing to measure it with


def test_the_same_future_for_every_past_is_no_what_if() -> None:
    measure = Measure(Monotone(), Plan(n=4, closed_loops=0, what_ifs=4, phrases=0, cut=False))
    figures = measure.run().plain()
    assert figures["what_if"]["mean"] == 0.0 and figures["steering"]["mean"] == 0.0
    assert figures["right_scene"]["cut"] is None


def test_cases_are_held_out_and_the_same_again() -> None:
    for number in range(8):
        one = cases.case(3, number)
        assert split_of(one.before, one.event) == "held_out"
        again = cases.case(3, number)
        assert again.context.scenes[-1].words == one.context.scenes[-1].words
        assert (again.before, again.event) == (one.before, one.event)


def test_steering_asks_for_another_possible_event_in_unseen_words() -> None:
    asked = 0
    for number in range(8):
        one = cases.case(4, number)
        own = enabled(one.before)[0]
        wish = cases.steered(one.before, own, Random(number))
        if wish is not None:
            asked += 1
            event, words = wish
            assert event in enabled(one.before) and event != own and parse(words) == event
    assert asked >= 6


def test_reader_free_tells_futures_apart() -> None:
    one = cases.case(5, 1)
    futures = cases.futures(one.before, one.event)
    assert len(futures) >= 2
    truth = clip(one.before, one.event, one.after)
    grainy = np.clip(truth + np.random.default_rng(0).normal(0, 40, truth.shape), 0, 255).astype(np.uint8)
    assert nearest_is(one.before, one.event, grainy)
    assert not nearest_is(one.before, futures[1], truth)


def test_the_report_shows_every_judged_scene(tmp_path: Path) -> None:
    gallery = Gallery()
    measure = Measure(Copying(), Plan(n=2, closed_loops=1, depth=2, what_ifs=1, phrases=0), show=gallery.add)
    figures = measure.run().plain()
    kinds = [e.kind for e in gallery.exhibits]
    assert [kinds.count(k) for k in ("continue", "cut", "what_if", "closed_loop")] == [2, 2, 2, 2]
    assert kinds.count("steering") == figures["steering"]["n"]
    assert all(e.passed is False and e.verdict for e in gallery.exhibits)
    assert all(e.wanted is not None for e in gallery.exhibits if e.kind != "closed_loop")
    told = replace(gallery.exhibits[0], words="<b>rain</b>", drawn=None)
    gallery.add(told)
    path = tmp_path / "deep" / "report.html"
    gallery.write(path, "a & b", "words  100 %")
    page = path.read_text(encoding="utf-8")
    assert page.count("<article") == len(gallery.exhibits) and "&lt;b&gt;rain" in page and "a &amp; b" in page
    assert not re.findall(r"(?:src|href)='(?!data:)", page) and not list(path.parent.glob(".*"))
    shown = [Image.open(io.BytesIO(base64.b64decode(d))) for d in re.findall(r"base64,([^']+)'", page)]
    assert {picture.size for picture in shown} == {(160, 96)}
    frames = [getattr(picture, "n_frames", 1) for picture in shown]
    assert 1 in frames and max(frames) == 17  # equal neighbours are one frame that lasts longer


def test_time_that_runs_out_is_told_in_n() -> None:
    report = Measure(Perfect(), Plan(n=3, minutes=0.0, phrases=0)).run()
    assert report.plain()["n"] <= 1


def test_the_real_pipeline_with_random_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nsp_core.model.build import tiny_pipeline

    tiny_pipeline().save_pretrained(tmp_path / "tiny")
    command = ["picturebook", "--checkpoint", str(tmp_path / "tiny"), "--json", "--n", "1", "--seed", "3"]
    assert main.main(command) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(result) == KEYS and result["n"] == 1
    assert result["words"]["mean"] == 0.0
    assert result["ceiling"] == {"mean": 0.0, "low": 0.0, "high": 0.975, "n": 1}


def test_a_missing_checkpoint_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["picturebook", "--checkpoint", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.strip()
    assert main.main(["picturebook", "--n", "0"]) == 2
