"""`python -m training.choices.proof --out DIR --seed N`: does a model that learnt from a person's choices meet their
taste more often than before, and is nothing lost?

People with hidden tastes (training.choices.people) tell stories with the model. At every scene it offers three ideas,
as the page does; the person takes one of them, now and then writes their own, and the story goes on with that. Their
choices go into a file as the app writes it, and training.choices.stage learns from that file alone. Then both are asked
what happens next in stories that nobody told, of compositions that are held out from training altogether:

matched       the first idea is, to this person, the best of all that could happen there
liked         the share of what could happen that the person likes no more than the first idea
possible      the words of the first idea tell something that can happen
right_scene   the clip that is drawn for the first idea is judged `follows` (exact judge); words that tell nothing
              possible count as wrong. Where both tell the same words the clip is drawn once, for it is the same one.

Every answer is a row in DIR/rows.jsonl: the same command goes on where it stopped. The result is DIR/result.json: for
each figure before, after, and the paired difference with its 95% interval, whole stories drawn again (everybody was
asked about the same stories, so a story with all people's answers is one cluster), for all together and for each.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from nsp_core.errors import UserError, WhatNextError
from nsp_core.types import NextScene, SamplingOptions, Scene, SceneRequest, StoryContext
from training.choices import file
from training.choices.people import Person, person, told
from training.choices.stage import teach
from training.choices.words import WordsConfig
from training.evaluate import cases
from training.evaluate.compare import paired

log = logging.getLogger(__name__)
IDEAS = 3  # as the page asks for
SCENES = 7  # that a person adds to a beginning
FIGURES = ("matched", "liked", "possible", "right_scene")
VERSION = 1
Sides = dict[str, dict[str, dict[str, float | None]]]  # "before" or "after" -> case -> figures of one person


# the stories that people tell --------------------------------------------------------------------------------------


def choose_all(pipeline: Any, who: Person, count: int, seed: int, folder: Path) -> Path:
    """`count` choices in folder/choices.jsonl, story after story; finished stories are kept on the way."""
    path, partial = folder / "choices.jsonl", folder / "stories.jsonl"
    if path.is_file():
        return path
    (folder / "choices.files").mkdir(parents=True, exist_ok=True)
    rows = [file.Choice.model_validate_json(line) for line in lines_of(partial)]
    number = len({row.story for row in rows})
    while len(rows) < count:
        new = one_story(pipeline, who, seed, number, path)
        with partial.open("a", encoding="utf-8") as out:
            out.write("".join(f"{row.model_dump_json()}\n" for row in new))
        rows += new
        number += 1
        log.info("person %d: %d of %d choices", who.number, len(rows), count)
    file.write(path, rows[:count])
    return path


def one_story(pipeline: Any, who: Person, seed: int, number: int, path: Path) -> list[file.Choice]:
    """A person's choices in one story of the training split; its pictures are the world's own."""
    from PIL import Image

    from training.picturebook.draw import clip
    from training.picturebook.rules import step
    from training.picturebook.splits import train_story
    from training.picturebook.words import describe

    rng = Random(f"told {seed}/{who.number}/{number}")
    world = train_story(rng, 2).worlds[0]
    name = f"{who.number}-{number}"
    scenes = [Scene(describe(world, rng), clip(world, None, world))]
    rows: list[file.Choice] = []
    for at in range(SCENES):
        context = StoryContext(tuple(scenes))
        ideas = ask(pipeline, context, rng.getrandbits(30), IDEAS)
        if not ideas:
            break
        own = who.rewrites(ideas, world, rng)
        taken = ideas[who.chooses(ideas, world, rng)] if own is None else own
        event = told(taken, world)
        if event is None:
            break  # nothing of that can happen: the story ends
        frames = scenes[-1].frames
        assert frames is not None
        pictures = []
        for end, picture in (("first", frames[0]), ("last", frames[-1])):
            pictures.append(f"choices.files/{name}-{at}-{end}.png")
            Image.fromarray(picture).save(path.with_name("choices.files") / Path(pictures[-1]).name)
        before = [file.Told(words=scene.words) for scene in scenes]
        before[-1] = file.Told(words=scenes[-1].words, first=pictures[0], last=pictures[1])
        rows.append(
            file.Choice(
                id=f"{name}-{at}",
                kind="kept" if own is None else "rewrote",
                story=name,
                about="words",
                context=list(before),
                words=taken,
                better=taken,
                worse=[idea for idea in ideas if idea != taken],
            )
        )
        after = step(world, event)
        scenes.append(Scene(taken, clip(world, event, after)))
        world = after
    return rows


def ask(pipeline: Any, context: StoryContext, seed: int, ideas: int) -> list[str]:
    try:
        return [one.text for one in pipeline.think(context, alternatives=ideas, seed=seed) if one.done]
    except UserError:
        return []


# what is measured ----------------------------------------------------------------------------------------------------


class Rows:
    """What the model answered, kept on disk: (whose, case) -> row. `whose` is "before" or a person's number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found = {(str(row["whose"]), int(row["case"])): row for row in map(json.loads, lines_of(path))}

    def answer(self, pipeline: Any, whose: str, one: cases.Case, seed: int, draws: bool, like: Any) -> dict[str, Any]:
        """`like`: another answer to the same case, whose clip is the same where its words are."""
        row = self.found.get((whose, one.number))
        if row is None or (draws and row["right"] is None):
            words = row["words"] if row else "".join(ask(pipeline, one.context, seed + one.number, 1))
            same = like is not None and like["right"] is not None and like["words"] == words
            right = None if not draws else like["right"] if same else right_scene(pipeline, one, words, seed)
            row = {"whose": whose, "case": one.number, "words": words, "right": right}
            self.found[whose, one.number] = row
            with self.path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row


