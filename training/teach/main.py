"""`python launch.py teach FOLDER`: the model learns your own world from your clips and photos.

    teach FOLDER [--out DIR] [--yes]           prepare, plan and learn, one after the other
    teach prepare FOLDER --out DIR             cut, filter and caption; then look at DIR/clips.jsonl
    teach plan DIR                             what it will take, with the captions as they are now
    teach learn DIR [--minutes M]              learn; the same command goes on after a pause (SIGTERM, Ctrl-C)
    teach stop DIR                             forget what was learnt, keep the clips
    teach --from-choices FILE --out DIR        learn from what you kept, starred and threw away (export --choices FILE)

Nothing leaves this machine. With --json every event is one JSON object a line, and the last line is lesson.json. Exit
code 0: done; 2: it cannot be done, one sentence says why; 75: paused, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nsp_core.errors import CheckpointMismatch, ModelUnavailable, UserError, WhatNextError
from nsp_core.locks import holder_of
from nsp_core.places import locks_dir
from training.teach import events
from training.teach.base import STARTER, base_of
from training.teach.lesson import Lesson, Told

TASKS = ("prepare", "plan", "learn", "stop", "all")
OFF = "(Nothing leaves this machine.)"


def main(argv: list[str] | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    if given and given[0] == "proof":
        from training.teach.proof import main as proof

        return proof(given[1:])
    if given and given[0].split("=")[0] == "--from-choices":
        from training.choices.main import main as from_choices

        return from_choices([*given[0].split("=")[1:], *given[1:]])
    if given and given[0] not in TASKS and not given[0].startswith("-"):
        given = ["all", *given]
    args = parser().parse_intermixed_args(given)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.ERROR, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    tell = events.as_json if args.json else events.as_lines
    lesson = Lesson(folder_of(args))
    try:
        code = DO[args.task](args, lesson, tell)
    except UserError as error:
        print(error, file=sys.stderr)
        code = 2
    except CheckpointMismatch as error:
        print(error, file=sys.stderr)
        code = 2
    except (WhatNextError, ModelUnavailable) as error:
        print(error, file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on where it was.", file=sys.stderr)
        code = 130
    if args.json and lesson.exists:
        print(json.dumps(lesson.read("lesson.json"), ensure_ascii=False), flush=True)
    return code


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="launch.py teach", description=__doc__.splitlines()[0])
    whole.add_argument("task", choices=TASKS, help="what to do; without one: all of it with FOLDER")
    whole.add_argument("folder", type=Path, metavar="FOLDER|DIR", help="of your clips; or of a prepared lesson")
    whole.add_argument("--out", type=Path, help="the lesson's folder (default: FOLDER-lesson beside it)")
    whole.add_argument("--model", type=Path, default=STARTER, help="which is taught (default: assets/starter)")
    whole.add_argument("--name", help="what the lesson is called (default: the folder's name)")
    whole.add_argument("--captions", type=Path, metavar="FILE", help="a CSV of what is seen: file,caption")
    whole.add_argument("--minutes", type=float, help="about so long (default: as many steps as do good)")
    whole.add_argument("--yes", action="store_true", help="do not ask before it begins")
    whole.add_argument("--data-dir", type=Path, help="of the story page, whose drawing waits meanwhile")
    whole.add_argument("--json", action="store_true", help="one JSON object a line; the last is the lesson")
    return whole


def folder_of(args: argparse.Namespace) -> Path:
    is_lesson = (args.folder / "lesson.json").is_file() and args.out is None
    if args.task in ("plan", "learn", "stop") or (args.task == "all" and is_lesson):
        return Path(args.folder)
    return args.out or args.folder.expanduser().resolve().with_name(f"{args.folder.resolve().name}-lesson")


def prepare(args: argparse.Namespace, lesson: Lesson, tell: events.Tell) -> int:
    from training.teach.prepare import prepare as curate

    base = base_of(args.model)
    if lesson.exists and (lesson.run.is_dir() or lesson.adapter.is_dir()):
        raise UserError(
            f"{lesson.folder} is a lesson that was begun or learnt already: go on with `teach learn`, take `teach "
            "stop` first, or name another --out."
        )
    lesson.folder.mkdir(parents=True, exist_ok=True)
    with lesson.to_oneself():
        found = curate(args.folder, lesson, base, args.captions, stages(tell))
        name = " ".join((args.name or args.folder.expanduser().resolve().name).split()) or "my world"
        lesson.tell(Told(name, str(base.folder), lesson.names() if lesson.exists else ()))
    there = [clip for clip in found.clips if clip.clip or clip.still]
    silent = sum(not clip.caption for clip in there)
    message = f"{len(there)} clips and photos of {args.folder} can be learnt from."
    if left := len(found.clips) - len(there):
        message += f" {left} are left out, clips.jsonl says why."
    if silent:
        message += (
            f" {silent} have no words yet: write what they show into {lesson.folder / 'captions.csv'} and prepare "
            "again with --captions it, or write NAME.txt beside each."
        )
    tell("stage", stage="prepared", message=message)
    code = plan(args, lesson, tell, strict=False)
    if args.task == "prepare":
        tell("done", message=f"The lesson is {lesson.folder}; python launch.py teach learn {lesson.folder} begins.")
    return code


def plan(args: argparse.Namespace, lesson: Lesson, tell: events.Tell, strict: bool = True) -> int:
    from training.teach.prepare import check_enough

    told = lesson.told()
    if any((lesson.run / "checkpoints").glob("step_*")):
        raise UserError(f"{lesson.folder} is being learnt: its plan stands; go on, or take `teach stop` first.")
    try:
        with lesson.to_oneself():
            check_enough(lesson)  # before torch, which takes seconds
            from training.teach.plan import make_plan

            made = make_plan(lesson, base_of(Path(told.model)), args.minutes)
    except UserError as error:
        lesson.tell(message=str(error))
        if strict or args.task != "prepare":
            raise
        tell("problem", message=str(error))
        return 0
    tell("stage", stage="planned", message="\n".join(f"- {one}" for one in made.sentences))
    return 0


def learn(args: argparse.Namespace, lesson: Lesson, tell: events.Tell) -> int:
    from training.teach.learn import How
    from training.teach.learn import learn as teach

    return teach(lesson, How(args.minutes, locks_dir(args.data_dir)), tell)


def everything(args: argparse.Namespace, lesson: Lesson, tell: events.Tell) -> int:
    """A folder that is a lesson already is gone on with."""
    begun = lesson.exists and (lesson.folder == args.folder or lesson.told().state not in ("prepared", "stopped"))
    if not begun:
        prepare(args, lesson, tell)
        if not args.yes and sys.stdin.isatty() and not args.json and not agreed():
            print(f"Nothing was begun. Go on with: python launch.py teach learn {lesson.folder}")
            return 0
    return learn(args, lesson, tell)


def agreed() -> bool:
    return bool(re.match(r"\s*(y|yes)?\s*$", input(f"Shall it begin? {OFF} [Y/n] "), re.IGNORECASE))


def stop(_args: argparse.Namespace, lesson: Lesson, tell: events.Tell) -> int:
    """Whoever learns it is asked to end first."""
    from training.teach.learn import stop as forget

    lesson.told()
    lock = lesson.folder / ".lock"
    deadline = time.monotonic() + 120
    holder = holder_of(lock)
    if holder is not None:
        os.kill(holder.pid, signal.SIGTERM)
        while holder_of(lock) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
    with lesson.to_oneself():
        forget(lesson)
    tell("done", message=f"Stopped. {lesson.folder} keeps the clips and their words, and nothing of what was learnt.")
    return 0


def stages(tell: events.Tell) -> Callable[[str, int, int], None]:
    return lambda stage, done, of: tell("stage", stage=stage, done=done, of=of)


DO: dict[str, Callable[[argparse.Namespace, Lesson, events.Tell], int]] = {
    "prepare": prepare,
    "plan": plan,
    "learn": learn,
    "stop": stop,
    "all": everything,
}

if __name__ == "__main__":
    sys.exit(main())
