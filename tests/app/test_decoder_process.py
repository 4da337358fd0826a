"""What people bring is decoded apart: bombs, endless films and decoders that hang cost one sentence, in good time."""

from __future__ import annotations

import io
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.decoder_process import Allowance, Decoder
from nsp_core.errors import Cancelled, UnreadableMedia
from nsp_core.media import Limits, read_media
from tests.odd_files import make_odd_file, write_video

MB = 2**20


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[Decoder]:
    made = Decoder(tmp_path / "run")
    yield made
    made.close()


def refused(decoder: Decoder, path: Path, *, within: float, **wanted: object) -> str:
    """The one sentence with which a file is refused, in time and with nothing left behind."""
    started = time.monotonic()
    with pytest.raises(UnreadableMedia) as caught:
        decoder.read(path, **wanted)  # type: ignore[arg-type]
    assert time.monotonic() - started < within
    assert not list(decoder.scratch.glob("decoded-*"))
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and ". " not in sentence and 30 < len(sentence) < 400
    return sentence


def fake(tmp_path: Path, program: str, **values: object) -> Decoder:
    """A process that behaves as `program` does instead of decoding."""
    return Decoder(tmp_path / "run", command=[sys.executable, "-c", program], **values)  # type: ignore[arg-type]


def test_frames_come_out_as_they_do_in_this_process(decoder: Decoder, tmp_path: Path) -> None:
    for name in ("rotated.mp4", "turned.jpg", "animated.gif"):
        path = make_odd_file(tmp_path, name).path
        apart, here = decoder.read(path, start=0.0), read_media(path)
        assert np.array_equal(apart.frames, here.frames)
        assert (apart.fps, apart.kind, apart.note, apart.source_width) == (
            here.fps,
            here.kind,
            here.note,
            here.source_width,
        )


def test_a_sentence_is_about_the_name_that_the_person_knows(decoder: Decoder, tmp_path: Path) -> None:
    path = make_odd_file(tmp_path, "truncated.jpg").path
    sentence = refused(decoder, path, within=60, name="our holiday.jpg")
    assert sentence.startswith("our holiday.jpg") and "truncated" not in sentence


def test_a_picture_that_needs_too_much_memory(tmp_path: Path) -> None:
    """Below the limit of pixels, a file of a few kilobytes, but its pixels do not fit."""
    path = tmp_path / "bomb.png"
    path.write_bytes(flat_png(7900, 7900))
    assert path.stat().st_size < MB
    decoder = Decoder(tmp_path / "run", allowance=Allowance(memory=150 * MB))
    assert "memory" in refused(decoder, path, within=60)


@pytest.mark.full
def test_the_largest_picture_that_is_allowed_fits_the_usual_memory(decoder: Decoder, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(flat_png(7900, 7900))
    assert decoder.read(path).frames.shape == (1, 640, 640, 3)


@pytest.mark.full
def test_an_animation_of_many_large_frames(tmp_path: Path) -> None:
    frames = [Image.new("P", (5000, 5000), color=number % 2) for number in range(40)]
    path = tmp_path / "bomb.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=20, disposal=2)
    assert path.stat().st_size < 5 * MB
    decoder = Decoder(tmp_path / "run", limits=Limits(decode_seconds=2.0), allowance=Allowance(grace=20.0))
    assert "longer than 2 s" in refused(decoder, path, within=60)


@pytest.mark.full
def test_a_film_that_takes_too_long(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 255, (360, 640, 3), dtype=np.uint8) for _ in range(24)]
    path = write_video(tmp_path / "long.mp4", noise * 10, fps=24, codec_options={"preset": "ultrafast", "crf": "10"})
    decoder = Decoder(tmp_path / "run", limits=Limits(decode_seconds=0.2), allowance=Allowance(grace=20.0))
    assert "longer than 0.2 s" in refused(decoder, path, within=60, seconds=30.0)


def test_a_decoder_that_hangs(tmp_path: Path) -> None:
    hanging = fake(
        tmp_path, "import time; time.sleep(600)", limits=Limits(decode_seconds=1), allowance=Allowance(grace=0)
    )
    assert "longer than 1 s" in refused(hanging, make_odd_file(tmp_path, "turned.jpg").path, within=20)


def test_a_decoder_that_grows(tmp_path: Path) -> None:
    """Seen from outside, too: not every system limits what a process may have."""
    program = "import time; x = bytearray(600 * 2**20); time.sleep(600)"
    growing = fake(tmp_path, program, allowance=Allowance(memory=100 * MB))
    assert "memory" in refused(growing, make_odd_file(tmp_path, "turned.jpg").path, within=30)


@pytest.mark.parametrize(
    "program",
    [
        "import os, signal; os.abort()",
        "raise SystemExit(3)",
        "print('not json')",
        "print('[1]')",
        'print(\'{"facts": {"kind": "picture", "fps": 0}}\')',  # says that it is done, and brings nothing
    ],
)
def test_a_decoder_that_crashes_or_lies(tmp_path: Path, program: str) -> None:
    refused(fake(tmp_path, program), make_odd_file(tmp_path, "turned.jpg").path, within=30)


