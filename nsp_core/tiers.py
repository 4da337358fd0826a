"""What a machine can run: tiers from the starter to a card with 80 GB, what each is made of, and what it needs.

Memory and disk are sums over the published sizes of the parts ("computed"), except where a run or the paper gave them;
every figure says which. Knows nothing of how a model is loaded, nor of what is on the disk.

Parameters in thousand million: Qwen2.5-VL 3B 3.75 and 7B 8.29 (of these .67 in the vision tower and .31 or 1.09 in the
embeddings and the head, which NF4 leaves in bfloat16), the T5 v1.1 XXL encoder 4.76 (.13 in embeddings), LTX-Video
0.9.0's transformer 1.92 and its autoencoder .42, the connector .03. NF4 takes .53 bytes a parameter with its scales.
A scene's arithmetic: 50 steps with guidance over 3,510 tokens are 1,470 TFLOP, done at .36 of the card's dense bfloat16
rate, which is what the paper's 13 s on an A100 come to (Table 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nsp_core.errors import ConfigError
from nsp_core.model.spec import BankSpec, HubModel, Mode

GB = 10**9
Obtained = Literal["measured", "computed", "paper"]

# Commits that several public projects pin (searched for on 2026-11-21; the hub itself could not be asked from where
# this was written). 8984fa25's diffusers folders hold 0.9.0: four stages in the autoencoder, none told the time.
_QWEN_FILES = ("*.json", "*.txt", "*.safetensors")
QWEN_7B = HubModel("Qwen/Qwen2.5-VL-7B-Instruct", "cc594898137f460bfe9f0759e9844b3ce807cfb5", _QWEN_FILES)
QWEN_3B = HubModel("Qwen/Qwen2.5-VL-3B-Instruct", "66285546d2b821cf421d4f5eb2576359d3770cd3", _QWEN_FILES)
_DRAWER_FILES = (
    "model_index.json",
    "scheduler/*.json",
    "transformer/*.json",
    "transformer/*.safetensors",
    "vae/*.json",
    "vae/*.safetensors",
)
_T5_FILES = ("text_encoder/*.json", "text_encoder/*.safetensors", "tokenizer/*")
_LTX, _LTX_COMMIT = "Lightricks/LTX-Video", "8984fa25007f376c1a299016d0957a37a2f797bb"
LTX_WITH_T5 = HubModel(_LTX, _LTX_COMMIT, (*_DRAWER_FILES, *_T5_FILES))
LTX = HubModel(_LTX, _LTX_COMMIT, _DRAWER_FILES)

# GB: (bfloat16, NF4)
_READER = {QWEN_7B.repo: (16.6, 7.0), QWEN_3B.repo: (7.5, 3.4)}
_T5 = (9.5, 4.2)  # in 4 bits its feed-forward outputs stay in bfloat16: 1.01 of the 4.76
_TRANSFORMER, _AUTOENCODER, _CONNECTOR = 3.85, 0.84, 0.06
_READING = (2.0, 1.0)  # what reading needs beside the weights: layers in bfloat16, or one of them at a time from 4 bits
_ROOM = 5.0  # what a scene of 65 frames at 832x480 needs beside the weights: the paper's 26.4 less its weights
_ROOM_TILED = 2.0  # the same, decoded in tiles
_BLOCKS_AT_ONCE = 0.6  # of a transformer whose layers come when they are needed
# As stored: Qwen in bfloat16; LTX's folders counted in 32 bits (T5's four files of up to 5 GB are). What is fetched
# is asked of the hub first; this is for planning.
_ON_DISK = {QWEN_7B.repo: 16.6, QWEN_3B.repo: 7.5, "t5": 19.1, "ltx": 9.4}

_SCENE_TFLOP, _SHARE = 1470.0, 0.36


@dataclass(frozen=True)
class Figure:
    """A number and where it comes from. `on`: the card that a time is for."""

    value: float
    obtained: Obtained
    on: str = ""


@dataclass(frozen=True)
class Tier:
    """`memory` in GB on the device and `host` in GB of the computer's own; `disk` in GB; `seconds` for a scene of the
    tier's own size (None: not known). `card`: the GB of the smallest card that it is chosen for by itself; a person may
    try it on less, as long as `memory` says that it can be. `spec` None: the model that ships, which no banks make up.
    """

    name: str
    reader: str
    drawer: str
    scene: str
    memory: Figure
    disk: Figure
    seconds: Figure | None
    needs_cuda: bool
    spec: BankSpec | None = None
    host: float = 0.0
    card: int = 0

    @property
    def models(self) -> tuple[HubModel, ...]:
        """What has to be fetched."""
        if self.spec is None:
            return ()
        return (self.spec.reader, self.spec.drawer)

    @property
    def model(self) -> str:
        """What a loader has to be told, in one word; see `tier_called`."""
        connector = None if self.spec is None else self.spec.connector
        return self.name if connector is None else f"{self.name}+{connector}"

    def in_mode(self, mode: Mode, connector: Path | None = None) -> Tier:
        """The same banks in the other mode. Raises ConfigError for the starter, and for unified without a connector."""
        if self.spec is None:
            raise ConfigError("The starter has one mode, its own: choose a bigger tier, or leave the mode out.")
        if mode == "unified" and connector is None:
            raise ConfigError(
                "Unified mode needs a trained connector for these banks, which nobody has published: name a folder "
                "with one, or use cascade mode."
            )
        if mode == "cascade":
            return self if self.spec.mode == mode else tier_called(self.name)
        spec = replace(self.spec, mode=mode, connector=connector, drawer=LTX)
        figures: dict[str, Any] = {
            "drawer": self.drawer.removesuffix(", with its own T5"),
            "memory": Figure(needs(spec).device, "computed"),
            "disk": Figure(needs(spec).disk, "computed"),
        }
        if self.name in ("gpu-40", "gpu-80"):  # the paper has everything on the card, in bfloat16, on an A100
            figures |= {"memory": Figure(26.4, "paper"), "seconds": Figure(13.0, "paper", "A100")}
        return replace(self, spec=spec, host=needs(spec).host, **figures)


@dataclass(frozen=True)
class Needs:
    """GB: on the device at the same time, in the computer's memory beside that, on the disk."""

    device: float
    host: float
    disk: float


