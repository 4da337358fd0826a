"""Where others can come: no start without a password, the login page, its waits, its cookie; budgets of visitors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app import main
from app.access import access_for, close_side_doors, is_loopback
from app.attempts import Allowance, Attempts, network_of
from app.budget import JobBudget
from app.login import Lock, local_address
from app.password import Password, given_password
from app.security import Gate, door_for
from app.settings import Settings
from app.visitor import visitor
from nsp_core.errors import ConfigError, UserError

WORDS = "a long sentence nobody guesses"
HOST = "192.168.1.5:7860"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def page(scope: dict, receive: Callable, send: Callable) -> None:
    """Whatever lies behind the gate; says who asks."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-visitor", visitor.get().encode())]})
    await send({"type": "http.response.body", "body": b"the stories"})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lock(clock: Clock) -> Lock:
    return Lock(Password(WORDS), attempts=Attempts(clock=clock), uploads=Allowance(3, 600, clock=clock), clock=clock)


@pytest.fixture
def client(lock: Lock) -> Iterator[httpx.AsyncClient]:
    door = door_for("192.168.1.5", "a-token-that-counts-for-nothing-here", lock=lock)
    door.starting = False
    yield httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Gate(page, door), client=("192.168.1.9", 5)),
        base_url=f"http://{HOST}",
        headers={"accept": "text/html"},
    )


pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def log_in(client: httpx.AsyncClient, words: str = WORDS, **fields: str) -> httpx.Response:
    origin = {"origin": f"http://{HOST}"}
    return await client.post("/login", data={"password": words, **fields}, headers=origin)


