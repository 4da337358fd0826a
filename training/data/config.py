"""Every number of curation, in one strict YAML (see training/config.py). Defaults are the paper's where it gives them.

arXiv 2512.13015, data: clips of at most 5 s at 16 frames a second (81 frames), at least 832x480 and brought to that
size, images as one frame of 512x512, up to three rounds of writing and checking the scene before. What quality means
in numbers is ours. Knows nothing of stages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nsp_core.content import THRESHOLD
from nsp_core.errors import ConfigError


@dataclass(frozen=True)
class SourceConfig:
    path: Path  # a folder, a .tar of WebDataset, a .csv, .jsonl or .parquet
    licence: str = "unknown"  # of rows that do not name their own
    name: str = ""  # "": the path's


@dataclass(frozen=True)
class SplitConfig:
    detector: Literal["adaptive", "content", "transnet", "none"] = "adaptive"  # of PySceneDetect, or TransNetV2
    threshold: float = 3.0  # content: 27; transnet: below 1, and 1 or more counts as its own 0.5
    least_change: float = 15.0
    shortest_shot: float = 0.6  # seconds
    width: int = 256  # pixels of the frames that are compared
    model: Path | None = None  # transnet: its weights for PyTorch; None: those of `launch.py data weights`


@dataclass(frozen=True)
class ClipConfig:
    width: int = 832
    height: int = 480
    fps: int = 16
    frames: int = 81
    least_frames: int = 33  # what is shorter is left out; lengths are 8k+1, as the autoencoders ask for
    least_width: int = 832  # of the source
    least_height: int = 480
    windows: int = 0  # of one shot; 0: all
    image_side: int = 512
    crf: int = 17
    preset: str = "veryfast"
    jpeg: int = 95

    def __post_init__(self) -> None:
        if self.frames % 8 != 1 or self.least_frames % 8 != 1 or not 1 <= self.least_frames <= self.frames:
            raise ConfigError(
                f"clip.frames and clip.least_frames are 8k+1, the second not above the first; got {self.frames} and "
                f"{self.least_frames}: choose, for example, 81 and 33."
            )
        if self.width % 2 or self.height % 2 or min(self.width, self.height, self.fps, self.image_side) < 1:
            raise ConfigError("clip.width and clip.height are even numbers above 0, fps and image_side above 0.")


@dataclass(frozen=True)
class QualityConfig:
    """Brightness and differences are of 8-bit grey values, on frames of split.width pixels."""

    least_motion: float = 0.5  # mean difference of neighbouring frames at clip.fps
    most_motion: float = 40.0  # above it nothing can be followed
    most_still: float = 0.5  # share of frames that repeat the one before
    most_black: float = 0.2  # share of frames darker than `black`
    black: float = 18.0
    most_flat: float = 0.5  # share of frames in which nothing is seen (a card of one colour)
    most_text: float = 0.06  # share of the picture that looks like lines of letters
    most_bars: float = 0.3  # share of the picture that is black bars at its edges
    least_sharpness: float = 20.0  # variance of the Laplacian of the middle frame, at the clip's size
    duplicate_bits: int = 6  # of 64 in which two pictures may differ and count as the same; -1: look for none
    banned_words: tuple[str, ...] = ()  # a caption with one of these drops its clip
    content: Literal["none", "frames"] = "none"  # frames: a classifier looks at some of each clip; what it lets through
    content_threshold: float = THRESHOLD  # was never tested. Of the highest frame, 0 to 1; one at it is left out

    def __post_init__(self) -> None:
        if not 0.0 < self.content_threshold <= 1.0:
            raise ConfigError(
                f"quality.content_threshold is above 0 and at most 1, got {self.content_threshold:g}: choose 0.8, "
                "and quality.content=none to go without the filter."
            )


@dataclass(frozen=True)
class WordsConfig:
    """Who is asked: none, starter, claude, server, MODULE:NAME; as captioner also the folder of a big model."""

    captioner: str = "starter"
    writer: str = "starter"
    judge: str = "starter"
    rounds: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= 9:
            raise ConfigError(f"words.rounds is from 1 to 9, got {self.rounds}.")


@dataclass(frozen=True)
class PairConfig:
    shots: bool = True  # consecutive shots of one film are pairs, too
    most_gap: float = 6.0  # seconds of film between the two that neither shows
    judge_shots: bool = False  # ask the judge about these, too; those that fail are left out
    same_shot: bool = False  # two windows of one shot: a continuation rather than a next scene


@dataclass(frozen=True)
class PackConfig:
    held_out: float = 0.02  # share of the films that is kept apart, with everything from them
    shard_bytes: int = 500_000_000
    uncaptioned: bool = False  # pack clips without a caption, too


@dataclass(frozen=True)
class LatentConfig:
    model: Path | None = None  # whose autoencoder; None: no latents are made


@dataclass(frozen=True)
class RunConfig:
    workers: int = 0  # 0: as many as there are processors
    timeout: float = 300.0  # seconds for one row in one stage
    memory: int = 4_000_000_000  # bytes that a worker which decodes may take; 0: no limit
    executor: Literal["local", "inline", "ray"] = "local"
    address: str = ""  # of a Ray cluster; "": a local one
    part: str = ""  # "3/16": only the films of this sixteenth, so that machines can share the work


@dataclass(frozen=True)
class DataConfig:
    sources: tuple[SourceConfig, ...]
    split: SplitConfig = field(default_factory=SplitConfig)
    clip: ClipConfig = field(default_factory=ClipConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)
    words: WordsConfig = field(default_factory=WordsConfig)
    pair: PairConfig = field(default_factory=PairConfig)
    pack: PackConfig = field(default_factory=PackConfig)
    latents: LatentConfig = field(default_factory=LatentConfig)
    run: RunConfig = field(default_factory=RunConfig)
