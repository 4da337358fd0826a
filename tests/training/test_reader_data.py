"""The reader's tasks: every prompt and answer is true in the world that it was drawn from, and drawn again the same."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from nsp_core import prompts
from training import reader_data
from training.picturebook.loosely import describe_loosely, describe_vaguely
from training.picturebook.parse import parse, parse_world
from training.picturebook.phrases import PARAPHRASES, PLACE_PHRASES, SLOT_PHRASES
from training.picturebook.rules import enabled, is_enabled, step
from training.picturebook.scenes import Story, story
from training.picturebook.splits import is_train
from training.picturebook.wordings import retold, wordings
from training.picturebook.words import (
    HELD_OUT_VARIANTS,
    TRAIN_VARIANTS,
    colourless,
    look_back,
    sky_sentence,
    tell,
    thing_sentence,
    vocabulary,
    words_of,
)
from training.picturebook.world import COLOURS, SLOTS
from training.reader_data import (
    Moment,
    Sample,
    begin_sample,
    ends_of,
    mistaken,
    near_miss,
    sample,
    shortly,
    story_words,
    thinned,
)

TASKS = ("describe", "next", "before", "steer", "judge", "draw")


@pytest.fixture(scope="module")
def moments() -> list[Moment]:
    """Every place in forty stories."""
    stories = [story(Random(seed), 8) for seed in range(40)]
    return [Moment(s, at) for s in stories for at in range(len(s.events))]


def draws(moments: list[Moment], task: str, **settings) -> list[tuple[Moment, Sample]]:
    settings = {"frames": False, **settings}
    return [(m, sample(m, task, Random(i), **settings)) for i, m in enumerate(moments)]


def asked(one: Sample, template: str) -> str:
    """The words that fill {words} of a task's template, from the end of the prompt."""
    lead = template.split("{words}")[0]
    assert lead in one.prompt.text, one.prompt.text
    return one.prompt.text.rsplit(lead, 1)[1]


def test_describe_reads_back_as_the_world_that_is_seen(moments):
    for moment, one in draws(moments, "describe"):
        assert one.prompt.text == prompts.STARTER.describe
        assert parse_world(one.answer) == moment.world.seen()


def test_next_reads_back_as_an_event_that_can_happen_and_was_not_held_out(moments):
    for moment, one in draws(moments, "next"):
        assert one.prompt.text.endswith(prompts.STARTER.next)
        event = parse(one.answer)
        assert is_enabled(moment.world, event)
        assert one.after == step(moment.world, event)
        if any(is_train(moment.world, other) for other in enabled(moment.world)):
            assert is_train(moment.world, event)


def test_next_knows_all_right_answers_and_their_odds(moments):
    for moment, one in draws(moments, "next"):
        told, held = dict(one.answers), dict(one.untaught)
        assert one.answer in told and not told.keys() & held.keys()
        assert sum(told.values()) + sum(held.values()) == pytest.approx(1)
        assert {parse(words) for words in (*told, *held)} <= set(enabled(moment.world))


@pytest.mark.parametrize("task", ["draw", "steer"])
def test_held_out_compositions_are_never_asked_for_in_training(moments, task):
    for moment, one in draws(moments * 3, task):
        others = [e for e in enabled(moment.world) if is_train(moment.world, e)]
        if one.answer != prompts.UNKNOWN and others and is_train(moment.world, moment.event):
            event = parse(one.answer.split(".")[0] + ".")
            assert event is None or is_train(moment.world, event)


def test_what_is_held_out_is_neither_shown_nor_denied(moments):
    closed = 0
    for moment, one in draws(moments, "next"):
        if not any(is_train(moment.world, event) for event in enabled(moment.world)):
            continue
        closed += moment.is_closed
        assert all(is_train(moment.world, parse(words)) for words, _ in one.answers)
        held = {event for event in enabled(moment.world) if not is_train(moment.world, event)}
        assert {parse(words) for words, _ in one.untaught} == held
    assert closed


def test_a_near_miss_is_an_event_that_cannot_happen_here(moments):
    missed = [(m, words) for i, m in enumerate(moments) if (words := near_miss(m, Random(i)))]
    assert len(missed) > 0.9 * len(moments)
    for moment, words in missed:
        event = parse(words)
        assert event is not None and not is_enabled(moment.world, event)


def test_what_is_called_a_mistake_cannot_happen_and_is_not_held_out(moments):
    wrong = [(m, event) for i, m in enumerate(moments) if (event := mistaken(m, Random(i)))]
    assert len(wrong) > 0.9 * len(moments)
    for moment, event in wrong:
        assert not is_enabled(moment.world, event) and is_train(moment.world, event)
    assert len({event.rule for _, event in wrong}) > 20


