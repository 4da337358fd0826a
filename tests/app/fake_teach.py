"""Stands where `launch.py teach` is: the same files, exit codes and events, and nothing is learnt.

A lesson's name may say how it goes: "slowly" (until it is told to pause), "broken" (a refusal), "dies".
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.locks import borrow_device
from app.settings import STARTER
from nsp_core.checkpoint import fingerprint

STEPS = 12
PAUSED = 75
told_to_end = False


def say(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def write(folder: Path, name: str, value: Any) -> None:
    part = folder / f"{name}.part"
    part.write_text(json.dumps(value), encoding="utf-8")
    part.replace(folder / name)


def tell(folder: Path, **changes: Any) -> None:
    write(folder, "lesson.json", {**read(folder, "lesson.json"), **changes})


def moving(path: Path, colour: int) -> None:
    """A clip that a browser can play."""
    from nsp_core.media.write import write_clip

    frames = np.full((9, 96, 160, 3), colour, np.uint8)
    for at, frame in enumerate(frames):
        frame[30:60, 10 + at * 12 : 40 + at * 12] = (206, 74, 52)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clip(path, frames, 8)


def still(path: Path, colour: int) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (160, 96), (colour, 190, 120)).save(path)


def prepare(source: Path, folder: Path, name: str, model: str) -> int:
    if "broken" in name:
        sys.stderr.write("some chatter\nThere is no clip and no photo in it: put some there.\n")
        return 2
    files = sorted(path for path in source.iterdir() if path.suffix != ".txt")
    rows: list[dict[str, Any]] = []
    for at, path in enumerate(files):
        say("stage", stage="probe", done=at + 1, of=len(files))
        row = {"id": f"c{at}", "source": path.name, "seconds": 2.0, "caption": f"Clip {at}.", "caption_by": "model"}
        row |= {"keep": True, "reason": "", "held_out": at == 0, "next": None}
        if path.stat().st_size < 50:  # nobody can read that
            row |= {"clip": None, "still": None, "keep": False, "reason": "it cannot be read", "caption": ""}
        else:
            row |= {"clip": f"data/c{at}.mp4", "still": f"data/c{at}.jpg"}
            moving(folder / f"data/c{at}.mp4", 60 + 20 * (at % 8))
            still(folder / f"data/c{at}.jpg", 60 + 20 * (at % 8))
        rows.append(row)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "clips.jsonl").write_text(lines + '{"id": "half', encoding="utf-8")
    lesson = {"format": 1, "name": name, "folder": str(source), "model": model, "names": [], "state": "prepared"}
    write(folder, "lesson.json", {**lesson, "message": "", "step": 0, "steps": STEPS, "adapter": None})
    return plan(folder)


def plan(folder: Path) -> int:
    given = read(folder, "corrections.json") if (folder / "corrections.json").is_file() else {}
    left_out = sum(one.get("keep") is False for one in given.values())
    sentences = [f"{left_out} clips are left out by hand.", "It takes about 2 minutes here, and 1 GB of memory."]
    write(folder, "plan.json", {"pairs": 3, "steps": STEPS, "minutes": 2.0, "sentences": sentences})
    return 0


def learn(folder: Path) -> int:
    name, start = read(folder, "lesson.json")["name"], read(folder, "lesson.json")["step"]
    with borrow_device(Path(os.environ["WHATNEXT_DATA"]) / "locks", "cpu", "teaching"):
        tell(folder, state="learning", message="")
        moving(folder / "previews" / "before-c0.mp4", 120)
        for step in range(start + 1, STEPS + 1):
            while "slowly" in name and step > 4 and not told_to_end:
                time.sleep(0.02)
            if "dies" in name and step == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            if told_to_end:
                tell(folder, state="paused")
                return PAUSED
            row = {"step": step, "steps": STEPS, "loss": 1 / (1 + step), "seconds": step * 1.0}
            row |= {"held_out": 1.2 / (1 + step) if step % 4 == 0 else None, "seconds_left": STEPS - step}
            with (folder / "progress.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            tell(folder, step=step)
            say("progress", **row)
            time.sleep(0.05)
        moving(folder / "previews" / "step-6-c0.mp4", 150)
        moving(folder / "previews" / "after-c0.mp4", 200)
        adapter(folder / "adapter", name)
        (folder / "report.html").write_text("<p>before and after</p>")
        tell(folder, state="done", adapter="adapter")
    return 0


def adapter(folder: Path, name: str, base: str | None = None, rank: int = 2) -> None:
    """One that the shipped model loads: layers of one of its blocks."""
    from safetensors import safe_open
    from safetensors.numpy import save_file

    weights = next((STARTER / "transformer").glob("*.safetensors"))
    with safe_open(weights, "np") as opened:
        key = next(k for k in opened.keys() if k.endswith("attn1.to_q.weight"))  # noqa: SIM118
        rows, columns = opened.get_slice(key).get_shape()
    layer, draw = f"transformer.{key.removesuffix('.weight')}", np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {
            f"{layer}.lora_A.weight": draw.normal(0, 0.5, (rank, columns)).astype(np.float32),
            f"{layer}.lora_B.weight": draw.normal(0, 0.5, (rows, rank)).astype(np.float32),
        },
        folder / "pytorch_lora_weights.safetensors",
    )
    facts = {"name": name, "base": fingerprint(STARTER) if base is None else base, "rank": rank, "alpha": rank}
    (folder / "adapter.json").write_text(json.dumps({**facts, "steps": STEPS, "pairs": 3, "format": 1}))


def stop(folder: Path) -> int:
    for name in ("previews", "adapter"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "progress.jsonl").unlink(missing_ok=True)
    tell(folder, state="stopped", step=0, adapter=None)
    return 0


def main() -> int:
    def hear(_number: int, _frame: Any) -> None:
        global told_to_end
        told_to_end = True

    signal.signal(signal.SIGTERM, hear)
    parser = argparse.ArgumentParser()
    parser.add_argument("doing")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--name", default="")
    parser.add_argument("--model", default="")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.doing == "prepare":
        return prepare(given.folder, given.out, given.name, given.model)
    return {"plan": plan, "learn": learn, "stop": stop}[given.doing](given.folder)


if __name__ == "__main__":
    sys.exit(main())
