"""Curation, timed: shots, filter and clips against PySceneDetect with OpenCV and one ffmpeg a clip; memory; resume.

The peer is the script that everybody writes: PySceneDetect finds the shots (it decodes with OpenCV), then ffmpeg is
started for every window of 81 frames, gives its grey frames for the filter through a pipe and, in the second row,
writes the clip with the same x264 settings (but for its threads). Detector, windows, measures and thresholds are the
same, and so must be the clips. Both may use every processor: ours runs a worker on each, the peer's libraries start
their own threads.

Films: those in WHATNEXT_TEST_MEDIA that are large enough, else some that are drawn here.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from training.data import measure, probe, quality, render, split
from training.data.config import DataConfig, QualityConfig, RunConfig, SourceConfig, WordsConfig
from training.data.engine import Reply, Stage, run_stage
from training.data.local import Local
from training.data.rows import Outcome, Row, digest, hash_of_file
from training.data.run import Run
from training.data.store import Store

Line = dict[str, Any]
Clip = tuple[str, float, int, str]  # film, start, frames, reason against it
CORES = 2
ROWS = 10_000
SMALL = (160, 96)


def rows(row: Callable[..., Line], quick: bool) -> Iterator[Line]:
    with tempfile.TemporaryDirectory() as scratch:
        films = real_films() or drawn_films(Path(scratch))
        yield from against_peer(row, films, Path(scratch), 1 if quick else 3)
        yield memory_row(row, Path(scratch), 200 if quick else 1000)
        yield resume_row(row, Path(scratch), ROWS)


# -- against PySceneDetect and ffmpeg ---------------------------------------------------------------------------------
def against_peer(row: Callable[..., Line], films: Sequence[Path], scratch: Path, rounds: int) -> Iterator[Line]:
    config = DataConfig((SourceConfig(films[0].parent),))
    sources = [Row(hash_of_file(p)[:16], "source", "", {"path": str(p)}) for p in films]
    executor = Local(CORES)
    try:
        ours(executor, config, sources[:1], None)  # what both import is there before the clock runs
        peers(config, films[:1], None)
        for encodes, bar in ((False, 2.0), (True, 1.3)):
            times: list[tuple[float, float]] = []
            same = True
            for number in range(rounds):
                folders = [scratch / f"{who}{number}" if encodes else None for who in ("ours", "peer")]
                began = time.perf_counter()
                mine = ours(executor, config, sources, folders[0])
                between = time.perf_counter()
                theirs = peers(config, films, folders[1])
                times.append((between - began, time.perf_counter() - between))
                same = same and equal(mine, theirs)
            value, peer = (statistics.median(column) for column in zip(*times, strict=True))
            ratio = statistics.median(theirs_ / mine_ for mine_, theirs_ in times)
            what = "probe, shots and filter" + (", clips of 832x480 written" if encodes else "")
            said = f"{len(films)} films, {len(mine)} clips, {'EQUAL' if same else 'NOT EQUAL'} output"
            yield {
                **row(f"{what}: times faster ({said})", None, "s", bar=bar),
                "value": round(value, 3),
                "peer": "PySceneDetect with OpenCV, then ffmpeg per clip",
                "peer_value": round(peer, 3),
                "ratio": round(ratio, 2),
                "ok": same and ratio >= bar,
            }
    finally:
        executor.close()


def ours(executor: Local, config: DataConfig, sources: Sequence[Row], folder: Path | None) -> list[Clip]:
    names = {row.id: Path(str(row.values["path"])).name for row in sources}
    there = [
        row.with_values(outcome.values)
        for row, outcome, _ in run_stage(executor, probe.stage(config.clip), sources)
        if outcome.status == "ok"
    ]
    look = Stage("split", "source", partial(split.split_films, config=config, folder=folder), "bench")
    found: list[Clip] = []
    clips: list[Row] = []
    for row, outcome, _ in run_stage(executor, look, there):
        clips += [Row(c.id, "clip", row.id, {**c.values, "path": row.values["path"]}) for c in outcome.children]
    kept = []
    for clip, outcome, _ in run_stage(executor, quality.stage(config.clip, config.quality), clips):
        v = clip.values
        found.append((names[clip.parent], float(v["start"]), int(v["frames"]), outcome.reason))
        kept += [clip] if outcome.status == "ok" else []
    if folder is not None:
        written = list(run_stage(executor, render.stage(config, folder), kept))
        assert all(outcome.status == "ok" for _, outcome, _ in written)
    return found


def peers(config: DataConfig, films: Sequence[Path], folder: Path | None) -> list[Clip]:
    """One film after the other, as the script does it."""
    import cv2
    from scenedetect import AdaptiveDetector, SceneManager, open_video

    c, found = config.clip, list[Clip]()
    for path in films:
        capture = cv2.VideoCapture(str(path))
        size = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        capture.release()
        if size[0] < c.least_width or size[1] < c.least_height:
            continue
        manager = SceneManager()
        s = config.split
        least = f"{s.shortest_shot}s"
        manager.add_detector(AdaptiveDetector(s.threshold, least, min_content_val=s.least_change))
        manager.detect_scenes(open_video(str(path)))
        for scene in manager.get_scene_list(start_in_scene=True):
            start, end = scene[0].seconds, scene[1].seconds
            window = 0
            while (count := min(c.frames, int((end - start) * c.fps + 0.999))) > 0:
                kept = (count - 1) // 8 * 8 + 1
                if window and kept < c.least_frames:
                    break
                found.append((path.name, start, kept, checked_by_ffmpeg(path, start, kept, config, folder)))
                start, window = start + c.frames / c.fps, window + 1
    return found


def checked_by_ffmpeg(path: Path, start: float, count: int, config: DataConfig, folder: Path | None) -> str:
    import cv2
    from imageio_ffmpeg import get_ffmpeg_exe

    c = config.clip
    if count < c.least_frames:
        return f"the shot is shorter than {c.least_frames} frames"
    fit = f"fps={c.fps},scale={c.width}:{c.height}:force_original_aspect_ratio=increase,crop={c.width}:{c.height}"
    command = [get_ffmpeg_exe(), "-v", "error", "-nostdin", "-ss", f"{start:.4f}", "-i", str(path)]
    grey = ["-frames:v", str(count), "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"]
    if folder is None:
        command += ["-an", "-vf", fit, *grey]
    else:
        folder.mkdir(parents=True, exist_ok=True)
        command += ["-filter_complex", f"[0:v]{fit},split[a][b]", "-map", "[a]", *grey, "-map", "[b]", "-an"]
        alike = f"keyint={c.frames}:min-keyint={c.frames}:scenecut=0:open-gop=0:bframes=2:b-pyramid=none:mbtree=0"
        command += ["-frames:v", str(count), "-c:v", "libx264", "-preset", c.preset, "-crf", str(c.crf)]
        command += ["-profile:v", "high", "-x264-params", alike]
        command += ["-pix_fmt", "yuv420p", "-y", str(folder / f"{path.stem}-{start:.3f}.mp4")]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(data, np.uint8).reshape(-1, c.height, c.width)
    wide = config.split.width
    small = [cv2.resize(frame, (wide, wide * c.height // c.width)) for frame in frames]
    found = measure.measures_of(small, frames[len(frames) // 2], config.quality.black)
    return quality.reason_against({"kind": "video", "frames": len(frames), **found}, c, config.quality)


def equal(mine: Sequence[Clip], theirs: Sequence[Clip]) -> bool:
    """The same windows of the same films, to half a frame, kept or left out alike."""
    if len(mine) != len(theirs):
        return False
    for a, b in zip(sorted(mine), sorted(theirs), strict=True):
        if a[0] != b[0] or abs(a[1] - b[1]) >= 0.02 or abs(a[2] - b[2]) > 8 or bool(a[3]) != bool(b[3]):
            return False
    return True


def real_films() -> list[Path]:
    named = os.environ.get("WHATNEXT_TEST_MEDIA", "")
    if not named:
        return []
    config = DataConfig((SourceConfig(Path(named)),))
    films = [p for p in sorted(Path(named).iterdir()) if p.suffix in (".mp4", ".webm", ".mov", ".mkv")]
    seen = {p: probe.look_at(Row("", "source", "", {"path": str(p)}), config.clip) for p in films}
    return [p for p, outcome in seen.items() if outcome.status == "ok"]


def drawn_films(folder: Path) -> list[Path]:
    """Three of 24 seconds, 1280x720, five shots each: fields of soft noise that drift."""
    import av
    from PIL import Image

    rng, made = np.random.default_rng(0), []
    for number in range(3):
        path = folder / f"film{number}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=24, options={"preset": "veryfast", "crf": "20"})
            stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
            for _ in range(5):
                coarse = Image.fromarray(rng.integers(0, 256, (45, 100, 3), np.uint8))
                field = np.asarray(coarse.resize((1600, 720), Image.Resampling.BICUBIC))
                grain = rng.integers(0, 30, (720, 1600, 1), np.uint8)
                field = np.clip(field.astype(np.int16) + grain, 0, 255).astype(np.uint8)
                for step in range(115):
                    part = np.ascontiguousarray(field[:, 2 * step : 2 * step + 1280])
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(part, format="rgb24")))
            container.mux(stream.encode(None))
        made.append(path)
    return made


# -- memory -----------------------------------------------------------------------------------------------------------
def memory_row(row: Callable[..., Line], scratch: Path, count: int) -> Line:
    """One worker splits, filters and writes `count` clips; what it holds after a tenth and at the end.

    Small ones, so that a thousand take minutes: what a clip leaves behind is a share of the clip, and of so little
    memory even one frame a clip that stays (46 kB) would be a quarter.
    """
    from tests.training.data_parts import SHOTS, write_film

    film = write_film(scratch / "one" / "film.mp4", SHOTS[:1], 27, 24, *SMALL).read_bytes()
    config = DataConfig((SourceConfig(scratch),), quality=QualityConfig(least_sharpness=0.0))
    config = with_small_clips(config)
    sources = []
    for number in range(count):
        path = scratch / "many" / f"{number}.mp4"
        path.parent.mkdir(exist_ok=True)
        tail = f"{number:08d}".encode()
        path.write_bytes(film + (8 + len(tail)).to_bytes(4, "big") + b"free" + tail)
        sources.append(Row(hash_of_file(path)[:16], "source", "", {"path": str(path), "kind": "video"}))
    executor = Local(1)
    held: list[int] = []
    try:
        stage = Stage("split", "source", partial(split.split_films, config=config, folder=scratch / "clips"), "bench")
        for number, (_, outcome, _) in enumerate(run_stage(executor, stage, sources), 1):
            assert outcome.status == "ok" and len(outcome.children) == 1, outcome
            if number in (count // 10, count):
                held.append(psutil.Process(executor._workers[0]._process.pid).memory_info().rss)
    finally:
        executor.close()
    value = held[1] / held[0]
    made = sum(1 for _ in (scratch / "clips").rglob("*.mp4"))
    size = "x".join(map(str, SMALL))
    what = f"a worker's memory after {count} clips of {size} over that after {count // 10}"
    what = f"{what} ({held[1] / 1e6:.0f} MB, {made} written)"
    return row(what, value, "", bar=1.1, holds=made == count)


def with_small_clips(config: DataConfig) -> DataConfig:
    from dataclasses import replace

    width, height = SMALL
    small = {"width": width, "height": height, "least_width": width, "least_height": height}
    return replace(config, clip=replace(config.clip, frames=17, least_frames=17, **small))


# -- resume -----------------------------------------------------------------------------------------------------------
class Canned:
    """Answers at once, so that only the way from the files and the store to the result is timed."""

    def workers(self, _: Stage) -> list[Any]:
        return [self]

    def send(self, stage: Stage, some: Sequence[Row]) -> None:
        self._reply = Reply(tuple(canned(stage, row) for row in some))

    def wait(self, busy: Sequence[Any], _: float) -> list[tuple[Any, Reply]]:
        return [(one, self._reply) for one in busy]

    def replace(self, worker: Any) -> Any:
        return worker

    def kill(self) -> None: ...

    def close(self) -> None: ...


def canned(stage: Stage, row: Row) -> Outcome:
    if stage.name == "probe":
        return Outcome(values={"kind": "video", "width": 1280, "height": 720, "fps": 24.0, "seconds": 5.0})
    if stage.name == "split":
        prints = [digest(row.id, end) for end in range(3)]
        values = {"kind": "video", "shot": 0, "window": 0, "frames": 81, "start": 0.0, "end": 5.0625, "shot_end": 5.0}
        values |= dict.fromkeys(("still", "black", "flat", "bars", "text"), 0.0) | {"motion": 3.0, "sharpness": 300.0}
        return Outcome(children=(Row(digest("clip", row.id), "clip", row.id, {**values, "prints": prints}),))
    if stage.name == "render":
        return Outcome(values={"file": f"clips/{row.id}.mp4", "bytes": 1, "sha256": row.id})
    if stage.name == "caption":
        return Outcome(values={"caption": f"Clip {row.id}.", "captioned_by": "canned"})
    if stage.name.startswith("precede"):
        return Outcome(values={"preceding": "Something was.", "rounds": 1})
    return Outcome(values={"verdict": "pass"} if stage.name.startswith("verify") else {})


def resume_row(row: Callable[..., Line], scratch: Path, count: int) -> Line:
    folder = scratch / "rows"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.mp4").write_text(str(number))
    config = DataConfig((SourceConfig(folder),), words=WordsConfig(), run=RunConfig())
    took, worked, made = [], [], []
    for _ in range(3):
        began, busy = time.perf_counter(), time.process_time()
        store = Store(scratch / "state.db")
        run = Run(config, scratch, store, Canned(), lambda *_: None, False)
        found = run.all()
        store.close()
        took.append(time.perf_counter() - began)
        worked.append(time.process_time() - busy)
        made.append(found.done_now)
    holds = made[1:] == [0, 0] and len(found.pairs) == count
    what = f"going on with {count} films that are done, every stage looked at"
    return row(f"{what} ({min(worked[1:]):.2f} s of processor time)", min(took[1:]), "s", bar=2.0, holds=holds)
