"""The whole way of curation on small films: words, rounds, pairs, resume, the pack, and training that reads it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsp_core.errors import ConfigError, UserError
from tests.training.data_parts import SHOTS, small_config, write_film
from training.data import main as door
from training.data import quality
from training.data.config import SourceConfig
from training.data.ingest import ingest
from training.data.pack import held_out_groups, pack
from training.data.published import frames_of, rows
from training.data.rows import Outcome, Row, hash_of_file, share_of
from training.data.run import Run, curate, key_of
from training.data.sheet import keep_words, read_words, write_sheets
from training.data.store import Result, Store
from training.pretrain.examples import HELD_OUT, ExampleConfig, example, real_rows

ROOT = Path(__file__).resolve().parents[2]
ASKED = dict.fromkeys(("captioner", "writer", "judge"), "tests.training.data_parts:Somebody")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two films (red, green, blue; blue, red) and a picture with words beside it, gone through once."""
    here = tmp_path_factory.mktemp("films")
    write_film(here / "a.mp4")
    write_film(here / "b.mp4", (SHOTS[2], (230, 30, 90)), 40, 20)
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(here / "p.png")
    (here / "p.txt").write_text("Coloured  noise.")
    config = small_config(here, words=ASKED)
    out = tmp_path_factory.mktemp("out")
    return here, config, out, curate(config, out)


def by_words(found):
    return {(e.row.values["name"], e.row.values["shot"]): e for e in found.clips}


def test_every_clip_ends_where_it_should(run):
    _, _, _, found = run
    ended = {place: (e.stage, e.status) for place, e in by_words(found).items()}
    assert ended == {
        ("a.mp4", 0): ("pair", "ok"),  # red: passes in the second round
        ("a.mp4", 1): ("caption", "missing"),  # green: nobody sees it
        ("a.mp4", 2): ("verify 3", "dropped"),  # blue: never passes
        ("b.mp4", 0): ("verify 3", "dropped"),
        ("b.mp4", 1): ("pair", "ok"),
        ("p.png", 0): ("verify 3", "dropped"),
    }
    red = by_words(found)["a.mp4", 0].row.values
    assert (red["preceding"], red["rounds"], red["refused"]) == (
        "Round 1: a square stood still.",
        2,
        ["Round 0: a square stood still."],
    )
    assert by_words(found)["a.mp4", 1].reason == "green is not seen"
    assert by_words(found)["p.png", 0].row.values["caption"] == "Coloured noise."
    assert by_words(found)["p.png", 0].row.values["captioned_by"] == "source"


def test_pairs_are_the_checked_ones_and_shots_that_follow_each_other(run):
    _, _, _, found = run
    clips = {e.row.id: (e.row.values["name"], e.row.values["shot"]) for e in found.clips}
    pairs = {(e.row.values["origin"], clips[e.row.parent], clips.get(e.row.values.get("before"))) for e in found.pairs}
    assert pairs == {
        ("written", ("a.mp4", 0), None),
        ("written", ("b.mp4", 1), None),
        ("shots", ("b.mp4", 1), ("b.mp4", 0)),  # in a.mp4 the shot between has no words
    }


def test_shots_that_follow_each_other_can_be_judged_too(run, tmp_path):
    here, _, _, _ = run
    found = curate(small_config(here, words=ASKED, pair={"judge_shots": True}), tmp_path)
    judged = [e for e in found.pairs if e.row.values["origin"] == "shots"]
    assert [(e.stage, e.status, e.reason) for e in judged] == [
        ("verify shots", "dropped", "the second shot does not follow")
    ]
    assert judged[0].row.values["verify_usd"] == 0.125
    without = curate(small_config(here, words=ASKED, pair={"shots": False}), tmp_path)
    assert {e.row.values["origin"] for e in without.pairs} == {"written"}


def test_the_same_again_makes_nothing_but_what_is_missing(run):
    _, config, out, first = run
    again = curate(config, out)
    assert again.done_now == 1  # green is asked again
    assert [(e.row, e.stage, e.status) for e in again.clips] == [(e.row, e.stage, e.status) for e in first.clips]


def test_a_threshold_costs_only_what_depends_on_it(run, tmp_path):
    here, config, _, _ = run
    first = curate(config, tmp_path)
    looser = small_config(here, words=ASKED, quality={"least_motion": 0.01, "most_motion": 99.0})
    again = curate(looser, tmp_path)
    assert again.done_now == len(first.clips) + 1  # stage quality, and what is missing
    strict = curate(small_config(here, words=ASKED, quality={"least_motion": 250.0}), tmp_path)
    assert {e.reason for e in strict.clips if e.row.values["kind"] == "video"} == {"hardly anything moves"}
    files = {e.row.values["file"]: e.row.values["sha256"] for e in first.clips}
    assert all(hash_of_file(tmp_path / file) == mark for file, mark in files.items())


