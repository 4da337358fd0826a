"""Looks at every byte of what was fetched once more: disks forget, and other programs write into the shared cache.

Asks no network: the hashes are those that the hub told when the model was first fetched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from nsp_core.errors import Cancelled, ModelUnavailable
from nsp_core.model.spec import HubModel
from nsp_core.weights.cache import Cache, HubFile, size_of
from nsp_core.weights.fetch import digest_of

Tell = Callable[[int, int], None]  # bytes looked at, of how many


@dataclass(frozen=True)
class Verdict:
    """`damaged`: files that are not what the hub promised; `lacking`: files that are not here or were never whole."""

    commit: str
    files: int
    damaged: tuple[str, ...]
    lacking: tuple[str, ...]

    @property
    def good(self) -> bool:
        return not self.damaged and not self.lacking


def verify(
    model: HubModel,
    *,
    cache: Cache | None = None,
    tell: Tell = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Verdict:
    """A damaged file is no longer taken for whole, so that the next `fetch` brings it anew.

    Raises ModelUnavailable when the model was never fetched, Cancelled when `should_stop` says so.
    """
    cache = cache or Cache.here()
    state = cache.state(model)
    if state.record is None:
        raise ModelUnavailable(f"{model.repo} has not been downloaded: python launch.py models get {model.repo}.")
    lacking = {file.name for file in state.missing}
    done, damaged = 0, []
    for file in state.files:
        if should_stop():
            raise Cancelled("Stopped.")
        if file.name not in lacking and not _is_right(cache, state.record.commit, model, file):
            damaged.append(file.name)
        done += file.size
        tell(done, state.size)
    if damaged:
        with cache.alone(model.repo):
            now = cache.record_of(model) or state.record  # reading took minutes: more may have come meanwhile
            cache.write(replace(now, verified=tuple(name for name in now.verified if name not in damaged)))
    return Verdict(state.record.commit, len(state.files), tuple(damaged), tuple(sorted(lacking)))


def _is_right(cache: Cache, commit: str, model: HubModel, file: HubFile) -> bool:
    path = cache.repo(model.repo) / "snapshots" / commit / file.name
    return size_of(path) == file.size and digest_of(path, file) == file.digest