def test_a_result_that_is_no_picture_is_not_believed(tmp_path: Path) -> None:
    program = (
        "import sys, json, numpy as np; r = json.loads(sys.stdin.readline());"
        "np.save(open(r['result'], 'wb'), np.array([{'a': 1}], dtype=object), allow_pickle=True);"
        "print(json.dumps({'facts': {'kind': 'picture', 'fps': 0}}))"
    )
    refused(fake(tmp_path, program), make_odd_file(tmp_path, "turned.jpg").path, within=30)


def test_stopping_ends_it_at_once(tmp_path: Path) -> None:
    hanging = fake(tmp_path, "import time; time.sleep(600)")
    started = time.monotonic()
    with pytest.raises(Cancelled):
        hanging.read(make_odd_file(tmp_path, "turned.jpg").path, should_stop=lambda: True)
    assert time.monotonic() - started < 20


def test_it_inherits_no_keys_and_no_more_than_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-secret")
    monkeypatch.setenv("WHATNEXT_DATA", "/somewhere")
    told = tmp_path / "told"
    spy = fake(tmp_path, f"import os; open({str(told)!r}, 'w').write(repr(dict(os.environ)))")
    refused(spy, make_odd_file(tmp_path, "turned.jpg").path, within=30)
    assert "PATH" in told.read_text() and "secret" not in told.read_text() and "WHATNEXT" not in told.read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="no rlimits there")
def test_the_limits_are_set_by_the_process_itself(tmp_path: Path) -> None:
    import subprocess

    program = (
        "import resource; from app.process_limits import limit_this_process;"
        "limit_this_process(memory=100 * 2**20, cpu_seconds=7, file_bytes=1000);"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_FSIZE)[0]);"
        "b = bytearray(500 * 2**20)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["0", "1000"] and "MemoryError" in done.stderr


def test_a_warm_one_waits_and_is_used_once(decoder: Decoder, tmp_path: Path) -> None:
    decoder.warm()
    spare = decoder._spare
    assert spare is not None and spare.poll() is None
    decoder.read(make_odd_file(tmp_path, "turned.jpg").path)
    assert spare.poll() is not None and decoder._spare is None


def test_a_strip_of_a_film_has_its_length_and_its_pictures(decoder: Decoder, tmp_path: Path) -> None:
    greys = [np.full((96, 160, 3), 5 * k, np.uint8) for k in range(48)]
    path = write_video(tmp_path / "film.mp4", greys, codec_options={"g": "12"})  # 4 s at 12 a second
    strip = decoder.strip(path, count=8)
    assert strip.kind == "clip" and strip.seconds == pytest.approx(4.0, abs=0.1) and len(strip.times) == 8
    shown = strip.frames[:, 5, 5, 0].astype(int)
    assert np.abs(shown - 5 * np.arange(0, 48, 6)).max() <= 8
    still = decoder.strip(make_odd_file(tmp_path, "turned.jpg").path)
    assert still.kind == "picture" and still.seconds == 0 and len(still.frames) == 1


def test_without_a_start_the_end_is_read(decoder: Decoder, tmp_path: Path) -> None:
    greys = [np.full((96, 160, 3), 5 * k, np.uint8) for k in range(48)]
    for name, container in (("film.mp4", "mp4"), ("film.mkv", "matroska")):
        path = write_video(tmp_path / name, greys, container=container)
        clip = decoder.read(path, start=None, seconds=1.0, fps=12)
        assert np.abs(clip.frames[:, 5, 5, 0].astype(int) - 5 * np.arange(36, 48)).max() <= 6
    moving = [Image.new("L", (64, 64), 20 * k) for k in range(10)]
    moving[0].save(tmp_path / "a.gif", save_all=True, append_images=moving[1:], duration=500)
    clip = decoder.read(tmp_path / "a.gif", seconds=1.0, fps=2)
    assert [int(one[5, 5, 0]) for one in clip.frames] == [160, 180]


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"#EXTM3U\n#EXTINF:5,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n",
        lambda: b"\xef\xbb\xbf#EXTM3U\nhttp://127.0.0.1/x.ts\n",
        lambda: b"ffconcat version 1.0\nfile /etc/hostname\n",
        lambda: b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>/etc/</BaseURL></MPD>',
        lambda: b"[playlist]\nFile1=/etc/hostname\nNumberOfEntries=1\n",
        lambda: b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/hostname"/></svg>',
    ],
    ids=["m3u8", "m3u8-bom", "ffconcat", "dash", "pls", "sdp", "svg"],
)
def test_what_names_other_files_is_refused_by_its_content(
    decoder: Decoder, tmp_path: Path, make: Callable[[], bytes]
) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(make() + b"\n" * 200)
    assert "choose one of" in refused(decoder, path, within=60)


def flat_png(width: int, height: int) -> bytes:
    """One colour, very well compressed."""
    out = io.BytesIO()

    def chunk(kind: bytes, data: bytes) -> None:
        out.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))

    out.write(b"\x89PNG\r\n\x1a\n")
    chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
    packer = zlib.compressobj(9)
    line = b"\x00" + b"\x40\x80\xc0\xff" * width
    chunk(b"IDAT", b"".join([*(packer.compress(line) for _ in range(height)), packer.flush()]))
    chunk(b"IEND", b"")
    return out.getvalue()