@dataclass(frozen=True)
class Sizes:
    """GB of each part as `BankSpec` keeps it, in its dtype or in four bits; and of all their files."""

    reader: float
    text: float
    transformer: float
    autoencoder: float
    connector: float
    disk: float


def published(spec: BankSpec) -> Sizes:
    """Of the models on the hub; a reader that is not known is taken for the larger one."""
    bits = 1 if spec.four_bits else 0
    wide = 2.0 if spec.dtype == "float32" else 1.0
    words = spec.mode == "cascade"
    return Sizes(
        _READER.get(spec.reader.repo, _READER[QWEN_7B.repo])[bits] * (1.0 if bits else wide),
        _T5[bits] * (1.0 if bits else wide) if words else 0.0,
        _TRANSFORMER * wide,
        _AUTOENCODER * wide,
        0.0 if words else _CONNECTOR * wide,
        _ON_DISK.get(spec.reader.repo, 16.6) + _ON_DISK["ltx"] + (_ON_DISK["t5"] if words else 0.0),
    )


def needs(spec: BankSpec, sizes: Sizes | None = None) -> Needs:
    """Computed from the parts: the largest stage where one follows the other, their sum where all stay. `sizes` None:
    those of the published models.

    The stages: loading (bitsandbytes puts what is in 4 bits onto the card at once); the reader reads and writes; T5
    reads that (cascade); the transformer draws and the autoencoder decodes. With "group" all parts but the
    transformer's layers stay on the card.
    """
    bits = 1 if spec.four_bits else 0
    has = published(spec) if sizes is None else sizes
    drawer = has.transformer + has.autoencoder + has.connector
    room = _room_for(spec) * (2.0 if spec.dtype == "float32" else 1.0)
    everything, disk = has.reader + has.text + drawer, round(has.disk, 1)
    if spec.offload == "none":
        return Needs(round(everything + room, 1), 0.0, disk)
    if spec.offload == "group":
        away = has.transformer * (1 - _BLOCKS_AT_ONCE / _TRANSFORMER)
        return Needs(round(everything - away + room, 1), round(away, 1), disk)
    stages = [has.reader + has.text if bits else 0.0, has.reader + _READING[bits], has.text + 0.5, drawer + room]
    return Needs(round(max(stages), 1), round(everything, 1), disk)


