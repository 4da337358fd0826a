"""Who reads the words out: espeak-ng or flite on this machine, or any server that speaks like OpenAI's.

Offline, in this order: espeak-ng inside the package `espeakng-loader` (the extra "voice"), the program `espeak-ng`, the
program `flite`. A server is asked only when the plan says so: WHATNEXT_VOICE_URL (such as http://127.0.0.1:8880/v1),
WHATNEXT_VOICE_MODEL, WHATNEXT_VOICE_NAME, and a key, if it wants one, in WHATNEXT_VOICE_KEY. It gets the words that are
to be spoken and nothing else. What was spoken once is kept beside the film's pieces. Knows nothing of films.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import wave
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np

from app.identity import new_id
from app.reel import voice_process
from app.reel.plan import Voice
from app.reel.sound import Samples, resampled
from nsp_core.errors import ConfigError, UserError
from nsp_core.judges.config import is_here
from nsp_core.keys import key

log = logging.getLogger(__name__)

KEY = "WHATNEXT_VOICE_KEY"
_WORDS_A_MINUTE = 160
_LONGEST = 120.0  # seconds until a program or a server has spoken one scene
_MOST_BYTES = 64 << 20  # of an answer


class Speaker(Protocol):
    """`name` says whose voice it is, with all that changes how it sounds. `speak` gives (n,) mono at 48 kHz."""

    name: str

    def speak(self, text: str, pace: float) -> Samples: ...


class Program:
    """espeak-ng or flite, each time in a process of its own: words in a file, a WAV file from it. A voice that crashes
    is asked once more, and never takes the film's process with it."""

    def __init__(self, name: str, command: Callable[[Path, Path, float], list[str]], language: str) -> None:
        """`command`: of the words' file, the WAV file to write, and the pace. `name` stays: kept words go by it."""
        self.language, self.command = language, command
        self.name = f"{name} {language}"

    def speak(self, text: str, pace: float) -> Samples:
        with tempfile.TemporaryDirectory(prefix="whatnext-voice-") as folder:
            words, made = Path(folder) / "words.txt", Path(folder) / "voice.wav"
            words.write_text(text, encoding="utf-8")
            command = self.command(words, made, pace)
            code = self._run(command)
            if _crashed(code):
                log.warning("%s ended with %d in the middle of its words; it is asked once more", self.name, code)
                code = self._run(command)
            if code == voice_process.NO_VOICE:
                raise UserError(
                    f"espeak-ng has no voice for the language {self.language!r}: choose no voice, or a server's."
                )
            if code or not made.is_file():
                raise self._mute("it crashed" if _crashed(code) else f"exit code {code}")
            return _of_wav(made.read_bytes())

    def _run(self, command: list[str]) -> int:
        try:
            return subprocess.run(command, capture_output=True, timeout=_LONGEST, stdin=subprocess.DEVNULL).returncode
        except (OSError, subprocess.SubprocessError) as error:
            raise self._mute(type(error).__name__) from error

    def _mute(self, why: str) -> UserError:
        return UserError(f"{self.name.split()[0]} could not speak ({why}): try other words, or choose no voice.")


def espeak_loaded(language: str = "en") -> Program:
    """espeak-ng's library from the package that brings it; voice_process.py loads it, not we."""
    loader: Any = importlib.import_module("espeakng_loader")
    script = [sys.executable, "-I", voice_process.__file__]
    library = [str(loader.get_library_path()), str(loader.get_data_path()), language]

    def command(words: Path, made: Path, pace: float) -> list[str]:
        return [*script, *library, str(round(_WORDS_A_MINUTE * pace)), str(words), str(made)]

    return Program("espeak-ng", command, language)


def espeak(path: str, language: str = "en") -> Program:
    """The system's espeak-ng."""

    def command(words: Path, made: Path, pace: float) -> list[str]:
        return [path, "-v", language, "-s", str(round(_WORDS_A_MINUTE * pace)), "-f", str(words), "-w", str(made)]

    return Program(Path(path).stem, command, language)


def flite(path: str, language: str = "en") -> Program:
    if not language.startswith("en"):
        raise UserError("flite speaks English only: install espeak-ng, or choose no voice.")

    def command(words: Path, made: Path, pace: float) -> list[str]:
        return [path, "-voice", "slt", "--setf", f"duration_stretch={1 / pace:.3f}", "-f", str(words), "-o", str(made)]

    return Program(Path(path).stem, command, language)


