"""The door: what it says, when it makes an environment, when it leaves one alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import launch

# A project as small as can be, with a build backend of its own: making its environment needs no index.
TINY_PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "what-happens-next"
version = "0.1.0"
dependencies = ["{requirement}"]
[project.optional-dependencies]
train = []
dev = []
"""
TINY_BACKEND = """
import zipfile
def write_wheel(folder, name, version, requires=()):
    file = f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n"
    metadata += "".join(f"Requires-Dist: {line}\\n" for line in requires)
    with zipfile.ZipFile(f"{folder}/{file}", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return file
def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    import tomllib
    with open("pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    with open("builds.txt", "a") as builds:
        builds.write("built\\n")
    return write_wheel(wheel_directory, "what_happens_next", "0.1.0", project["dependencies"])
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A checkout in a folder of its own whose one requirement is a wheel lying beside it."""
    checkout = tmp_path / "check out"  # a space in the path, as people have
    (checkout / "app").mkdir(parents=True)
    shutil.copy(launch.ROOT / "launch.py", checkout)
    (checkout / "backend.py").write_text(TINY_BACKEND)
    (checkout / "constraints.txt").write_text("")
    (checkout / "pyproject.toml").write_text(TINY_PROJECT.format(requirement="bouquet>=1"))
    (checkout / "app" / "__init__.py").touch()
    (checkout / "app" / "main.py").write_text(
        "import os, sys\nprint(sys.prefix, os.getcwd(), *sys.argv[1:], sep='|')\nsys.exit(7)\n"
    )
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    program = f"exec({TINY_BACKEND!r}); [write_wheel({str(wheels)!r}, 'bouquet', v) for v in ('1.0', '2.0')]"
    subprocess.run([sys.executable, "-c", program], check=True)
    return checkout


def door(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(checkout / "launch.py"), *arguments],
        env=door_environment(checkout, **environment),
        cwd=checkout.parent,
        capture_output=True,
        text=True,
    )


def door_environment(checkout: Path, **environment: str) -> dict[str, str]:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(checkout.parent / "wheels"), "PIP_CONFIG_FILE": os.devnull}
    return {**os.environ, **offline, **environment}


def builds(checkout: Path) -> int:
    file = checkout / "builds.txt"
    return len(file.read_text().splitlines()) if file.exists() else 0


# --- what it says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*launch.COMMANDS, ""])
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_answer_without_installing(
    name: str, flag: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "environment_for", lambda _: pytest.fail("looked for an environment"))
    assert launch.main([name, flag] if name else [flag]) == 0
    said = capsys.readouterr().out
    if flag == "--version":
        assert said == "what-happens-next 0.1.0\n"
    else:
        assert said.startswith("usage: python launch.py " + name)
        assert len(said.splitlines()) >= 5


def test_help_answers_within_a_second() -> None:
    started = time.monotonic()
    command = [sys.executable, str(launch.ROOT / "launch.py"), "predict", "--help"]
    subprocess.run(command, check=True, capture_output=True)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("name", [name for name, command in launch.COMMANDS.items() if command.module is None])
def test_later_subcommands_say_so_in_one_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main([name, "--anything"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert "comes with later work" in said.err


def test_a_mistyped_subcommand_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert launch.main(["predcit"]) == 2
    assert "Did you mean 'predict'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ("app", [])),
        (["--port", "7861"], ("app", ["--port", "7861"])),
        (["predict", "--json"], ("predict", ["--json"])),
        (["--help"], (None, ["--help"])),
        (["test", "-k", "flow"], ("test", ["-k", "flow"])),
    ],
)
def test_options_alone_belong_to_the_page(arguments: list[str], expected: tuple[str | None, list[str]]) -> None:
    assert launch.split_command(arguments) == expected


def test_an_old_python_hears_which_one_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    with pytest.raises(SystemExit) as left:
        launch.main(["app"])
    assert left.value.code == 1
    assert "Python 3.11 or newer is needed, this is 3.8.18." in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name, command in launch.COMMANDS.items() if command.module])
def test_help_lists_the_options_that_the_subcommand_takes(name: str) -> None:
    """Help is answered by the door, which installs nothing; so its table must not drift from the real parser."""
    command = launch.COMMANDS[name]
    assert command.module is not None
    path = launch.ROOT.joinpath(*command.module.split(".")).with_suffix(".py")
    if not path.exists():
        pytest.skip(f"{path.name} is not written yet")
    text = re.sub(r".*argparse\.SUPPRESS.*", "", path.read_text(encoding="utf-8"))  # what only tests give
    taken = set(re.findall(r"""add_argument\(\s*["'](--[\w-]+)["']""", text))
    if "argparse" in text:
        assert {option.split()[0] for option, _ in command.options} == taken


# --- what the project asks for --------------------------------------------------------------------------------


def test_our_requirements_are_simple_enough_for_the_door() -> None:
    project = launch.read_project()["project"]
    extras = project["optional-dependencies"]
    assert {"gpu", "train", "dev"} <= set(extras)
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
        requirement = Requirement(line)
        assert requirement.marker is None and requirement.url is None, line


