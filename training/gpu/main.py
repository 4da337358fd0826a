"""Train on a bare GPU machine without network, in pieces of a few minutes. Needs the standard library to begin with.

Here, once:      python -m training.gpu.main wheels .whl          (and name .whl in .git/info/exclude)
                 python -m training.gpu.main check .whl           what would travel; at most 64 MiB
There, again     python3 -m training.gpu.main train --wheels .whl --out "$OUT" --minutes 9 [--parcel .parcel]
and again:       install, draw the data, go on with vae, reader, generator; leave a parcel of weights in --out
Here, after it:  python -m training.gpu.main join PARCEL          into ~/.cache/whatnext/training

A parcel carried back (--parcel) goes on where it ended, with fresh optimiser state. Everything lives in --work.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
TRAVEL_LIMIT = 64 * MIB  # tracked files, untracked ones that git does not ignore, and what is carried
RETURN_LIMIT = 62 * MIB  # of 64, for the log beside it
STAGES = ("vae", "reader", "generator")
PREEMPTED = 75
PACKING_SECONDS = 40.0
# What a CUDA image with PyTorch and transformers lacks. Versions are those of constraints.txt.
WHEELS = ("diffusers", "importlib_metadata", "skia-python")
# skia's wheel links to OpenGL although we draw on the CPU; unpacked beside the wheels, never installed
LIBRARIES = (
    *("libegl1", "libgl1", "libglvnd0", "libglx0", "libx11-6", "libxcb1"),
    *("libxau6", "libxdmcp6", "libbsd0", "libmd0", "libexpat1"),
)


@dataclass(frozen=True)
class Size:
    """How much is drawn, and the folder of configs."""

    configs: str
    clips: int
    stories: int
    held_out_stories: int


SIZES = {"gpu": Size("gpu", 10_000, 40_000, 1_000), "starter": Size("starter", 3_000, 8_000, 800)}
SIZES["tiny"] = Size("starter", 50, 24, 8)  # for tests


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.gpu.main", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    get = commands.add_parser("wheels", help="download what the machine lacks (here, with network)")
    get.add_argument("folder", type=Path)
    get.add_argument("--python", default="3.12", help="the machine's Python")
    get.add_argument("--libraries", action="store_true", help="also OpenGL's libraries, as Debian packages (2 MiB)")
    check = commands.add_parser("check", help="how much would travel; exit code 1 above 64 MiB")
    check.add_argument("carried", type=Path, nargs="*", help="ignored folders that travel too")
    train = commands.add_parser("train", help="one piece of training (there)")
    train.add_argument("--out", type=Path, required=True, help="the parcel and the log are left here")
    train.add_argument("--work", type=Path, default=Path.home() / ".cache/whatnext/training")
    train.add_argument("--wheels", type=Path, help="a folder of wheels (and .deb files) to install from")
    train.add_argument("--parcel", type=Path, help="weights of an earlier piece, from another machine")
    train.add_argument("--minutes", type=float, default=9.0, help="for everything, the parcel included")
    train.add_argument("--stages", default=",".join(STAGES))
    train.add_argument("--device", default="cuda")
    train.add_argument("--size", choices=SIZES, default="gpu")
    train.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    train.add_argument("overrides", nargs="*", metavar="STAGE.key=value", help="config overrides of a stage")
    put = commands.add_parser("join", help="verify a parcel and put its run folders back (here)")
    put.add_argument("parcel", type=Path)
    put.add_argument("--work", type=Path, default=Path.home() / ".cache/whatnext/training")
    args = parser.parse_args(argv)
    if args.command == "wheels":
        return download(args.folder, args.python, args.libraries)
    if args.command == "check":
        return report_size(ROOT, args.carried)
    from nsp_core.errors import WhatNextError

    try:
        if args.command == "join":
            return join(args.parcel, args.work)
        return piece(args)
    except WhatNextError as error:
        print(error, file=sys.stderr)
        return 2


def download(folder: Path, python: str, libraries: bool) -> int:
    """Wheels of WHEELS for the machine's Python, one version each; then what all of it weighs."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={pinned(name)}" if pinned(name) else name for name in WHEELS]
    platforms = [f"--platform=manylinux_2_{n}_x86_64" for n in (28, 27, 24, 17)] + ["--platform=manylinux2014_x86_64"]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*pip, "--python-version", python, "--implementation", "cp", *platforms, *wanted], check=True)
    if libraries:
        subprocess.run(["apt-get", "download", "-qq", *LIBRARIES], cwd=folder, check=True)
    return report_size(ROOT, [folder])


def pinned(name: str) -> str | None:
    """The version of a package in constraints.txt, in any spelling of its name."""
    spelling = re.sub(r"[-_.]+", "[-_.]+", name)
    found = re.search(rf"(?im)^{spelling}==([^\s;#]+)", (ROOT / "constraints.txt").read_text())
    return found[1] if found else None


