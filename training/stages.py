"""The table of stages: a config class and the function that builds the parts and hands them to the loop."""

from __future__ import annotations

import json
import logging
import os
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from nsp_core.errors import ConfigError
from nsp_core.model import build
from nsp_core.model.vision_language import Prompt
from training import checkpoint, loop, own_words, parallel, recycling
from training.flow_matching import FlowObjective, Generator
from training.generator import GeneratorConfig, make_cache, read_cache, read_queries
from training.loop import LoopConfig
from training.reader import Reader, ReaderConfig, ReaderObjective, new_reader, reader_for
from training.remembering import recalls
from training.stories import read_pool
from training.vae import VaeConfig, VaeObjective
from training.wishing import by_rule

log = logging.getLogger(__name__)


def train_vae(config: VaeConfig, resume: bool) -> int:
    torch.manual_seed(config.loop.seed)
    objective = VaeObjective(config)
    if config.init is not None:
        initial = checkpoint.load(config.init)
        # the averages, rounded as shipped: an encoder that stays must be the one that later stages were given
        begin_with(objective.module, {n: t.bfloat16().float() for n, t in {**initial.model, **initial.ema}.items()})
    objective.module.to(config.device)
    objective.stay_near()
    return loop.train(
        objective,
        config.loop,
        config.out,
        adam_names=("conv_in", "conv_out", "scale_shift"),
        minutes=config.minutes,
        resume=resume,
    )


def begin_with(vae: Any, weights: dict[str, Tensor]) -> None:
    """All of `weights` that have a place of the same shape; the encoder's must all have one.

    Raises ConfigError when the encoder is of another shape.
    """
    own = vae.state_dict()
    fitting = {n: t for n, t in weights.items() if n in own and own[n].shape == t.shape}
    if any(n.startswith("encoder.") and n not in fitting for n in own):
        raise ConfigError("init holds an autoencoder with another encoder: give the width that it was trained with.")
    vae.load_state_dict({**own, **fitting})
    if len(fitting) < len(own):
        log.info("%d of %d tensors begin with init's, the others anew", len(fitting), len(own))


def train_reader(config: ReaderConfig, resume: bool) -> int:
    processor, reader = start_reader(config)
    if config.init is not None:
        initial = checkpoint.load(config.init)
        missing, surplus = reader.load_state_dict(initial.model, strict=False)
        if surplus or any(not name.startswith(("seen_", "coming")) for name in missing):
            raise ConfigError(
                f"{config.init} holds a reader of another shape: give the sizes that it was trained with."
            )
    held_out = read_pool(config.stories.with_name("stories_held_out.jsonl"), config.held_out_stories)
    anchor = None
    if config.anchor is not None:
        _, _, anchor = load_reader(config.anchor)
        if config.init is None:
            reader.load_state_dict(anchor.state_dict())
        reader.connector.requires_grad_(False)
        anchor.to(config.device)
    reader.to(config.device)
    stories = read_pool(config.stories)
    own = [] if config.own_words is None else own_words.read(config.own_words, stories)
    remembering = recalls(config.recalls) if config.recall_share else []
    rules = by_rule(stories) if config.by_rule_share else {}
    objective = ReaderObjective(config, processor, reader, stories, held_out, anchor, own, remembering, rules)
    return loop.train(
        objective,
        config.loop,
        config.out,
        adam_names=("embed_tokens", "lm_head", "patch_embed", "queries", "seen_", "coming"),
        minutes=config.minutes,
        resume=resume,
    )


def start_reader(config: ReaderConfig) -> tuple[Any, Reader]:
    """The reader of this run; its tokenizer is learnt from the language once and kept beside the checkpoints."""
    from training.picturebook.words import corpus

    kept = config.out / "processor"
    processor, reader = new_reader(config, corpus(Random(0), 20000))
    if (kept / "tokenizer.json").is_file():
        from transformers import AutoTokenizer

        before = AutoTokenizer.from_pretrained(str(kept))
        if before.get_vocab() != processor.tokenizer.get_vocab():
            raise RuntimeError(
                f"The language has changed since {config.out} was begun: train the reader anew elsewhere."
            )
    else:
        build.processor(processor.tokenizer).save_pretrained(str(kept))
    return processor, reader


def load_vae(run: Path) -> Any:
    """The averaged autoencoder of a run folder, with the latent statistics that every later stage is made with."""
    config = from_run(VaeConfig, run)
    vae = build.autoencoder(config.width, wide_decoder=config.wide_decoder)
    put_average(vae, run)
    vae.eval().requires_grad_(False)
    mean, deviation = latent_statistics(vae, config, run)
    vae.latents_mean.copy_(mean)
    vae.latents_std.copy_(deviation)
    return vae


