"""`python -m app.main`: opens the story page, keeps it open until Ctrl-C. Torch enters in in-process mode only."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.access import Access, access_for, close_side_doors
from app.filter import content_filter
from app.keys import hide_keys
from app.predictors import check_adapters
from app.settings import STARTER, Settings
from app.teaching.adapters import with_kept
from app.tier_choice import chosen
from nsp_core.errors import WhatNextError

DEFAULT_PORT = 7860
PORTS = 40  # how many ports after the default one are tried
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
EXIT_USAGE = 2
INTERRUPTED = 130  # ended at once by a second Ctrl-C

log = logging.getLogger("app")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="launch.py app",
        description="Open the story page in the browser.",
        allow_abbrev=False,  # --password is no short form of --password-file
    )
    made.add_argument("--port", type=int, help=f"port of the page (default: {DEFAULT_PORT}, or the next free one)")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    made.add_argument("--password-file", type=Path, help="text file with the password that others have to bring")
    made.add_argument("--no-filter", action="store_true", help="go without the content filter where others can come")
    made.add_argument("--get-filter", action="store_true", help="get the content filter's weights (22 MB), then leave")
    made.add_argument("--data-dir", type=Path, help="where stories and media are kept")
    made.add_argument("--window", action="store_true", help="open a window of its own; closing it ends the program")
    made.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    made.add_argument("--starter", type=Path, help=f"folder of the model to use, or a bank.json (default: {STARTER})")
    made.add_argument("--tier", help="auto (what fits and is here), starter, or a big one: launch.py models list")
    made.add_argument("--connector", type=Path, help="folder of a trained connector: big tiers use it (unified mode)")
    made.add_argument("--adapter", metavar="FOLDER[=STRENGTH]", help="what was taught to the model; comma between")
    made.add_argument("--examples", type=Path, help=argparse.SUPPRESS)  # tests bring their own
    made.add_argument("--steps", type=int, help=argparse.SUPPRESS)  # tests draw with few steps
    return made


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    hide_keys()
    for chatty in ("httpx", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        close_side_doors()
        settings = Settings.from_environment(
            data_dir=arguments.data_dir,
            model=arguments.starter,
            filter="off" if arguments.no_filter else None,
            tier=arguments.tier,
            connector=arguments.connector,
            adapter=arguments.adapter,
        )
        if arguments.get_filter:
            return get_filter(settings)
        settings = chosen(settings)
        check_adapters(settings.adapter)
        settings = with_kept(settings)
        access = access_for(arguments.host, settings, arguments.password_file)
        settings = replace(settings, public=access.public)
        content_filter(settings)  # says at once what it lacks
        return serve(settings, arguments, access)
    except WhatNextError as error:
        say(str(error))
        return EXIT_USAGE
    except OSError as error:
        say(f"The page cannot be opened here ({error}): choose another --port, or a --data-dir that can be written.")
        return EXIT_USAGE


def serve(settings: Settings, arguments: argparse.Namespace, access: Access) -> int:
    from app.factory import create_app
    from app.pages.examples import read_examples
    from app.presence import Presence
    from app.rounds import rounds_for
    from app.running import forget, remember, running
    from app.security import door_for, lasting_token
    from app.window import Window

    token = lasting_token(settings.data_dir)
    if arguments.window and (link := running(settings.run_dir, token)):
        say("The story room is open already: here is another window of it.")
        Window(settings.data_dir / "window", Presence()).hand_over(link)
        return 0
    port = arguments.port or free_port(arguments.host)
    presence = Presence() if arguments.window else None
    examples = read_examples(arguments.examples) if arguments.examples else None
    door = door_for(arguments.host, token, access.names, access.lock)
    door.framed_by = access.framed_by
    app = create_app(settings, door, examples=examples, steps=arguments.steps, presence=presence)
    over = threading.Event()

    def end(number: int, _frame: Any) -> None:
        if number == signal.SIGINT and over.is_set():  # impatient
            app.director.abandon()
            os._exit(INTERRUPTED)
        over.set()

    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK"):  # the last two: a terminal that is closed
        if (number := getattr(signal, name, None)) is not None:
            signal.signal(number, end)
    rounds = rounds_for(app.director.store, access.lock)
    rounds.begin()
    app.director.start()
    try:
        rounds.start()
        address = app.launch(arguments.host, port)
        link = address
        if arguments.host in EVERYWHERE:  # what Gradio says then is only true on this machine
            link = f"http://{local_name(arguments.host)}:{port}/"
        if access.lock is None:
            link = f"{link}?token={token}"
        if access.public:
            say(warning_to_hosts(settings))
        say(f"The story room is open: {link}\nPress Ctrl-C here to close it. Stories are kept in {settings.data_dir}")
        remember(settings.run_dir, address)
        why_not = Window(settings.data_dir / "window", presence, over).show(link) if presence else ""
        if why_not:
            say(why_not)
        if not arguments.no_browser and (why_not or presence is None):
            open_browser(link)
        if why_not or presence is None:
            over.wait()
        say("Closing; what is unfinished goes on at the next start. Ctrl-C once more ends it at once.")
    finally:
        if presence is not None:
            presence.close()
        forget(settings.run_dir)
        rounds.close()
        app.close()
    return 0


def warning_to_hosts(settings: Settings) -> str:
    """What whoever lets others in should know."""
    filtered = "The content filter looks at what comes in and what is drawn."
    if not settings.filter_on:
        filtered = "There is no content filter: whoever comes sees what others bring and draw."
    if settings.accounts:
        return f"Others can reach this page, each with stories of their own. {filtered}"
    return (
        "Others can reach this page, and whoever knows the password may do everything with its stories. Without a "
        f"proxy that speaks TLS, the password crosses the network in the clear. {filtered}"
    )


def get_filter(settings: Settings) -> int:
    from app.filter import weights_path
    from app.filter_weights import get_weights

    target = weights_path(settings)
    fresh = get_weights(target)
    say(f"The content filter's weights are {'now' if fresh else 'already'} in {target}.")
    return 0


def free_port(host: str) -> int:
    """The default port or the next one that nobody uses."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name != "nt":  # there it would let two programs share a port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    return DEFAULT_PORT


def local_name(host: str) -> str:
    """How other devices of the house reach this one; the address itself when that is plain."""
    if host not in EVERYWHERE:
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which of our addresses would be used
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def open_browser(link: str) -> None:
    import webbrowser

    try:
        webbrowser.open(link)
    except webbrowser.Error:
        log.info("No browser could be opened; the address above does the same.")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
