"""Films of twelve clips of five seconds: copied, dissolved, in another shape, against ffmpeg's stream copy and MoviePy.

`rows()` is `launch.py bench reel`. Each film is made in a process of its own, which says how long it took without
starting and importing, and the most memory it ever held. ffmpeg's time has its start in it, as anyone would use it.
A ratio is ours divided by the peer's: 0.05 is twenty times faster. MoviePy is used in its plain way: open the clips,
concatenate, write.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]
CLIPS, FRAMES, FPS, WIDTH, HEIGHT = 12, 120, 24, 768, 512
COPY, CONTINUOUS, MOVIEPY, DISSOLVE = 3.0, 4.0, 1 / 20, 1 / 6
SMALL_MB, LARGE_MB, GROWTH = 200.0, 450.0, 1.10
PAGE_SCENES, PAGE_SECONDS = 100, 10.0


def rows(*, quick: bool = False) -> Iterator[Row]:
    """`quick`: three clips of one second, to show that everything runs."""
    count, frames = (3, FPS) if quick else (CLIPS, FRAMES)
    with tempfile.TemporaryDirectory(prefix="whatnext-film-") as name:
        folder = Path(name)
        clips(folder, count, frames)
        best = 1 if quick else 3
        ffmpeg = min(task("ffmpeg", folder)["seconds"] for _ in range(best))
        copied = [task("copy", folder) for _ in range(best)]
        sound = [task("sound", folder) for _ in range(best)]
        what = f"{count} clips, {count * frames / FPS:.0f} s at {WIDTH}x{HEIGHT}"
        copy = min(one["seconds"] for one in copied)
        yield compared(f"film by cuts, {what}", copy, "ffmpeg -f concat -c copy", ffmpeg, COPY)
        continuous = min(one["seconds"] for one in sound)
        yield compared(f"cut inside scenes, one sound track, {what}", continuous, "ffmpeg -c copy", ffmpeg, CONTINUOUS)
        plain = task("moviepy", folder)
        yield compared(f"film by cuts, {what}", copy, "moviepy, concatenated", plain["seconds"], MOVIEPY)
        dissolved = task("dissolve", folder)
        crossed = task("moviepy-dissolve", folder)
        yield compared(
            f"film by dissolves, {what}", dissolved["seconds"], "moviepy, CrossFadeIn", crossed["seconds"], DISSOLVE
        )
        again = task("dissolve", folder, keep=True)
        yield compared(
            f"the same dissolves once more, {what}", again["seconds"], "the first time", dissolved["seconds"], 0.5
        )
        yield most("most memory, copied", copied[0]["peak_mb"], SMALL_MB)
        yield most("most memory, dissolved", dissolved["peak_mb"], SMALL_MB)
        yield most("most memory, full at 1080p", task("full", folder)["peak_mb"], LARGE_MB)
        minutes = 2 if quick else 10
        long = folder / "long"
        long.mkdir()
        for number in range(count * minutes):
            (long / f"{number:04}.mp4").symlink_to(folder / f"{number % count:04}.mp4")
        for kind, one in (("copy", copied[0]), ("dissolve", dissolved)):
            peak = task(kind, long)["peak_mb"]
            yield compared(
                f"most memory, {kind}, {minutes} times as long", peak, "once", one["peak_mb"], GROWTH, unit="MB"
            )
        yield {
            **most(f"page of {PAGE_SCENES} scenes to play", task("page", folder)["seconds"], PAGE_SECONDS),
            "unit": "s",
        }


def clips(folder: Path, count: int, frames: int) -> None:
    """Movement, texture and a tone, all different, in the house encoding."""
    rng = np.random.default_rng(0)
    for number in range(min(count, 4)):
        texture = rng.integers(0, 255, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        write_sounding(folder / f"{number:04}.mp4", texture, frames)
    for number in range(4, count):
        shutil.copyfile(folder / f"{number % 4:04}.mp4", folder / f"{number:04}.mp4")


def write_sounding(path: Path, texture: Any, frames: int) -> None:
    from av.audio.frame import AudioFrame

    from nsp_core.media import HOUSE
    from nsp_core.media.write import encoder_options, open_output, to_yuv

    rate = HOUSE.audio_rate
    with open_output(path, HOUSE) as container:
        stream: Any = container.add_stream(HOUSE.codec, rate=Fraction(FPS), options=encoder_options(HOUSE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, HOUSE.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, HOUSE.timescale)
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        context.flags |= 1 << 23
        audio: Any = container.add_stream("aac", rate=rate, layout="stereo")
        audio.bit_rate = HOUSE.audio_bits
        ticks = HOUSE.ticks(Fraction(FPS))
        for number in range(frames):
            frame = to_yuv(np.roll(texture, 3 * number, axis=1), HOUSE)
            frame.pts, frame.duration, frame.time_base = number * ticks, ticks, Fraction(1, HOUSE.timescale)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        samples = (0.3 * np.sin(np.arange(frames * rate // FPS) * 0.03)).astype(np.float32)
        for at in range(0, len(samples), 1024):
            block = AudioFrame.from_ndarray(np.tile(samples[at : at + 1024], (2, 1)), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = rate, at, Fraction(1, rate)
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))


def task(name: str, folder: Path, *, keep: bool = False) -> dict[str, float]:
    """{"seconds", "peak_mb"} of one film in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.film", name, str(folder), *(["--keep"] if keep else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def compared(what: str, value: float, peer: str, peer_value: float, bar: float, *, unit: str = "s") -> Row:
    ratio = value / peer_value
    return {
        "what": what, "value": round(value, 4), "unit": unit, "peer": peer, "peer_value": round(peer_value, 4),
        "ratio": round(ratio, 4), "bar": round(bar, 4), "ok": bool(ratio <= bar),
    }  # fmt: skip


