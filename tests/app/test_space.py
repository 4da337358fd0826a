"""`launch.py space`: what is in the folder, that its requirements are ours, and that the page starts from it."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import launch
from app.settings import ROOT, Settings
from app.space import main as space
from app.space.folder import KINDS, SHORT, START, ZERO_TORCH, Choice, pins, requirements, write_folder
from app.space.start import open_space, prepare
from nsp_core.errors import ModelUnavailable, UserError
from tests.app.test_routes import free_port

PROJECT = launch.read_project()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("space") / "room"
    write_folder(Choice(), made)
    return made


def front(text: str) -> dict[str, Any]:
    value = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_hub_reads_at_the_top(kind: Any, tmp_path: Path) -> None:
    write_folder(Choice(kind, "A room: of one's own\n---"), tmp_path / "room")
    told = front((tmp_path / "room" / "README.md").read_text(encoding="utf-8"))
    assert told["title"] == "A room: of one's own ---" and told["sdk"] == "gradio"
    assert told["sdk_version"] == pins()["gradio"] and told["python_version"] == "3.12"
    assert told["hf_oauth"] is True and told["license"] == "apache-2.0" and len(SHORT) <= 60
    assert (tmp_path / "room" / told["app_file"]).is_file() and told["app_file"] != "app.py"
    compile((tmp_path / "room" / START).read_text(encoding="utf-8"), START, "exec")


@pytest.mark.parametrize("kind", KINDS)
def test_requirements_lie_inside_the_projects_ranges(kind: Any) -> None:
    lines = requirements(kind).splitlines()
    ranges = next(one for one in PROJECT["project"]["dependencies"] if one.startswith("pydantic"))
    assert ranges in lines  # as it is in the project: what a Space installs bounds it
    lines.remove(ranges)
    found = dict(
        re.fullmatch(r"([\w.-]+)(?:==|~=)([\d.]+)(?:\+cpu)?", line).groups() for line in lines if line[0] != "-"
    )  # type: ignore[union-attr]
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["safety"]]
    for line in wanted:
        name, ranges = re.fullmatch(r"([\w.-]+)(.*)", line).groups()  # type: ignore[union-attr]
        if name not in ("gradio", "pydantic"):  # the SDK's affair; its version is in the README
            assert launch.satisfies(found.pop(name), ranges), line
    assert not found
    assert launch.satisfies(pins()["gradio"], next(one for one in wanted if one.startswith("gradio"))[6:])


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_pinned_to_what_gradio_cannot_have(kind: Any) -> None:
    """A Space installs gradio[oauth,mcp] beside these lines; a pin outside its bounds would never be installed."""
    pinned = dict(re.findall(r"^([\w.-]+)==([\d.]+)", requirements(kind), re.MULTILINE))
    checked = 0
    for line in metadata.requires("gradio") or ():
        match = re.fullmatch(r"([\w.-]+)(?:\[[^\]]*\])?([^;]*?)\s*(?:;\s*(.*))?", line)
        assert match is not None, line
        name, bounds, when = match[1], match[2].strip(), match[3] or ""
        if name in pinned and bounds and ("extra" not in when or "'oauth'" in when or "'mcp'" in when):
            assert launch.satisfies(pinned[name], bounds), line
            checked += 1
    assert checked > 3


def test_zerogpu_has_the_torch_that_it_knows() -> None:
    assert f"torch~={ZERO_TORCH}.0" in requirements("zero").splitlines()
    assert "import spaces" in __import__("app.space.folder", fromlist=["start"]).start(Choice("zero"))


def test_only_what_the_page_needs_goes_along(folder: Path) -> None:
    top = {path.name for path in folder.iterdir()}
    assert {"app", "nsp_core", "assets", START, "requirements.txt", "README.md", "LICENSE"} <= top
    assert not top & {"tests", "training", ".git", ".venv"}
    assert not list(folder.rglob("__pycache__"))
    assert (folder / "assets" / "starter" / "model_index.json").is_file()
    assert "*.safetensors filter=lfs" in (folder / ".gitattributes").read_text(encoding="utf-8")


def test_every_module_of_the_page_is_there(folder: Path) -> None:
    """From the folder alone: nothing of it reaches into what was left behind."""
    program = (
        "import importlib, sys\n"
        "for name in ('app.main', 'app.factory', 'app.worker', 'app.space.start', 'app.reel.render_process',"
        " 'app.decoder_process', 'app.models.fetch_process'): importlib.import_module(name)\n"
        "ours = [m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('app', 'nsp_core', 'training')]\n"
        "print([one for one in ours if one and not one.startswith(sys.argv[1])])"
    )
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "DIR is missing"),
        (["DIR", "--kind", "tpu"], "invalid choice"),
        (["DIR", "--tier", "gpu-16"], "goes with --kind gpu"),
        (["DIR", "--kind", "gpu", "--tier", "gpu-17"], "gpu-17"),
        (["DIR", "--keep", "bucket"], "OWNER/NAME"),
    ],
)
def test_what_cannot_be_used(
    arguments: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(tmp_path / "room") if one == "DIR" else one for one in arguments]
    assert space.main(given) == 2
    assert why in capsys.readouterr().err and not (tmp_path / "room").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_folder(Choice(), tmp_path)


def test_a_tier_names_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert space.main([str(tmp_path / "room"), "--kind", "gpu", "--tier", "gpu-16", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(told["models"]) == 2 and told["sdk_version"] == pins()["gradio"]
    assert front((tmp_path / "room" / "README.md").read_text())["models"] == told["models"]


def test_what_the_owner_set_comes_first() -> None:
    env = {"HOME": "/home/user", "OAUTH_CLIENT_ID": "a", "WHATNEXT_FILTER": "off"}
    prepare(env, kind="zero", tier="", keep="/data")
    assert env["WHATNEXT_FILTER"] == "off" and env["WHATNEXT_ACCOUNTS"] == "huggingface"
    made = Settings.from_environment(env)
    assert made.in_process and made.predictor == "app.zero:load" and made.keep == "/data" and not made.is_starter
    plain = {"HOME": "/home/user"}
    prepare(plain, kind="cpu", tier="", keep="")
    made = Settings.from_environment(plain)
    assert made.accounts == "guests" and made.filter == "on" and made.tier == "starter" and not made.in_process
    assert str(made.data_dir) == "/home/user/what-happens-next"


def test_a_space_does_not_open_without_its_filter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(_target: Path) -> bool:
        raise ModelUnavailable("The weights could not be downloaded.")

    monkeypatch.setattr("app.filter_weights.get_weights", unreachable)
    for name in [name for name in os.environ if name.startswith("WHATNEXT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = dict(os.environ)
    try:
        with pytest.raises(SystemExit) as ended:
            open_space(kind="cpu")
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]  # by hand: monkeypatch would put it back at the end
    assert ended.value.code == 2 and "could not be downloaded" in capsys.readouterr().err


def test_the_checkout_says_itself_that_no_environment_is_made_there() -> None:
    assert 'environ.get("SPACE_ID")' in (ROOT / "launch.py").read_text(encoding="utf-8")


# the page from the folder, as a Space starts it -----------------------------------------------------------------------


def written_in(folder: Path) -> dict[Path, int]:
    """Files and when they were changed; what Python keeps of modules where it may is no matter."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path: path.stat().st_mtime_ns for path in files}


