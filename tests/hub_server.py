"""A hub of one's own over HTTP: folders as repositories, by the paths that huggingface_hub asks; it fails on request.

    with served(Repo("owner/name", folder)) as server: ...   # server.url is what HF_ENDPOINT has to be

Files that look like weights, or are large, are kept as LFS does: the hub redirects to another address that knows
ranges, and tells SHA-256; small ones are answered at once and have git's SHA-1. A commit is a hash over all.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from safetensors.numpy import save_file

from nsp_core.model.spec import HubModel

_API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/?]+)(?:/.*)?)?$")
_RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_LFS = re.compile(r"\.(safetensors|bin|pt|pth|ckpt|model)$")
_PIECE = 1 << 16


@dataclass
class Repo:
    """A folder as a repository. `gated`: only for those who bring the token "accepted"; `refs`: branches and tags;
    `pinned`: what it calls its commit, instead of a hash of its own."""

    name: str
    folder: Path
    gated: bool = False
    refs: tuple[str, ...] = ("main",)
    pinned: str = ""

    @cached_property
    def files(self) -> dict[str, bytes]:
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}

    @cached_property
    def commit(self) -> str:
        if self.pinned:
            return self.pinned
        made = hashlib.sha1(usedforsecurity=False)
        for name, data in self.files.items():
            made.update(name.encode() + hashlib.sha256(data).digest())
        return made.hexdigest()

    def lfs(self, name: str) -> bool:
        return bool(_LFS.search(name)) or len(self.files[name]) > 1_000_000

    def entry(self, name: str) -> dict[str, Any]:
        data = self.files[name]
        told: dict[str, Any] = {"type": "file", "path": name, "size": len(data), "oid": git_hash(data)}
        if self.lfs(name):
            told["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return told


@dataclass
class Faults:
    """What goes wrong, one entry a time. `cut`: a connection ends after so many bytes; `status`: a file is answered
    with that code; `api`: so is a question about a repository; `garbled`: these files come with another byte."""

    cut: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    api: list[int] = field(default_factory=list)
    garbled: set[str] = field(default_factory=set)
    no_ranges: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    """Its books: `sent` bytes of each file's body, `asked` every request line, `tokens` that came along."""

    repos: dict[str, Repo]
    faults: Faults = field(default_factory=Faults)
    sent: Counter[str] = field(default_factory=Counter)
    asked: list[str] = field(default_factory=list)
    tokens: list[tuple[str, str]] = field(default_factory=list)
    on_piece: Callable[[int], None] | None = None  # hears how many bytes went out in all
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    store: str = ""  # where LFS files are: another address

    def next(self, kind: str) -> int | None:
        with self.lock:
            left: list[int] = getattr(self.faults, kind)
            return left.pop(0) if left else None

    @property
    def bytes(self) -> int:
        return sum(self.sent.values())


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        token = self.headers.get("authorization", "")
        with self.hub.lock:
            self.hub.asked.append(f"{self.command} {path}")
            self.hub.tokens.append((path, token))
        if path.startswith("/lfs/"):
            return self._stored(path.removeprefix("/lfs/"))
        api, resolve = _API.match(path), _RESOLVE.match(path)
        found = api or resolve
        repo = self.hub.repos.get(found[1]) if found else None
        if repo is None:
            return self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        if repo.gated and token != "Bearer accepted":
            return self._refuse(403 if token else 401, "GatedRepo", f"Access to model {repo.name} is restricted.")
        if token == "Bearer expired":
            return self._refuse(401, "", "Invalid credentials in Authorization header")
        if api:
            return self._api(repo, api[2], api[3])
        assert resolve is not None
        return self._file(repo, resolve[2], resolve[3])

    def _api(self, repo: Repo, what: str | None, revision: str | None) -> None:
        if (code := self.hub.next("api")) is not None:
            return self._refuse(code, "", "as was asked for")
        if revision not in (None, repo.commit, *repo.refs):
            return self._refuse(404, "RevisionNotFound", "Invalid rev id")
        if what == "tree":
            folders = {str(one) for name in repo.files for one in Path(name).parents if str(one) != "."}
            tree = [{"type": "directory", "path": name, "oid": "0" * 40, "size": 0} for name in sorted(folders)]
            return self._json([*tree, *(repo.entry(name) for name in repo.files)])
        siblings = [{"rfilename": name} for name in repo.files]
        return self._json({"id": repo.name, "sha": repo.commit, "siblings": siblings, "gated": repo.gated, "tags": []})

    def _file(self, repo: Repo, revision: str, name: str) -> None:
        if revision not in (repo.commit, *repo.refs):
            return self._refuse(404, "RevisionNotFound", "Invalid rev id")
        if name not in repo.files:
            return self._refuse(404, "EntryNotFound", "Entry not found")
        data, headers = repo.files[name], {"X-Repo-Commit": repo.commit}
        if not repo.lfs(name):
            return self._body(name, data, {**headers, "ETag": f'"{git_hash(data)}"'})
        sha = hashlib.sha256(data).hexdigest()
        headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": f'"{sha}"', "ETag": f'"{sha}"'}
        headers["Location"] = f"{self.hub.store}/lfs/{repo.name}/{sha}"
        self._head(302, headers, 0)

    def _stored(self, key: str) -> None:
        """As a store of large files does: it asks for no token and knows ranges."""
        owner, name, sha = key.split("/")
        repo = self.hub.repos[f"{owner}/{name}"]
        file = next(one for one, data in repo.files.items() if hashlib.sha256(data).hexdigest() == sha)
        self._body(file, repo.files[file], {"ETag": f'"{sha}"'})

    # answers --------------------------------------------------------------------------------------------------------

    def _body(self, name: str, data: bytes, headers: dict[str, str]) -> None:
        hub = self.hub
        if (code := hub.next("status")) is not None:
            return self._refuse(code, "", "as was asked for")
        if name in hub.faults.garbled:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start, asked = 0, re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        if asked and not hub.faults.no_ranges:
            start = int(asked[1])
            if start >= len(data):
                return self._refuse(416, "", "out of range")
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._head(206 if start else 200, {**headers, "Accept-Ranges": "bytes"}, len(data) - start)
        if self.command == "HEAD":
            return None
        cut = hub.next("cut")
        end = len(data) if cut is None else min(len(data), start + cut)
        for at in range(start, end, _PIECE):
            piece = data[at : min(end, at + _PIECE)]
            try:
                self.wfile.write(piece)
            except OSError:
                break  # who asked has gone
            with hub.lock:
                hub.sent[name] += len(piece)
            if hub.on_piece is not None:
                hub.on_piece(hub.bytes)
        if end < len(data):
            self.close_connection = True
            self.connection.shutdown(2)
        return None

    def _json(self, plain: Any) -> None:
        body = json.dumps(plain).encode()
        self._head(200, {"Content-Type": "application/json"}, len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, code: int, kind: str, message: str) -> None:
        headers = {"X-Error-Message": message, **self.hub.faults.headers}
        self._head(code, {**headers, **({"X-Error-Code": kind} if kind else {})}, 0)

    def _head(self, code: int, headers: dict[str, str], length: int) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass  # whoever asked may be killed in the middle


@contextmanager
def served(*repos: Repo, faults: Faults | None = None) -> Iterator[Hub]:
    """Two servers: the hub, and where its large files are (so that a token must not follow a redirect)."""
    hub = Hub({repo.name: repo for repo in repos}, faults or Faults())
    servers = [_Quiet(("127.0.0.1", 0), Handler) for _ in range(2)]
    for server in servers:
        server.hub = hub  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    hub.url, hub.store = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
    try:
        yield hub
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def published(folder: Path, model: HubModel, size: int = 200_000) -> Repo:
    """A stand-in for published weights: a small file for each of the model's patterns, under its name and commit."""
    rng = np.random.default_rng(len(model.repo))
    for pattern in model.files:
        path = folder / pattern.replace("*", "config" if pattern.endswith("json") else "model")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            save_file({"weight": rng.normal(size=size // 4).astype(np.float32)}, path)
        else:
            path.with_suffix(path.suffix or ".txt").write_text(json.dumps({"made for": pattern}))
    (folder / "pytorch_model.bin").write_bytes(b"never fetched")
    return Repo(model.repo, folder, pinned=model.revision)
