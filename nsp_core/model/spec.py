"""What a big model is made of, as data: which weights of the hub, how they are kept in memory, what scene they draw;
and what keeping them in four bits costs.

A tier (`nsp_core.tiers`) names one of these, the model manager fetches its weights, a loader makes a predictor of it.
Knows nothing of torch, of downloads, or of how a model is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["unified", "cascade"]
Offload = Literal["none", "group", "in_turn"]


@dataclass(frozen=True)
class HubModel:
    """Weights on the hub: `revision` a full commit, `files` the patterns of what is needed; nothing else is fetched."""

    repo: str
    revision: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class FourBitError:
    """What four bits cost a reader against bfloat16, over all queries of all scenes: |a - b| / |b|, and the mean cosine
    of a and b; at the queries, and of what the connector makes of them for the drawer.

    `trained`: whether the connector was one that was given; a newborn one says what its random directions make of it.
    """

    at_queries: float
    cosine_at_queries: float
    at_connector: float
    cosine_at_connector: float
    scenes: int
    trained: bool


@dataclass(frozen=True)
class BankSpec:
    """Two banks and, in unified mode, the bridge between them.

    `mode`: unified (the reader's queries condition the drawer through `connector`, arXiv 2512.13015) or cascade (the
    reader writes, the drawer reads the words with its own T5). `four_bits`: the reader's language model (and T5) as
    bitsandbytes NF4. `offload`: in_turn frees the reader before the drawer begins; group keeps the drawer's weights in
    the computer's memory and brings layers when they are needed. `tiled`: the autoencoder decodes in tiles.
    `single_file`: the drawer's transformer and autoencoder as one file in the layout of its first release (and of
    ComfyUI); the drawer's folder still says their sizes and has its T5.
    The scene: `frames` pictures of `width` x `height`, `fps` a second; `steps` Euler steps with CFG `guidance`.
    """

    mode: Mode
    reader: HubModel
    drawer: HubModel
    connector: Path | HubModel | None = None
    single_file: Path | None = None
    four_bits: bool = False
    offload: Offload = "none"
    tiled: bool = False
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    width: int = 832
    height: int = 480
    frames: int = 65
    fps: int = 16
    steps: int = 50
    guidance: float = 3.0

    @property
    def why(self) -> str:
        """One sentence for people: which mode, and why this one."""
        if self.mode == "unified":
            return "unified: the reader's own thoughts guide the drawing, because a trained connector is there"
        if self.connector is not None:
            return "cascade: the reader writes, the drawer reads the words, because this was asked for"
        return "cascade: the reader writes, the drawer reads the words, because no trained connector is there"
