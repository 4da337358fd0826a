"""Stories of a Space outlive its disk: a snapshot now and then to a folder or a private dataset, and back at a start.

The database itself stays on the local disk: a bucket that is mounted knows no locks, and SQLite on it would break. What
is kept is an ordinary backup (app.store.backup), whole or not there at all, checked on its way back. The newest three
stay. What was told after the last snapshot is lost when a Space is stopped the hard way.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.identity import new_id
from app.store import Store
from app.store.backup import make_backup
from app.store.restore import NotABackup, restore_backup
from nsp_core.errors import ConfigError

log = logging.getLogger(__name__)

NEWEST = 3


class Place(Protocol):
    """Where snapshots lie, by name; names sort by time."""

    def names(self) -> list[str]: ...

    def put(self, path: Path, name: str) -> None: ...

    def get(self, name: str, target: Path) -> None: ...

    def drop(self, name: str) -> None: ...


@dataclass(frozen=True)
class Folder:
    """A folder that outlives the Space: a storage bucket that is mounted."""

    path: Path

    def names(self) -> list[str]:
        return sorted(one.name for one in self.path.glob("*.zip"))

    def put(self, path: Path, name: str) -> None:
        partial = self.path / f"{name}.partial"
        shutil.copyfile(path, partial)
        os.replace(partial, self.path / name)

    def get(self, name: str, target: Path) -> None:
        shutil.copyfile(self.path / name, target)

    def drop(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Dataset:
    """A private dataset on the Hub; the Space has HF_TOKEN as a secret. Its history keeps old snapshots, too, until it
    is squashed."""

    repo: str
    api: Any  # huggingface_hub.HfApi, which is only imported where it is used

    def names(self) -> list[str]:
        self.api.create_repo(self.repo, repo_type="dataset", private=True, exist_ok=True)
        return sorted(one for one in self.api.list_repo_files(self.repo, repo_type="dataset") if one.endswith(".zip"))

    def put(self, path: Path, name: str) -> None:
        self.api.upload_file(path_or_fileobj=str(path), path_in_repo=name, repo_id=self.repo, repo_type="dataset")

    def get(self, name: str, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            os.replace(self.api.hf_hub_download(self.repo, name, repo_type="dataset", local_dir=folder), target)

    def drop(self, name: str) -> None:
        self.api.delete_file(name, self.repo, repo_type="dataset")


class Snapshots:
    """Raises ConfigError for a place that there is not."""

    def __init__(self, store: Store, place: Place | None = None) -> None:
        self.store = store
        self.place = place or place_called(store.settings.keep)
        self._seen: tuple[Any, ...] | None = None

    def bring(self) -> bool:
        """The newest whole snapshot, into a store that holds no story yet. Returns whether there was one."""
        if self._state()[0]:
            return False
        for name in reversed(self.place.names()):
            with _scratch(self.store.settings.run_dir) as path:
                self.place.get(name, path)
                try:
                    restored = restore_backup(self.store, path)
                except NotABackup as error:
                    log.warning("the snapshot %s cannot be used: %s", name, error)
                    continue
            restored.aside.path.unlink(missing_ok=True)  # of nothing
            log.info("%d stories came back from %s", restored.stories, name)
            self._seen = self._state()
            return True
        return False

    def keep(self) -> bool:
        """A snapshot, if anything changed since the last one. Returns whether one was made."""
        state = self._state()
        if state == self._seen or not state[0]:
            return False
        made = make_backup(self.store, self.store.settings.run_dir, label="space")
        try:
            # with a part that rises within one second, too
            self.place.put(made.path, f"{made.path.stem}-{new_id()[:13]}.zip")
        finally:
            made.path.unlink(missing_ok=True)
        self._seen = state
        for name in self.place.names()[:-NEWEST]:
            self.place.drop(name)
        return True

    def _state(self) -> tuple[Any, ...]:
        """The number of stories, and what differs when something in them changed."""
        with self.store.database.reading() as session:
            connection = session.connection()
            rows = [
                connection.exec_driver_sql(query).one()
                for query in (
                    "SELECT COUNT(*), SUM(version), MAX(updated_at) FROM story",
                    "SELECT COUNT(*), MAX(id), SUM(chosen), SUM(starred) FROM take",
                )
            ]
        return (rows[0][0], *map(tuple, rows))


def check_name(name: str) -> None:
    """Raises ConfigError for what is neither a whole path nor OWNER/NAME."""
    if not os.path.isabs(name) and name.count("/") != 1:
        raise ConfigError(f"Snapshots go to a folder's whole path or to OWNER/NAME of a dataset, not to {name!r}.")


def place_called(name: str) -> Place:
    """An absolute path is a folder that is there, anything else OWNER/NAME of a dataset."""
    check_name(name)
    if os.path.isabs(name):
        folder = Path(name)
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigError(f"WHATNEXT_KEEP names {name}, which is no folder that can be written: mount it first.")
        return Folder(folder)
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if token is None:
        raise ConfigError(f"Snapshots to {name} need a token that may write: set HF_TOKEN as a secret of the Space.")
    return Dataset(name, HfApi(token=token, library_name="what-happens-next"))


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    path = folder / f"snapshot-{new_id()}.zip"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
