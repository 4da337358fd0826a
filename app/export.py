"""`python -m app.export STORY --to FORM --out FILE`: a story as a file to take home; --list says which there are.

FORM is pack (the whole tree, for import), html (a page that plays it), a film of one path (mp4, webm, gif, webp), its
captions (srt, vtt), a sheet of its scenes (sheet, a PNG), a book (book, a PDF) or its cut (otio).

STORY is a story's id, as many of its first letters as are needed, or its title. What is written, and what is left out
on purpose, is said in app.pack.packing and app.player.page. A file that is there is never overwritten.

--json ends with {"story", "title", "to", "out", "scenes", "takes", "files", "missing", "bytes"}: a page has at most one
take a scene, and a file for each clip; a film's answer has {"seconds", "way", "why", "encoded", "cached", "took",
"signed_by"} too.
With --choices FILE what was noted of your choices becomes a file that `teach --from-choices` reads (of all stories, or
of STORY alone); it ends with {"choices", "kinds", "out", "folder", "files", "missing", "bytes"}. See app.choices.
With --list it ends with {"stories": [{"id", "title", "scenes", "changed"}]}.
What cannot be used is one sentence and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from app.choices import kinds_of, take_out
from app.pack import pack_story
from app.pack.packing import check_target
from app.player import write_page
from app.progress_bar import ProgressBar
from app.provenance.account import provenance_of
from app.reel.command import add_options, write_film
from app.reel.taking import FORMS
from app.settings import Settings
from app.store import Store
from app.story import Story
from app.terminal import OneSentenceParser, open_existing, plain, run, tell
from nsp_core.errors import UserError

KINDS = ("pack", "html", *FORMS)
_MOST_NAMED = 5


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py export", description="Take a story out as a file.")
    made.add_argument("story", nargs="?", metavar="STORY", help="id, first letters of it, or title of a story")
    made.add_argument("--to", choices=KINDS, help="what it becomes; see README")
    made.add_argument("--out", type=Path, metavar="FILE", help="the file to write; it must not be there yet")
    made.add_argument("--list", action="store_true", help="say which stories there are, and stop")
    made.add_argument("--choices", type=Path, metavar="FILE", help="write your choices for teach, as JSON lines")
    made.add_argument("--without-originals", action="store_true", help="pack: leave out the files that you brought")
    made.add_argument("--with-taste", action="store_true", help="pack: put in what you chose, starred and rewrote")
    made.add_argument("--without-recipe", action="store_true", help="say nothing in the file of how it was made")
    made.add_argument("--with-prompts", action="store_true", help="tell the words that scenes were drawn from, too")
    add_options(made)
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    return run(parser(), argv, export)


def export(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --json prints."""
    if not arguments.list and not arguments.choices:
        check(arguments)
    with open_existing(Settings.from_environment(data_dir=arguments.data_dir)) as store:
        if arguments.choices:
            return chosen(store, arguments.choices, arguments.story)
        return shelf(store) if arguments.list else write(store, arguments)


def chosen(store: Store, out: Path, story: str | None) -> dict[str, Any]:
    """A person's choices; without a story those of the one who sits here, never of everybody together."""
    one = None if story is None else story_called(store, story)
    owner = store.local_owner() if one is None else one.owner_id
    made = take_out(store, owner, out, story_id=None if one is None else one.id)
    tell(f"{made.kinds.total()} choices: {made.path}, and {made.files} pictures and clips in {made.folder}")
    return {
        "choices": made.kinds.total(),
        "kinds": kinds_of(made),
        "out": str(made.path),
        "folder": str(made.folder),
        "files": made.files,
        "missing": made.missing,
        "bytes": made.bytes,
    }


def check(arguments: argparse.Namespace) -> None:
    if arguments.to not in (None, "pack") and (arguments.without_originals or arguments.with_taste):
        raise UserError("--without-originals and --with-taste are for packs: nothing else holds originals or taste.")
    if arguments.to == "pack" and (arguments.without_recipe or arguments.with_prompts):
        raise UserError("A pack holds whole recipes: --without-recipe and --with-prompts are for what is shown.")
    for name, value in (("STORY", arguments.story), ("--to", arguments.to), ("--out", arguments.out)):
        if not value:
            raise UserError(f"{name} is missing; see: python launch.py export --help, or --list for the stories.")


def shelf(store: Store) -> dict[str, Any]:
    stories = store.stories(None).list_stories(limit=100_000)
    for story in stories:
        tell(f"{story.id}  {story.scene_count:4}  {plain(story.title)}")
    if not stories:
        tell("There are no stories yet.")
    return {
        "stories": [
            {
                "id": story.id,
                "title": story.title,
                "scenes": story.scene_count,
                "changed": story.updated_at.isoformat(),
            }
            for story in stories
        ]
    }


def write(store: Store, arguments: argparse.Namespace) -> dict[str, Any]:
    story = story_called(store, arguments.story)
    if arguments.to == "pack":
        made = packed(store, story, arguments)
    elif arguments.to == "html":
        made = played(store, story, arguments)
    else:
        check_target(arguments.out)
        made = write_film(store, story, arguments.to, arguments)
    if made["missing"]:
        tell(f"{made['missing']} of its files were gone or damaged and are not in it; `doctor` says which.")
    return {"story": story.id, "title": story.title, "to": arguments.to, "out": str(arguments.out), **made}


def packed(store: Store, story: Story, arguments: argparse.Namespace) -> dict[str, Any]:
    with ProgressBar(sys.stderr, "Packing") as bar:
        made = pack_story(
            store,
            None,
            story.id,
            arguments.out,
            originals=not arguments.without_originals,
            taste=arguments.with_taste,
            told=lambda _phase, done, total: bar.show(done, total),
        )
    tell(f"“{plain(made.title)}” with {made.scenes} scenes and {made.takes} takes: {made.path}")
    if made.originals:
        tell(
            f"It holds {made.originals} files that you brought, as they were, with what a camera may have written into "
            "them; --without-originals leaves them out."
        )
    return {
        "scenes": made.scenes,
        "takes": made.takes,
        "files": made.files,
        "missing": made.missing,
        "bytes": made.bytes,
    }


def played(store: Store, story: Story, arguments: argparse.Namespace) -> dict[str, Any]:
    told = None
    if not arguments.without_recipe:
        stories = store.stories(None)
        prompts = True if arguments.with_prompts else None
        told = provenance_of(store.settings, stories, story.id, list(stories.tree(story.id)), prompts=prompts)
    with ProgressBar(sys.stderr, "Writing") as bar:
        made = write_page(store, None, story.id, arguments.out, provenance=told, told=bar.show)
    tell(f"“{plain(made.title)}” with {made.scenes} scenes, to be opened in a browser: {made.path}")
    return {
        "scenes": made.scenes,
        "takes": made.shown,
        "files": made.clips,
        "missing": made.missing,
        "bytes": made.bytes,
    }


def story_called(store: Store, name: str) -> Story:
    """The one story that is meant. Raises UserError when there is none, or more than one."""
    stories = store.stories(None).list_stories(limit=100_000)
    wanted = " ".join(name.split()).casefold()
    found = [story for story in stories if story.id == name]
    found = found or [story for story in stories if " ".join(story.title.split()).casefold() == wanted]
    found = found or [story for story in stories if len(name) >= 4 and story.id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UserError(f"There is no story {plain(name)[:80]!r} here: `export --list` says which there are.")
    ids = ", ".join(story.id for story in found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
    raise UserError(f"{len(found)} stories are called {plain(name)[:80]!r}: name one by its id ({ids}).")


if __name__ == "__main__":
    sys.exit(main())
