"""The words of the page: every one that is asked for is there, every one that is there is asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.catalogue import LANGUAGES, ORIGIN, Catalogue, catalogue, languages, placeholders, say, speak
from app.settings import ROOT, Settings
from nsp_core.errors import ConfigError

CLIENT = ROOT / "app" / "pages" / "client"
TEXTS = catalogue().texts
SECTIONS = frozenset(key.partition(".")[0] for key in TEXTS)
_KEY = re.compile(r"""["'`]([a-z][a-z0-9]*\.[a-z](?:[a-z0-9_]*[a-z0-9])?)["'`]""")
_START = re.compile(r"""["'`]([a-z][a-z0-9]*\.[a-z0-9_]*_|[a-z][a-z0-9]*\.)["'`$\{]""")  # a key that is put together
_CALL = re.compile(r"\bT\(\s*\"([a-z0-9_.]+)\"\s*,\s*\{([^{}]*)\}")
_NAMES = re.compile(r"(?:^|,)\s*(\w+)\s*(?=[:,]|$)")


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted([*CLIENT.glob("*.js"), *(ROOT / "app").rglob("*.py")]):
        yield path, path.read_text(encoding="utf-8")


def test_every_word_that_is_asked_for_is_there() -> None:
    lacking = {
        f"{path.name}: {key}"
        for path, text in sources()
        for key in _KEY.findall(text)
        if key.partition(".")[0] in SECTIONS and key not in TEXTS and _is_asked(text, key)
    }
    assert not lacking


def _is_asked(text: str, key: str) -> bool:
    """Whether such a string stands where words are asked for, and is not a file's name or a point in a log."""
    return re.search(rf"(?:\bT|\bsay)\([^()]*[\"'`]{re.escape(key)}[\"'`]", text) is not None


def test_every_word_that_is_there_is_asked_for() -> None:
    texts = [text for _, text in sources()]
    used = {key for text in texts for key in _KEY.findall(text)}
    starts = tuple({start for text in texts for start in _START.findall(text) if start.partition(".")[0] in SECTIONS})
    idle = {key for key in TEXTS if key not in used and not key.startswith(("language.", *starts))}
    assert not idle


def test_what_is_filled_in_is_what_the_words_ask_for() -> None:
    wrong = set()
    for path, text in sources():
        for key, given in _calls(path, text):
            if key in TEXTS and placeholders(TEXTS[key]) - given:
                wrong.add(f"{path.name}: {key} wants {sorted(placeholders(TEXTS[key]))}, is given {sorted(given)}")
    assert not wrong


def _calls(path: Path, text: str) -> Iterator[tuple[str, frozenset[str]]]:
    """(key, names given) of every call with a plain key whose names can be read off."""
    if path.suffix == ".js":
        for key, values in _CALL.findall(text):
            yield key, frozenset(_NAMES.findall(values))
        for key in re.findall(r"\bT\(\s*\"([a-z0-9_.]+)\"\s*\)", text):
            yield key, frozenset()
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
            key = node.args[0]
            if isinstance(key, ast.Constant) and all(one.arg for one in node.keywords):
                yield str(key.value), frozenset(str(one.arg) for one in node.keywords)


def test_scripts_and_server_say_nothing_of_their_own() -> None:
    """A sentence in quotes in a script of the page, or in what the server tells a person, is in no other language."""
    sentence = re.compile(r"\"[A-Z][a-z]+(?: [a-z’']+){2,}[^\"]*\"")
    scripts = [(path, text) for path, text in sources() if path.suffix == ".js"]
    own = {f"{path.name}: {found}" for path, text in scripts for found in sentence.findall(text)}
    for path in sorted((ROOT / "app" / "pages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("UserError", "Told"):
                own |= {
                    f"{path.name}: {part.value}"
                    for argument in node.args
                    for part in ast.walk(argument)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and " " in part.value
                }
    assert not own


@pytest.mark.parametrize("name", [name for name in languages() if name != ORIGIN] or [ORIGIN])
def test_every_language_can_be_spoken(name: str) -> None:
    assert catalogue(name).texts.keys() == TEXTS.keys()


def test_numbers_take_their_form() -> None:
    told = Catalogue(
        "pl",
        {
            "language.forms": "one few many",
            "language.plural": "n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2",
            "a.scenes": {"one": "{n} scena", "few": "{n} sceny", "many": "{n} scen", "other": "{n} sceny"},
        },
    )
    assert [told("a.scenes", n=n) for n in (1, 3, 5, 12, 22)] == ["1 scena", "3 sceny", "5 scen", "12 scen", "22 sceny"]


def test_a_language_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "xx.toml"
    path.write_text('[language]\ncode = "xx"\n[page]\nname = "Und dann?"\n', encoding="utf-8")
    try:
        speak(str(path))
        assert say("page.name") == "Und dann?"
        assert say("page.all_stories") == TEXTS["page.all_stories"]  # what is not translated yet stays as it is
    finally:
        speak(ORIGIN)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[page]\nnames = "x"\n', "page.name"),
        ('[strip]\nscene = "{number}: {words}"\n', "number"),
        ("[page\n", "cannot be read"),
    ],
)
def test_a_mistake_in_a_language_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(says)):
        catalogue(str(path))


def test_a_language_that_nobody_wrote_is_one_sentence() -> None:
    assert Settings.from_environment({"WHATNEXT_LANGUAGE": "tlh"}).language == "tlh"
    with pytest.raises(ConfigError, match="tlh"):
        speak("tlh")
    assert (LANGUAGES / "en.toml").is_file()
