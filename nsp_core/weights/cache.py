"""Weights in the cache that all programs of this person share (HF_HOME), in huggingface_hub's own layout.

    <cache>/models--Qwen--Qwen2.5-VL-7B-Instruct/
        blobs/<hash>                       a file's bytes; <hash>.whatnext.incomplete while they come
        snapshots/<commit>/<name>          links to them
        whatnext/<commit>.json             ours: the files at the hub, their sizes and hashes, which were verified

A record is written when the hub is first asked (trust on first use); a file is named in its `verified` only after its
hash was right. Knows nothing of the network.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath

from nsp_core.errors import ModelUnavailable
from nsp_core.model.spec import HubModel

COMMIT = re.compile(r"[0-9a-f]{40}")
PARTIAL = ".whatnext.incomplete"
_OURS = "whatnext"


@dataclass(frozen=True)
class HubFile:
    """`size` in bytes. `digest`: the SHA-256 of a large file (64 digits), git's SHA-1 of a small one (40)."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Record:
    """A repository as the hub told of it. `revision` is what was asked for, `commit` what the hub made of it.
    `verified`: names of files that are here and have had the right hash."""

    repo: str
    revision: str
    commit: str
    files: tuple[HubFile, ...]
    verified: tuple[str, ...] = ()


@dataclass(frozen=True)
class State:
    """A model on this machine. `have` and `size` in bytes; `size` is 0 while the hub was never asked. `missing`: what
    is not here, or not verified."""

    model: HubModel
    record: Record | None = None
    files: tuple[HubFile, ...] = ()
    have: int = 0
    missing: tuple[HubFile, ...] = ()

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def whole(self) -> bool:
        return bool(self.files) and not self.missing


