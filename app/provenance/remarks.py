"""A remark (one line of ASCII) in the plain metadata of each kind of file, written and found again.

Anyone can read it with the tools that the kind already has (exiftool, ffprobe, a text editor), and anyone can change
or remove it: only credentials say whether somebody did. SubRip has no place for remarks, so .srt files hold none.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

import av

KEY = "what-happens-next"
MOST = 8 << 20  # bytes of a remark that is read back, and of the beginning of a text in which it is looked for
_SPACE = "https://what-happens-next.invalid/ns/1.0/"
_IN_XMP = re.compile(rb"<whn:recipe>(.*?)</whn:recipe>", re.DOTALL)
_IN_HTML = re.compile(rf'<meta name="{KEY}" content="([^"]*)">')
_IN_VTT = re.compile(rf"^NOTE {KEY} (.*)$", re.MULTILINE)


def xmp(remark: str) -> bytes:
    """An XMP packet (ISO 16684-1)."""
    return f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{unpacked(remark)}<?xpacket end="r"?>'.encode()


def unpacked(remark: str) -> str:
    """What such a packet holds; some libraries write the packet around it themselves."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:whn="{_SPACE}"><whn:recipe>{escape(remark)}</whn:recipe>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


def meta(remark: str) -> str:
    return f'<meta name="{KEY}" content="{html.escape(remark)}">\n'


def note(remark: str) -> str:
    """A WebVTT comment, in which nothing may look like the arrow between two times."""
    return f"NOTE {KEY} {remark.replace('>', chr(92) + 'u003e')}\n\n"


def remark_in(path: Path, kind: str) -> str | None:
    """`kind` as app.provenance.reading names it. None when there is none, or the file cannot be read as that kind."""
    try:
        found = _FINDERS[kind](path) if kind in _FINDERS else None
    except Exception:  # whatever a decoder says about a file that nobody vouches for
        return None
    return found if found is not None and len(found) <= MOST else None


def _film(path: Path) -> str | None:
    with path.open("rb") as file:
        demuxer = "mov" if file.read(8)[4:] == b"ftyp" else "matroska"
    # one demuxer and this file: a playlist in disguise opens nothing else
    with av.open(str(path.resolve()), "r", format=demuxer, options={"protocol_whitelist": "file"}) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
    return tags.get("comment")


def _gif(path: Path) -> str | None:
    with _opened(path, "GIF") as picture:
        comment = picture.info.get("comment")
    return comment.decode("ascii", "replace") if isinstance(comment, bytes) else None


def _png(path: Path) -> str | None:
    with _opened(path, "PNG") as picture:
        return picture.info.get(KEY)


def _webp(path: Path) -> str | None:
    with _opened(path, "WEBP") as picture:
        return _in_xmp(picture.info.get("xmp") or b"")


def _opened(path: Path, kind: str) -> Any:
    """Pillow reads the header only; no picture is decoded."""
    from PIL import Image

    return Image.open(path, formats=[kind])


def _pdf(path: Path) -> str | None:
    with path.open("rb") as file:
        while block := file.read(MOST):
            if found := _in_xmp(block + file.read(1 << 16)):
                return found
    return None


def _html(path: Path) -> str | None:
    found = _IN_HTML.search(_beginning(path))
    return html.unescape(found[1]) if found else None


def _vtt(path: Path) -> str | None:
    found = _IN_VTT.search(_beginning(path))
    return found[1] if found else None


def _otio(path: Path) -> str | None:
    told = json.loads(_beginning(path)).get("metadata", {}).get(KEY)
    return None if told is None else json.dumps(told, separators=(",", ":"), sort_keys=True)


def _in_xmp(data: bytes) -> str | None:
    found = _IN_XMP.search(data)
    return unescape(found[1].decode("ascii", "replace")) if found else None


def _beginning(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(MOST).decode("utf-8", "replace")


_FINDERS = {
    "mp4": _film,
    "webm": _film,
    "gif": _gif,
    "png": _png,
    "webp": _webp,
    "pdf": _pdf,
    "html": _html,
    "vtt": _vtt,
    "otio": _otio,
}