def test_a_moment_is_closed_where_a_held_out_composition_could_follow(moments):
    closed = [m for m in moments if m.is_closed]
    assert 0 < len(closed) < len(moments) / 2
    assert all(any(not is_train(m.world, e) for e in enabled(m.world)) for m in closed)


def test_before_tells_the_event_that_led_here(moments):
    for moment, one in draws(moments, "before"):
        past = moment.story.events[moment.at - 1] if moment.at else None
        assert one.answer in {look_back(past, one.before, v) for v in TRAIN_VARIANTS}


def test_a_wish_that_can_come_true_is_fulfilled_by_an_event_that_can_happen(moments, monkeypatch):
    monkeypatch.setattr(reader_data, "dressed", lambda wish, _: wish)
    declined, granted = [], []
    for moment, one in draws(moments * 3, "steer"):
        wish = asked(one, prompts.STARTER.steer)
        options = enabled(moment.world)
        if one.answer == prompts.UNKNOWN:
            declined.append(wish)
            assert all(wish not in shortly(o) for o in options), f"{wish} could come true"
            continue
        granted.append(wish)
        event = parse(one.answer)
        assert event in options
        long = {*(retold(event, n) for n in range(5)), *(tell(event, None, v) for v in range(8))}
        known = shortly(event) | long | {colourless(words, event) for words in long}
        assert wish in known or parse(wish, moment.world) == event
    assert len(declined) > 50 and len(granted) > 3 * len(declined)
    short = [sum(wish[0].islower() for wish in some) / len(some) for some in (declined, granted)]
    assert min(short) > 0.4, f"the wording gives the answer away: {short} of declined and granted wishes are short"


def test_a_verdict_agrees_with_the_rules(moments):
    """It follows: the event can happen. It repeats: it is what has just happened. It does not follow: it can't."""
    follows, repeats, wrong = prompts.VERDICTS
    count = dict.fromkeys(prompts.VERDICTS, 0)
    for moment, one in draws(moments * 3, "judge"):
        told = parse(asked(one, prompts.STARTER.judge))
        past = moment.story.events[moment.at - 1] if moment.at else None
        assert told is not None
        count[one.answer] += 1
        if one.answer == repeats:
            assert told == past
        elif one.answer == follows:
            assert told in enabled(moment.world)
        else:
            assert told not in enabled(moment.world) and told != past
    assert min(count.values()) > 0.1 * sum(count.values()), count


def test_a_judged_clip_shows_what_its_verdict_says(moments):
    alone = 0  # words that are judged before anything is drawn
    for moment, one in draws(moments[:90], "judge", frames=True):
        if len(one.prompt.clips) < 2:
            alone += 1
            continue
        *_, shown = one.prompt.clips
        moved = not np.array_equal(shown[0], shown[1])
        if one.answer == prompts.VERDICTS[0]:
            assert moved == (moment.after.seen() != moment.world.seen())
        elif one.answer == prompts.VERDICTS[1]:
            assert not moved
    assert 30 < alone < 80


def test_draw_is_told_what_can_happen_and_its_state_is_what_comes_of_it(moments):
    own = further = 0
    for moment, one in draws(moments, "draw"):
        assert one.plain is not None
        event = parse(asked(replace(one, prompt=one.plain), prompts.STARTER.draw))
        said = asked(one, prompts.STARTER.draw)
        further += said in {retold(event, number) for number in range(5)}
        assert parse(said) == event or said in {retold(event, number) for number in range(5)}
        assert event in enabled(moment.world)
        assert one.after == step(moment.world, event)
        first, rest = one.answer.split(". ", 1)
        assert parse(first + ".") == event and parse_world(rest) == one.after.seen()
        own += event == moment.event
    assert 0.3 < further / len(moments) < 0.5
    assert 0.4 < own / len(moments) < 0.95  # the story's own event, and others so that steering is learnt


def test_a_described_beginning_is_drawn_from_its_words_alone(moments):
    for i, moment in enumerate(moments[:50]):
        one = begin_sample(moment, Random(i), held_out=True)
        assert one.prompt.clips == ()
        told = parse_world(asked(one, prompts.STARTER.draw))
        assert told == parse_world(one.answer) == moment.world.seen()
        taught = begin_sample(moment, Random(i))
        if taught.plain is not None:  # else it leaves something open
            assert parse_world(asked(replace(taught, prompt=taught.plain), prompts.STARTER.draw)) == told


