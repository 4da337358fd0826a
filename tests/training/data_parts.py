"""What tests of curation are made of: small films, their config, and somebody to ask."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np

from nsp_core.judges import Verdict
from training.config import build
from training.data.config import DataConfig
from training.evaluate.captioner import Caption

SHOTS = ((200, 40, 40), (40, 180, 60), (50, 60, 210), (220, 200, 60))


def frames_of_shot(shade, count: int, width: int = 96, height: int = 64) -> np.ndarray:
    """(T, H, W, 3): a ground of a colour, in patches that only this colour has, with a square that moves over it."""
    rng = np.random.default_rng(list(shade))
    patches = np.kron(rng.integers(-40, 41, (8, 8)), np.ones((height // 8, width // 8), int))
    patches = patches[..., None] + rng.integers(-8, 9, (height, width, 1))
    ground = np.clip(np.array(shade) + patches, 0, 255).astype(np.uint8)
    made = np.repeat(ground[None], count, 0)
    for number in range(count):
        left = (3 * number) % (width - 20)
        made[number, 20:44, left : left + 20] = 255 - np.array(shade)
    return made


def write_film(path: Path, shots=SHOTS[:3], frames: int = 60, fps: int = 24, width: int = 96, height: int = 64) -> Path:
    """One shot of `frames` frames a colour, one after the other."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "x264-params": "mbtree=0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for shade in shots:
            for frame in frames_of_shot(shade, frames, width, height):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def small_config(folder: Path, **sections) -> DataConfig:
    """Clips of 64x48 and 33 frames, nobody asked, everything in this process."""
    values = {
        "sources": [{"path": str(folder), "licence": "CC0"}],
        "clip": {"width": 64, "height": 48, "frames": 33, "least_frames": 17, "least_width": 64, "least_height": 48}
        | {"image_side": 64, **sections.pop("clip", {})},
        "words": {"captioner": "none", "writer": "none", "judge": "none", **sections.pop("words", {})},
        "run": {"executor": "inline", **sections.pop("run", {})},
    }
    return build(DataConfig, values | sections)


class Somebody:
    """Captions by the colour in the middle; what it writes passes in the round that the caption names."""

    name = "somebody"

    def captions(self, clips):
        found = []
        for frames in clips:
            red, green, blue = (int(v) for v in np.median(frames[0].reshape(-1, 3), axis=0))
            if max(red, green, blue) == green and red < green:
                found.append(Caption(None, "green is not seen"))
            else:
                found.append(Caption("A red square moves." if red > blue else "A blue square moves.", cost_usd=0.25))
        return found

    def precede(self, caption, frames, number):  # noqa: ARG002
        return Caption(f"Round {number}: a square stood still.", cost_usd=0.5)

    def judge(self, preceding, caption, frames):  # noqa: ARG002
        wanted = "Round 1" if re.search(r"\bred\b", caption) else "Round 7"
        outcome = "pass" if preceding.startswith(wanted) else "fail"
        return Verdict(outcome, "as it is", "somebody", "t1", cost_usd=0.125)
