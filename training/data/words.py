"""Who is asked for words and verdicts, by name: nobody, the starter, a service, a big model, or something of your own.

    none              nothing is asked; what has no words stays without them
    starter           the shipped model (training/data/starter.py)
    claude, server    nsp_core.judges' clients with their budget and kept answers (WHATNEXT_JUDGE_*)
    PATH              the reader of a big model (captions only)
    MODULE:NAME       a class of yours with captions(clips), precede(caption, frames, number) or
                      judge(preceding, caption, frames): each asked for what it has

Answers of services are kept, so that nothing is paid twice however often a run is stopped. Knows nothing of rows.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nsp_core.errors import ConfigError
from nsp_core.judges import Verdict, get_judge, templates
from nsp_core.judges.asking import Ask, object_schema
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.prices import NANO
from nsp_core.types import Frames, Scene, StoryContext
from training.evaluate.captioner import SERVICES, Caption, captioner_called

WRITTEN = object_schema(description={"type": "string"})
NOBODY = "nobody was asked"


class Nobody:
    name = "none"

    def captions(self, clips: Sequence[Frames]) -> list[Caption]:
        return [Caption(None, NOBODY) for _ in clips]

    def precede_all(self, asked: Sequence[tuple[str, Frames | None]], number: int) -> list[Caption]:  # noqa: ARG002
        return [Caption(None, NOBODY) for _ in asked]

    def judge_all(self, asked: Sequence[tuple[str, str, Frames | None]]) -> list[Verdict]:
        return [Verdict("missing", NOBODY, "none") for _ in asked]


class OneByOne:
    """Something that is asked about one clip at a time."""

    def __init__(self, of: Any) -> None:
        self._of, self.name = of, of.name
        self.captions = getattr(of, "captions", None)

    def precede_all(self, asked: Sequence[tuple[str, Frames | None]], number: int) -> list[Caption]:
        return [self._of.precede(caption, frames, number) for caption, frames in asked]

    def judge_all(self, asked: Sequence[tuple[str, str, Frames | None]]) -> list[Verdict]:
        return [self._of.judge(*one) for one in asked]


class Service:
    """Claude or a server: the paper's templates 11.1, one for writing and one for checking."""

    def __init__(self, name: str, rounds: int) -> None:
        # answers of several rounds differ only where they are sampled, and a server samples when there are votes
        config = replace(JudgeConfig.from_environment(), keep_answers=True, sees="words", template="11.1")
        self._writer: Any = get_judge(name, config=replace(config, votes=max(2, rounds)))
        self._judge: Any = get_judge(name, config=config)
        assert isinstance(self._judge, PaperJudge)
        self.name = self._judge.name

    def precede_all(self, asked: Sequence[tuple[str, Frames | None]], number: int) -> list[Caption]:
        asks = [Ask(precede_text(caption), WRITTEN, vote=number) for caption, _ in asked]
        answers = self._writer.asker.ask_all(asks)
        return [
            Caption(
                (str(one.fields["description"]).strip() or None) if one.fields else None,
                one.reason or ("" if one.fields and one.fields["description"] else "the writer wrote nothing"),
                one.cost_nano / NANO,
            )
            for one in answers
        ]

    def judge_all(self, asked: Sequence[tuple[str, str, Frames | None]]) -> list[Verdict]:
        pairs = [(StoryContext((Scene(before),)), Scene(caption)) for before, caption, _ in asked]
        return list(self._judge.judge_all(pairs))


def precede_text(caption: str) -> str:
    """The paper's template with its two slots: what the video shows, and the description that is asked for."""
    return f"{templates.PRECEDING_DESCRIPTION}\n\nThe video shows: {caption}\nDescription:"


@lru_cache(maxsize=8)
def asked_for_captions(name: str) -> Any:
    if name == "none":
        return Nobody()
    if name == "starter" or is_import(name):
        return made(name)
    return captioner_called(name, name, None)


@lru_cache(maxsize=8)
def asked_for_words(name: str, rounds: int) -> Any:
    """A writer, or a judge: precede_all and judge_all."""
    if name == "none":
        return Nobody()
    if name in SERVICES:
        return Service(name, rounds)
    if name == "starter" or is_import(name):
        return OneByOne(made(name))
    raise ConfigError(f"Nobody is called '{name}'; there are none, starter, claude, server and MODULE:NAME.")


@lru_cache(maxsize=8)
def made(name: str) -> Any:
    if name == "starter":
        from training.data.starter import Starter

        return Starter()
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"'{name}' cannot be had: {error}.") from error


def is_import(name: str) -> bool:
    module, colon, attribute = name.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))
