"""Plans, the arithmetic of timelines, captions as text, the cut for other programs, paper."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.reel.cues import in_pieces
from app.reel.papers import captions_text, timeline_json
from app.reel.plan import Card, Narration, Plan, Shot, extended, plan_for, plan_of, without
from app.reel.render import Clip, look_at_all, words_of
from app.reel.stills import contact_sheet, storybook
from app.reel.timeline import Copied
from app.reel.voices import Server, remembering, speaker, voices_here
from app.reel.ways import decide
from nsp_core.errors import ConfigError, UserError
from tests.app.reel.conftest import FPS, FRAMES


def test_a_plan_is_plain_json_and_back() -> None:
    plan = replace(plan_for(["a", "b"]), title=Card("Ärger"), narration=Narration("server", 1.2))
    assert plan_of(plan.to_json()) == plan and plan_of(json.loads(plan.to_json())) == plan


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"shots": [{"scene": "a", "start": 1.0, "end": 1.05}]}, "Scene 1 was cut to 0.05 s"),
        ({"shots": [{"scene": "a", "path": "/etc/passwd"}]}, "shots.0.path"),
        ({"shots": [{"scene": "a", "start": float("nan")}]}, "shots.0.start"),
        ({"shots": [], "output": {"kind": "exe"}}, "output.kind"),
        ({"shots": [], "title": {"text": "x" * 121}}, "title.text"),
        ("{", "invalid json"),
        ([], "the plan"),
    ],
)
def test_what_is_no_plan_is_refused_in_one_sentence(given: Any, why: str) -> None:
    with pytest.raises(UserError, match=why) as error:
        plan_of(given)
    assert "\n" not in str(error.value)


def test_a_plan_follows_its_path() -> None:
    plan = replace(plan_for(["a", "b", "c"]), shots=(Shot("c", start=0.5), Shot("a")))
    assert [shot.scene for shot in extended(plan, ["d", "e"]).shots] == ["c", "a", "d", "e"]
    assert without(plan, {"c"}).shots == (Shot("c", start=0.5),)


def test_every_frame_of_a_timeline_has_one_place(silent: list[Clip]) -> None:
    """Whatever is joined how: no gap, no overlap, and copies begin and end with whole groups."""
    sources = look_at_all(silent)
    for join in ("cut", "dissolve", "fade"):
        for seconds in (0.1, 0.5, 3.0):
            shots = (Shot("a", 0.25, 2.0, join), Shot("b", 0.9, None, join), Shot("c", 0, 0.4, join))  # type: ignore[arg-type]
            for least in ([], [0.0, 4.0, 0.0]):
                plan = Plan(shots, title=Card("x"), join_seconds=seconds)
                decision = decide(plan, sources, least=least)
                at = 0
                for stretch in decision.timeline.stretches:
                    assert stretch.at == at and stretch.frames > 0
                    at += stretch.frames
                assert at == decision.timeline.frames == sum(piece.frames for piece in decision.pieces)
                for piece in decision.pieces:
                    if isinstance(piece, Copied):
                        bounds = {*piece.source.keyframes, piece.source.frames}
                        assert {piece.first, piece.first + piece.frames} <= bounds
                if least:
                    assert decision.timeline.scenes[1].frames - decision.timeline.scenes[1].tail >= 4 * FPS


def test_words_in_pieces_that_can_be_read() -> None:
    long = "One. Two is longer! And a third one which, as everybody sees at once, goes on for too long to be read so."
    pieces = in_pieces(long)
    assert " ".join(pieces) == long and pieces[:2] == ["One.", "Two is longer!"] and max(map(len, pieces)) <= 84
    assert in_pieces("") == [] and in_pieces("x" * 100) == ["x" * 84, "x" * 16]
    assert in_pieces("It cost 3.50 euros. Cheap.") == ["It cost 3.50 euros.", "Cheap."]


def test_captions_as_text(silent: list[Clip]) -> None:
    clips = [Clip(silent[0].path, "A <b> & c."), Clip(silent[1].path, ""), Clip(silent[2].path, "End.")]
    plan = plan_for("abc")
    decision, words = decide(plan, look_at_all(clips)), words_of(plan, clips)
    assert captions_text(decision, words, "srt") == (
        "1\n00:00:00,000 --> 00:00:02,500\nA <b> & c.\n\n2\n00:00:05,000 --> 00:00:07,500\nEnd.\n\n"
    )
    vtt = captions_text(decision, words, "vtt")
    assert vtt.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nA &lt;b&gt; &amp; c.\n\n")


def test_the_cut_for_other_programs_is_as_long_as_the_film(silent: list[Clip]) -> None:
    """The schema's rule for a track: it is as long as its clips, transitions lie over them. (The library, 0.18.1, is no
    dependency; opened with it by hand, the durations were the same.)"""
    shots = (Shot("a", start=0.5, join="dissolve"), Shot("b", join="dissolve"), Shot("c"))
    plan = Plan(shots, title=Card("Title"), end=Card("End"))
    decision = decide(plan, look_at_all(silent), least=[0.0, 4.0, 0.0])
    cut = json.loads(timeline_json(decision, words_of(plan, silent), "Bars"))
    assert cut["OTIO_SCHEMA"] == "Timeline.1" and cut["tracks"]["OTIO_SCHEMA"] == "Stack.1"
    children = cut["tracks"]["children"][0]["children"]
    ranges = [one["source_range"]["duration"] for one in children if one["OTIO_SCHEMA"] == "Clip.2"]
    assert sum(one["value"] for one in ranges) == decision.timeline.frames and {one["rate"] for one in ranges} == {FPS}
    kinds = [one["OTIO_SCHEMA"] for one in children]
    assert kinds == ["Clip.2", "Clip.2", "Transition.1", "Clip.2", "Clip.2", "Transition.1", "Clip.2", "Clip.2"]
    first = children[1]
    assert first["source_range"]["start_time"]["value"] == 0.5 * FPS
    assert first["media_references"]["DEFAULT_MEDIA"]["target_url"] == silent[0].path.as_uri()
    offsets = children[2]["in_offset"]["value"] + children[2]["out_offset"]["value"]
    assert offsets == decision.timeline.scenes[0].tail


def test_a_sheet_and_a_book(silent: list[Clip], tmp_path: Path) -> None:
    from PIL import Image

    clips = [*silent, Clip(silent[0].path, "Words 日 without a letter, " + "and many more of them " * 12)]
    plan = plan_for("abcd")
    decision, words = decide(plan, look_at_all(clips)), words_of(plan, clips)
    told: list[tuple[int, int]] = []
    contact_sheet(decision, words, "Bars", tmp_path / "sheet.png", lambda done, total: told.append((done, total)))
    sheet = Image.open(tmp_path / "sheet.png").convert("RGB")
    assert told[-1] == (4, 4) and sheet.width > 700
    colors = sheet.resize((sheet.width // 8, sheet.height // 8)).getcolors(10**6) or []
    assert any(r > 170 and g < 90 for _, (r, g, b) in colors), "the red scene is on it"  # type: ignore[misc]
    with pytest.raises(UserError, match="日"):
        storybook(decision, words, "Bars", tmp_path / "no.pdf", lambda *_: None)
    words[3] = words[3].replace("日", "x")
    storybook(decision, words, "Bars", tmp_path / "book.pdf", lambda *_: None)
    data = (tmp_path / "book.pdf").read_bytes()
    assert data.startswith(b"%PDF-") and data.count(b"/Type /Page\n") == 5 and data.count(b"/Subtype /Image") == 3, (
        "the same picture is there once"
    )


def test_a_scene_that_is_asked_for_more_than_it_has(silent: list[Clip]) -> None:
    plan = Plan((Shot("a", start=99.0), Shot("b", start=1.0, end=99.0)))
    scenes = decide(plan, look_at_all(silent[:2])).timeline.scenes
    assert [scene.frames for scene in scenes] == [1, FRAMES - FPS]


def test_a_voice_is_asked_once(tmp_path: Path) -> None:
    import numpy as np

    class Counting:
        name = "counting"
        times = 0

        def speak(self, text: str, pace: float) -> Any:
            self.times += 1
            return np.full(int(100 * len(text) / pace), 0.5, np.float32)

    one = Counting()
    speak = remembering(one, tmp_path)
    assert speak("abc", 1.0).size == 300 and speak("abc", 1.0).size == 300 and one.times == 1
    assert speak("abc", 1.5).size == 200 and one.times == 2


def test_a_server_speaks(tmp_path: Path) -> None:
    """A stand-in of OpenAI's way on this machine: what it is sent, and what comes back."""
    import io
    import threading
    import wave
    from http.server import BaseHTTPRequestHandler, HTTPServer

    asked: list[Any] = []

    class Talks(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.append((self.path, self.headers["Authorization"], body))
            if body["input"] == "fail":
                self.send_error(500)
                return
            sound = io.BytesIO()
            with wave.open(sound, "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(24000)
                file.writeframes(b"\x00\x10" * 12000)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(sound.getvalue())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Talks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/v1"
        env = {"WHATNEXT_VOICE_URL": address, "WHATNEXT_VOICE_KEY": "secret", "WHATNEXT_VOICE_NAME": "nova"}
        samples = Server(env).speak("Hello.", 1.25)
        path, key, body = asked[0]
        assert path == "/v1/audio/speech" and key == "Bearer secret"
        assert body == {"model": "tts-1", "voice": "nova", "input": "Hello.", "response_format": "wav", "speed": 1.25}
        assert samples.size == pytest.approx(24000, abs=200) and samples[5000:15000].mean() == pytest.approx(
            0.125, abs=0.01
        )
        with pytest.raises(UserError, match="500"):
            Server(env).speak("fail", 1.0)
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(ConfigError, match="WHATNEXT_VOICE_URL"):
        Server({})
    assert "server" in voices_here({"WHATNEXT_VOICE_URL": "http://x"}) and "server" not in voices_here({})


def test_this_machine_speaks() -> None:
    pytest.importorskip("espeakng_loader")
    voice = speaker("offline")
    slow, fast = (
        voice.speak("The bear dives under the water.", 0.8),
        voice.speak("The bear dives under the water.", 1.4),
    )
    assert slow.size > 1.2 * fast.size > 0.5 * 48_000 and abs(slow).max() > 0.1
