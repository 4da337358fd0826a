"""Stage `adapt`: small matrices beside the transformer's own (LoRA, arXiv 2106.09685) learn somebody's world.

python launch.py train adapt --config training/configs/starter/adapt.yaml init=MODEL out=FOLDER

The model itself stays as it is to the bit. `examples` are of the new world; `prior` (prior preservation, as in
DreamBooth, arXiv 2208.12242) are of the old one, in `prior_share` of the steps, so that it is not forgotten. With
moves=[queries, bridge] the connector learns, too. A run ends with `out`/adapter, which nsp_core.adapters gives to a
pipeline; training/teach is this stage for somebody's own clips.
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
from training.flow_matching import Cache, Generator
from training.models import open_model
from training.pretrain.cache import make_cache
from training.pretrain.examples import ExampleConfig, Kind, any_row, prompts, sources_of
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
    """`moves` may name the queries and the bridge of the connector, which then learn as well, whole."""

    name: str = "my world"
    lora: LoraSizes = LoraSizes()
    prior: ExampleConfig = ExampleConfig()  # of the world that the model knows
    prior_share: float = 0.0  # of the steps
    four_bits: bool = False  # the reader, which never moves, is held in NF4 (QLoRA, arXiv 2305.14314)
    words: tuple[str, ...] = ()  # that are taught and that the model's language lacks


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
    pipeline = begin(config)
    objective = new_objective(config, pipeline)
    send_away(pipeline, objective)
    code = learn_to_draw(objective, config.loop, config, resume)
    if code == 0 and ranks.main:
        log.info("adapter: %s", leave_adapter(pipeline, objective.module, config))
    ranks.wait()
    return code


def begin(config: AdaptConfig) -> Any:
    """The model of `config.init`, where it computes. Raises ConfigError for what cannot be adapted."""
    if config.loop.parallel == "shard":
        raise ConfigError("Stage adapt is small and is replicated between processes: set loop.parallel=replicate.")
    if not set(config.moves or ()) <= {"queries", "bridge"}:
        raise ConfigError(
            f"Beside the small matrices, moves may name queries and bridge in stage adapt, got {config.moves}."
        )
    pipeline: Any = open_model(config.init)
    if config.four_bits:
        pipeline.register_modules(vision_language=in_four_bits(config))
    for name, part in pipeline.components.items():
        if isinstance(part, nn.Module) and not (config.four_bits and name == "vision_language"):
            part.to(config.device)
    return pipeline


def in_four_bits(config: AdaptConfig) -> Any:
    """The frozen reader of a model folder in NF4, on the run's device.

    Raises ConfigError where bitsandbytes does not run, and for a model that is no folder in hub layout.
    """
    from nsp_core.model.quantised import nf4

    where = next((f for f in (config.init, config.init / "model") if (f / "vision_language").is_dir()), None)
    if where is None:
        raise ConfigError(f"four_bits=true reads a model folder, and {config.init} is none: give one, or leave it out.")
    try:
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_pretrained(
            where / "vision_language", dtype=torch.bfloat16, local_files_only=True, **nf4(torch.bfloat16, config.device)
        )
    except (ImportError, RuntimeError, NotImplementedError) as error:
        raise ConfigError(
            f"four_bits=true needs bitsandbytes, which does not run here ({' '.join(str(error).split())[:120]}): "
            "leave it out."
        ) from error
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # the layout for processors lets no gradient through
    return model.eval().requires_grad_(False)


def send_away(pipeline: Any, objective: StagedObjective) -> None:
    """What is not needed any more leaves the card: what it made is in the cache."""
    pipeline.vae.to("cpu")
    if objective.reader is None and not getattr(pipeline.vision_language, "is_quantized", False):
        pipeline.vision_language.to("cpu")


def new_objective(config: AdaptConfig, pipeline: Any, kind: type[StagedObjective] = StagedObjective) -> Any:
    """Caches of both worlds, the frozen model, and new layers that change nothing yet. An objective of class `kind`."""
    shares, moves = shares_of(config), config.moves or ()
    live = "queries" in moves

    def cache_of(name: str, held_out: bool) -> Cache:
        asked = (pipeline, config.prior if name == "prior" else config.examples, kind_of(name), config.cache, held_out)
        stream = config.stream and not held_out
        return make_cache(*asked, states=not live, stream=stream, ranks=parallel.ranks()).to(config.device)

    train = {name: cache_of(name, False) for name in shares}
    held_out = {name: cache_of(name, True) for name in shares if has_held_out(config, name)}
    module = Adapted(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, moves, config.half)
    add_layers(pipeline.transformer, config)
    module.to(config.device)
    flow = replace(config.flow, shows_tail=pipeline.config.reference == "repeat_tail")
    objective = kind(flow, module, train, held_out, shares, rope_scale=tuple(pipeline.config.rope_scale))
    if live:
        asked_of = {name: config.prior if name == "prior" else config.examples for name in shares}
        objective.reader = (pipeline.vision_language, pipeline.processor)
        objective.prompts = {n: prompts(pipeline, asked_of[n], kind_of(n), train[n].numbers) for n in shares}
        objective.held_out_prompts = {
            n: prompts(pipeline, asked_of[n], kind_of(n), cache.numbers) for n, cache in held_out.items()
        }
    return objective


def kind_of(name: str) -> Kind:
    return "image" if name == "image" else "next"


def has_held_out(config: AdaptConfig, name: str) -> bool:
    """Of the new world, only one of pairs and pictures may have some that are kept apart."""
    if name == "prior":
        return config.prior.held_out > 0
    sources = sources_of(config.examples, kind_of(name))
    return config.examples.held_out > 0 and (not sources or any_row(sources, held_out=True))


def shares_of(config: AdaptConfig) -> dict[Any, float]:
    """Which sets are learnt from, and in what share of the steps: pairs and pictures of the new world by their number,
    and the old one."""
    examples = config.examples
    if not examples.pairs and not examples.images:
        raise ConfigError("Stage adapt learns from pairs or pictures of the new world: set examples.pairs above 0.")
    if not 0 <= config.prior_share < 1:
        raise ConfigError(f"prior_share lies from 0 to below 1, got {config.prior_share:g}.")
    if config.prior_share and not config.prior.pairs:
        raise ConfigError("prior_share asks for examples of the old world: set prior.pairs above 0.")
    new, every = 1 - config.prior_share, examples.pairs + examples.images
    shares = {"next": new * examples.pairs / every, "image": new * examples.images / every, "prior": config.prior_share}
    return {name: share for name, share in shares.items() if share}


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


def leave_adapter(
    pipeline: Any, module: Adapted, config: AdaptConfig, best: tuple[int, Mapping[str, Tensor]] | None = None
) -> Any:
    """Write out/adapter from the averages of the run's last checkpoint, or from `best`: a better step, and those."""
    saved = checkpoint.load(config.out / "checkpoints")
    step, better = best or (saved.step, {})
    average: dict[str, Tensor] = {**saved.model, **saved.ema, **better}
    module.load_state_dict(average)
    sizes = config.lora
    facts = adapters.Facts(
        *(config.name, pipeline.fingerprint, sizes.rank, sizes.alpha, step),
        pairs=pairs_of(config),
        words=config.words,
    )
    about = card(config, pipeline, step)
    added = added_to_connector(module, config)
    return adapters.save(pipeline.transformer, SLOT, config.out / "adapter", facts, about, added)


