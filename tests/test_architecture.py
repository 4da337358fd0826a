"""The picture in ARCHITECTURE.md, kept true: arrows, rooms without torch, the top level, sizes, subcommands."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("app", "nsp_core", "training")
MAY_IMPORT = {"nsp_core": {"nsp_core"}, "app": {"app", "nsp_core"}, "training": {"training", "nsp_core"}}

HEAVY = {"torch", "diffusers", "transformers", "accelerate", "bitsandbytes", "peft"}
# The page process and the command line start in seconds because they never load these.
TORCH_FREE_CORE = (
    "nsp_core.types",
    "nsp_core.errors",
    "nsp_core.language",
    "nsp_core.prompts",
    "nsp_core.hardware",
    "nsp_core.tiers",
    "nsp_core.fit",
    "nsp_core.content",
    "nsp_core.weights.cache",
    "nsp_core.weights.fetch",
    "nsp_core.weights.hub",
    "nsp_core.weights.verify",
    "nsp_core.weights.wheel",
    "nsp_core.drift",
    "nsp_core.model.spec",
    "nsp_core.banks.file",
)
# The modules of app that run inside the model's own process.
WORKER_MODULES = {"app.worker", "app.zero"}

TOP_LEVEL = {
    *PACKAGES,
    "assets",
    "tests",
    "launch.py",
    "pyproject.toml",
    "constraints.txt",
    "LICENSE",
    "README.md",
    "ARCHITECTURE.md",
    "DECISIONS.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
}
FORBIDDEN_NAMES = {"util", "utils", "helper", "helpers", "common", "misc"}
MEGABYTE = 1_000_000


@cache
def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name; a package by the name of its folder."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(module: str) -> Iterator[str]:
    """Dotted names that a module imports anywhere in its text, functions included; type checking left out."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    only_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} line {node.lineno}: imports are absolute here"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in modules() else node.module


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).exists()]


def test_arrows_run_one_way() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module in modules()
        for imported in imports_of(module)
        if (room := imported.split(".")[0]) in (*PACKAGES, "tests", "launch")
        and room not in MAY_IMPORT[module.split(".")[0]]
    ]
    assert not wrong, "app -> nsp_core <- training, and nothing else: " + "; ".join(wrong)


def test_no_cycles_inside_a_package() -> None:
    arrows = {module: {name for name in imports_of(module) if name in modules()} for module in modules()}
    finished: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        assert module not in path, "modules import each other: " + " -> ".join([*path[path.index(module) :], module])
        if module not in finished:
            for imported in sorted(arrows[module] - {module}):
                visit(imported, [*path, module])
            finished.add(module)

    for module in arrows:
        visit(module, [])


def test_the_page_process_never_names_torch() -> None:
    light = [m for m in modules() if m in TORCH_FREE_CORE or (m.startswith("app") and m not in WORKER_MODULES)]
    wrong = [f"{m} imports {name}" for m in light for name in imports_of(m) if name.split(".")[0] in HEAVY]
    assert not wrong, "; ".join(wrong)


def test_the_page_process_never_loads_torch() -> None:
    """Importing every module of the page, in a fresh interpreter, brings torch in by no detour either."""
    light = [m for m in modules() if m in TORCH_FREE_CORE or (m.startswith("app") and m not in WORKER_MODULES)]
    light = [m for m in light if "migrations" not in m]  # Alembic runs those in an environment of its own
    program = (
        "import importlib, json, sys\n"
        f"for name in {light!r}: importlib.import_module(name)\n"
        f"print(json.dumps(sorted(set(sys.modules) & {HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_top_level_holds_only_what_is_planned() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in tracked_files()}
    unplanned = {entry for entry in entries if not entry.startswith(".")} - TOP_LEVEL
    assert not unplanned, f"new at the top level: {sorted(unplanned)}; put it in a room or plan it in ARCHITECTURE.md"


def test_no_module_is_called_utils() -> None:
    names = {path for path in modules().values() if FORBIDDEN_NAMES & set(path.relative_to(ROOT).with_suffix("").parts)}
    assert not names, f"name these for what they do: {sorted(map(str, names))}"


def test_the_tracked_tree_stays_small() -> None:
    sizes = {path: path.stat().st_size for path in tracked_files()}
    assets = sum(size for path, size in sizes.items() if path.is_relative_to(ROOT / "assets"))
    assert assets <= 32 * MEGABYTE, f"assets hold {assets / MEGABYTE:.1f} MB"
    total = sum(sizes.values())
    assert total <= 37 * MEGABYTE, f"the tree holds {total / MEGABYTE:.1f} MB"


def test_the_door_parses_on_an_old_python() -> None:
    ast.parse((ROOT / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 8))


def test_subcommands_are_the_ones_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (?:`([\w.]+)`|later) \|", text, re.MULTILINE)
    assert rows == [(name, command.module or "") for name, command in launch.COMMANDS.items()]


def test_each_module_says_what_it_is() -> None:
    silent = [
        name
        for name, path in modules().items()
        if path.name != "__init__.py"
        and "versions" not in path.parts
        and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent, f"no module docstring: {silent}"