def test_a_scene_is_described_in_many_ways_and_never_in_those_held_out(moments):
    known, ways = set(vocabulary()), set()
    for i, moment in enumerate(moments):
        world = moment.world
        text = describe_loosely(world, Random(i))
        words = text.lower().replace(",", "").replace(".", "")
        assert set(words_of(text)) <= known
        for fact in (PLACE_PHRASES[world.place], world.light, *(SLOT_PHRASES[thing.slot] for thing in world.things)):
            assert fact in words
        for thing in world.things:
            assert (thing.visible_colour or "") in words
        held = {sky_sentence(world, v) for v in HELD_OUT_VARIANTS} | {
            thing_sentence(thing, v) for thing in world.things for v in HELD_OUT_VARIANTS
        }
        assert not held & {sentence + "." for sentence in text.rstrip(".").split(". ")}
        ways.add(words_of(text)[0])
    assert len(ways) > 8


def test_a_vague_description_leaves_something_open_and_says_nothing_wrong(moments):
    known, shorter = set(vocabulary()), 0
    for i, moment in enumerate(moments):
        world = moment.world.seen()
        text = describe_vaguely(world, Random(i))
        words = set(words_of(text))
        assert words <= known
        assert words & set(COLOURS) <= {thing.visible_colour for thing in world.things}
        assert not re.search(r"\ba [aeiou]|  ", text)
        facts = {
            world.light,
            *(w for t in world.things if (w := t.visible_colour)),
            *(SLOTS[t.slot] for t in world.things),
        }
        shorter += not facts <= words
    assert shorter > 0.8 * len(moments)


def test_some_beginnings_are_vague_and_are_held_to_nothing(moments):
    vague = [one for i, m in enumerate(moments) if (one := begin_sample(m, Random(i))).plain is None]
    assert 0.1 * len(moments) < len(vague) < 0.3 * len(moments)


def test_a_wording_is_held_to_the_first_one(moments):
    """The anchor of a reader reads `plain`: the same story and clip, the event in the language's first wording."""
    for i, moment in enumerate(moments[:40]):
        one = sample(moment, "draw", Random(i), frames=True)
        assert one.plain is not None
        assert one.plain.clips is one.prompt.clips
        assert asked(replace(one, prompt=one.plain), prompts.STARTER.draw) == one.answer.split(". ", 1)[0] + "."


@pytest.mark.parametrize("task", TASKS)
def test_with_frames_the_clip_is_the_ends_of_the_scene_and_the_same_again(moments, task):
    from training.picturebook.draw import still

    for i, moment in enumerate(moments[:6]):
        one, two = (sample(moment, task, Random(i), frames=True) for _ in range(2))
        assert one.prompt.text == two.prompt.text and one.answer == two.answer
        assert all(np.array_equal(a, b) for a, b in zip(one.prompt.clips, two.prompt.clips, strict=True))
        before, now = ends_of(moment)
        sharp = np.stack([still(before), still(now)])
        # training pictures may be soft and noisy, those of a test never are
        assert np.abs(one.prompt.clips[0].astype(int) - sharp).mean() < 12
        held = sample(moment, task, Random(i), frames=True, held_out=True)
        assert np.array_equal(held.prompt.clips[0], sharp)


def test_the_story_is_told_from_its_beginning_and_never_past_the_moment(moments):
    for i, moment in enumerate(moments):
        words = story_words(moment, Random(i))
        assert parse_world(words[0]) == moment.story.worlds[0].seen()
        assert [parse(w) for w in words[1:]] == list(moment.story.events[: moment.at])
        one = sample(moment, "next", Random(i), frames=False)
        assert len(re.findall(r"^\d+\. ", one.prompt.text, re.M)) == moment.at + 1


def test_without_words_there_is_a_picture_and_without_a_picture_there_are_words(moments):
    blind = [sample(m, "next", Random(i), frames=True) for i, m in enumerate(moments[:80])]
    silent = [s for s in blind if s.prompt.text == prompts.STARTER.next]
    assert 0.1 < len(silent) / len(blind) < 0.4 and all(s.prompt.clips for s in silent)
    for _, one in draws(moments, "next"):
        assert "\n" in one.prompt.text


def test_held_out_wordings_are_never_trained_on(moments):
    both = zip(draws(moments, "next"), draws(moments, "next", held_out=True), strict=True)
    for (_, trained), (moment, held) in both:
        seen = {tell(e, moment.world, v) for e in enabled(moment.world) for v in TRAIN_VARIANTS}
        assert trained.answer in seen
        assert (
            held.answer in {tell(e, moment.world, v) for e in enabled(moment.world) for v in HELD_OUT_VARIANTS} - seen
        )


def test_an_unknown_task_is_refused_with_the_list(moments):
    with pytest.raises(ValueError, match="describe, next, before, steer, judge and draw"):
        sample(moments[0], "paint", Random(0), frames=False)


