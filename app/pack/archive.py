"""A zip file that came from anywhere, opened without believing it. Knows nothing of stories or of the database.

Before anything is unpacked: how large its directory is, which names and kinds of members it has, whether they lie over
each other, how far they would swell. While it is unpacked: the real size and the hash of every byte. Nothing is ever
written under a name that the archive gives.
"""

from __future__ import annotations

import contextlib
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from app.pack.checking import read_manifest
from app.pack.form import MANIFEST, MAX_FILES, MAX_MANIFEST, MAX_STORY, MEMBER, STORY, FileEntry, Manifest, NotAPack
from app.store.backup import PIECE

MAX_RATIO = 200  # JSON shrinks ten to thirty times, media not at all
MAX_DIRECTORY = 256 * MAX_FILES  # bytes
_END, _END_64, _AT_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# how files of a type begin: (offset, one of these)
_BEGINNINGS: dict[str, tuple[int, tuple[bytes, ...]]] = {
    "png": (0, (b"\x89PNG\r\n\x1a\n",)),
    "jpg": (0, (b"\xff\xd8\xff",)),
    "jpeg": (0, (b"\xff\xd8\xff",)),
    "gif": (0, (b"GIF87a", b"GIF89a")),
    "webp": (8, (b"WEBP",)),
    "mp4": (4, (b"ftyp",)),
    "webm": (0, (b"\x1a\x45\xdf\xa3",)),
    "avif": (4, (b"ftyp",)),
    "npz": (0, (b"PK\x03\x04",)),
}


class Pack:
    """An archive whose directory has been looked through; its members are read with `read` and `take_out`."""

    def __init__(self, archive: zipfile.ZipFile, name: str, size: int) -> None:
        self._archive = archive
        self.name = name
        self._entries = _entries(archive, name, size)
        self.manifest = self._manifest()

    def story(self) -> bytes:
        return self._read(STORY, MAX_STORY, self.manifest.files[STORY])

    def take_out(self, member: str, target: Path | None) -> None:
        """Its bytes into `target` (None: nowhere), if they are what the manifest says. Raises NotAPack."""
        entry = self.manifest.files[member]
        with contextlib.ExitStack() as stack:
            write: Callable[[bytes], Any] = len
            if target is not None:
                write = stack.enter_context(target.open("xb")).write
            for piece in self._pieces(member, entry.bytes, entry):
                write(piece)

    def _manifest(self) -> Manifest:
        if MANIFEST not in self._entries:
            raise NotAPack(f"{self.name} is no storypack: choose a file that `export --to pack` wrote.")
        manifest = read_manifest(self._read(MANIFEST, MAX_MANIFEST, None), self.name)
        declared, there = set(manifest.files), set(self._entries) - {MANIFEST}
        if STORY not in declared or declared != there:
            odd = min(declared ^ there or {STORY})
            raise NotAPack(f"{self.name} does not hold what its list says ({odd[:90]!r}): it is not whole.")
        for member, entry in manifest.files.items():
            match = MEMBER.fullmatch(member)
            if match is not None and (match[3] != entry.sha256 or match[1] != entry.sha256[:2]):
                raise NotAPack(f"{member} in {self.name} has another name than its content: nothing was changed.")
            if self._entries[member].file_size != entry.bytes:
                raise NotAPack(f"{member} in {self.name} has another size than its list says: nothing was changed.")
        return manifest

    def _read(self, member: str, most: int, entry: FileEntry | None) -> bytes:
        if self._entries[member].file_size > most:
            raise NotAPack(f"{member} in {self.name} is larger than any story needs: nothing was changed.")
        return b"".join(self._pieces(member, most, entry))

    def _pieces(self, member: str, most: int, entry: FileEntry | None) -> Iterator[bytes]:
        digest, read = hashlib.sha256(), 0
        with self._archive.open(self._entries[member]) as source:
            while piece := source.read(PIECE):
                read += len(piece)
                if read > most:
                    raise NotAPack(f"{member} in {self.name} is larger than its list says: nothing was changed.")
                digest.update(piece)
                yield piece
        if entry is not None and (read != entry.bytes or digest.hexdigest() != entry.sha256):
            raise NotAPack(f"{member} in {self.name} was altered since it was packed: nothing was changed.")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Pack]:
    """The archive; what zipfile finds wrong with it, then or later, is a NotAPack too."""
    name = "".join(letter for letter in path.name[:120] if letter.isprintable())
    if not path.exists():
        raise NotAPack(f"There is no file {path}: check its name.")
    if not path.is_file():
        raise NotAPack(f"{path} is no file: name a storypack.")
    size = path.stat().st_size
    if _directory_size(path, size) > MAX_DIRECTORY:
        raise NotAPack(f"{name} has more members than any story: nothing was changed.")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OverflowError):
        raise NotAPack(f"{name} is not a whole zip file: choose a file that `export --to pack` wrote.") from None
    with archive:
        try:
            yield Pack(archive, name, size)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
            raise NotAPack(f"{name} is damaged ({str(error)[:90]}): nothing was changed.") from None


