"""Stage split: one pass through a film finds its shots, cuts them into windows, measures each and writes the good ones.

One decoding serves for everything: frames of the clip's size are kept for as long as a window lasts (81 of them, about
50 MB), and when the window ends its measures say whether it is written. A clip written here and one that stage render
makes later (when a threshold was loosened) are the same to the byte: both are picked by `Picker` from the same times.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nsp_core.errors import UnreadableMedia
from nsp_core.media import crop_resize, read_media
from nsp_core.media.write import whole_file
from training.data import measure, quality
from training.data.config import ClipConfig, DataConfig, QualityConfig, SplitConfig
from training.data.encode import place_of, write_yuv_clip
from training.data.engine import Stage
from training.data.film import Film, Look, Scaler
from training.data.place import opened
from training.data.probe import said_of
from training.data.rows import Outcome, Row, digest, hash_of_file
from training.data.shots import FLAGS, Shots, cuts_by_network, small_size, weights_of

VERSION = 1
SLACK = 1e-4
SCALING = "bicubic"  # of the clips


@dataclass
class Picker:
    """Pushed frames -> those on screen at start, start + 1/fps, ...: `count` at most. Slow parts repeat frames."""

    start: float
    fps: int
    count: int
    given: int = 0
    held: Any = None

    def push(self, at: float, frame: Any) -> list[Any]:
        """What is known to be shown now that `frame` comes on screen."""
        picked = []
        while self.held is not None and self.given < self.count and self.start + self.given / self.fps < at - SLACK:
            picked.append(self.held)
            self.given += 1
        self.held = frame
        return picked

    @property
    def full(self) -> bool:
        return self.given >= self.count


@dataclass
class Walk:
    """The frames of one film, in order, become clips. `folder` None: nothing is written."""

    film: Film
    look: Look
    clip: ClipConfig
    quality: QualityConfig
    source: str
    folder: Path | None
    shot: int = 0
    window: int = 0
    found: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        c = self.clip
        self._scale = Scaler(self.film, self.look, c.width, c.height, "yuv420p", crop=True, flags=SCALING)
        self._picker: Picker | None = None
        self._small: list[Any] = []
        self._large: list[Any] = []
        self._last: tuple[Any, Any, Any] | None = None

    def frame(self, at: float, frame: Any, small: Any, cut: bool) -> None:
        if cut:
            self.close(at)
            self.shot, self.window = self.shot + 1, 0
        if self._picker is None:
            self._picker = Picker(at, self.clip.fps, self.clip.frames)
        self._push(at, (frame, small))

    def close(self, at: float) -> None:
        """The shot ends at that second."""
        if self._picker is not None:
            self._push(at, None)
            self._finish(at)
            self._picker = None

    def _push(self, at: float, shown: Any) -> None:
        assert self._picker is not None
        before = self._picker.held
        while True:
            for one in self._picker.push(at, shown):
                self._keep(*one)
            if not self._picker.full:
                return
            end = self._picker.start + self._picker.count / self.clip.fps
            self._finish(end)  # and another window of the same shot begins, on which the same frame is still shown
            self.window += 1
            enough = self.clip.windows and self.window >= self.clip.windows
            self._picker = Picker(math.inf if enough else end, self.clip.fps, self.clip.frames, held=before)

    def _keep(self, frame: Any, small: Any) -> None:
        if self._last is None or self._last[0] is not frame:
            self._last = (frame, self._scale(frame), cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
        self._large.append(self._last[1])
        self._small.append(self._last[2])

    def _finish(self, end: float) -> None:
        small, large = self._small, self._large
        self._small, self._large, self._last = [], [], None
        count = (len(small) - 1) // 8 * 8 + 1 if small else 0
        c = self.clip
        assert self._picker is not None
        if self.window and count < c.least_frames:
            return  # the rest of a long shot
        start = round(self._picker.start, 4)
        id = digest(self.source, start, count, *geometry(c))
        values: dict[str, Any] = {"kind": "video", "shot": self.shot, "window": self.window, "frames": count}
        values |= {"start": start, "end": round(start + count / c.fps, 4), "shot_end": round(end, 4)}
        if count >= c.least_frames:
            plane = large[count // 2].to_ndarray()[: c.height]
            values |= measure.measures_of(small[:count], np.ascontiguousarray(plane), self.quality.black)
            if self.folder is not None and not quality.reason_against(values, c, self.quality):
                path = place_of(self.folder, id, ".mp4")
                if not path.is_file():
                    write_yuv_clip(path, large[:count], c)
        self.found.append(Row(id, "clip", self.source, values))


def walk(film: Film, look: Look, split: SplitConfig, target: Walk) -> list[int]:
    """All frames through shot detection into `target`; the numbers of the frames that begin a shot."""
    width, height = small_size(look.width, look.height, split.width)
    shrink = Scaler(film, look, width, height, "bgr24", crop=False, flags=FLAGS, matrix=False)
    known = cuts_by_network(film.path, split, look.fps) if split.detector == "transnet" else None
    shots = Shots(split, look.fps, known)
    cuts: set[int] = set()
    waiting: deque[tuple[Any, Any]] = deque()
    timed, end = None, 0.0

    def settle(least: int) -> None:
        while len(waiting) > least:
            one, small = waiting.popleft()
            target.frame(one.at, one.frame, small, one.number in cuts)

    for timed in film.frames():
        small = shrink(timed.frame).to_ndarray()
        cuts.update(shots.see(timed.number, small))
        waiting.append((timed, small))
        settle(shots.delay)
        end = timed.at + timed.duration
    if timed is not None:
        cuts.update(shots.end(timed.number))
    settle(0)
    target.close(end)
    return sorted(cuts - {0})


def split_films(rows: Sequence[Row], config: DataConfig, folder: Path) -> list[Outcome]:
    return [split_one(row, config, folder) for row in rows]


def split_one(row: Row, config: DataConfig, folder: Path | None) -> Outcome:
    try:
        with opened(row) as path:
            if row.values["kind"] == "image":
                return Outcome(children=(still(path, row.id, config, folder),))
            with Film(path) as film:
                look = film.look()
                target = Walk(film, look, config.clip, config.quality, row.id, folder)
                cuts = walk(film, look, config.split, target)
                values = {"cuts": cuts, "ends_early": film.failure.strip(" ()")}
    except UnreadableMedia as error:
        return Outcome("dropped", f"it cannot be read: {said_of(error, row)}")
    if not target.found:
        return Outcome("dropped", "there is no frame in it", values)
    return Outcome(values=values, children=tuple(target.found))


def still(path: Path, source: str, config: DataConfig, folder: Path | None) -> Row:
    """A picture as one frame."""
    side = config.clip.image_side
    frame = crop_resize(read_media(path, side=4 * side).frames[0], side, side)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    id = digest(source, side, config.clip.jpeg)
    values: dict[str, Any] = {"kind": "image", "shot": 0, "window": 0, "frames": 1, "start": 0.0, "end": 0.0}
    values |= {"shot_end": 0.0, **measure.measures_of([grey], grey, config.quality.black)}
    if folder is not None and not quality.reason_against(values, config.clip, config.quality):
        write_jpeg(place_of(folder, id, ".jpg"), frame, config.clip.jpeg)
    return Row(id, "clip", source, values)


def write_jpeg(path: Path, frame: Any, jpeg: int) -> None:
    from PIL import Image

    if not path.is_file():
        with whole_file(path) as partial:
            Image.fromarray(frame).save(partial, "JPEG", quality=jpeg, subsampling=0)


def cut_out(film: Film, look: Look, start: float, count: int, clip: ClipConfig) -> Iterator[Any]:
    """The frames of one clip again, from a film that is opened anew."""
    scale = Scaler(film, look, clip.width, clip.height, "yuv420p", crop=True, flags=SCALING)
    picker = Picker(start, clip.fps, count)
    last: tuple[Any, Any] | None = None
    end = start
    for timed in film.frames(start):
        picked = picker.push(timed.at, timed.frame)
        end = timed.at + timed.duration
        for frame in picked:
            if last is None or last[0] is not frame:
                last = (frame, scale(frame))
            yield last[1]
        if picker.full:
            return
    for frame in picker.push(end, None):
        yield scale(frame) if last is None or last[0] is not frame else last[1]


def geometry(c: ClipConfig) -> tuple[Any, ...]:
    return (c.width, c.height, c.fps, c.crf, c.preset)


def stage(config: DataConfig, folder: Path) -> Stage:
    """Raises ConfigError where the detector's weights are missing."""
    c, s = config.clip, config.split
    settings = [vars(s), geometry(c), c.frames, c.least_frames, c.windows, c.image_side, c.jpeg, config.quality.black]
    work: Any = partial(split_films, config=config, folder=folder)
    if s.detector == "transnet":
        from training.data.transnet import before_limits

        work = partial(before_limits, then=work)
        settings.append(hash_of_file(weights_of(s)))
    return Stage(
        "split",
        "source",
        work,
        digest("split", VERSION, settings),
        timeout=config.run.timeout,
        memory=config.run.memory,
    )