class Server:
    """POST {url}/audio/speech, as OpenAI has it. Standard library only."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.url = env.get("WHATNEXT_VOICE_URL", "").strip().rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "The voice of a server needs its address: set WHATNEXT_VOICE_URL, such as http://127.0.0.1:8880/v1."
            )
        self.model = env.get("WHATNEXT_VOICE_MODEL", "").strip() or "tts-1"
        self.voice = env.get("WHATNEXT_VOICE_NAME", "").strip() or "alloy"
        self.secret = key(KEY, env)
        if self.secret is not None and parts.scheme == "http" and not is_here(parts.hostname):
            raise ConfigError(f"A key is not sent in the clear to {parts.hostname}: use an address with https://.")
        self.name = f"{parts.hostname} {self.model} {self.voice}"

    def speak(self, text: str, pace: float) -> Samples:
        asked = {"model": self.model, "voice": self.voice, "input": text, "response_format": "wav", "speed": pace}
        headers = {"Content-Type": "application/json"}
        if self.secret is not None:
            headers["Authorization"] = f"Bearer {self.secret.reveal()}"
        request = urllib.request.Request(f"{self.url}/audio/speech", json.dumps(asked).encode(), headers, method="POST")
        try:
            with _opener().open(request, timeout=_LONGEST) as reply:
                data = reply.read(_MOST_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise UserError(f"The voice server {self.name} answered with {error.code} ({error.reason}).") from None
        except (OSError, urllib.error.URLError) as error:
            raise UserError(f"The voice server {self.name} does not answer ({type(error).__name__}).") from None
        if len(data) > _MOST_BYTES:
            raise UserError(f"The voice server {self.name} sent more than {_MOST_BYTES >> 20} MB for one scene.")
        return _of_wav(data)


class _Stays(urllib.request.HTTPRedirectHandler):
    """A key is not sent on to wherever an answer points."""

    def redirect_request(self, *_args: Any) -> None:
        return None


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Stays)


def speaker(voice: Voice, language: str = "en", env: Mapping[str, str] | None = None) -> Speaker:
    """Raises UserError when there is none."""
    given = os.environ if env is None else env
    if voice == "server":
        return Server(given)
    if importlib.util.find_spec("espeakng_loader") is not None:
        return espeak_loaded(language)
    for name, made in (("espeak-ng", espeak), ("flite", flite)):
        if found := shutil.which(name):
            return made(found, language)
    raise UserError(
        "There is no voice on this machine: install one (pip install espeakng-loader, or the system's espeak-ng or "
        "flite), or choose no voice."
    )


def voices_here(env: Mapping[str, str] | None = None) -> tuple[Voice, ...]:
    """Which voices a plan may ask for on this machine."""
    given = os.environ if env is None else env
    found: list[Voice] = ["off"]
    offline = importlib.util.find_spec("espeakng_loader") is not None
    if offline or any(shutil.which(name) for name in ("espeak-ng", "flite")):
        found.append("offline")
    if given.get("WHATNEXT_VOICE_URL", "").strip():
        found.append("server")
    return tuple(found)


def remembering(speaker: Speaker, folder: Path) -> Callable[[str, float], Samples]:
    """`speak` of that speaker, which does not say the same twice."""

    def speak(text: str, pace: float) -> Samples:
        name = hashlib.sha256(json.dumps([speaker.name, text, pace]).encode()).hexdigest()[:40]
        path = folder / f"{name}.npy"
        if path.is_file():
            os.utime(path)
            return np.asarray(np.load(path, allow_pickle=False), np.float32)
        samples = _trimmed(speaker.speak(text, pace))
        partial = path.with_name(f"{name}.{new_id()}.partial")
        try:
            with partial.open("wb") as file:
                np.save(file, samples, allow_pickle=False)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        return samples

    return speak


def _crashed(code: int) -> bool:
    """By a signal; Windows has large codes for the same."""
    return code < 0 or code > 255


def _trimmed(samples: Samples) -> Samples:
    """Without the silence before and after the words."""
    loud = np.flatnonzero(np.abs(samples) > 0.003)
    return samples[loud[0] : loud[-1] + 1] if loud.size else np.zeros(0, np.float32)


def _of_wav(data: bytes) -> Samples:
    """16 bit PCM; some servers do not know how long it will be, and write the largest length that there is."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            raw = file.readframes(min(file.getnframes(), len(data)))
    except (wave.Error, EOFError) as error:
        raise UserError("The voice is not a WAV file that can be read: set the voice server to WAV.") from error
    if width != 2:
        raise UserError(f"The voice has {8 * width} bits a sample; 16 are read: set the voice server to 16 bit WAV.")
    raw = raw[: len(raw) - len(raw) % (2 * channels)]
    samples = np.frombuffer(raw, "<i2").reshape(-1, channels).mean(axis=1).astype(np.float32) / 32768
    return resampled(samples, rate) if samples.size else samples
