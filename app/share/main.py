"""`python -m app.share.main STORY --to space|dataset`: a story on the Hugging Face Hub, private without --public.

space: the page that plays it, as a static Space; dataset: the whole tree as a pack, or with --as a film of one path.
Every file and every word of it is shown first; nothing leaves before the person says yes (or --yes), and --dry-run
sends nothing at all and asks the network nothing. The token is HF_TOKEN's or that of `hf auth login`. Given again, the
same command brings what is there up to date, or goes on after a cut.

--json ends with {"story", "title", "to", "repo", "url", "public", "files": [{"name", "bytes", "sha256"}], "words":
[{"what", "text", "times"}], "missing", "bytes", "sent", "commit", "fresh"}; a dry run has null for url and commit.
Exit codes: 0 done, 1 the Hub said no or was out of reach, 2 the input cannot be used, 130 stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.catalogue import say
from app.checkup.finding import in_bytes
from app.export import story_called
from app.progress_bar import ProgressBar
from app.reel.command import add_options
from app.settings import Settings
from app.share.hub import Hub, Target, check_size
from app.share.parcel import FOLDER, FORMS, PLACES, Choice, Parcel, clear_left_overs, make_parcel, slug
from app.store import Store
from app.story import Story
from app.terminal import OneSentenceParser, open_existing, plain, run, tell
from nsp_core.errors import Cancelled, UserError


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py share", description="Put a story on the Hugging Face Hub.")
    made.add_argument("story", nargs="?", metavar="STORY", help="id, first letters of it, or title of a story")
    made.add_argument("--to", choices=PLACES, help="space: a page that plays it; dataset: a pack or a film")
    made.add_argument(
        "--as", dest="form", choices=FORMS[1:], help="of a dataset: pack (default), or a film of one path"
    )
    made.add_argument("--repo", default="", metavar="OWNER/NAME", help="where (default: your account, the title)")
    made.add_argument("--public", action="store_true", help="everybody may see it (default: only you)")
    made.add_argument("--licence", default="", metavar="NAME", help="as the Hub calls it: cc-by-4.0, cc0-1.0, ...")
    made.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    made.add_argument("--yes", action="store_true", help="do not ask before it is sent")
    made.add_argument("--without-originals", action="store_true", help="pack: leave out the files that you brought")
    made.add_argument("--with-taste", action="store_true", help="pack: put in what you chose, starred and rewrote")
    add_options(made)
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    return made


def main(argv: list[str] | None = None) -> int:
    return run(parser(), argv, share)


def share(arguments: argparse.Namespace) -> dict[str, Any]:
    """What --json prints."""
    for name, value in (("STORY", arguments.story), ("--to", arguments.to)):
        if not value:
            raise UserError(f"{name} is missing; see: python launch.py share --help, or export --list for the stories.")
    choice = choice_of(arguments)
    with open_existing(Settings.from_environment(data_dir=arguments.data_dir)) as store:
        story = story_called(store, arguments.story)
        clear_left_overs(store.settings.run_dir)
        with tempfile.TemporaryDirectory(prefix=FOLDER, dir=store.settings.run_dir) as folder:
            return hand_over(store, story, choice, Path(folder), arguments)


def choice_of(arguments: argparse.Namespace) -> Choice:
    form = arguments.form or "pack"
    if arguments.to == "space":
        if arguments.form:
            raise UserError("--as is for datasets: a Space is always the page that plays the story.")
        form = "page"
    if form != "pack" and (arguments.without_originals or arguments.with_taste):
        raise UserError("--without-originals and --with-taste are for packs: nothing else holds originals or taste.")
    return Choice(form, not arguments.without_originals, arguments.with_taste, arguments.licence, arguments)


def hand_over(
    store: Store, story: Story, choice: Choice, folder: Path, arguments: argparse.Namespace
) -> dict[str, Any]:
    hub = target = None
    if not arguments.dry_run:  # before anything is made: it may take minutes
        hub = Hub.here()
        target = hub.target(choice.place, arguments.repo, story.title, story.id)
        if target.public and not arguments.public:
            raise UserError(
                f"{target.url} is public, so everybody would see what is sent: add --public if you mean it."
            )
    with ProgressBar(sys.stderr, say("share.making")) as bar:
        parcel = make_parcel(store, None, story, choice, folder, told=bar.show)
    check_size(parcel)
    show(parcel, where(target, arguments, story), public=arguments.public)
    told = answer(parcel, target, arguments, story)
    if hub is None or target is None:
        tell(say("share.nothing_sent"))
        return told
    if not arguments.yes:
        ask()
    sent = hub.send(parcel, target, public=arguments.public)
    tell(say("share.sent" if sent.fresh else "share.same", url=target.url))
    return {**told, "sent": True, "commit": sent.commit, "fresh": sent.fresh}


def where(target: Target | None, arguments: argparse.Namespace, story: Story) -> str:
    return target.url if target is not None else (arguments.repo or slug(story.title))


def show(parcel: Parcel, where: str, *, public: bool) -> None:
    """Everything that leaves: the files, then all that can be read in them."""
    tell(say("share.to_everybody" if public else "share.to_you", where=where))
    for file in parcel.files:
        tell(f"  {file.name:<32}{in_bytes(file.bytes):>10}")
    tell(say("share.words", n=len(parcel.words)))
    for line in parcel.words:
        often = f" ({line.times}x)" if line.times > 1 else ""
        tell(f"  {line.what}: {plain(line.text)}{often}")
    for note in parcel.notes:
        tell(note)
    if parcel.missing:
        tell(say("share.missing", n=parcel.missing))


def ask() -> None:
    """Raises Cancelled unless the person says yes, UserError where nobody can be asked."""
    if not sys.stdin.isatty():
        raise UserError("Nothing was sent, because nobody can be asked here: add --yes, or --dry-run to only look.")
    sys.stderr.write(say("share.ask") + " ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Cancelled(say("share.nothing_sent"))


def answer(parcel: Parcel, target: Target | None, arguments: argparse.Namespace, story: Story) -> dict[str, Any]:
    return {
        "story": story.id,
        "title": story.title,
        "to": parcel.place,
        "repo": target.repo if target is not None else (arguments.repo or slug(story.title)),
        "url": target.url if target is not None else None,
        "public": arguments.public,
        "files": [asdict(file) for file in parcel.files],
        "words": [asdict(line) for line in parcel.words],
        "missing": parcel.missing,
        "bytes": parcel.bytes,
        "sent": False,
        "commit": None,
        "fresh": False,
    }


if __name__ == "__main__":
    sys.exit(main())
