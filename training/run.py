"""Running stages: from a config and overrides to a run folder, one stage or a whole recipe.

A run folder keeps the resolved config, the exact command and the commit beside every result. Knows nothing of what a
stage does.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError, UserError

CONFIGS = Path(__file__).parent / "configs"
RECIPE = ("teacher", "drawer", "distil", "pt1", "pt2", "pt3", "sft", "grpo")  # in the order in which they are run
STAGES = ("vae", "reader", "generator", *RECIPE, "adapt")


@dataclass(frozen=True)
class How:
    """What the command line says beside the config."""

    overrides: tuple[str, ...] = ()
    resume: str = "latest"  # or never, or a checkpoint's folder
    limit: int | None = None  # steps
    dry_run: bool = False
    out: Path | None = None


def run(stage: str, path: Path, overrides: list[str], how: How) -> int:
    import torch

    from training import config, parallel, table

    cls, start = table.STAGES[stage]
    if how.limit is not None:
        if how.limit < 1:
            raise UserError(f"--limit must be 1 or more, got {how.limit}.")
        steps = min(how.limit, config.load(cls, path, overrides).loop.steps)
        overrides = [*overrides, f"loop.steps={steps}", f"loop.eval_every={steps}"]
    resolved: Any = config.load(cls, path, overrides)
    if how.dry_run:
        print(json.dumps(config.to_dict(resolved), indent=2))  # noqa: T201
        return 0
    torch.set_num_threads(resolved.threads)
    ranks = parallel.ranks()
    if not ranks.main:
        logging.getLogger().setLevel(logging.WARNING)  # one of them tells how it goes
    with ranks.main_first():
        if ranks.main:
            prepare(resolved, how)
    return start(resolved, how.resume != "never")


def prepare(resolved: Any, how: How) -> None:
    """The run folder, and in it what is run."""
    from training import checkpoint

    out: Path = resolved.out
    out.mkdir(parents=True, exist_ok=True)
    if how.resume not in ("latest", "never"):
        checkpoint.adopt(Path(how.resume).expanduser(), out / "checkpoints")
    (out / "run.json").write_text(json.dumps(provenance(resolved), indent=2))


def run_all(folder: Path, how: How) -> int:
    """The stages of `folder` in the recipe's order. Each resumes, so that the same command goes on where it stopped."""
    stages = [s for s in RECIPE if (folder / f"{s}.yaml").is_file()]
    if not stages:
        raise ConfigError(f"{folder} holds none of {', '.join(f'{s}.yaml' for s in RECIPE)}; name a folder that does.")
    if how.resume not in ("latest", "never"):
        raise ConfigError("With `all` --resume is latest or never: a checkpoint belongs to one stage, name that stage.")
    for number, stage in enumerate(stages):
        overrides = placed(how.out, stages, number) + for_stage(list(how.overrides), stage)
        logging.getLogger(__name__).info("stage %s", stage)
        code = run(stage, folder / f"{stage}.yaml", overrides, how)
        if code:
            return code
    return 0


def placed(out: Path | None, stages: list[str], number: int) -> list[str]:
    """Overrides that put a stage below `out` and let it begin where the one before ended."""
    if out is None:
        return []
    stage = stages[number]
    found = [f"out={json.dumps(str(out / stage))}"]
    if stage != "grpo":
        found.append(f"cache={json.dumps(str(out / 'cache'))}")
    if number:
        found.append(f"init={json.dumps(str(out / stages[number - 1]))}")
    return found


def for_stage(overrides: list[str], stage: str) -> list[str]:
    """`sft.loop.steps=9` is for stage sft alone; what has no stage in front is for all."""
    found = []
    for override in overrides:
        first, dot, rest = override.partition(".")
        if dot and first in STAGES:
            found += [rest] if first == stage else []
        else:
            found.append(override)
    return found


def provenance(resolved: Any) -> dict[str, Any]:
    """The resolved config, the exact command and the commit, kept beside every result."""
    from training import config

    return {"config": config.to_dict(resolved), "command": sys.argv, "commit": commit()}


def commit() -> str | None:
    try:
        said = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:  # a bare machine without git
        return None
    return said.stdout.strip() or None
