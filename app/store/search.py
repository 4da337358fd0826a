"""Finding stories and scenes by what they say: titles, bibles, words, and what was seen on a picture.

The index (migration 0002) answers three characters and more; below that every text is looked at. Knows nothing of
pages. Whatever is typed is text: the query language of the index is never reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from app.store.database import Database

MAX_QUERY = 100
MAX_TERMS = 8
INDEXED = 3  # the index knows pieces of three characters
AROUND = 60  # characters that are shown before the first hit
SHOWN = 180

STORY = ("title", "premise", "cast", "look")
SCENE = ("words", "seen")

_STORIES = """
    SELECT story.id, NULL, NULL, story.title, {fields}, story.deleted_at IS NOT NULL
    {source} JOIN story ON story.id = fts_number.id
"""
_SCENES = """
    SELECT story.id, scene.id, scene.depth, story.title, {fields},
        story.deleted_at IS NOT NULL OR scene.deleted_at IS NOT NULL
    {source} JOIN scene ON scene.id = fts_number.id JOIN story ON story.id = scene.story_id
"""
_PICTURES = """
    SELECT media.sha256 || '.' || media.ext FROM scene JOIN take ON take.scene_id = scene.id
        JOIN media_link ON media_link.take_id = take.id AND media_link.role = 'thumb'
        JOIN media ON media.sha256 = media_link.media_sha256
    WHERE {whose} AND take.deleted_at IS NULL
    ORDER BY scene.deleted_at IS NOT NULL, scene.depth, scene.position, take.chosen DESC, take.number LIMIT 1
