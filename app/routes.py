"""What the page fetches beside Gradio: clips with ranges, previews, example pictures, the reel as a download.

Every answer is asked of the store in the name of one person; a file that is not theirs does not exist for them. Knows
nothing of components and events.
"""

from __future__ import annotations

import logging
import re
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from app.choices import zip_out
from app.pages.saved import saved_part
from app.settings import ROOT
from app.store.errors import NotFound
from app.store.media import SERVED
from nsp_core.errors import UserError

if TYPE_CHECKING:
    from app.pages.desk import Desk

log = logging.getLogger(__name__)

FOREVER = "private, max-age=31536000, immutable"  # the name is the content's hash
PREVIEWS = {".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".mp4": "video/mp4"}
PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}
FILMS = {
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".png": "image/png",
    ".pdf": "application/pdf",
    ".vtt": "text/vtt",
}
LESSONS = {
    ".mp4": "video/mp4",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".html": "text/html",
}
FONTS = ROOT / "assets" / "fonts"
_PLAIN = re.compile(r"[\w.-]{1,120}")


def routes(desks: Callable[[], Desk]) -> list[Route]:
    """All of them, each asked of the desk of whoever asks. For `demo.launch(app_kwargs={"routes": ...})`: they stand
    before Gradio's."""

    async def media(request: Request) -> Response:
        name = request.path_params["name"]
        kind = SERVED.get(name.rpartition(".")[2])
        if kind is None:
            return _gone()
        try:
            path = await run_in_threadpool(lambda: desks().media_path(name))
        except NotFound:
            return _gone()
        tag = f'"{name[:64]}"'
        headers = {"Cache-Control": FOREVER, "ETag": tag, "Vary": "Cookie"}
        if tag in [given.strip() for given in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=headers)
        return FileResponse(path, headers=headers, media_type=kind)

    async def preview(request: Request) -> Response:
        try:
            path = await run_in_threadpool(lambda: desks().preview_path(request.path_params["job"]))
            data = await run_in_threadpool(path.read_bytes)  # small, and replaced by the next one at any moment
        except (NotFound, OSError):
            return Response(status_code=204)  # just gone: the page has better things to do than to report it
        kind = PREVIEWS.get(path.suffix)
        if kind is None:
            return _gone()
        return Response(data, media_type=kind, headers={"Cache-Control": "no-store"})

    async def example(request: Request) -> Response:
        name = request.path_params["name"]
        kind = PICTURES.get(Path(name).suffix)
        path = (await run_in_threadpool(desks)).examples.folder / name
        if kind is None or not _PLAIN.fullmatch(name) or not path.is_file():
            return _gone()
        return FileResponse(path, media_type=kind, headers={"Cache-Control": "private, max-age=3600"})

    async def font(request: Request) -> Response:
        name = request.path_params["name"]
        path = FONTS / name
        if not _PLAIN.fullmatch(name) or path.suffix != ".woff2" or not path.is_file():
            return _gone()
        return FileResponse(path, media_type="font/woff2", headers={"Cache-Control": "private, max-age=604800"})

    async def reel(request: Request) -> Response:
        desk = await run_in_threadpool(desks)
        target = Path(tempfile.mkstemp(suffix=".mp4", prefix="reel-", dir=desk.settings.run_dir)[1])
        try:
            title = await run_in_threadpool(desk.write_reel, request.path_params["scene"], target)
        except NotFound:
            target.unlink(missing_ok=True)
            return _gone()
        except Exception:
            target.unlink(missing_ok=True)
            log.exception("The reel could not be written.")
            return PlainTextResponse("The reel could not be written; the story itself is unharmed.", status_code=500)
        headers = {"Content-Disposition": disposition(title, "mp4"), "Cache-Control": "no-store"}
        done = BackgroundTask(target.unlink, missing_ok=True)
        return FileResponse(target, media_type="video/mp4", headers=headers, background=done)

    async def film(request: Request) -> Response:
        """What was made in the cutting room, under the story's title."""
        try:
            path, title = await run_in_threadpool(lambda: desks().film(request.path_params["name"]))
        except NotFound:
            return _gone()
        headers = {"Content-Disposition": disposition(title, path.suffix[1:]), "Cache-Control": "no-store"}
        return FileResponse(path, headers=headers, media_type=FILMS.get(path.suffix, "application/octet-stream"))

    async def scene(request: Request) -> Response:
        """What a person takes along of one scene, under a name that says what it is."""
        try:
            saved = await run_in_threadpool(lambda: saved_part(desks(), **request.path_params))
        except NotFound:
            return _gone()
        headers = {"Content-Disposition": disposition(saved.name, saved.ext), "Cache-Control": "private, no-cache"}
        if isinstance(saved.content, str):
            return PlainTextResponse(saved.content, headers=headers)
        return FileResponse(saved.content, headers=headers, media_type=SERVED[saved.ext])

    async def lesson(request: Request) -> Response:
        """A still, a clip or a preview of a lesson; its report is taken along, for it is a page of its own."""
        try:
            path = await run_in_threadpool(lambda: desks().teach.file(**request.path_params))
        except UserError:
            return _gone()
        headers = {"Cache-Control": "private, no-cache"}
        if path.suffix == ".html":
            headers["Content-Disposition"] = disposition(f"{request.path_params['key']} report", "html")
        return FileResponse(path, headers=headers, media_type=LESSONS[path.suffix])

    async def backup(request: Request) -> Response:
        try:
            path = await run_in_threadpool(lambda: desks().library.backup_path(request.path_params["name"]))
        except UserError:
            return _gone()
        headers = {"Content-Disposition": disposition(path.stem, "zip"), "Cache-Control": "no-store"}
        return FileResponse(path, media_type="application/zip", headers=headers)

    async def choices(_request: Request) -> Response:
        """What was noted of this person's choices, with its pictures."""
        desk = await run_in_threadpool(desks)
        target = Path(tempfile.mkstemp(suffix=".zip", prefix="choices-", dir=desk.settings.run_dir)[1])
        try:
            await run_in_threadpool(zip_out, desk.store, desk.owner_id, target)
        except UserError as error:
            target.unlink(missing_ok=True)
            return PlainTextResponse(str(error), status_code=404)
        except Exception:
            target.unlink(missing_ok=True)
            raise
        headers = {"Content-Disposition": disposition("choices", "zip"), "Cache-Control": "no-store"}
        done = BackgroundTask(target.unlink, missing_ok=True)
        return FileResponse(target, media_type="application/zip", headers=headers, background=done)

    return [
        Route("/media/{name}", media),
        Route("/preview/{job}", preview),
        Route("/example/{name}", example),
        Route("/font/{name}", font),
        Route("/scene/{take_id}/{part}", scene),
        Route("/reel/{scene}.mp4", reel),
        Route("/film/{name}", film),
        Route("/lesson/{key}/{name:path}", lesson),
        Route("/backup/{name}", backup),
        Route("/choices.zip", choices),
    ]


def disposition(title: str, ext: str) -> str:
    """A download's header: a plain name for old clients, the real title for all others."""
    clean = "".join(c if c.isalnum() or c in " -_,'!" else " " for c in title)
    clean = " ".join(clean.split())[:80] or "story"
    plain = unicodedata.normalize("NFKD", clean).encode("ascii", "ignore").decode().strip() or "story"
    return f"attachment; filename=\"{plain}.{ext}\"; filename*=UTF-8''{quote(f'{clean}.{ext}')}"


def _gone() -> Response:
    return PlainTextResponse("There is no such file here.", status_code=404)
