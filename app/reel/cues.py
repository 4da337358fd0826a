"""The words of the scenes as captions with times, and as .srt and .vtt. Knows nothing of how they are drawn.

Long words are shown in pieces that a person can read at once, each as long as its share of the letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.reel.master import Master
from app.reel.timeline import Timeline

LETTERS = 84  # two lines of 42, as broadcasters have it
_LEAST = 0.3  # seconds; what is shown for less is not read


@dataclass(frozen=True)
class Cue:
    """Shown in the frames `first` .. `last` - 1 of the film."""

    text: str
    first: int
    last: int


def cues_of(timeline: Timeline, words: Sequence[str], master: Master) -> tuple[Cue, ...]:
    """`words`: one text a scene, "" for none. In a dissolve the words change in its middle."""
    found: list[Cue] = []
    for scene, text in zip(timeline.scenes, words, strict=True):
        first = scene.at + scene.lead // 2
        last = scene.at + scene.frames - (scene.tail - scene.tail // 2)
        if last - first < 1:
            continue
        parts = in_pieces(text)
        most = max(1, int((last - first) / max(1, master.frames(_LEAST))))
        if len(parts) > most:
            parts = [" ".join(parts)]
        letters = sum(len(part) for part in parts)
        done = 0
        for part in parts:
            begin = first + round((last - first) * done / letters)
            done += len(part)
            end = first + round((last - first) * done / letters)
            if end > begin:
                found.append(Cue(part, begin, end))
    return tuple(found)


def in_pieces(text: str, limit: int = LETTERS) -> list[str]:
    """At sentences where that is possible, else at commas, else between words."""
    pieces: list[str] = []
    for sentence in re.findall(r"\S.*?(?:[.!?…]+[\"'”’)]*(?=\s)|$)", " ".join(text.split())):
        while len(sentence) > limit:
            half = sentence[:limit]
            cut = max(half.rfind(mark) + 1 for mark in (", ", "; ", ": ", " – "))
            cut = cut if cut > limit // 3 else half.rfind(" ")
            cut = cut if cut > 0 else limit
            pieces.append(sentence[:cut].strip())
            sentence = sentence[cut:].strip()
        if sentence:
            pieces.append(sentence)
    return pieces


def to_srt(cues: Sequence[Cue], master: Master) -> str:
    """SubRip: numbered blocks, a comma before the milliseconds."""
    return "".join(
        f"{number}\n{_clock(cue.first, master, ',')} --> {_clock(cue.last, master, ',')}\n{_lines(cue.text)}\n\n"
        for number, cue in enumerate(cues, 1)
    )


def to_vtt(cues: Sequence[Cue], master: Master, note: str = "") -> str:
    """WebVTT (W3C), in which & and < have a meaning of their own. `note`: a whole comment block."""
    blocks = []
    for cue in cues:
        text = _lines(cue.text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.first, master, '.')} --> {_clock(cue.last, master, '.')}\n{text}\n\n")
    return "WEBVTT\n\n" + note + "".join(blocks)


def _lines(text: str) -> str:
    """In two lines of about the same length when one would be too long."""
    if len(text) <= LETTERS // 2:
        return text
    spaces = [at for at, letter in enumerate(text) if letter == " "]
    if not spaces:
        return text
    at = min(spaces, key=lambda place: abs(place - len(text) / 2))
    return text[:at] + "\n" + text[at + 1 :]


def _clock(frame: int, master: Master, mark: str) -> str:
    milliseconds = round(frame * 1000 / master.fps)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{rest:03}"
