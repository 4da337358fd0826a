"""Published weights: fetched over a bad line, never twice, never half; verified, removed. Against a hub of our own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants, scan_cache_dir
from safetensors.numpy import load_file, save_file

from nsp_core.errors import Cancelled, ModelUnavailable
from nsp_core.model.spec import HubModel
from nsp_core.weights.cache import Cache
from nsp_core.weights.fetch import Progress, fetch
from nsp_core.weights.hub import Hub, Patience
from nsp_core.weights.verify import verify
from tests.hub_server import Faults, Repo, served
from tests.hub_server import Hub as Server

FILES = ("*.json", "vae/*")
LARGE = 3_000_000


@pytest.fixture(autouse=True)
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """What a published model has in it, what a careless one has, too, and what is not ours to fetch."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "vae").mkdir()
    rng = np.random.default_rng(0)
    save_file({"weight": rng.normal(size=LARGE // 4).astype(np.float32)}, folder / "vae" / "model.safetensors")
    save_file({"other": np.ones(10, np.float32)}, folder / "elsewhere.safetensors")
    (folder / "config.json").write_text(json.dumps({"hidden_size": 8}))
    (folder / "vae" / "config.json").write_text("{}")
    for name in ("vae/model.bin", "pytorch_model.pt", "vae/modeling.py", "training_args.bin"):
        (folder / name).write_bytes(b"this would run what is in it")
    return Repo("owner/model", folder)


@pytest.fixture
def server(repo: Repo) -> Iterator[Server]:
    with served(repo) as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def model(repo: Repo) -> HubModel:
    return HubModel(repo.name, repo.commit, FILES)


def hub(server: Server) -> Hub:
    return Hub(server.url, Patience(tries=3, first=0.01))


def test_what_is_fetched_is_what_was_published(server: Server, repo: Repo, cache: Cache) -> None:
    told: list[Progress] = []
    (state,) = fetch([model(repo)], cache=cache, hub=hub(server), tell=told.append)
    assert state.whole
    folder = cache.folder_of(model(repo))
    for name in ("config.json", "vae/config.json", "vae/model.safetensors"):
        assert (folder / name).read_bytes() == repo.files[name]
    assert load_file(folder / "vae" / "model.safetensors")["weight"].size == LARGE // 4
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert told[-1].done == told[-1].total == state.size == server.bytes
    fetch([model(repo)], cache=cache, hub=hub(server))
    assert server.bytes == state.size, "what is here is not asked for again"


def test_the_library_finds_what_was_fetched(server: Server, repo: Repo, cache: Cache) -> None:
    """The cache is everybody's: other programs need not fetch it again."""
    from huggingface_hub import hf_hub_download

    fetch([model(repo)], cache=cache, hub=hub(server))
    before = server.bytes
    path = hf_hub_download(
        repo.name, "vae/model.safetensors", revision=repo.commit, cache_dir=cache.root, endpoint=server.url
    )
    assert Path(path).read_bytes() == repo.files["vae/model.safetensors"]
    assert server.bytes == before
    (found,) = scan_cache_dir(cache.root).repos
    assert found.repo_id == repo.name and not scan_cache_dir(cache.root).warnings


def test_pickles_and_programs_are_never_fetched(server: Server, repo: Repo, cache: Cache) -> None:
    fetch([replace(model(repo), files=("*", "vae/*"))], cache=cache, hub=hub(server))
    assert set(server.sent) == {"config.json", "vae/config.json", "vae/model.safetensors", "elsewhere.safetensors"}
    with pytest.raises(ModelUnavailable, match="no vae/\\*.bin .* safe to fetch"):
        fetch([replace(model(repo), files=("vae/*.bin",))], cache=Cache(cache.root / "b"), hub=hub(server))


def test_a_line_that_is_cut_again_and_again(server: Server, repo: Repo, cache: Cache) -> None:
    server.faults.cut = [500_000] * 4
    told: list[Progress] = []
    (state,) = fetch([model(repo)], cache=cache, hub=hub(server), tell=told.append)
    assert state.whole and not server.faults.cut
    assert server.bytes == state.size, "no byte came twice"
    assert told[-1].done == told[-1].total


def test_a_hub_that_is_busy_is_asked_again(server: Server, repo: Repo, cache: Cache) -> None:
    waits: list[float] = []
    server.faults = Faults(api=[503, 429], status=[500, 429], headers={"Retry-After": "7"})
    patient = Hub(server.url, Patience(tries=3, first=0.01), waits.append)
    (state,) = fetch([replace(model(repo), revision="main")], cache=cache, hub=patient)
    assert state.whole and waits == [7.0] * 4, "it said itself how long to wait"


def test_a_hub_that_stays_busy(server: Server, repo: Repo, cache: Cache) -> None:
    server.faults.status = [503] * 50
    with pytest.raises(ModelUnavailable, match=r"just now \(503\): ask again later"):
        fetch([model(repo)], cache=cache, hub=hub(server))
    server.faults.status = []
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole


def test_bytes_that_are_not_the_promised_ones(server: Server, repo: Repo, cache: Cache) -> None:
    server.faults.garbled = {"vae/model.safetensors"}
    with pytest.raises(ModelUnavailable, match="other bytes than the hub promised"):
        fetch([model(repo)], cache=cache, hub=hub(server))
    assert not list(cache.root.rglob("model.safetensors"))
    sizes = [path.stat().st_size for path in cache.root.rglob("*") if path.is_file()]
    assert max(sizes) < LARGE, "nothing of the file is left"
    with pytest.raises(ModelUnavailable, match="is not all here"):
        cache.folder_of(model(repo))
    server.faults.garbled = set()
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole


def test_a_partial_file_that_was_spoilt_here_is_fetched_anew(server: Server, repo: Repo, cache: Cache) -> None:
    server.faults.cut = [1_000_000] + [0] * 10
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        fetch([replace(model(repo), files=("vae/*.safetensors",))], cache=cache, hub=hub(server))
    server.faults.cut = []
    (partial,) = cache.root.rglob("*.incomplete")
    half = partial.read_bytes()
    partial.write_bytes(b"\0" * 100 + half[100:])
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole


def test_a_server_that_knows_no_ranges(server: Server, repo: Repo, cache: Cache) -> None:
    server.faults = Faults(cut=[1_000_000], no_ranges=True)
    told: list[Progress] = []
    wanted = replace(model(repo), files=("vae/*.safetensors",))
    (state,) = fetch([wanted], cache=cache, hub=hub(server), tell=told.append)
    assert state.whole and told[-1].done == told[-1].total == state.size


def test_stopped_and_gone_on_with(server: Server, repo: Repo, cache: Cache) -> None:
    first: list[Progress] = []

    def enough() -> bool:
        return bool(first) and first[-1].done > 1_000_000

    with pytest.raises(Cancelled):
        fetch([model(repo)], cache=cache, hub=hub(server), tell=first.append, should_stop=enough)
    state = cache.state(model(repo))
    assert not state.whole and 1_000_000 < state.have < state.size
    told: list[Progress] = []
    assert fetch([model(repo)], cache=cache, hub=hub(server), tell=told.append)[0].whole
    assert told[0].done >= state.have, "progress begins where it ended"
    (partial,) = state.missing
    whole = sum(file.size for file in state.files if file != partial)
    assert server.ranges[-1] == f"bytes={state.have - whole}-", "and so does the download"


def test_a_disk_that_is_too_small_is_said_before_anything_comes(server: Server, repo: Repo, cache: Cache) -> None:
    with pytest.raises(ModelUnavailable, match=r"0\.5 GB are needed .* and 0\.0 GB are free: .* HF_HOME"):
        fetch([model(repo)], cache=cache, hub=hub(server), free=lambda _: 1_000_000)
    assert server.bytes == 0


def test_offline(server: Server, repo: Repo, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch([model(repo)], cache=cache, hub=hub(server))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    asked = len(server.asked)
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole, "what is here needs no network"
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE forbids"):
        fetch([model(repo)], cache=Cache(cache.root / "elsewhere"), hub=hub(server))
    assert len(server.asked) == asked


def test_nobody_answers(repo: Repo, cache: Cache) -> None:
    with pytest.raises(ModelUnavailable, match=r"127\.0\.0\.1:9 cannot be reached .* check the network"):
        fetch([HubModel(repo.name, "main", FILES)], cache=cache, hub=Hub("http://127.0.0.1:9", Patience(2, 0.01)))


@pytest.mark.parametrize(
    ("name", "token", "says"),
    [
        ("owner/gated", None, "accepted its terms: do so at http.*/owner/gated"),
        ("owner/gated", "stranger", "accepted its terms"),
        ("owner/missing", None, "There is no owner/missing at"),
        ("owner/missing", "stranger", "There is no owner/missing at"),
        ("owner/model", "expired", "does not accept the token"),
    ],
)
def test_what_the_hub_refuses_gets_the_next_step(
    repo: Repo, cache: Cache, monkeypatch: pytest.MonkeyPatch, name: str, token: str | None, says: str
) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with served(repo, Repo("owner/gated", repo.folder, gated=True)) as server:
        with pytest.raises(ModelUnavailable, match=says) as caught:
            fetch([HubModel(name, "main", FILES)], cache=cache, hub=hub(server))
        assert len(re.findall(r"\.(?: |$)", str(caught.value))) == 1, "one sentence"
        assert server.bytes == 0


def test_a_gated_model_for_those_who_may(repo: Repo, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "accepted")
    with served(Repo("owner/gated", repo.folder, gated=True)) as server:
        (state,) = fetch([HubModel("owner/gated", "main", FILES)], cache=cache, hub=hub(server))
        assert state.whole
        assert not [path for path, token in server.tokens if path.startswith("/lfs/") and token], (
            "the token stays with the hub"
        )


def test_a_revision_that_is_gone(server: Server, repo: Repo, cache: Cache) -> None:
    with pytest.raises(ModelUnavailable, match="no revision v9 any more"):
        fetch([HubModel(repo.name, "v9", FILES)], cache=cache, hub=hub(server))


def test_a_branch_stays_at_what_it_was_first(repo: Repo, cache: Cache, tmp_path: Path) -> None:
    """Trust on first use: what the branch becomes later is not taken in silence."""
    moving = HubModel(repo.name, "main", FILES)
    with served(repo) as server:
        fetch([moving], cache=cache, hub=hub(server))
    other = tmp_path / "other"
    (other / "vae").mkdir(parents=True)
    (other / "config.json").write_text("changed")
    (other / "vae" / "config.json").write_text("changed")
    with served(Repo(repo.name, other)) as server:
        (state,) = fetch([moving], cache=cache, hub=hub(server))
        assert state.record is not None and state.record.commit == repo.commit and server.bytes == 0


def test_a_commit_of_which_the_hub_tells_something_else(repo: Repo, cache: Cache) -> None:
    with served(repo) as server:
        fetch([model(repo)], cache=cache, hub=hub(server))
    forged = Repo(repo.name, repo.folder)
    forged.__dict__["files"] = {**repo.files, "config.json": b"forged", "new.json": b"1"}
    forged.__dict__["commit"] = repo.commit
    wants_more = replace(model(repo), files=(*FILES, "new.json"))
    with served(forged) as server, pytest.raises(ModelUnavailable, match="tells something else"):
        fetch([wants_more], cache=cache, hub=hub(server))


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil.json", "a\\..\\evil.json", "C:evil.json"])
def test_names_that_lead_elsewhere(repo: Repo, cache: Cache, name: str) -> None:
    hostile = Repo(repo.name, repo.folder)
    hostile.__dict__["files"] = {**repo.files, name: b"evil"}
    with served(hostile) as server:
        with pytest.raises(ModelUnavailable, match="no plain name"):
            fetch([HubModel(repo.name, "main", FILES)], cache=cache, hub=hub(server))
        assert server.bytes == 0


def test_verify_finds_a_changed_byte_and_get_mends_it(server: Server, repo: Repo, cache: Cache) -> None:
    fetch([model(repo)], cache=cache, hub=hub(server))
    assert verify(model(repo), cache=cache).good
    path = cache.folder_of(model(repo)) / "vae" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[LARGE // 2] ^= 1
    path.resolve().write_bytes(data)
    found = verify(model(repo), cache=cache)
    assert found.damaged == ("vae/model.safetensors",) and not found.good
    with pytest.raises(ModelUnavailable, match="is not all here"):
        cache.folder_of(model(repo))
    fetch([model(repo)], cache=cache, hub=hub(server))
    assert verify(model(repo), cache=cache).good


def test_remove_takes_ours_and_leaves_others(server: Server, repo: Repo, cache: Cache) -> None:
    from huggingface_hub import hf_hub_download

    fetch([model(repo)], cache=cache, hub=hub(server))
    theirs = hf_hub_download(
        repo.name, "elsewhere.safetensors", revision=repo.commit, cache_dir=cache.root, endpoint=server.url
    )
    size = cache.state(model(repo)).size
    assert cache.remove(model(repo)) == size
    assert Path(theirs).is_file() and cache.state(model(repo)).have == 0
    assert cache.record_of(model(repo)) is None, "what the hub told is forgotten, too: the next fetch asks anew"
    fetch([model(repo)], cache=cache, hub=hub(server))
    Path(theirs).unlink()
    cache.remove(model(repo))
    assert not cache.repo(repo.name).exists()


def test_another_revision_keeps_what_it_shares(server: Server, repo: Repo, cache: Cache, tmp_path: Path) -> None:
    """Both were fetched, most of their files are the same bytes; what another program is fetching stays as well."""
    folder = tmp_path / "next"
    shutil.copytree(repo.folder, folder)
    (folder / "config.json").write_text(json.dumps({"hidden_size": 9}))
    after = Repo(repo.name, folder)
    fetch([model(repo)], cache=cache, hub=hub(server))
    with served(after) as later:
        fetch([model(after)], cache=cache, hub=hub(later))
    theirs = cache.repo(repo.name) / "blobs" / "0123.incomplete"
    theirs.write_text("of another program")
    assert cache.remove(model(repo)) == len(repo.files["config.json"])
    assert verify(model(after), cache=cache).good and cache.record_of(model(repo)) is None
    cache.remove(model(after))
    assert theirs.is_file()


def test_nothing_is_removed_while_it_comes(server: Server, repo: Repo, cache: Cache) -> None:
    def meanwhile(_sent: int) -> None:
        server.on_piece = None
        with pytest.raises(ModelUnavailable, match="fetched or changed by another process"):
            cache.remove(model(repo))
        refused.append(True)

    refused: list[bool] = []
    server.on_piece = meanwhile
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole and refused


@pytest.mark.parametrize(
    "written", ["{", '"a text"', "[]", '{"files": [{"name": "../../evil", "size": 1, "digest": "0"}], "verified": []}']
)
def test_a_record_that_cannot_be_read_is_none(repo: Repo, cache: Cache, written: str) -> None:
    folder = cache.repo(repo.name) / "whatnext"
    folder.mkdir(parents=True)
    (folder / f"{repo.commit}.json").write_text(written)
    assert list(cache.records(repo.name)) == [] and not cache.state(model(repo)).have


def test_a_disk_without_links(server: Server, repo: Repo, cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    (state,) = fetch([model(repo)], cache=cache, hub=hub(server))
    assert state.whole and verify(model(repo), cache=cache).good
    assert cache.remove(model(repo)) == state.size


PROGRAM = """
import sys
from pathlib import Path
from nsp_core.model.spec import HubModel
from nsp_core.weights.cache import Cache
from nsp_core.weights.fetch import fetch
from nsp_core.weights.hub import Hub
fetch([HubModel(sys.argv[1], sys.argv[2], ("*.json", "vae/*"))], cache=Cache(Path(sys.argv[3])), hub=Hub(sys.argv[4]))
"""


def test_killed_in_the_middle(server: Server, repo: Repo, cache: Cache) -> None:
    """SIGKILL, twice, then to the end: what came is not fetched again, but for what was on its way."""
    deaths = [800_000, 1_800_000]
    child: subprocess.Popen[bytes] | None = None

    def kill(sent: int) -> None:
        if deaths and sent >= deaths[0] and child is not None:
            deaths.pop(0)
            time.sleep(0.2)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()

    server.on_piece = kill
    command = [sys.executable, "-c", PROGRAM, repo.name, repo.commit, str(cache.root), server.url]
    environment = {**os.environ, "HF_HUB_OFFLINE": "0"}
    while deaths:
        before = len(deaths)
        child = subprocess.Popen(command, env=environment)
        code = child.wait(timeout=60)
        assert code == -signal.SIGKILL and len(deaths) < before
        assert not cache.state(model(repo)).whole
        assert not list((cache.repo(repo.name) / "snapshots").rglob("*.safetensors"))
    assert subprocess.run(command, env=environment, timeout=60).returncode == 0
    state = cache.state(model(repo))
    assert state.whole and verify(model(repo), cache=cache).good
    assert server.bytes < state.size * 1.5
    name = cache.folder_of(model(repo)) / "vae" / "model.safetensors"
    assert hashlib.sha256(name.read_bytes()).digest() == hashlib.sha256(repo.files["vae/model.safetensors"]).digest()


def test_two_at_once_do_not_write_into_each_other(server: Server, repo: Repo, cache: Cache) -> None:
    def second(_sent: int) -> None:
        server.on_piece = None
        with pytest.raises(ModelUnavailable, match="by another process"):
            fetch([model(repo)], cache=cache, hub=hub(server))
        refused.append(True)

    refused: list[bool] = []
    server.on_piece = second
    assert fetch([model(repo)], cache=cache, hub=hub(server))[0].whole and refused
