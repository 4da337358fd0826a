"""`python -m app.predict FILE_OR_TEXT --out DIR`: a story goes on, on the command line and in this one process.

A picture, a clip or a sentence becomes scene 0; then the model thinks and draws scene after scene. DIR gets, of every
scene, scene-NN.mp4 and scene-NN.png (its last frame, lossless), words.txt, and reel.mp4 last of all: a file appears
only when it is whole, and the reel only when every scene is there. Of an earlier run in DIR, files of these names go.

What the model never learnt is never passed off as understood. Words outside its language are refused by name. A
photo or a film from outside its world is told to be that; then the words that the model found for it, when they are
words that it can draw, are drawn as a first scene of its own world and the story goes on from there. Without such
words a sentence is asked for. Refused input is one sentence on stderr and exit code 2.

--json ends with {"story", "scenes": [{"words", "clip", "seconds", "verdict"}], "reel", "how"}: "story" is the words of
scene 0, "seconds" the time that drawing took, "verdict" null because no judge is asked here, "how" the mode in which a
big model drew and why ("" for the starter, which has one).

Knows nothing of the page and its database. Torch is loaded by the model only, after the input has been read.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from app.progress_bar import ProgressBar
from app.settings import DEFAULT_PREDICTOR, STARTER, Settings
from nsp_core.errors import (
    CheckpointMismatch,
    ModelUnavailable,
    OutsideLanguage,
    UnreadableMedia,
    UserError,
    WhatNextError,
)
from nsp_core.shortcuts import SHORTCUTS
from nsp_core.types import (
    Frames,
    Mode,
    NextScene,
    Predictor,
    Progress,
    SamplingOptions,
    Scene,
    SceneRequest,
    StoryContext,
)

EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 130
MOST_SCENES = 99
WORLD = "the picture-book world, the only one that this model knows"
_FILE_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_MEDIA_ENDING = re.compile(r"\.(jpe?g|png|gif|webp|heic|heif|avif|tiff?|bmp|mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv)$", re.I)


class OneSentenceParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]}; see: python launch.py predict --help.")


@dataclass(frozen=True)
class Told:
    """One finished scene on disk and in memory."""

    scene: Scene
    clip: Path
    seconds: float


def parser() -> argparse.ArgumentParser:
    made = OneSentenceParser(prog="launch.py predict", description="Continue a picture, a clip or a sentence.")
    made.add_argument("source", metavar="FILE_OR_TEXT", help="a picture, a clip or the words of a beginning")
    made.add_argument(
        "--steer", action="append", default=[], metavar="TEXT", help="what should happen next; again: and after that"
    )
    made.add_argument("--scenes", type=int, default=3, metavar="N", help="how many scenes to predict (default: 3)")
    made.add_argument("--seed", type=int, default=7, metavar="N", help="seed of the first take (default: 7)")
    made.add_argument("--out", type=Path, required=True, metavar="DIR", help="where clips and the reel are written")
    made.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    made.add_argument(
        "--tier", help="auto (what fits and is here), starter, or a big one (default: as chosen on the page)"
    )
    made.add_argument("--connector", type=Path, help="folder of a trained connector: big tiers use it (unified mode)")
    made.add_argument("--faster", choices=[*SHORTCUTS], help="draw faster, and something else: a shortcut by its name")
    made.add_argument("--adapter", metavar="FOLDER[=STRENGTH]", help="what was taught to the model; comma between")
    made.add_argument(
        "--model",
        "--starter",
        dest="starter",
        type=Path,
        metavar="PATH",
        help=f"folder of the model to use, or a bank.json (default: {STARTER})",
    )
    return made


def main(argv: list[str] | None = None) -> int:
    arguments: argparse.Namespace | None = None
    try:
        arguments = parser().parse_args(argv)
        answer = tell(arguments)
    except KeyboardInterrupt:
        say("Stopped.")
        return EXIT_INTERRUPTED
    except WhatNextError as error:
        say(str(error))
        # A model folder that the person named is input like any other; one of ours that does not fit is not.
        unfit = isinstance(error, (CheckpointMismatch, ModelUnavailable))
        named = unfit and arguments is not None and arguments.starter is not None
        return EXIT_REFUSED if named or isinstance(error, UserError) else EXIT_FAILED
    except MemoryError:
        say("There is not enough memory to go on; close other programs and try again.")
        return EXIT_FAILED
    except OSError as error:
        say(f"{error.filename or 'A file'} could not be read or written ({error.strerror or error}).")
        return EXIT_FAILED
    if arguments.json:
        print(json.dumps(answer), flush=True)
    return 0


def tell(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything from the input to the reel; returns what --json prints."""
    check_arguments(arguments)
    path = file_of(arguments.source)
    media = None
    if path is not None:
        from nsp_core.media import read_media

        media = read_media(path)  # before the model: a broken file is refused in a moment
        if media.note:
            print(media.note)

    from app.predictors import build, canvas_of, check, check_adapters
    from app.tier_choice import chosen

    settings = chosen(
        Settings.from_environment(
            model=arguments.starter, tier=arguments.tier, connector=arguments.connector, adapter=arguments.adapter
        )
    )
    check_adapters(settings.adapter)
    if settings.predictor == DEFAULT_PREDICTOR:
        check(settings.model)  # again in loading, but that takes seconds to begin
    predictor = build(settings.predictor, settings.model, settings.adapter)
    for wish in arguments.steer:
        check_words(predictor, wish)
    if media is None or path is None:
        check_words(predictor, arguments.source)
        beginning = Scene(plain(arguments.source))
    else:
        from nsp_core.media import to_model_frames

        canvas = canvas_of(predictor)
        frames = to_model_frames(media, canvas.width, canvas.height, canvas.frames, canvas.fps)
        beginning = understand(predictor, frames, path.name)

    book, how = Book(arguments.out), ""
    options = SamplingOptions(seed=arguments.seed, preview_every=0, faster=arguments.faster or "")
    if beginning.frames is None:
        drawn = draw(predictor, StoryContext(), beginning.words, "cut", options, "The beginning")
        scene, seconds, fps = scene_of(drawn), drawn.seconds, drawn.fps
    else:
        scene, seconds, fps = beginning, 0.0, canvas_of(predictor).fps
    book.add(scene, fps, seconds)
    for number in range(1, arguments.scenes + 1):
        context = StoryContext(tuple(told.scene for told in book.told))
        steer = arguments.steer[number - 1] if number <= len(arguments.steer) else None
        seed = arguments.seed + number - 1
        words = think(predictor, context, steer, seed)
        print(f"{number}. {words}", flush=True)
        taken = replace(options, seed=seed)
        drawn = draw(predictor, context, words, "continue", taken, f"Scene {number} of {arguments.scenes}")
        how = drawn.how
        book.add(scene_of(drawn), drawn.fps, drawn.seconds)
    reel = book.close()
    if how:
        print(f"Drawn in this mode: {how}.")
    print(f"The reel of {len(book.told)} scenes: {reel}", flush=True)
    return {
        "story": book.told[0].scene.words,
        "scenes": [
            {"words": told.scene.words, "clip": str(told.clip), "seconds": round(told.seconds, 3), "verdict": None}
            for told in book.told[1:]
        ],
        "reel": str(reel),
        "how": how,
    }


