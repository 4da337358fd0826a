"""Sends a parcel to the Hub, and says in one sentence what stands in the way.

Only through huggingface_hub, so that tokens (HF_TOKEN, `hf auth login`), mirrors (HF_ENDPOINT), proxies and offline
mode are what people know. A repository is made private, filled by one commit and only then shown to others: nothing
half done is ever public. What is there already is not sent again, so the same command goes on after a cut. Knows
nothing of stories.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.share.card import story_of
from app.share.parcel import README, Parcel, Place, slug
from nsp_core.errors import UserError, WhatNextError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

LARGEST_SPACE = 1_000_000_000  # bytes: a Space's repository may hold 1 GB
LARGEST_FILE = 50_000_000_000  # a file on the Hub may have 50 GB
_BUSY = frozenset({408, 500, 502, 503, 504})
_KINDS = {"space": "Space", "dataset": "dataset"}
_PREFIX = {"space": "spaces/", "dataset": "datasets/"}


class NotSent(WhatNextError):
    """The Hub said no, or could not be reached. Nothing is public that was not before."""


@dataclass(frozen=True)
class Target:
    """`exists`: this story was sent there before, and is brought up to date. `commit` is what it is at."""

    place: Place
    repo: str
    url: str
    exists: bool = False
    public: bool = False
    commit: str = ""


@dataclass(frozen=True)
class Sent:
    """`fresh` False: all of it was there already."""

    target: Target
    commit: str
    fresh: bool


@dataclass(frozen=True)
class Hub:
    """In the name of whoever the token belongs to."""

    api: HfApi

    @classmethod
    def here(cls, endpoint: str | None = None) -> Hub:
        """Raises UserError without a token."""
        from huggingface_hub import HfApi, get_token

        token = get_token()
        if token is None:
            raise UserError(
                "Nothing can be sent without a Hugging Face token: `hf auth login` with one that may write, or set "
                "HF_TOKEN."
            )
        return cls(HfApi(endpoint=endpoint, token=token, library_name="what-happens-next"))

    def target(self, place: Place, repo: str, title: str, story: str) -> Target:
        """Where it goes: `repo` ("owner/name", "name", or "" for the title), looked at first. Raises UserError when
        something else is there, NotSent."""
        from huggingface_hub.utils import HFValidationError, validate_repo_id

        with one_sentence(repo or "your account", self.api.endpoint):
            me = self.api.whoami()
        if (me.get("auth", {}).get("accessToken") or {}).get("role") == "read":
            raise UserError(
                "The Hugging Face token that is saved here may only read: make one that may write at "
                f"{self.api.endpoint}/settings/tokens, then `hf auth login` again."
            )
        name = repo or slug(title)
        full = name if "/" in name else f"{me['name']}/{name}"
        try:
            validate_repo_id(full)
        except HFValidationError:
            raise UserError(
                f"{repo!r} cannot be the name of a repository: letters, digits, '-', '_' and '.', as OWNER/NAME."
            ) from None
        owners = {me["name"], *(one.get("name") for one in me.get("orgs", ()))}
        if full.partition("/")[0] not in owners:
            raise UserError(
                f"The token that is saved here belongs to {me['name']}, who may not write for "
                f"{full.partition('/')[0]}: name one of {', '.join(sorted(filter(None, owners)))}."
            )
        target = Target(place, full, self._url(place, full))
        info = self._info(target)
        if info is None:
            return target
        self._check_ours(target, story, info)
        return Target(place, full, target.url, True, not info.private, str(info.sha))

    def send(self, parcel: Parcel, target: Target, *, public: bool) -> Sent:
        """All files in one commit. Raises UserError for what is too large, NotSent."""
        from huggingface_hub import CommitOperationAdd

        check_size(parcel)
        with one_sentence(target.repo, self.api.endpoint):
            before = target.commit
            if not target.exists:
                self.api.create_repo(
                    target.repo,
                    repo_type=target.place,
                    private=True,
                    space_sdk="static" if target.place == "space" else None,
                )
                before = str(self.api.repo_info(target.repo, repo_type=target.place).sha)
            made = self.api.create_commit(
                target.repo,
                [CommitOperationAdd(file.name, str(parcel.folder / file.name)) for file in parcel.files],
                commit_message=f"{'Update' if target.exists else 'Add'} the story",
                repo_type=target.place,
                parent_commit=before,
            )
            if public and not target.public:
                self.api.update_repo_settings(target.repo, private=False, repo_type=target.place)
        return Sent(target, str(made.oid), str(made.oid) != before)

    # inside -----------------------------------------------------------------------------------------------------

    def _url(self, place: Place, repo: str) -> str:
        return f"{self.api.endpoint}/{_PREFIX[place]}{repo}"

    def _info(self, target: Target) -> Any:
        from huggingface_hub.errors import RepositoryNotFoundError

        with one_sentence(target.repo, self.api.endpoint):
            try:
                return self.api.repo_info(target.repo, repo_type=target.place)
            except RepositoryNotFoundError:
                return None

    def _check_ours(self, target: Target, story: str, info: Any) -> None:
        """It holds this story, or nothing yet: a start that was cut off after it was made."""
        if story_of(self._card(target, info)) == story:
            return
        with one_sentence(target.repo, self.api.endpoint):
            fresh = len(self.api.list_repo_commits(target.repo, repo_type=target.place)) == 1
        if not fresh:
            raise UserError(
                f"{target.url} is there already and does not hold this story: name another one with --repo "
                "OWNER/NAME, or remove it there first."
            )

    def _card(self, target: Target, info: Any) -> str:
        import tempfile

        if not any(one.rfilename == README for one in info.siblings or ()):
            return ""
        with one_sentence(target.repo, self.api.endpoint), tempfile.TemporaryDirectory() as folder:
            path = self.api.hf_hub_download(
                target.repo, README, repo_type=target.place, revision=info.sha, local_dir=folder
            )
            return Path(path).read_text(encoding="utf-8", errors="replace")


def check_size(parcel: Parcel) -> None:
    """Raises UserError for what the Hub would refuse after the last byte."""
    if parcel.place == "space" and parcel.bytes > LARGEST_SPACE:
        raise UserError(
            f"The page has {parcel.bytes / 1e9:.1f} GB and a Space may have {LARGEST_SPACE / 1e9:.0f}: send it as a "
            "dataset (--to dataset), or a part of it as a story of its own."
        )
    for file in parcel.files:
        if file.bytes > LARGEST_FILE:
            raise UserError(
                f"{file.name} has {file.bytes / 1e9:.1f} GB and a file on the Hub may have {LARGEST_FILE / 1e9:.0f}: "
                "leave out the originals (--without-originals), or send a film instead."
            )


@contextmanager
def one_sentence(repo: str, endpoint: str) -> Iterator[None]:
    """Whatever the library raises becomes UserError or NotSent."""
    import httpx2
    from huggingface_hub import errors

    again = "the same command goes on from here"
    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise UserError(
            "HF_HUB_OFFLINE forbids to send anything: unset it, or add --dry-run to see what would be sent."
        ) from None
    except errors.RepositoryNotFoundError:
        raise NotSent(f"{repo} cannot be found at {endpoint}, or your token may not see it: check both.") from None
    except errors.HfHubHTTPError as error:
        raise _refused(error, repo, endpoint, again) from None
    except (httpx2.TransportError, ConnectionError, TimeoutError, errors.LocalEntryNotFoundError) as error:
        raise _unreachable(error, endpoint, again) from None
    except RuntimeError as error:  # an upload in a thread of the library
        cause = error.__cause__
        if isinstance(cause, errors.HfHubHTTPError):
            raise _refused(cause, repo, endpoint, again) from None
        if isinstance(cause, httpx2.TransportError | ConnectionError | TimeoutError):
            raise _unreachable(cause, endpoint, again) from None
        raise NotSent(f"The upload to {repo} broke off ({_first_line(cause or error)}): {again}.") from None
    except ValueError as error:  # the Hub's own words about a file that it does not take
        raise NotSent(f"The Hub does not take this for {repo} ({_first_line(error)}).") from None


def _unreachable(error: BaseException, endpoint: str, again: str) -> NotSent:
    return NotSent(f"{endpoint} cannot be reached ({type(error).__name__}): check the network; {again}.")


def _refused(error: Any, repo: str, endpoint: str, again: str) -> WhatNextError:
    code, said = error.response.status_code, error.server_message or ""
    if code == 401:
        return UserError(
            "The Hub does not accept the Hugging Face token that is saved here: `hf auth login` anew, or set HF_TOKEN."
        )
    if code == 403:
        return NotSent(
            f"Your token may not write to {repo}{_in_brackets(said)}: give it that right at {endpoint}/settings/tokens."
        )
    if code == 402:
        return NotSent(f"Your Hugging Face account has no room for {repo}{_in_brackets(said)}: free some there.")
    if code == 409:
        return UserError(f"The name {repo} is taken: name another one with --repo OWNER/NAME.")
    if code == 412:
        return NotSent(f"{repo} was changed meanwhile: look at it, then give the same command again.")
    if code == 413:
        return NotSent(f"{repo} would become larger than the Hub takes{_in_brackets(said)}: send less.")
    if code == 429:
        after = error.response.headers.get("retry-after", "")
        wait = f" in {after} seconds" if after.isdigit() else " in a few minutes"
        return NotSent(f"The Hub has had too many requests of yours: {again}{wait}.")
    if code in _BUSY:
        return NotSent(f"The Hub cannot take it just now ({code}): {again}.")
    return NotSent(f"The Hub refuses {repo} ({code}{': ' + said if said else ''}): look at {endpoint}.")


def _in_brackets(said: str) -> str:
    return f" ({' '.join(said.split())[:200]})" if said else ""


def _first_line(error: BaseException) -> str:
    return " ".join((str(error).splitlines() or [""])[0].split())[:200] or type(error).__name__
