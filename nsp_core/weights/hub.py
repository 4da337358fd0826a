"""Asks the hub what a model is made of, and says in one sentence what stands in the way.

Only through huggingface_hub, so that tokens, proxies, mirrors (HF_ENDPOINT) and offline mode (HF_HUB_OFFLINE) are what
people know. Only files of kinds that cannot carry a program are ever listed. Knows nothing of disks.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from nsp_core.errors import ModelUnavailable
from nsp_core.model.spec import HubModel
from nsp_core.weights.cache import COMMIT, HubFile, Record, matches, plain_name

# No pickles (.bin, .pt, .pth, .ckpt, .pkl), which run what is in them, and no code (.py).
SAFE = frozenset({".safetensors", ".json", ".txt", ".model", ".jinja"})
_BUSY = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST = 60.0  # seconds that a hub may ask us to wait

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How often something is tried that fails for a while, and the first wait in seconds; each next one is doubled."""

    tries: int = 5
    first: float = 1.0


class Busy(ModelUnavailable):
    """Trying again later may help. `after`: the seconds that the hub asked for."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


@dataclass(frozen=True)
class Hub:
    """`endpoint`: the address without a slash at its end."""

    endpoint: str
    patience: Patience = Patience()
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def here(cls) -> Hub:
        from huggingface_hub import constants

        return cls(constants.ENDPOINT)

    def listing(self, model: HubModel) -> Record:
        """The commit of the model's revision and all files there of safe kinds.

        Raises ModelUnavailable when there is no such thing, it is gated, the hub cannot be reached, or a pattern of
        `model.files` finds nothing that is safe.
        """
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint)

        def ask() -> tuple[str, list[Any]]:
            # also for a pinned commit: unlike the next question, this one is answered or refused at once
            commit = str(api.model_info(model.repo, revision=model.revision, timeout=20).sha)
            if COMMIT.fullmatch(model.revision) and commit != model.revision:
                raise ModelUnavailable(
                    f"The hub answers for {model.repo} with revision {commit[:12]} instead of {model.revision[:12]}: "
                    "check HF_ENDPOINT."
                )
            return commit, list(api.list_repo_tree(model.repo, recursive=True, revision=commit))

        commit, entries = self.patiently(model, ask)
        files = tuple(
            HubFile(plain_name(one.path), one.lfs.size, one.lfs.sha256)
            if one.lfs is not None
            else HubFile(plain_name(one.path), one.size, one.blob_id)
            for one in entries
            if hasattr(one, "blob_id") and PurePosixPath(one.path).suffix in SAFE
        )
        for pattern in model.files:
            if not any(matches(file.name, pattern) for file in files):
                raise ModelUnavailable(
                    f"{model.repo} has no {pattern} at revision {model.revision[:12]} that is safe to fetch "
                    f"({', '.join(sorted(SAFE))}): update this program."
                )
        return Record(model.repo, model.revision, commit, files)

    def patiently(self, model: HubModel, ask: Callable[[], Answer]) -> Answer:
        """Ask, again after a while when the hub is busy or the network is gone. Raises ModelUnavailable."""
        wait = self.patience.first
        for left in range(self.patience.tries - 1, -1, -1):
            try:
                with one_sentence(model, self.endpoint):
                    return ask()
            except Busy as busy:
                if not left:
                    raise
                self.sleep(min(_LONGEST, max(wait, busy.after)))
                wait *= 2
        raise AssertionError("patience has at least one try")


@contextmanager
def one_sentence(model: HubModel, endpoint: str) -> Iterator[None]:
    """Whatever the library raises becomes ModelUnavailable, or Busy when the same may work a little later."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise ModelUnavailable(
            f"{model.repo} is not here and HF_HUB_OFFLINE forbids to fetch it: unset that, or copy its folder into "
            "HF_HOME from a machine that has it."
        ) from None
    except errors.GatedRepoError:
        raise ModelUnavailable(
            f"{model.repo} is only given to people who accepted its terms: do so at {endpoint}/{model.repo}, then "
            "`hf auth login` here and ask again."
        ) from None
    except errors.RevisionNotFoundError:
        raise ModelUnavailable(
            f"{model.repo} has no revision {model.revision} any more: update this program."
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelUnavailable(
            f"There is no {model.repo} at {endpoint}, or it is not shown to you: check HF_ENDPOINT, or `hf auth login`."
        ) from None
    except errors.HfHubHTTPError as error:
        code = error.response.status_code
        if code in _BUSY:
            after = error.response.headers.get("retry-after", "")
            raise Busy(
                f"The hub cannot answer for {model.repo} just now ({code}): ask again later; what is here already is "
                "kept.",
                float(after) if after.isdigit() else 0.0,
            ) from None
        if code == 401:
            raise ModelUnavailable(
                f"The hub does not accept the token that is saved here for {model.repo}: `hf auth login` anew, or `hf "
                "auth logout` to ask without one."
            ) from None
        raise ModelUnavailable(f"The hub refuses {model.repo} ({code}): look at {endpoint}/{model.repo}.") from None
    except (httpx2.TransportError, ConnectionError, TimeoutError) as error:
        raise Busy(
            f"{endpoint} cannot be reached ({type(error).__name__}): check the network and ask again; what is here "
            "already is kept."
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ModelUnavailable(
            f"The disk became full while {model.repo} came: free some space and ask again; what is here is kept."
        ) from None