def test_targets_of_the_heads_name_every_thing_of_a_world():
    from training.picturebook.world import Thing, World
    from training.reader import SPRITES, TARGETS, target

    world = World("shore", "night", "rain", (Thing(0, "bird", "chick", "red"), Thing(2, "ball", "resting", "blue")))
    row = target(world)
    assert len(row) == len(TARGETS) and all(0 <= value < size for value, size in zip(row, TARGETS, strict=True))
    assert SPRITES[row[3]] == "bird chick" and row[4] == 0  # a chick does not show its colour
    assert row[5:7] == [0, 0] and SPRITES[row[7]] == "ball resting" and row[8] > 0


def test_a_batch_depends_on_its_generator_alone():
    from training.loop import LoopConfig
    from training.reader import ReaderConfig, ReaderObjective

    config = ReaderConfig(LoopConfig(1), stories="", out="", batch=6, draw_batch=3, frames_share=0.5)  # type: ignore[arg-type]
    stories: list[Story] = [story(Random(seed), 5) for seed in range(4)]
    objective = ReaderObjective(config, None, None, stories)  # type: ignore[arg-type]

    def texts(seed: int) -> list[tuple[str, str, int]]:
        asked, drawn = objective.batch(np.random.default_rng(seed))
        return [(s.prompt.text, s.answer, len(s.prompt.clips)) for s in (*asked, *drawn)]

    assert texts(1) == texts(1) != texts(2)


def test_thinned_prompts_keep_what_an_answer_needs(moments):
    for i, moment in enumerate(moments[:80]):
        for task in TASKS:
            one = sample(moment, task, Random(i), frames=False)
            short = thinned(one, Random(i), share=0.5)
            assert short.answer == one.answer
            needed = re.findall(r"\b(left|middle|right|red|green|blue|yellow|purple|no|not|\d+)\b", one.prompt.text)
            assert re.findall(
                r"\b(left|middle|right|red|green|blue|yellow|purple|no|not|\d+)\b", short.prompt.text
            ) == (needed)
            if task in ("describe", "next", "before"):
                assert short.prompt.text.endswith(getattr(prompts.STARTER, task))
            assert set(short.prompt.text.split()) <= set(one.prompt.text.split())
    assert sum(
        len(thinned(sample(m, "draw", Random(1), frames=False), Random(2)).prompt.text.split()) for m in moments
    ) < (0.95 * sum(len(sample(m, "draw", Random(1), frames=False).prompt.text.split()) for m in moments))


def test_further_wordings_are_the_same_event_in_other_words():
    """As many fields as the language's own sentences have, and never one of those, least of all a held-out one."""
    assert set(wordings()) == set(PARAPHRASES)
    for rule, lines in wordings().items():
        told = PARAPHRASES[rule].tell
        fields = {field for line in told for field in re.findall(r"\{(\w)\}", line)}
        for line in lines:
            assert set(re.findall(r"\{(\w)\}", line)) == fields, line
        assert len(set(lines)) == len(lines) >= 5 and not set(lines) & set(told)


def test_own_words_are_judged_and_followed_to_where_they_go_wrong():
    from training.loop import LoopConfig
    from training.own_words import OwnWords
    from training.reader import ReaderConfig, ReaderObjective

    stories = [story(Random(seed), 8) for seed in range(40)]
    rows = []
    for number, one in enumerate(stories):
        for at in range(len(one.events)):
            moment = Moment(one, at)
            wrong, right = mistaken(moment, Random(at)), [e for e in enabled(moment.world) if is_train(moment.world, e)]
            rows += [OwnWords(number, at, tell(event, moment.world, 0), True) for event in right[:1]]
            rows += [OwnWords(number, at, tell(wrong, moment.world, 0), False)] if wrong else []
    config = ReaderConfig(LoopConfig(1), stories="", out="", near_share=1.0, own_share=1.0)  # type: ignore[arg-type]
    objective = ReaderObjective(config, None, None, stories, own=rows)  # type: ignore[arg-type]
    rng, pick, verdicts = np.random.default_rng(0), Random(0), set()
    for _ in range(60):
        one = objective.asked(rng, 11, "judge", pick, frames=False)
        told = parse(asked(one, prompts.STARTER.judge))
        assert (one.answer == prompts.VERDICTS[0]) is is_enabled(one.now, told), one
        verdicts.add(one.answer)
        followed = objective.asked(rng, 11, "next", pick, frames=False)
        assert not is_enabled(followed.now, parse(followed.answer))
        assert followed.answer not in dict(followed.answers)
    assert len(verdicts) >= 2
    objective.own = [row for row in rows if row.right and row.at]  # none that is wrong, none early enough
    assert objective.asked(rng, 1, "next", pick, frames=False).task == "next"
    assert objective.asked(rng, 1, "judge", pick, frames=False).task == "judge"
