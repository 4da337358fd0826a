"""Means with intervals that know that scenes of one story belong together."""

from __future__ import annotations

import json

import numpy as np
import pytest

from training.evaluate.intervals import Figure, Tally, estimate, plain


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        figure = estimate((rng.random(60) < 0.7).astype(float), seed=trial)
        held += figure.low <= 0.7 <= figure.high
    assert 178 <= held <= 199  # 95% of 200, less the bootstrap's known optimism on small samples


def test_scenes_of_one_story_count_as_one_story() -> None:
    rng = np.random.default_rng(1)
    per_story = (rng.random(20) < 0.5).astype(float)
    values, stories = np.repeat(per_story, 10), np.repeat(np.arange(20), 10)
    naive, honest = estimate(values), estimate(values, stories.tolist())
    assert honest.mean == naive.mean and honest.n == naive.n == 200
    assert honest.high - honest.low > 2 * (naive.high - naive.low)


def test_nothing_but_ones_is_not_certainty() -> None:
    figure = estimate([1.0] * 32)
    assert figure.mean == figure.high == 1.0
    assert 0.88 < figure.low < 0.90  # the exact binomial bound of 32 in 32
    assert estimate([0.0] * 32).high == pytest.approx(1 - figure.low)
    # eight scenes in each of four stories are four stories
    assert estimate([1.0] * 32, [i // 8 for i in range(32)]).low < 0.45


def test_same_seed_same_interval() -> None:
    values = np.random.default_rng(2).random(50)
    assert estimate(values, seed=3) == estimate(values, seed=3)


def test_missing_is_left_out_of_the_mean() -> None:
    tally = Tally()
    for story, value in enumerate([True, None, False, None]):
        tally.add(story, value)
    figure = tally.figure()
    assert figure is not None and (figure.mean, figure.n, tally.missing) == (0.5, 2, 2)
    assert Tally().figure() is None


def test_what_cannot_be_measured_is_null() -> None:
    measured = {"a": Tally(), "b": {"c": Figure(0.123456, 0.0, 1.0, 3)}, "d": float("nan")}
    text = json.dumps(plain(measured), allow_nan=False)
    assert json.loads(text) == {"a": None, "b": {"c": {"mean": 0.1235, "low": 0.0, "high": 1.0, "n": 3}}, "d": None}


def test_wrong_input_is_told() -> None:
    with pytest.raises(ValueError, match="one finite number"):
        estimate([])
    with pytest.raises(ValueError, match="one finite number"):
        estimate([1.0, float("nan")])
    with pytest.raises(ValueError, match="one story for each"):
        estimate([1.0, 0.0], ["a"])
