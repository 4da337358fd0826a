"""What is written in a storypack, and what may be written there. Knows nothing of the database or of zip files.

    manifest.json                  kind, format, version of the program, sha256 and size of every other member
    story.json                     a StoryPack
    media/ab/<sha256>.<ext>        as in the data folder

Scenes and takes have no ids here: a reference is the place of an *earlier* scene or take in the file, so that nothing
can refer to what is not there, and no circle can be written down. Files are named by their content and must be members
of the same pack, so that a pack cannot get hold of a file that somebody else keeps.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from app.reel.plan import plan_of
from app.store.media import KEPT
from app.store.stories import MAX_BIBLE, MAX_TITLE, MAX_WORDS
from app.story import Mode, Role, TakeKind, WordsSource
from nsp_core.errors import UserError
from nsp_core.types import SamplingOptions

FORMAT: Final = 1
KIND: Final = "what-happens-next story"
MANIFEST, STORY = "manifest.json", "story.json"
MEMBER = re.compile(r"media/([0-9a-f]{2})/(([0-9a-f]{64})\.([a-z0-9]{1,11}))")

MAX_SCENES = 20_000
MAX_TAKES = 100_000
MAX_FILES = 400_000
MAX_STORY = 128 << 20  # bytes of story.json
MAX_MANIFEST = 128 << 20
MAX_PLAN = 400_000  # letters of how a film is cut
MAX_TEXT = 20_000  # letters, where a person does not meet a smaller limit
MAX_SIDE = 1 << 14  # pixels
_I64 = 2**63 - 1

# stands for a file that is not in the pack: what was thrown away stays behind. Nothing has this hash.
NOBODY = "0" * 64
ROLES: dict[Role, frozenset[str]] = {
    "clip": frozenset({"mp4", "webm"}),
    "first_frame": frozenset({"png"}),
    "last_frame": frozenset({"png"}),
    "frames": frozenset({"npz"}),
    "tail_latents": frozenset({"safetensors"}),
    "thumb": frozenset({"webp", "png", "jpg"}),
    "preview": frozenset({"webp", "gif", "mp4", "webm"}),
    "source": KEPT - {"npz", "safetensors"},
}


class NotAPack(UserError):
    """The file cannot be brought in; the sentence says why."""


def _sane(text: str) -> str:
    if "\x00" in text:
        raise ValueError("a text holds the letter NUL")
    return text


def _this_century(at: datetime) -> datetime:
    if not 2000 <= at.year < 2100:
        raise ValueError("a time lies outside this century")
    return at.astimezone(UTC)


def _file(name: str) -> str:
    if MEMBER.fullmatch(member_of(name)) is None or name.partition(".")[2] not in KEPT:
        raise ValueError("a file has a name that no file of ours can have")
    return name


def _object(text: str) -> str:
    if not isinstance(_plain_json(text), dict):
        raise ValueError("an object was expected")
    return text


def _list(text: str) -> str:
    if not isinstance(_plain_json(text), list):
        raise ValueError("a list was expected")
    return text


def _options(text: str) -> str:
    """The options that a take was drawn with: drawing it again must be something that this machine can do."""
    value = json.loads(_object(text))
    if not set(value) <= {field.name for field in fields(SamplingOptions)}:
        raise ValueError("there is an option that nothing is drawn with")
    made = SamplingOptions(**value)
    whole = ("steps", made.steps, 10_000), ("preview_every", made.preview_every, 10_000), ("seed", made.seed, _I64)
    for name, value, most in whole:
        if value is not None and (type(value) is not int or not -most <= value <= most):
            raise ValueError(f"{name} is no whole number that can be drawn with")
    if not isinstance(made.faster, str) or not re.fullmatch(r"[a-z0-9-]{0,32}", made.faster):
        raise ValueError("faster is no name of a shortcut")
    for value in (made.guidance, made.shift):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e6):
            raise ValueError("guidance or shift is no number that can be drawn with")
    return text


def _cut(text: str) -> str:
    """How a film is cut; its shots name scenes by their places."""
    try:
        plan = plan_of(_sane(text))
    except UserError:
        raise ValueError("how a film is cut cannot be read") from None
    if not all(re.fullmatch(r"[0-9]{1,6}", shot.scene) for shot in plan.shots):
        raise ValueError("a film names a scene in a way that no scene has here")
    return text


def _plain_json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_sane)]
Words = Annotated[str, Field(max_length=MAX_WORDS), AfterValidator(_sane)]
Bible = Annotated[str, Field(max_length=MAX_BIBLE), AfterValidator(_sane)]
Short = Annotated[str, Field(max_length=400), AfterValidator(_sane)]
Hash = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]*$")]
FileName = Annotated[str, Field(max_length=76), AfterValidator(_file)]
Time = Annotated[AwareDatetime, AfterValidator(_this_century)]
Place = Annotated[int, Field(ge=0, lt=MAX_TAKES)]  # of an earlier scene or take
Number = Annotated[float, Field(allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=-_I64, le=_I64)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Pixels = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Rate = Annotated[int, Field(ge=1, le=1000)]
Object = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_object)]
List = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_list)]
Options = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_options)]


class Part(BaseModel):
    """Nothing may be there that is not named here, and nothing is made to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileUse(Part):
    """A file, and what it is for. `called`: what the person called it."""

    role: Role
    name: FileName
    number: Count = 0
    called: Short = ""

    @model_validator(mode="after")
    def _type(self) -> FileUse:
        if self.name.partition(".")[2] not in ROLES[self.role]:
            raise ValueError(f"a {self.role} cannot be a file of that type")
        return self