@dataclass(frozen=True)
class Cache:
    """The folder that holds a `models--...` folder for each repository."""

    root: Path

    @classmethod
    def here(cls) -> Cache:
        """Where HF_HUB_CACHE or HF_HOME says, else where the library puts it."""
        from huggingface_hub import constants

        return cls(Path(constants.HF_HUB_CACHE).expanduser())

    def repo(self, name: str) -> Path:
        return self.root / f"models--{name.replace('/', '--')}"

    def blob(self, repo: str, file: HubFile) -> Path:
        return self.repo(repo) / "blobs" / file.digest

    def partial(self, repo: str, file: HubFile) -> Path:
        return self.repo(repo) / "blobs" / f"{file.digest}{PARTIAL}"

    def snapshot(self, record: Record) -> Path:
        return self.repo(record.repo) / "snapshots" / record.commit

    # records --------------------------------------------------------------------------------------------------------

    def records(self, repo: str) -> Iterator[Record]:
        """The newest first. A record that cannot be read is none."""
        found = [path for path in (self.repo(repo) / _OURS).glob("*.json") if COMMIT.fullmatch(path.stem)]
        found.sort(key=lambda path: -path.stat().st_mtime)
        for path in found:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, ModelUnavailable):
                given = json.loads(path.read_text(encoding="utf-8"))
                files = tuple(HubFile(**{**file, "name": plain_name(file["name"])}) for file in given.pop("files"))
                yield Record(**{**given, "files": files, "verified": tuple(given["verified"])})

    def record_of(self, model: HubModel) -> Record | None:
        """By its commit where the model names one, else the one that this revision became when it was first asked. A
        record without a file for each of the model's patterns is none."""
        for record in self.records(model.repo):
            if model.revision in (record.commit, record.revision) and all(
                any(matches(file.name, pattern) for file in record.files) for pattern in model.files
            ):
                return record
        return None

    def write(self, record: Record) -> None:
        folder = self.repo(record.repo) / _OURS
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f"{record.commit}.{os.getpid()}.partial"
        partial.write_text(json.dumps(asdict(record), indent=1), encoding="utf-8")
        os.replace(partial, folder / f"{record.commit}.json")

    # what is here ---------------------------------------------------------------------------------------------------

    def state(self, model: HubModel) -> State:
        """By names and sizes only; hashes were looked at when the record was made whole, and are by `verify`."""
        record = self.record_of(model)
        if record is None:
            return State(model)
        files, missing, have = wanted(record.files, model), [], 0
        for file in files:
            if file.name in record.verified and size_of(self.snapshot(record) / file.name) == file.size:
                have += file.size
            else:
                missing.append(file)
                have += min(file.size, size_of(self.partial(record.repo, file)) or 0)
        return State(model, record, files, have, tuple(missing))

    def folder_of(self, model: HubModel) -> Path:
        """Where the files of a whole model lie. Raises ModelUnavailable, which says how to get it."""
        state = self.state(model)
        if not state.whole or state.record is None:
            how = "has not been downloaded" if state.record is None else "is not all here"
            raise ModelUnavailable(f"{model.repo} {how}: python launch.py models get {model.repo}.")
        return self.snapshot(state.record)

    def link(self, record: Record, file: HubFile) -> None:
        """A verified blob gets its name; on a disk without links it moves there."""
        target = self.snapshot(record) / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        blob = self.blob(record.repo, file)
        fresh = target.with_name(f"{target.name}.{os.getpid()}.link")
        fresh.unlink(missing_ok=True)
        try:
            fresh.symlink_to(os.path.relpath(blob, target.parent))
        except OSError:
            os.replace(blob, fresh)
        os.replace(fresh, target)

    def remove(self, model: HubModel) -> int:
        """Take its files away and what came of them half, and forget what the hub told of them; nothing that other
        programs put beside them, nothing that another revision uses. Returns the bytes that became free. Raises
        ModelUnavailable while it is being fetched."""
        with self.alone(model.repo):
            return self._remove(model)

    def _remove(self, model: HubModel) -> int:
        repo, freed = self.repo(model.repo), 0
        for record in list(self.records(model.repo)):
            if model.revision not in (record.commit, record.revision):
                continue
            files = wanted(record.files, model)
            for file in files:
                name = self.snapshot(record) / file.name
                freed += 0 if name.is_symlink() else size_of(name) or 0
                name.unlink(missing_ok=True)
            linked = {os.path.realpath(path) for path in (repo / "snapshots").rglob("*") if path.is_symlink()}
            for file in files:
                for path in (self.blob(model.repo, file), self.partial(model.repo, file)):
                    if os.path.realpath(path) not in linked:
                        freed += size_of(path) or 0
                        path.unlink(missing_ok=True)
            gone = {file.name for file in files}
            if left := tuple(name for name in record.verified if name not in gone):
                self.write(replace(record, verified=left))
            else:  # the next fetch asks the hub anew, and trusts what it says then
                (repo / _OURS / f"{record.commit}.json").unlink(missing_ok=True)
        others = (*(repo / "snapshots").rglob("*"), *(repo / "blobs").glob("*.incomplete"))
        if repo.is_dir() and not any(path.is_file() for path in others):
            shutil.rmtree(repo)
        return freed

    @contextlib.contextmanager
    def alone(self, repo: str) -> Iterator[None]:
        """Whoever writes or removes files of a repository is the only one, in whichever process. Raises
        ModelUnavailable when another one is at it."""
        from filelock import FileLock, Timeout

        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"whatnext-{self.repo(repo).name}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ModelUnavailable(
                f"{repo} is being fetched or changed by another process already: wait for that one, or stop it."
            ) from None
        try:
            yield
        finally:
            lock.release()


def wanted(files: tuple[HubFile, ...], model: HubModel) -> tuple[HubFile, ...]:
    return tuple(file for file in files if any(matches(file.name, pattern) for pattern in model.files))


def matches(name: str, pattern: str) -> bool:
    """Folder by folder: `*.json` is no file of a folder, `vae/*.json` is none of the folder below."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))


def plain_name(name: str) -> str:
    """A name that stays inside its folder on every system. Raises ModelUnavailable for any other."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ":" in name or ".." in parts or "\0" in name:
        raise ModelUnavailable(f"The hub names a file {name!r}, which is no plain name: nothing of it was fetched.")
    return name


def size_of(path: Path) -> int | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
