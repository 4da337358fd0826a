"""C2PA content credentials: who says that a file was made so, bound to its every byte, written as the last thing.

Whatever changes the file afterwards breaks them, and a copy of its streams (`ffmpeg -c copy`) drops them. The library
c2pa-python (the extra "provenance") writes them into MP4, GIF, WebP, PNG and PDF; it has no place for them in WebM and
in text. No network is asked for anything, but for the time where an authority for that was named.
Specification: https://spec.c2pa.org/specifications/specifications/2.2/specs/C2PA_Specification.html
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from app.identity import new_id
from app.provenance.account import NAME, Provenance
from app.provenance.certificate import Identity, identity_of
from nsp_core.errors import UserError

log = logging.getLogger(__name__)

SIGNED = {  # ending: what the library calls it
    "mp4": "video/mp4",
    "gif": "image/gif",
    "webp": "image/webp",
    "png": "image/png",
    "pdf": "application/pdf",
}
RECIPE = "local.what-happens-next.recipe"  # our assertion, which holds an Account
MOST_PARTS = 400  # of what a file was put together from; longer films name theirs in the recipe only
_IN_MEMORY = 16  # MB of a file that the library may hold; beyond that it works in a temporary file
_PIECE = 1024  # KB of a film that are hashed as one; without this the library reads 256 MB at once, twice
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"

Why = Literal["", "library", "form", "failed"]


@dataclass(frozen=True)
class Part:
    """A clip that the file shows. `scene`: its id."""

    path: Path
    scene: str


@dataclass(frozen=True)
class Sealed:
    """`by`: the certificate's name; "" for a file that is not signed, and `why` it is not."""

    by: str = ""
    own: bool = False
    why: Why = ""


def can_sign() -> bool:
    return importlib.util.find_spec("c2pa") is not None


def settings_of(anchors: str = "") -> dict[str, Any]:
    """Of the library: nothing is fetched, because of what a stranger's file says, either. `anchors`: PEM of those whose
    signatures are trusted."""
    trusted = {"trust": {"trust_anchors": anchors}} if anchors else {}
    return {
        "verify": {
            "verify_after_sign": False,
            "remote_manifest_fetch": False,
            "ocsp_fetch": False,
            "verify_trust": True,
        },
        "builder": {"thumbnail": {"enabled": False}},
        "core": {
            "backing_store_memory_threshold_in_mb": _IN_MEMORY,
            "merkle_tree_chunk_size_in_kb": _PIECE,
        },
        **trusted,
    }


def seal(
    path: Path,
    ending: str,
    provenance: Provenance,
    *,
    title: str,
    changes: Sequence[str] = (),
    parts: Sequence[Part] = (),
) -> Sealed:
    """Sign the finished file at `path`, in its place. `changes`: in words, what was done to the parts beside placing
    them. Raises UserError when the person's own certificate cannot be used; without one it stays unsigned instead."""
    if ending not in SIGNED:
        return Sealed(why="form")
    if not can_sign():
        return Sealed(why="library")
    own = bool(provenance.signing.certificate or provenance.signing.key)
    signed = path.with_name(f"{path.name}.{new_id()}.partial")
    try:
        who = identity_of(provenance.signing)
        manifest = manifest_of(ending, provenance, title, changes, parts)
        _write(path, signed, ending, who, provenance.signing.timestamps, manifest, parts)
        os.replace(signed, path)
    except UserError:
        raise
    except Exception as error:
        if own:
            raise UserError(f"The file could not be signed with your certificate ({str(error)[:200]}).") from error
        log.warning("not signed: %s", error)
        return Sealed(why="failed")
    finally:
        signed.unlink(missing_ok=True)
    return Sealed(who.name, who.own)


def manifest_of(
    ending: str, provenance: Provenance, title: str, changes: Sequence[str], parts: Sequence[Part]
) -> dict[str, Any]:
    """What is signed: made by a model (or put together with its work), from which clips, and the recipe."""
    account = provenance.account
    agent = {"name": NAME, "version": account.version}
    actions: list[dict[str, Any]] = [
        {"action": "c2pa.created", "digitalSourceType": _SOURCE_TYPES + account.source_type, "softwareAgent": agent}
    ]
    if 0 < len(parts) <= MOST_PARTS:
        names = [_name(number, part) for number, part in enumerate(parts, 1)]
        actions.append({"action": "c2pa.placed", "softwareAgent": agent, "parameters": {"ingredientIds": names}})
    actions += [{"action": "c2pa.edited", "softwareAgent": agent, "description": change} for change in changes]
    return {
        "claim_generator_info": [agent],
        "title": title,
        "format": SIGNED[ending],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": RECIPE, "data": json.loads(json.dumps(asdict(account)))},
        ],
    }


def _write(
    path: Path,
    signed: Path,
    ending: str,
    who: Identity,
    timestamps: str,
    manifest: dict[str, Any],
    parts: Sequence[Part],
) -> None:
    c2pa: Any = importlib.import_module("c2pa")
    # the library takes bytes here; None: no authority is asked for the time
    info = c2pa.C2paSignerInfo(who.algorithm, who.chain.encode(), who.key.encode(), timestamps.encode() or None)
    context = c2pa.Context.from_dict(settings_of())
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder.from_json(json.dumps(manifest), context) as builder:
        if len(parts) <= MOST_PARTS:
            for number, part in enumerate(parts, 1):
                named = {
                    "title": f"Scene {number}",
                    "relationship": "componentOf",
                    "instance_id": _name(number, part),
                    "description": part.scene,
                }
                with part.path.open("rb") as clip:
                    builder.add_ingredient(json.dumps(named), "video/mp4", clip)
        with path.open("rb") as source, signed.open("x+b") as target:
            builder.sign(signer, SIGNED[ending], source, target)


def _name(number: int, part: Part) -> str:
    return f"{number}:{part.path.stem}"
