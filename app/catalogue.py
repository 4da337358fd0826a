"""The words of the page and of its messages, from one file a language: `say("shelf.num_scenes", n=3)`.

Knows nothing of pages. The scripts get the same texts as one object; see T() in client/page.js. A new language is one
file beside en.toml; while it is being written it may lie anywhere (WHATNEXT_LANGUAGE=/path/to/it.toml).
"""

from __future__ import annotations

import difflib
import functools
import gettext
import string
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
            text = text.get(self._form(values.get("n", 0)), text["other"])
        return text.format(**values) if values else text

    def _form(self, n: Any) -> str:
        """Which plural form a number takes: the file says so in the notation of gettext."""
        forms = str(self.texts["language.forms"]).split()
        return forms[gettext.c2py(str(self.texts["language.plural"]))(n)]


def languages() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in LANGUAGES.glob("*.toml")))


@functools.cache
def catalogue(language: str = ORIGIN) -> Catalogue:
    """`language`: the name of a file in languages/, or the path of one that lies elsewhere. Raises ConfigError."""
    origin = _flat(LANGUAGES / f"{ORIGIN}.toml")
    if language == ORIGIN:
        return Catalogue(ORIGIN, origin)
    path = Path(language) if language.endswith(".toml") else LANGUAGES / f"{language}.toml"
    if not path.is_file():
        raise ConfigError(
            f"There is no language {language!r}; there are {', '.join(languages())}, or give the path of a .toml file."
        )
    texts = _flat(path)
    for key, text in texts.items():
        if key not in origin:
            near = difflib.get_close_matches(key, origin, n=1)
            raise ConfigError(f"{path.name} has {key!r}, which the page never says{f'; {near[0]!r}?' if near else '.'}")
        if strange := placeholders(text) - placeholders(origin[key]):
            raise ConfigError(
                f"{key!r} in {path.name} has {{{sorted(strange)[0]}}}; "
                f"it may have {', '.join(sorted(placeholders(origin[key]))) or 'no names in braces'}."
            )
    return Catalogue(language, {**origin, **texts})


def placeholders(text: Text) -> frozenset[str]:
    """The {names} in a text, in all of its forms."""
    forms = text.values() if isinstance(text, dict) else (text,)
    return frozenset(name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name is not None)


_spoken = ORIGIN  # a program speaks one language, set once before it opens


def speak(language: str) -> None:
    """Which language `say` and the page use from now on. Raises ConfigError for one that has no file."""
    global _spoken
    catalogue(language)
    _spoken = language


def spoken() -> Catalogue:
    return catalogue(_spoken)


def say(key: str, /, **values: Any) -> str:
    """A text in the language of the page."""
    return spoken()(key, **values)


def _flat(path: Path) -> dict[str, Text]:
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The language file {path} cannot be read ({error}): please mend it.") from None
    return {f"{section}.{name}": text for section, texts in sections.items() for name, text in texts.items()}
