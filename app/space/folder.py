"""Writes the folder of a Space: the program, its requirements, a file that starts it and a README with front matter.

    python launch.py space DIR && hf upload OWNER/NAME DIR --repo-type space

Only what the page needs goes along: no training, no tests. Three kinds: "cpu" draws with the starter; "gpu" has a card
of its own, fetches the weights of a tier at its start and has a worker as at home; "zero" borrows a card for each job
(ZeroGPU), which only wants torch in the versions that it knows. Knows nothing of a running page.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from app.settings import ROOT
from nsp_core.errors import UserError

Kind = Literal["cpu", "gpu", "zero"]
KINDS: tuple[Kind, ...] = get_args(Kind)
START = "space.py"  # not app.py: beside it lies the package of that name
PYTHON = "3.12"
SDK = "gradio"
ZERO_TORCH = "2.11"  # the newest line that ZeroGPU runs, and the oldest that we do
SUGGESTED = {"cpu": "cpu-basic", "gpu": "l4x1", "zero": "zero-a10g"}
NAME = "What happens next?"
SHORT = "Tell a story scene by scene and watch what follows"  # at most 60 letters
PARTS = ("app", "nsp_core", "assets/starter", "assets/examples", "assets/fonts", "assets/desktop",
         "launch.py", "pyproject.toml", "constraints.txt", "LICENSE")  # fmt: skip
LOOSE = ("pydantic",)  # a Space installs gradio[oauth,mcp], and that wants an older one than we have tested
_LFS = ("*.safetensors", "*.woff2", "*.png", "*.jpg", "*.webp", "*.mp4", "*.ico")
_PLAIN = re.compile(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?(.*)")


@dataclass(frozen=True)
class Choice:
    """`tier`: of nsp_core.tiers, for "gpu"; "" takes what fits. `keep`: see app.space.snapshots."""

    kind: Kind = "cpu"
    title: str = NAME
    tier: str = ""
    keep: str = ""


@dataclass(frozen=True)
class Written:
    folder: Path
    files: int
    bytes: int


def write_folder(choice: Choice, folder: Path) -> Written:
    """Into `folder`, which must not be there or be empty. Raises UserError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already and not empty: name a new folder.")
    for name in sources():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    texts = {
        "README.md": readme(choice),
        "requirements.txt": requirements(choice.kind),
        "packages.txt": "espeak-ng\n",
        START: start(choice),
        ".gitattributes": "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in _LFS),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    files = [path for path in folder.rglob("*") if path.is_file()]
    return Written(folder, len(files), sum(path.stat().st_size for path in files))


def sources() -> Iterator[str]:
    """What git knows or does not ignore of the parts that go along; without git, what lies there and no run made."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PARTS]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        yield from (name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
        return
    for part in PARTS:
        root = ROOT / part
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


def readme(choice: Choice) -> str:
    front: dict[str, Any] = {
        "title": " ".join(choice.title.split()) or NAME,
        "emoji": "📖",
        "colorFrom": "yellow",
        "colorTo": "indigo",
        "sdk": SDK,
        "sdk_version": pins()["gradio"],
        "python_version": PYTHON,
        "app_file": START,
        "short_description": SHORT,
        "suggested_hardware": SUGGESTED[choice.kind],
        "startup_duration_timeout": "1h",
        "hf_oauth": True,
        "hf_oauth_expiration_minutes": 480,
        "pinned": False,
        "license": "apache-2.0",
        "models": list(models_of(choice)),
        "tags": ["what-happens-next", "video-generation", "storytelling", "next-scene-prediction"],
    }
    if not front["models"]:
        del front["models"]
    return f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n{_TEXT[choice.kind]}{_BOTH}"


def models_of(choice: Choice) -> tuple[str, ...]:
    """Repositories whose weights are fetched at the start. Raises UserError for a tier that there is not."""
    if not choice.tier:
        return ()
    from nsp_core.tiers import tier_called

    if choice.kind != "gpu":
        raise UserError("--tier goes with --kind gpu: the other kinds draw with the starter, which comes along.")
    return tuple(model.repo for model in tier_called(choice.tier).models)


def pins() -> dict[str, str]:
    """What was tested together, from constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==", 1) for line in lines if "==" in line and not line.startswith("#"))


def requirements(kind: Kind) -> str:
    """The base requirements and the filter's, each at the version that was tested where the SDK lets it be. Gradio is
    the SDK's affair, and ZeroGPU brings `spaces`. For "zero" torch is the line that it knows, for "cpu" the build
    without CUDA."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["safety"]]
    found, tested = [], pins()
    for line in wanted:
        match = _PLAIN.fullmatch(line)
        assert match is not None, line
        name, extras, given = match[1], match[2] or "", match[3]
        if name == "gradio":
            continue
        if name == "torch" and kind == "zero":
            found.append(f"torch~={ZERO_TORCH}.0")
        else:
            version = None if name in LOOSE else tested.get(name.lower())
            found.append(f"{name}{extras}=={version}" if version else f"{name}{extras}{given}")
    if kind == "cpu":
        found.insert(0, "--extra-index-url https://download.pytorch.org/whl/cpu")
        found = [f"{line}+cpu" if line.startswith("torch==") else line for line in found]
    return "\n".join(found) + "\n"


def start(choice: Choice) -> str:
    zero = (
        "import spaces  # noqa: F401  before torch, which it makes believe in a card\n\n"
        if choice.kind == "zero"
        else ""
    )
    return (
        f'"""Starts the story room on this Space; written by `python launch.py space`."""\n\n{zero}'
        "from app.space.start import open_space\n\n"
        f"open_space(kind={choice.kind!r}, tier={choice.tier!r}, keep={choice.keep!r})\n"
    )


_TEXT: dict[Kind, str] = {
    "cpu": "The story room with its starter model, on a processor: a scene takes about half a minute.\n",
    "gpu": "The story room with a big model on a card of its own; its weights are fetched at the first start.\n",
    "zero": (
        "The story room with its starter model on ZeroGPU: every scene borrows a graphics card for some seconds of "
        "your daily share. What is being drawn is lost when the Space restarts or the share ends; stories and finished "
        "takes stay.\n"
    ),
}
_BOTH = """
Whoever comes is a guest until they log in with their Hugging Face account; nobody sees another's stories. What a guest
tells is erased two hours after they leave. Uploads and what is drawn pass a content filter, uploads are read by a
process of their own with limits, and there are limits on how much one visitor may ask for.

Settings (*Settings -> Variables and secrets*): `WHATNEXT_KEEP`, where stories outlive a restart (the path of a mounted
bucket, or OWNER/NAME of a private dataset, which needs the secret `HF_TOKEN`); without it they last as long as this
Space runs. `WHATNEXT_FILTER=off` goes without the filter.
"""
