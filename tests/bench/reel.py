"""Cut reels of 12 clips against ffmpeg's own stream copy: `rows()` for `launch.py bench`.

Ours writes captions and chapters as well; ffmpeg only joins. ffmpeg's time includes the start of its process, which
is how anyone would use it; ours runs in the page's process, as it does in the app.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

from app.reel import ReelItem, export_reel
from nsp_core.media import probe_clip, write_clip

CLIPS = 12
BAR = 3.0
ROUNDS = 5


def rows() -> list[dict[str, Any]]:
    """One row for clips of the starter's size, one for clips as long and large as those of big models."""
    with tempfile.TemporaryDirectory(prefix="whatnext-bench-") as folder:
        return [
            _row(Path(folder), "cut reel of 12 clips", width=160, height=96, frames=17, fps=8),
            _row(Path(folder), "cut reel of 12 clips of 5 s at 768x512", width=768, height=512, frames=121, fps=24),
        ]


def _row(folder: Path, what: str, *, width: int, height: int, frames: int, fps: int) -> dict[str, Any]:
    clips = _clips(folder / f"{width}", width, height, frames, fps)
    ours, theirs = folder / "ours.mp4", folder / "theirs.mp4"
    listing = folder / "list.txt"
    listing.write_text("".join(f"file '{clip}'\n" for clip in clips))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0"]
    command += ["-i", str(listing), "-c", "copy", "-movflags", "+faststart", str(theirs)]
    scenes = [ReelItem(clip, f"Scene {number} of the story.") for number, clip in enumerate(clips, 1)]
    value = _best(lambda: export_reel(scenes, ours))
    peer = _best(lambda: subprocess.run(command, check=True, capture_output=True))
    probe = probe_clip(ours)
    whole = probe.frames == CLIPS * frames == probe_clip(theirs).frames and len(probe.captions) == CLIPS
    ratio = value / peer
    return {
        "what": what,
        "value": round(value, 4),
        "unit": "s",
        "peer": "ffmpeg -f concat -c copy",
        "peer_value": round(peer, 4),
        "ratio": round(ratio, 3),
        "bar": BAR,
        "ok": bool(whole and ratio <= BAR),
    }


def _clips(folder: Path, width: int, height: int, frames: int, fps: int) -> list[Path]:
    """One clip with movement and texture, under 12 names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    write_clip(folder / "0.mp4", np.stack([np.roll(texture, 3 * k, axis=1) for k in range(frames)]), fps)
    clips = [folder / f"{index}.mp4" for index in range(CLIPS)]
    for clip in clips[1:]:
        shutil.copyfile(clips[0], clip)
    return clips


def _best(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


if __name__ == "__main__":
    print(json.dumps({"rows": rows()}, indent=1))