"""
_THUMB, _COVER = text(_PICTURES.format(whose="scene.id = :id")), text(_PICTURES.format(whose="scene.story_id = :id"))
_TRASHED_ABOVE = text(
    """
    WITH RECURSIVE up(parent_id, deleted_at) AS (
        SELECT parent_id, deleted_at FROM scene WHERE id = :id
        UNION ALL SELECT scene.parent_id, scene.deleted_at FROM scene JOIN up ON scene.id = up.parent_id
    )
    SELECT 1 FROM up WHERE deleted_at IS NOT NULL LIMIT 1
    """
)


@dataclass(frozen=True)
class Piece:
    text: str
    hit: bool = False


@dataclass(frozen=True)
class Hit:
    """A story or a scene that says what was looked for. `field` is where: title, premise, cast, look, words, seen."""

    story_id: str
    story_title: str
    scene_id: str | None
    number: int  # of the scene on its path, from 1; 0 for a story
    field: str
    pieces: tuple[Piece, ...]
    thumb: str | None = None
    trashed: bool = False


@dataclass(frozen=True)
class Found:
    hits: tuple[Hit, ...] = ()
    more: bool = False  # there are others


def search(database: Database, owner_id: str | None, query: str, *, limit: int = 30, trashed: bool = False) -> Found:
    """Stories first, then scenes, the newest first. `trashed`: in what was thrown away, and only there."""
    terms = terms_of(query)
    if not terms:
        return Found()
    found: list[Hit] = []
    with database.reading() as session:
        for fields, tables in ((STORY, _STORIES), (SCENE, _SCENES)):
            for hit in _hits(session, owner_id, terms, fields, tables, trashed):
                if len(found) == limit:
                    return Found(tuple(found), True)
                found.append(hit)
    return Found(tuple(found))


def terms_of(query: str) -> tuple[str, ...]:
    """What is looked for: every one of these must be there, in any order."""
    plain = "".join(c for c in query[:MAX_QUERY] if c.isprintable() or c.isspace())
    return tuple(dict.fromkeys(plain.split()))[:MAX_TERMS]


def forget_erased(session: Session) -> None:
    """After stories or scenes were erased: no trace of their words stays in the index. Part of the same transaction.

    An index of FTS5 notes what is gone and drops it when its pieces are next merged; this merges them now. (The option
    secure-delete would do the same, but makes the file unreadable for SQLite before 3.42.)
    """
    session.flush()
    session.connection().execute(text("INSERT INTO fts_text (fts_text) VALUES ('optimize')"))


def marked(value: str, terms: tuple[str, ...]) -> tuple[Piece, ...]:
    """The neighbourhood of the first hit, in pieces that are hits and pieces that are not."""
    pattern = re.compile("|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True)), re.IGNORECASE)
    line = " ".join(value.split())
    first = pattern.search(line)
    start = 0 if first is None or first.start() <= AROUND else _word_start(line, first.start() - AROUND)
    end = min(len(line), start + SHOWN)
    pieces: list[Piece] = [Piece("…")] if start else []
    at = start
    for match in pattern.finditer(line, start):
        if match.start() >= end:
            break
        if match.start() > at:
            pieces.append(Piece(line[at : match.start()]))
        pieces.append(Piece(match.group(), True))
        at = match.end()
    if at < end:
        pieces.append(Piece(line[at:end]))
    if max(at, end) < len(line):
        pieces.append(Piece("…"))
    return tuple(pieces)


def _hits(
    session: Session, owner_id: str | None, terms: tuple[str, ...], fields: tuple[str, ...], tables: str, trashed: bool
) -> Iterator[Hit]:
    indexed = [term for term in terms if len(term) >= INDEXED]
    values: dict[str, Any] = {"owner": owner_id}
    conditions = ["(:owner IS NULL OR story.owner_id = :owner)"]
    owner = "story" if fields is STORY else "scene"
    if indexed:
        quoted = " AND ".join('"' + term.replace('"', '""') + '"' for term in indexed)
        values["match"] = f"{{{' '.join(fields)}}} : ({quoted})"
        source, order = "FROM fts_text CROSS JOIN fts_number ON fts_number.number = fts_text.rowid", "fts_text.rowid"
        conditions.append("fts_text MATCH :match")
    else:
        source, order = "FROM fts_number", "fts_number.number"
    for number, term in enumerate(term for term in terms if len(term) < INDEXED):
        either = []
        # LIKE knows the two cases of a to z only
        for kind, variant in enumerate(dict.fromkeys((term, term.lower(), term.upper(), term.title()))):
            values[f"like_{number}_{kind}"] = "%" + re.sub(r"([\\%_])", r"\\\1", variant) + "%"
            either += [f"{owner}.\"{field}\" LIKE :like_{number}_{kind} ESCAPE '\\'" for field in fields]
        conditions.append("(" + " OR ".join(either) + ")")
    select = tables.format(source=source, fields=", ".join(f'{owner}."{field}"' for field in fields))
    query = f"{select} WHERE {' AND '.join(conditions)} ORDER BY {order} DESC"
    for row in session.connection().execute(text(query), values):
        story_id, scene_id, depth, title, *said, gone = row
        if not gone and scene_id is not None:
            gone = session.connection().execute(_TRASHED_ABOVE, {"id": scene_id}).first() is not None
        if bool(gone) == trashed:
            field, value = _where(dict(zip(fields, said, strict=True)), terms)
            number = 0 if depth is None else depth + 1
            picture, of = (_COVER, story_id) if scene_id is None else (_THUMB, scene_id)
            thumb = session.connection().execute(picture, {"id": of}).scalar()
            yield Hit(story_id, title, scene_id, number, field, marked(value, terms), thumb, bool(gone))


def _where(said: dict[str, str], terms: tuple[str, ...]) -> tuple[str, str]:
    """The field that says most of what is looked for."""

    def said_in(value: str) -> int:
        low = value.lower()
        return sum(term.lower() in low for term in terms)

    return max(said.items(), key=lambda field: said_in(field[1]))


def _word_start(line: str, at: int) -> int:
    space = line.find(" ", at, at + AROUND)
    return at if space < 0 else space + 1