def slim(one: cases.Case) -> cases.Case:
    """Without the pictures that nobody looks at: a model reads the last ones only."""
    *earlier, last = one.context.scenes
    return replace(one, context=StoryContext((*(replace(scene, frames=None) for scene in earlier), last)))


def right_scene(pipeline: Any, one: cases.Case, words: str, seed: int) -> float | str:
    """1 or 0, or "missing" where the judge cannot say."""
    from training.picturebook.judge import ExactJudge

    event = told(words, one.before)
    if event is None:
        return 0.0
    options = SamplingOptions(seed=seed + one.number, preview_every=0)
    made = deque(pipeline.act(SceneRequest(one.context, words, "continue", options)), maxlen=1)[0]
    assert isinstance(made, NextScene)
    passed = ExactJudge().judge_clip(one.before, event, made.frames, "continue").passed
    return "missing" if passed is None else float(passed)


def figures_of(row: dict[str, Any], who: Person, one: cases.Case) -> dict[str, float | None]:
    from training.picturebook.rules import enabled

    first = told(row["words"], one.before)
    most = who.likes(who.best(one.before)[0])
    values = [who.likes(event) for event in enabled(one.before)]
    return {
        "matched": float(first is not None and who.likes(first) > most - 1e-9),
        "liked": 0.0 if first is None else sum(v <= who.likes(first) + 1e-9 for v in values) / len(values),
        "possible": float(first is not None),
        "right_scene": None if row["right"] == "missing" else row["right"],
    }


def result(found: dict[str, Sides]) -> dict[str, Any]:
    """For everybody together, a story with all people's answers being one cluster, and for each person."""
    return {"all": _paired(list(found.values())), "by_person": {who: _paired([one]) for who, one in found.items()}}


def _paired(people: list[Sides]) -> dict[str, Any]:
    made = {}
    for figure in FIGURES:
        sides: dict[str, dict[str, list[float]]] = {"before": {}, "after": {}}
        for one in people:
            for case, before in one["before"].items():
                values = before[figure], one["after"][case][figure]
                for side, value in zip(sides, values, strict=True):
                    if None not in values and value is not None:
                        sides[side].setdefault(case, []).append(value)
        pair = paired(sides["before"], sides["after"])
        made[figure] = None if pair is None else pair.plain()
    return made