# --- what was given -------------------------------------------------------------------------------------------------


def check_arguments(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.scenes <= MOST_SCENES:
        raise UserError(f"--scenes must be from 1 to {MOST_SCENES}, got {arguments.scenes}.")
    if not 0 <= arguments.seed < 2**62:
        raise UserError(f"--seed must be a whole number from 0 to {2**62 - 1}, got {arguments.seed}.")
    if len(arguments.steer) > arguments.scenes:
        raise UserError(
            f"--steer was given {len(arguments.steer)} times for {arguments.scenes} scenes; once a scene is enough."
        )
    if arguments.out.exists() and not arguments.out.is_dir():
        raise UserError(f"--out {arguments.out} is a file; name a folder.")


def file_of(source: str) -> Path | None:
    """The file that is meant, whether it is there or not; None for the words of a beginning."""
    path = Path(source).expanduser()
    with contextlib.suppress(OSError, ValueError):  # a long sentence is no possible file name
        if source.strip() and path.exists():
            return path
    one_word = not any(c.isspace() for c in source)
    if _MEDIA_ENDING.search(source) or (one_word and (os.sep in source or _FILE_ENDING.search(source))):
        raise UnreadableMedia(f"There is no file {source}; check its name, or give a sentence to begin with.")
    return None


def check_words(predictor: Predictor, text: str) -> None:
    language = getattr(predictor, "language", None)
    if language is not None:
        language.check(text)
    elif not text.strip():
        raise OutsideLanguage("There are no words yet; say in one sentence what happens.")


def understand(predictor: Predictor, frames: Frames, name: str) -> Scene:
    """The scene to go on from: the picture itself, or only words when it is not of the model's world."""
    description = predictor.describe(frames)
    words = plain(description.words)
    if description.in_world:
        print(f"I understood: {words or '(I have no words for this picture.)'}", flush=True)
        return Scene(words, frames)
    words = sound_part(words)
    if not can_be_drawn(predictor, words):
        language = getattr(predictor, "language", None)
        example = f', for example: python launch.py predict "{language.examples[0]}"' if language else ""
        raise UserError(
            f"{name} is not from {WORLD}, and no words for it were found; begin with a sentence instead{example}"
        )
    print(f"{name} is not from {WORLD}.")
    print(f"I understood: {words}")
    print("This is a guess. I draw these words anew in that world and go on from there.", flush=True)
    return Scene(words)


def sound_part(words: str) -> str:
    """The first sentences of a guess, up to the one in which it begins to stammer; a beginning has four at most."""
    sound = []
    for sentence in re.findall(r"[^.!?]+[.!?]", words)[:4]:
        said = sentence.lower().split()
        if any(word == following for word, following in zip(said, said[1:], strict=False)):
            break
        sound.append(sentence.strip())
    return " ".join(sound)


def can_be_drawn(predictor: Predictor, words: str) -> bool:
    from nsp_core.prompts import UNKNOWN

    if words.startswith(UNKNOWN.rstrip(".")):
        return False
    try:
        check_words(predictor, words)
    except OutsideLanguage:
        return False
    return True


# --- one scene ------------------------------------------------------------------------------------------------------


def think(predictor: Predictor, context: StoryContext, steer: str | None, seed: int) -> str:
    words = ""
    for thought in predictor.think(context, steer=steer, seed=seed):
        if thought.done:
            words = plain(thought.text)
    if not words:
        raise UserError("The model had nothing to say about what happens next; steer it with --steer and a few words.")
    return words


def draw(
    predictor: Predictor, context: StoryContext, words: str, mode: Mode, options: SamplingOptions, label: str
) -> NextScene:
    request = SceneRequest(context, words, mode, options)
    with ProgressBar(sys.stderr, label) as bar:
        for item in predictor.act(request):
            if isinstance(item, Progress):
                bar.show(item.step, item.total)
            else:
                return item
    raise WhatNextError("The model ended without a picture; try another seed.")


def scene_of(drawn: NextScene) -> Scene:
    return Scene(drawn.words, drawn.frames, drawn.latents)


class Book:
    """The folder with what was told. Its reel is written last: where there is one, everything is there."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.folder = folder.resolve()
            for name in ("reel.mp4", "words.txt"):
                (folder / name).unlink(missing_ok=True)
            for old in folder.glob("scene-[0-9][0-9].*"):
                if old.suffix in (".mp4", ".png"):
                    old.unlink()
        except OSError as error:
            raise UserError(f"Nothing can be written to {folder} ({error.strerror}); name another folder.") from error
        self.told: list[Told] = []

    def add(self, scene: Scene, fps: int, seconds: float) -> None:
        from nsp_core.media import write_clip, write_png
        from nsp_core.media.write import whole_file

        assert scene.frames is not None
        base = self.folder / f"scene-{len(self.told):02d}"
        clip = base.with_suffix(".mp4")
        write_png(base.with_suffix(".png"), scene.frames[-1])
        write_clip(clip, scene.frames, fps)
        self.told.append(Told(scene, clip, seconds))
        lines = [f"{number}. {told.scene.words}\n" for number, told in enumerate(self.told)]
        with whole_file(self.folder / "words.txt") as partial:
            partial.write_text("".join(lines), encoding="utf-8")

    def close(self) -> Path:
        from app.reel import ReelItem, export_reel

        reel = self.folder / "reel.mp4"
        items = [ReelItem(told.clip, told.scene.words) for told in self.told]
        export_reel(items, reel, title=self.told[0].scene.words)
        return reel


# --- the terminal ---------------------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """One line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def quiet_libraries() -> None:
    """Advice of other packages to programmers is nothing that a person at a terminal can act on."""
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    warnings.simplefilter("ignore")
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal that lacks some letters


if __name__ == "__main__":
    quiet_libraries()
    sys.exit(main())
