"""The lock of a Space: no password, but everybody has stories of their own. A visitor is a guest until they log in with
their Hugging Face account; a guest's stories go when their session does.

The login is OpenID Connect's code flow with PKCE against OPENID_PROVIDER_URL, with the client that a Space with
`hf_oauth: true` is given. Of the account only its id and its name are kept, its token is thrown away. Sessions live in
memory: a restart makes everybody a guest again, until they log in. Part of the gate (app.security); knows nothing of
stories and of Gradio.
"""

from __future__ import annotations

import base64
import hashlib
import html
import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope

from app.attempts import Allowance
from app.catalogue import say
from app.login import LOGIN, LOGOUT, POLICY, UPLOAD, local_address
from app.plain import plain_page
from app.visitor import Account, account
from nsp_core.errors import ConfigError, WhatNextError

log = logging.getLogger(__name__)

CALLBACK = "/login/callback"
GUEST_SECONDS = 2 * 3600.0  # without a request, after which a guest's stories go
ACCOUNT_SECONDS = 12 * 3600.0
LOGIN_SECONDS = 600.0
MOST_SESSIONS = 2000
TRIED = "cookie"  # in the address: a cookie was set just now, and whoever comes back without it keeps none
COOKIE = "whatnext-person"


class LoginFailed(WhatNextError):
    """Hugging Face did not say who it is."""


@dataclass(frozen=True)
class Client:
    """The OAuth client of this Space."""

    id: str
    secret: str
    provider: str
    scopes: str
    host: str  # the Space's own name; "" where it is taken from the request, on a machine for trying it out

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Client:
        """Raises ConfigError for a Space without `hf_oauth: true`."""
        try:
            return cls(
                env["OAUTH_CLIENT_ID"],
                env["OAUTH_CLIENT_SECRET"],
                env["OPENID_PROVIDER_URL"].rstrip("/"),
                env.get("OAUTH_SCOPES", "openid profile"),
                env.get("SPACE_HOST", ""),
            )
        except KeyError as error:
            raise ConfigError(
                f"People cannot log in without {error.args[0]}: put `hf_oauth: true` at the top of the Space's "
                "README.md, and it is given."
            ) from None


@dataclass
class _Session:
    account: Account
    since: float
    seen: float
    expected: tuple[str, str, str, float] | None = None  # state, verifier, address to go on at, until when


