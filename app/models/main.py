"""`python -m app.models.main list|get|remove|verify`: what people do with the weights of the big models.

They lie in the cache that all programs of this person share (HF_HOME). NAME is a repository of weights, its last part,
or a tier (gpu-16); `get` without one takes what suits this machine best. Only safetensors and plain text are ever
fetched, at pinned commits, and every hash is compared; a download that was cut goes on where it ended.

--json ends with
    list    {"cache", "free", "best", "models": [{"name", "revision", "commit", "status", "have", "size", "tiers"}]}
    get     {"models": [...as above], "bytes", "seconds"}
    remove  {"removed": [NAME], "freed"}
    verify  {"ok", "models": [{"name", "commit", "files", "damaged", "lacking", "four_bits"}]}
`four_bits` is null or what four bits cost the reader, {"at_queries", "cosine_at_queries", "at_connector",
"cosine_at_connector", "scenes", "trained"}: measured by `verify --four-bits`, kept, and shown from then on. Sizes are
in bytes; a status is here, part or absent, `size` null while the hub was never asked, `commit` likewise.
Exit codes: 0 done, 1 it could not be had or is damaged, 2 the name cannot be used, 130 stopped (what came is kept).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.checkup.finding import in_bytes
from app.models.four_bits import four_bit_error, four_bit_words
from app.models.line import Line
from app.models.shelf import Item, Shelf, free_beside
from app.settings import Settings
from app.terminal import EXIT_FAILED, OneSentenceParser, run, tell
from nsp_core import hardware
from nsp_core.errors import UserError
from nsp_core.fit import largest
from nsp_core.weights.fetch import fetch
from nsp_core.weights.verify import verify

_STATUS = {"here": "here", "part": "in part", "absent": "not here"}


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py models", description="List, fetch, verify and remove the big models.")
    made.add_argument("do", choices=("list", "get", "remove", "verify"), help="what to do")
    made.add_argument("names", nargs="*", metavar="NAME", help="weights or a tier (get: what suits this machine)")
    made.add_argument("--four-bits", action="store_true", help="verify: measure what four bits cost the reader, too")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    code = 0

    def do(arguments: argparse.Namespace) -> dict[str, Any]:
        nonlocal code
        if arguments.four_bits and arguments.do != "verify":
            raise UserError("--four-bits goes with verify.")
        if arguments.do == "verify":
            answer = check(arguments.names, four_bits=arguments.four_bits)
        else:
            answer = {"list": show, "get": get, "remove": remove}[arguments.do](arguments.names)
        code = EXIT_FAILED if answer.get("ok") is False else 0
        return answer

    return run(parser(), argv, do) or code


def show(names: list[str]) -> dict[str, Any]:
    shelf = Shelf.here()
    items = shelf.called(names) if names else shelf.items
    best = largest(hardware.look()).name
    for item in items:
        state = item.state
        size = in_bytes(state.size) if state.size else "size not asked yet"
        have = f"{in_bytes(state.have)} of {size}" if item.status == "part" else size
        tell(f"{_STATUS[item.status]:9} {item.name} ({have}), for {', '.join(item.tiers)}")
    tell(f"They lie in {shelf.cache.root}. What suits this machine best: {best}.")
    return {
        "cache": str(shelf.cache.root),
        "free": free_beside(shelf.cache.root),
        "best": best,
        "models": [plain(item) for item in items],
    }


def get(names: list[str]) -> dict[str, Any]:
    shelf = Shelf.here()
    items = shelf.called(names or [suiting()])
    before, began = sum(item.state.have for item in items), time.monotonic()
    with Line(sys.stderr) as line:
        states = fetch([item.model for item in items], cache=shelf.cache, tell=line.show)
    seconds, fresh = time.monotonic() - began, sum(state.have for state in states) - before
    items = Shelf(shelf.cache).called(item.name for item in items)
    for item in items:
        tell(f"{item.name} is here, whole and verified ({in_bytes(item.state.size)}).")
    return {"models": [plain(item) for item in items], "bytes": fresh, "seconds": round(seconds, 1)}


def suiting() -> str:
    """The tier that suits this machine. Raises UserError when that came with the program."""
    best = largest(hardware.look())
    if not best.models:
        raise UserError(
            "This machine has no graphics card with 8 GB or more, so the starter suits it best, which came with the "
            "program; name a model if you want one all the same."
        )
    return best.name


def remove(names: list[str]) -> dict[str, Any]:
    shelf = Shelf.here()
    items = named(shelf, names, "remove")
    freed, gone = 0, []
    for item in items:
        if item.status != "absent":
            freed += shelf.cache.remove(item.model)
            gone.append(item.name)
    tell(f"Removed {', '.join(gone)}: {in_bytes(freed)} are free again." if gone else "There was nothing to remove.")
    return {"removed": gone, "freed": freed}


def check(names: list[str], *, four_bits: bool = False) -> dict[str, Any]:
    """Of all that is here when nothing is named."""
    shelf = Shelf.here()
    items = shelf.called(names) if names else tuple(item for item in shelf.items if item.status != "absent")
    answers = []
    given = Settings.from_environment().connector
    connector = Path(given) if given else None
    for item in items:
        with Line(sys.stderr, item.name) as line:
            verdict = verify(item.model, cache=shelf.cache, tell=line.looked)
        if verdict.good:
            tell(f"{item.name}: all {verdict.files} files are what the hub promised.")
        for file in verdict.damaged:
            tell(f"{item.name}: {file} is damaged; python launch.py models get {item.name} fetches it anew.")
        if verdict.lacking:
            tell(
                f"{item.name}: {len(verdict.lacking)} of {verdict.files} files are not here; python launch.py models "
                f"get {item.name} goes on with them."
            )
        cost = four_bit_error(shelf.cache, item.model, fresh=four_bits and verdict.good, connector=connector)
        if cost is not None:
            tell(f"{item.name}: {four_bit_words(cost)}")
        answers.append(
            {
                "name": item.name,
                "commit": verdict.commit,
                "files": verdict.files,
                "damaged": list(verdict.damaged),
                "lacking": list(verdict.lacking),
                "four_bits": asdict(cost) if cost else None,
            }
        )
    if not items:
        tell("No big model is here: python launch.py models get.")
    return {"ok": all(not one["damaged"] and not one["lacking"] for one in answers), "models": answers}


def named(shelf: Shelf, names: Iterable[str], what: str) -> tuple[Item, ...]:
    names = list(names)
    if not names:
        raise UserError(f"What to {what} is missing; see: python launch.py models list.")
    return shelf.called(names)


def plain(item: Item) -> dict[str, Any]:
    state = item.state
    return {
        "name": item.name,
        "revision": item.model.revision,
        "commit": state.record.commit if state.record else None,
        "status": item.status,
        "have": state.have,
        "size": state.size or None,
        "tiers": list(item.tiers),
    }


if __name__ == "__main__":
    sys.exit(main())
