#!/usr/bin/env python3
"""The one door: `python launch.py [subcommand] [options]`.

Finds or makes an environment that carries what pyproject.toml asks for, then hands over to the subcommand's
module. Knows nothing of stories, models or training. Standard library only, and every line also runs on
Python 3.8, so that an old interpreter can say which one is needed.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, NoReturn, Optional, Tuple

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOCK = ROOT / ".venv.lock"
DISTRIBUTION = "what-happens-next"
NEEDED_PYTHON = (3, 11)
EXIT_SETUP, EXIT_USAGE, EXIT_LATER, EXIT_INTERRUPTED = 1, 2, 3, 130

BASE: Tuple[str, ...] = ()
WORKSHOP: Tuple[str, ...] = ("train", "dev")
SETS = (BASE, WORKSHOP)  # each contains the one before it


class Command(NamedTuple):
    """One subcommand. `module` None: later work brings it. `options` are what its own parser takes, for --help."""

    summary: str
    module: Optional[str] = None
    extras: Tuple[str, ...] = BASE
    arguments: str = ""
    options: Tuple[Tuple[str, str], ...] = ()


COMMANDS = {
    "app": Command(
        "open the story page in the browser (what happens without a subcommand)",
        "app.main",
        options=(
            ("--port N", "port of the page (default: 7860, or the next free one)"),
            ("--host ADDRESS", "address to listen on (default: 127.0.0.1, this machine only)"),
            ("--password-file FILE", "text file with the password that others have to bring, when they can come"),
            ("--no-filter", "go without the content filter where others can come"),
            ("--get-filter", "get the content filter's weights (22 MB), then leave"),
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--window", "open a window of its own; closing it ends the program"),
            ("--no-browser", "do not open a browser window"),
            ("--starter PATH", "folder of the model to use, or a bank.json of big ones (default: assets/starter)"),
            ("--tier NAME", "auto (what fits and is here), starter, or a big one: launch.py models list"),
            ("--connector PATH", "folder of a trained connector: big tiers use it (unified mode)"),
            ("--adapter FOLDER", "what was taught to the model; FOLDER=STRENGTH, comma between several"),
        ),
    ),
    "predict": Command(
        "continue a picture, a clip or a sentence on the command line",
        "app.predict",
        arguments="FILE_OR_TEXT",
        options=(
            ("--steer TEXT", "what should happen in the next scene; given again: in the scene after it"),
            ("--scenes N", "how many scenes to predict (default: 3)"),
            ("--seed N", "seed of the first take; the same seed gives the same frames (default: 7)"),
            ("--out DIR", "where clips and the reel are written"),
            ("--json", "print one JSON object as the last line"),
            ("--model PATH", "folder of the model to use, or a bank.json of big ones (default: assets/starter)"),
            ("--tier NAME", "auto (what fits and is here), starter, or a big one (default: as chosen on the page)"),
            ("--connector PATH", "folder of a trained connector: big tiers use it (unified mode)"),
            ("--faster NAME", "draw faster, and something else: a shortcut by its name"),
            ("--adapter FOLDER", "what was taught to the model; FOLDER=STRENGTH, comma between several"),
        ),
    ),
    "train": Command(
        "run a training stage, all of a recipe, or say what it costs (plan)",
        "training.main",
        WORKSHOP,
        arguments="STAGE|all|tiny|table|plan [KEY=VALUE ...]",
        options=(
            ("--config PATH", "YAML file of the run; with all: a folder of STAGE.yaml files"),
            ("--resume HOW", "latest: go on from the last checkpoint (default); never; or a checkpoint's folder"),
            ("--dry-run", "print the resolved configuration and stop"),
            ("--check", "make some examples of the stage's cache again and compare"),
            ("--limit N", "take N steps at most: shows that everything runs"),
            ("--out DIR", "with all, tiny and table: one folder for everything"),
            ("--cases N", "with table: held-out stories a row (default: 400)"),
            ("--workers N", "with table: processes that share arms and rows (default: 1)"),
            ("--json", "with tiny, table and plan: print one JSON object as the last line"),
        ),
    ),
    "data": Command(
        "prepare training data from films: shots, filters, captions, pairs, a pack",
        "training.data.main",
        WORKSHOP,
        arguments="run|demo|captions|plan|weights CONFIG|FOLDER [KEY=VALUE ...]",
        options=(
            ("--out DIR", "run, demo: the run's folder; the same one goes on with it"),
            ("--retry", "run, demo: try again what failed, too"),
            ("--clips N", "plan: how many clips to cost (default: 13 million)"),
            ("--rates DIR", "plan: a run's folder whose measured rates are taken"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "eval": Command(
        "measure a model: right-scene rates with intervals, floors and ceiling",
        "training.evaluate.main",
        WORKSHOP,
        arguments="picturebook | told | composition | nsp | vbench | compare A B | pool A B ...",
        options=(
            ("--checkpoint PATH", "folder of the model to measure (default: assets/starter)"),
            ("--n N", "held-out stories (default: 64)"),
            ("--seed N", "which held-out stories (default: 0)"),
            ("--minutes M", "stop after about so many minutes"),
            ("--loops N", "stories of eight own scenes, the longest part (default: a quarter of n)"),
            ("--quick", "a look: few stories, short closed loops"),
            ("--no-cut", "leave out the mode cut"),
            ("--words", "only whether the words can happen; nothing is drawn"),
            ("--mode NAME", "told: continue (default) or cut"),
            ("--anywhere", "composition: of any things, as no story would put them together"),
            ("--captioner NAME", "nsp: claude, server, own, or a model's folder puts the clips into words"),
            ("--judge NAME", "nsp: claude, server or local judges these words with the paper's template"),
            ("--think", "nsp: the reader writes first what comes"),
            ("--text", "nsp: the drawer alone, given the sentence itself"),
            ("--floors", "nsp: ask the judge about repetitions and other stories, too"),
            ("--clips DIR", "nsp: where clips and verdicts are kept (default: below ~/.cache/whatnext/eval)"),
            ("--prompts FILE", "vbench: its VBench_full_info.json (default: the installed one)"),
            ("--dimension NAME", "vbench: only this one; may be given again"),
            ("--samples N", "vbench: videos of a prompt (default: 5)"),
            ("--python PATH", "vbench: of its own environment (default: WHATNEXT_VBENCH_PYTHON)"),
            ("--steps N", "nsp, vbench: of drawing (default: what the model recommends)"),
            ("--device NAME", "cpu (default) or cuda"),
            ("--report FILE", "write every clip beside its rendering into one HTML file"),
            ("--out FILE", "write the result with its single cases, for compare"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "judge": Command(
        "hold judges against each other and against people; what Claude needs and costs",
        "training.calibrate.main",
        WORKSHOP,
        arguments="agree|label|migrate|doctor [SET] [FILE]",
        options=(
            ("--judge NAME", "agree: a judge (the first is the measure), own, or who has verdicts in the set"),
            ("--keep DIR", "agree: keep a picturebook set and all verdicts there"),
            ("--from NAME", "migrate: the judge whose verdicts are in the set"),
            ("--to NAME", "migrate: the judge to ask now"),
            ("--limit N", "only N scenes: the first ones; on a sheet for people, any"),
            ("--batch", "ask Claude in batches: half the price, up to a day"),
            ("--model PATH", "whose opinion 'own' is (default: assets/starter)"),
            ("--ask", "doctor: ask one real question, too (a fraction of a cent)"),
            ("--n N", "doctor: verdicts to estimate the cost of (default: 1000)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "models": Command(
        "list, fetch, verify and remove the big models",
        "app.models.main",
        arguments="list|get|remove|verify [NAME ...]",
        options=(
            ("--four-bits", "verify: measure what four bits cost the reader, too"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "teach": Command(
        "fine-tune the model on your own clips: an adapter that draws your world",
        "training.teach.main",
        WORKSHOP,
        arguments="FOLDER | prepare FOLDER | plan DIR | learn DIR | stop DIR | --from-choices FILE",
        options=(
            ("--out DIR", "the lesson's folder (default: FOLDER-lesson beside it)"),
            ("--captions FILE", "a CSV of what is seen: file,caption; NAME.txt beside a clip does as well"),
            ("--minutes M", "about so long (default: as many steps as do good)"),
            ("--name NAME", "what the lesson is called (default: the folder's name)"),
            ("--model PATH", "folder of the model that is taught (default: assets/starter)"),
            ("--yes", "do not ask before it begins"),
            ("--data-dir DIR", "of the story page, whose drawing waits meanwhile"),
            ("--json", "print one JSON object a line; the last one is the lesson"),
        ),
    ),
    "export": Command(
        "take a story out as a file",
        "app.export",
        arguments="STORY",
        options=(
            ("--to KIND", "pack: the whole tree with all takes, for import; html: a page that plays it, offline"),
            ("--out FILE", "the file to write; it must not be there yet"),
            ("--list", "say which stories there are, and stop"),
            ("--without-originals", "pack: leave out the pictures and clips that you brought, as they were"),
            ("--with-taste", "pack: put in what you chose, starred and rewrote"),
            ("--choices FILE", "write your choices, of STORY or of all stories, for teach --from-choices"),
            ("--without-recipe", "say nothing in the file of how it was made, and do not sign it"),
            ("--with-prompts", "tell the words that scenes were drawn from, too"),
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "import": Command(
        "bring in a story that was taken out as a pack",
        "app.bring",
        arguments="FILE",
        options=(
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "space": Command(
        "write the folder of a Hugging Face Space with the story room",
        "app.space.main",
        arguments="DIR",
        options=(
            ("--kind KIND", "what it draws on: cpu (default), gpu (a card of its own), zero (ZeroGPU)"),
            ("--title TEXT", "what the Space is called"),
            ("--tier NAME", "gpu: which weights it fetches at its start (default: what fits)"),
            ("--keep PLACE", "where stories outlive a restart: a mounted bucket's path, OWNER/NAME of a dataset"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "share": Command(
        "put a story on the Hugging Face Hub: a page that plays it, a pack or a film",
        "app.share.main",
        arguments="STORY",
        options=(
            ("--to PLACE", "space: a static Space that plays it; dataset: a pack (default) or a film"),
            ("--as FORM", "of a dataset: pack, mp4, webm, gif or webp"),
            ("--repo OWNER/NAME", "where it goes (default: your account, and the story's title)"),
            ("--public", "everybody may see it (default: only you)"),
            ("--licence NAME", "under which licence, as the Hub calls it: cc-by-4.0, ..."),
            ("--dry-run", "show every file and every word that would be sent, and send nothing"),
            ("--yes", "do not ask before it is sent"),
            ("--without-originals", "pack: leave out the pictures and clips that you brought, as they were"),
            ("--with-taste", "pack: put in what you chose, starred and rewrote"),
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "verify": Command(
        "say what a file that was taken out is, and whether it was changed since",
        "app.verify",
        arguments="FILE",
        options=(
            ("--anchors PEM", "certificates whose signatures are to be trusted"),
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "bench": Command(
        "time the model and the page on this machine",
        "tests.bench.main",
        WORKSHOP,
        arguments="[app|train|reel|predict|data]",
        options=(
            ("--json", "print one JSON object as the last line"),
            ("--quick", "few repetitions, and nothing that takes long: shows that everything runs"),
            ("--only PART", "reel: only cuts, dissolves, full, long or page; can be said more than once"),
            ("--starter PATH", "folder of the model to time (default: assets/starter)"),
        ),
    ),
    "doctor": Command(
        "look for what is wrong with this installation and its stories",
        "app.doctor",
        options=(
            ("--fix", "mend what can safely be mended"),
            ("--data-dir DIR", "where stories and media are kept (default: the user's data folder)"),
            ("--starter PATH", "folder of the model to look at (default: assets/starter)"),
            ("--json", "print one JSON object as the last line"),
        ),
    ),
    "test": Command(
        "run every check: ruff, mypy and pytest, browser journeys included",
        "tests.run",
        WORKSHOP,
        arguments="[PYTEST OPTIONS]",
        options=(("--full", "all of pytest, with the tests that are too slow for every change"),),
    ),
}


def main(arguments: List[str]) -> int:
    name, rest = split_command(arguments)
    if name is None:
        if "--version" in rest:
            say_out("{} {}".format(DISTRIBUTION, project_version()))
        else:
            say_out(help_of_all())
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = "Did you mean '{}'?".format(close[0]) if close else "See: python launch.py --help"
        say("There is no subcommand '{}'. {}".format(name, hint))
        return EXIT_USAGE
    command = COMMANDS[name]
    own = rest[: rest.index("--")] if "--" in rest else rest
    if "--help" in own or "-h" in own:
        say_out(help_of(name))
        return 0
    if "--version" in own:
        say_out("{} {}".format(DISTRIBUTION, project_version()))
        return 0
    if command.module is None:
        say("`launch.py {}` ({}) comes with later work.".format(name, command.summary))
        return EXIT_LATER
    require_python()
    extras = command.extras + (("safety",) if name == "app" and "--get-filter" in own else ())
    return hand_over(environment_for(extras), command.module, rest)


def split_command(arguments: List[str]) -> Tuple[Optional[str], List[str]]:
    """The subcommand and its arguments; options alone belong to `app`, a lone --help or --version to the door."""
    if not arguments:
        return "app", []
    first = arguments[0]
    if first in ("--help", "-h", "--version"):
        return None, arguments
    if first.startswith("-"):
        return "app", arguments
    return first, arguments[1:]


# --- what it says ---------------------------------------------------------------------------------------------


def say(line: str) -> None:
    """Messages go to stderr: stdout belongs to the subcommand, whose last line may be JSON."""
    print(line, file=sys.stderr, flush=True)


def say_out(text: str) -> None:
    print(text, flush=True)


def fail(message: str, remedy: str) -> NoReturn:
    say("launch.py: {}".format(message))
    say(remedy)
    sys.exit(EXIT_SETUP)


def help_of_all() -> str:
    lines = ["usage: python launch.py [subcommand] [options]", "", "subcommands:"]
    for name, command in COMMANDS.items():
        later = " (later)" if command.module is None else ""
        lines.append("  {:<9}{}{}".format(name, command.summary, later))
    lines += ["", "python launch.py SUBCOMMAND --help tells more; without a subcommand the page opens."]
    return "\n".join(lines)


def help_of(name: str) -> str:
    command = COMMANDS[name]
    usage = " ".join(part for part in ("usage: python launch.py", name, command.arguments) if part)
    lines = [usage + (" [options]" if command.options else ""), "", command.summary]
    if command.module is None:
        lines.append("This subcommand comes with later work.")
    rows = command.options + (("--help", "show this and leave"), ("--version", "show the version and leave"))
    lines += [""] + ["  {:<18}{}".format(option, meaning) for option, meaning in rows]
    return "\n".join(lines)


def project_version() -> str:
    """By pattern: an old interpreter has no TOML reader, and --version must answer there too."""
    found = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1) if found else "unknown"


def require_python() -> None:
    if sys.version_info >= NEEDED_PYTHON:
        return
    newer = next((name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)), None)
    fail(
        "Python {}.{} or newer is needed, this is {}.{}.{}.".format(*(NEEDED_PYTHON + tuple(sys.version_info[:3]))),
        "This machine has one: {} launch.py".format(newer)
        if newer
        else "Install it from https://www.python.org/downloads/ and run launch.py with it.",
    )


# --- what the project asks for --------------------------------------------------------------------------------


def read_project() -> Any:
    import tomllib  # Python 3.11 and newer: only reached behind require_python()

    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements_of(project: Any, extras: Tuple[str, ...]) -> List[str]:
    table = project["project"]
    wanted = list(table.get("dependencies", []))
    for extra in extras:
        wanted += table.get("optional-dependencies", {}).get(extra, [])
    return wanted


def unmet(requirements: List[str], site_packages: Optional[Path] = None) -> List[str]:
    """Requirements that the running interpreter (or another's site-packages folder) does not satisfy."""
    from importlib import metadata

    lacking = []
    for requirement in requirements:
        name, _, specifier = re.match(r"([\w.-]+)(\[[^\]]*\])?([^;]*)", requirement.strip()).groups()  # type: ignore
        path = sys.path if site_packages is None else [str(site_packages)]
        found = next(iter(metadata.distributions(name=name, path=path)), None)
        if found is None or not found.version or not satisfies(found.version, specifier):
            lacking.append(requirement)
    return lacking


def satisfies(version: str, specifier: str) -> bool:
    """Whether a version lies in a range such as `>=2.11,<2.14`. Enough for our own pyproject, which a test compares
    with what pip would say; local labels (`+cpu`) do not count."""
    have = comparable(version)
    for part in filter(None, (piece.strip() for piece in specifier.split(","))):
        operator, wanted = re.match(r"(~=|==|!=|>=|<=|<|>)\s*(.+)", part).groups()  # type: ignore
        if wanted.endswith(".*"):
            inside = numbers(version, len(numbers(wanted[:-2]))) == numbers(wanted[:-2])
            holds = inside if operator == "==" else not inside
        elif operator == "~=":
            family = numbers(wanted)[:-1]
            holds = have >= comparable(wanted) and numbers(version, len(family)) == family
        else:
            want = comparable(wanted)
            holds = {
                "==": have == want,
                "!=": have != want,
                ">=": have >= want,
                "<=": have <= want,
                ">": have > want,
                "<": have < want,
            }[operator]
        if not holds:
            return False
    return True


def numbers(version: str, length: Optional[int] = None) -> Tuple[int, ...]:
    found = tuple(int(number) for number in re.match(r"v?(\d+(?:\.\d+)*)", version).group(1).split("."))  # type: ignore
    return found if length is None else (found + (0,) * length)[:length]


def comparable(version: str) -> Tuple[Tuple[int, ...], bool]:
    """Numbers without trailing zeros, then False for a pre-release, which comes before its release."""
    release = numbers(version)
    while len(release) > 1 and release[-1] == 0:
        release = release[:-1]
    return release, re.search(r"\d[-_.]?(a|b|c|rc|alpha|beta|pre|dev)", version.split("+")[0]) is None


# --- the environment ------------------------------------------------------------------------------------------


def environment_for(extras: Tuple[str, ...]) -> str:
    """The interpreter to hand over to. One that satisfies the project already is used and never written to."""
    project = read_project()
    wanted = requirements_of(project, extras)
    if Path(sys.prefix).resolve() != VENV.resolve():
        lacking = unmet(wanted)
        if not lacking:
            return sys.executable
        if os.environ.get("SPACE_ID"):
            fail(
                "this Space lacks {}.".format(", ".join(lacking)),
                "Add them to its requirements.txt; no environment is made on a Space.",
            )
    if not is_current(project, extras):
        with setup_lock():
            if not is_current(project, extras):  # another start may have done the work while this one waited
                set_up(project, extras, wanted)
    return str(venv_python())


def venv_python() -> Path:
    return VENV / "Scripts" / "python.exe" if os.name == "nt" else VENV / "bin" / "python"


def venv_site_packages() -> Optional[Path]:
    pattern = "Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"
    return next(iter(VENV.glob(pattern)), None)


def stamp_file(extras: Tuple[str, ...]) -> Path:
    return VENV / "whatnext-{}.stamp".format("-".join(extras) or "base")


def stamp_of(project: Any, extras: Tuple[str, ...]) -> str:
    """What an installation depends on. The folder is in it because the project is installed in place."""
    table = project["project"]
    parts = [
        requirements_of(project, extras),
        table.get("entry-points", {}),
        table["version"],
        (ROOT / "constraints.txt").read_text(encoding="utf-8"),
        str(ROOT),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()


def is_current(project: Any, extras: Tuple[str, ...]) -> bool:
    """Whether a finished set-up of this set, or of one that contains it, matches today's requirements."""
    if not venv_python().exists():
        return False
    for larger in SETS[SETS.index(extras) :]:
        with contextlib.suppress(FileNotFoundError):
            if stamp_file(larger).read_text(encoding="utf-8") == stamp_of(project, larger):
                return True
    return False


def set_up(project: Any, extras: Tuple[str, ...], wanted: List[str]) -> None:
    started = time.monotonic()
    ours = VENV / "whatnext-made-here"
    if not venv_python().exists():
        say("Setting up .venv (once; a few minutes and a few gigabytes) ...")
        run_quietly([sys.executable, "-I", "-m", "venv", "--clear", str(VENV)], "making .venv")
    elif ours.exists():
        say("The project's requirements changed or more of them are needed: updating .venv ...")
    elif unmet(wanted + [DISTRIBUTION], venv_site_packages()):
        say("Completing .venv ...")
    else:
        return  # a .venv that somebody else made and that lacks nothing
    ours.touch()
    site_packages = venv_site_packages()
    if site_packages is None or not (site_packages / "pip").is_dir():
        run_quietly([str(venv_python()), "-I", "-m", "ensurepip"], "adding pip to .venv")
    for each in SETS:
        with contextlib.suppress(FileNotFoundError):
            stamp_file(each).unlink()
    target = "{}[{}]".format(ROOT, ",".join(extras)) if extras else str(ROOT)
    # -I: a PYTHONPATH must not make pip believe that something is installed here already.
    install = [str(venv_python()), "-I", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run_quietly(install + ["-c", str(ROOT / "constraints.txt"), "-e", target], "installing the requirements")
    # Last, so that a start that was cut off anywhere above is done again.
    stamp_file(extras).write_text(stamp_of(project, extras), encoding="utf-8")
    say("Ready after {:.0f} s.".format(time.monotonic() - started))


@contextlib.contextmanager
def setup_lock() -> Iterator[None]:
    """One set-up at a time. An SQLite transaction is a lock on every system that the kernel takes back when its
    holder dies, so it can never be stale."""
    import sqlite3

    try:
        connection = sqlite3.connect(str(LOCK), timeout=1, isolation_level=None)
    except sqlite3.OperationalError:
        fail("cannot write in {}.".format(ROOT), "Copy the project to a folder that you own and start again.")
    try:
        for attempt in range(3600):
            try:
                connection.execute("BEGIN EXCLUSIVE")
                break
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    fail("cannot lock {} ({}).".format(LOCK, error), "Make the project's folder writable.")
                if attempt == 0:
                    say("Another start is setting up .venv; waiting for it ...")
        else:
            fail("another start has been setting up .venv for an hour.", "End it and start again.")
        yield
    finally:
        connection.close()


def run_quietly(command: List[str], what: str) -> None:
    """Run a set-up step; its own output is shown only when it fails. A sign of life every half minute."""
    log = ROOT / ".venv.log"
    started = time.monotonic()
    with log.open("wb") as output:
        step = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            while True:
                try:
                    code = step.wait(timeout=30)
                    break
                except subprocess.TimeoutExpired:
                    say("  still {} ({:.0f} s)".format(what, time.monotonic() - started))
        except BaseException:  # Ctrl-C: leave no installer behind
            step.terminate()
            step.wait()
            raise
    text = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    if code:
        last = [line for line in text.splitlines() if line.strip() and "is ignored" not in line][-5:]
        say("\n".join(last))
        fail("{} failed (exit code {}).".format(what, code), remedy_for(text))


def remedy_for(output: str) -> str:
    if "No space left" in output or "disk is full" in output:
        return "Free some disk space (10 GB is plenty) and start again; what is there already is kept."
    if "ensurepip" in output:
        return "This Python comes without pip: install its venv package (Debian: apt install python3-venv)."
    if "requires a different Python" in output:
        return "The folder .venv was made by an older Python: remove it and start again."
    if re.search(r"ConnectionError|NewConnectionError|Temporary failure|timed out|ProxyError|SSLError", output):
        return "The package index could not be reached: check the network and start again; what is there is kept."
    if "No matching distribution" in output:
        return "No package fits this Python or system: try Python 3.11 or 3.12 (64-bit), and check the network."
    return "Start again; if it fails the same way, remove the folder .venv first."


def hand_over(python: str, module: str, arguments: List[str]) -> int:
    """Run the module with the project importable and the person's folder current. The exit code is the module's."""
    environment = dict(os.environ)
    inherited = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = str(ROOT) + (os.pathsep + inherited if inherited else "")
    # -P: modules come from the project, never from whatever folder the person happens to stand in.
    command = [python, "-P", "-m", module] + arguments
    if os.name != "nt":
        # Becoming the module gives it the terminal's Ctrl-C, every signal and the exit code as they are.
        os.execve(python, command, environment)
    child = subprocess.Popen(command, env=environment)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:  # the child has received it too and ends by itself
            continue


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("Stopped. The same command goes on from here.")
        sys.exit(EXIT_INTERRUPTED)
