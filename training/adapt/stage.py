"""Stage `adapt`: small matrices beside the transformer's own (LoRA, arXiv 2106.09685) learn somebody's world.

python launch.py train adapt --config training/configs/starter/adapt.yaml init=MODEL out=FOLDER

The model itself stays as it is to the bit. `examples` are of the new world; `prior` (prior preservation, as in
DreamBooth, arXiv 2208.12242) are of the old one, in `prior_share` of the steps, so that it is not forgotten. A run ends
with `out`/adapter, which nsp_core.adapters gives to a pipeline.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from nsp_core import adapters
from nsp_core.errors import ConfigError
from training import checkpoint, parallel
from training.flow_matching import Generator
from training.models import open_model
from training.pretrain.cache import make_cache
from training.pretrain.examples import ExampleConfig
from training.pretrain.objective import StagedObjective
from training.pretrain.stage import StageConfig, freeze
from training.stages import learn_to_draw

log = logging.getLogger(__name__)
SLOT = "taught"


@dataclass(frozen=True)
class LoraSizes:
    rank: int = 16
    alpha: float = 16.0  # what is learnt is added alpha / rank times
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")


@dataclass(frozen=True)
class AdaptConfig(StageConfig):
    name: str = "my world"
    lora: LoraSizes = LoraSizes()
    prior: ExampleConfig = ExampleConfig()  # of the world that the model knows
    prior_share: float = 0.0  # of the steps


class Adapted(Generator):
    """What this stage trains. Its state is just that: of a big model, checkpoints hold the small matrices alone."""

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return dict(self._own(super().state_dict(*args, **kwargs)))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        own = dict(self.named_parameters())
        wanted = {name for name, p in own.items() if p.requires_grad}
        if strict and wanted != set(state_dict):
            raise RuntimeError("The checkpoint is of an adapter of another shape: give its own config.")
        return super().load_state_dict(state_dict, strict=False, assign=assign)

    def _own(self, state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        learns = {name for name, p in self.named_parameters() if p.requires_grad}
        return ((name, value) for name, value in state.items() if name in learns)


def train_adapter(config: AdaptConfig, resume: bool) -> int:
    ranks = parallel.ranks()
    if config.loop.parallel == "shard":
        raise ConfigError("Stage adapt is small and is replicated between processes: set loop.parallel=replicate.")
    pipeline: Any = open_model(config.init)
    pipeline.to(config.device)
    objective = new_objective(config, pipeline)
    for part in (pipeline.vae, pipeline.vision_language):
        part.to("cpu")  # what they made is in the cache
    code = learn_to_draw(objective, config.loop, config, resume)
    if code == 0 and ranks.main:
        log.info("adapter: %s", leave_adapter(pipeline, objective.module, config))
    ranks.wait()
    return code


def new_objective(config: AdaptConfig, pipeline: Any) -> StagedObjective:
    """Caches of both worlds, the frozen model, and new layers that change nothing yet."""
    shares = shares_of(config)
    sets = {"next": config.examples, "prior": config.prior}

    def caches(held_out: bool) -> dict[Any, Any]:
        made = {}
        for name in shares:
            asked = (pipeline, sets[name], "next", config.cache, held_out)
            made[name] = make_cache(*asked, stream=config.stream and not held_out, ranks=parallel.ranks())
        return {name: cache.to(config.device) for name, cache in made.items()}

    train, held_out = caches(False), caches(True)
    module = Adapted(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, (), config.half)
    add_layers(pipeline.transformer, config)
    module.to(config.device)
    flow = replace(config.flow, shows_tail=pipeline.config.reference == "repeat_tail")
    return StagedObjective(flow, module, train, held_out, shares, rope_scale=tuple(pipeline.config.rope_scale))


def shares_of(config: AdaptConfig) -> dict[Any, float]:
    if not config.examples.pairs:
        raise ConfigError("Stage adapt learns from pairs of the new world: set examples.pairs above 0.")
    if not 0 <= config.prior_share < 1:
        raise ConfigError(f"prior_share lies from 0 to below 1, got {config.prior_share:g}.")
    if config.prior_share and not config.prior.pairs:
        raise ConfigError("prior_share asks for examples of the old world: set prior.pairs above 0.")
    old = {"prior": config.prior_share} if config.prior_share else {}
    return {"next": 1 - config.prior_share, **old}


def add_layers(transformer: nn.Module, config: AdaptConfig) -> None:
    """A and B beside every target, drawn anew from the run's seed; B is zero, so that nothing is changed yet."""
    from peft import LoraConfig

    sizes = config.lora
    if sizes.rank < 1:
        raise ConfigError(f"lora.rank must be 1 or more, got {sizes.rank}.")
    torch.manual_seed(config.loop.seed)
    settings = LoraConfig(r=sizes.rank, lora_alpha=sizes.alpha, target_modules=list(sizes.targets))
    try:
        transformer.add_adapter(settings, adapter_name=SLOT)  # type: ignore[operator]
    except ValueError as error:
        raise ConfigError(f"lora.targets names no layers of this transformer: {', '.join(sizes.targets)}.") from error
    for name, parameter in transformer.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.float()  # masters, beside weights of whatever type
            parameter.requires_grad_(True)


def leave_adapter(pipeline: Any, module: Adapted, config: AdaptConfig) -> Any:
    """Write out/adapter from the averages of the run's last checkpoint."""
    saved = checkpoint.load(config.out / "checkpoints")
    average: dict[str, Tensor] = {**saved.model, **saved.ema}
    module.load_state_dict(average)
    sizes = config.lora
    facts = adapters.Facts(
        config.name, pipeline.fingerprint, sizes.rank, sizes.alpha, saved.step, config.examples.pairs
    )
    return adapters.save(pipeline.transformer, SLOT, config.out / "adapter", facts, card(config, pipeline, saved.step))


def card(config: AdaptConfig, pipeline: Any, steps: int) -> str:
    """The adapter's README.md: what it is, how it was made, how it is used."""
    prior = ""
    if config.prior_share:
        prior = f", with {config.prior.pairs} of the old world in {config.prior_share:.0%} of the steps"
    return f"""---
library_name: diffusers
tags: [lora, image-to-video, what-happens-next]
---
# {config.name}

An adapter (LoRA, rank {config.lora.rank}, alpha {config.lora.alpha:g}) for the model {pipeline.fingerprint} of *What
Happens Next?*. Taught on {config.examples.pairs} pairs of a scene and the one that comes{prior}, in
{steps} steps of {config.flow.batch}. How well it tells stories of that world was not measured here.

Use: `python launch.py predict PICTURE --adapter THIS_FOLDER --out DIR`, or in Python:

    from nsp_core.adapters import attach, read
    attach(pipeline, [(read("THIS_FOLDER"), 1.0)])
"""
