"""What the real classes need beside their weights, found by running them on the meta device: shapes, no numbers.

`Peak` adds up the storages that are alive and keeps the highest sum. Attention is replaced by the flash kernel's meta
function, which keeps no scores: so it is on a GPU. Weights are not counted. Knows nothing of stages or configs.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from training.plan.sizes import Drawer, Language, Role


class Peak(TorchDispatchMode):
    """`most`: bytes that were alive at once, of everything made inside, weights left out."""

    def __init__(self, weights: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live, self.most = 0, 0
        self._known = {id(w.untyped_storage()) for w in weights}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor) and id(storage := leaf.untyped_storage()) not in self._known:
                self._known.add(id(storage))
                self.live += storage.nbytes()
                weakref.finalize(storage, self._gone, id(storage), storage.nbytes())
        self.most = max(self.most, self.live)
        return out

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


@contextmanager
def flash_attention() -> Iterator[None]:
    """Within: attention as the flash kernel does it, masks ignored (they change neither its memory nor its FLOP)."""

    def attend(query: Tensor, key: Tensor, value: Tensor, *_: Any, enable_gqa: bool = False, **__: Any) -> Tensor:
        if enable_gqa and key.shape[1] != query.shape[1]:
            times = query.shape[1] // key.shape[1]
            key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
        return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value)[0]

    before = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = before


@cache
def drawer(size: Drawer) -> Any:
    from diffusers import LTXVideoTransformer3DModel

    with torch.device("meta"):
        model = LTXVideoTransformer3DModel(
            in_channels=size.channels,
            out_channels=size.channels,
            num_attention_heads=size.heads,
            attention_head_dim=size.width // size.heads,
            cross_attention_dim=size.width,
            num_layers=size.layers,
            caption_channels=size.condition,
        )
    return model.bfloat16()


@cache
def language(size: Language) -> Any:
    """Qwen2.5-VL's language model, from embeddings to its last hidden states."""
    from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextConfig, Qwen2_5_VLTextModel

    head = 128 if size.hidden % 128 == 0 and size.kv % 128 == 0 else size.kv
    section = [head // 2 - 2 * (head // 6), head // 6, head // 6]
    config = Qwen2_5_VLTextConfig(
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        intermediate_size=size.intermediate,
        num_attention_heads=size.hidden // head,
        num_key_value_heads=size.kv // head,
        vocab_size=size.vocabulary,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": section},
    )
    with torch.device("meta"):
        return Qwen2_5_VLTextModel(config).bfloat16()


def autoencoder(settings: dict[str, Any] | None) -> Any:
    from diffusers import AutoencoderKLLTXVideo

    with torch.device("meta"):
        return AutoencoderKLLTXVideo.from_config(settings or {}).bfloat16()


def draw(
    model: Any, batch: int, latents: tuple[int, int, int], condition: int, role: Role = "fixed", recompute: bool = False
) -> Callable[[], None]:
    """A pass through the transformer, with its backward pass unless `role` is fixed."""
    model.requires_grad_(role == "learns")
    (model.enable_gradient_checkpointing if recompute else model.disable_gradient_checkpointing)()
    model.train(role != "fixed")
    frames, height, width = latents
    half = {"device": "meta", "dtype": torch.bfloat16}

    def run() -> None:
        with torch.set_grad_enabled(role != "fixed"):
            out = model(
                hidden_states=torch.empty(batch, frames * height * width, model.config.in_channels, **half),
                encoder_hidden_states=torch.empty(
                    batch, condition, model.config.caption_channels, requires_grad=role == "through", **half
                ),
                timestep=torch.empty(batch, device="meta"),
                encoder_attention_mask=None,
                num_frames=frames,
                height=height,
                width=width,
                rope_interpolation_scale=(1.0, 1.0, 1.0),
            ).sample
            if role != "fixed":
                out.float().square().mean().backward()

    return run


def read(model: Any, batch: int, tokens: int, role: Role = "fixed", recompute: bool = False) -> Callable[[], None]:
    """A pass through the language model; `through`: the gradient goes back to what came in."""
    model.requires_grad_(role == "learns")
    with warnings.catch_warnings():  # a newer name exists, but not in the oldest version that is allowed
        warnings.simplefilter("ignore", FutureWarning)
        if recompute:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            model.gradient_checkpointing_disable()
    model.train(role != "fixed")

    def run() -> None:
        with torch.set_grad_enabled(role != "fixed"):
            given = torch.empty(batch, tokens, model.config.hidden_size, device="meta", dtype=torch.bfloat16)
            out = model(
                inputs_embeds=given.requires_grad_(role != "fixed"),
                attention_mask={"full_attention": torch.empty(batch, 1, tokens, tokens, device="meta", dtype=bool)},
                position_ids=torch.empty(3, batch, tokens, device="meta", dtype=torch.long),
                use_cache=False,
            ).last_hidden_state
            if role != "fixed":
                out.float().square().mean().backward()

    return run


def decode(model: Any, latents: tuple[int, int, int]) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            shape = (1, model.config.latent_channels, *latents)
            model.decode(torch.empty(shape, device="meta", dtype=torch.bfloat16))

    return run


def encode(model: Any, clip: tuple[int, int, int]) -> Callable[[], None]:
    def run() -> None:
        with torch.no_grad():
            model.encode(torch.empty(1, 3, *clip, device="meta", dtype=torch.bfloat16))

    return run


def memory(model: nn.Module, work: Callable[[], None]) -> int:
    """Bytes that `work` needs at most beside the model's weights; gradients of weights are left out, too."""
    weights = list(model.parameters())
    hooks = [w.register_post_accumulate_grad_hook(_forget) for w in weights if w.requires_grad]
    peak = Peak([*weights, *model.buffers()])
    with flash_attention(), peak:
        work()
    for hook in hooks:
        hook.remove()
    return peak.most


def _forget(weight: Tensor) -> None:
    weight.grad = None


def flop(work: Callable[[], None]) -> float:
    """By torch's own counter."""
    counter = FlopCounterMode(display=False)
    with flash_attention(), counter:
        work()
    return float(counter.get_total_flops())


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())