def _room_for(spec: BankSpec) -> float:
    """Grows with the scene: attention and decoding work on all of its tokens. Decoded in tiles, the part that is
    decoded at once stays the same."""
    share = (spec.frames * spec.width * spec.height) / (65 * 832 * 480)
    return _ROOM_TILED * max(1.0, 0.5 + 0.5 * share) if spec.tiled else _ROOM * share


def _seconds(card: str, tflops: float) -> Figure:
    """`tflops`: the dense bfloat16 rate in the card's data sheet."""
    return Figure(float(round(_SCENE_TFLOP / (_SHARE * tflops))), "computed", card)


def _big(name: str, reader: str, model: HubModel, seconds: Figure, **how: Any) -> Tier:
    spec = BankSpec("cascade", model, LTX_WITH_T5, **how)
    need = needs(spec)
    return Tier(
        name,
        reader,
        "LTX-Video 0.9.0, 1.9 thousand million numbers, with its own T5",
        "65 frames at 832x480",
        Figure(need.device, "computed"),
        Figure(need.disk, "computed"),
        seconds,
        needs_cuda=True,
        spec=spec,
        host=need.host,
        card=int(name.removeprefix("gpu-")),
    )


TIERS: tuple[Tier, ...] = (
    Tier(
        "starter",
        "a small reader of our own, 3.2 million numbers",
        "a small LTX transformer of our own, 7.0 million numbers",
        "17 frames at 160x96",
        Figure(0.65, "measured"),
        Figure(0.03, "measured"),
        Figure(1.6, "measured"),  # two cores of a server processor: python launch.py bench
        needs_cuda=False,
    ),
    _big(
        "gpu-8",
        "Qwen2.5-VL 3B in 4 bits, freed before drawing",
        QWEN_3B,
        _seconds("RTX 4060", 30.2),
        four_bits=True,
        offload="in_turn",
        tiled=True,
    ),
    _big(
        "gpu-12",
        "Qwen2.5-VL 7B in 4 bits, freed before drawing",
        QWEN_7B,
        _seconds("RTX 4070", 58.3),
        four_bits=True,
        offload="in_turn",
        tiled=True,
    ),
    _big(
        "gpu-16",
        "Qwen2.5-VL 7B in 4 bits, freed before drawing",
        QWEN_7B,
        _seconds("RTX 4080", 97.5),
        four_bits=True,
        offload="in_turn",
    ),
    _big(
        "gpu-24",
        "Qwen2.5-VL 7B, freed before drawing",
        QWEN_7B,
        _seconds("RTX 4090", 165.2),
        offload="in_turn",
    ),
    _big("gpu-40", "Qwen2.5-VL 7B", QWEN_7B, _seconds("A100", 312.0), tiled=True),
    _big("gpu-80", "Qwen2.5-VL 7B", QWEN_7B, _seconds("H100", 989.0)),
)


def tier_called(name: str) -> Tier:
    """By its name, or as its `model` says: "gpu-40", or "gpu-40+/folder/of/a/connector" in unified mode. Raises
    ConfigError for a name that there is not."""
    plain, _, connector = name.partition("+")
    for one in TIERS:
        if one.name == plain:
            return one.in_mode("unified", Path(connector)) if connector else one
    raise ConfigError(f"There is no tier {name!r}; there are {', '.join(one.name for one in TIERS)}.")
