"""Reads what a storypack says, and says in one sentence what cannot be believed. Changes nothing, keeps nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import ValidationError

from app.pack.form import FORMAT, MAX_TAKES, NOBODY, FileUse, Manifest, NotAPack, PackedScene, Preface, StoryPack
from app.reel.plan import plan_of


def read_manifest(data: bytes, name: str) -> Manifest:
    try:
        if (preface := Preface.model_validate_json(data)).format > FORMAT:
            raise NotAPack(
                f"{name[:200]} was packed by a newer version of this program (format {preface.format}): update it, "
                "then bring the story in."
            )
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        raise NotAPack(f"The list of what {name[:200]} holds cannot be used ({first_of(error)}).") from None


def read_story(data: bytes, name: str) -> StoryPack:
    try:
        pack = StoryPack.model_validate_json(data)
        check_references(pack)
    except ValidationError as error:
        raise NotAPack(f"The story in {name[:200]} cannot be used ({first_of(error)}): nothing was changed.") from None
    except ValueError as error:
        raise NotAPack(f"The story in {name[:200]} does not fit together ({error}): nothing was changed.") from None
    return pack


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong and where, short enough for one sentence; never what a stranger wrote there."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part)[:24] for part in first["loc"][:6])
    message = first["msg"].removeprefix("Value error, ").rstrip(".")[:120]
    return f"{_printable(where)}: {message}" if where else message


def check_references(pack: StoryPack) -> None:
    """Whether everything refers to what comes before it, and to files that the pack holds. Raises ValueError."""
    takes = 0
    for at, scene in enumerate(pack.scenes):
        if scene.parent is not None and scene.parent >= at:
            raise ValueError(f"scene {at} comes before the scene that it follows")
        if scene.parent is None and scene.mode != "cut":
            raise ValueError(f"scene {at} is a beginning and continues something")
        if sum(take.chosen for take in scene.takes) > 1:
            raise ValueError(f"scene {at} goes on from two takes")
        if len({take.number for take in scene.takes}) != len(scene.takes):
            raise ValueError(f"scene {at} has two takes of one number")
        _check_uses(scene.files, f"scene {at}")
        for take in scene.takes:
            if take.after is not None and take.after >= takes:
                raise ValueError(f"take {takes} comes before the take that it was drawn after")
            _check_uses(take.files, f"take {takes}")
            takes += 1
    if takes > MAX_TAKES:
        raise ValueError(f"it has more than {MAX_TAKES} takes")
    _check_anchors(pack.scenes)
    for scene_at, take_at in _named(pack):
        if (scene_at is not None and scene_at >= len(pack.scenes)) or (take_at is not None and take_at >= takes):
            raise ValueError("something speaks of a scene or take that is not there")
    for take in pack.takes:
        for parent in take.recipe.parents if take.recipe else ():
            for name in (parent.frames, parent.latents):
                if name is not None and name not in pack.media and not name.startswith(NOBODY):
                    raise ValueError("a recipe names a file that is not in the pack")
    for reel in pack.reels:
        if max([reel.scene, *(int(shot.scene) for shot in plan_of(reel.plan).shots)]) >= len(pack.scenes):
            raise ValueError("a film names a scene that is not there")
    if len({reel.scene for reel in pack.reels}) != len(pack.reels):
        raise ValueError("two films end with the same scene")
    if {use.name for use in pack.uses} != set(pack.media):
        raise ValueError("its list of files is not that of the files which its scenes use")
    if len({name.partition(".")[0] for name in pack.media}) != len(pack.media):
        raise ValueError("one file is there under two types")


def _check_anchors(scenes: Sequence[PackedScene]) -> None:
    """A scene takes up the look of one that leads to it. Every scene gets the stretch of numbers that it and all that
    grows from it have when the tree is walked in depth; so one look at each is enough, however deep the tree is."""
    size = [1] * len(scenes)
    for at in range(len(scenes) - 1, -1, -1):
        above = scenes[at].parent
        if above is not None:
            size[above] += size[at]
    start, free, roots = [0] * len(scenes), [0] * len(scenes), 0
    for at, scene in enumerate(scenes):
        if scene.parent is None:
            start[at], roots = roots, roots + size[at]
        else:
            start[at] = free[scene.parent]
            free[scene.parent] += size[at]
        free[at] = start[at] + 1
        anchor = scene.anchor
        if anchor is not None and not (anchor < at and start[anchor] <= start[at] < start[anchor] + size[anchor]):
            raise ValueError(f"scene {at} takes up the look of a scene that does not lead to it")


def _check_uses(uses: tuple[FileUse, ...], whose: str) -> None:
    if len({(use.role, use.number) for use in uses}) != len(uses):
        raise ValueError(f"{whose} has two files for one purpose")


def _named(pack: StoryPack) -> Iterator[tuple[int | None, int | None]]:
    """Scenes and takes that are spoken of, wherever they are in the file."""
    yield pack.head, None
    for take in pack.takes:
        for parent in take.recipe.parents if take.recipe else ():
            yield parent.scene, parent.take
        if take.drift is not None:
            yield take.drift.anchor, take.drift.take
    for one in pack.preferences:
        yield one.scene, one.take
        yield None, one.other_take


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())
