"""Stages `teacher` and `distil`: queries and connector learn from captions alone to speak to a transformer that stays.

python launch.py train distil --config training/configs/distil/distil.yaml init=FOLDER out=FOLDER

Nobody has published a connector between Qwen2.5-VL and LTX, and pre-training one as the paper did takes 32 GPUs. But an
LTX with its T5 already does what a caption says, so no pictures are needed: the teacher draws its own, and the student
learns to move every noisy latent as the teacher would (256 tokens an image; the transformer is the same, and frozen).

`teacher` makes the stand-in for LTX in the picture book: a transformer and a small T5, newborn, on described stills.
What `init` must hold for `distil`: model/ (reader, connector, the teacher's transformer) and text_encoder/, tokenizer/
beside it; `python -m training.distil.assemble` makes such a folder of the published models.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from nsp_core.errors import ConfigError
from training import parallel
from training.distil.objective import DistilObjective, Pictures, Taught, TeachObjective
from training.distil.teacher import DrawConfig, Teacher, open_teacher, small_text_encoder
from training.export import save
from training.flow_matching import FlowConfig, Generator
from training.generator import encode_clips
from training.loop import LoopConfig
from training.models import leave_model, open_model
from training.picturebook.words import corpus
from training.plan.machine import PlanConfig
from training.pretrain.cache import made_from
from training.pretrain.examples import HELD_OUT, ExampleConfig, captions, nothing_readable, readable
from training.pretrain.stage import Sizes, freeze, renew
from training.stages import learn_to_draw, put_average

log = logging.getLogger(__name__)
AT_ONCE = 20


@dataclass(frozen=True)
class TextSizes:
    """Of a text encoder that begins anew."""

    width: int = 128
    layers: int = 2
    tokens: int = 64


@dataclass(frozen=True)
class TeacherConfig:
    loop: LoopConfig
    init: Path  # a model folder, for its autoencoder and reader
    out: Path
    cache: Path
    flow: FlowConfig = FlowConfig()
    examples: ExampleConfig = ExampleConfig()
    transformer: Sizes = Sizes()
    text: TextSizes = TextSizes()
    recompute: bool = False
    threads: int = 2
    device: str = "cpu"
    minutes: float = math.inf
    plan: PlanConfig = PlanConfig()


@dataclass(frozen=True)
class DistilConfig:
    loop: LoopConfig
    init: Path  # a folder with a model and its teacher
    out: Path
    cache: Path
    flow: FlowConfig = FlowConfig()
    captions: Path | None = None  # a text file, a caption a line; None: the picture book's
    examples: ExampleConfig = ExampleConfig(images=1000)  # so many captions, each drawn once by the teacher
    draw: DrawConfig = DrawConfig()
    fresh: tuple[str, ...] = ("queries", "bridge")
    recompute: bool = False
    half: bool = False
    threads: int = 2
    device: str = "cpu"
    minutes: float = math.inf
    plan: PlanConfig = PlanConfig()


def train_teacher(config: TeacherConfig, resume: bool) -> int:
    if config.loop.parallel == "shard" or parallel.ranks().size > 1:
        raise ConfigError("Stage teacher makes a small stand-in on one process: start it without torchrun.")
    pipeline: Any = open_model(config.init)
    torch.manual_seed(config.loop.seed)
    renew(pipeline, ("bridge", "transformer"), config.transformer)
    # captions come in at the width that the connector will speak in
    width = pipeline.connector.config["caption_channels"]
    if config.text.width != width:
        raise ConfigError(f"text.width must be the connector's output width {width}, got {config.text.width}.")
    encoder, tokenizer = small_text_encoder(
        corpus(Random(0), 4000), config.text.width, config.text.layers, config.text.tokens
    )
    pipeline.to(config.device)
    encoder.to(config.device)
    teacher = Teacher(pipeline.transformer, encoder, tokenizer, tuple(pipeline.config.rope_scale), config.text.tokens)
    objective = TeachObjective(
        *(config.flow, teacher),
        *(stills(pipeline, config.examples, n, first, config.cache) for n, first in both(config.examples)),
    )
    freeze(pipeline, Generator(pipeline.connector, pipeline.transformer), ())
    objective.module.requires_grad_(True)
    code = learn_to_draw(objective, config.loop, config, resume)
    if code == 0:
        put_average(objective.module, config.out)
        encoder.save_pretrained(str(config.out / "text_encoder"))
        tokenizer.save_pretrained(str(config.out / "tokenizer"))
        save(pipeline, config.out / "model")
    return code


def train_distil(config: DistilConfig, resume: bool) -> int:
    ranks, pipeline = parallel.ranks(), begin(config)
    module = Generator(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, ("queries", "bridge"), config.half)
    pipeline.vae.to("cpu")  # nothing is decoded here
    for part in (pipeline.vision_language, pipeline.connector, pipeline.transformer):
        part.to(config.device)
    teacher = open_teacher(config.init, pipeline, torch.bfloat16 if config.half else torch.float32)
    teacher.text_encoder.to(config.device)
    with ranks.main_first():
        objective = new_objective(config, pipeline, module, teacher)
    code = learn_to_draw(objective, config.loop, config, resume)
    if code == 0 and ranks.main:
        if config.loop.parallel == "shard":
            pipeline = begin(config)  # the one that was trained is in pieces
        log.info("model: %s", leave_model(pipeline, Generator(pipeline.connector, pipeline.transformer), config.out))
    ranks.wait()
    return code


def begin(config: DistilConfig) -> Any:
    """The teacher's transformer, the reader, and queries and connector that nobody has taught."""
    pipeline: Any = open_model(config.init)
    torch.manual_seed(config.loop.seed)
    renew(pipeline, config.fresh, Sizes())
    return pipeline


