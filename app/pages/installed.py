"""What makes the page an app of its own on a computer or a phone: its name card, its icons, and a page for when the
program is not running. Nothing of a story is ever kept by the browser.

The same routes hear which windows are open, where somebody listens (`launch.py --window`). Knows nothing of stories.
"""

from __future__ import annotations

import html
import re
import zlib

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from app.catalogue import say
from app.pages.head import CLIENT, paper
from app.plain import plain_page
from app.presence import Presence
from app.settings import ROOT

ICONS = ROOT / "assets" / "desktop" / "icons"
_PLAIN = re.compile(r"[\w-]{1,40}\.(png|svg)")
_KINDS = {"png": "image/png", "svg": "image/svg+xml"}
DAY = {"Cache-Control": "private, max-age=86400"}


def app_routes(presence: Presence | None = None) -> list[Route]:
    """`presence`: who wants to know which windows are open."""

    async def manifest(_request: Request) -> Response:
        return JSONResponse(card(), media_type="application/manifest+json", headers=DAY)

    async def icon(request: Request) -> Response:
        name = request.path_params["name"]
        path = ICONS / name
        if not _PLAIN.fullmatch(name) or not path.is_file():
            return PlainTextResponse("There is no such icon.", status_code=404)
        return FileResponse(path, media_type=_KINDS[path.suffix[1:]], headers=DAY)

    async def service_worker(_request: Request) -> Response:
        version = format(zlib.crc32(offline_page().encode()), "x")
        return Response(
            _client("service_worker.js").replace("VERSION", version),
            media_type="text/javascript",
            headers={"Cache-Control": "no-cache"},
        )

    async def offline(_request: Request) -> Response:
        return HTMLResponse(offline_page(), headers={"Cache-Control": "no-store"})

    async def window(_request: Request) -> Response:
        if presence is None:
            return Response(status_code=404)
        return StreamingResponse(presence.stay(), media_type="text/plain", headers={"Cache-Control": "no-store"})

    return [
        Route("/manifest.webmanifest", manifest),
        Route("/icon/{name}", icon),
        Route("/service-worker.js", service_worker),
        Route("/offline", offline),
        Route("/window", window),
    ]


def card() -> dict[str, object]:
    """The web app manifest."""
    return {
        "id": "/",
        "name": say("page.name"),
        "short_name": say("installed.short_name"),
        "description": say("installed.description"),
        "lang": say("language.code"),
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": paper()["light"],
        "theme_color": paper()["light"],
        "icons": [
            {"src": "/icon/icon.svg", "sizes": "any", "type": "image/svg+xml"},
            {"src": "/icon/icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "/icon/icon-512.png", "sizes": "512x512", "type": "image/png"},
            {"src": "/icon/icon-maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        ],
    }


def offline_page() -> str:
    """What the browser shows while the program does not run; it has to bring all that it needs."""
    again = f'<button onclick="location.reload()">{html.escape(say("installed.try_again"))}</button>'
    return plain_page(say("installed.offline"), say("installed.offline_hint"), again)


def _client(name: str) -> str:
    return (CLIENT / name).read_text(encoding="utf-8")