class Accounts:
    """The lock; see `answer`. `client` None: guests only. `took_over(guest, account)` hears of a guest who logged in,
    so that what they began goes with them."""

    def __init__(
        self,
        client: Client | None,
        *,
        took_over: Callable[[Account, Account], None] = lambda _guest, _account: None,
        uploads: Allowance | None = None,
        secure: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.took_over = took_over
        self.uploads = uploads or Allowance(20, 600)
        self.secure = secure  # the cookie crosses TLS only, and is sent inside the Hub's frame, too
        self._clock = clock
        self._guard = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    async def answer(
        self, scope: Scope, receive: Receive, cookie_of: Callable[[str], str | None]
    ) -> tuple[Response | None, str]:
        """What to answer instead of the page (None: let it through), and who asks. Sets `app.visitor.account`."""
        key = _hash(cookie_of(COOKIE) or "")
        session = self._session(key)
        if scope["type"] == "websocket":
            return (None if session else PlainTextResponse("", 401)), self._enter(session)
        path, method = str(scope["path"]), str(scope["method"])
        request = Request(scope, receive)
        if session is None:
            wants_page = method == "GET" and "text/html" in Headers(scope=scope).get("accept", "")
            return (self._welcome(request) if wants_page else PlainTextResponse(say("safety.come_in_first"), 401)), ""
        if method == "GET" and request.query_params.get(TRIED) is not None:  # it stayed
            rest = urlencode([one for one in request.query_params.multi_items() if one[0] != TRIED])
            path = local_address(path) + (f"?{rest}" if rest else "")
            return RedirectResponse(_at(scope, path), status_code=303), ""
        if path == LOGIN and method == "GET" and self.client is not None:
            return await self._ask(request, session), ""
        if path == CALLBACK and method == "GET" and self.client is not None:
            return await self._asked(request, key, session), ""
        if path == LOGOUT and method == "POST":
            with self._guard:
                self._sessions.pop(key, None)
            answer = RedirectResponse(_at(scope, "/"), status_code=303)
            answer.headers["Clear-Site-Data"] = '"cache"'
            answer.delete_cookie(COOKIE)
            return answer, ""
        who = self._enter(session)
        if path == UPLOAD and method == "POST" and (wait := self.uploads.take(who)):
            return PlainTextResponse(say("safety.too_many_uploads", minutes=max(1, math.ceil(wait / 60))), 429), who
        return None, who

    def guests(self) -> frozenset[str]:
        """Subjects of guests whose session lasts."""
        with self._guard:
            now = self._clock()
            return frozenset(
                one.account.subject
                for one in self._sessions.values()
                if one.account.is_guest and now - one.seen <= GUEST_SECONDS
            )

    # sessions ---------------------------------------------------------------------------------------------------

    def _session(self, key: str) -> _Session | None:
        with self._guard:
            found, now = self._sessions.get(key), self._clock()
            if found is None:
                return None
            if now - found.seen > (GUEST_SECONDS if found.account.is_guest else ACCOUNT_SECONDS):
                del self._sessions[key]
                return None
            found.seen = now
            self._sessions.move_to_end(key)
            return found

    def _begin(self, who: Account) -> str:
        """A new session; returns its cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._guard:
            now = self._clock()
            self._sessions[_hash(cookie)] = _Session(who, now, now)
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)
        return cookie

    def _enter(self, session: _Session | None) -> str:
        account.set(session.account if session else None)
        return f"{session.account.kind}:{session.account.subject}" if session else ""

    def _welcome(self, request: Request) -> Response:
        """A cookie first, then the page: whoever comes back without it is told, instead of losing a story."""
        if request.query_params.get(TRIED) is not None:
            link = f'<p><a href="{html.escape(_at(request.scope, "/"))}" target="_blank" rel="noopener">'
            link += f"{html.escape(say('safety.own_tab'))}</a></p>"
            return _page(say("safety.no_cookie"), link, 401)
        query = urlencode([*request.query_params.multi_items(), (TRIED, "1")])
        path = local_address(request.url.path)
        answer = RedirectResponse(f"{_at(request.scope, path)}?{query}", status_code=303)
        self._give(answer, self._begin(Account("guest", secrets.token_hex(16))))
        return answer

    def _give(self, answer: Response, cookie: str) -> None:
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(ACCOUNT_SECONDS),
            httponly=True,
            secure=self.secure,
            samesite="none" if self.secure else "lax",
        )
        answer.headers["Cache-Control"] = "no-store"

    # logging in -------------------------------------------------------------------------------------------------

    async def _ask(self, request: Request, session: _Session) -> Response:
        """To Hugging Face, which asks the person whether this Space may know who they are."""
        assert self.client is not None
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        onward = local_address(request.query_params.get("next", "/"))
        session.expected = (state, verifier, onward, self._clock() + LOGIN_SECONDS)
        try:
            found = await run_in_threadpool(self._provider)
        except LoginFailed as error:
            return _page(str(error), _back(request), 502)
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client.id,
                "redirect_uri": self._redirect_uri(request),
                "scope": self.client.scopes,
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        return RedirectResponse(f"{found['authorization_endpoint']}?{query}", status_code=303)

    async def _asked(self, request: Request, key: str, session: _Session) -> Response:
        """Back from there: only the session that asked, once, and not too late."""
        expected, session.expected = session.expected, None
        given = parse_qs(request.url.query)
        state, code = (given.get(name, [""])[0] for name in ("state", "code"))
        if expected is None or not secrets.compare_digest(expected[0].encode(), state.encode()):
            return _page(say("safety.login_strange"), _back(request), 400)
        if not code or self._clock() > expected[3]:
            return _page(say("safety.login_refused"), _back(request), 400)
        try:
            who = await run_in_threadpool(self._who, code, expected[1], self._redirect_uri(request))
        except LoginFailed as error:
            return _page(str(error), _back(request), 502)
        if session.account.is_guest:
            await run_in_threadpool(self.took_over, session.account, who)
        cookie = self._begin(who)  # a new one: whoever knew the guest's is not let in
        with self._guard:
            self._sessions.pop(key, None)
        answer = RedirectResponse(_at(request.scope, expected[2]), status_code=303)
        self._give(answer, cookie)
        return answer

    def _redirect_uri(self, request: Request) -> str:
        assert self.client is not None
        if self.client.host:
            return f"https://{self.client.host}{CALLBACK}"
        return f"{request.url.scheme}://{request.headers['host']}{CALLBACK}"

    def _provider(self) -> dict[str, Any]:
        assert self.client is not None
        return _json("GET", f"{self.client.provider}/.well-known/openid-configuration")

    def _who(self, code: str, verifier: str, redirect_uri: str) -> Account:
        assert self.client is not None
        provider = self._provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client.id,
            "code_verifier": verifier,
        }
        token = _json(
            "POST", str(provider["token_endpoint"]), data=form, auth=(self.client.id, self.client.secret)
        ).get("access_token")
        told = _json("GET", str(provider["userinfo_endpoint"]), headers={"Authorization": f"Bearer {token}"})
        subject = told.get("sub")
        if not isinstance(subject, str) or not subject:
            raise LoginFailed(say("safety.login_failed"))
        name = told.get("preferred_username") or told.get("name") or ""
        return Account("account", f"hf:{subject}", str(name)[:80])


def _json(method: str, url: str, **how: Any) -> dict[str, Any]:
    """Raises LoginFailed for every answer that is not plain JSON and 200."""
    import httpx2

    try:
        with httpx2.Client(timeout=20.0) as client:
            answer = client.request(method, url, **how)
        value = answer.json() if answer.status_code == 200 else None
    except (httpx2.HTTPError, ValueError) as error:
        log.warning("the login could not be asked for: %s", type(error).__name__)
        raise LoginFailed(say("safety.login_failed")) from None
    if not isinstance(value, dict):
        log.warning("the login was answered with %d", answer.status_code)
        raise LoginFailed(say("safety.login_failed"))
    return value


def _page(text: str, body: str, status: int) -> Response:
    headers = {"Cache-Control": "no-store", "Content-Security-Policy": POLICY}
    return HTMLResponse(plain_page(say("page.name"), text, body), status_code=status, headers=headers)


def _back(request: Request) -> str:
    return f'<p><a href="{html.escape(_at(request.scope, "/"))}">{html.escape(say("safety.back"))}</a></p>'


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def _at(scope: Scope, path: str) -> str:
    return f"{scope.get('root_path', '')}{path}"