def new_objective(config: DistilConfig, pipeline: Any, module: Generator, teacher: Teacher) -> DistilObjective:
    if config.recompute:
        pipeline.vision_language.train()  # transformers recomputes in training only; there is no dropout in it
        pipeline.vision_language.gradient_checkpointing_enable({"use_reentrant": False})
    learnt, held = captions_of(pipeline, config)
    shape = image_shape(pipeline)
    return DistilObjective(
        *(config.flow, module, teacher, (pipeline.vision_language, pipeline.processor), pipeline.dialect.draw),
        *(
            drawn(teacher, said, first, shape, config.draw, config.cache)
            for said, first in ((learnt, 0), (held, HELD_OUT))
        ),
    )


def image_shape(pipeline: Any) -> tuple[int, int, int, int]:
    """(C, 1, h, w) of an image: of the clip's own size where that is small, else 512 x 512, LTX's 256 tokens."""
    ratio = pipeline.vae.spatial_compression_ratio
    small = pipeline.config.width * pipeline.config.height <= 512 * 512
    height, width = (pipeline.config.height, pipeline.config.width) if small else (512, 512)
    return pipeline.vae.config.latent_channels, 1, height // ratio, width // ratio


def captions_of(pipeline: Any, config: DistilConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is learnt from, and what is held out."""
    if config.captions is None:
        learnt, held = (
            captions(pipeline, config.examples, range(first, first + count)) for count, first in both(config.examples)
        )
        return learnt, held
    lines = [line.strip() for line in config.captions.read_text(encoding="utf-8").splitlines() if line.strip()]
    count = config.examples.images
    wanted = count + config.examples.held_out
    if len(lines) < wanted:
        raise ConfigError(
            f"{config.captions} has {len(lines)} captions, examples.images and held_out ask for {wanted}."
        )
    return tuple(lines[:count]), tuple(lines[count:wanted])


def both(config: ExampleConfig) -> tuple[tuple[int, int], tuple[int, int]]:
    return (config.images, 0), (config.held_out, HELD_OUT)


def stills(pipeline: Any, config: ExampleConfig, count: int, first: int, folder: Path) -> Pictures:
    """Described stills, encoded once; one whose file cannot be read is left out."""
    rows = made_from(pipeline, config, "image", first == HELD_OUT, count)
    scale = [t.tolist() for t in (pipeline.vae.latents_mean, pipeline.vae.latents_std)]
    path = folder / f"{key_of('stills', pipeline.vae.encoder, asdict(config), [count, first, scale, rows])}.safetensors"
    if not path.is_file():
        latents, numbers = [], []
        for some in readable(pipeline, config, "image", first, count):
            latents.append(encode_clips(pipeline.vae, np.stack([e.frames for _, e in some])).bfloat16().cpu())
            numbers += [number for number, _ in some]
        if not numbers:
            raise nothing_readable(config, "image", count)
        keep(path, {"latents": torch.cat(latents), "numbers": torch.tensor(numbers)})
    found = load_file(path)
    return Pictures(found["latents"], captions(pipeline, config, found["numbers"].tolist()))


def drawn(
    teacher: Teacher, said: tuple[str, ...], first: int, shape: tuple[int, ...], config: DrawConfig, folder: Path
) -> Pictures:
    """What the teacher draws for the captions `said`, each with noise of its own number from `first` on; made once."""
    modules = Taught(teacher.text_encoder, teacher.transformer)
    read = hashlib.sha256(teacher.tokens(("", *said))["input_ids"].numpy().tobytes()).hexdigest()
    path = folder / f"{key_of('drawn', modules, asdict(config), [read, first, shape, teacher.rope_scale])}.safetensors"
    device, rows = teacher.text_encoder.device, []
    if not path.is_file():
        for start in range(0, len(said), AT_ONCE):
            generator = torch.Generator(device).manual_seed(first + start)
            with torch.autocast(device.type, torch.bfloat16):
                made = teacher.draw(said[start : start + AT_ONCE], shape, config, generator)
            rows.append(made.bfloat16().cpu())
            log.info("the teacher has drawn %d of %d", min(start + AT_ONCE, len(said)), len(said))
        keep(path, {"latents": torch.cat(rows)})
    return Pictures(load_file(path)["latents"], said)


def keep(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part)
    os.replace(part, path)


def key_of(kind: str, module: torch.nn.Module, settings: dict[str, Any], asked: Any) -> str:
    """A name that tells everything that latents were made with, so that others are never found under it."""
    digest = hashlib.sha256(json.dumps([settings, asked], sort_keys=True).encode())
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return f"{kind}-{digest.hexdigest()[:16]}"
