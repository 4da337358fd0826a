"""What a file is, from its first bytes alone: the name is never asked.

The answer also fixes which reader may open it. libav is given that one demuxer and nothing else, so playlists
(m3u8, ffconcat, DASH), which would make it open other files or addresses, are never followed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HEAD_BYTES = 4096

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_MOV_BOXES = {b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx"}

# (offset, magic, PIL format)
_PICTURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
)
# (offset, magic, libav demuxer)
_VIDEOS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"FLV\x01", "flv"),
    (0, b"OggS", "ogg"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\x00\x00\x01\xba", "mpeg"),
    (0, b"YUV4MPEG2", "yuv4mpegpipe"),
    (0, b"DKIF", "ivf"),
)
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"#EXTM3U", "a playlist, which only names other files"),
    (0, b"ffconcat", "a playlist, which only names other files"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive or an office document"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"ID3", "a sound file"),
    (0, b"fLaC", "a sound file"),
    (8, b"WAVE", "a sound file"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
)


# reader -> what such a file is called, whatever its owner calls it
_EXTENSIONS = {
    **{"JPEG": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tiff", "HEIF": "heic"},
    **{"AVIF": "avif", "mov": "mp4", "matroska": "mkv", "avi": "avi", "mpeg": "mpg", "mpegts": "ts", "flv": "flv"},
    **{"ogg": "ogv", "asf": "wmv", "yuv4mpegpipe": "y4m", "ivf": "ivf"},
}


@dataclass(frozen=True)
class Sniffed:
    """`reader` is a PIL format for a picture, a libav demuxer for a video, and plain words for anything else."""

    kind: Literal["picture", "video", "other"]
    reader: str

    @property
    def extension(self) -> str | None:
        """None for what is neither picture nor video."""
        return _EXTENSIONS[self.reader] if self.kind != "other" else None


def sniff(head: bytes) -> Sniffed:
    """Name what starts with `head` (at least the first 4096 bytes of the file, or all of it)."""
    if not head:
        return Sniffed("other", "empty")
    if head[4:8] == b"ftyp":
        return _sniff_ftyp(head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return Sniffed("picture", "WEBP")
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return Sniffed("video", "avi")
    for offset, magic, reader in _PICTURES:
        if head[offset:].startswith(magic):
            return Sniffed("picture", reader)
    for offset, magic, reader in _VIDEOS:
        if head[offset:].startswith(magic):
            return Sniffed("video", reader)
    if head[4:8] in _MOV_BOXES:
        return Sniffed("video", "mov")
    if _is_transport_stream(head):
        return Sniffed("video", "mpegts")
    for offset, magic, words in _OTHERS:
        if head[offset:].startswith(magic):
            return Sniffed("other", words)
    return Sniffed("other", _text_kind(head) or "of a kind that is not known here")


def _sniff_ftyp(head: bytes) -> Sniffed:
    """MP4, HEIC and AVIF share one box structure; the brands tell them apart."""
    size = int.from_bytes(head[:4], "big")
    major = head[8:12]
    brands = {head[i : i + 4] for i in range(16, min(size, len(head)), 4)}
    if major in (b"avif", b"avis"):
        return Sniffed("picture", "AVIF")
    if major in _HEIF_BRANDS:
        return Sniffed("picture", "HEIF")
    if major in (b"mif1", b"msf1", b"mif2", b"heif"):
        return Sniffed("picture", "AVIF" if brands & {b"avif", b"avis"} else "HEIF")
    if major in (b"M4A ", b"M4B ", b"M4P "):
        return Sniffed("other", "a sound file")
    return Sniffed("video", "mov")


def _is_transport_stream(head: bytes) -> bool:
    for start, step in ((0, 188), (4, 192)):
        marks = head[start::step][:5]
        if len(marks) >= 3 and set(marks) == {0x47}:
            return True
    return False


def _text_kind(head: bytes) -> str | None:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a letter cut by the end of the head is still text
            return None
        text = head[: error.start].decode("utf-8")
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\x1b" for letter in text):
        return None
    start = text.lstrip("\ufeff \t\r\n")[:400].lower()
    if "<svg" in start:
        return "an SVG drawing"
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if "<mpd" in start:
        return "a playlist, which only names other files"
    return "plain text"
