"""Who may talk to this program: the gate that stands in front of every route, Gradio's own included.

Knows nothing of stories. Three questions, asked of each request in this order: is it meant for this machine (a page of
another site that had its name point here is refused), does it come from a page of ours when it changes something, and
does it carry the token that the program printed, or, where others may come, did it bring the password (app.login).
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.catalogue import say
from app.killpoints import reached
from app.login import Locks
from app.plain import plain_page
from app.visitor import visitor

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
COOKIE = "whatnext"
COOKIE_SECONDS = 60 * 60 * 24 * 90
# Gradio asks its own server, without cookies, whether it has started; nobody else is answered, and only until then.
STARTUP = "/gradio_api/startup-events"

# Gradio compiles its templates in the browser and styles inline, so both must be allowed; nothing may leave this place.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)

# Of what a browser can give, the page asks for the camera, its own and only when a person presses its button.
PERMISSIONS = "camera=(self), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), hid=(), payment=()"


@dataclass
class Door:
    """What the gate asks for: the password where there is a lock, else the token. Neither: anyone may enter."""

    token: str | None
    hosts: frozenset[str] = frozenset(LOOPBACK)
    lock: Locks | None = None
    framed_by: str = ""  # sources that may show the page in a frame of theirs, beside itself
    any_address: bool = False  # bare IP addresses are welcome: a rebound name cannot be one
    starting: bool = True

    def knows_host(self, header: str) -> bool:
        name = host_name(header)
        if name in self.hosts:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def accepts(self, given: str | None) -> bool:
        if self.token is None:
            return True
        return given is not None and hmac.compare_digest(given.encode(), self.token.encode())


def host_name(header: str) -> str:
    """The name in a Host header or an authority, without port and brackets."""
    try:
        return (urlsplit(f"//{header.strip()}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def door_for(host: str, token: str | None, extra: Iterable[str] = (), lock: Locks | None = None) -> Door:
    """The door of a server that listens on `host`, and is known as `extra`, too."""
    names = {*LOOPBACK, *extra}
    everywhere = host in ("0.0.0.0", "::", "")  # noqa: S104
    if everywhere:
        own = socket.gethostname().lower()
        names |= {own, f"{own}.local"}
    else:
        names.add(host_name(host) or host)
    return Door(token, frozenset(name.lower() for name in names), lock, any_address=everywhere)


def lasting_token(folder: Path) -> str:
    """The token of this data folder: the same after a restart, so that open tabs find their story again."""
    path = folder / "token"
    try:
        token = path.read_text(encoding="ascii").strip()
        if len(token) >= 32:
            return token
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = secrets.token_urlsafe(24)
    partial = path.with_name(f"token.{os.getpid()}.partial")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(token)
    reached("token.written")
    os.replace(partial, path)
    return token


class Gate:
    """ASGI middleware; the outermost of ours. See the module's docstring for what it asks."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app = app
        self.door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = self._refusal(scope, headers)
        who = ""
        if answer is None and self.door.lock is not None and not self._is_own_start(scope):
            answer, who = await self.door.lock.answer(scope, receive, partial(_cookie, headers))
        if answer is None:
            named = visitor.set(who)
            try:
                await self.app(scope, receive, _with_headers(send, self.door))
            finally:
                visitor.reset(named)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send, self.door))

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        """What to answer instead of the page; None lets the request through."""
        host = headers.get("host", "")
        if not self.door.knows_host(host):
            return PlainTextResponse("This server does not answer under that name.", status_code=400)
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not _comes_from_here(headers, host):
            return PlainTextResponse("Only this program's own page may do that.", status_code=403)
        if self.door.token is None or self.door.lock is not None or self._is_own_start(scope):
            return None
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        given = next((value for key, value in query if key == "token"), None)
        name = cookie_name(host)
        if given is not None and self.door.accepts(given):
            if scope["type"] == "websocket":
                return None
            rest = urlencode([(key, value) for key, value in query if key != "token"])
            answer = RedirectResponse(
                f"{scope.get('root_path', '')}{scope['path'] or '/'}" + (f"?{rest}" if rest else ""), status_code=303
            )
            answer.set_cookie(
                name, given, max_age=COOKIE_SECONDS, httponly=True, samesite="lax", secure=scope["scheme"] == "https"
            )
            return answer
        if self.door.accepts(_cookie(headers, name)):
            return None
        return HTMLResponse(plain_page(say("safety.title"), say("safety.full_address")), status_code=401)

    def _is_own_start(self, scope: Scope) -> bool:
        return self.door.starting and scope["path"] == STARTUP and _is_local(scope)


def cookie_name(host: str) -> str:
    """Cookies do not tell ports apart; two programs on one machine must not take each other's."""
    try:
        port = urlsplit(f"//{host}").port
    except ValueError:
        port = None
    return f"{COOKIE}-{port or 80}"


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        jar = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


def _comes_from_here(headers: Headers, host: str) -> bool:
    """Browsers say where a request comes from; programs without a browser say nothing and have the token to show."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() == host.lower()
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and client[0] in LOOPBACK


def _with_headers(send: Send, door: Door) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.setdefault("Referrer-Policy", "same-origin")
            headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            headers.setdefault("Permissions-Policy", PERMISSIONS)
            frames = "" if door.token is None and door.lock is None else "; frame-ancestors 'self'"
            frames += f" {door.framed_by}" if frames and door.framed_by else ""
            headers.setdefault("Content-Security-Policy", POLICY + frames)
        await send(message)

    return wrapped
