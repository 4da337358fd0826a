"""Odd and broken files, made on the fly: what people really drop on a page.

Run as a module it fills a folder: `python -m tests.odd_files FOLDER`. Every readable file shows QUADRANTS (red, green
over blue, yellow), so that turning, colours and scaling can be checked by looking at four points.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

WIDTH, HEIGHT = 160, 96
RED, GREEN, BLUE, YELLOW = (220, 40, 40), (40, 180, 60), (40, 60, 200), (230, 210, 50)
QUADRANTS = (RED, GREEN, BLUE, YELLOW)  # top left, top right, bottom left, bottom right


@dataclass(frozen=True)
class OddFile:
    path: Path
    readable: bool
    kind: str  # "picture", "clip" or "broken"


def quadrants(width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = RED
    picture[: height // 2, width // 2 :] = GREEN
    picture[height // 2 :, : width // 2] = BLUE
    picture[height // 2 :, width // 2 :] = YELLOW
    return picture


def corner_colours(frame: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """The colours in the middles of the four quarters."""
    rows, columns = frame.shape[:2]
    return [
        tuple(int(v) for v in frame[int(rows * y), int(columns * x)])
        for y, x in ((0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75))
    ]


def write_video(
    path: Path,
    frames: list[NDArray[Any]],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str = "mp4",
    times: list[int] | None = None,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    source_format: str = "rgb24",
    matrix: str = "ITU709",
    tags: tuple[int, int, int] = (1, 1, 1),
    rotation: float | None = None,
    sound: bool = False,
    fps: int = 12,
) -> Path:
    """One video of any kind; `times` are milliseconds, for rates that vary."""
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=fps, options=codec_options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        context.color_range = 1
        context.time_base = Fraction(1, 1000)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        voice: Any = out.add_stream("aac", rate=48000, layout="stereo") if sound else None
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format=source_format)
            if not pixel_format.startswith(("rgb", "bgr", "gbr", "argb")):
                picture = picture.reformat(
                    format=pixel_format, dst_colorspace=matrix, src_color_range="JPEG", dst_color_range="MPEG"
                )
                picture.color_primaries, picture.color_trc, picture.colorspace = tags
                picture.color_range = 1
            picture.pts = times[index] if times else index * 1000 // fps
            picture.time_base = Fraction(1, 1000)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
        if voice is not None:
            for position in range(0, len(frames) * 48000 // fps, 1024):
                block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
                block.sample_rate, block.pts, block.time_base = 48000, position, Fraction(1, 48000)
                out.mux(voice.encode(block))
            out.mux(voice.encode(None))
    return path


def _still_frames(count: int = 12, width: int = WIDTH, height: int = HEIGHT) -> list[NDArray[np.uint8]]:
    return [quadrants(width, height)] * count


def _rotated(path: Path) -> None:
    write_video(path, [np.rot90(quadrants(), 1).copy()] * 12, rotation=-90)  # filmed with the phone upright


def _vfr(path: Path) -> None:
    """Ten grey steps whose times vary from 20 to 500 ms."""
    write_video(path, [np.full((HEIGHT, WIDTH, 3), 20 * k + 20, np.uint8) for k in range(10)], times=VFR_TIMES)


VFR_TIMES = [0, 20, 40, 540, 560, 600, 1000, 1500, 1520, 1800]


def _hdr(transfer: int, name: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write_video(
            path,
            [hdr_patches(transfer)] * 4,
            codec="libx265",
            pixel_format="yuv420p10le",
            source_format="rgb48le",
            matrix="BT2020",
            tags=(9, transfer, 9),
            codec_options={
                "preset": "ultrafast",
                "x265-params": f"log-level=none:colorprim=bt2020:transfer={name}:colormatrix=bt2020nc:lossless=1",
            },
        )

    return make


def hdr_patches(transfer: int) -> NDArray[np.uint16]:
    """Greys of 0, 26, 203 (paper white) and 1000 nits as PQ, or the signals 0, 0.3, 0.75 and 1 as HLG."""
    signals = (0.0, 0.375, 0.5807, 0.7518) if transfer == 16 else (0.0, 0.3, 0.75, 1.0)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    for index, signal in enumerate(signals):
        picture[
            (index // 2) * HEIGHT // 2 : (index // 2 + 1) * HEIGHT // 2,
            (index % 2) * WIDTH // 2 : (index % 2 + 1) * WIDTH // 2,
        ] = round(signal * 65535)
    return picture


def _exif_turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise to show
    Image.fromarray(np.rot90(quadrants(), 1).copy()).save(path, "JPEG", quality=95, exif=exif)


def _gray16(path: Path) -> None:
    ramp = np.linspace(0, 65535, WIDTH).astype(np.uint16)
    Image.fromarray(np.tile(ramp, (HEIGHT, 1))).save(path, "PNG")


def _rgb16(path: Path) -> None:
    wide = quadrants().astype(np.uint16) * 257
    write_png16(path, wide)


def write_png16(path: Path, picture: NDArray[np.uint16]) -> None:
    rows, columns = picture.shape[:2]
    lines = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in picture)
    path.write_bytes(_png(columns, rows, 16, 2, lines))


def _png(width: int, height: int, depth: int, colour: int, lines: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def _cmyk(path: Path) -> None:
    Image.fromarray(quadrants()).convert("CMYK").save(path, "JPEG", quality=95)


def _heic(path: Path) -> None:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.fromarray(quadrants()).save(path, "HEIF", quality=95)


def _alpha(path: Path) -> None:
    picture = np.dstack([quadrants(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[HEIGHT // 2 :, :, 3] = 0  # the lower half is transparent: white
    Image.fromarray(picture).save(path, "PNG")


def _palette(path: Path) -> None:
    image = Image.fromarray(quadrants()).quantize(8)
    image.save(path, "PNG", transparency=image.getpixel((0, 0)))  # red is transparent


def _animated(kind: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        frames = [np.roll(quadrants(), 4 * k, axis=1) for k in range(6)]
        images = [Image.fromarray(frame) for frame in frames]
        extra: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {}
        images[0].save(path, kind, save_all=True, append_images=images[1:], duration=250, loop=0, **extra)

    return make


def _no_duration(path: Path) -> None:
    fast = {"deadline": "realtime", "cpu-used": "8"}
    write_video(path, _still_frames(), codec="libvpx-vp9", container="webm", options={"live": "1"}, codec_options=fast)


def _alpha_video(path: Path) -> None:
    picture = np.dstack([quadrants(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    picture[HEIGHT // 2 :, :, 3] = 0
    write_video(path, [picture] * 4, codec="qtrle", pixel_format="argb", container="mov", source_format="rgba")


def _truncated_jpeg(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "JPEG", quality=95)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _cut(path: Path, share: float, options: dict[str, str]) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(24)]
    write_video(path, noise, options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _zeroed_webm(path: Path) -> None:
    """Opens, but no frame decodes: the coded pictures are overwritten."""
    _no_duration(path)
    data = bytearray(path.read_bytes())
    start = data.find(b"\x1f\x43\xb6\x75")  # the first cluster
    data[start + 24 :] = b"\x55" * (len(data) - start - 24)
    path.write_bytes(data)


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as out:
        voice: Any = out.add_stream("aac", rate=48000, layout="stereo")
        for position in range(0, 24000, 1024):
            block = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = 48000, position, Fraction(1, 48000)
            out.mux(voice.encode(block))
        out.mux(voice.encode(None))


def _png_file(path: Path) -> None:
    Image.fromarray(quadrants()).save(path, "PNG")


def _video_file(path: Path) -> None:
    write_video(path, _still_frames(), sound=True)


# name -> (readable, kind, maker)
MAKERS: dict[str, tuple[bool, str, Callable[[Path], Any]]] = {
    "rotated.mp4": (True, "clip", _rotated),
    "varying_rate.mp4": (True, "clip", _vfr),
    "hdr10.mp4": (True, "clip", _hdr(16, "smpte2084")),
    "hlg.mp4": (True, "clip", _hdr(18, "arib-std-b67")),
    "yuv444.mp4": (True, "clip", lambda path: write_video(path, _still_frames(), pixel_format="yuv444p")),
    "odd_size.mp4": (
        True,
        "clip",
        lambda path: write_video(path, _still_frames(4, 161, 97), pixel_format="yuv444p"),
    ),
    "one_frame.mp4": (True, "clip", lambda path: write_video(path, _still_frames(1))),
    "fragmented.mp4": (
        True,
        "clip",
        lambda path: write_video(path, _still_frames(), options={"movflags": "frag_keyframe+empty_moov"}),
    ),
    "no_duration.webm": (True, "clip", _no_duration),
    "alpha.mov": (True, "clip", _alpha_video),
    "old.avi": (
        True,
        "clip",
        lambda path: write_video(
            path, _still_frames(), codec="mpeg4", container="avi", tags=(2, 2, 2), matrix="ITU601"
        ),
    ),
    "turned.jpg": (True, "picture", _exif_turned),
    "gray16.png": (True, "picture", _gray16),
    "rgb16.png": (True, "picture", _rgb16),
    "cmyk.jpg": (True, "picture", _cmyk),
    "phone.heic": (True, "picture", _heic),
    "modern.avif": (True, "picture", lambda path: Image.fromarray(quadrants()).save(path, "AVIF", quality=95)),
    "alpha.png": (True, "picture", _alpha),
    "palette.png": (True, "picture", _palette),
    "odd profile.jpg": (
        True,
        "picture",
        lambda path: Image.fromarray(quadrants()).save(path, "JPEG", quality=95, icc_profile=b"not a profile"),
    ),
    "odd camera data.jpg": (
        True,
        "picture",
        lambda path: Image.fromarray(quadrants()).save(
            path, "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x05\x00\x12\x01\x63\xff\xff\xff\xff"
        ),
    ),
    "animated.gif": (True, "clip", _animated("GIF")),
    "animated.webp": (True, "clip", _animated("WEBP")),
    "animated.png": (True, "clip", _animated("PNG")),
    "picture named.mp4": (True, "picture", _png_file),
    "film named.jpg": (True, "clip", _video_file),
    "a:b %03d ü.mp4": (True, "clip", _video_file),
    "empty.mp4": (False, "broken", lambda path: path.write_bytes(b"")),
    "empty.png": (False, "broken", lambda path: path.write_bytes(b"")),
    "truncated.jpg": (False, "broken", _truncated_jpeg),
    "truncated.mp4": (False, "broken", lambda path: _cut(path, 0.7, {})),
    "truncated_early.mp4": (False, "broken", lambda path: _cut(path, 0.3, {"movflags": "faststart"})),
    "no_picture_decodes.webm": (False, "broken", _zeroed_webm),
    "sound_only.mp4": (False, "broken", _sound_only),
    "text.mp4": (False, "broken", lambda path: path.write_text("Once upon a time.\n" * 20)),
    "playlist.mp4": (
        False,
        "broken",
        lambda path: path.write_text("#EXTM3U\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"),
    ),
    "concat.mp4": (False, "broken", lambda path: path.write_text("ffconcat version 1.0\nfile /etc/hostname\n")),
    "drawing.png": (False, "broken", lambda path: path.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')),
    "noise.webm": (False, "broken", lambda path: path.write_bytes(np.random.default_rng(2).bytes(5000))),
    "huge.png": (False, "broken", lambda path: path.write_bytes(_png(60000, 60000, 8, 2, b"\x00" * 100))),
    "large.png": (False, "broken", lambda path: path.write_bytes(_png(9000, 9000, 8, 2, b"\x00" * 100))),
}


def make_odd_file(folder: Path, name: str) -> OddFile:
    readable, kind, make = MAKERS[name]
    folder.mkdir(parents=True, exist_ok=True)
    make(folder / name)
    return OddFile(folder / name, readable, kind)


def make_odd_files(folder: Path) -> list[OddFile]:
    return [make_odd_file(folder, name) for name in MAKERS]


if __name__ == "__main__":
    make_odd_files(Path(sys.argv[1]))
