"""The media folder: is every file what its name says, has every row its file, and what is nobody's.

What is damaged goes to quarantine, never away; what follows from a take's lossless frames is made from them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import select

from app.checkup.finding import Finding, Findings, fine, in_bytes, mended, note, wrong
from app.store import Store
from app.store.errors import NotFound
from app.store.media import Media
from app.store.models import MediaLinkRow, MediaRow
from app.take_files import MAKERS
from nsp_core.errors import WhatNextError

Tell = Callable[[int, int], None]

_USERS = text(
    """
    SELECT media_link.id, media_link.role, media_link.take_id, media_link.job_id, story.title, scene.words, take.number
    FROM media_link LEFT JOIN take ON take.id = media_link.take_id
    LEFT JOIN scene ON scene.id = COALESCE(take.scene_id, media_link.scene_id)
    LEFT JOIN job ON job.id = media_link.job_id
    LEFT JOIN story ON story.id = COALESCE(scene.story_id, job.story_id)
    WHERE media_link.media_sha256 = :sha
    """
)


@dataclass
class Examined:
    """What hashing told. `bytes` and `seconds` are of the hashing alone."""

    sound: int = 0
    damaged: list[MediaRow] = field(default_factory=list)
    missing: list[MediaRow] = field(default_factory=list)
    nobodys: list[Path] = field(default_factory=list)  # files without a row
    strange: list[Path] = field(default_factory=list)  # files that no version of this program wrote
    bytes: int = 0
    seconds: float = 0.0


def look_at_files(store: Store, *, fix: bool, older_than: float, tell: Tell) -> Iterator[Finding]:
    found = examine(store, tell)
    yield fine("media_hashed", n=found.sound, size=in_bytes(found.bytes), rate=_rate(found))
    for row in found.damaged:
        yield from _mend(store, row, "media_damaged", fix=fix)
    for row in found.missing:
        yield from _mend(store, row, "media_gone", fix=fix)
    if found.strange:
        yield note("media_strange", n=len(found.strange), details=_names(found.strange))
    yield from _orphans(store, found.nobodys, fix=fix, older_than=older_than)


def examine(store: Store, tell: Tell) -> Examined:
    """Read every file under its name, and look for every row's file."""
    found = Examined()
    paths = sorted(path for path in store.media.root.glob("*/*") if path.parent.name != "tmp" and path.is_file())
    with store.database.reading() as session:  # after the folder: a file that comes now has no row yet or is not seen
        rows = {f"{row.sha256}.{row.ext}": row for row in session.exec(select(MediaRow)).all()}
    total = sum(_size(path) for path in paths)
    began = time.perf_counter()
    tell(0, total)
    for path in paths:
        row = rows.get(path.name)
        try:
            if store.media.path(path.name) != path:
                raise NotFound
        except NotFound:
            found.strange.append(path)
            continue
        whole = _whole(path)
        found.bytes += _size(path)
        tell(found.bytes, total)
        if whole is None:  # swept up or erased while we looked
            continue
        if row is None:
            found.nobodys.append(path)
        elif whole:
            found.sound += 1
        else:
            found.damaged.append(row)
    found.seconds = time.perf_counter() - began
    found.missing = [row for name, row in rows.items() if not store.media.path(name).exists() and _has_row(store, row)]
    return found


def quarantine(store: Store) -> Path:
    return store.settings.data_dir / "quarantine"


def _mend(store: Store, row: MediaRow, key: str, *, fix: bool) -> Findings:
    """Set a damaged file aside, then make it again where that can be done."""
    name = f"{row.sha256}.{row.ext}"
    users = _users(store, row.sha256)
    details = tuple(dict.fromkeys(user.said for user in users)) or ("nothing uses it",)
    if not fix:
        yield wrong(key, name=name, details=details)
        return
    path = store.media.path(name)
    if path.exists():
        quarantine(store).mkdir(exist_ok=True, mode=0o700)
        os.replace(path, quarantine(store) / name)
    if not users:
        with store.database.transaction() as session:
            store.media.sweep(session, [row.sha256])
        yield mended("media_unused", name=name)
        return
    lost = [user for user in users if not _make_again(store, row, user)]
    made = tuple(dict.fromkeys(user.said for user in users if user not in lost))
    if made:
        yield mended("media_remade", name=name, details=made)
    if lost:
        yield wrong(
            "media_lost",
            name=name,
            folder=str(quarantine(store)),
            details=tuple(dict.fromkeys(user.said for user in lost)),
        )


