"""Films of twelve clips of five seconds: copied, dissolved, in another shape, against ffmpeg's stream copy and MoviePy.

`rows()` is `launch.py bench reel`. Each film is made in a process of its own, which says how long it took without
starting and importing, and the most memory it ever held. ffmpeg's time has its start in it, as anyone would use it.
A ratio is ours divided by the peer's: 0.05 is twenty times faster. MoviePy is used in its plain way: open the clips,
concatenate, write.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
Row = dict[str, Any]
Spent = tuple[float, float]  # seconds on the clock, and of processors: on a busy machine only these can be compared
Task = Callable[[Path, list[Path], bool], Spent]
CLIPS, FRAMES, FPS, WIDTH, HEIGHT = 12, 120, 24, 768, 512
COPY, CONTINUOUS, MOVIEPY, DISSOLVE = 3.0, 4.0, 1 / 20, 1 / 6
SMALL_MB, LARGE_MB, GROWTH = 200.0, 450.0, 1.10
PAGE_SCENES, PAGE_SECONDS = 100, 10.0


PARTS = ("cuts", "dissolves", "full", "long", "page")
LIMIT = 900  # seconds for one film; a row whose film takes longer is missing, and the others go on


def rows(*, quick: bool = False, parts: Sequence[str] = PARTS) -> Iterator[Row]:
    """`quick`: three clips of one second, to show that everything runs. `parts`: of PARTS."""
    count, frames = (3, FPS) if quick else (CLIPS, FRAMES)
    with tempfile.TemporaryDirectory(prefix="whatnext-film-") as name:
        bench = _Bench(Path(name), f"{count} clips, {count * frames / FPS:.0f} s at {WIDTH}x{HEIGHT}", quick)
        clips(bench.folder, count, frames)
        measures = {"cuts": cuts, "dissolves": dissolves, "full": full_size, "long": long_films, "page": pages}
        for part in PARTS:
            if part in parts:
                yield from measures[part](bench)


class _Bench:
    """Each film is made once, or as often as is asked for; what was measured serves every row that needs it."""

    def __init__(self, folder: Path, what: str, quick: bool) -> None:
        self.folder, self.what, self.quick = folder, what, quick
        self._done: dict[str, list[dict[str, float]]] = {}

    def runs(self, name: str, times: int = 1) -> list[dict[str, float]]:
        done = self._done.setdefault(name, [])
        while len(done) < times:
            done.append(task(name, self.folder))
        return done

    def best(self, name: str, times: int = 1, *, of: str = "seconds") -> float:
        return min(one[of] for one in self.runs(name, times))


def cuts(bench: _Bench) -> Iterator[Row]:
    times = 1 if bench.quick else 3
    with _missing(f"film by cuts, {bench.what}", COPY) as lost:
        for turn in range(times):  # one after the other, so that all see the same machine
            for name in ("ffmpeg", "copy", "sound"):
                bench.runs(name, turn + 1)
        copy, sound, theirs = bench.best("copy"), bench.best("sound"), bench.best("ffmpeg")
        yield compared(f"film by cuts, {bench.what}", copy, "ffmpeg -f concat -c copy", theirs, COPY)
        what = f"cut inside scenes, one sound track, {bench.what}"
        yield compared(what, sound, "ffmpeg -c copy", theirs, CONTINUOUS)
        theirs = bench.best("ffmpeg", of="work")
        for name, said, bar in (("copy", f"film by cuts, {bench.what}", COPY), ("sound", what, CONTINUOUS)):
            yield compared(f"{said}, processor time", bench.best(name, of="work"), "ffmpeg -c copy", theirs, bar)
        yield most("most memory, copied", bench.runs("copy")[0]["peak_mb"], SMALL_MB)
    yield from lost
    with _missing(f"film by cuts against moviepy, {bench.what}", MOVIEPY) as lost:
        theirs = bench.best("moviepy")
        yield compared(f"film by cuts, {bench.what}", bench.best("copy"), "moviepy, concatenated", theirs, MOVIEPY)
    yield from lost


def dissolves(bench: _Bench) -> Iterator[Row]:
    with _missing(f"film by dissolves, {bench.what}", DISSOLVE) as lost:
        first = bench.runs("dissolve")[0]
        again = task("dissolve", bench.folder, keep=True)
        what = f"the same dissolves once more, {bench.what}"
        yield compared(what, again["seconds"], "the first time", first["seconds"], 0.5)
        yield most("most memory, dissolved", first["peak_mb"], SMALL_MB)
        theirs = bench.best("moviepy-dissolve")
        what = f"film by dissolves, {bench.what}"
        yield compared(what, first["seconds"], "moviepy, CrossFadeIn", theirs, DISSOLVE)
    yield from lost


def full_size(bench: _Bench) -> Iterator[Row]:
    with _missing("most memory, full at 1080p", LARGE_MB, "MB") as lost:
        yield most("most memory, full at 1080p", bench.runs("full")[0]["peak_mb"], LARGE_MB)
    yield from lost


def long_films(bench: _Bench) -> Iterator[Row]:
    times = 2 if bench.quick else 10
    files = sorted(bench.folder.glob("[0-9]*.mp4"))
    long = bench.folder / "long"
    long.mkdir()
    for number in range(len(files) * times):
        (long / f"{number:04}.mp4").symlink_to(files[number % len(files)])
    for kind in ("copy", "dissolve"):
        what = f"most memory, {kind}, {times} times as long"
        with _missing(what, GROWTH, "MB") as lost:
            peak, once = task(kind, long)["peak_mb"], bench.runs(kind)[0]["peak_mb"]
            yield compared(what, peak, "once", once, GROWTH, unit="MB")
        yield from lost


def pages(bench: _Bench) -> Iterator[Row]:
    what = f"page of {PAGE_SCENES} scenes to play"
    with _missing(what, PAGE_SECONDS) as lost:
        yield {**most(what, bench.best("page"), PAGE_SECONDS), "unit": "s"}
    yield from lost


@contextmanager
def _missing(what: str, bar: float, unit: str = "s") -> Iterator[list[Row]]:
    """Gives what is to be yielded afterwards: nothing, or the row that says why there is no figure."""
    lost: list[Row] = []
    try:
        yield lost
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        reason = f"longer than {LIMIT} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        lost.append({**most(f"{what} (could not be measured: {reason})", 0.0, bar), "unit": unit, "value": None})
        lost[0]["ok"] = False


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
    """{"seconds", "work", "peak_mb"} of one film in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.film", name, str(folder), *(["--keep"] if keep else [])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT)
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


