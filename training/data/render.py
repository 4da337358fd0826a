"""Stage render: each kept clip is there as a file of its size. Most were written while the film was split; the others
(a threshold was loosened since, or a file was lost) are cut out of their film once more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nsp_core.errors import UnreadableMedia
from nsp_core.media import crop_resize, read_media
from training.data.config import ClipConfig, DataConfig
from training.data.encode import place_of, write_yuv_clip
from training.data.engine import Stage
from training.data.film import Film
from training.data.place import opened
from training.data.probe import said_of
from training.data.rows import Outcome, Row, digest, hash_of_file
from training.data.split import VERSION, cut_out, geometry, write_jpeg


def render(rows: Sequence[Row], config: ClipConfig, folder: Path) -> list[Outcome]:
    return [render_one(row, config, folder) for row in rows]


def render_one(row: Row, config: ClipConfig, folder: Path) -> Outcome:
    """The row's path is that of its source."""
    image = row.values["kind"] == "image"
    path = place_of(folder, row.id, ".jpg" if image else ".mp4")
    if not path.is_file():
        try:
            with opened(row) as source:
                if image:
                    frame = read_media(source, side=4 * config.image_side).frames[0]
                    write_jpeg(path, crop_resize(frame, config.image_side, config.image_side), config.jpeg)
                else:
                    with Film(source) as film:
                        start, count = float(row.values["start"]), int(row.values["frames"])
                        frames = list(cut_out(film, film.look(), start, count, config))
                    if len(frames) != count:
                        raise UnreadableMedia(f"only {len(frames)} of {count} frames could be read again")
                    write_yuv_clip(path, frames, config)
        except UnreadableMedia as error:
            return Outcome("dropped", f"it cannot be read: {said_of(error, row)}")
    size = path.stat().st_size
    return Outcome(values={"file": path.relative_to(folder).as_posix(), "bytes": size, "sha256": hash_of_file(path)})


def stage(config: DataConfig, folder: Path) -> Stage:
    return Stage(
        "render",
        "clip",
        partial(render, config=config.clip, folder=folder),
        digest("render", VERSION, geometry(config.clip), config.clip.image_side, config.clip.jpeg),
        timeout=config.run.timeout,
        memory=config.run.memory,
    )