def added_to_connector(module: Adapted, config: AdaptConfig) -> dict[str, Tensor]:
    """What the run has added to the weights of the connector that learn; nothing where none do."""
    moved = {n: p.detach().float().cpu() for n, p in module.connector.named_parameters() if p.requires_grad}
    if not moved:
        return {}
    before = dict(open_model(config.init).connector.named_parameters())
    return {name: value - before[name].detach().float() for name, value in moved.items()}


def pairs_of(config: AdaptConfig) -> int:
    """How many different ones, a mirrored one being no other."""
    return config.examples.pairs // (2 if config.examples.mirrored else 1)


def card(config: AdaptConfig, pipeline: Any, steps: int) -> str:
    """The adapter's README.md: what it is, how it was made, how it is used."""
    prior = ""
    if config.prior_share:
        prior = f", with {config.prior.pairs} of the old world in {config.prior_share:.0%} of the steps"
    mirrored = ", each in a mirror, too" if config.examples.mirrored else ""
    return f"""---
library_name: diffusers
tags: [lora, image-to-video, what-happens-next]
---
# {config.name}

An adapter (LoRA, rank {config.lora.rank}, alpha {config.lora.alpha:g}) for the model {pipeline.fingerprint} of *What
Happens Next?*. Taught on {pairs_of(config)} pairs of a scene and the one that comes{mirrored}{prior}, in
{steps} steps of {config.flow.batch}. How well it tells stories of that world was not measured here.

Use: `python launch.py predict PICTURE --adapter THIS_FOLDER --out DIR`, or in Python:

    from nsp_core.adapters import attach, read
    attach(pipeline, [(read("THIS_FOLDER"), 1.0)])
"""