def test_constraints_lie_inside_the_ranges_and_cover_them() -> None:
    pins = dict(
        line.split("==")
        for line in (launch.ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    assert not [pin for pin in pins.values() if "+" in pin], "a local label can be found on one machine only"
    for line in launch.requirements_of(launch.read_project(), launch.WORKSHOP):
        requirement = Requirement(line)
        pin = pins[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert requirement.specifier.contains(pin), f"{line} does not allow {pin}"


OPERATORS = st.sampled_from([">=", "<=", "==", "!=", ">", "<"])
VERSIONS = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@given(VERSIONS, st.lists(st.tuples(OPERATORS, VERSIONS), max_size=3))
def test_ranges_mean_what_they_mean_to_pip(version: str, parts: list[tuple[str, str]]) -> None:
    specifier = ",".join(operator + wanted for operator, wanted in parts)
    assert launch.satisfies(version, specifier) == SpecifierSet(specifier).contains(version)


@pytest.mark.parametrize(
    ("version", "specifier", "expected"),
    [
        ("2.13.0+cpu", ">=2.11,<2.14", True),
        ("2.13.0+cpu", "==2.13.0", True),
        ("2.14.0", ">=2.11,<2.14", False),
        ("2.11.0rc1", ">=2.11", False),
        ("6.0.3", "==6.*", True),
        ("6.1", "!=6.0.*", True),
        ("1.4.9", "~=1.4.2", True),
        ("1.5.0", "~=1.4.2", False),
        ("0.0.50", "", True),
    ],
)
def test_labels_pre_releases_and_families(version: str, specifier: str, expected: bool) -> None:
    assert launch.satisfies(version, specifier) is expected


def test_missing_and_outdated_requirements_are_found() -> None:
    assert launch.unmet(["pytest>=1", "no-such-package-here>=1", "pytest>=9999"]) == [
        "no-such-package-here>=1",
        "pytest>=9999",
    ]


# --- the environment ------------------------------------------------------------------------------------------


def test_an_interpreter_that_satisfies_the_project_is_used_and_not_touched(tiny: Path) -> None:
    (tiny / "pyproject.toml").write_text(TINY_PROJECT.format(requirement="pytest>=1"))
    done = door(tiny, "--port", "1")
    assert done.returncode == 7, done.stderr
    assert done.stdout.strip() == "|".join([sys.prefix, str(tiny.parent), "--port", "1"])
    assert done.stderr == ""
    assert not (tiny / ".venv").exists()


def test_no_environment_is_made_on_a_space(tiny: Path) -> None:
    done = door(tiny, SPACE_ID="someone/story")
    assert done.returncode == 1
    assert "this Space lacks bouquet>=1" in done.stderr
    assert not (tiny / ".venv").exists()


def test_environment_is_made_once_and_again_only_when_requirements_change(tiny: Path) -> None:
    first = door(tiny)
    assert first.returncode == 7, first.stderr
    assert first.stdout.split("|")[0] == str(tiny / ".venv")
    assert builds(tiny) == 1
    said = [line for line in first.stderr.splitlines() if not line.startswith("  still making")]  # on a busy machine
    assert len(said) == 2, first.stderr

    again = door(tiny)
    assert (again.returncode, again.stderr) == (7, "")
    assert builds(tiny) == 1

    (tiny / "pyproject.toml").write_text(TINY_PROJECT.format(requirement="bouquet>=2"))
    changed = door(tiny)
    assert changed.returncode == 7, changed.stderr
    assert builds(tiny) == 2
    assert list(tiny.glob(".venv/lib/python3*/site-packages/bouquet-2.0.dist-info"))

    # Cut off before its last act: the next start does it again, and keeps what is there.
    (tiny / ".venv" / "whatnext-base.stamp").unlink()
    assert door(tiny).returncode == 7
    assert builds(tiny) == 3

    # The same folder, as if somebody else had made it: complete, so it is left alone.
    for mark in (tiny / ".venv").glob("whatnext-*"):
        mark.unlink()
    assert door(tiny).returncode == 7
    assert builds(tiny) == 3
    assert not list((tiny / ".venv").glob("whatnext-*"))
    (tiny / ".venv" / "whatnext-made-here").touch()

    (tiny / "pyproject.toml").write_text(TINY_PROJECT.format(requirement="no-such-package-here>=1"))
    failed = door(tiny)
    assert failed.returncode == 1
    assert "installing the requirements failed" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (tiny / ".venv" / "whatnext-base.stamp").exists()


def test_two_starts_at_once_make_one_environment(tiny: Path) -> None:
    starts = [
        subprocess.Popen(
            [sys.executable, str(tiny / "launch.py")],
            env=door_environment(tiny),
            cwd=tiny,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [7, 7], said
    assert builds(tiny) == 1
    assert sum("waiting for it" in errors for _, errors in said) == 1


def test_a_lock_whose_holder_died_holds_nobody_up(tiny: Path) -> None:
    program = (
        f"import sys, time; sys.path.insert(0, {str(tiny)!r}); import launch\n"
        "with launch.setup_lock():\n    print('held', flush=True); time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    started = time.monotonic()
    assert door(tiny).returncode == 7
    assert time.monotonic() - started < 60
