"""The judges that this checkout declares, for runs from a plain checkout in which the package is not installed.

Knows nothing of any particular judge: it reads the entry points of pyproject.toml.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from nsp_core.judges import GROUP, CausalJudge, get_judge

PYPROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def declared_judges(path: Path = PYPROJECT) -> dict[str, str]:
    """name -> "module:attribute"; nothing where there is no pyproject.toml (the package is installed)."""
    if not path.is_file():
        return {}
    project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    return dict(project.get("entry-points", {}).get(GROUP, {}))


def judge_called(name: str) -> CausalJudge:
    return get_judge(name, declared_judges())