def can_become(user: int) -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run([sys.executable, "-c", ""], user=user, group=user, extra_groups=[]).returncode == 0
    except PermissionError:
        return False


@pytest.fixture
def running(folder: Path, tmp_path: Path) -> Iterator[str]:
    """Its address. The folder is read only, and the user is the Space's where the test may become it and that user may
    run this interpreter; else it is looked whether anything was written there."""
    base = Path(tempfile.mkdtemp(prefix="whatnext-space-"))  # pytest's own folders are for one user alone
    base.chmod(0o755)
    copy, home = base / "app", base / "home"
    shutil.copytree(folder, copy)
    home.mkdir()
    for path in [copy, *copy.rglob("*")]:
        path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH | (0o111 if path.is_dir() else 0))
    port = free_port()
    environment = {
        **os.environ,
        "HOME": str(home),
        "SPACE_ID": "me/room",
        "SPACE_HOST": "me-room.hf.space",
        "WHATNEXT_FILTER": "off",  # its weights come over the network
        "WHATNEXT_PORT": str(port),
        "WHATNEXT_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in ("PYTHONPATH", "WHATNEXT_DATA", "OAUTH_CLIENT_ID"):
        environment.pop(name, None)
    become: dict[str, Any] = {}
    if can_become(1000):
        os.chown(home, 1000, 1000)
        become = {"user": 1000, "group": 1000, "extra_groups": []}
    before = written_in(copy)
    with (tmp_path / "log").open("wb") as log:
        page = subprocess.Popen([sys.executable, START], cwd=copy, env=environment, stdout=log, stderr=log, **become)
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            assert page.poll() is None, (tmp_path / "log").read_text(errors="replace")[-3000:]
            try:
                httpx.get(address, timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.3)
        yield address
        page.terminate()
        assert page.wait(timeout=120) == 0, (tmp_path / "log").read_text(errors="replace")[-3000:]
        assert written_in(copy) == before
    finally:
        if page.poll() is None:
            page.kill()
            page.wait()
        for path in [copy, *copy.rglob("*")]:
            path.chmod(0o755)
        shutil.rmtree(base)


@pytest.mark.full
def test_the_page_starts_on_a_space(running: str) -> None:
    """A guest begins a story there, and the starter draws it."""
    headers = {"accept": "text/html", "host": "me-room.hf.space", "origin": "https://me-room.hf.space"}
    with httpx.Client(base_url=running, headers=headers, timeout=60) as client:
        first = client.get("/")
        assert first.status_code == 303
        cookie = first.headers["set-cookie"].partition(";")[0]
        client.headers["cookie"] = cookie  # it is for TLS only, which stands in front of a Space
        config = client.get("/config").json()
        room = next(one for one in config["components"] if one["props"].get("elem_id") == "wn-page")

        def call(name: str, **message: Any) -> Any:
            answer = client.post(
                "/gradio_api/component_server",
                json={"session_hash": "s", "component_id": room["id"], "fn_name": name, "data": message},
            )
            assert answer.status_code == 200, answer.text
            return answer.json()

        view = call("act", do="begin_words", words="A red ball lies on the meadow.")
        assert view["notice"] is None and view["account"]["name"] is None, view["notice"]
        while view["job"] is not None:
            assert (view.get("trouble") or {}).get("text") is None
            time.sleep(1.0)
            view = call("look", **view["here"])
        assert view["reel"] is not None
        assert client.get(view["reel"]).content[4:8] == b"ftyp"
        stranger = httpx.get(f"{running}{view['reel']}", headers=headers)
        assert stranger.status_code in (303, 401)
