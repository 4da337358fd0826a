"""`python launch.py test [--full] [pytest options]`: every check, the same on a laptop and in CI.

Without --full: ruff, mypy on nsp_core, and pytest without the tests marked `full`. With --full: all of pytest.
CI runs the two one after the other and sets WHATNEXT_FULL_ONLY=1 for the second, which then runs only what the
first has left out. Anything else on the command line goes to pytest as it is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PYTEST_FOUND_NOTHING = 5
# Two cores is what everybody has. Which tests go together: tests/conftest.py; journeys in Chromium never meet.
SIDE_BY_SIDE = ["-n", "2"]

# Set before anything loads torch or gradio: no spinning threads on small machines, no network.
QUIET = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: list[str]) -> int:
    full = "--full" in arguments
    passed_on = [argument for argument in arguments if argument != "--full"]
    environment = {**os.environ, **QUIET}
    provide_chromium()

    steps: list[tuple[str, list[str]]] = []
    if not full and not passed_on:  # asked for one test file, a person wants that one test
        steps += [
            ("ruff", ["ruff", "check", "."]),
            ("mypy nsp_core", ["mypy"]),
        ]
    together = [] if passed_on else SIDE_BY_SIDE
    steps.append(("pytest", ["pytest", *selection(full), *together, "--durations=10", *passed_on]))

    failed = []
    for name, (module, *options) in steps:
        started = time.monotonic()
        code = subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, env=environment).returncode
        if name == "pytest" and code == PYTEST_FOUND_NOTHING and full:
            code = 0  # nothing is marked `full` (yet)
        verdict = "ok" if code == 0 else f"failed ({code})"
        print(f"== {name}: {verdict} in {time.monotonic() - started:.0f} s", flush=True)
        if code:
            failed.append(name)
    if failed:
        print(f"== failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def selection(full: bool) -> list[str]:
    if not full:
        return ["-m", "not full"]
    return ["-m", "full"] if os.environ.get("WHATNEXT_FULL_ONLY") else []


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def provide_chromium() -> None:
    """Browser journeys use the system's Chromium. Where that can be installed without asking, it is."""
    if find_chromium():
        return
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print("Installing Debian's chromium for the browser tests ...", flush=True)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        noninteractive = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (install, ["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=noninteractive, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if find_chromium():
                return
    print("No Chromium: browser tests are skipped. Install it (Debian: apt-get install chromium).", flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
