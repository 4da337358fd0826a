"""Stages `drawer`, `pt1`, `pt2`, `pt3`, `sft`: the paper's training in its order, as rows of one table.

python launch.py train sft --config training/configs/lab/sft.yaml init=MODEL_OR_RUN out=FOLDER

| stage | what moves | what it learns from |
| drawer | transformer | images, videos; the connector is untaught: stands for LTX with its T5 |
| pt1 | queries, bridge | images (paper: 20 M images, the transformer stays) |
| pt2 | bridge, transformer | images and videos |
| pt3 | bridge, transformer | videos |
| sft | bridge, transformer | pairs of a story and what comes |

That queries move in pt1 and stay afterwards is our reading: the paper's text says "connector". The reader and the
autoencoder never move. A run ends with `out`/model, with which the next stage begins.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from nsp_core.errors import ConfigError
from nsp_core.model import build
from nsp_core.model.connector import Connector
from training import parallel
from training.flow_matching import Cache, FlowConfig, Generator
from training.loop import LoopConfig
from training.models import leave_model, open_model
from training.plan.machine import PlanConfig
from training.pretrain.cache import make_cache
from training.pretrain.examples import KINDS, ExampleConfig, Kind, prompts
from training.pretrain.objective import StagedObjective
from training.stages import learn_to_draw

log = logging.getLogger(__name__)

PARTS = ("queries", "bridge", "transformer")


@dataclass(frozen=True)
class Row:
    moves: tuple[str, ...]
    fresh: tuple[str, ...] = ()  # parts that begin anew
    kinds: tuple[Kind, ...] = ()


TABLE: dict[str, Row] = {
    "drawer": Row(("transformer",), ("bridge", "transformer"), ("image", "video")),
    "pt1": Row(("queries", "bridge"), ("queries", "bridge"), ("image",)),
    "pt2": Row(("bridge", "transformer"), (), ("image", "video")),
    "pt3": Row(("bridge", "transformer"), (), ("video",)),
    "sft": Row(("bridge", "transformer"), (), ("next",)),
}


@dataclass(frozen=True)
class Sizes:
    """Of a transformer that begins anew."""

    width: int = 128
    layers: int = 3
    heads: int = 2


@dataclass(frozen=True)
class StageConfig:
    loop: LoopConfig
    init: Path  # a model folder, or a run folder of a stage that left one
    out: Path
    cache: Path
    flow: FlowConfig = FlowConfig()
    examples: ExampleConfig = ExampleConfig()
    shares: dict[str, float] = field(default_factory=dict)  # of the steps; {}: in equal parts
    transformer: Sizes = Sizes()
    fresh: tuple[str, ...] | None = None  # None: as the table says
    moves: tuple[str, ...] | None = None  # None: as the table says
    recompute: bool = False  # gradient checkpointing: less memory, a forward pass more
    stream: bool = False  # latents and states stay on disk: for sets that are larger than memory
    half: bool = False  # what does not move is held in bfloat16 (masters of what does are fp32 always)
    plan: PlanConfig = PlanConfig()
    threads: int = 2
    device: str = "cpu"
    minutes: float = math.inf


def train_row(name: str, config: StageConfig, resume: bool) -> int:
    row, ranks = row_of(name, config), parallel.ranks()
    shares = shares_of(name, row, config)
    pipeline = begin(row, config)
    pipeline.to(config.device)
    objective = new_objective(row, config, pipeline, shares)
    pipeline.vae.to("cpu")  # what they made is in the cache, and big ones take the place of many clips
    if objective.reader is None:
        pipeline.vision_language.to("cpu")
    code = learn_to_draw(objective, config.loop, config, resume)
    if code == 0 and ranks.main:
        if config.loop.parallel == "shard":
            pipeline = begin(row, config)  # the one that was trained is in pieces
        log.info("model: %s", leave_model(pipeline, Generator(pipeline.connector, pipeline.transformer), config.out))
    ranks.wait()
    return code


def row_of(name: str, config: StageConfig) -> Row:
    """The table's row, or what the config says that moves."""
    return TABLE[name] if config.moves is None else replace(TABLE[name], moves=known(config.moves, "moves"))


