"""Ways to draw faster that change the picture. Off unless somebody asks for one by name; the recipe says which it was.

Two are diffusers' own caches, at settings that were measured (DECISIONS.md): most steps take over what an earlier one
found out. The third is torch's autocast: products in half the digits, for which new processors have a unit of their
own. Knows nothing of stories. Torch comes in with the first one that is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from nsp_core.errors import UserError

SHORTCUTS = {
    "first-block": "steps whose first block answers as in the step before take over the rest",
    "bf16": "products in half the digits, on processors that are made for it",
    "taylor": "two of three steps are foretold from the ones before",
}
# first-block: the share of change up to which a step is taken over. taylor: steps from one that is worked out to the
# next, and how many are worked out before
THRESHOLD, INTERVAL, WARM_UP = 0.1, 3, 3


def check(name: str) -> None:
    """Raise UserError for a name that is none; "" takes no shortcut."""
    if name and name not in SHORTCUTS:
        raise UserError(f"There is no shortcut '{name}': choose one of {', '.join(SHORTCUTS)}, or none.")


def has_bf16() -> bool:
    """Whether this processor multiplies bfloat16 by itself (AMX, AVX512-BF16); elsewhere it is slower than float32."""
    import torch

    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def evaluation(name: str) -> AbstractContextManager[Any]:
    """What one evaluation of the transformer happens in."""
    if name != "bf16":
        return nullcontext()
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16)


def config_of(name: str, dtype: Any) -> Any:
    """What diffusers' `enable_cache` takes."""
    from diffusers.hooks import FirstBlockCacheConfig, TaylorSeerCacheConfig

    if name == "first-block":
        return FirstBlockCacheConfig(THRESHOLD)
    return TaylorSeerCacheConfig(
        cache_interval=INTERVAL,
        disable_cache_before_step=WARM_UP,
        taylor_factors_dtype=dtype,
        use_lite_mode=True,  # blocks rest, the last projection is foretold
    )


@contextmanager
def taken(transformer: Any, name: str) -> Iterator[None]:
    """One run in which `transformer` (of diffusers) takes the shortcut; "" changes nothing.

    Raises UserError where a shortcut is none on this machine.
    """
    if name == "bf16" and (transformer.device.type != "cpu" or not has_bf16()):
        raise UserError("The shortcut bf16 needs a processor with AMX or AVX512-BF16: choose another one, or none.")
    if name in ("", "bf16"):
        yield
        return
    transformer.enable_cache(config_of(name, transformer.dtype))
    try:
        with transformer.cache_context("scene"):
            yield
    finally:
        transformer.disable_cache()
        for module in transformer.modules():  # where a hook was, diffusers leaves the plain forward as if it were one
            if getattr(module.__dict__.get("forward"), "__func__", None) is type(module).forward:
                del module.forward
