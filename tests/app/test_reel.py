"""A path of scenes taken home as one film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.reel import ReelItem, export_reel
from nsp_core.errors import UnreadableMedia, UserError
from nsp_core.media import probe_clip, write_clip
from tests.odd_files import quadrants, write_video


def scene(folder: Path, name: str, words: str, frames: int = 17) -> ReelItem:
    write_clip(folder / name, np.stack([np.roll(quadrants(), 2 * k, axis=1) for k in range(frames)]), 8)
    return ReelItem(folder / name, words)


def test_a_path_becomes_one_film_with_captions_and_chapters(tmp_path: Path) -> None:
    words = ["A seed lies in the rain.", "The seed sprouts.\nA green leaf shows. It grows.", "", "x" * 200]
    scenes = [scene(tmp_path, f"{k}.mp4", text) for k, text in enumerate(words)]
    seen: list[tuple[int, int]] = []
    info = export_reel(scenes, tmp_path / "reel.mp4", lambda done, total: seen.append((done, total)), title="Rain")
    assert seen[-1] == (4, 4)
    assert (info.scenes, info.copied, info.reencoded, info.frames, info.seconds) == (4, 4, (), 68, 8.5)
    assert info.starts == (0.0, 2.125, 4.25, 6.375) and info.bytes == (tmp_path / "reel.mp4").stat().st_size
    probe = probe_clip(tmp_path / "reel.mp4")
    assert (probe.frames, probe.seconds, probe.audio_seconds) == (68, 8.5, 8.5)
    assert probe.captions == (
        ("A seed lies in the rain.", 0.0, 2.125),
        ("The seed sprouts. A green leaf shows. It grows.", 2.125, 4.25),
        ("x" * 200, 6.375, 8.5),
    )
    names = [name for name, _, _ in probe.chapters]
    assert names == ["A seed lies in the rain.", "The seed sprouts", "Scene 3", "x" * 79 + "…"]


def test_a_foreign_clip_is_encoded_again_and_said_so(tmp_path: Path) -> None:
    first = scene(tmp_path, "0.mp4", "One.")
    foreign = write_video(tmp_path / "film.mp4", [quadrants(320, 240)] * 24, fps=12)
    info = export_reel([first, ReelItem(foreign, "Two.")], tmp_path / "reel.mp4")
    assert (info.copied, info.reencoded, info.frames) == (1, (1,), 33)


def test_what_cannot_be_exported_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one scene"):
        export_reel([], tmp_path / "reel.mp4")
    with pytest.raises(UnreadableMedia, match="scene 2 is gone"):
        export_reel([scene(tmp_path, "0.mp4", "One."), ReelItem(tmp_path / "x.mp4", "Two.")], tmp_path / "reel.mp4")
    (tmp_path / "bad.mp4").write_text("nothing")
    with pytest.raises(UnreadableMedia):
        export_reel([ReelItem(tmp_path / "bad.mp4", "One.")], tmp_path / "reel.mp4")
    assert not list(tmp_path.glob("reel*"))
