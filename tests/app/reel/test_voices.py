"""Voices that are programs: a crash costs one more try and never our own process, and each failure is one sentence."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.reel import voices
from app.reel.sound import RATE
from app.reel.voices import Program, espeak_loaded, flite
from nsp_core.errors import UserError

SPEAKS = """
import os, signal, sys, wave
from pathlib import Path
tries, words, out = map(Path, sys.argv[1:])
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) <= {crashes}:
    os.kill(os.getpid(), signal.SIGSEGV)
if {code}:
    sys.exit({code})
file = wave.open(str(out), "wb")
file.setparams((1, 2, 24000, 0, "NONE", ""))
file.writeframes(b"\\x00\\x10" * 100 * len(words.read_text()))
file.close()
"""


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., tuple[Program, Path]]:
    def made(crashes: int = 0, code: int = 0) -> tuple[Program, Path]:
        script, tries = tmp_path / "speaks.py", tmp_path / "tries"
        script.write_text(SPEAKS.format(crashes=crashes, code=code))
        return Program(
            "stand-in", lambda w, m, _: [sys.executable, "-I", *map(str, (script, tries, w, m))], "xx"
        ), tries

    return made


def test_a_voice_that_crashes_is_asked_once_more(program: Callable[..., tuple[Program, Path]]) -> None:
    voice, tries = program(crashes=1)
    assert voice.speak("ten letters", 1.0).size == pytest.approx(1100 * RATE / 24000, abs=100)
    assert tries.read_text() == "xx"


@pytest.mark.parametrize(("crashes", "code", "said"), [(9, 0, "it crashed"), (0, 7, "exit code 7"), (0, 3, "'xx'")])
def test_a_voice_that_fails_is_one_sentence(
    program: Callable[..., tuple[Program, Path]], crashes: int, code: int, said: str
) -> None:
    voice, tries = program(crashes, code)
    with pytest.raises(UserError, match=said):
        voice.speak("words", 1.0)
    assert len(tries.read_text()) == (2 if crashes else 1)


def test_a_voice_that_hangs_or_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "_LONGEST", 0.2)
    with pytest.raises(UserError, match="TimeoutExpired"):
        Program("slow", lambda *_: [sys.executable, "-I", "-c", "import time; time.sleep(60)"], "en").speak("w", 1.0)
    with pytest.raises(UserError, match="FileNotFoundError"):
        flite("/nowhere/flite").speak("w", 1.0)
    with pytest.raises(UserError, match="English only"):
        flite("/nowhere/flite", "de")


def test_the_loaded_library_speaks_outside_of_this_process(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    samples = espeak_loaded("en").speak("The bear dives.", 1.0)
    assert samples.size > 0.4 * RATE and np.abs(samples).max() > 0.1
    assert espeak_loaded("en").speak("", 1.0).size < 0.1 * RATE
    maps = Path("/proc/self/maps")
    assert not maps.exists() or "espeak" not in maps.read_text(), "a crash of it would be ours"
    with pytest.raises(UserError, match="no voice for the language 'qqq'"):
        espeak_loaded("qqq").speak("The bear dives.", 1.0)
