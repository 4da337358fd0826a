"""A hub that takes what is sent, over HTTP, by the paths that huggingface_hub asks; it fails on request.

    with taking() as hub: ...   # hub.url is what HF_ENDPOINT has to be, "good" a token that may write

Repositories are made by it, files up to 10 kB come inside the commit, larger ones before it as LFS has it; a commit
that names a large file which never came is refused, as is one whose parent is not the newest. Storage by Xet is not
here: HF_HUB_DISABLE_XET=1 is how the client is told.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.hub_server import git_hash

ME, ORG, TOKEN, READER = "me", "crew", "good", "reader"
REGULAR = 10_000  # bytes: what is larger goes to the store
_API = re.compile(r"/api/(space|dataset)s/([^/]+/[^/]+)(?:/(\w+)(?:/.*)?)?$")
_RESOLVE = re.compile(r"/(space|dataset)s/([^/]+/[^/]+)/resolve/([^/]+)/(.+)$")
_BATCH = re.compile(r"/(space|dataset)s/([^/]+/[^/]+)\.git/info/lfs/objects/batch$")


@dataclass
class Kept:
    """A repository. `commits`: (title, hash), the newest last."""

    private: bool
    sdk: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[tuple[str, str]] = field(default_factory=list)

    def commit(self, title: str) -> str:
        made = hashlib.sha1(f"{len(self.commits)}{title}".encode(), usedforsecurity=False)
        self.commits.append((title, made.hexdigest()))
        return made.hexdigest()


@dataclass
class Fault:
    """The next `times` requests whose "METHOD /path" holds `where`: answered with `status`, or cut when that is 0.
    `after`: the work is done first, and only the answer is lost."""

    where: str
    status: int
    times: int = 1
    message: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


@dataclass
class Hub:
    repos: dict[tuple[str, str], Kept] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)  # by sha256
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)  # sha256 of what came to the store, each time that it came
    seen_public: list[int] = field(default_factory=list)  # how many files a repository had when it became public
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, kind: str, name: str) -> Kept:
        return self.repos[kind, name]

    def fault(self, line: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.where in line and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        body = self._body()
        with self.hub.lock:
            self.hub.asked.append(line)
        fault = self.hub.fault(line)
        if fault is not None and not fault.after:
            return self._fail(fault)
        status, answer, headers = self._answer(path, body)
        if fault is not None:
            return self._fail(fault)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", headers.get("Content-Length", str(len(data))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        return None

    do_HEAD = do_POST = do_PUT = do_GET

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().strip() or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _fail(self, fault: Fault) -> None:
        if not fault.status:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self.send_response(fault.status)
        for name, value in {"X-Error-Message": fault.message, **fault.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    # what a hub does ------------------------------------------------------------------------------------------------

    def _answer(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if path.startswith("/store/"):  # asks for no token, as a store of large files does
            return self._stored(path.removeprefix("/store/"), body)
        token = self.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in (TOKEN, READER):
            return 401, {}, {"X-Error-Message": "Invalid credentials in Authorization header"}
        if path == "/api/whoami-v2":
            role = "write" if token == TOKEN else "read"
            return (
                200,
                {"type": "user", "name": ME, "orgs": [{"name": ORG}], "auth": {"accessToken": {"role": role}}},
                {},
            )
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := _BATCH.match(path):
            return self._batch(json.loads(body))
        if found := _RESOLVE.match(path):
            return self._file(found[1], found[2], found[4])
        if found := _API.match(path):
            return self._repo(found[1], found[2], found[3], body)
        return 404, {}, {"X-Error-Code": "RepoNotFound"}

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        key = asked["type"], f"{asked['organization'] or ME}/{asked['name']}"
        if key in self.hub.repos:
            return 409, {"error": "You already created this repo", "url": f"{self.hub.url}/{key[0]}s/{key[1]}"}, {}
        repo = self.hub.repos[key] = Kept(asked.get("visibility") == "private", asked.get("sdk"))
        repo.files[".gitattributes"] = b"*.zip filter=lfs\n"
        repo.commit("initial commit")
        return 200, {"url": f"{self.hub.url}/{key[0]}s/{key[1]}"}, {}

    def _batch(self, asked: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        objects = []
        for one in asked["objects"]:
            told = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.store:
                told["actions"] = {"upload": {"href": f"{self.hub.url}/store/{one['oid']}"}}
            objects.append(told)
        return 200, {"transfer": "basic", "objects": objects}, {}

    def _stored(self, sha: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if hashlib.sha256(body).hexdigest() != sha:
            return 400, {}, {}
        with self.hub.lock:
            self.hub.store[sha] = body
            self.hub.uploads.append(sha)
        return 200, {}, {}

    def _file(self, kind: str, name: str, file: str) -> tuple[int, Any, dict[str, str]]:
        repo = self.hub.repos.get((kind, name))
        if repo is None or file not in repo.files:
            return 404, {}, {"X-Error-Code": "EntryNotFound"}
        data = repo.files[file]
        return 200, data, {"ETag": f'"{git_hash(data)}"', "X-Repo-Commit": repo.commits[-1][1]}

    def _repo(self, kind: str, name: str, what: str | None, body: bytes) -> tuple[int, Any, dict[str, str]]:
        repo = self.hub.repos.get((kind, name))
        if repo is None:
            return 404, {}, {"X-Error-Code": "RepoNotFound"}
        if what in (None, "revision"):
            siblings = [{"rfilename": one} for one in repo.files]
            told = {"id": name, "sha": repo.commits[-1][1], "private": repo.private, "siblings": siblings, "tags": []}
            return 200, {**told, "likes": 0, "downloads": 0}, {}
        if what == "commits":
            history = [
                {"id": one, "title": title, "message": "", "date": "2026-01-01T00:00:00.000Z", "authors": []}
                for title, one in reversed(repo.commits)
            ]
            return 200, history, {}
        if what == "tree":
            return (
                200,
                [
                    {"type": "file", "path": one, "size": len(data), "oid": git_hash(data)}
                    for one, data in repo.files.items()
                ],
                {},
            )
        if what == "preupload":
            return 200, {"files": [self._mode(repo, one) for one in json.loads(body)["files"]]}, {}
        if what == "settings":
            repo.private = json.loads(body)["visibility"] == "private"
            if not repo.private:
                self.hub.seen_public.append(len(repo.files))
            return 200, {}, {}
        assert what == "commit", what
        return self._commit(repo, kind, name, [json.loads(line) for line in body.splitlines()])

    def _mode(self, repo: Kept, one: dict[str, Any]) -> dict[str, Any]:
        large = one["size"] > REGULAR
        told = {"path": one["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        if (data := repo.files.get(one["path"])) is not None:
            told["oid"] = hashlib.sha256(data).hexdigest() if large else git_hash(data)
        return told

    def _commit(self, repo: Kept, kind: str, name: str, lines: list[dict[str, Any]]) -> tuple[int, Any, dict[str, str]]:
        header = lines[0]["value"]
        if header.get("parentCommit") not in (None, repo.commits[-1][1]):
            return 412, {}, {"X-Error-Message": "A commit has happened since."}
        fresh = {}
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "deletedFile":
                repo.files.pop(value["path"])
                continue
            if line["key"] == "lfsFile" and value["oid"] not in self.hub.store:
                return 400, {}, {"X-Error-Message": "LFS pointer pointed to a file that does not exist"}
            large = line["key"] == "lfsFile"
            fresh[value["path"]] = self.hub.store[value["oid"]] if large else base64.b64decode(value["content"])
        repo.files |= fresh
        made = repo.commit(header["summary"])
        url = f"{self.hub.url}/{kind}s/{name}/commit/{made}"
        return 200, {"commitUrl": url, "commitOid": made, "success": True}, {}


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        pass


@contextmanager
def taking() -> Iterator[Hub]:
    hub = Hub()
    server = _Quiet(("127.0.0.1", 0), _Handler)
    server.hub = hub  # type: ignore[attr-defined]
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