@pytest.mark.parametrize("path", ["/", "/config", "/media/x.mp4", "/gradio_api/upload", "/gradio_api/queue/data"])
async def test_nothing_answers_before_the_password(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 401 and "the stories" not in answer.text
    assert (await client.get(path, headers={"accept": "*/*"})).status_code == 401
    assert (await client.post(path, headers={"origin": f"http://{HOST}"})).status_code == 401


async def test_the_token_opens_nothing_where_a_password_is_asked(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", params={"token": "a-token-that-counts-for-nothing-here"})
    assert answer.status_code == 401 and "set-cookie" not in answer.headers


async def test_the_password_becomes_a_strict_cookie_and_leads_on(client: httpx.AsyncClient) -> None:
    shown = await client.get("/?story=x&scene=y")
    onward = re.search(r'name="next" value="([^"]*)"', shown.text)
    assert onward is not None and onward[1] == "/?story=x&amp;scene=y"
    answer = await log_in(client, next="/?story=x&scene=y")
    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 303 and answer.headers["location"] == "/?story=x&scene=y"
    assert "httponly" in cookie and "samesite=strict" in cookie and WORDS not in cookie
    inside = await client.get("/")
    assert inside.status_code == 200 and inside.headers["x-visitor"]


async def test_a_wrong_password_is_one_sentence_and_no_cookie(client: httpx.AsyncClient) -> None:
    answer = await log_in(client, "something else entirely")
    assert answer.status_code == 401 and "set-cookie" not in answer.headers
    assert "That is not the password" in answer.text and 'role="alert"' in answer.text


async def test_wrong_passwords_make_everybody_at_that_address_wait_longer_and_longer(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    for _ in range(3):
        assert (await log_in(client, "wrong wrong wrong")).status_code == 401
    waits = []
    for _ in range(3):
        refused = await log_in(client)  # even the right one is not looked at meanwhile
        assert refused.status_code == 429
        waits.append(int(refused.headers["retry-after"]))
        clock.now += waits[-1]
        assert (await log_in(client, "wrong wrong wrong")).status_code == 401
    assert waits == sorted(waits) and waits[-1] > 2 * waits[0]
    clock.now += 1000
    assert (await log_in(client)).status_code == 303


async def test_a_form_of_another_site_does_not_log_anybody_in_or_out(client: httpx.AsyncClient) -> None:
    for path in ("/login", "/logout"):
        answer = await client.post(path, data={"password": WORDS}, headers={"origin": "https://evil.example"})
        assert answer.status_code == 403 and "set-cookie" not in answer.headers


async def test_logging_out_ends_the_session_for_good(client: httpx.AsyncClient) -> None:
    await log_in(client)
    kept = dict(client.cookies)
    answer = await client.post("/logout", headers={"origin": f"http://{HOST}"})
    assert answer.status_code == 303 and answer.headers["location"] == "/login"
    for name, value in kept.items():
        client.cookies.set(name, value)
    assert (await client.get("/")).status_code == 401


async def test_a_session_ends_when_it_is_not_used(client: httpx.AsyncClient, clock: Clock) -> None:
    await log_in(client)
    clock.now += 11 * 3600
    assert (await client.get("/")).status_code == 200
    clock.now += 13 * 3600
    assert (await client.get("/")).status_code == 401


async def test_uploads_of_one_visitor_are_counted(client: httpx.AsyncClient) -> None:
    await log_in(client)
    origin = {"origin": f"http://{HOST}"}
    codes = [(await client.post("/gradio_api/upload", headers=origin)).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]


async def test_the_login_page_runs_nothing_and_loads_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get('/?x="><script>alert(1)</script>')
    assert "<script" not in answer.text and "http" not in answer.text.replace("http-equiv", "")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("given", "leads_to"),
    [
        ("/?story=a", "/?story=a"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/login", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_nowhere_else(given: str, leads_to: str) -> None:
    assert local_address(given) == leads_to


def test_many_wrong_passwords_from_everywhere_slow_everybody_down(clock: Clock) -> None:
    attempts = Attempts(crowd=5, clock=clock)
    for number in range(6):
        assert attempts.wait(f"10.0.0.{number}") == 0.0
    assert attempts.wait("10.0.0.99") > 0
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:0:1::1")


# starting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("192.168.1.5", False),
        ("pc", False),
    ],
)
def test_who_can_come(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_no_start_for_others_without_a_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["--host", "0.0.0.0", "--data-dir", str(tmp_path), "--no-browser"]) == main.EXIT_USAGE
    told = capsys.readouterr().out
    assert "--password-file" in told and len(told.strip().splitlines()) == 1


def test_a_space_and_a_proxy_are_public_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        access_for("127.0.0.1", Settings(tmp_path), None, {"SPACE_ID": "someone/story"})
    with pytest.raises(ConfigError):
        access_for("127.0.0.1", Settings(tmp_path, served_as="story.example"), None, {})
    access = access_for("127.0.0.1", Settings(tmp_path, served_as="story.example"), None, {"WHATNEXT_PASSWORD": WORDS})
    assert access.public and access.lock is not None and access.names == ("story.example",)
    alone = access_for("127.0.0.1", Settings(tmp_path), None, {})
    assert not alone.public and alone.lock is None


def test_where_a_password_comes_from(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    env = {"WHATNEXT_PASSWORD": WORDS}
    from_env = given_password(None, env)
    assert from_env is not None and from_env.is_(WORDS) and not from_env.is_(WORDS + " ")
    assert env == {}, "no other process inherits it"
    assert WORDS not in repr(from_env) and WORDS not in str(vars(from_env))
    file = tmp_path / "password"
    file.write_text(WORDS + "\nsecond line\n")
    file.chmod(0o644)
    from_file = given_password(file, {})
    assert from_file is not None and from_file.is_(WORDS)
    assert os.name != "posix" or "chmod 600" in caplog.text
    assert WORDS not in caplog.text
    for wrong in ("short", "", "x" * 2000):
        file.write_text(wrong)
        with pytest.raises(ConfigError):
            given_password(file, {})
    with pytest.raises(ConfigError):
        given_password(tmp_path / "nowhere", {})


def test_no_option_takes_the_password_itself() -> None:
    with pytest.raises(SystemExit):
        main.parser().parse_args(["--password", WORDS])


def test_gradios_own_side_doors_are_closed() -> None:
    env = {"GRADIO_VIBE_MODE": "1", "GRADIO_ALLOWED_PATHS": "/", "GRADIO_SHARE": "true", "OTHER": "x"}
    assert set(close_side_doors(env)) == {"GRADIO_VIBE_MODE", "GRADIO_ALLOWED_PATHS", "GRADIO_SHARE"}
    assert env == {"OTHER": "x"}


# budgets --------------------------------------------------------------------------------------------------------


def test_a_visitors_jobs_are_counted_and_nobody_elses(clock: Clock) -> None:
    budget = JobBudget(lambda: 0, Allowance(2, 600, clock=clock))
    for _ in range(5):
        budget()  # the person at this machine, or the program itself
    named = visitor.set("somebody")
    try:
        budget()
        budget()
        with pytest.raises(UserError, match="10 minutes"):
            budget()
        clock.now += 601
        budget()
        with pytest.raises(UserError, match="wait"):
            JobBudget(lambda: 24)()
    finally:
        visitor.reset(named)