class FileFacts(Part):
    """The columns of a media row but for hash, type and size, which the manifest and the file itself say."""

    width: Pixels | None = None
    height: Pixels | None = None
    frame_count: Count | None = None
    fps: Annotated[float, Field(gt=0, le=1000)] | None = None
    seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    has_audio: bool | None = None


class Parent(Part):
    """What a take was drawn after. None for a scene or take that is not in the pack; older recipes lack `latents`."""

    scene: Place | None
    take: Place | None
    words: Text
    frames: FileName | None = None
    latents: FileName | None = None
    anchor: bool = False


class PackedRecipe(Part):
    model: Short
    fingerprint: Short
    adapter: Short | None
    adapter_strength: Number | None
    seed: Whole
    settings: Options
    mode: Mode
    words: Text
    steer: Words
    bible: Text
    parents: Annotated[tuple[Parent, ...], Field(max_length=1000)]
    device: Short
    threads: Annotated[int, Field(ge=0, le=4096)]
    dtype: Short
    versions: Object
    frames_sha256: Hash
    latents_sha256: Hash | None
    created_at: Time


class PackedVerdict(Part):
    value: Literal["pass", "fail", "missing"]
    reason: Text
    judge: Short
    template: Text
    score: Number | None
    votes: List
    cost_usd: Number | None
    created_at: Time


class Drift(Part):
    """As app.drift keeps it, with places for ids."""

    version: Whole
    anchor: Place
    take: Place
    brought_in: bool
    colour: Number
    contrast: Number
    sharpness: Number
    identity: Number


class PackedTake(Part):
    number: Annotated[int, Field(ge=1, le=1_000_000_000)]
    kind: TakeKind
    chosen: bool
    starred: bool
    rank: Count | None
    width: Pixels
    height: Pixels
    frame_count: Annotated[int, Field(ge=1, le=1_000_000)]
    fps: Rate
    draw_seconds: Annotated[float, Field(ge=0, le=1e9)] | None
    after: Place | None  # the take that it was drawn after
    drift: Drift | None
    created_at: Time
    files: Annotated[tuple[FileUse, ...], Field(max_length=100)]
    recipe: PackedRecipe | None
    verdicts: Annotated[tuple[PackedVerdict, ...], Field(max_length=10_000)]


class PackedScene(Part):
    """`parent` None: a beginning."""

    parent: Place | None
    mode: Mode
    position: Count
    words: Words
    words_source: WordsSource
    steer: Words
    seen: Text
    in_world: bool | None
    confidence: Number | None
    anchor: Place | None
    created_at: Time
    files: Annotated[tuple[FileUse, ...], Field(max_length=100)]
    takes: Annotated[tuple[PackedTake, ...], Field(max_length=10_000)]


class PackedPreference(Part):
    kind: Literal["chose", "starred", "ranked", "rewrote", "kept", "threw_away"]
    scene: Place | None
    take: Place | None
    other_take: Place | None
    words_before: Text
    words_after: Text
    context: Object
    at: Time


class PackedReel(Part):
    """How the film of the path to `scene` is cut."""

    scene: Place
    plan: Annotated[str, Field(max_length=MAX_PLAN), AfterValidator(_cut)]


class StoryPack(Part):
    """One story. Takes are numbered through, in the order of the scenes."""

    title: Annotated[str, Field(max_length=MAX_TITLE), AfterValidator(_sane)]
    premise: Bible
    cast: Bible
    look: Bible
    settings: Object
    head: Place | None
    created_at: Time
    scenes: Annotated[tuple[PackedScene, ...], Field(min_length=1, max_length=MAX_SCENES)]
    preferences: Annotated[tuple[PackedPreference, ...], Field(max_length=MAX_TAKES)]
    media: Annotated[dict[FileName, FileFacts], Field(max_length=MAX_FILES)]
    reels: Annotated[tuple[PackedReel, ...], Field(max_length=MAX_SCENES)] = ()

    @property
    def takes(self) -> Iterator[PackedTake]:
        return (take for scene in self.scenes for take in scene.takes)

    @property
    def uses(self) -> Iterator[FileUse]:
        """Every file of every scene and take, as often as it is used."""
        for scene in self.scenes:
            yield from scene.files
            for take in scene.takes:
                yield from take.files


class FileEntry(Part):
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0, le=1 << 50)]


class Manifest(Part):
    kind: Literal["what-happens-next story"]
    format: Literal[1]
    version: Short
    made_at: Time
    scenes: Count
    takes: Count
    missing: Count  # files that were gone or damaged when it was packed
    files: Annotated[dict[str, FileEntry], Field(max_length=MAX_FILES)]


class Preface(BaseModel):
    """What every version of a manifest says."""

    kind: Literal["what-happens-next story"]  # KIND
    format: int


def member_of(name: str) -> str:
    return f"media/{name[:2]}/{name}"


def finite(value: float | None) -> float | None:
    """A measured number that cannot be written down says nothing."""
    return value if value is not None and math.isfinite(value) else None
