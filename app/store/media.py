"""Files named by their content: media/ab/<sha256>.<ext>. Knows nothing of stories.

A file is written to a temporary name, forced to disk and renamed, so a name never points to half a file; its row is
written after it. What has no row, or a row without links, is swept up later.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, select

from app.identity import new_id
from app.killpoints import reached
from app.store.errors import NotFound
from app.store.models import MediaLinkRow, MediaRow
from nsp_core.errors import UnreadableMedia

# what a browser is sent, and as what; nothing that a browser would run
SERVED = {
    "mp4": "video/mp4",
    "webm": "video/webm",
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "avif": "image/avif",
}
# what is kept: that, what people upload, and our own lossless files
KEPT = frozenset(SERVED) | {
    "npz",
    "safetensors",
    "jpeg",
    "heic",
    "heif",
    "bmp",
    "tif",
    "tiff",
    "mov",
    "m4v",
    "mkv",
    "avi",
    "mpg",
    "mpeg",
    "ts",
    "flv",
    "ogv",
    "wmv",
    "y4m",
    "ivf",
}
_NAME = re.compile(r"([0-9a-f]{64})\.([a-z0-9]{1,11})")


@dataclass(frozen=True)
class MediaFile:
    """A file that is on disk under its name; the row may still be missing."""

    sha256: str
    ext: str
    bytes: int
    width: int | None = None
    height: int | None = None
    frame_count: int | None = None
    fps: float | None = None
    seconds: float | None = None
    has_audio: bool | None = None

    @property
    def name(self) -> str:
        return f"{self.sha256}.{self.ext}"


class Media:
    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Where the file of that name is. Raises NotFound for a name that no file of ours can have."""
        match = _NAME.fullmatch(name)
        if match is None or match[2] not in KEPT:
            raise NotFound("There is no such file: media are named <sha256>.<ext>.")
        return self.root / name[:2] / name

    def read(self, name: str) -> bytes:
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            raise NotFound(f"The file {name} is gone from {self.root}: restore a backup of that folder.") from None

    def put_bytes(self, data: bytes, ext: str, **facts: Any) -> MediaFile:
        def fill(partial: Path) -> None:
            partial.write_bytes(data)

        return self._keep(hashlib.sha256(data).hexdigest(), len(data), ext, fill, facts)

    def put_file(self, source: Path, ext: str = "", **facts: Any) -> MediaFile:
        """Keep a copy of `source`. The extension is the source's own when none is given."""
        ext = ext or source.suffix.lstrip(".")

        def fill(partial: Path) -> None:
            shutil.copyfile(source, partial)

        return self._keep(_sha256(source), source.stat().st_size, ext, fill, facts)

    def make(self, ext: str, write: Callable[[Path], Any], **facts: Any) -> MediaFile:
        """Let `write` produce a file at a path of the right extension, then keep it."""
        partial = self._scratch(ext)
        try:
            write(partial)
            reached("media.made")
            return self._keep(_sha256(partial), partial.stat().st_size, ext, partial.replace, facts)
        finally:
            partial.unlink(missing_ok=True)

    def _keep(self, sha256: str, size: int, ext: str, fill: Callable[[Path], Any], facts: dict[str, Any]) -> MediaFile:
        ext = ext.lower()
        if ext not in KEPT:
            raise UnreadableMedia(
                f"Files of type .{ext} cannot be used; use a picture (png, jpg, webp) or a clip (mp4)."
            )
        media = MediaFile(sha256, ext, size, **facts)
        target = self.path(media.name)
        if _is_there(target, size):
            return media
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = self._scratch("partial")
        try:
            fill(partial)
            reached("media.written")
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            reached("media.synced")
            os.replace(partial, target)
            reached("media.renamed")
            _sync_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
        return media

    def _scratch(self, ext: str) -> Path:
        """A new name on the same disk; what a killed process leaves there is swept up by `clear_scratch`."""
        folder = self.root / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{new_id()}.{ext}"

    def clear_scratch(self, *, older_than: float = 3600.0) -> int:
        """Remove half-written files that nobody is writing any more; returns how many there were."""
        limit = time.time() - older_than
        old = [path for path in (self.root / "tmp").glob("*") if path.stat().st_mtime < limit]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)

    def discard(self, session: Session, files: Iterable[MediaFile]) -> None:
        """Files that no row ever spoke of. The transaction keeps others from beginning to use them meanwhile."""
        for file in files:
            if session.get(MediaRow, file.sha256) is None:
                self.path(file.name).unlink(missing_ok=True)

    @staticmethod
    def record(session: Session, media: MediaFile) -> None:
        """The row of a file that is already on disk. A file that is known stays as it was first written."""
        if session.get(MediaRow, media.sha256) is None:
            session.add(MediaRow(**media.__dict__))
            session.flush()

    @classmethod
    def link(cls, session: Session, media: MediaFile, role: str, *, owner_id: str, **user: Any) -> None:
        """`user` is one of take_id, scene_id, job_id, and perhaps number and name."""
        if len({"take_id", "scene_id", "job_id"} & set(user)) != 1:
            raise ValueError(f"A link names exactly one user of a file, got {sorted(user)}.")
        cls.record(session, media)
        session.add(MediaLinkRow(owner_id=owner_id, media_sha256=media.sha256, role=role, **user))

    def unlink_job(self, session: Session, job_id: str) -> list[Path]:
        """A job has no use for its files any more; returns those that nobody has, to be removed after the commit."""
        links = session.exec(select(MediaLinkRow).where(MediaLinkRow.job_id == job_id)).all()
        for link in links:
            session.delete(link)
        session.flush()
        return self.sweep(session, [link.media_sha256 for link in links])

    @staticmethod
    def known(session: Session, name: str, owner_id: str | None) -> MediaFile:
        """The file of that name, if that person has a use for it. `None` is the program itself."""
        query = select(MediaRow).where(MediaRow.sha256 == name.partition(".")[0])
        if owner_id is not None:
            query = query.join(MediaLinkRow).where(MediaLinkRow.owner_id == owner_id)
        row = session.exec(query.limit(1)).first()
        if row is None:
            raise NotFound("There is no such file among your stories.")
        return MediaFile(**row.model_dump(exclude={"created_at"}))

    def sweep(self, session: Session, candidates: list[str]) -> list[Path]:
        """Remove the rows among `candidates` (hashes) that nothing links to; returns their files, to be unlinked after
        the commit: a kill in between leaves a file without a row, never a row without a file."""
        found = []
        for sha256 in candidates:
            row = session.get(MediaRow, sha256)
            used = session.connection().execute(
                text("SELECT 1 FROM media_link WHERE media_sha256 = :sha LIMIT 1"), {"sha": sha256}
            )
            if row is not None and used.first() is None:
                found.append(self.path(f"{row.sha256}.{row.ext}"))
                session.delete(row)
        session.flush()
        return found


def is_whole(path: Path, sha256: str) -> bool:
    """Whether a file is there and is what its name says."""
    try:
        return _sha256(path) == sha256
    except OSError:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_there(target: Path, size: int) -> bool:
    """Whether the file is kept already. It is young again, so that nobody sweeps it up before its row is written."""
    try:
        os.utime(target)
        return target.stat().st_size == size
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system lets a folder be synced."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