def test_the_order_and_number_of_workers_change_nothing(run, tmp_path):
    here, _, _, first = run
    config = small_config(here, words=ASKED, run={"executor": "local", "workers": 2})
    again = curate(config, tmp_path)
    assert [(e.row, e.stage, e.status, e.reason) for e in again.clips] == [
        (e.row, e.stage, e.status, e.reason) for e in first.clips
    ]
    assert [e.row for e in again.pairs] == [e.row for e in first.pairs]


def test_words_of_a_person_come_first_and_only_their_clip_is_done_again(run, tmp_path):
    _, config, _, _ = run
    first = curate(config, tmp_path)
    write_sheets([e.row for e in first.clips], tmp_path)
    green = by_words(first)["a.mp4", 1].row.id
    table = tmp_path / "filled.csv"
    lines = (tmp_path / "captions.csv").read_text(encoding="utf-8").splitlines()
    table.write_text("id,caption,preceding\n" + f'{green},"A red, green thing.",Round 1 by hand\n', encoding="utf-8")
    assert len(lines) == len(first.clips) + 1
    assert door.main(["captions", str(tmp_path), str(table)]) == 0
    again = curate(config, tmp_path)
    seen = by_words(again)["a.mp4", 1]
    assert (seen.status, seen.row.values["caption"], seen.row.values["captioned_by"]) == (
        "ok",
        "A red, green thing.",
        "person",
    )
    assert (seen.row.values["preceding"], seen.row.values["preceded_by"]) == ("Round 1 by hand", "person")
    assert again.done_now == 3  # caption, precede, verify of this clip
    assert sum(e.row.values["origin"] == "shots" for e in again.pairs) == 3


