"""Short clips whose every frame says which one it is, with a sound whose place can be found again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from app.reel.render import Clip
from nsp_core.media import HOUSE
from nsp_core.media.write import encoder_options, open_output, to_yuv

WIDTH, HEIGHT, FPS, FRAMES = 128, 96, 12, 30
RATE = HOUSE.audio_rate


def picture(scene: int, number: int) -> NDArray[np.uint8]:
    """A ground of the scene's own, a bar that moves on by two columns a frame."""
    grounds = ((200, 60, 60), (60, 180, 80), (70, 80, 210), (200, 190, 60))
    made = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    made[:] = grounds[scene % len(grounds)]
    made[:, 2 * number : 2 * number + 8] = 240
    return made


def beep(scene: int, frames: int) -> NDArray[np.float32]:
    """Silence, and in the middle of the scene a tone of a tenth of a second, another one in each."""
    samples = np.zeros(frames * RATE // FPS, np.float32)
    at, long = len(samples) // 2, RATE // 10
    samples[at : at + long] = 0.5 * np.sin(2 * np.pi * (600 + 200 * scene) * np.arange(long) / RATE)
    return samples


def make_clip(path: Path, scene: int, frames: int = FRAMES, *, sound: bool = True) -> Path:
    """In the house encoding, unscaled; `sound` with a beep, else silent."""
    with open_output(path, HOUSE) as container:
        stream: Any = container.add_stream(HOUSE.codec, rate=Fraction(FPS), options=encoder_options(HOUSE))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, HOUSE.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, HOUSE.timescale)
        context.color_primaries = context.color_trc = context.colorspace = context.color_range = 1
        context.flags |= 1 << 23
        audio: Any = container.add_stream("aac", rate=RATE, layout="stereo")
        audio.bit_rate = HOUSE.audio_bits
        ticks = HOUSE.ticks(Fraction(FPS))
        for number in range(frames):
            frame = to_yuv(picture(scene, number), HOUSE)
            frame.pts, frame.duration, frame.time_base = number * ticks, ticks, Fraction(1, HOUSE.timescale)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        samples = beep(scene, frames) if sound else np.zeros(frames * RATE // FPS, np.float32)
        for at in range(0, len(samples), 1024):
            block = AudioFrame.from_ndarray(np.tile(samples[at : at + 1024], (2, 1)), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = RATE, at, Fraction(1, RATE)
            container.mux(audio.encode(block))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    words = ["A red bar moves.", "The green one follows; it is slower, and nobody knows why.", "Blue."]
    return [Clip(make_clip(folder / f"{scene}.mp4", scene), text) for scene, text in enumerate(words)]


@pytest.fixture(scope="session")
def silent(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("silent")
    return [Clip(make_clip(folder / f"{n}.mp4", n, sound=False), f"Scene number {n}.") for n in range(3)]


@pytest.fixture
def pieces(tmp_path: Path) -> Path:
    folder = tmp_path / "pieces"
    folder.mkdir()
    return folder


def seen(path: Path) -> list[NDArray[np.uint8]]:
    """Every frame, RGB."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def heard(path: Path) -> NDArray[np.float32]:
    """Mono at 48 kHz, from time 0."""
    samples: NDArray[np.float32] = np.zeros(0, np.float32)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        for frame in container.decode(stream):
            at = round(float(frame.pts * frame.time_base) * RATE)
            for part in resampler.resample(frame):
                block = part.to_ndarray().mean(axis=0)
                if at < 0:
                    block, at = block[-at:], 0
                if len(samples) < at:
                    samples = np.pad(samples, (0, at - len(samples)))
                samples = np.concatenate([samples[:at], block])
                at += len(block)
    return samples


def tones(samples: NDArray[np.float32]) -> list[float]:
    """Where the beeps begin, in seconds."""
    block = 96  # 2 ms
    loud = np.abs(samples[: len(samples) // block * block]).reshape(-1, block).max(axis=1) > 0.1
    found = [at for at in np.flatnonzero(loud) if not loud[max(0, at - 50) : at].any()]
    return [at * block / RATE for at in found]


def nearest(frame: NDArray[np.uint8]) -> tuple[int, int, float]:
    """Which scene and frame a decoded picture is, and how far from it on average."""
    found = min(
        (float(np.abs(frame.astype(int) - picture(scene, number)).mean()), scene, number)
        for scene in range(3)
        for number in range(FRAMES)
    )
    return found[1], found[2], found[0]