def most(what: str, value: float, bar: float) -> Row:
    empty = {"peer": None, "peer_value": None, "ratio": None}
    return {"what": what, "value": round(value, 3), "unit": "MB", **empty, "bar": bar, "ok": bool(value <= bar)}


# what the processes do ------------------------------------------------------------------------------------------------


def ours(change: Callable[[Any], Any]) -> Callable[[Path, list[Path], bool], float]:
    def make(folder: Path, files: list[Path], keep: bool) -> float:
        from app.reel.plan import plan_for
        from app.reel.render import Clip, render

        pieces = folder / "pieces"
        if not keep:
            shutil.rmtree(pieces, ignore_errors=True)
        pieces.mkdir(exist_ok=True)
        plan = change(plan_for([str(number) for number in range(len(files))]))
        given = [Clip(file, f"Scene {number} of it.") for number, file in enumerate(files)][: len(plan.shots)]
        began = time.perf_counter()
        made = render(plan, given, folder / "ours.mp4", pieces=pieces, title="Bench")
        took = time.perf_counter() - began
        from nsp_core.media import probe_clip

        assert probe_clip(made.path).frames == made.frames
        return took

    return make


def dissolved(plan: Any) -> Any:
    return replace(plan, shots=tuple(replace(shot, join="dissolve") for shot in plan.shots))


def shortened(plan: Any) -> Any:
    """Half a second less of each: whole groups of pictures, so that nothing is encoded but the sound."""
    return replace(plan, shots=tuple(replace(shot, start=0.5) for shot in plan.shots))


def full(plan: Any) -> Any:
    from app.reel.plan import Output

    return replace(plan, shots=plan.shots[:2], output=Output(size="1080p", shape="16:9"))


def ffmpeg(folder: Path, files: list[Path], _keep: bool) -> float:
    import imageio_ffmpeg

    listing = folder / "list.txt"
    listing.write_text("".join(f"file '{file}'\n" for file in files))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0"]
    command += ["-i", str(listing), "-c", "copy", "-movflags", "+faststart", str(folder / "theirs.mp4")]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def moviepy(folder: Path, files: list[Path], _keep: bool) -> float:
    from moviepy import VideoFileClip, concatenate_videoclips

    began = time.perf_counter()
    opened = [VideoFileClip(str(file)) for file in files]
    concatenate_videoclips(opened).write_videofile(str(folder / "theirs.mp4"), logger=None)
    return time.perf_counter() - began


def moviepy_dissolve(folder: Path, files: list[Path], _keep: bool) -> float:
    from moviepy import CompositeVideoClip, VideoFileClip, vfx

    began = time.perf_counter()
    at, layers = 0.0, []
    for number, file in enumerate(files):
        clip = VideoFileClip(str(file)).with_start(at)
        layers.append(clip.with_effects([vfx.CrossFadeIn(0.5)]) if number else clip)
        at += clip.duration - 0.5
    CompositeVideoClip(layers).write_videofile(str(folder / "theirs.mp4"), logger=None)
    return time.perf_counter() - began


def page(folder: Path, files: list[Path], _keep: bool) -> float:
    """The story as one HTML page, of a hundred scenes with these clips."""
    from app.player import write_page
    from app.settings import Settings
    from app.store import open_store
    from app.store.takes import NewTake

    store = open_store(Settings(data_dir=folder / "data"))
    stories = store.stories(store.local_owner())
    scene = stories.begin_scene(stories.create_story("Bench").id, "It begins.")
    story = scene.story_id
    for number in range(PAGE_SCENES):
        data = files[number % len(files)].read_bytes() + number.to_bytes(4, "big")
        clip = store.media.put_bytes(data, "mp4")
        stories.add_take(scene.id, NewTake("drawn", WIDTH, HEIGHT, FRAMES, FPS, {"clip": clip}))
        if number + 1 < PAGE_SCENES:
            scene = stories.add_scene(scene.id, f"Scene {number}.")
    began = time.perf_counter()
    write_page(store, store.local_owner(), story, folder / f"page-{time.time_ns()}.html")
    took = time.perf_counter() - began
    store.close()
    return took


TASKS: dict[str, Callable[[Path, list[Path], bool], float]] = {
    "copy": ours(lambda plan: plan),
    "sound": ours(shortened),
    "dissolve": ours(dissolved),
    "full": ours(full),
    "ffmpeg": ffmpeg,
    "moviepy": moviepy,
    "moviepy-dissolve": moviepy_dissolve,
    "page": page,
}


def main() -> int:
    import psutil

    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    files = sorted(given.folder.glob("[0-9]*.mp4"))
    seconds = TASKS[given.task](given.folder, files, given.keep)
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1 << 20)
    except ImportError:
        peak = psutil.Process().memory_info().peak_wset / (1 << 20)
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