def begin(row: Row, config: StageConfig) -> Any:
    """The model of `config.init` with its newborn parts, the same in every process."""
    pipeline: Any = open_model(config.init)
    torch.manual_seed(config.loop.seed)
    renew(pipeline, row.fresh if config.fresh is None else config.fresh, config.transformer)
    return pipeline


def new_objective(row: Row, config: StageConfig, pipeline: Any, shares: dict[Kind, float]) -> StagedObjective:
    live = "queries" in row.moves

    def cache_of(kind: Kind, held_out: bool, stream: bool) -> Cache:
        asked = (pipeline, config.examples, kind, config.cache, held_out)
        return make_cache(*asked, states=not live, stream=stream, ranks=parallel.ranks())

    caches = {k: cache_of(k, False, config.stream) for k in shares}
    held_out = {k: cache_of(k, True, False) for k in shares}
    module = Generator(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, row.moves, config.half)
    flow = replace(config.flow, shows_tail=pipeline.config.reference == "repeat_tail")  # as the model was taught
    objective = StagedObjective(
        *(flow, module),
        {k: c.to(config.device) for k, c in caches.items()},
        {k: c.to(config.device) for k, c in held_out.items()},
        *(shares,),
        rope_scale=tuple(pipeline.config.rope_scale),
    )
    if live:
        c = config.examples
        objective.reader = (pipeline.vision_language, pipeline.processor)
        if config.recompute:
            pipeline.vision_language.train()  # transformers recomputes in training only; there is no dropout in it
            pipeline.vision_language.gradient_checkpointing_enable({"use_reentrant": False})
        objective.prompts = {k: prompts(pipeline, c, k, caches[k].numbers) for k in shares}
        objective.held_out_prompts = {k: prompts(pipeline, c, k, held_out[k].numbers) for k in shares}
    return objective


def freeze(pipeline: Any, module: Generator, moves: tuple[str, ...], half: bool = False) -> None:
    """Only the parts of `moves` learn, as fp32 masters; everything else is fixed, with `half` in bfloat16."""
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
            small = getattr(part, "is_quantized", False)
            if half and not small and name not in ("connector", *moves):  # of the connector some learns always
                part.to(torch.bfloat16)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(part_of(name) in moves)


def part_of(name: str) -> str:
    """Which of PARTS a parameter of `Generator` belongs to."""
    if name == "connector.queries":
        return "queries"
    return "bridge" if name.startswith("connector.") else "transformer"


def renew(pipeline: Any, fresh: tuple[str, ...], sizes: Sizes) -> None:
    """Put newborn parts in their places."""
    known(fresh, "fresh")
    old = pipeline.connector
    born = Connector(*(old.config[k] for k in ("num_queries", "hidden", "caption_channels", "initial_scale")))
    state = {n: (born if part_of(f"connector.{n}") in fresh else old).state_dict()[n] for n in old.state_dict()}
    born.load_state_dict(state)
    pipeline.register_modules(connector=born.eval())
    pipeline._null = None
    if "transformer" in fresh:
        channels, condition = pipeline.vae.config.latent_channels, old.config.caption_channels
        transformer = build.transformer(sizes.width, sizes.layers, sizes.heads, channels, condition)
        torch.nn.init.zeros_(transformer.proj_out.weight)
        torch.nn.init.zeros_(transformer.proj_out.bias)
        pipeline.register_modules(transformer=transformer.eval())


def known(parts: tuple[str, ...], key: str) -> tuple[str, ...]:
    if not set(parts) <= set(PARTS):
        raise ConfigError(f"{key} names some of {', '.join(PARTS)}, got {parts}.")
    return parts


def shares_of(name: str, row: Row, config: StageConfig) -> dict[Kind, float]:
    """Which kinds are learnt from, and in what share of the steps. Raises ConfigError where there is nothing."""
    unknown = set(config.shares) - set(KINDS)
    if unknown:
        raise ConfigError(f"shares names some of {', '.join(KINDS)}, got {', '.join(sorted(unknown))}.")
    wanted = {k: float(config.shares[k]) for k in KINDS if k in config.shares} or dict.fromkeys(row.kinds, 1.0)
    shares = {k: v for k, v in wanted.items() if v > 0}
    for kind in shares:
        if not config.examples.count(kind):
            plural = {"image": "images", "video": "videos", "next": "pairs"}[kind]
            raise ConfigError(f"Stage {name} learns from kind '{kind}': set examples.{plural} above 0.")
    return shares
