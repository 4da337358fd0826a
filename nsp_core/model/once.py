"""What does not change from step to step is computed once a run: text projections, the keys and values that all blocks
make of the words, and where the cells lie (rotary embedding).

    once = Once(transformer)
    with once:                     # around each evaluation
        transformer(...)
    once.forget()                  # when the run is over: what is kept takes memory

The same values by the same code, so nothing changes but the time: the parts' own `forward` is asked the first time, and
its answer is given from then on, as long as the very same tensor is put in. While gradients are wanted nothing is kept.
Knows nothing of steps and schedules.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

_Forward = Callable[..., Any]


class Once:
    """For one LTX transformer of diffusers (`caption_projection`, `rope`, blocks with a cross attention `attn2`)."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer
        self._answers: dict[int, tuple[Any, Any, Any]] = {}  # by module: the key, what was put in, what came out
        self._before: list[tuple[Any, _Forward | None]] = []
        self._depth = 0  # who holds it for a whole run holds it during each evaluation

    def __enter__(self) -> Once:
        self._depth += 1
        if self._depth == 1 and not torch.is_grad_enabled():
            self._hold()
        return self

    def _hold(self) -> None:
        for module in self._parts():
            self._replace(module, self._asked_once(module, module.forward))

    def _replace(self, module: Any, forward: _Forward) -> None:
        """Until the evaluation is over."""
        self._before.append((module, module.__dict__.get("forward")))
        module.forward = forward

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        while self._before and not self._depth:
            module, forward = self._before.pop()
            if forward is None:
                del module.forward
            else:
                module.forward = forward  # an offloading hook's

    def forget(self) -> None:
        self._answers.clear()

    def _parts(self) -> list[Any]:
        """Anew each time: a LoRA puts other modules there."""
        crossing = [block.attn2 for block in self.transformer.transformer_blocks]
        words = [part for attention in crossing for part in (attention.to_k, attention.norm_k, attention.to_v)]
        return [self.transformer.caption_projection, self.transformer.rope, *words]

    def _asked_once(self, module: Any, forward: _Forward) -> _Forward:
        positions = module is self.transformer.rope

        def ask(*given: Any, **named: Any) -> Any:
            # of what is put into the rotary embedding first only its place, type and length count
            key = tuple(_shape(one) if positions and at == 0 else _mark(one) for at, one in enumerate(given))
            key += tuple((name, _mark(one)) for name, one in sorted(named.items()))
            known = self._answers.get(id(module))
            if known is None or known[0] != key:
                # what was put in is kept, too: another tensor cannot come to lie in its place
                self._answers[id(module)] = known = (key, None if positions else given, forward(*given, **named))
            return known[2]

        return ask


def _mark(one: Any) -> Any:
    return (one.data_ptr(), one._version, *_shape(one)) if isinstance(one, Tensor) else one


def _shape(one: Tensor) -> tuple[Any, ...]:
    return tuple(one.shape), one.dtype, one.device
