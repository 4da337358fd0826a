"""`python launch.py eval vbench`: a model's videos of VBench's prompts, scored by VBench in an environment of its own.

VBench (arXiv 2311.17982, https://github.com/Vchitect/VBench) needs other versions of torch and transformers than this
project, so none of it is imported or copied here: its prompts are read from where it is installed, the videos are
written as it wants them (`PROMPT-INDEX.mp4`), and its own class is called in a process of that environment. The scores
are VBench's raw ones for each dimension; its script `scripts/cal_final_score.py` makes totals of them.

The prompts say what is to be seen, so they are drawn as text to video: no scene before, no thinking. Knows nothing of
the command line.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nsp_core.errors import ModelUnavailable, UserError
from nsp_core.media import write_clip
from nsp_core.types import NextScene, Predictor, SamplingOptions, SceneRequest, StoryContext

log = logging.getLogger(__name__)

SETTING = "WHATNEXT_VBENCH_PYTHON"
HOW = (
    f"VBench runs in an environment of its own: make one (python3.10 -m venv vbench-env; vbench-env/bin/pip install "
    f"vbench; its README says what else some dimensions need), then set {SETTING}=vbench-env/bin/python and give the "
    "same command again."
)
SAMPLES = 5  # videos of a prompt in VBench's standard mode
NAME = "whatnext"
_WHERE = "import importlib.util as u; s = u.find_spec('vbench'); print(s.origin if s else '')"
_EVALUATE = """\
import sys
import torch
from vbench import VBench
info, videos, out, name, device, *dimensions = sys.argv[1:]
VBench(torch.device(device), info, out).evaluate(videos_path=videos, name=name, dimension_list=dimensions)
"""


@dataclass(frozen=True)
class Prompt:
    """`row`: as it stands in VBench's file, or made of a line of text."""

    text: str
    dimensions: tuple[str, ...]
    row: dict[str, Any]


def python_of(given: Path | None) -> Path | None:
    """The python of VBench's environment; None when none is set. Raises UserError when there is none at that place."""
    text = str(given or os.environ.get(SETTING, "").strip())
    if not text or text == ".":
        return None
    path = Path(text).expanduser().absolute()  # not resolved: a venv's python is a link
    if not os.access(path, os.X_OK) or path.is_dir():
        raise UserError(f"{path} is no python that can be run. {HOW}")
    return path


def installed_prompts(python: Path) -> Path:
    """VBench's own list where it is installed. Raises UserError."""
    done = subprocess.run([python, "-c", _WHERE], capture_output=True, text=True, check=False)
    origin = done.stdout.strip()
    path = Path(origin).parent / "VBench_full_info.json"
    if done.returncode or not origin or not path.is_file():
        raise UserError(f"{python} has no VBench with its list of prompts. {HOW}")
    return path


def read_prompts(path: Path) -> list[Prompt]:
    """Of VBench's JSON file. Raises UserError for another one."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = [Prompt(str(row["prompt_en"]), tuple(row["dimension"]), dict(row)) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no list of VBench's prompts ({error!r}): give its VBench_full_info.json."
        ) from error
    for one in found:
        if not one.text.strip() or "/" in one.text or "\0" in one.text:
            raise UserError(f"{path} has the prompt {one.text!r}, which cannot be the name of a video.")
    if not found:
        raise UserError(f"{path} has no prompts.")
    return found


def chosen(prompts: Sequence[Prompt], dimensions: Sequence[str], count: int | None) -> list[Prompt]:
    """Those that the dimensions need (none named: all), `count` of them at most. Raises UserError."""
    known = {name for one in prompts for name in one.dimensions}
    for name in dimensions:
        if name not in known:
            raise UserError(f"There is no dimension '{name}'; the prompts have {', '.join(sorted(known))}.")
    found = [one for one in prompts if not dimensions or set(dimensions) & set(one.dimensions)]
    if count is not None and count < 1:
        raise UserError(f"--n must be 1 or more, got {count}.")
    return found[:count]


def write_videos(
    predictor: Predictor, prompts: Sequence[Prompt], folder: Path, samples: int, options: SamplingOptions
) -> Path:
    """folder/videos/PROMPT-INDEX.mp4; those that are there are kept. Raises UserError for a folder of another model."""
    if samples < 1:
        raise UserError(f"--samples must be 1 or more, got {samples}.")
    videos, about = folder / "videos", folder / "model.json"
    videos.mkdir(parents=True, exist_ok=True)
    said = json.dumps({"checkpoint": predictor.fingerprint, "seed": options.seed, "steps": options.steps})
    if about.exists() and about.read_text(encoding="utf-8") != said:
        raise UserError(f"{folder} has videos of another model, seed or number of steps: give --out a new folder.")
    about.write_text(said, encoding="utf-8")
    for number, prompt in enumerate(prompts):
        for index in range(samples):
            path = videos / f"{prompt.text}-{index}.mp4"
            if path.exists():
                continue
            drawn = replace(options, seed=noise_of(options.seed, prompt.text, index), preview_every=0)
            *_, scene = predictor.act(SceneRequest(StoryContext(), prompt.text, "cut", drawn))
            assert isinstance(scene, NextScene)
            write_clip(path, scene.frames, scene.fps)
        log.info("%d of %d prompts drawn", number + 1, len(prompts))
    return videos


def noise_of(seed: int, prompt: str, index: int) -> int:
    """The same for a video whichever others are drawn with it."""
    return int.from_bytes(hashlib.sha256(f"{seed} {index} {prompt}".encode()).digest()[:4], "big")


def evaluate(
    python: Path, prompts: Sequence[Prompt], videos: Path, dimensions: Sequence[str], device: str
) -> dict[str, float]:
    """VBench's score for each dimension. Raises ModelUnavailable with the end of what it said when it fails."""
    out = videos.parent / "scores"
    out.mkdir(exist_ok=True)
    info = out / "prompts.json"  # only what was drawn: VBench warns of every video that it misses
    info.write_text(json.dumps([one.row for one in prompts]), encoding="utf-8")
    results = out / f"{NAME}_eval_results.json"
    results.unlink(missing_ok=True)  # an old one is no answer
    command = [python, "-c", _EVALUATE, info, videos, out, NAME, device, *dimensions]
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    (out / "log.txt").write_text(done.stdout, encoding="utf-8")
    if done.returncode or not results.is_file():
        last = (done.stdout.strip().splitlines() or ["it said nothing"])[-1]
        raise ModelUnavailable(f"VBench did not finish ({last[:200]}); all that it said is in {out / 'log.txt'}.")
    found = json.loads(results.read_text(encoding="utf-8"))
    missing = [name for name in dimensions if name not in found]
    if missing:
        raise ModelUnavailable(f"VBench gave no score for {', '.join(missing)}; see {out / 'log.txt'}.")
    return {name: float(found[name][0]) for name in dimensions}
