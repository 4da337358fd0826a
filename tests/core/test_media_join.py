"""Reels by copying: every frame at its time, sound without drift, captions that are really there."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from nsp_core.errors import GeometryError, UnreadableMedia
from nsp_core.media import HouseEncoding, join_clips, probe_clip, write_clip
from tests.odd_files import quadrants, write_video


def clip_of(path: Path, grey: int, frames: int = 17, fps: float = 8, **options: HouseEncoding) -> Path:
    """A clip whose brightness tells which clip and frame it is."""
    pictures = np.stack([np.full((96, 160, 3), grey + k, np.uint8) for k in range(frames)])
    write_clip(path, pictures, fps, **options)
    return path


def with_tone(path: Path, seconds: Fraction, pitch: float) -> Path:
    """A clip in the house format with a sine for sound: packets of a tone muxed beside a house clip's pictures."""
    quiet = clip_of(path.with_suffix(".quiet.mp4"), 100, int(seconds * 8))
    with av.open(str(quiet)) as source, av.open(str(path), "w", options={"video_track_timescale": "120000"}) as out:
        pictures = out.add_stream_from_template(source.streams.video[0])
        voice = out.add_stream("aac", rate=48000, layout="stereo")
        voice.codec_context.flags |= 1 << 23
        voice.bit_rate = 128_000
        total = int(seconds * 48000)
        wave = np.sin(np.arange(total) * (2 * np.pi * pitch / 48000)).astype(np.float32) * 0.5
        for at in range(0, total, 1024):
            part = np.stack([wave[at : at + 1024]] * 2)
            block = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            block.sample_rate, block.pts, block.time_base = 48000, at, Fraction(1, 48000)
            out.mux(voice.encode(block))
        out.mux(voice.encode(None))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                out.mux(packet)
    return path


def test_frames_and_durations_add_up(tmp_path: Path) -> None:
    lengths = [17, 17, 1, 2, 33, 1, 1, 17]
    clips = [clip_of(tmp_path / f"{k}.mp4", 20 + 20 * k, frames) for k, frames in enumerate(lengths)]
    seen: list[tuple[int, int]] = []
    info = join_clips(clips, tmp_path / "reel.mp4", on_progress=lambda done, total: seen.append((done, total)))
    assert (info.frames, info.seconds, info.clips, info.reencoded) == (89, 89 / 8, 8, ())
    assert info.starts == tuple(sum(lengths[:k]) / 8 for k in range(8))
    assert seen == [(k + 1, 8) for k in range(8)]
    probe = probe_clip(tmp_path / "reel.mp4")
    assert (probe.frames, probe.seconds, probe.audio_seconds) == (89, 89 / 8, 89 / 8)
    assert probe.format == probe_clip(clips[0]).format and probe.index_first
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        frames = [(frame.time, int(frame.to_ndarray(format="rgb24").mean())) for frame in reel.decode(video=0)]
    expected = [20 + 20 * k + j for k, count in enumerate(lengths) for j in range(count)]
    assert [time for time, _ in frames] == [index / 8 for index in range(89)]
    assert np.abs(np.array([grey for _, grey in frames]) - expected).max() <= 2


def test_decoding_times_rise_in_every_stream(tmp_path: Path) -> None:
    clips = [clip_of(tmp_path / f"{k}.mp4", 50, frames) for k, frames in enumerate([17, 1, 17, 5])]
    join_clips(clips, tmp_path / "reel.mp4", [("a", 0.0, 1.0), ("b", 2.0, 3.0)], chapters=["1", "2", "3", "4"])
    last: dict[int, int] = {}
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        for packet in reel.demux():
            if packet.dts is None or packet.pts is None:
                continue
            index = packet.stream.index
            assert packet.dts > last.get(index, -(10**9)) and packet.pts >= packet.dts
            last[index] = packet.dts
    assert len(last) == 3  # pictures, sound, captions


def test_captions_and_chapters_are_really_there(tmp_path: Path) -> None:
    clips = [clip_of(tmp_path / f"{k}.mp4", 50) for k in range(3)]
    captions = [("The seed sprouts.", 0.0, 2.125), ("Ein Käfer\nkommt & <geht>.", 2.125, 4.0), ("終わり", 4.5, 6.375)]
    join_clips(clips, tmp_path / "reel.mp4", captions, chapters=["one", "zwei", "三"], title="My story")
    probe = probe_clip(tmp_path / "reel.mp4")
    assert probe.captions == tuple(captions)
    assert probe.chapters == (("one", 0.0, 2.125), ("zwei", 2.125, 4.25), ("三", 4.25, 6.375))
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        track = reel.streams.subtitles[0]
        assert track.codec_context.name == "mov_text" and int(track.disposition) & 1
        shown = [subtitle.dialogue.decode() for packet in reel.demux(track) for subtitle in packet.decode()]
        assert [words.replace("\\N", "\n") for words in shown] == [text for text, _, _ in captions]
        assert reel.metadata["title"] == "My story"