def test_a_table_of_another_run_is_refused(tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id,caption\nabc,Words\n")
    with pytest.raises(UserError, match="another run"):
        read_words(table, {"def"})
    table.write_text("words\nabc\n")
    with pytest.raises(UserError, match="no columns"):
        read_words(table, {"abc"})
    assert keep_words(tmp_path, {"a": {"caption": "x", "preceding": ""}}) == 1
    assert keep_words(tmp_path, {"b": {"caption": "y", "preceding": ""}}) == 2


# -- the pack ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def packed(run):
    _, config, out, found = run
    manifest = pack(found.captioned(), [e.row for e in found.pairs], config, out)
    return out / "pack", manifest


def test_the_pack_tells_everything_and_is_the_same_every_time(run, packed):
    _, config, out, found = run
    folder, manifest = packed
    before = {p.name: hash_of_file(p) for p in folder.iterdir()}
    pack(found.captioned(), [e.row for e in found.pairs], config, out)
    assert {p.name: hash_of_file(p) for p in folder.iterdir()} == before
    assert all(before[name] == mark for name, mark in manifest["files"].items())
    assert manifest["licences"] == {"CC0": 5}
    assert sum(split["clips"] for split in manifest["splits"].values()) == 5
    with tarfile.open(folder / "train-000000.tar") as tar:
        names = tar.getnames()
        about = json.load(tar.extractfile(next(n for n in names if n.endswith(".json"))))
    assert {name.split(".", 1)[1] for name in names} <= {"mp4", "jpg", "txt", "json"}
    assert {"caption", "licence", "source", "group", "pairs", "split"} <= set(about)


def test_no_film_is_on_both_sides(packed):
    folder, manifest = packed
    lines = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    sides = {split: {line["group"] for line in lines if line["split"] == split} for split in ("train", "held_out")}
    assert sides["train"] and sides["held_out"]
    assert not sides["train"] & sides["held_out"]
    names = {f"film{n}" for n in range(500)}
    apart = held_out_groups(names, 0.1)
    assert apart == {name for name in names if share_of(name) < 0.1}
    assert 20 < len(apart) < 90
    assert held_out_groups(names | {"one more"}, 0.1) - {"one more"} == apart
    assert held_out_groups({"alone"}, 0.1) == set()


class TinyPipeline:
    """What training.pretrain.examples asks of a model: its clip, and a prompt."""

    class config:
        width, height, num_frames, fps = 64, 48, 9, 8

    def prompt_to_draw(self, context, words):
        return ([(s.words, None if s.frames is None else s.frames.shape) for s in context.scenes], words)


def test_training_reads_clips_and_pairs_from_a_pack(run, tmp_path):
    here, _, out, found = run
    shutil.copytree(out / "clips", tmp_path / "clips")
    config = small_config(here, pack={"held_out": 0.0})
    pack(found.captioned(), [e.row for e in found.pairs], config, tmp_path)
    folder = tmp_path / "pack"
    videos = list(rows("pack", folder))
    assert {row.caption for row in videos} == {"A red square moves.", "A blue square moves."}
    assert [row.caption for row in rows("pack_images", folder)] == ["Coloured noise."]
    assert frames_of(videos[0], 64, 48, 9, 8).shape == (9, 48, 64, 3)
    pairs = list(rows("pack_pairs", folder))
    assert sorted(pair.preceding.split(":")[0] for pair in pairs) == ["A blue square moves.", "Round 1", "Round 1"]
    source = f"pack_pairs:{folder}"
    assert len(real_rows((source,), False)) == 3
    config = ExampleConfig(pairs=3, pair_sources=(source,))
    made = [example(TinyPipeline(), config, "next", number) for number in range(3)]
    assert {one.frames.shape for one in made} == {(9, 48, 64, 3)}
    asked = sorted((one.prompt for one in made), key=str)
    assert asked[0] == ([("A blue square moves.", (9, 48, 64, 3))], "A red square moves.")
    assert asked[1] == asked[2] == ([("Round 1: a square stood still.", None)], "A red square moves.")
    untold = ExampleConfig(pairs=3, pair_sources=(source,), told=False)
    assert example(TinyPipeline(), untold, "next", 0).prompt[1] == ""
    with pytest.raises(ConfigError, match="is for pair_sources"):
        example(TinyPipeline(), ExampleConfig(videos=1, video_sources=(source,)), "video", 0)
    with pytest.raises(ConfigError, match="held-out part"):
        example(TinyPipeline(), config, "next", HELD_OUT)


# -- ingest -----------------------------------------------------------------------------------------------------------
def test_every_layout_gives_the_same_film_once(tmp_path):
    film = write_film(tmp_path / "folder" / "f.mp4", SHOTS[:1], 20)
    (tmp_path / "folder" / "f.json").write_text(json.dumps({"text": "A square.", "license": "CC-BY", "group": "g"}))
    with tarfile.open(tmp_path / "w.tar", "w") as tar:
        tar.add(film, "key.mp4")
        tar.add(tmp_path / "folder" / "f.json", "key.json")
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "x.mp4").write_bytes(film.read_bytes())
    (tmp_path / "hf" / "metadata.csv").write_text("file_name,text,license,group\nx.mp4,A square.,CC-BY,g\n")
    line = {"path": "folder/f.mp4", "caption": "A square.", "licence": "CC-BY", "group": "g"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(line) + "\n" + json.dumps({"path": "gone.mp4"}) + "\n")
    mark = hash_of_file(film)
    store = Store(None)
    for place in ("folder", "w.tar", "hf", "rows.jsonl"):
        found, left_out = ingest((SourceConfig(tmp_path / place),), store)
        assert [row.id for row in found] == [mark[:16]], place
        v = found[0].values
        assert (v["given"], v["licence"], v["group"], v["sha256"]) == ("A square.", "CC-BY", "g", mark), place
        assert left_out == ([("gone.mp4", "its file is not there")] if place == "rows.jsonl" else [])
    everything = tuple(SourceConfig(tmp_path / place) for place in ("folder", "w.tar", "hf"))
    found, left_out = ingest(everything, store)
    assert len(found) == 1
    assert [reason for _, reason in left_out] == ["the same file stands in the sources twice"] * 2
    store.close()


def test_parts_share_out_whole_films(tmp_path):
    for number in range(12):
        Image.fromarray(np.full((80, 80, 3), 10 * number, np.uint8)).save(tmp_path / f"{number}.png")
    store = Store(None)
    parts = [{r.id for r in ingest((SourceConfig(tmp_path),), store, f"{n}/3")[0]} for n in (1, 2, 3)]
    assert sum(map(len, parts)) == 12 == len(set().union(*parts))
    with pytest.raises(ConfigError, match="NUMBER/OF"):
        ingest((SourceConfig(tmp_path),), store, "4/3")
    store.close()