def travelling(root: Path, carried: list[Path]) -> list[tuple[int, Path]]:
    """(bytes, file) of all that goes to the machine, largest first."""
    listed = subprocess.run(
        ["git", "ls-files", "-coz", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    files = {root / name for name in listed if name}
    for folder in carried:
        files |= {p.resolve() for p in folder.rglob("*")}
    return sorted(((p.stat().st_size, p) for p in files if p.is_file()), reverse=True)


def report_size(root: Path, carried: list[Path]) -> int:
    files = travelling(root, carried)
    total = sum(size for size, _ in files)
    for size, path in files[:5]:
        print(f"{size / MIB:8.1f} MiB  {path}")
    fits = total <= TRAVEL_LIMIT
    print(f"{total / MIB:8.1f} MiB  together: " + ("fits in 64" if fits else "more than 64, carry less"))
    return 0 if fits else 1


def piece(args: argparse.Namespace) -> int:
    """Install, draw, train until the minutes are over, pack. Exit code 0: all stages done; 75: call again."""
    deadline = time.monotonic() + 60 * args.minutes
    environment = install(args.wheels, args.work / "site")
    size = SIZES[args.size]
    runs = args.work
    before: dict[str, int] = {}
    if args.parcel and args.parcel.is_dir():
        run_python(["-m", "training.gpu.main", "join", str(args.parcel), "--work", str(runs)], environment)
    draw(args.work, size, args.workers, environment)
    code = 0
    for stage in args.stages.split(","):
        before[stage] = steps_of(runs / stage)
        left = deadline - PACKING_SECONDS - time.monotonic()
        if left < 5:
            code = PREEMPTED
            break
        own = [o.removeprefix(stage + ".") for o in args.overrides if o.startswith(stage + ".")]
        settings = [*paths(stage, args.work), *placement(stage, args), f"minutes={left / 60:.3f}", *own]
        config = f"training/configs/{size.configs}/{stage}.yaml"
        code = run_until(["-m", "training.main", stage, "--config", config, *settings], environment, left + 20)
        print(f"== {stage}: step {steps_of(runs / stage)}, exit code {code}", flush=True)
        if code:
            break
    # what was learnt is brought back also when a later stage failed
    taken = [s for s in before if steps_of(runs / s) > before[s]]
    run_python(["-c", PACK, str(runs), str(args.out), *reversed(taken)], environment)
    return code


PACK = """
import sys
from pathlib import Path
from training.gpu.main import RETURN_LIMIT
from training.gpu.parcel import pack
runs, out, *stages = sys.argv[1:]
made = pack([Path(runs) / s for s in stages], Path(out), limit=RETURN_LIMIT)
print("== parcel:", made["steps"], "left out:", made["left_out"])
"""
DRAW = """
import sys
from pathlib import Path
from training.picturebook.pool import make_pool
from training.stories import make_pool as make_stories
work, clips, stories, held_out, workers = Path(sys.argv[1]), *map(int, sys.argv[2:])
if not (work / "pool" / "masks.npy").exists():
    make_pool(work / "pool", clips, seed=1, pack_share=0.1, workers=workers)
for name, count, seed, held in (("stories", stories, 1, False), ("stories_held_out", held_out, 2, True)):
    if not (work / f"{name}.jsonl").exists():
        make_stories(work / f"{name}.jsonl", count, seed, held_out=held, workers=workers)
"""


def install(wheels: Path | None, site: Path) -> dict[str, str]:
    """Put the carried wheels where only this script's own processes look. -> their environment."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
    search = [str(ROOT)]
    if wheels is not None:
        packages, libraries = site / "packages", site / "libraries"
        files = sorted(map(str, wheels.glob("*.whl")))
        if files and not packages.is_dir():
            part = site / "packages.partial"
            shutil.rmtree(part, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile"]
            subprocess.run([*pip, "--find-links", str(wheels), "--target", str(part), *files], check=True)
            os.replace(part, packages)
        if packages.is_dir():
            search.append(str(packages))
        debs = sorted(wheels.glob("*.deb"))
        for deb in debs:
            subprocess.run(["dpkg", "-x", str(deb), str(libraries)], check=True)
        if debs:
            found = [libraries / "usr/lib/x86_64-linux-gnu", libraries / "lib/x86_64-linux-gnu"]
            # ours last: what the machine has (its driver's OpenGL, say) is never replaced
            own = environment.get("LD_LIBRARY_PATH", "").split(":")
            environment["LD_LIBRARY_PATH"] = ":".join(filter(None, [*own, *map(str, found)]))
    environment["PYTHONPATH"] = ":".join(filter(None, [*search, environment.get("PYTHONPATH", "")]))
    return environment


def draw(work: Path, size: Size, workers: int, environment: dict[str, str]) -> None:
    """Clips and stories, once a machine; whole files are kept."""
    work.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    numbers = (size.clips, size.stories, size.held_out_stories, workers)
    run_python(["-c", DRAW, str(work), *map(str, numbers)], environment)
    print(f"== data: {time.monotonic() - started:.0f} s", flush=True)


def paths(stage: str, work: Path) -> list[str]:
    """Where a stage reads and writes, as overrides of its config."""
    found = {"out": work / stage}
    if stage == "vae":
        found["pool"] = work / "pool"
    else:
        found["stories"] = work / "stories.jsonl"
    if stage == "generator":
        found |= {"cache": work / "cache", "vae": work / "vae", "reader": work / "reader"}
    return [f"{key}={path}" for key, path in found.items()]


def placement(stage: str, args: argparse.Namespace) -> list[str]:
    """The device, and processes that draw ahead of it."""
    settings = [f"device={args.device}"]
    if args.device != "cpu":
        settings.append(f"workers={args.workers}" if stage == "generator" else f"loop.workers={args.workers}")
    return settings


def steps_of(run: Path) -> int:
    """The newest whole checkpoint of a run folder, without torch; -1 without one."""
    found = [p.parent.name.removeprefix("step_") for p in run.glob("checkpoints/step_*/manifest.json")]
    return max(map(int, found), default=-1)


def run_python(arguments: list[str], environment: dict[str, str]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, check=True)


def run_until(arguments: list[str], environment: dict[str, str], seconds: float) -> int:
    """Run a stage; one that is still making its cache when time is up is asked to stop, and goes on next time."""
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        return PREEMPTED if code in (PREEMPTED, -signal.SIGTERM) else code
    finally:
        process.kill()  # nothing is left running when this script is stopped


def join(parcel: Path, work: Path) -> int:
    from training.gpu import parcel as parcels

    for name, step in parcels.join(parcel, work).items():
        print(f"{work / name}: step {step}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
