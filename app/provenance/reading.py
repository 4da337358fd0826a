"""What a file says of itself: its kind, whether its credentials hold, who gave them, and its recipe.

The file may come from anybody: no picture of it is shown, nothing is written, and no address in it is followed.
"""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.pack.archive import opened
from app.pack.checking import read_story
from app.pack.form import MANIFEST, STORY, NotAPack
from app.provenance.account import NAME
from app.provenance.credentials import RECIPE, can_sign, settings_of
from app.provenance.remarks import remark_in
from nsp_core.errors import UserError

State = Literal["whole", "changed", "invalid", "unsigned", "damaged"]

NAMES = {
    "mp4": "an MP4 film",
    "webm": "a WebM film",
    "gif": "a GIF",
    "webp": "a WebP picture",
    "png": "a PNG picture",
    "jpeg": "a JPEG picture",
    "pdf": "a PDF",
    "html": "a page",
    "vtt": "WebVTT captions",
    "srt": "SubRip captions",
    "otio": "a cut for other programs",
    "zip": "a zip archive",
    "pack": "a storypack",
}
_MEDIA_TYPES = {
    "mp4": "video/mp4",
    "gif": "image/gif",
    "webp": "image/webp",
    "png": "image/png",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "zip": "zip",
}
_MOST_CODES = 20


@dataclass(frozen=True)
class Signer:
    """`trusted`: the signature leads to a certificate that is known here; without that, anyone can take any name.
    `time`: when an authority saw it signed."""

    name: str
    issuer: str
    trusted: bool
    time: str | None = None


@dataclass(frozen=True)
class Found:
    """`state`: whole (nothing changed since it was signed), changed, invalid (the bytes are the same, but the
    credentials do not hold, such as after their certificate's end), unsigned, damaged (it cannot be read as what it
    is). `problems`: codes of the C2PA specification. `recipe`: what it tells of its making, signed or not."""

    kind: str
    state: State
    signer: Signer | None = None
    title: str = ""
    made_with: str = ""
    problems: tuple[str, ...] = ()
    recipe: dict[str, Any] | None = None
    recipe_signed: bool = False

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "problems": list(self.problems)}


def look(path: Path, *, anchors: str = "") -> Found:
    """`anchors`: PEM of those whose signatures are trusted. Raises UserError for what cannot be looked at."""
    kind = kind_of(path)
    if kind == "pack":
        return _pack(path)
    if kind in _MEDIA_TYPES:
        if not can_sign():
            raise UserError(
                "Content credentials are read with a library that is not here: install it (pip install c2pa-python)."
            )
        found = _credentials(path, kind, anchors)
    else:
        found = Found(kind, "unsigned")
    if found.recipe is None and found.state != "damaged":
        told = _told(remark_in(path, kind))
        found = replace(found, recipe=told)
    return found


def kind_of(path: Path) -> str:
    """By its beginning, whatever it is called. Raises UserError."""
    if not path.is_file():
        raise UserError(f"There is no file {path}: check its name.")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start:
        raise UserError(f"{path.name} is empty: there is nothing to look at.")
    for kind, at, sign in (
        ("mp4", 4, b"ftyp"),
        ("webm", 0, b"\x1a\x45\xdf\xa3"),
        ("gif", 0, b"GIF8"),
        ("webp", 8, b"WEBP"),
        ("png", 0, b"\x89PNG\r\n\x1a\n"),
        ("jpeg", 0, b"\xff\xd8\xff"),
        ("pdf", 0, b"%PDF-"),
        ("zip", 0, b"PK\x03\x04"),
    ):
        if start[at:].startswith(sign):
            return "pack" if kind == "zip" and _is_pack(path) else kind
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:15].lower().startswith((b"<!doctype html", b"<html")):
        return "html"
    if text.startswith(b"WEBVTT"):
        return "vtt"
    if text.startswith(b"{") and b'"OTIO_SCHEMA"' in text:
        return "otio"
    if b" --> " in text[:200]:
        return "srt"
    raise UserError(f"{path.name} is nothing that is written here: verify reads {', '.join(NAMES)} files.")


def _is_pack(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return MANIFEST in archive.namelist() and STORY in archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        return False


def _pack(path: Path) -> Found:
    """A pack has no credentials: its list has a hash of every file, and whoever changes a file can change the list."""
    try:
        with opened(path) as pack:
            for member in pack.manifest.files:
                pack.take_out(member, None)
            story, version = read_story(pack.story(), pack.name), pack.manifest.version
    except NotAPack as error:
        return Found("pack", "damaged", problems=(_short(error),))
    scenes: list[dict[str, Any]] = []
    models: list[dict[str, Any]] = []
    for number, scene in enumerate(story.scenes):
        for take in scene.takes:
            told: dict[str, Any] = {"scene": number, "after": scene.parent, "kind": take.kind, "words": scene.words}
            if take.recipe is not None:
                model = {"model": take.recipe.model, "fingerprint": take.recipe.fingerprint}
                if model not in models:
                    models.append(model)
                told |= {"model": models.index(model), "seed": take.recipe.seed, "words": take.recipe.words}
            scenes.append(told)
    recipe = {"made_with": NAME, "version": version, "models": models, "scenes": scenes, "prompts": True}
    return Found("pack", "unsigned", title=story.title, made_with=f"{NAME} {version}".strip(), recipe=recipe)


def _credentials(path: Path, kind: str, anchors: str) -> Found:
    c2pa: Any = importlib.import_module("c2pa")
    with path.open("rb") as file:
        try:
            reader = c2pa.Reader(_MEDIA_TYPES[kind], file, context=c2pa.Context.from_dict(settings_of(anchors)))
        except c2pa.C2paError as error:
            missing = isinstance(error, c2pa.C2paError.ManifestNotFound)
            return Found(kind, "unsigned" if missing else "damaged", problems=() if missing else (_short(error),))
        with reader:
            told = json.loads(reader.json())
    active = told["manifests"][told["active_manifest"]]
    results = told.get("validation_results", {}).get("activeManifest", {})
    problems = [one["code"] for one in results.get("failure", [])]
    problems += [one["code"] for one in told.get("validation_status", []) if one["code"] not in problems]
    trusted = told.get("validation_state") == "Trusted"
    problems = [code for code in problems if code != "signingCredential.untrusted"]
    state: State = "whole"
    if told.get("validation_state") not in ("Valid", "Trusted"):
        state = "changed" if _changed(problems) else "invalid"
    signature = active.get("signature_info") or {}
    generator = (active.get("claim_generator_info") or [{}])[0]
    recipes = [one["data"] for one in active.get("assertions", []) if one.get("label") == RECIPE]
    return Found(
        kind,
        state,
        Signer(
            str(signature.get("common_name") or ""), str(signature.get("issuer") or ""), trusted, signature.get("time")
        ),
        str(active.get("title") or ""),
        f"{generator.get('name', '')} {generator.get('version', '')}".strip(),
        tuple(problems[:_MOST_CODES]),
        recipes[0] if recipes and isinstance(recipes[0], dict) else None,
        bool(recipes) and state == "whole",
    )


def _changed(problems: Sequence[str]) -> bool:
    """Codes of C2PA 2.2, section 15.2, that say of the bytes that they are others than those that were signed."""
    return any(code.endswith((".mismatch", ".missing", ".malformed", ".inaccessible")) for code in problems)


def _told(remark: str | None) -> dict[str, Any] | None:
    try:
        found = json.loads(remark) if remark else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "scenes" in found and "made_with" in found else None


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
