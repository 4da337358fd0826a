"""The lock of a page that others can reach: asks for the password, and remembers by a cookie who knew it.

Part of the gate (app.security), which has already refused foreign names and foreign pages when it asks here. Sessions
live in memory: a restart asks everybody again. Knows nothing of stories and of Gradio.
"""

from __future__ import annotations

import hashlib
import html
import logging
import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qs, quote, urlsplit

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from app.attempts import Allowance, Attempts
from app.catalogue import say
from app.password import Password
from app.plain import plain_page

log = logging.getLogger(__name__)

LOGIN, LOGOUT, UPLOAD = "/login", "/logout", "/gradio_api/upload"
IDLE_SECONDS = 12 * 3600.0
SESSION_SECONDS = 7 * 24 * 3600.0
MOST_SESSIONS = 500
BODY_BYTES = 8192
COOKIE = "whatnext-visitor"
# Nothing on that page but itself: no script, no picture from elsewhere, no frame around it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

FORM = """{wrong}<form method="post" action="{action}">
<input type="hidden" name="next" value="{next}"><label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus
maxlength="1024">
<button>{enter}</button></form>"""


class Locks(Protocol):
    """What the gate asks where others may come."""

    async def answer(
        self, scope: Scope, receive: Receive, cookie_of: Callable[[str], str | None]
    ) -> tuple[Response | None, str]:
        """What to answer instead of the page (None: let it through), and who asks ("" while nobody knows)."""
        ...


class Lock:
    """One password for everybody who may come. `uploads`: how many files one visitor may bring in a while."""

    def __init__(
        self,
        password: Password,
        *,
        attempts: Attempts | None = None,
        uploads: Allowance | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.password = password
        self.attempts = attempts or Attempts()
        self.uploads = uploads or Allowance(30, 600)
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[float, float]] = OrderedDict()  # hash -> since when, last seen
        self._one_at_a_time = anyio.Lock()  # guesses, so that many at once are no quicker

    async def answer(
        self, scope: Scope, receive: Receive, cookie_of: Callable[[str], str | None]
    ) -> tuple[Response | None, str]:
        """What to answer instead of the page (None: let it through), and who asks ("" while nobody knows)."""
        visitor = self.visitor(cookie_of(_cookie_name(scope)))
        if scope["type"] == "websocket":
            return (None if visitor else PlainTextResponse("", status_code=401)), visitor
        path, method = str(scope["path"]), str(scope["method"])
        if path == LOGIN:
            if method == "POST":
                return await self._log_in(Request(scope, receive)), visitor
            if visitor:
                return RedirectResponse(_at(scope, "/"), status_code=303), visitor
            return page(scope, "/"), visitor
        if path == LOGOUT and method == "POST":
            self._sessions.pop(visitor, None)
            answer = RedirectResponse(_at(scope, LOGIN), status_code=303)
            answer.headers["Clear-Site-Data"] = '"cache"'  # the pictures that were looked at
            answer.delete_cookie(_cookie_name(scope), httponly=True, samesite="strict")
            return answer, ""
        if not visitor:
            wants_page = method == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
            return (page(scope, path, 401) if wants_page else PlainTextResponse(say("safety.log_in_first"), 401)), ""
        if path == UPLOAD and method == "POST" and (wait := self.uploads.take(visitor)):
            return PlainTextResponse(say("safety.too_many_uploads", minutes=_minutes(wait)), 429), visitor
        return None, visitor

    def visitor(self, cookie: str | None) -> str:
        """Who has this cookie: a name for as long as the session lasts, "" for nobody."""
        if not cookie:
            return ""
        name = _name_of(cookie)
        found = self._sessions.get(name)
        now = self._clock()
        if found is None:
            return ""
        if now - found[0] > SESSION_SECONDS or now - found[1] > IDLE_SECONDS:
            del self._sessions[name]
            return ""
        self._sessions[name] = (found[0], now)
        return name

    async def _log_in(self, request: Request) -> Response:
        given = await _form(request)
        onward = local_address(given.get("next", "/"))
        address = request.client.host if request.client else ""
        async with self._one_at_a_time:
            wait = self.attempts.wait(address)
            if wait:
                return page(request.scope, onward, 429, say("safety.wait", seconds=max(1, math.ceil(wait))), wait)
            right = await run_in_threadpool(self.password.is_, given.get("password", ""))
            if not right:
                log.warning("a wrong password was given from %s", address)
                return page(request.scope, onward, 401, say("safety.wrong"))
            self.attempts.succeeded(address)
        cookie = secrets.token_urlsafe(32)
        now = self._clock()
        self._sessions[_name_of(cookie)] = (now, now)
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        answer = RedirectResponse(_at(request.scope, "") + onward, status_code=303)
        answer.set_cookie(
            _cookie_name(request.scope),
            cookie,
            max_age=int(SESSION_SECONDS),
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return answer


def page(scope: Scope, onward: str, status: int = 200, wrong: str = "", wait: float = 0.0) -> Response:
    """The page that asks for the password; `onward` is where a right one leads."""
    query = scope.get("query_string", b"").decode("latin-1")
    if onward == scope["path"] and scope["path"] != LOGIN and query:
        onward = f"{onward}?{query}"
    form = FORM.format(
        wrong=f'<p class="wrong" role="alert">{html.escape(wrong)}</p>' if wrong else "",
        action=html.escape(_at(scope, LOGIN)),
        next=html.escape(local_address(onward)),
        label=html.escape(say("safety.password")),
        enter=html.escape(say("safety.enter")),
    )
    shown = plain_page(say("safety.title"), say("safety.lead"), form)
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY, "X-Frame-Options": "DENY"}
    if wait:
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return HTMLResponse(shown, status_code=status, headers=headers)


def local_address(given: str) -> str:
    """An address of this page, whatever a form says: no other site is led to."""
    parts = urlsplit(given)
    if not given.startswith("/") or given.startswith(("//", "/\\")) or parts.netloc or parts.scheme:
        return "/"
    if parts.path in (LOGIN, LOGOUT) or any(ord(letter) < 33 for letter in given):
        return "/"
    return quote(parts.path, safe="/-._~%") + (f"?{quote(parts.query, safe='=&-._~%+')}" if parts.query else "")


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=8)
    return {name: values[0] for name, values in fields.items()}


def _name_of(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def _cookie_name(scope: Scope) -> str:
    """Cookies do not tell ports apart; two programs on one machine must not take each other's."""
    try:
        port = urlsplit("//" + Headers(scope=scope).get("host", "")).port
    except ValueError:
        port = None
    return f"{COOKIE}-{port or 80}"


def _at(scope: Scope, path: str) -> str:
    return f"{scope.get('root_path', '')}{path}"


def _minutes(seconds: float) -> int:
    return max(1, math.ceil(seconds / 60))