def test_ten_thousand_rows_that_are_done_are_not_done_again(tmp_path):
    """The figure of seconds belongs to `bench data`; here: nothing is handed to an executor."""
    config = small_config(tmp_path)
    stage_rows = [Row(f"{n:016x}", "clip", "f", {"n": n}) for n in range(10_000)]
    store = Store(tmp_path / "state.db")
    stage = quality.stage(config.clip, config.quality)
    marks = {row.id: row.id for row in stage_rows}
    store.put(stage.name, (Result(r.id, key_of(r.id, stage.version), Outcome(), "d", 0.0) for r in stage_rows))
    went = Run(config, tmp_path, store, None, lambda *_: None, False, marks=marks)
    assert len(went.one(stage, stage_rows, [])) == 10_000
    assert went.found.done_now == 0
    store.close()


@pytest.mark.full
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(tmp_path):
    for number in range(6):
        shades = [(40 * number, 255 - 40 * number, 80), (200, 30 * number, 40 + 30 * number)]
        write_film(tmp_path / "films" / f"{number}.mp4", shades, 40)
    values = {"width": 64, "height": 48, "frames": 17, "least_frames": 17, "least_width": 64, "least_height": 48}
    options = [f"clip.{key}={value}" for key, value in values.items()] + ["run.workers=2"]
    options += [f"words.{who}={name}" for who, name in ASKED.items()]
    for name, deaths in (("whole", ()), ("killed", ("probe", "split", "caption"))):
        command = [sys.executable, "-m", "training.data.main", "run", str(tmp_path / "films"), *options]
        command += ["--out", str(tmp_path / name)]
        for stage in deaths:
            running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT)
            while running.poll() is None and not results(tmp_path / name / "state.db", stage):
                time.sleep(0.02)
            running.kill()
            running.wait()
        assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0
    packs = [{p.name: hash_of_file(p) for p in (tmp_path / n / "pack").iterdir()} for n in ("whole", "killed")]
    assert packs[0] == packs[1]
    for stage in ("probe", "split", "caption", "verify 1"):
        assert results(tmp_path / "whole" / "state.db", stage) == results(tmp_path / "killed" / "state.db", stage) > 0


def results(path, stage):
    if not path.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
        return db.execute("SELECT count(*) FROM result WHERE stage = ?", (stage,)).fetchone()[0]
    return 0


# -- the command ------------------------------------------------------------------------------------------------------
def test_the_command_goes_from_a_folder_to_a_pack(tmp_path, capsys):
    write_film(tmp_path / "films" / "a.mp4", SHOTS[:2], 40)
    (tmp_path / "films" / "notes.mp4").write_text("no film")
    names = [f"{key}={value}" for key, value in {"width": 64, "height": 48, "frames": 17, "least_frames": 17}.items()]
    options = [f"clip.{name}" for name in [*names, "least_width=64", "least_height=48"]]
    options += [f"words.{who}={name}" for who, name in ASKED.items()] + ["run.executor=inline"]
    command = ["run", str(tmp_path / "films"), *options, "--out", str(tmp_path / "out"), "--json"]
    assert door.main(command) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"stage": "probe", "status": "dropped", "n": 1}.items() <= told["sources"][0].items()
    assert "plain text" in told["sources"][0]["reason"]
    assert told["splits"]["train"]["pairs"] == {"written": 1}
    assert told["cost_usd"] == 0.25 + 2 * 0.5 + 2 * 0.125
    card = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "plain text" in card and "unknown" in card and "data:image/webp" in card
    assert "http" not in card.replace("http-equiv", "")  # it loads nothing
    assert door.main(["run", str(tmp_path / "nothing"), "--out", str(tmp_path / "x")]) == 2
    assert door.main(["run", str(tmp_path / "films"), "clip.widht=3", "--out", str(tmp_path / "x")]) == 2


def test_a_plan_adds_up(capsys):
    assert door.main(["plan", "--clips", "1000000", "--json"]) == 0
    one = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert door.main(["plan", "--json"]) == 0
    whole = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert whole["clips"] == 13e6
    assert whole["cutting"]["core_hours"] == pytest.approx(13 * one["cutting"]["core_hours"])
    assert whole["cutting"]["hours"] * whole["cutting"]["nodes"] * 64 == pytest.approx(whole["cutting"]["core_hours"])
    assert whole["storage_tb"]["latents"] == pytest.approx(13e6 * 128 * 11 * 15 * 26 * 2 / 1e12, rel=0.05)
    assert door.main(["plan", "--clips", "0"]) == 2