# the command ---------------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    from nsp_core.adapters import attach, detach, read
    from training.models import open_model

    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    pipeline: Any = open_model(arguments.model)
    plan = {
        "version": VERSION,
        "seed": arguments.seed,
        "choices": arguments.choices,
        "steps": arguments.steps,
        "model": pipeline.fingerprint,
    }
    check_same(out / "plan.json", plan)
    config = replace(WordsConfig(), seed=arguments.seed, steps=arguments.steps)
    rows = Rows(out / "rows.jsonl")
    every = [slim(cases.case(arguments.seed, number)) for number in range(arguments.n)]
    found: dict[str, Any] = {}
    lessons: dict[str, Any] = {}
    for number in range(arguments.people):
        who = person(arguments.seed, number)
        folder = out / f"person-{number}"
        folder.mkdir(exist_ok=True)
        path = choose_all(pipeline, who, arguments.choices, arguments.seed, folder)
        lesson = folder / "lesson.json"
        if not lesson.is_file():
            made = teach(pipeline, path, folder, name=f"person {number}", config=config)
            lesson.write_text(json.dumps(made.plain(), indent=1) + "\n", encoding="utf-8")
        said = json.loads(lesson.read_text(encoding="utf-8"))
        del said["adapter"]  # where it lies is nobody's business
        lessons[str(number)] = {**said, "taste": who.plain()}
        before = [rows.answer(pipeline, "before", c, arguments.seed, c.number < arguments.drawn, None) for c in every]
        if (folder / "adapter").is_dir():
            attach(pipeline, [(read(folder / "adapter"), 1.0)])
        after = [
            rows.answer(pipeline, str(number), c, arguments.seed, c.number < arguments.drawn, b)
            for c, b in zip(every, before, strict=True)
        ]
        detach(pipeline)
        found[str(number)] = {
            side: {str(c.number): figures_of(row, who, c) for c, row in zip(every, some, strict=True)}
            for side, some in (("before", before), ("after", after))
        }
        log.info("person %d: %s", number, json.dumps(_paired([found[str(number)]])["matched"]))
    return {**plan, "people": arguments.people, "n": arguments.n, **result(found), "lessons": lessons}


def check_same(path: Path, plan: dict[str, Any]) -> None:
    """A folder belongs to one seed, one model and one number of choices."""
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != plan:
            raise UserError(f"{path.parent} was begun with another plan: give another --out, or the same settings.")
        return
    path.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")


def table(made: dict[str, Any]) -> str:
    lines = [f"after - before, paired by story; {made['people']} people, {made['choices']} choices each"]
    for figure, f in made["all"].items():
        if f is not None:
            sure = "  *" if f["low"] > 0 or f["high"] < 0 else ""
            lines.append(
                f"  {figure:12} {f['a']:.3f} -> {f['b']:.3f}  {f['difference']:+.3f}"
                f" [{f['low']:+.3f}, {f['high']:+.3f}]  won {f['won']}, lost {f['lost']}  n={f['n']}{sure}"
            )
    for number, figures in made["by_person"].items():
        f = figures["matched"]
        lines.append(f"  person {number}: matched {f['a']:.3f} -> {f['b']:.3f}  [{f['low']:+.3f}, {f['high']:+.3f}]")
    return "\n".join(lines)


def lines_of(path: Path) -> list[str]:
    """Whole lines only: a kill may have cut the last one."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m training.choices.proof", description=__doc__.splitlines()[0])
    made.add_argument("--out", type=Path, required=True)
    made.add_argument("--seed", type=int, required=True, help="of people, stories and cases; drawn after the code")
    made.add_argument("--people", type=int, default=5)
    made.add_argument("--choices", type=int, default=200, help="of each person")
    made.add_argument("--n", type=int, default=200, help="held-out stories, the same for everybody")
    made.add_argument("--drawn", type=int, default=60, help="of these, how many are drawn and judged")
    made.add_argument("--steps", type=int, default=WordsConfig.steps, help="of every lesson, at most")
    made.add_argument("--model", type=Path, default=Path("assets/starter"))
    made.add_argument("--json", action="store_true")
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")

    def work() -> dict[str, Any]:
        if min(arguments.people, arguments.n) < 1 or arguments.choices < 2:
            raise UserError("--people and --n must be 1 or more, --choices 2 or more.")
        return run(arguments)

    return carried_out(work, arguments.out, json.dumps if arguments.json else table)


def carried_out(work: Callable[[], dict[str, Any]], out: Path, shown: Callable[[dict[str, Any]], str]) -> int:
    """Do it, keep what came of it as out/result.json, and show it. The exit code of the command."""
    started = time.monotonic()
    try:
        made = work()
    except KeyboardInterrupt:
        return 130
    except WhatNextError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UserError) else 1
    part = out / ".result.partial"
    part.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    part.replace(out / "result.json")
    log.info("%.0f s", time.monotonic() - started)
    sys.stdout.write(f"{shown(made)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
