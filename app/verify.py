"""`python -m app.verify FILE`: what a file says of itself, and whether it is still as it was signed.

Reads C2PA content credentials (of any program) and the recipe that our own files carry, signed or not. A signature of a
certificate that is not known here shows that the file is whole, and not who made it: anyone can take any name.
Known are this installation's own certificate, WHATNEXT_CERTIFICATE's, and what --anchors names. Whether stories, media
and models are whole is what `doctor` looks for.

Exit codes: 0 whole and signed; 1 changed since, or its credentials do not hold, or it has none, or it is damaged; 2 it
cannot be looked at. --json ends with {"file", "kind", "state", "signer", "title", "made_with", "problems", "recipe",
"recipe_signed"}; a state is whole, changed, invalid, unsigned or damaged.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from app.provenance.account import Signing
from app.provenance.certificate import certificates, known_roots
from app.provenance.reading import NAMES, Found, look
from app.settings import Settings
from app.terminal import EXIT_FAILED, OneSentenceParser, plain, run, tell
from nsp_core.errors import UserError

_MOST_SCENES = 12


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py verify", description="Say what a file is, and whether it was changed.")
    made.add_argument("file", type=Path, metavar="FILE", help="a film, picture, book, page, captions, cut or pack")
    made.add_argument("--anchors", type=Path, metavar="PEM", help="certificates whose signatures are to be trusted")
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    states: list[str] = []

    def verify(arguments: argparse.Namespace) -> dict[str, Any]:
        found = look(arguments.file, anchors=anchors_of(arguments))
        states.append(found.state)
        for line in lines_of(arguments.file.name, found):
            tell(line)
        return {"file": str(arguments.file), **found.json()}

    code = run(parser(), argv, verify)
    return EXIT_FAILED if code == 0 and states != ["whole"] else code


def anchors_of(arguments: argparse.Namespace) -> str:
    settings = Settings.from_environment(data_dir=arguments.data_dir)
    known = known_roots(Signing(str(settings.data_dir / "signing"), settings.certificate))
    if arguments.anchors is None:
        return known
    try:
        return known + "".join(certificates(arguments.anchors.read_text(encoding="ascii")))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{arguments.anchors} cannot be read as PEM ({type(error).__name__}).") from error


def lines_of(name: str, found: Found) -> list[str]:
    """What is said of the file, its verdict first."""
    name = f"{plain(name)} is {NAMES[found.kind]}"
    codes = ", ".join(plain(code) for code in found.problems)
    lines = [
        {
            "whole": f"{name}, whole: it has not been changed since it was signed.",
            "changed": f"{name} that was CHANGED after it was signed ({codes}): what it says of itself may be false.",
            "invalid": f"{name} whose credentials DO NOT HOLD ({codes}): do not rely on them.",
            "unsigned": f"{name} without content credentials: nobody can tell whether it was changed.",
            "damaged": f"{name}, but DAMAGED: it cannot be read as what it is ({codes}).",
        }[found.state]
    ]
    if found.kind == "pack" and found.state == "unsigned":
        lines.append("Every file in it is as its own list says; who changes a file can change the list, too.")
    if found.signer is not None:
        who = f"Signed by “{plain(found.signer.name) or 'nobody named'}” ({plain(found.signer.issuer) or 'no issuer'})"
        when = f", {plain(found.signer.time)}" if found.signer.time else ""
        known = "a certificate that is known here" if found.signer.trusted else "which nobody here vouches for"
        lines.append(f"{who}{when}: {known}. Made with {plain(found.made_with) or 'a program that does not say'}.")
    if found.recipe is not None:
        lines += recipe_lines(found.recipe, signed=found.recipe_signed)
    return lines


def recipe_lines(recipe: dict[str, Any], *, signed: bool) -> list[str]:
    """The recipe, as far as it can be read: it may have been written by anybody."""
    scenes = [one for one in _list(recipe.get("scenes")) if isinstance(one, dict)]
    models = [one for one in _list(recipe.get("models")) if isinstance(one, dict)]
    drawn = [one for one in scenes if one.get("kind") == "drawn"]
    made = plain(f"{recipe.get('made_with', '')} {recipe.get('version', '')}")
    how = "Its recipe" if signed else "Its recipe, which is not signed,"
    lines = [f"{how} names {made} and what it shows: {len(scenes)} takes, {len(drawn)} of them drawn."]
    for number, scene in enumerate(scenes[:_MOST_SCENES], 1):
        place = scene.get("model")
        model = models[place] if isinstance(place, int) and 0 <= place < len(models) else {}
        what = plain(str(model.get("model", scene.get("kind", "")))[:80])
        mark = plain(str(model.get("fingerprint", ""))[:16])
        seed = f", seed {plain(str(scene['seed'])[:24])}" if "seed" in scene else ""
        words = f": {plain(str(scene['words'])[:120])}" if scene.get("words") else ""
        lines.append(f"  {number}. {what}{f' ({mark})' if mark else ''}{seed}{words}")
    if len(scenes) > _MOST_SCENES:
        lines.append(f"  … and {len(scenes) - _MOST_SCENES} more; --json has them all.")
    return lines


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


if __name__ == "__main__":
    sys.exit(main())
