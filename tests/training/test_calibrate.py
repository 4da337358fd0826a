"""`judge agree|label|migrate|doctor`: sets, verdicts that are kept, agreement by hand, blind sheets, and the doctor."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsp_core.errors import UserError
from nsp_core.judges import Verdict
from nsp_core.media import write_png
from nsp_core.types import Scene, StoryContext
from tests.core.judge_server import Running, Service
from training.calibrate import asking
from training.calibrate.main import main
from training.calibrate.pairs import Made, fingerprint, keep_verdicts, kept_verdicts, read_pairs, write_pairs
from training.calibrate.sheet import read_answers, write_sheet
from training.evaluate.agreement import Item, compare


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("WHATNEXT_JUDGE", "ANTHROPIC_")):
            monkeypatch.delenv(name)
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    monkeypatch.setenv("WHATNEXT_JUDGE_FILE", str(tmp_path / "judge.db"))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with Running(Service(models={"claude-sonnet-5-5": "active", "claude-sonnet-4-5": "deprecated"})) as running:
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-only-a-test")
        monkeypatch.setenv("WHATNEXT_JUDGE_URL", running.url)
        yield running


class Lenient:
    name, template = "lenient", "1"
    asked = 0

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:  # noqa: ARG002
        Lenient.asked += 1
        if "strange" in scene.words:
            raise RuntimeError("it can't read that")
        return Verdict("pass", "always", self.name, self.template)


@pytest.fixture(autouse=True)
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    Lenient.asked = 0
    declared = asking.declared_judges() | {"lenient": f"{__name__}:Lenient"}
    monkeypatch.setattr(asking, "declared_judges", lambda: declared)
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("types").SimpleNamespace(Lenient=Lenient))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve scenes of four stories; what follows says so."""
    frames = np.random.default_rng(0).integers(0, 255, (3, 24, 40, 3), np.uint8)

    def made() -> Iterator[Made]:
        for i in range(12):
            words = f"Scene {i} {'follows' if i % 3 else 'is other'}" + " and goes on" * (i // 4)
            before = StoryContext((Scene("At first.", frames), Scene(f"Before {i}.", frames)))
            yield Made(f"s{i}", str(i // 3), "follows" if i % 3 else "other", before, Scene(words))

    write_pairs(tmp_path / "set", made())
    return tmp_path / "set"


def last_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    return found


# --- figures --------------------------------------------------------------------------------------------------
def test_agreement_done_by_hand() -> None:
    said = [("pass", "pass")] * 20 + [("pass", "fail")] * 5 + [("fail", "pass")] * 10 + [("fail", "fail")] * 15
    items = [Item(i, *pair, words=i % 7, kind="a" if i < 25 else "b") for i, pair in enumerate(said)]
    found = compare([*items, Item(99, "missing", "pass"), Item(98, "fail", "missing")])
    assert found.n == 50 and found.agreed == 0.7 and found.kappa.value == pytest.approx(0.4)
    assert found.kappa.low is not None and found.kappa.high is not None
    assert 0.1 < found.kappa.low < 0.4 < found.kappa.high < 0.7
    assert found.rates[0].value == 0.5 and found.rates[1].value == 0.6 and found.bias.value == pytest.approx(0.1)
    assert found.flips == (5, 10) and found.p == pytest.approx(0.3018, abs=1e-4)
    assert found.table["missing", "pass"] == 1 and found.plain()["missing"] == 2
    assert [part.name for part in found.by_kind] == ["a", "b"] and found.by_kind[0].agreed == 0.8
    assert sum(part.n for part in found.by_length) == 50 and found.by_length[0].name.startswith("0 to ")


def test_stories_are_drawn_whole_and_what_is_undefined_says_so() -> None:
    apart = [Item(i, "pass" if i % 2 else "fail", "pass" if i % 2 and i > 7 else "fail") for i in range(40)]
    together = [Item(i // 8, item.first, item.second) for i, item in enumerate(apart)]
    one, other = compare(apart).kappa, compare(together).kappa
    assert one.value == other.value and one.low is not None and other.low is not None and one.low > other.low
    assert compare([Item(i, "pass", "pass") for i in range(3)]).kappa.value is None
    with pytest.raises(ValueError, match="verdict of both"):
        compare([Item(0, "missing", "pass")])


# --- sets -----------------------------------------------------------------------------------------------------
def test_a_set_comes_back_as_it_was_kept(folder: Path) -> None:
    pairs = read_pairs(folder)
    assert [pair.id for pair in pairs] == [f"s{i}" for i in range(12)]
    first = pairs[0].context.scenes
    assert [scene.words for scene in first] == ["At first.", "Before 0."]
    assert first[0].frames is None and first[1].frames is not None and first[1].frames.shape == (3, 24, 40, 3)
    assert len(list((folder / "frames").iterdir())) == 1, "the same clip is kept once"
    with pytest.raises(UserError, match="new folder"):
        write_pairs(folder, [])


def test_a_set_can_be_written_by_hand(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((48, 64, 3), 90, np.uint8))
    row = {"id": "a", "before": "It was cold.", "scene": {"words": "It snows.", "frames": "a.png"}}
    (tmp_path / "pairs.jsonl").write_text(
        json.dumps(row) + "\n\n" + json.dumps({**row, "id": "b", "scene": "It thaws."})
    )
    one, other = read_pairs(tmp_path)
    assert (
        one.scene.frames is not None and one.scene.frames.shape == (1, 48, 64, 3) and one.before_words == "It was cold."
    )
    assert other.scene == Scene("It thaws.") and other.story == "b"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('{"id": "a"}', "line 1: 'before'"),
        ('{"id": "a/b", "before": "x", "scene": "y"}', "no id"),
        ('{"id": "a", "before": "x", "scene": {"frames": "../../secret.png"}}', "no file"),
        ('{"id": "a", "before": "x", "scene": 3}', "line 1"),
        ("not json", "line 1"),
    ],
)
def test_a_set_that_is_none_names_the_line(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "pairs.jsonl").write_text(line)
    with pytest.raises(UserError, match=sentence):
        read_pairs(tmp_path)


def test_verdicts_are_kept_by_judge_and_template(folder: Path) -> None:
    old = Verdict("missing", "no answer", "a:b", "1", votes=("missing",))
    keep_verdicts(folder, [("s1", old), ("s2", old)], "a:b")
    keep_verdicts(folder, [("s1", Verdict("pass", "yes", "a:b", "1", votes=("pass", "pass"), score=1.0))], "a:b")
    keep_verdicts(folder, [("s1", Verdict("fail", "no", "a b", "1"))], "a b")
    found = kept_verdicts(folder, "a:b")
    assert found["s1"].votes == ("pass", "pass") and found["s2"].outcome == "missing"
    assert kept_verdicts(folder, "a:b", "2") == {}
    path = next((folder / "verdicts").glob("a-b-*.jsonl"))
    with path.open("a") as out:
        out.write('{"id": "s3", "outc')  # killed
    assert kept_verdicts(folder, "a b") or kept_verdicts(folder, "a:b")


# --- agree and migrate ----------------------------------------------------------------------------------------
def test_the_exact_judge_against_one_that_always_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"
    command = ["agree", "picturebook:2", "--judge", "picturebook", "--judge", "lenient", "--keep", str(kept), "--json"]
    assert main(command) == 0
    answer = last_json(capsys)
    (found,) = answer["comparisons"]
    assert found["first"] == "picturebook" and found["kappa"]["value"] == 0 and found["bias"]["value"] > 0.5
    kinds = {part["name"]: part for part in found["by_kind"]}
    assert kinds["right"]["agreed"] == 1 and kinds["shuffled"]["agreed"] == 0
    asked = Lenient.asked
    assert main(["agree", str(kept), *command[2:6], "--json"]) == 0
    assert Lenient.asked == asked, "verdicts that are kept are not asked for again"


def test_a_judge_that_breaks_is_missing_and_asked_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep_verdicts(folder, [(f"s{i}", Verdict("pass", "", "person:ann", "1")) for i in range(12)], "person:ann")
    lines = (folder / "pairs.jsonl").read_text().replace("Scene 3", "A strange scene 3")
    (folder / "pairs.jsonl").write_text(lines)
    for asked in (12, 13):
        assert main(["agree", str(folder), "--judge", "person:ann", "--judge", "lenient", "--json"]) == 0
        found = last_json(capsys)["comparisons"][0]
        assert found["missing"] == 1 and found["table"]["pass/missing"] == 1 and Lenient.asked == asked


def test_migrating_to_claude_reports_the_shift(
    folder: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agree", str(folder), "--judge", "lenient", "--judge", "claude", "--limit", "6"]) == 0
    assert "lenient" in capsys.readouterr().out
    command = ["migrate", str(folder), "--from", "lenient", "--to", "claude", "--json"]
    asked = len(service.asked)
    assert main(command) == 0
    answer = last_json(capsys)
    assert answer["scenes"] == answer["n"] == 6, "only what has an old verdict can show a shift"
    assert answer["flips"]["pass to fail"] == 2 and len(service.asked) == asked == 6
    assert main([*command[:4], "--to", "lenient"]) == 2
    assert main([*command[:2], "--from", "nobody", *command[4:]]) == 2
    assert "no verdicts of 'nobody'" in capsys.readouterr().err


def test_migrating_in_a_batch(folder: Path, service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    old = [(f"s{i}", Verdict("pass", "", "claude:old", "10.1 v1")) for i in range(12)]
    keep_verdicts(folder, old, "claude:old")
    assert main(["migrate", str(folder), "--from", "claude:old", "--to", "claude", "--batch", "--json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert answer["second"] == "claude:claude-sonnet-5-5" and answer["flips"]["pass to fail"] == 4
    assert answer["bias"]["value"] == pytest.approx(-4 / 12, abs=1e-3) and "shift" in out
    assert len(service.batches) == 1 and not service.asked


def test_what_cannot_be_compared_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["agree", str(folder), "--judge", "lenient"],
        ["agree", str(folder), "--judge", "lenient", "--judge", "nobody"],
        ["agree", str(folder / "nowhere"), "--judge", "lenient", "--judge", "picturebook"],
        ["agree", str(folder), "--judge", "lenient", "--judge", "claude"],  # no key
        ["label", str(folder), str(folder / "no-answers.json")],
        ["doctor", "--n", "0"],
    ):
        assert main(command) == 2
        said = capsys.readouterr().err.strip()
        assert said and "\n" not in said.split("\n")[-1] and "Traceback" not in said


# --- people ---------------------------------------------------------------------------------------------------
def test_a_sheet_is_blind_whole_and_read_back(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep_verdicts(folder, [("s1", Verdict("fail", "sillyreason", "lenient", "1"))], "lenient")
    sheet = tmp_path / "sheet.html"
    assert main(["label", str(folder), str(sheet)]) == 0
    text = sheet.read_text()
    assert text.count("<section") == 12 and "data:image/webp" in text
    for telling in ("sillyreason", "lenient", "kind", "s11", "http:", "https:", "src='/"):
        assert telling not in text, telling
    order = [int(found) for found in re.findall(r"Scene (\d+)", text)]
    assert sorted(order) == list(range(12)) and order != sorted(order)

    codes = list(dict.fromkeys(re.findall(r"name='([0-9a-f]{12})'", text)))
    said = {code: "n" if number % 3 == 0 else "y" for code, number in zip(codes, order, strict=True)}
    said[codes[0]] = "?"
    del said[codes[1]]
    answers = {"format": 1, "set": fingerprint(read_pairs(folder)), "person": "ann", "answers": said}
    file = tmp_path / "answers-ann.json"
    file.write_text(json.dumps(answers))
    assert main(["label", str(folder), str(file)]) == 0
    found = kept_verdicts(folder, "person:ann")
    assert len(found) == 11 and sum(one.outcome == "missing" for one in found.values()) == 1
    for name, verdict in found.items():
        assert verdict.outcome in ("missing", "fail" if int(name[1:]) % 3 == 0 else "pass")
    capsys.readouterr()
    assert main(["label", str(folder), str(sheet)]) == 2, "answers may belong to it"


def test_a_short_sheet_belongs_to_the_same_set(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n in (4, 12):
        assert main(["label", str(folder), str(tmp_path / f"{n}.html"), "--limit", str(n), "--json"]) == 0
        assert last_json(capsys)["scenes"] == n
    short, whole = ((tmp_path / f"{n}.html").read_text() for n in (4, 12))
    shown = [int(found) for found in re.findall(r"Scene (\d+)", short)]
    assert len(shown) == 4 and shown != [0, 1, 2, 3]
    assert fingerprint(read_pairs(folder)) in short and fingerprint(read_pairs(folder)) in whole


@pytest.mark.parametrize(
    "change",
    [
        {"set": "another"},
        {"answers": {"123456789abc": "y"}},
        {"person": "a b<"},
        {"format": 2},
        {"answers": {"x": "maybe"}},
    ],
)
def test_answers_of_another_sheet_are_refused(folder: Path, tmp_path: Path, change: dict[str, Any]) -> None:
    pairs = read_pairs(folder)
    answers = {"format": 1, "set": fingerprint(pairs), "person": "ann", "answers": {}}
    (tmp_path / "a.json").write_text(json.dumps(answers | change))
    with pytest.raises(UserError):
        read_answers(tmp_path / "a.json", pairs)


def test_a_set_that_changed_is_another_one(folder: Path) -> None:
    before = fingerprint(read_pairs(folder))
    clip = next((folder / "frames").iterdir())
    clip.write_bytes(clip.read_bytes() + b" ")
    assert fingerprint(read_pairs(folder)) != before


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to read the script with")
def test_the_sheets_script_can_be_read(folder: Path, tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.html", read_pairs(folder))
    script = (tmp_path / "sheet.html").read_text().split("<script>")[1].split("</script>")[0]
    (tmp_path / "sheet.js").write_text(script)
    done = subprocess.run(["node", "--check", str(tmp_path / "sheet.js")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- the doctor -----------------------------------------------------------------------------------------------
def test_the_doctor_finds_everything_in_order(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--n", "500", "--json"]) == 0
    out = capsys.readouterr().out
    answer = json.loads(out.splitlines()[-1])
    assert "Claude 3.7 Sonnet (claude-3-7-sonnet-20250219), which was retired on 2026-02-19" in out
    assert answer["ok"] and answer["alive"] == ["claude-sonnet-5-5"] and answer["ending"] == ["claude-sonnet-4-5"]
    assert "the service says" in out and "184,320 verdicts" in out
    live, batch = answer["estimates"]["500"], answer["estimates"]["500 in batches"]
    assert (
        0.5 < live["likely"] < 20
        and live["most"] > live["likely"]
        and batch["likely"] == pytest.approx(live["likely"] / 2, rel=0.01)
    )
    assert not service.asked and "sk-ant" not in out


def test_the_doctor_asks_one_question_when_told_to(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--ask", "--json"]) == 0
    out = capsys.readouterr().out
    assert (
        len(service.asked) == 1
        and "image" not in str(service.asked)
        and json.loads(out.splitlines()[-1])["asked"] == "fail"
    )
    service.faults, service.kinds = 1.0, ("no json",)
    (before,) = service.asked
    assert main(["doctor", "--ask"]) == 1, "nothing was kept, and what comes now is no verdict"
    assert "asked      missing" in capsys.readouterr().out and before == service.asked[-1]


def test_the_doctor_without_a_key_says_what_the_sdk_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 1
    out = capsys.readouterr().out
    assert "set ANTHROPIC_API_KEY" in out and "the service was not asked" in out
    assert "claude-sonnet-5-5" in json.loads(out.splitlines()[-1])["alive"]


def test_the_doctor_of_a_dead_model(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WHATNEXT_JUDGE_MODEL", "claude-3-7-sonnet-20250219")
    monkeypatch.setenv("WHATNEXT_JUDGE_PRICE_IN", "3")
    monkeypatch.setenv("WHATNEXT_JUDGE_PRICE_OUT", "15")
    assert main(["doctor"]) == 1
    assert "retired since 2026-02-19" in capsys.readouterr().out


def test_the_length_that_counts_is_that_of_what_the_judge_saw(
    folder: Path, service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    """A judge that is shown pictures judges its own caption of them, whatever the scene's words are."""
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    clip = rows[0]["before"][1]["frames"]
    shown = [{**row, "scene": {"words": "One two.", "frames": clip}} for row in rows]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, shown)))
    assert main(["agree", str(folder), "--judge", "lenient", "--judge", "claude", "--json"]) == 0
    answer = last_json(capsys)
    (part,) = answer["comparisons"][0]["by_length"]
    assert part["name"] == "7 to 7 words", "3 pictures of brightness N; it follows"
    assert answer["cost_usd"] > 0 and len(service.asked) == 13, "one clip, twelve verdicts"


def test_batches_are_for_claude(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agree", str(folder), "--judge", "lenient", "--judge", "picturebook", "--batch"]) == 2
    assert "only the judge 'claude'" in capsys.readouterr().err.lower()