def test_a_reel_without_captions_has_no_caption_track(tmp_path: Path) -> None:
    join_clips([clip_of(tmp_path / "0.mp4", 50)], tmp_path / "reel.mp4")
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        assert [stream.type for stream in reel.streams] == ["video", "audio"]


def test_sound_is_copied_and_does_not_drift(tmp_path: Path) -> None:
    seconds = Fraction(17, 8)
    pitches = [400.0, 800.0] * 6
    clips = [with_tone(tmp_path / f"{k}.mp4", seconds, pitch) for k, pitch in enumerate(pitches)]
    join_clips(clips, tmp_path / "reel.mp4")
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        blocks = [(block.pts, block.to_ndarray()[0]) for block in reel.decode(audio=0) if block.pts is not None]
    for (at, block), (later, _) in zip(blocks, blocks[1:], strict=False):
        assert later - at == len(block)  # one continuous grid, no gaps and no overlaps
    sound = np.concatenate([block for _, block in blocks])
    for k, pitch in enumerate(pitches):
        begin = round(float(seconds) * k * 48000) + 2400  # 50 ms inside each end
        part = sound[begin : begin + 97200]
        crossings = np.count_nonzero(np.diff(np.signbit(part))) / 2 / (len(part) / 48000)
        assert crossings == pytest.approx(pitch, rel=0.02), f"clip {k}"


def test_missing_sound_is_filled_with_silence(tmp_path: Path) -> None:
    """A clip whose sound is shorter than its pictures must not pull later sound forward."""
    short = tmp_path / "short.mp4"
    whole = clip_of(tmp_path / "whole.mp4", 50)
    with av.open(str(whole)) as source, av.open(str(short), "w", options={"video_track_timescale": "120000"}) as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or (packet.stream.type == "audio" and (packet.pts or 0) > 24000):
                continue
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    join_clips([short, tmp_path / "whole.mp4"], tmp_path / "reel.mp4")
    assert probe_clip(tmp_path / "reel.mp4").audio_seconds == 4.25
    with av.open(str(tmp_path / "reel.mp4")) as reel:
        sound = np.concatenate([block.to_ndarray() for block in reel.decode(audio=0)], axis=1)
    assert np.abs(sound).max() < 1e-5 and abs(sound.shape[1] - 204_000) <= 1024


def test_more_clips_than_stay_open_are_joined_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nsp_core.media.join._KEPT_OPEN", 2)
    clip = clip_of(tmp_path / "clip.mp4", 50, 9)
    info = join_clips([clip] * 5, tmp_path / "reel.mp4", words=["a", "b", "", "d", "e"])
    assert info.frames == 45 == probe_clip(tmp_path / "reel.mp4").frames
    assert [text for text, _, _ in probe_clip(tmp_path / "reel.mp4").captions] == ["a", "b", "d", "e"]


def test_a_differing_clip_is_refused_by_name_or_encoded_anew(tmp_path: Path) -> None:
    first, last = clip_of(tmp_path / "first.mp4", 20), clip_of(tmp_path / "last.mp4", 120)
    foreign = write_video(tmp_path / "foreign.mp4", [quadrants(200, 200)] * 24, fps=12)
    with pytest.raises(GeometryError, match=r"foreign\.mp4 cannot be joined to first\.mp4.*width 200 instead of 640"):
        join_clips([first, foreign, last], tmp_path / "reel.mp4")
    assert not (tmp_path / "reel.mp4").exists()
    info = join_clips([first, foreign, last], tmp_path / "reel.mp4", differing="re-encode")
    assert info.reencoded == (1,) and info.frames == 17 + 16 + 17
    probe = probe_clip(tmp_path / "reel.mp4")
    assert probe.frames == 50 and probe.seconds == 6.25 == probe.audio_seconds


def test_other_encoder_settings_are_noticed(tmp_path: Path) -> None:
    first = clip_of(tmp_path / "first.mp4", 20)
    other = clip_of(tmp_path / "other.mp4", 20, master=HouseEncoding(b_frames=0))
    with pytest.raises(GeometryError, match="headers"):
        join_clips([first, other], tmp_path / "reel.mp4")


def test_what_cannot_be_joined_is_refused_in_one_sentence(tmp_path: Path) -> None:
    clip = clip_of(tmp_path / "clip.mp4", 20)
    (tmp_path / "broken.mp4").write_text("no clip")
    with pytest.raises(GeometryError, match="at least one"):
        join_clips([], tmp_path / "reel.mp4")
    with pytest.raises(UnreadableMedia, match=r"broken\.mp4"):
        join_clips([clip, tmp_path / "broken.mp4"], tmp_path / "reel.mp4")
    with pytest.raises(UnreadableMedia, match=r"missing\.mp4"):
        join_clips([clip, tmp_path / "missing.mp4"], tmp_path / "reel.mp4")
    with pytest.raises(GeometryError, match="follow each other"):
        join_clips([clip], tmp_path / "reel.mp4", [("late", 1.0, 2.0), ("early", 0.0, 1.0)])
    with pytest.raises(GeometryError, match="one for each"):
        join_clips([clip], tmp_path / "reel.mp4", chapters=["a", "b"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.mp4", "clip.mp4"]