def clock() -> Spent:
    own, others = time.process_time(), os.times()
    return time.perf_counter(), own + others.children_user + others.children_system


def since(began: Spent) -> Spent:
    now = clock()
    return now[0] - began[0], now[1] - began[1]


def ours(change: Callable[[Any], Any]) -> Task:
    def make(folder: Path, files: list[Path], keep: bool) -> Spent:
        from app.reel.plan import plan_for
        from app.reel.render import Clip, render

        pieces = folder / "pieces"
        if not keep:
            shutil.rmtree(pieces, ignore_errors=True)
        pieces.mkdir(exist_ok=True)
        plan = change(plan_for([str(number) for number in range(len(files))]))
        given = [Clip(file, f"Scene {number} of it.") for number, file in enumerate(files)][: len(plan.shots)]
        began = clock()
        made = render(plan, given, folder / "ours.mp4", pieces=pieces, title="Bench")
        took = since(began)
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


def ffmpeg(folder: Path, files: list[Path], _keep: bool) -> Spent:
    import imageio_ffmpeg

    listing = folder / "list.txt"
    listing.write_text("".join(f"file '{file}'\n" for file in files))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-f", "concat", "-safe", "0"]
    command += ["-i", str(listing), "-c", "copy", "-movflags", "+faststart", str(folder / "theirs.mp4")]
    began = clock()
    subprocess.run(command, check=True, capture_output=True)
    return since(began)


def moviepy(folder: Path, files: list[Path], _keep: bool) -> Spent:
    from moviepy import VideoFileClip, concatenate_videoclips

    began = clock()
    opened = [VideoFileClip(str(file)) for file in files]
    concatenate_videoclips(opened).write_videofile(str(folder / "theirs.mp4"), logger=None)
    return since(began)


def moviepy_dissolve(folder: Path, files: list[Path], _keep: bool) -> Spent:
    from moviepy import CompositeVideoClip, VideoFileClip, vfx

    began = clock()
    at, layers = 0.0, []
    for number, file in enumerate(files):
        clip = VideoFileClip(str(file)).with_start(at)
        layers.append(clip.with_effects([vfx.CrossFadeIn(0.5)]) if number else clip)
        at += clip.duration - 0.5
    CompositeVideoClip(layers).write_videofile(str(folder / "theirs.mp4"), logger=None)
    return since(began)


def page(folder: Path, files: list[Path], _keep: bool) -> Spent:
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
    began = clock()
    write_page(store, store.local_owner(), story, folder / f"page-{time.time_ns()}.html")
    took = since(began)
    store.close()
    return took


TASKS: dict[str, Task] = {
    "copy": ours(lambda plan: plan),
    "sound": ours(shortened),
    "dissolve": ours(dissolved),
    "full": ours(full),
    "ffmpeg": ffmpeg,
    "moviepy": moviepy,
    "moviepy-dissolve": moviepy_dissolve,
    "page": page,
}


def peak_mb() -> float:
    """The most memory that this program held. On Linux getrusage's figure would be at least that of the program that
    started this one, which a new program inherits."""
    with suppress(FileNotFoundError):
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / (1 << 20)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--keep", action="store_true")
    given = parser.parse_args()
    files = sorted(given.folder.glob("[0-9]*.mp4"))
    seconds, work = TASKS[given.task](given.folder, files, given.keep)
    print(json.dumps({"seconds": seconds, "work": work, "peak_mb": peak_mb()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
