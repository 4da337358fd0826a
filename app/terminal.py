"""How a command of the app speaks: one sentence for what cannot be used, one exit code, one JSON object at the end.

Knows nothing of what the commands do.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from app.settings import Settings
from app.store import Store, open_store
from nsp_core.errors import UserError, WhatNextError

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class OneSentenceParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see: python {self.prog} --help.")


def run(parser: argparse.ArgumentParser, argv: list[str] | None, do: Callable[[Any], dict[str, Any]]) -> int:
    """Parse, do it, print its answer if that was asked for; returns the exit code."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        arguments = parser.parse_args(argv)
        answer = do(arguments)
    except KeyboardInterrupt:
        say("Stopped.")
        return EXIT_INTERRUPTED
    except WhatNextError as error:
        say(str(error))
        return EXIT_USAGE if isinstance(error, UserError) else EXIT_FAILED
    except OSError as error:
        say(f"{error.filename or 'A file'} could not be read or written ({error.strerror or error}).")
        return EXIT_FAILED
    if arguments.json:
        tell(json.dumps(answer))
    return 0


@contextlib.contextmanager
def open_existing(settings: Settings) -> Iterator[Store]:
    """The stories of a data folder. Raises UserError for a folder without any, and makes none there."""
    if not settings.database.is_file():
        raise UserError(f"There are no stories in {settings.data_dir}: name their folder with --data-dir.")
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def plain(text: str) -> str:
    """One line without control characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def tell(line: str) -> None:
    """What was asked for, to whoever or whatever reads the answers."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say(line: str) -> None:
    """What went wrong, to the person."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
