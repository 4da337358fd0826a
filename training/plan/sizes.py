"""How large the parts are and what a pass through them costs, by formula: parameters, and FLOP of linear maps and of
attention apart, because a backward pass treats them differently. No torch here; tests hold every formula against
torch's own counter on the meta device.

FLOP are two a multiply-add. Attention is counted in full, masks or not. The full-size parts are those of the paper:
LTX-Video 0.9.0 (diffusers' class defaults), Qwen2.5-VL-7B, T5 v1.1 XXL's encoder (their published configs).

Letters: N latent tokens, M condition tokens, L prompt tokens, Q queries, d width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["learns", "through", "fixed"]  # through: stays as it is, but a gradient has to pass


@dataclass(frozen=True)
class Work:
    """FLOP of one forward pass."""

    linear: float = 0.0
    attention: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.linear + other.linear, self.attention + other.attention)

    def __mul__(self, times: float) -> Work:
        return Work(self.linear * times, self.attention * times)

    @property
    def forward(self) -> float:
        return self.linear + self.attention

    def step(self, role: Role, recompute: bool = False) -> float:
        """With its backward pass: a linear map needs one product for what comes in and one for its weights; attention
        five products where forward has two (flash attention makes the scores anew). `recompute`: gradient
        checkpointing, one forward pass more."""
        if role == "fixed":
            return self.forward
        backward = (2 if role == "learns" else 1) * self.linear + 2.5 * self.attention
        return self.forward + backward + (self.forward if recompute else 0)


@dataclass(frozen=True)
class Drawer:
    """LTX's transformer."""

    width: int = 2048
    layers: int = 28
    heads: int = 32
    channels: int = 128
    condition: int = 4096

    @property
    def parameters(self) -> int:
        d, c = self.width, self.condition
        attention = 4 * (d * d + d) + 2 * d
        block = 2 * attention + (8 * d * d + 5 * d) + 6 * d
        ends = (self.channels * d + d) + (d * self.channels + self.channels) + 2 * d
        times = (256 * d + d) + (d * d + d) + (6 * d * d + 6 * d)
        return self.layers * block + ends + times + (c * d + d) + (d * d + d)

    def forward(self, tokens: int, condition: int, times: int = 1) -> Work:
        """One sample of N tokens with M of condition; `times`: noise levels a sample (N where some are clean)."""
        d, n, m = self.width, tokens, condition
        layer = 14 * d * d * n + 2 * d * d * m  # q, k, v, out, feed-forward; q and out across, k and v of the condition
        others = 2 * self.channels * d * n + (256 * d + 7 * d * d) * times + (self.condition * d + d * d) * m
        return Work(2.0 * (self.layers * layer + others), 2.0 * self.layers * 2 * d * (n * n + n * m))


@dataclass(frozen=True)
class Language:
    """Qwen2.5-VL's language model, without its head for words: `kv` is the width of keys and of values."""

    hidden: int = 3584
    layers: int = 28
    intermediate: int = 18944
    kv: int = 512
    vocabulary: int = 152064
    head: bool = True  # a head of its own; else tied to the embeddings

    @property
    def parameters(self) -> int:
        h, f, kv = self.hidden, self.intermediate, self.kv
        layer = 2 * h * h + h + 2 * (h * kv + kv) + 3 * h * f + 2 * h
        return self.layers * layer + (2 if self.head else 1) * self.vocabulary * h + h

    def forward(self, tokens: int) -> Work:
        h = self.hidden
        layer = 2 * h * h + 2 * h * self.kv + 3 * h * self.intermediate
        return Work(2.0 * self.layers * layer * tokens, 2.0 * self.layers * 2 * h * tokens * tokens)


@dataclass(frozen=True)
class Tower:
    """Qwen2.5-VL's vision tower. Attention is counted over all patches: exact where no window is smaller (ours)."""

    hidden: int = 1280
    layers: int = 32
    intermediate: int = 3420
    patch: int = 2 * 3 * 14 * 14
    merge: int = 2
    out: int = 3584

    @property
    def parameters(self) -> int:
        h, f, wide = self.hidden, self.intermediate, self.hidden * self.merge**2
        block = 2 * h + (3 * h * h + 3 * h) + (h * h + h) + (3 * h * f + 2 * f + h)
        return self.patch * h + self.layers * block + h + (wide * wide + wide) + (wide * self.out + self.out)

    def forward(self, patches: int) -> Work:
        h, wide, n = self.hidden, self.hidden * self.merge**2, patches
        layers = self.layers * (4 * h * h + 3 * h * self.intermediate) * n
        merged = (wide * wide + wide * self.out) * n / self.merge**2
        return Work(2.0 * (self.patch * h * n + layers + merged), 2.0 * self.layers * 2 * h * n * n)


@dataclass(frozen=True)
class Bridge:
    """Queries and connector."""

    queries: int = 256
    hidden: int = 3584
    condition: int = 4096

    @property
    def parameters(self) -> int:
        h, c = self.hidden, self.condition
        return self.queries * h + (h * c + c) + (c * c + c) + c + 1

    def forward(self) -> Work:
        return Work(2.0 * self.queries * (self.hidden * self.condition + self.condition**2))


@dataclass(frozen=True)
class TextEncoder:
    """T5 v1.1's encoder (gated feed-forward, one table of relative positions)."""

    width: int = 4096
    layers: int = 24
    intermediate: int = 10240
    heads: int = 64
    head: int = 64
    vocabulary: int = 32128
    buckets: int = 32

    @property
    def parameters(self) -> int:
        d, inner = self.width, self.heads * self.head
        layer = 4 * d * inner + 3 * d * self.intermediate + 2 * d
        return self.layers * layer + self.vocabulary * d + self.buckets * self.heads + d

    def forward(self, tokens: int) -> Work:
        d, inner = self.width, self.heads * self.head
        layer = 4 * d * inner + 3 * d * self.intermediate
        return Work(2.0 * self.layers * layer * tokens, 2.0 * self.layers * 2 * inner * tokens * tokens)


@dataclass(frozen=True)
class Parts:
    """A whole model. `autoencoder` is what diffusers' class is made with ({}: its defaults, LTX 0.9.0)."""

    drawer: Drawer = Drawer()
    language: Language = Language()
    tower: Tower = Tower()
    bridge: Bridge = Bridge()
    autoencoder: dict[str, Any] | None = None
    clip: tuple[int, int, int] = (65, 480, 832)  # frames, height, width
    image: tuple[int, int] = (512, 512)
    ratios: tuple[int, int] = (8, 32)  # pixels a latent cell, in time and in space
    patches: int = 0  # vision patches of a prompt; the paper's prompts are words only

    def latents(self, kind: str) -> tuple[int, int, int]:
        """(F, h, w) of a clip, or of an image."""
        time, space = self.ratios
        frames, height, width = (1, *self.image) if kind == "image" else self.clip
        return (frames - 1) // time + 1, height // space, width // space

    def tokens(self, kind: str) -> int:
        frames, height, width = self.latents(kind)
        return frames * height * width


PAPER = Parts()
T5_XXL = TextEncoder()
