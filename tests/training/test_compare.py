"""Comparing two results case by case: what pairing gains, what the test says, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nsp_core.errors import UserError
from training.evaluate.compare import compare, paired, sign_test, table
from training.evaluate.main import main
from training.evaluate.measure import Plan, Report


def stories(values):
    return {str(i): [float(v)] for i, v in enumerate(values)}


def test_a_case_is_compared_with_itself():
    """Both are right in the easy half; the second is right in five cases more. Unpaired intervals would overlap."""
    a = stories([1] * 20 + [0] * 20)
    b = stories([1] * 25 + [0] * 15)
    found = paired(a, b)
    assert (found.a, found.b, found.difference) == (0.5, 0.625, 0.125)
    assert (found.won, found.lost, found.n) == (5, 0, 40)
    assert found.low > 0 and found.p == pytest.approx(2 / 2**5)


def test_the_other_way_round_is_the_same_with_its_sign_changed():
    rng = np.random.default_rng(0)
    a, b = stories(rng.random(30)), stories(rng.random(30))
    one, other = paired(a, b), paired(b, a)
    assert one.difference == pytest.approx(-other.difference) and one.p == other.p and one.won == other.lost


def test_no_difference_is_no_certainty():
    found = paired(stories([1, 0, 1]), stories([1, 0, 1]))
    assert found.difference == 0 and found.low < -0.5 and found.high > 0.5 and found.p == 1


def test_intervals_hold_what_they_promise():
    """Of 200 pairs of equally good models about one in twenty is called different."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(200):
        found = paired(stories(rng.random(60) < 0.5), stories(rng.random(60) < 0.5))
        wrong += found.low > 0 or found.high < 0
    assert 2 <= wrong <= 24


def test_only_stories_of_both_count_and_a_story_counts_once():
    a = {"x": [1.0, 0.0], "y": [0.0], "only a": [1.0]}
    b = {"x": [1.0, 1.0], "y": [0.0], "only b": [0.0]}
    found = paired(a, b)
    assert found.n == 2 and found.difference == pytest.approx(0.25) and found.won == 1
    assert paired(a, {"z": [1.0]}) is None


@pytest.mark.parametrize(
    ("won", "lost", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (8, 2, 0.109375), (3, 3, 1.0)]
)
def test_the_sign_test_is_mcnemars_exact(won, lost, p):
    assert sign_test(won, lost) == sign_test(lost, won) == pytest.approx(p)


def written(path, values, seed=0):
    report = Report(Plan(n=len(values), seed=seed))
    for i, v in enumerate(values):
        report.tallies["motion"].add(str(i), v)
    report.tallies["cut"].add("0", None)  # missing: in no file
    path.write_text(json.dumps({"result": report.plain(), "cases": report.cases_of()}))
    return path


def test_two_files_and_the_command(tmp_path, capsys):
    a, b = written(tmp_path / "a.json", [0, 0, 0, 1]), written(tmp_path / "b.json", [1, 1, 0, 1])
    assert main(["compare", str(a), str(b), "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found["figures"]) == {"motion"} and found["figures"]["motion"]["difference"] == 0.5
    assert "won 2, lost 0" in table(compare(a, b))


def test_other_cases_and_other_files_are_refused(tmp_path, capsys):
    a, b = written(tmp_path / "a.json", [0, 1]), written(tmp_path / "b.json", [1, 1], seed=1)
    with pytest.raises(UserError, match="seed 0 and 1"):
        compare(a, b)
    (tmp_path / "c.json").write_text("{}")
    assert main(["compare", str(a), str(tmp_path / "c.json")]) == 2
    assert "single cases" in capsys.readouterr().err
    assert main(["compare", str(a), str(tmp_path / "none.json")]) == 2


def kept(path, seed, values, checkpoint="m"):
    path.write_text(
        json.dumps({"result": {"seed": seed}, "cases": {"words": stories(values)}, "checkpoint": checkpoint})
    )
    return str(path)


def test_two_halves_are_pooled_as_so_many_stories(tmp_path, capsys):
    files = [kept(tmp_path / "a.json", 1, [1, 1, 0, 1]), kept(tmp_path / "b.json", 2, [1, 0, 1, 1, 1, 1])]
    assert main(["pool", *files, "--json"]) == 0
    figure = json.loads(capsys.readouterr().out.splitlines()[-1])["words"]
    assert figure["n"] == 10 and figure["mean"] == pytest.approx(0.8) and figure["low"] < 0.7 < 0.9 < figure["high"]


@pytest.mark.parametrize(("second", "said"), [((1, "m"), "count twice"), ((2, "other"), "unlike models")])
def test_the_same_stories_and_another_model_are_not_pooled(tmp_path, capsys, second, said):
    files = [kept(tmp_path / "a.json", 1, [1, 0]), kept(tmp_path / "b.json", second[0], [1, 0], second[1])]
    assert main(["pool", *files]) == 2
    assert said in capsys.readouterr().err
    (tmp_path / "c.json").write_text("[]")
    assert main(["pool", str(tmp_path / "c.json")]) == 2
    assert "eval ... --out" in capsys.readouterr().err
