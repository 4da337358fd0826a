"""The gate and the files behind it, asked over HTTP of the page as `demo.launch` really serves it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import httpx
import numpy as np
import pytest

from app.director import Director
from app.factory import StoryApp, create_app
from app.pages.examples import Examples
from app.routes import disposition
from app.security import Door, door_for, host_name, lasting_token
from app.settings import Settings
from app.store import open_store
from app.store.media import Media
from tests.browser.painter import Painter

TOKEN = "a-token-of-the-test-that-is-long-enough"


@dataclass
class Site:
    app: StoryApp
    address: str
    scene: str
    clip: str
    frames: str
    foreign: str

    def client(self, *, token: bool = True, **headers: str) -> httpx.Client:
        cookies = httpx.get(self.address, params={"token": TOKEN}).cookies if token else None
        return httpx.Client(base_url=self.address, headers=headers, cookies=cookies, timeout=20)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page that listens, with a story of one drawn scene; jobs run in this process, so no worker is started."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("site"), in_process=True)
    director = Director(open_store(settings), load=lambda: Painter(word_seconds=0, step_seconds=0))
    director.start()
    app = create_app(settings, door_for("127.0.0.1", TOKEN), director=director, examples=Examples(settings.data_dir))
    view = app.desk.act({"do": "begin_words", "words": "It rains on the meadow."})
    for job in director.store.jobs.recent(kinds=("draw",)):
        director.run_here(job.id)  # returns at once when the page has done it itself meanwhile
    scene = app.desk.stories.scene(view["here"]["scene"])
    assert scene.chosen is not None
    media = director.store.media.put_bytes(b"\x89PNG somebody else's", "png")
    with director.store.database.transaction() as session:
        other = director.store.stories(None)  # a file that exists, but that nobody here has a use for
        assert other.owner_id is None
        Media.record(session, media)
    address = app.launch(port=free_port())
    yield Site(app, address, scene.id, scene.chosen.media["clip"], scene.chosen.media["frames"], media.name)
    app.close()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_idle_page_lets_the_processor_sleep(site: Site) -> None:
    assert site.app.demo._queue.sleep_when_free >= 0.1


# the gate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/config",
        "/gradio_api/info",
        "/gradio_api/startup-events",
        "/static/x",
        "/media/x.mp4",
        "/docs",
        "/monitoring",
    ],
)
def test_nothing_answers_without_the_token(site: Site, path: str) -> None:
    with site.client(token=False) as client:
        assert client.get(path).status_code == 401


def test_gradios_own_posts_ask_for_the_token_too(site: Site) -> None:
    with site.client(token=False) as client:
        assert client.post("/gradio_api/component_server", json={}).status_code == 401
        assert client.post("/gradio_api/upload", files={"files": b"x"}).status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(site: Site) -> None:
    with site.client(token=False) as client:
        answer = client.get("/", params={"token": TOKEN, "story": "a b"})
        assert answer.status_code == 303 and answer.headers["location"] == "/?story=a+b"
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie and "samesite=lax" in cookie and TOKEN in cookie
        assert client.get("/").status_code == 200


def test_a_wrong_token_is_no_token(site: Site) -> None:
    with site.client(token=False) as client:
        answer = client.get("/", params={"token": TOKEN + "x"})
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        client.cookies.set(f"whatnext-{site.address.rstrip('/').rpartition(':')[2]}", "nonsense")
        assert client.get("/").status_code == 401


def test_a_name_that_points_here_from_outside_is_refused(site: Site) -> None:
    with site.client() as client:
        for path in ("/", "/config", f"/media/{site.clip}"):
            answer = client.get(path, headers={"host": "evil.example"})
            assert answer.status_code == 400 and "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
def test_another_site_cannot_upload_or_call(site: Site, headers: dict[str, str]) -> None:
    with site.client() as client:
        assert client.post("/gradio_api/upload", files={"files": b"x"}, headers=headers).status_code == 403
        assert client.post("/gradio_api/component_server", json={}, headers=headers).status_code == 403


def test_our_own_page_may_upload(site: Site) -> None:
    with site.client(origin=site.address.rstrip("/")) as client:
        answer = client.post("/gradio_api/upload", files={"files": ("a.png", b"not a picture", "image/png")})
        assert answer.status_code == 200
        assert Path(answer.json()[0]).is_relative_to(site.app.desk.person.uploads)


def test_every_answer_carries_the_safety_headers(site: Site) -> None:
    with site.client() as client:
        for path in ("/", f"/media/{site.clip}", "/nowhere"):
            headers = client.get(path).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "connect-src 'self'" in headers["content-security-policy"]


def test_gradio_serves_no_file_of_the_data_folder(site: Site) -> None:
    with site.client() as client:
        for path in (site.app.settings.database, site.app.settings.data_dir / "token", Path("/etc/passwd")):
            assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


def test_no_monitoring_no_history_no_analytics(site: Site) -> None:
    with site.client() as client:
        config = client.get("/config").json()
        assert client.get("/monitoring").status_code in (403, 404)
    assert config["run_history"] is False and config["analytics_enabled"] is False
    assert len(config["components"]) <= 6


@pytest.mark.parametrize(
    ("host", "header", "welcome"),
    [
        ("127.0.0.1", "localhost:7860", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:7860", True),
        ("127.0.0.1", "192.168.1.5:7860", False),
        ("127.0.0.1", "localhost.evil.example", False),
        ("127.0.0.1", "", False),
        ("0.0.0.0", "192.168.1.5:7860", True),
        ("0.0.0.0", "evil.example", False),
        ("192.168.1.5", "192.168.1.5:7860", True),
    ],
)
def test_which_names_a_server_answers_to(host: str, header: str, welcome: bool) -> None:
    assert door_for(host, TOKEN).knows_host(header) is welcome


def test_a_door_without_a_token_is_open() -> None:
    assert Door(None).accepts(None) and not Door(TOKEN).accepts(None) and not Door(TOKEN).accepts("")
    assert host_name("[::1") == ""


def test_the_token_lasts_and_is_private(tmp_path: Path) -> None:
    token = lasting_token(tmp_path / "data")
    assert lasting_token(tmp_path / "data") == token and len(token) >= 32
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "data" / "token").stat().st_mode) == 0o600
    (tmp_path / "data" / "token").write_text("short")
    assert lasting_token(tmp_path / "data") not in ("short", token)


# files ----------------------------------------------------------------------------------------------------------


def test_a_clip_is_whole_and_may_be_kept_for_ever(site: Site) -> None:
    with site.client() as client:
        answer = client.get(f"/media/{site.clip}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "video/mp4"
        assert answer.content == site.app.director.store.media.path(site.clip).read_bytes()
        assert "immutable" in answer.headers["cache-control"] and "private" in answer.headers["cache-control"]
        again = client.get(f"/media/{site.clip}", headers={"if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and again.content == b""


@pytest.mark.parametrize(
    ("given", "first", "last"), [("bytes=0-99", 0, 99), ("bytes=100-", 100, -1), ("bytes=-50", -50, -1)]
)
def test_a_part_of_a_clip(site: Site, given: str, first: int, last: int) -> None:
    with site.client() as client:
        whole = client.get(f"/media/{site.clip}").content
        first, last = (at % len(whole) for at in (first, last))
        answer = client.get(f"/media/{site.clip}", headers={"range": given})
        assert answer.status_code == 206
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
        assert answer.content == whole[first : last + 1]


def test_a_part_that_is_not_there(site: Site) -> None:
    with site.client() as client:
        assert client.get(f"/media/{site.clip}", headers={"range": "bytes=99999999-"}).status_code == 416


def test_a_head_has_no_body(site: Site) -> None:
    with site.client() as client:
        answer = client.head(f"/media/{site.clip}")
        assert answer.status_code == 200 and int(answer.headers["content-length"]) > 0 and answer.content == b""


def test_files_that_are_not_the_persons_do_not_exist(site: Site) -> None:
    with site.client() as client:
        for name in (site.foreign, site.frames, "0" * 64 + ".mp4", "..%2ftoken", "token", "x.html", "%00.mp4"):
            assert client.get(f"/media/{name}").status_code == 404, name


def test_the_reel_is_a_download_with_captions(site: Site, tmp_path: Path) -> None:
    with site.client() as client:
        answer = client.get(f"/reel/{site.scene}.mp4")
    assert answer.status_code == 200
    assert 'filename="It rains on the meadow.mp4"' in answer.headers["content-disposition"]
    path = tmp_path / "reel.mp4"
    path.write_bytes(answer.content)
    with av.open(path) as film:
        assert {stream.type for stream in film.streams} >= {"video", "audio", "subtitle"}
        assert np.isclose(float(film.duration or 0) / av.time_base, 17 / 8, atol=0.2)
    until = time.monotonic() + 20  # it is removed after the answer has gone out
    while list(site.app.settings.run_dir.glob("reel-*")) and time.monotonic() < until:
        time.sleep(0.05)
    assert not list(site.app.settings.run_dir.glob("reel-*"))


def test_a_reel_of_nothing(site: Site) -> None:
    with site.client() as client:
        assert client.get("/reel/unknown.mp4").status_code == 404


def test_a_preview_that_has_gone_is_no_error(site: Site) -> None:
    with site.client() as client:
        assert client.get("/preview/unknown").status_code == 204


def test_fonts_and_examples_are_the_only_named_files(site: Site) -> None:
    with site.client() as client:
        assert client.get("/font/lora-400.woff2").headers["content-type"] == "font/woff2"
        for path in ("/font/LICENSE-lora.txt", "/font/..%2f..%2fpyproject.toml", "/example/token", "/example/x.png"):
            assert client.get(path).status_code == 404, path


def test_a_title_becomes_a_file_name() -> None:
    assert disposition('A "red" egg\r\nX: 1', "mp4").startswith('attachment; filename="A red egg X 1.mp4"')
    assert disposition("Zoë schläft", "mp4").endswith("filename*=UTF-8''Zo%C3%AB%20schl%C3%A4ft.mp4")
    assert 'filename="story.mp4"' in disposition("雪", "mp4") and "%E9%9B%AA" in disposition("雪", "mp4")
