"""The words that a loaded model has learnt, and a plain answer for those that it has not.

Knows nothing of models. A big model has no Language: it reads everything. The starter's lies beside its weights
(`language.json`), written by its training.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from nsp_core.errors import OutsideLanguage

FILE = "language.json"
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_GAP = re.compile(r"[,;:]?\s+([.,;:!?])|\s+")  # what is left where a word was taken out


_END = re.compile(r"(?<=[.!?。！？])\s*|\n+")  # noqa: RUF001
_LABEL = re.compile(r"^(?:Premise|Cast|Look):\s*")


def sentences(text: str) -> tuple[str, ...]:
    """`text` in pieces that end with a stop or a line."""
    return tuple(piece.strip() for piece in _END.split(text) if piece.strip())


@dataclass(frozen=True)
class Language:
    words: frozenset[str]
    examples: tuple[str, ...]  # sentences that show what can be said
    version: int = 1
    fillers: frozenset[str] = frozenset()  # words that say nothing ("please", "I want"): left out before it is read

    def unknown(self, text: str) -> tuple[str, ...]:
        """Words of `text` outside the language, in order, each once."""
        found = (m.group().lower() for m in _WORD.finditer(text))
        return tuple(dict.fromkeys(w for w in found if w not in self.words and w not in self.fillers))

    def plain(self, text: str) -> str:
        """`text` without its fillers."""
        if not any(m.group().lower() in self.fillers for m in _WORD.finditer(text)):
            return text
        kept = _WORD.sub(lambda m: "" if m.group().lower() in self.fillers else m.group(), text)
        return _GAP.sub(lambda m: m.group(1) or " ", kept).lstrip(" .,;:!?").rstrip(" ,;:")

    def check(self, text: str) -> None:
        """Raise OutsideLanguage, naming the words and what is known instead."""
        if not _WORD.search(self.plain(text)):
            raise OutsideLanguage("There are no words yet: say in one sentence what happens.", self.examples)
        unknown = self.unknown(text)
        if unknown:
            named = ", ".join(f"'{w}'" for w in unknown[:3]) + (" and others" if len(unknown) > 3 else "")
            raise OutsideLanguage(
                f"I don't know that yet: {named}. I know the picture-book world, for example: {self.examples[0]}",
                self.examples,
            )

    def split(self, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The sentences of which every word was learnt, and the others. What stands before a line ("Cast: ...") is a
        label, not part of a sentence."""
        known: list[str] = []
        other: list[str] = []
        for sentence in sentences(text):
            bare = _LABEL.sub("", sentence)
            if _WORD.search(bare):
                reads = not self.unknown(bare) and _WORD.search(self.plain(bare)) is not None
                (known if reads else other).append(bare)
        return tuple(known), tuple(other)

    def with_words(self, more: frozenset[str]) -> Language:
        """The same with words that somebody taught."""
        return replace(self, words=self.words | more) if more else self

    def save(self, folder: Path) -> None:
        value = {"version": self.version, "words": sorted(self.words), "examples": list(self.examples)}
        value["fillers"] = sorted(self.fillers)
        (folder / FILE).write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> Language | None:
        path = folder / FILE
        if not path.is_file():
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
        fillers = frozenset(value.get("fillers", ()))  # not in folders of before 2026-11-21
        return Language(frozenset(value["words"]), tuple(value["examples"]), value["version"], fillers)
