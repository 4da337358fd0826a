"""Paints stretches of a timeline: pictures of clips, mixed, faded, with burned words, and cards. One picture at a time.

Knows nothing of files that are written; what it paints of the same request is always the same, so that a piece can be
kept under the name of its request (`key_of`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from app.reel.cues import Cue
from app.reel.frames import Planes, Reader, Window, black, focus_of, laid_over, mixed, whole_window
from app.reel.lettering import caption_overlay, card_pictures
from app.reel.master import Master, Source
from app.reel.plan import CaptionLook, Fit
from app.reel.timeline import Run, Stretch

_RISE = 0.25  # seconds in which words of the look "story" show themselves


class Painter:
    """`cues` are burned in; none when captions are soft or off."""

    def __init__(self, master: Master, fit: Fit, cues: Sequence[Cue] = (), look: CaptionLook = "plain") -> None:
        self.master = master
        self.fit = fit
        self.cues = tuple(cues)
        self.look: CaptionLook = look
        self._windows: dict[str, Window] = {}
        # a caption is on many pictures in a row, and soon another one is
        self._overlay = lru_cache(maxsize=2)(caption_overlay)

    def pictures(self, stretches: Sequence[Stretch]) -> Iterator[Planes]:
        for stretch in stretches:
            for number, picture in enumerate(self._plain(stretch), stretch.at):
                yield self._lettered(picture, number)

    def key_of(self, stretches: Sequence[Stretch]) -> str:
        """The same for what is painted alike, wherever in the film."""
        facts = [self.master.key, self.fit, [self._facts(stretch) for stretch in stretches]]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:40]

    def _facts(self, stretch: Stretch) -> list[Any]:
        burned = [
            [cue.text, cue.first - stretch.at, cue.last - stretch.at, self.look]
            for cue in self.cues
            if cue.first < stretch.at + stretch.frames and cue.last > stretch.at
        ]
        runs = [
            None if run is None else [run.source.key, run.start, run.length, run.first]
            for run in (stretch.run, stretch.under)
        ]
        card = None if stretch.card is None else asdict(stretch.card)
        return [stretch.effect, stretch.frames, stretch.step, stretch.of, runs, card, burned]

    def _plain(self, stretch: Stretch) -> Iterator[Planes]:
        if stretch.card is not None:
            yield from card_pictures(stretch.card, self.master, stretch.step, stretch.frames)
            return
        assert stretch.run is not None
        dark = black(self.master.width, self.master.height)
        with ExitStack() as stack:
            over = stack.enter_context(_Shown(self._reader(stretch.run.source), stretch.run))
            under = None
            if stretch.under is not None:
                under = stack.enter_context(_Shown(self._reader(stretch.under.source), stretch.under))
            for at in range(stretch.frames):
                picture = over.picture(at)
                share = (stretch.step + at + 1) / (stretch.of + 1)
                if stretch.effect == "fade_in":
                    picture = mixed(dark, picture, share)
                elif stretch.effect == "fade_out":
                    picture = mixed(picture, dark, share)
                elif under is not None:
                    picture = mixed(under.picture(at), picture, share)
                yield picture

    def _reader(self, source: Source) -> Reader:
        master = self.master
        window = self._windows.get(source.key)
        if window is None:
            window = self._windows[source.key] = self._window(source)
        return Reader(source.path, source.format.fps, master.fps, master.width, master.height, window)

    def _window(self, source: Source) -> Window:
        width, height = source.format.width, source.format.height
        to_width, to_height = self.master.width, self.master.height
        focus = 0.5
        if self.fit == "crop" and width * to_height != to_width * height:
            across = width * to_height > to_width * height
            kept = height * to_width / to_height / width if across else width * to_height / to_width / height
            focus = focus_of(source.path, across=across, kept=kept)
        return whole_window(width, height, to_width, to_height, crop=self.fit == "crop", focus=focus)

    def _lettered(self, picture: Planes, number: int) -> Planes:
        for cue in self.cues:
            if cue.first <= number < cue.last:
                overlay = self._overlay(cue.text, self.look, self.master.width, self.master.height)
                opacity = 1.0
                if self.look == "story":
                    shown = min(number - cue.first + 1, cue.last - number) / float(self.master.fps)
                    opacity = min(1.0, shown / _RISE)
                return laid_over(picture, self.master.height, overlay, opacity)
        return picture


class _Shown:
    """The pictures of a run."""

    def __init__(self, reader: Reader, run: Run) -> None:
        self.reader, self.run = reader, run

    def __enter__(self) -> _Shown:
        return self

    def __exit__(self, *_error: object) -> None:
        self.reader.close()

    def picture(self, at: int) -> Planes:
        return self.reader.picture(self.run.start + min(self.run.first + at, self.run.length - 1))