def check_beginning(path: Path, ext: str) -> None:
    """Whether a file can be what its name says. Raises NotAPack."""
    if ext not in _BEGINNINGS:
        return
    at, known = _BEGINNINGS[ext]
    with path.open("rb") as file:
        if not file.read(64)[at:].startswith(known):
            raise NotAPack(f"A file in this pack is called .{ext} and is something else: nothing was changed.")


def check_frames(path: Path, shape: tuple[int, int, int]) -> None:
    """Whether frames have the (count, height, width) that their take says, told by their header alone: what would swell
    into something else is not let in. Raises NotAPack."""
    try:
        with zipfile.ZipFile(path) as inner:
            sizes = {info.filename: info.file_size for info in inner.infolist()}
            with inner.open("steps.npy") as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                found, _, kind = read(file, max_header_size=1000)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, zlib.error, SyntaxError):
        raise NotAPack("The frames of a take in this pack cannot be read: nothing was changed.") from None
    bytes_ = shape[0] * shape[1] * shape[2] * 3
    if (
        found != (*shape, 3)
        or kind != np.uint8
        or set(sizes) != {"steps.npy", "fps.npy"}
        or not bytes_ < sizes["steps.npy"] < bytes_ + 1000
        or sizes["fps.npy"] > 1000
    ):
        raise NotAPack("The frames of a take in this pack have another size than the take: nothing was changed.")


def _entries(archive: zipfile.ZipFile, name: str, size: int) -> dict[str, zipfile.ZipInfo]:
    """Members by name, if they are all of a kind that a pack has."""
    infos = archive.infolist()
    if len(infos) > MAX_FILES + 2:
        raise NotAPack(f"{name} has more members than any story: nothing was changed.")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = repr(info.filename[:90])
        if info.filename not in (MANIFEST, STORY) and not MEMBER.fullmatch(info.filename):
            raise NotAPack(f"{name} holds {shown}, which no storypack has: nothing was changed.")
        if info.filename in entries:
            raise NotAPack(f"{name} holds {shown} twice: nothing was changed.")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG) or info.flag_bits & 0x41:
            raise NotAPack(f"{name} holds a link or a locked file ({shown}): nothing was changed.")
        if info.compress_type not in _PLAIN:
            raise NotAPack(f"{name} is packed in a way that storypacks are not ({shown}): nothing was changed.")
        if info.file_size > MAX_RATIO * max(info.compress_size, 1 << 12):
            raise NotAPack(f"{shown} in {name} would swell to {info.file_size >> 20} MB: nothing was changed.")
        entries[info.filename] = info
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise NotAPack(f"The members of {name} lie over each other: nothing was changed.")
        end = info.header_offset + 30 + len(info.filename) + info.compress_size  # 30: a header
    if end > size:
        raise NotAPack(f"{name} is not whole: copy it again.")
    return entries


def _directory_size(path: Path, size: int) -> int:
    """How many bytes of directory zipfile is going to read, which it does at once and before it can be asked."""
    with path.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - 22 - 76))
        tail = file.read()
    at = len(tail) - 22 if tail[-22:-18] == _END and tail[-2:] == b"\0\0" else tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        return 0  # no zip file: zipfile says so
    (found,) = struct.unpack_from("<L", tail, at + 12)
    if at >= 76 and tail[at - 20 : at - 16] == _AT_64 and tail[at - 76 : at - 72] == _END_64:
        found = max(found, *struct.unpack_from("<Q", tail, at - 76 + 40))
    return int(found) if found != 0xFFFFFFFF else MAX_DIRECTORY + 1