def latent_statistics(vae: Any, config: VaeConfig, run: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Measured once a checkpoint and kept beside it: a machine without the clips must use the very same numbers."""
    kept, step = run / "latents.json", checkpoint.list_steps(run / "checkpoints")[-1].name
    if kept.is_file():
        value = json.loads(kept.read_text())
        if value["step"] == step:
            return torch.tensor(value["mean"]), torch.tensor(value["std"])
    mean, deviation = measure_latents(vae, VaeObjective(config))
    part = kept.with_suffix(".partial")
    part.write_text(json.dumps({"step": step, "mean": mean.tolist(), "std": deviation.tolist()}))
    os.replace(part, kept)
    return mean, deviation


def measure_latents(vae: Any, objective: VaeObjective) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation a channel over 200 clips of the pool: what `normalise` uses. Rounded to bf16, as shipped."""
    from training.vae import to_tensor

    kept = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for i in range(0, min(200, len(objective.frames)), 10):
            kept.append(vae.encode(to_tensor(objective.frames[i : i + 10])).latent_dist.mode().float())
    latents = torch.cat(kept)
    mean, deviation = latents.mean((0, 2, 3, 4)), latents.std((0, 2, 3, 4))
    return mean.bfloat16().float(), deviation.bfloat16().float()


def load_reader(run: Path) -> tuple[ReaderConfig, Any, Reader]:
    """Config, processor and averaged reader of a run folder."""
    from transformers import AutoTokenizer

    config = from_run(ReaderConfig, run)
    vocabulary = AutoTokenizer.from_pretrained(str(run / "processor"), padding_side="left")
    processor, reader = build.processor(vocabulary), reader_for(config, vocabulary)
    put_average(reader, run)
    return config, processor, reader.eval().requires_grad_(False)


def put_average(module: Any, run: Path) -> None:
    """The averaged weights as they will be shipped: rounded to bf16 (one folder, one behaviour)."""
    saved = checkpoint.load(run / "checkpoints")
    module.load_state_dict(saved.model)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            value = saved.ema.get(name, saved.model[name])
            parameter.copy_(value.bfloat16().float())


def from_run(cls: Any, run: Path) -> Any:
    """The config that a run folder was made with."""
    from training import config

    return config.build(cls, json.loads((run / "run.json").read_text())["config"])


def scale_of(init: Path) -> Tensor | None:
    """The scale of residuals that the weights in a run's checkpoints were taught with: they mean nothing at another.

    None, with a warning, for checkpoints that were taken out of their run: it is measured on the new pairs then.
    """
    for folder in (init, *init.parents[:2]):
        if (path := folder / "residual_scale.safetensors").is_file():
            return load_file(path)["residual_scale"]
    log.warning("no residual_scale.safetensors beside %s: it is measured anew", init)
    return None


def train_generator(config: GeneratorConfig, resume: bool) -> int:
    vae = load_vae(config.vae).to(config.device)
    reader_config, processor, reader = load_reader(config.reader)
    reader.to(config.device)
    queries = reader.connector.queries
    parts = (vae, reader.model, processor, queries)
    stories = read_pool(config.stories)
    held_out = read_pool(config.stories.with_name("stories_held_out.jsonl"))
    with parallel.ranks().main_first():
        folder = make_cache(config, stories, parts, "train", config.pairs)
        held_folder = make_cache(config, held_out, parts, "held_out", config.held_out_pairs)
    null = read_queries(reader.model, processor, queries, [Prompt("")])[0]
    cache = read_cache(folder, null.cpu(), scale_of(config.init) if config.init else None)
    torch.manual_seed(config.loop.seed)
    transformer = build.transformer(config.width, config.layers, config.heads, condition=reader_config.caption_channels)
    torch.nn.init.zeros_(transformer.proj_out.weight)
    torch.nn.init.zeros_(transformer.proj_out.bias)
    module = Generator(reader.connector.requires_grad_(True), transformer.requires_grad_(True)).to(config.device)
    if config.init is not None:
        initial = checkpoint.load(config.init)
        # the queries are this reader's: those of the run that is built upon may come from another
        module.load_state_dict({**initial.model, **initial.ema, "connector.queries": queries})
    if parallel.ranks().main:
        save_file({"residual_scale": cache.residual_scale}, config.out / "residual_scale.safetensors")
    if config.compile:
        transformer.compile_repeated_blocks()
    held_cache = read_cache(held_folder, null.cpu(), cache.residual_scale)
    objective = FlowObjective(config.flow, module, cache.to(config.device), held_cache.to(config.device))
    if config.errors is not None:
        objective.errors = recycling.read(config.errors).to(config.device)
        if config.flow.own_share and objective.errors.rows is None:
            raise ConfigError(f"flow.own_share needs rows, and {config.errors} has none: make it anew.")
    elif config.flow.error_share or config.flow.own_share:
        raise ConfigError("flow.error_share needs errors=FILE: make it with python -m training.own_errors.")
    del stories, held_out
    return learn_to_draw(objective, config.loop, config, resume)


def learn_to_draw(objective: Any, settings: LoopConfig, config: Any, resume: bool) -> int:
    """The loop of every stage that moves a transformer; `config` has its out, device and minutes."""
    if config.recompute:
        objective.module.transformer.enable_gradient_checkpointing()
    # On CPUs the fused kernel's backward is slower than plain matrices; and where a rollout and an update are compared,
    # both must take the same kernel.
    with sdpa_kernel(SDPBackend.MATH) if config.device == "cpu" else nullcontext():
        return loop.train(
            objective,
            settings,
            config.out,
            adam_names=("proj_in", "proj_out", "scale_shift", "queries", "time_embed"),
            minutes=config.minutes,
            resume=resume,
        )


STAGES: dict[str, tuple[Any, Any]] = {
    "vae": (VaeConfig, train_vae),
    "reader": (ReaderConfig, train_reader),
    "generator": (GeneratorConfig, train_generator),
}