@dataclass(frozen=True)
class _User:
    """One link to a file: whose it is and how a person would call that."""

    link: str
    role: str
    take: str | None
    job: str | None
    said: str


def _users(store: Store, sha256: str) -> list[_User]:
    with store.database.reading() as session:
        rows = session.connection().execute(_USERS, {"sha": sha256}).all()
    users = []
    for link, role, take, job, title, words, number in rows:
        place = f"“{title}”" if title else "an upload"
        if take:
            place = f"take {number} of “{(words or '')[:60]}” in {place}"
        users.append(_User(link, role, take, job, f"{role} of {place}"))
    return users


def _make_again(store: Store, row: MediaRow, user: _User) -> bool:
    """From the lossless frames beside it. The new file may have another hash: the link follows."""
    from nsp_core.media.lossless import load_frames

    make = MAKERS.get(user.role) if user.role != "frames" else None  # type: ignore[call-overload]
    source = _frames_beside(store, user)
    if make is None or source is None or not _whole(store.media.path(source)):
        return False
    try:
        frames, fps = load_frames(store.media.path(source))
        made = make(store.media, frames, int(fps))
    except (WhatNextError, OSError, ValueError):
        return False
    with store.database.transaction() as session:
        Media.record(session, made)
        link = session.get(MediaLinkRow, user.link)
        if link is not None:
            link.media_sha256 = made.sha256
            session.flush()
        if made.sha256 != row.sha256:
            store.media.sweep(session, [row.sha256])
    return True


def _frames_beside(store: Store, user: _User) -> str | None:
    query = select(MediaRow).join(MediaLinkRow).where(MediaLinkRow.role == "frames")
    if user.take is None and user.job is None:
        return None
    wanted = MediaLinkRow.take_id == user.take if user.take else MediaLinkRow.job_id == user.job
    with store.database.reading() as session:
        row = session.exec(query.where(wanted).limit(1)).first()
    return None if row is None else f"{row.sha256}.{row.ext}"


def _orphans(store: Store, nobodys: list[Path], *, fix: bool, older_than: float) -> Findings:
    """Files without a row, rows without a link: a killed program leaves them, and nobody will ask for them again."""
    limit = time.time() - older_than
    old = [path for path in nobodys if _age(path) < limit]
    with store.database.reading() as session:
        rows = [f"{row.sha256}.{row.ext}" for row in session.exec(_unlinked()).all()]
    unlinked = [path for name in rows if _age(path := store.media.path(name)) < limit]
    size = sum(_size(path) for path in (*old, *unlinked))
    if not old and not unlinked:
        yield fine("orphans_none")
    elif not fix:
        yield note("orphans_found", n=len(old) + len(unlinked), size=in_bytes(size), details=_names([*old, *unlinked]))
    else:
        swept = [path for path in old if _sweep(store, path, limit)]
        with store.database.transaction() as session:
            gone = store.media.sweep(session, [path.name.partition(".")[0] for path in unlinked])
        swept += [path for path in gone if _sweep(store, path, limit)]
        yield mended("orphans_swept", n=len(swept), size=in_bytes(size), details=_names(swept))


def _sweep(store: Store, path: Path, limit: float) -> bool:
    """Remove a file without a row, unless it has just found a use: who keeps a file that is there makes it young."""
    aside = store.media.root / "tmp" / path.name
    aside.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileNotFoundError), store.database.transaction() as session:
        if session.get(MediaRow, path.name.partition(".")[0]) is not None:
            return False
        os.replace(path, aside)
        if _age(aside) >= limit:
            os.replace(aside, path)
            return False
        aside.unlink()
        return True
    return False


def _unlinked() -> Any:
    used = select(MediaLinkRow.id).where(MediaLinkRow.media_sha256 == MediaRow.sha256)
    return select(MediaRow).where(~used.exists())


def _has_row(store: Store, row: MediaRow) -> bool:
    with store.database.reading() as session:
        return session.get(MediaRow, row.sha256) is not None


def _whole(path: Path) -> bool | None:
    """Whether the file is what its name says; None when it is gone."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == path.name.partition(".")[0]
    except FileNotFoundError:
        return None


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _age(path: Path) -> float:
    """When the file was last kept; what is gone is as young as can be."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return float("inf")


def _names(paths: list[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in paths[:20])


def _rate(found: Examined) -> str:
    return f"{in_bytes(found.bytes / found.seconds)}/s" if found.seconds > 0 and found.bytes else "0 MB/s"
