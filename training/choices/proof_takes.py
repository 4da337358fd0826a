"""`python -m training.choices.proof_takes --out DIR --seed N`: does a model that learnt from compared takes draw what
that person likes better, and is the right scene still drawn?

The model draws pairs of takes of scenes of the training split, once for everybody. People with hidden tastes in
pictures (training.choices.lookers) each choose one of every pair; their choices go into a file as the app writes it,
and training.choices.stage learns from that file alone. Then held-out scenes are drawn before and after, with the same
words and the same seed:

preferred     to this person the taught model's clip is the better one of the two (a tie counts half); 0.5 is chance
right_scene   the clip is judged `follows` (exact judge)

Takes, lessons and answers stay in DIR: the same command goes on where it stopped. The result is DIR/result.json, whole
stories drawn again for every interval.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import deque
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from nsp_core.errors import UserError
from nsp_core.types import Frames, NextScene, SamplingOptions, SceneRequest
from training.choices import file
from training.choices.lookers import SEEN, Looker, look_at, looker
from training.choices.proof import carried_out, check_same, lines_of, slim
from training.choices.reinforce import TakesConfig
from training.choices.stage import teach
from training.choices.words import WordsConfig
from training.evaluate import cases
from training.evaluate.compare import paired
from training.evaluate.intervals import Tally

log = logging.getLogger(__name__)
VERSION = 1
Seen = dict[str, float]


def draw(pipeline: Any, one: cases.Case, words: str, seed: int) -> Frames:
    options = SamplingOptions(seed=seed, preview_every=0)
    made = deque(pipeline.act(SceneRequest(one.context, words, "continue", options)), maxlen=1)[0]
    assert isinstance(made, NextScene)
    return made.frames


def shown(seed: int, number: int) -> tuple[cases.Case, str]:
    """A scene of the training split, up to its last event, and the words of that."""
    from training.picturebook.splits import train_story
    from training.picturebook.words import tell

    rng = Random(f"shown {seed}/{number}")
    told = train_story(rng, rng.randint(2, 4))
    while not told.events:
        told = train_story(rng, rng.randint(2, 4))
    context = cases.context_of(told.worlds[:-1], told.events[:-1], rng)
    return slim(cases.Case(number, context, told.worlds[-2], told.events[-1])), tell(told.events[-1], None, rng)


def show_all(pipeline: Any, count: int, seed: int, out: Path) -> list[dict[str, Any]]:
    """`count` pairs of takes, each a clip in out/takes; rows: the choice but for who chooses, and what is seen."""
    from nsp_core.media.write import write_clip, write_png

    folder, rows_file = out / "takes.files", out / "takes.jsonl"
    folder.mkdir(exist_ok=True)
    rows = [json.loads(line) for line in lines_of(rows_file)]
    for number in range(len(rows), count):
        one, words = shown(seed, number)
        last = one.context.scenes[-1].frames
        assert last is not None
        before = folder / f"{number}-before"
        write_clip(before.with_suffix(".mp4"), last, pipeline.config.fps)
        ends = {"first": 0, "last": -1}
        for name, at in ends.items():
            write_png(folder / f"{number}-{name}.png", last[at])
        context = [{"words": scene.words} for scene in one.context.scenes]
        context[-1] |= {"clip": f"takes.files/{before.name}.mp4"}
        context[-1] |= {name: f"takes.files/{number}-{name}.png" for name in ends}
        seen = []
        for take in range(2):
            frames = draw(pipeline, one, words, seed + 2 * number + take)
            write_clip(folder / f"{number}-{take}.mp4", frames, pipeline.config.fps)
            seen.append(look_at(frames))
        row = {"number": number, "words": words, "context": context, "seen": seen}
        with rows_file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        rows.append(row)
        if (number + 1) % 10 == 0:
            log.info("%d of %d pairs of takes", number + 1, count)
    return rows[:count]


def apart_of(rows: list[dict[str, Any]]) -> Seen:
    return {
        name: float(np.sqrt(np.mean([(row["seen"][0][name] - row["seen"][1][name]) ** 2 for row in rows])))
        for name in SEEN
    }


def choose_all(who: Looker, rows: list[dict[str, Any]], seed: int, path: Path) -> None:
    apart, chosen = apart_of(rows), []
    for row in rows:
        rng = Random(f"chosen {seed}/{who.number}/{row['number']}")
        taken = who.chooses(*(who.value(seen, apart) for seen in row["seen"]), rng)
        takes = [file.Take(clip=f"takes.files/{row['number']}-{take}.mp4") for take in (taken, 1 - taken)]
        chosen.append(
            file.Choice(
                id=f"{who.number}-{row['number']}",
                kind="chose",
                story=str(row["number"]),
                about="take",
                context=[file.Told(**scene) for scene in row["context"]],
                words=row["words"],
                better=takes[0],
                worse=[takes[1]],
            )
        )
    file.write(path, chosen)


class Answers:
    """What was drawn for the held-out scenes, as it was seen and judged: (whose, case) -> row, kept on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = {(row["whose"], row["case"]): row for row in map(json.loads, lines_of(path))}

    def answer(self, pipeline: Any, whose: str, one: cases.Case, seed: int) -> dict[str, Any]:
        from training.picturebook.judge import ExactJudge
        from training.picturebook.words import HELD_OUT_VARIANTS, tell

        key = (whose, one.number)
        if key not in self.found:
            words = tell(one.event, one.before, Random(f"asked {seed}/{one.number}").choice(HELD_OUT_VARIANTS))
            frames = draw(pipeline, one, words, seed + one.number)
            verdict = ExactJudge().judge_clip(one.before, one.event, frames, "continue")
            right = None if verdict.passed is None else float(verdict.passed)
            self.found[key] = {"whose": whose, "case": one.number, "seen": look_at(frames), "right": right}
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(self.found[key]) + "\n")
        return self.found[key]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    from nsp_core.adapters import attach, detach, read
    from training.models import open_model

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    pipeline: Any = open_model(arguments.model)
    plan = {"version": VERSION, "seed": arguments.seed, "choices": arguments.choices, "model": pipeline.fingerprint}
    check_same(out / "plan.json", plan)
    rows = show_all(pipeline, arguments.choices, arguments.seed, out)
    apart = apart_of(rows)
    answers = Answers(out / "answers.jsonl")

    @cache
    def case(number: int) -> cases.Case:
        return slim(cases.case(arguments.seed, number))

    every = [case(number) for number in range(arguments.n)]
    liked = Tally()
    before_right: dict[str, list[float]] = {}
    after_right: dict[str, list[float]] = {}
    people: dict[str, Any] = {}
    for number in range(arguments.people):
        who, folder = looker(arguments.seed, number), out / f"person-{number}"
        folder.mkdir(exist_ok=True)
        path, lesson = out / f"person-{number}.jsonl", folder / "lesson.json"
        choose_all(who, rows, arguments.seed, path)
        if not lesson.is_file():
            takes = TakesConfig(folder / "drawing")
            takes = replace(takes, loop=replace(takes.loop, steps=arguments.draw_steps, seed=arguments.seed))
            config = WordsConfig(seed=arguments.seed)
            made = teach(pipeline, path, folder, name=f"person {number}", config=config, takes=takes)
            lesson.write_text(json.dumps(made.plain(), indent=1) + "\n", encoding="utf-8")
        before = [answers.answer(pipeline, "before", one, arguments.seed) for one in every]
        taught = (folder / "adapter").is_dir()
        if taught:
            attach(pipeline, [(read(folder / "adapter"), 1.0)])
        after = [answers.answer(pipeline, str(number), one, arguments.seed) for one in every] if taught else before
        detach(pipeline)
        mine = Tally()
        for one, b, a in zip(every, before, after, strict=True):
            gained = who.value(a["seen"], apart) - who.value(b["seen"], apart)
            value = 0.5 if abs(gained) < 1e-9 else float(gained > 0)
            story = str(one.number)  # all people's answers to it are one cluster
            for tally in (mine, liked):
                tally.add(story, value)
            if b["right"] is not None and a["right"] is not None:
                before_right.setdefault(story, []).append(b["right"])
                after_right.setdefault(story, []).append(a["right"])
        figure = mine.figure()
        told = json.loads(lesson.read_text(encoding="utf-8"))
        people[str(number)] = {"likes": dict(who.likes), "preferred": figure and figure.plain(), "lesson": told}
        log.info("person %d: %s", number, people[str(number)]["preferred"])
    right, all_liked = paired(before_right, after_right), liked.figure()
    return {
        **plan,
        "people": arguments.people,
        "n": arguments.n,
        "draw_steps": arguments.draw_steps,
        "preferred": all_liked and all_liked.plain(),
        "right_scene": right and right.plain(),
        "by_person": people,
    }


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m training.choices.proof_takes", description=__doc__.split("\n\n")[0])
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--seed", type=int, required=True, help="of people, scenes and cases; drawn after the code")
    made.add_argument("--people", type=int, default=5)
    made.add_argument("--choices", type=int, default=200, help="pairs of takes, the same for everybody")
    made.add_argument("--n", type=int, default=60, help="held-out scenes")
    made.add_argument("--draw-steps", type=int, default=30, help="of reinforcement")
    made.add_argument("--model", type=Path, default=Path("assets/starter"))
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def work() -> dict[str, Any]:
        if min(arguments.people, arguments.n, arguments.draw_steps) < 1 or arguments.choices < 2:
            raise UserError("--people, --n and --draw-steps must be 1 or more, --choices 2 or more.")
        return run(arguments)

    return carried_out(work, arguments.out, json.dumps)


if __name__ == "__main__":
    sys.exit(main())
