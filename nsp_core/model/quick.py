"""One evaluation of the drawer on a processor, with fewer passes over memory: the same sums, some in another order.

    quick = Quick(transformer)
    with quick:                    # around each evaluation
        transformer(...)
    quick.forget()                 # when the run is over

Beside what `Once` keeps: cells that carry the same noise share their timestep's embedding (a scene that goes on has two
kinds of cells, not as many as it has cells); a rotation is one product of complex numbers; shifts, scales and gates are
added while they are multiplied. Guidance asks for the same cells twice, with words and without: they are one until the
first block hears the words. And where one token alone counts (T5's empty prompt), all attention is on it, and it says
the same to every cell. The parts are the transformer's own, so adapters count. What is not diffusers' plain block on a
processor (another device, hooks that offload or skip) is asked as it is: measured nowhere, changed nowhere.

The block is diffusers' LTXVideoTransformerBlock and LTXVideoAttnProcessor (0.42.1, transformer_ltx.py).

Letters: B batch, N cells, G kinds of cells, D width, M tokens of words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from diffusers.models.transformers.transformer_ltx import LTXVideoAttnProcessor, LTXVideoTransformerBlock
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from nsp_core import shortcuts
from nsp_core.model.once import Once
from nsp_core.sampler import Velocity

Span = tuple[int, int]  # of cells, first and behind the last


class Quick(Once):
    """For one LTX transformer of diffusers. Within 1e-5 of its own forward, as unit variance goes."""

    def __init__(self, transformer: Any) -> None:
        super().__init__(transformer)
        self._spans: list[Span] = []  # cells of one kind; set by each evaluation's timesteps
        self._turn: tuple[Tensor | None, Tensor | None] = (None, None)  # cosines as the rotary part gave them, complex
        self._heard: tuple[Tensor | None, list[int | None]] = (None, [])  # a mask, and what `_only` said of it

    def _hold(self) -> None:
        super()._hold()
        if self._plain():
            time = self.transformer.time_embed
            self._replace(time, partial(self._times, time.forward))
            entrance = self.transformer.proj_in
            self._replace(entrance, partial(_entered, entrance.forward))
            for block in self.transformer.transformer_blocks:
                self._replace(block, partial(self._block, block))

    def forget(self) -> None:
        super().forget()
        self._turn, self._heard = (None, None), (None, [])

    def _plain(self) -> bool:
        """Whether this is what the block below says again, and where it was measured."""
        if self.transformer.proj_in.weight.device.type != "cpu":
            return False
        return all(
            type(block) is LTXVideoTransformerBlock
            and "forward" not in block.__dict__
            and type(block.attn1.processor) is type(block.attn2.processor) is LTXVideoAttnProcessor
            for block in self.transformer.transformer_blocks
        )

    def _times(
        self, forward: Callable[..., Any], timestep: Tensor, *, batch_size: int, **named: Any
    ) -> tuple[Tensor, Tensor]:
        """Embeddings of timesteps (B,) or (B*N,), all rows alike: (B*G, 6D) for the blocks, (B*N, D) for the end."""
        cells = timestep.view(batch_size, -1)
        values, counts = torch.unique_consecutive(cells[0], return_counts=True)
        ends = counts.cumsum(0).tolist()
        self._spans = list(zip([0, *ends], ends, strict=False))
        modulation, embedded = forward(values, batch_size=batch_size, **named)
        return modulation.repeat(batch_size, 1), embedded.repeat_interleave(counts, 0).repeat(batch_size, 1)

    def _block(
        self,
        block: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        encoder_attention_mask: Tensor | None = None,
    ) -> Tensor:
        """(B, N, D) -> (B, N, D). `temb`: (B, G, 6D)."""
        x, batch = hidden_states, len(hidden_states)
        table = block.scale_shift_table[None, None] + temb.unflatten(2, (6, -1))
        shift_1, scale_1, gate_1, shift_2, scale_2, gate_2 = table.unbind(2)
        if x.stride(0) == 0:  # one row that stands for all; so do their timesteps
            x, shift_1, scale_1, gate_1 = x[:1], shift_1[:1], scale_1[:1], gate_1[:1]
        inner = self._added(shift_1, _unit(block.norm1, x), 1 + scale_1)
        x = self._added(x, _attend(block.attn1, inner, inner, self._turned(image_rotary_emb)), gate_1)
        if len(x) < batch:
            x = x.repeat(batch, 1, 1)
        self._listen(block.attn2, x, encoder_hidden_states, encoder_attention_mask)
        inner = self._added(shift_2, _unit(block.norm2, x), 1 + scale_2)
        return self._added(x, block.ff(inner), gate_2)

    def _listen(self, attention: Any, x: Tensor, words: Tensor, mask: Tensor | None) -> None:
        """Add what the words say to `x` (B, N, D). `mask`: (B, 1, M)."""
        only = self._only(mask)
        if all(token is None for token in only):
            x += _attend(attention, x, words, None, mask)
            return
        assert mask is not None
        said = attention.to_v(words)  # (B, M, D), kept
        for row, token in enumerate(only):
            part = slice(row, row + 1)
            if token is None:
                x[part] += _attend(attention, x[part], words, None, mask[part], part)
            else:
                x[part] += attention.to_out[0](said[part, token : token + 1])

    def _only(self, mask: Tensor | None) -> list[int | None]:
        """Of each row the one token that counts; None where there are several. Others have a score of -10000."""
        if mask is None:
            return []
        if self._heard[0] is not mask:
            counts = mask[:, 0] > -1
            tokens = zip(counts.sum(1).tolist(), counts.int().argmax(1).tolist(), strict=True)
            self._heard = (mask, [at if count == 1 else None for count, at in tokens])
        return self._heard[1]

    def _added(self, a: Tensor, b: Tensor, factor: Tensor) -> Tensor:
        """a + b * factor in one pass; `factor` (B, G, D), `b` (B, N, D), `a` like one of them."""
        if factor.shape[1] == 1:
            return torch.addcmul(a, b, factor)
        out = torch.empty_like(b, dtype=torch.promote_types(a.dtype, factor.dtype))
        for kind, (first, end) in enumerate(self._spans):
            add = a[:, first:end] if a.shape == b.shape else a[:, kind : kind + 1]
            torch.addcmul(add, b[:, first:end], factor[:, kind : kind + 1], out=out[:, first:end])
        return out

    def _turned(self, rotary: tuple[Tensor, Tensor] | None) -> Tensor | None:
        """Cosines and sines (B, N, D), each twice, as complex numbers (1, N, D/2): cells lie alike in all rows."""
        if rotary is None:
            return None
        if self._turn[0] is not rotary[0]:
            cosine, sine = (part[:1, :, 0::2].contiguous() for part in rotary)
            self._turn = (rotary[0], torch.complex(cosine, sine))
        return self._turn[1]


@contextmanager
def one_run(kept: Once, velocity: Velocity, faster: str = "") -> Iterator[Velocity]:
    """`velocity`, whose evaluations share what `kept` keeps; a shortcut lies around what is held."""

    def ask(x: Tensor, sigma: float) -> Tensor:
        with kept, shortcuts.evaluation(faster):
            return velocity(x, sigma)

    try:
        with kept if faster else nullcontext(), shortcuts.taken(kept.transformer, faster):
            yield ask
    finally:
        kept.forget()


def _attend(
    attention: Any,
    x: Tensor,
    source: Tensor,
    turn: Tensor | None,
    mask: Tensor | None = None,
    rows: slice = slice(None),
) -> Tensor:
    """`mask`: (B, 1, M), added to the scores of all heads. `rows`: which of `source` belong to `x`."""
    digits = attention.norm_q.weight.dtype  # with fewer in the products, lengths are still taken in these
    query = attention.norm_q(attention.to_q(x).to(digits))
    key, value = attention.norm_k(attention.to_k(source).to(digits))[rows], attention.to_v(source)[rows]
    if turn is not None:
        query, key = _rotated(query, turn), _rotated(key, turn)
    query, key, value = (part.unflatten(2, (attention.heads, -1)).transpose(1, 2) for part in (query, key, value))
    seen = scaled_dot_product_attention(query, key, value, attn_mask=None if mask is None else mask[:, None])
    out: Tensor = attention.to_out[0](seen.transpose(1, 2).flatten(2))
    return out


def _entered(forward: Callable[[Tensor], Tensor], cells: Tensor) -> Tensor:
    """Rows that are alike become one, shown as often (of stride 0) until something tells them apart."""
    if len(cells) == 1 or not all(torch.equal(cells[0], row) for row in cells[1:]):
        return forward(cells)
    return forward(cells[:1]).expand(len(cells), -1, -1)


def _rotated(x: Tensor, turn: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.float().unflatten(2, (-1, 2)))
    return torch.view_as_real(pairs * turn).flatten(2).to(x.dtype)


def _unit(norm: Any, x: Tensor) -> Tensor:
    """diffusers' RMSNorm; without weights, which LTX has none of, the mean square is taken in one pass."""
    if norm.weight is not None or x.dtype != torch.float32:
        done: Tensor = norm(x)
        return done
    size = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return x * torch.rsqrt(size.square() / x.shape[-1] + norm.eps)
