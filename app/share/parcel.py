"""What would be sent: a folder with the finished files and a README, every file and every word of it listed.

    page   -> index.html                  a static Space
    pack   -> <title>.zip                 a dataset
    a film -> <title>.mp4, metadata.jsonl a dataset

A story that did not change gives the same bytes again, so that the Hub need not be sent anything. Knows nothing of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from app.catalogue import say
from app.pack import pack_story
from app.player import write_page
from app.provenance.account import provenance_of
from app.reel.command import changed
from app.reel.cutting import clips_of, cut_of
from app.reel.plan import Kind, Plan, Shot
from app.reel.render import words_of
from app.reel.taking import take_out
from app.share.card import film_card, pack_card, space_card
from app.share.words import Line, lines_of
from app.store import Store
from app.store.reels import pieces_folder
from app.story import Story

Place = Literal["space", "dataset"]
Form = Literal["page", "pack", "mp4", "webm", "gif", "webp"]
PLACES: tuple[Place, ...] = get_args(Place)
FILMS: tuple[Kind, ...] = get_args(Kind)
FORMS: tuple[Form, ...] = get_args(Form)
README = "README.md"
FOLDER = "share-"  # what a parcel's folder begins with
_LEFT_OVER = 86_400.0  # seconds after which the folder of a killed program goes

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class File:
    """`name` in the repository, which is also its name in the parcel's folder."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Parcel:
    """`words`: every text in the files, as app.share.words reads it there. `notes`: sentences that a person should
    read before it leaves. `missing`: files of the story that were gone and are not in it."""

    place: Place
    story: str
    title: str
    folder: Path
    files: tuple[File, ...]
    words: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    missing: int = 0

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


@dataclass(frozen=True)
class Choice:
    """How it is made. `film`: what the film's part of a command line says, None for the film as it is kept."""

    form: Form = "page"
    originals: bool = True
    taste: bool = False
    licence: str = ""
    film: argparse.Namespace | None = None

    @property
    def place(self) -> Place:
        return "space" if self.form == "page" else "dataset"


def make_parcel(
    store: Store,
    owner_id: str | None,
    story: Story,
    choice: Choice,
    folder: Path,
    told: Told = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Parcel:
    """Write it into the empty `folder`. Raises UserError for a story that has nothing to show, Cancelled."""
    notes: list[str] = []
    if choice.form == "page":
        stories = store.stories(owner_id)
        how = provenance_of(store.settings, stories, story.id, list(stories.tree(story.id)))
        page = write_page(
            store, owner_id, story.id, folder / "index.html", provenance=how, told=told, should_stop=should_stop
        )
        card, missing = space_card(story.title, story.id, page.scenes, choice.licence), page.missing
    elif choice.form == "pack":
        file = f"{slug(story.title)}.zip"
        packed = pack_story(
            store,
            owner_id,
            story.id,
            folder / file,
            originals=choice.originals,
            taste=choice.taste,
            dated=False,
            told=lambda _phase, done, total: told(done, total),
            should_stop=should_stop,
        )
        card = pack_card(story.title, story.id, file, packed.scenes, packed.takes, choice.licence)
        missing = packed.missing
        if packed.originals:
            notes.append(say("share.originals", n=packed.originals))
        notes.append(say("share.whole_tree"))
    else:
        card, missing = _film(store, owner_id, story, choice, folder, told, should_stop), 0
    (folder / README).write_text(card, encoding="utf-8")
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    files = tuple(File(path.name, path.stat().st_size, _hash(path)) for path in paths)
    return Parcel(choice.place, story.id, story.title, folder, files, lines_of(paths), tuple(notes), missing)


def clear_left_overs(folder: Path) -> None:
    """Parcels that a kill left in the folder of running programs."""
    for path in folder.glob(f"{FOLDER}*"):
        if path.stat().st_mtime < time.time() - _LEFT_OVER:
            shutil.rmtree(path, ignore_errors=True)


def slug(title: str) -> str:
    """A name that every system and the Hub take: letters of the English alphabet, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "story"


def _film(
    store: Store,
    owner_id: str | None,
    story: Story,
    choice: Choice,
    folder: Path,
    told: Told,
    should_stop: Callable[[], bool],
) -> str:
    given = choice.film
    cut = cut_of(store, owner_id, story.id, given.scene if given else None)
    plan = Plan(tuple(Shot(one) for one in cut.scenes)) if given is not None and given.plain else cut.plan
    plan = changed(plan, given) if given is not None else plan
    clips = clips_of(store, plan, cut.scenes)
    pieces = pieces_folder(store.settings.data_dir, story.id)
    pieces.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = f"{slug(story.title)}.{choice.form}"
    kind: Kind = next(one for one in FILMS if one == choice.form)
    taken = take_out(
        kind, plan, clips, folder / file, pieces=pieces, title=story.title, language=say("language.code"),
        provenance=provenance_of(store.settings, store.stories(owner_id), story.id, list(cut.scenes.values())),
        told=lambda progress: told(progress.done, progress.total), should_stop=should_stop,
    )  # fmt: skip
    cards = [text for card in (plan.title, plan.end) if card is not None for text in (card.text, card.under) if text]
    row = {"file_name": file, "title": story.title, "words": words_of(plan, clips), "cards": cards}
    (folder / "metadata.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return film_card(story.title, story.id, file, taken.scenes, taken.seconds, choice.licence)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
