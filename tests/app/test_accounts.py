"""People on a Space: guests, the login with Hugging Face against a provider of our own, and nobody sees another's."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access import access_for
from app.accounts import COOKIE, GUEST_SECONDS, Accounts, Client
from app.director import Director
from app.factory import apart, budget
from app.pages.desk import Desk
from app.pages.desks import Desks
from app.pages.examples import Examples
from app.routes import routes
from app.security import Gate, door_for
from app.settings import Settings
from app.store.models import MediaRow, OwnerRow, SceneRow, StoryRow
from app.store.people import forget_guests
from app.visitor import Account, account, visitor
from nsp_core.errors import ConfigError, UserError

HOST = "me-room.hf.space"
PAGE = {"accept": "text/html"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Provider(BaseHTTPRequestHandler):
    """OpenID Connect as Hugging Face speaks it: it remembers what was asked and checks what comes back."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        at = f"http://{self.headers['host']}"
        if path == "/.well-known/openid-configuration":
            names = ("authorization", "token", "userinfo")
            return self._say({f"{name}_endpoint": f"{at}/oauth/{name}" for name in names})
        if path == "/oauth/userinfo" and self.headers["authorization"] == "Bearer theirs":
            return self._say(self.server.person)
        return self._say({}, 401)

    def do_POST(self) -> None:
        form = {
            name: one[0]
            for name, one in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()
        }
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        known = self.headers["authorization"] == "Basic " + base64.b64encode(b"room:secret").decode()
        right = known and form["code"] == "once" and challenge.decode() == self.server.challenge
        right = right and form["redirect_uri"] == f"https://{HOST}/login/callback"
        return self._say({"access_token": "theirs"} if right else {}, 200 if right else 400)

    def _say(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def provider() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.person = {"sub": "42", "preferred_username": "ada"}  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Room:
    """The routes of a page behind a gate, as a Space has them, and a route that begins a story."""

    def __init__(self, director: Director, client: Client | None) -> None:
        self.clock = Clock()
        self.lock = Accounts(client, clock=self.clock)
        self.director, self.store = director, director.store
        folder = director.settings.data_dir
        usual = Desk(director, self.store.local_owner(), Examples(folder), uploads=folder, works_here=True)
        self.desks: Desks = apart(usual, self.lock)
        director.allow = budget(director)
        door = door_for("0.0.0.0", "x" * 40, [HOST], self.lock)
        door.starting, door.framed_by = False, "https://huggingface.co"

        def wish(request: Request) -> JSONResponse:
            return JSONResponse(self.desks().act(dict(request.query_params)))

        self.site = Starlette(
            routes=[
                Route("/act", wish, methods=["POST"]),
                Route("/", lambda _: JSONResponse("page")),
                *routes(self.desks),
            ],
            middleware=[Middleware(Gate, door=door)],
        )

    def visitor(self) -> TestClient:
        return TestClient(self.site, base_url=f"https://{HOST}", headers=PAGE)

    def draw(self) -> None:
        for job in self.store.jobs.recent(kinds=("draw",)):
            self.director.run_here(job.id)  # waits for a drawing that the page began itself


@pytest.fixture
def room(open_room: Any) -> Room:
    return Room(open_room(in_process=True, public=True, filter="off"), None)


def begin(client: TestClient, words: str = "A seed lies in the rain.") -> Any:
    return client.post("/act", params={"do": "begin_words", "words": words}).json()


def test_everybody_gets_a_cookie_first_and_a_clean_address(room: Room) -> None:
    client = room.visitor()
    first = client.get("/?story=x", follow_redirects=False)
    assert first.status_code == 303 and "cookie=1" in first.headers["location"]
    cookie = first.headers["set-cookie"]
    assert "HttpOnly" in cookie and "Secure" in cookie and "samesite=none" in cookie.lower()
    after = client.get(first.headers["location"], follow_redirects=False)
    assert after.headers["location"] == "/?story=x"
    page = client.get("/")
    assert page.json() == "page" and "https://huggingface.co" in page.headers["content-security-policy"]


def test_a_browser_that_keeps_no_cookie_is_told(room: Room) -> None:
    client = room.visitor()
    answer = client.get("/?cookie=1")
    assert answer.status_code == 401 and "tab of its own" in answer.text and COOKIE not in answer.cookies
    assert client.post("/act", params={"do": "begin_words"}).status_code == 401


def test_guests_see_nothing_of_each_other(room: Room) -> None:
    one, other = room.visitor(), room.visitor()
    for client in (one, other):
        assert client.get("/").status_code == 200
    story = begin(one)["story"]["id"]
    room.draw()
    view = one.post("/act", params={"do": "open", "story": story}).json()
    scene = view["here"]["scene"]
    address = f"/media/{view['path'][0]['clip'].rpartition('/')[2]}"
    assert one.get(address).status_code == 200 and other.get(address).status_code == 404
    assert one.get(f"/reel/{scene}.mp4").status_code == 200 and other.get(f"/reel/{scene}.mp4").status_code == 404
    foreign = other.post("/act", params={"do": "open", "story": story}).json()
    assert foreign["page"] == "home" and foreign["stories"] == []
    assert other.post("/act", params={"do": "erase_story", "story": story}).json()["notice"]["kind"] == "error"
    assert room.store.stories(None).story(story).deleted_at is None


def test_nobody_backs_up_everybody(room: Room) -> None:
    client = room.visitor()
    client.get("/")
    assert client.post("/act", params={"do": "make_backup"}).json()["notice"]["kind"] == "error"
    assert client.get("/backup/x.zip").status_code == 404


def test_a_guest_who_leaves_is_forgotten_and_one_who_is_here_stays(room: Room) -> None:
    gone, here = room.visitor(), room.visitor()
    for client in (gone, here):
        client.get("/")
        begin(client)
    room.draw()
    files = len(list(room.store.media.root.rglob("*.mp4")))
    room.clock.now += GUEST_SECONDS - 1
    here.get("/")
    room.clock.now += 2
    assert forget_guests(room.store, room.lock.guests()) == 1
    with room.store.database.reading() as session:
        assert len(session.exec(select(StoryRow)).all()) == len(session.exec(select(SceneRow)).all()) == 1
        left = {f"{row.sha256}.{row.ext}" for row in session.exec(select(MediaRow)).all()}
    on_disk = {path.name for path in room.store.media.root.rglob("*") if path.is_file()}
    assert left == on_disk and files
    assert forget_guests(room.store) == 1
    assert [path for path in room.store.media.root.rglob("*") if path.is_file()] == []


def test_one_person_takes_no_more_than_a_share(room: Room) -> None:
    client = room.visitor()
    client.get("/")
    told = [begin(client)["notice"] for _ in range(6)]
    assert told[:5] == [None] * 5 and "may keep 5 stories" in told[5]["text"]
    story = client.post("/act", params={"do": "home"}).json()["stories"][0]["id"]
    said = [client.post("/act", params={"do": "open", "story": story}).json()]
    who = next(iter(room.lock.guests()))
    account.set(Account("guest", who))
    visitor.set(f"guest:{who}")
    try:
        owner = room.store.owner("guest", who)
        scene = room.store.stories(owner).tree(story).roots[0].id
        with pytest.raises(UserError, match="8 things waiting"):
            room.director.submit_draw(owner, scene, takes=8)
            room.director.submit_draw(owner, scene)
    finally:
        account.set(None)
        visitor.set("")
    assert said[0]["story"]["id"] == story


@pytest.fixture
def hugging_face() -> Iterator[Any]:
    with provider() as server:
        yield server


@pytest.fixture
def logged(open_room: Any, hugging_face: Any) -> Room:
    address = f"http://127.0.0.1:{hugging_face.server_address[1]}"
    client = Client("room", "secret", address, "openid profile", HOST)
    return Room(open_room(in_process=True, public=True, filter="off", accounts="huggingface"), client)


def ask(client: TestClient, server: Any) -> str:
    """To the provider and back as a browser goes; returns the state that was asked with."""
    answer = client.get("/login", params={"next": "/?story=1"}, follow_redirects=False)
    asked = {name: one[0] for name, one in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert asked["redirect_uri"] == f"https://{HOST}/login/callback" and asked["code_challenge_method"] == "S256"
    server.challenge = asked["code_challenge"]
    return asked["state"]


def test_whoever_logs_in_keeps_what_they_began(logged: Room, hugging_face: Any) -> None:
    client = logged.visitor()
    client.get("/")
    before = client.cookies[COOKIE]
    assert begin(client)["account"]["login"] == "/login"
    state = ask(client, hugging_face)
    answer = client.get("/login/callback", params={"state": state, "code": "once"}, follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/?story=1"
    assert client.cookies[COOKIE] != before  # whoever knew the guest's is not let in
    view = client.post("/act", params={"do": "home"}).json()
    assert view["account"] == {"name": "ada", "login": None, "tells": view["account"]["tells"]}
    assert len(view["stories"]) == 1
    elsewhere = logged.visitor()
    elsewhere.get("/")
    state = ask(elsewhere, hugging_face)
    elsewhere.get("/login/callback", params={"state": state, "code": "once"})
    assert len(elsewhere.post("/act", params={"do": "home"}).json()["stories"]) == 1
    assert forget_guests(logged.store) >= 1  # accounts are no guests
    assert len(elsewhere.post("/act", params={"do": "home"}).json()["stories"]) == 1
    client.post("/logout")
    client.get("/")
    assert client.post("/act", params={"do": "home"}).json()["stories"] == []
    with logged.store.database.reading() as session:
        kept = [(row.subject, row.name) for row in session.exec(select(OwnerRow)).all() if row.kind == "account"]
    assert kept == [("hf:42", "ada")]


def test_a_login_that_was_not_asked_for_changes_nothing(logged: Room, hugging_face: Any) -> None:
    mine, theirs = logged.visitor(), logged.visitor()
    for client in (mine, theirs):
        client.get("/")
    state = ask(theirs, hugging_face)
    assert mine.get("/login/callback", params={"state": state, "code": "once"}).status_code == 400
    assert theirs.get("/login/callback", params={"state": "other", "code": "once"}).status_code == 400
    assert theirs.get("/login/callback", params={"state": state, "code": "once"}).status_code == 400  # asked once only
    state = ask(theirs, hugging_face)
    assert theirs.get("/login/callback", params={"state": state, "error": "access_denied"}).status_code == 400
    state = ask(theirs, hugging_face)
    assert theirs.get("/login/callback", params={"state": state, "code": "wrong"}).status_code == 502
    hugging_face.person = {"name": "nobody"}
    state = ask(theirs, hugging_face)
    assert theirs.get("/login/callback", params={"state": state, "code": "once"}).status_code == 502
    assert theirs.post("/act", params={"do": "home"}).json()["account"]["name"] is None


def test_a_login_leads_nowhere_else(logged: Room, hugging_face: Any) -> None:
    client = logged.visitor()
    client.get("/")
    answer = client.get("/login", params={"next": "https://evil.example/"}, follow_redirects=False)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    hugging_face.challenge = asked["code_challenge"][0]
    back = client.get("/login/callback", params={"state": asked["state"][0], "code": "once"}, follow_redirects=False)
    assert back.headers["location"] == "/"


def test_a_provider_that_is_gone_is_said(logged: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    client = logged.visitor()
    client.get("/")
    monkeypatch.setattr(logged.lock, "client", Client("room", "secret", "http://127.0.0.1:1", "openid", HOST))
    answer = client.get("/login")
    assert answer.status_code == 502 and "did not answer" in answer.text


def test_a_desk_is_nobodys_without_an_account(room: Room) -> None:
    with pytest.raises(PermissionError):
        room.desks()


def test_how_a_space_is_entered(tmp_path: Any) -> None:
    given = {"SPACE_ID": "me/room", "SPACE_HOST": HOST}
    settings = Settings(tmp_path, accounts="huggingface")
    with pytest.raises(ConfigError, match="hf_oauth: true"):
        access_for("0.0.0.0", settings, None, dict(given))
    given |= {"OAUTH_CLIENT_ID": "a", "OAUTH_CLIENT_SECRET": "b", "OPENID_PROVIDER_URL": "https://huggingface.co"}
    access = access_for("0.0.0.0", settings, None, dict(given))
    assert access.public and HOST in access.names and isinstance(access.lock, Accounts) and access.framed_by
    with pytest.raises(ConfigError, match="huggingface or guests"):
        access_for("0.0.0.0", Settings(tmp_path, accounts="facebook"), None, dict(given))
    with pytest.raises(ConfigError, match="no password"):
        access_for("0.0.0.0", Settings(tmp_path), None, dict(given))
