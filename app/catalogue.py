"""The words of the page and of its messages, from one file a language: `say("takes.count", n=3)`.

Knows nothing of pages. The scripts get the same texts as one object; see T() in client/page.js.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError

LANGUAGES = Path(__file__).with_name("languages")
ORIGIN = "en"  # complete by definition; another language falls back on it, text by text

Text = str | dict[str, str]  # plain, or a form for each plural category


@dataclass(frozen=True)
class Catalogue:
    """`texts` maps "section.name" to a text."""

    language: str
    texts: dict[str, Text]

    def __call__(self, key: str, /, **values: Any) -> str:
        """The text with its {names} filled in. Raises KeyError for a key that no language has."""
        text = self.texts[key]
        if isinstance(text, dict):
            text = text.get("one" if values.get("n") == 1 else "other", text["other"])
        return text.format(**values) if values else text


def languages() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in LANGUAGES.glob("*.toml")))


@functools.cache
def catalogue(language: str = ORIGIN) -> Catalogue:
    """Raises ConfigError for a language that has no file."""
    if language not in languages():
        raise ConfigError(f"There is no language {language!r}; there are {', '.join(languages())}.")
    texts = _flat(ORIGIN)
    return Catalogue(language, texts if language == ORIGIN else {**texts, **_flat(language)})


def say(key: str, /, **values: Any) -> str:
    """A text in the language of the page."""
    return catalogue()(key, **values)


def _flat(language: str) -> dict[str, Text]:
    sections = tomllib.loads((LANGUAGES / f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}
