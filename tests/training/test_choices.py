"""What is learnt from choices: the file, the loss, what moves and what does not, people who are made up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from app.teaching.adapters import offers as menu
from nsp_core import taste
from nsp_core.adapters import TASTE, attach, detach, read
from nsp_core.errors import CheckpointMismatch, UserError
from nsp_core.language import Language
from nsp_core.media.write import write_clip
from nsp_core.model import build
from nsp_core.model.vision_language import Prompt
from nsp_core.model.writing import score
from nsp_core.types import Scene, StoryContext
from training.adapt.stage import LoraSizes
from training.choices import file, main, packing, proof, proof_takes
from training.choices.lookers import look_at, looker
from training.choices.people import NONSENSE, person, told
from training.choices.reinforce import TakesConfig
from training.choices.stage import teach
from training.choices.takes import NAMES, Pair, TakeTaste, fit, measures, win_rates
from training.choices.words import Offer, WordsConfig, learn, loss_of, offers, split
from training.grpo.advantages import GroupConfig
from training.grpo.rollout import RolloutConfig
from training.loop import LoopConfig
from training.picturebook.rules import enabled
from training.picturebook.splits import train_story
from training.picturebook.words import corpus, tell

QUICK = WordsConfig(rank=2, steps=6, batch=3, look_every=3, lr=5e-3, held_out=0.3)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """A whole model of random weights."""
    made = build.tiny_pipeline(corpus(Random(0), 200))
    for part in made.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return made


def row(number: int, **other: Any) -> file.Choice:
    values: dict[str, Any] = {
        "id": f"c{number}",
        "kind": "kept",
        "story": f"s{number // 2}",
        "about": "words",
        "context": [file.Told(words="It is a clear day on the meadow.")],
        "words": "It starts to rain.",
        "better": "It starts to rain.",
        "worse": ["The sun goes down.", "Wind comes up."],
    }
    return file.Choice(**{**values, **other})


# the file ------------------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    take = file.Take(clip="c.files/a.mp4", seed=3)
    rows = [
        row(1),
        row(2, kind="threw_away", better=None),
        row(3, kind="chose", about="take", better=take, worse=[take]),
    ]
    file.write(tmp_path / "c.jsonl", rows)
    assert file.read(tmp_path / "c.jsonl") == rows


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda _lines: [], "is no file of choices"),
        (lambda lines: ["{}", *lines[1:]], "is no file of choices"),
        (lambda lines: [lines[0].replace('"format":1', '"format":2'), *lines[1:]], "newer version"),
        (lambda lines: lines[:-1], "holds 2 choices and has 1"),
        (lambda lines: [lines[0], "{", lines[2]], "Line 2 of c.jsonl is no choice"),
        (lambda lines: [*lines[:2], lines[2].replace('"kept"', '"dreamt"')], r"Line 3 of c.jsonl is no choice \(kind"),
        (lambda lines: [*lines[:2], lines[2].replace('"words":"', '"more":1,"words":"', 1)], "Line 3 .*context"),
        (lambda lines: [lines[0], lines[1].replace('"about":"words"', '"about":"take"'), lines[2]], "is about take"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path, change: Any, says: str) -> None:
    path = tmp_path / "c.jsonl"
    file.write(path, [row(1), row(2)])
    path.write_text("\n".join(change(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8")
    with pytest.raises(UserError, match=says):
        file.read(path)


def test_pictures_lie_beside_the_file_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "b.png"):
        Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(tmp_path / name)
    path = tmp_path / "in" / "c.jsonl"
    seen = row(1, context=[file.Told(words="x", first="a.png", last="a.png")])
    frames = file.context_of(path, seen).scenes[0].frames
    assert frames is not None and frames.shape == (2, 4, 6, 3)
    gone = row(1, context=[file.Told(words="x", first="a.png", last="gone.png")])
    assert file.context_of(path, gone).scenes[0].frames is None
    with pytest.raises(UserError, match="lies elsewhere"):
        file.context_of(path, row(1, context=[file.Told(words="x", first="../b.png", last="a.png")]))


# learning ------------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_law_of_choice() -> None:
    """With two words and nothing learnt it is log 2 and its slope is beta / 2 each way; a throw only goes down."""
    config = WordsConfig(beta=0.5, hold=0.0)
    values = torch.tensor([-3.0, -5.0], requires_grad=True)
    loss = loss_of(values, values.detach(), Offer("s", Prompt(""), ("a b", "c"), 0), config)
    (slope,) = torch.autograd.grad(loss, values)
    assert loss.item() == pytest.approx(np.log(2)) and slope.tolist() == pytest.approx([-0.25, 0.25])
    alone = torch.tensor([-3.0], requires_grad=True)
    (slope,) = torch.autograd.grad(loss_of(alone, alone.detach(), Offer("s", Prompt(""), ("a",), -1), config), alone)
    assert slope.item() > 0
    kept = loss_of(alone, alone.detach(), Offer("s", Prompt(""), ("a b c",), 0), replace(config, hold=1.0))
    assert kept.item() == pytest.approx(3 / 4), "supervised learning alone: a token's mean"
    held = loss_of(values, values.detach(), Offer("s", Prompt(""), ("a b", "c"), 0), replace(config, hold=1.0))
    assert held.item() - loss.item() == pytest.approx((3 / 3 + 5 / 2) / 2), "of all that was offered, kept or not"


def test_held_out_choices_are_of_other_stories() -> None:
    found = [Offer(f"s{n % 7}", Prompt(""), ("a", "b"), 0) for n in range(40)]
    train, held_out = split(found, WordsConfig())
    assert held_out and not {o.story for o in train} & {o.story for o in held_out}
    assert len(train) + len(held_out) == 40
    train, held_out = split([replace(one, story="one") for one in found], WordsConfig())
    assert train and held_out and len(train) + len(held_out) == 40


def test_what_the_model_has_no_words_for_is_left_out(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = " ".join([row(1).words, *row(1).worse])
    monkeypatch.setattr(pipeline, "language", Language(frozenset(said.lower().replace(".", "").split()), (said,)))
    rows = [row(1), row(2, better="Zorgs quibble."), row(3, steer="rain"), row(4, worse=["Zorgs quibble."])]
    found, left = offers(pipeline, tmp_path / "c.jsonl", rows)
    assert [one.answers for one in found] == [(row(1).better, *row(1).worse), (row(4).better,)]
    assert sum(left.reasons.values()) == 2


def weigh(model: Any, pipeline: Any, prompt: Prompt, answers: Sequence[str]) -> Tensor:
    (found,) = packing.log_probabilities(model, [packing.encode(model, pipeline.processor, prompt, answers)])
    return found


def test_answers_that_are_weighed_together_do_not_see_each_other(pipeline: Any) -> None:
    """As nsp_core.model.writing.score, which weighs them one at a time, says; with pictures and without."""
    clip = np.random.default_rng(0).integers(0, 255, (2, 96, 160, 3), np.uint8)
    answers = ("Wind comes up.", "It starts to rain, and it rains.", "Snow.")
    model, processor = pipeline.vision_language, pipeline.processor
    for prompt in (Prompt("1. Rain.\nWhat happens next?"), Prompt("What happens next?", (clip,))):
        packed = packing.encode(model, processor, prompt, answers)
        short = packing.encode(model, processor, Prompt("Rain."), answers[:1])
        with torch.no_grad():
            together, _ = packing.log_probabilities(model, [packed, short])
        alone = [mean * size for mean, size in zip(score(model, processor, prompt, answers), packed.sizes, strict=True)]
        assert together.tolist() == pytest.approx(alone, abs=2e-3)


def test_queries_and_pictures_stay_the_same_bits(pipeline: Any, tmp_path: Path) -> None:
    """A taste changes what is told, and nothing else: query states, descriptions and wishes are bit-identical."""
    path = tmp_path / "c.jsonl"
    worse = ["It starts to rain.", "The sun goes down."]
    file.write(path, [row(n, better="Wind comes up.", worse=worse) for n in range(12)])
    weights = {name: p.detach().clone() for name, p in pipeline.vision_language.named_parameters()}
    context = StoryContext((Scene("It is a clear day on the meadow."),))
    prompt = pipeline.prompt(context, pipeline.dialect.next)

    def read_all() -> tuple[Tensor, Tensor]:
        said = weigh(taste.storyteller(pipeline), pipeline, prompt, ["Wind comes up."])
        return pipeline.read(pipeline.prompt_to_draw(context, "It starts to rain.")), said

    with torch.no_grad():
        states, before = read_all()
        made = teach(pipeline, path, tmp_path, config=QUICK)
        assert all(torch.equal(p, weights[n]) for n, p in pipeline.vision_language.named_parameters())
        if made.adapter is None:
            pytest.fail(f"the tiny model learnt nothing: {made.plain()}")
        base = pipeline.fingerprint
        adapter = read(made.adapter)
        assert (adapter.draws, adapter.taste, adapter.rank) == (False, made.adapter / TASTE, 2)
        shutil.copytree(made.adapter, tmp_path / "data" / "adapters" / "mine")
        (offer,) = menu(tmp_path / "data")
        assert (offer.rank, offer.base, offer.why) == (2, base, ""), "the page offers it"
        attach(pipeline, [(adapter, 1.0)])
        taught_states, after = read_all()
        assert torch.equal(states, taught_states) and not torch.equal(before, after)
        assert pipeline.fingerprint != base and pipeline.adapter == "my taste"
        attach(pipeline, [(adapter, 0.0)])
        assert torch.equal(read_all()[1], before), "at strength 0 it is the reader"
        attach(pipeline, [(adapter, 0.5), (adapter, 0.5)])
        assert torch.allclose(read_all()[1], after, atol=1e-4), "two halves are one"
        detach(pipeline)
        assert pipeline.fingerprint == base and torch.equal(read_all()[1], before)
    taste.write(tmp_path / "odd.safetensors", {"nowhere.at.all": (torch.zeros(1, 3), torch.zeros(3, 1))}, 1.0)
    with pytest.raises(CheckpointMismatch, match="does not fit"):
        taste.Taste(taste.read(tmp_path / "odd.safetensors")).over(pipeline.vision_language)


def test_what_is_saved_is_what_was_learnt(pipeline: Any) -> None:
    """The storyteller of the saved layers gives the log-probabilities of the copy that learnt."""
    found = [
        Offer(f"s{n}", Prompt("1. Rain.\nWhat happens next?"), ("Wind comes up.", "It starts to rain."), 0)
        for n in range(8)
    ]
    learnt = learn(pipeline, found, QUICK)
    assert learnt.after is not None and learnt.loss_after is not None and learnt.loss_before is not None
    assert learnt.loss_after < learnt.loss_before
    added = {n: QUICK.alpha / QUICK.rank * (b @ a) for n, (a, b) in learnt.layers.items()}
    teller = taste.Taste(added).over(pipeline.vision_language)
    with torch.no_grad():
        new, old = (weigh(m, pipeline, found[0].prompt, found[0].answers) for m in (teller, pipeline.vision_language))
    assert new[0] - new[1] > old[0] - old[1], "what was kept gained on what was not"


def test_too_few_choices_are_one_sentence(pipeline: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.jsonl"
    file.write(path, [row(1)])
    with pytest.raises(UserError, match="Of 1 choices 1 can be learnt from, and two are the least"):
        teach(pipeline, path, tmp_path, config=QUICK)
    assert main.main([str(tmp_path / "gone.jsonl"), "--out", str(tmp_path), "--steps", "0"]) == 2
    assert "must be 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "adapter").exists()


# takes ---------------------------------------------------------------------------------------------------------------


def pairs(count: int, stories: int, towards: Any) -> list[Pair]:
    rng = np.random.default_rng(7)
    found = []
    for n in range(count):
        one, other = rng.normal(size=(2, len(NAMES)))
        better, worse = (one, other) if towards(one) > towards(other) else (other, one)
        found.append(Pair(f"s{n % stories}", better, worse))
    return found


def test_a_taste_in_takes_is_found_and_chance_is_not_believed() -> None:
    light = NAMES.index("light")
    liked = fit(pairs(120, 20, lambda m: m[light] - 0.5 * m[light + 1]))
    assert liked is not None and liked.right is not None and liked.believed and liked.right.mean > 0.85
    assert liked.weights[light] == max(liked.weights) and liked.weights[light + 1] == min(liked.weights)
    rng = np.random.default_rng(1)
    nobody = fit(pairs(120, 20, lambda _m: rng.random()))
    assert nobody is not None and not nobody.believed
    assert fit(pairs(5, 5, lambda m: m[0])) is None


def test_measures_say_what_they_are_called() -> None:
    dark, bright = np.full((5, 8, 8, 3), 40, np.uint8), np.full((5, 8, 8, 3), 200, np.uint8)
    red, moving = bright * np.array([1, 0, 0], np.uint8), dark.copy()
    moving[3:] = 200
    at = {name: n for n, name in enumerate(NAMES)}
    assert measures(bright)[at["light"]] > measures(dark)[at["light"]]
    assert measures(red)[at["warmth"]] > 0.7 and measures(red)[at["saturation"]] > measures(bright)[at["saturation"]]
    assert measures(moving)[at["motion"]] > 0 and measures(moving)[at["late motion"]] > 0
    assert measures(moving)[at["change"]] > 0.5 and not measures(dark)[at["sharpness"] :].any()
    liked = TakeTaste(np.eye(len(NAMES))[at["light"]], np.ones(len(NAMES)), 20, None)
    assert liked.score(bright) > liked.score(dark)


def test_worth_is_a_win_rate_within_the_scene() -> None:
    assert win_rates([3.0, 3.0]) == [0.5, 0.5]
    low, middle, high = win_rates([0.0, 1.0, 50.0])
    assert low < middle < high and high == pytest.approx(1.0) and low + middle + high == pytest.approx(1.5)
    assert win_rates([1000.0, 1001.0, 1050.0]) == pytest.approx([low, middle, high]), "the scene itself says nothing"


# people --------------------------------------------------------------------------------------------------------------


def test_people_follow_from_their_seed() -> None:
    assert person(3, 1) == person(3, 1)
    assert len({json.dumps(person(3, n).plain(), sort_keys=True) for n in range(8)}) == 8
    assert person(4, 1) != person(3, 1)


def test_people_choose_what_they_like() -> None:
    world = train_story(Random(5), 4).worlds[0]
    who = person(3, 1)
    words = [tell(event, world) for event in enabled(world)]
    values = [who.likes_words(one, world) for one in words]
    assert told(words[0], world) in enabled(world) and who.likes_words("Nothing of that.", world) == NONSENSE
    best = who.best(world)
    assert all(who.likes(event) >= max(values) - 1e-9 or event in best for event in best)
    taken = [who.chooses([*words, "Nonsense."], world, Random(n)) for n in range(60)]
    assert np.mean([([*values, NONSENSE])[at] for at in taken]) > np.mean(values)


def test_the_proof_counts_pairs_by_story() -> None:
    def rows(matched: list[float]) -> dict[str, dict[str, float | None]]:
        zero = dict.fromkeys(proof.FIGURES, 0.0)
        return {str(n): {**zero, "matched": m, "right_scene": None} for n, m in enumerate(matched)}

    found = {
        "0": {"before": rows([0, 0, 0, 1]), "after": rows([1, 1, 0, 1])},
        "1": {"before": rows([0, 0, 0, 0]), "after": rows([0, 1, 0, 0])},
    }
    made = proof.result(found)
    assert (made["all"]["matched"]["n"], made["all"]["matched"]["won"], made["all"]["matched"]["lost"]) == (4, 2, 0)
    assert made["by_person"]["0"]["matched"]["n"] == 4 and made["by_person"]["1"]["matched"]["b"] == 0.25
    assert made["all"]["matched"]["difference"] == 0.375 and made["all"]["right_scene"] is None


@pytest.mark.full
def test_takes_teach_drawing(pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bright takes are preferred; the lesson leaves layers for the transformer, and the model itself stays as it is."""
    folder = tmp_path / "c.files"
    folder.mkdir()
    rows = []
    for n in range(12):
        files = {}
        for name, light in (("dark", 60 + 3 * n), ("bright", 180 - 3 * n)):
            frames = np.full((17, 96, 160, 3), light, np.uint8)
            write_clip(folder / f"{n}-{name}.mp4", frames, 8)
            Image.fromarray(frames[0]).save(folder / f"{n}-{name}.png")
            files[name] = f"c.files/{n}-{name}"
        end = files["dark"] + ".png"
        shown = file.Told(words="Rain.", clip=files["dark"] + ".mp4", first=end, last=end)
        better, worse = (file.Take(clip=files[name] + ".mp4") for name in ("bright", "dark"))
        rows.append(row(n, kind="chose", story=f"s{n}", about="take", context=[shown], better=better, worse=[worse]))
    path = tmp_path / "c.jsonl"
    file.write(path, rows)
    before = {n: p.detach().clone() for n, p in pipeline.transformer.named_parameters()}
    quick = TakesConfig(
        tmp_path / "drawing",
        loop=LoopConfig(1, optimiser="adamw", adam_lr=1e-2, warmup=1, log_every=1, eval_every=1, autocast=False),
        lora=LoraSizes(rank=2, alpha=2.0),
        rollout=RolloutConfig(steps=2, fraction=1.0, micro_batch=2),
        group=GroupConfig(candidates=4, top=1, bottom=1, least=2),
        held_out=1,
    )
    made = teach(pipeline, path, tmp_path, takes=quick)
    assert made.code == 0 and made.learnt is None and made.reinforced.preferred is not None
    assert made.drawn == (made.reinforced.preferred > 0.5) == (made.adapter is not None)
    assert all(torch.equal(p, before[n]) for n, p in pipeline.transformer.named_parameters())
    monkeypatch.setattr("training.choices.reinforce.preferred", lambda *_: 0.9)
    made = teach(pipeline, path, tmp_path, takes=quick)  # the lesson is there already: only its end is done again
    assert made.drawn and made.adapter is not None and "90%" in (made.adapter / "README.md").read_text()
    adapter = read(made.adapter)
    assert adapter.draws and adapter.taste is None and adapter.rank == 2
    assert all(torch.equal(p, before[n]) for n, p in pipeline.transformer.named_parameters())
    attach(pipeline, [(adapter, 1.0)])
    detach(pipeline)


def test_people_who_look_choose_by_what_they_see() -> None:
    assert looker(5, 2) == looker(5, 2) and looker(5, 2) != looker(6, 2)
    dark, light = (look_at(np.full((5, 9, 9, 3), value, np.uint8)) for value in (30, 220))
    assert light["a light sky"] > dark["a light sky"] and light["much that moves"] == 0 and dark["many colours"] < 1e-9
    rows = [{"seen": [dark, light]}, {"seen": [light, light]}]
    apart = proof_takes.apart_of(rows)
    who = replace(looker(5, 2), likes={"a light sky": 1.0})
    values = [who.value(seen, apart) for seen in (light, dark)]
    assert values[0] > values[1] and apart["a light sky"] > 0
    assert np.mean([who.chooses(*values, Random(n)) for n in range(50)]) < 0.3
