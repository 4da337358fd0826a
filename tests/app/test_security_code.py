"""What our own code never does, read from its text: load pickles, run remote code, open foreign apps, fork."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path for room in ("app", "nsp_core") for path in (ROOT / room).rglob("*.py"))
# calls by their dotted name, and why not
FORBIDDEN = {
    "torch.load": "weights are safetensors",
    "pickle.load": "no pickle is read",
    "pickle.loads": "no pickle is read",
    "gr.load": "no foreign apps",
    "os.fork": "a process with torch in it is never forked",
    "os.system": "no shell",
    "eval": "no code from text",
    "exec": "no code from text",
}
ONLY_IN = {"fcntl": {"locks.py"}, "resource": {"process_limits.py"}}


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def test_nothing_dangerous_is_called() -> None:
    wrong = []
    for path in MODULES:
        for name, call in calls(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(ROOT)} line {call.lineno}: {name}"
            if name in FORBIDDEN:
                wrong.append(f"{where} ({FORBIDDEN[name]})")
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            for keyword in ("trust_remote_code", "allow_pickle", "shell"):
                value = given.get(keyword)
                if value is not None and not (isinstance(value, ast.Constant) and value.value is False):
                    wrong.append(f"{where} with {keyword}")
            if name in ("np.load", "numpy.load") and "allow_pickle" not in given:
                wrong.append(f"{where} does not say that no pickle is read")
    assert not wrong, wrong


def test_what_only_some_systems_have_stays_in_one_file() -> None:
    wrong = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                wrong += [f"{path.name}: {name}" for name in names if path.name not in ONLY_IN.get(name, {path.name})]
    assert not wrong, wrong
