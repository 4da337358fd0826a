"""Put the parts together: run folders of the three stages -> one model folder in hub layout, bf16 safetensors.

python -m training.export OUT --vae RUN --reader RUN --generator RUN

Written aside and renamed: a half-written folder never looks whole.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file

from nsp_core.language import Language
from nsp_core.model import build
from nsp_core.pipeline import NextScenePipeline
from training.flow_matching import Generator
from training.generator import GeneratorConfig
from training.picturebook import wishes, wordings
from training.picturebook.readings import STOP_WORDS
from training.picturebook.scenes import story
from training.picturebook.words import LANGUAGE_VERSION, describe, instructions, tell, vocabulary
from training.stages import from_run, load_reader, load_vae, put_average

IN_WORLD_GAIN = 6.5  # in dB, see NextScenePipeline.fidelity: the world's renders lie well above, photographs well below
DOUBT = 0.0  # in log-odds: ideas in which the reader believes less are not told (nsp_core.opinion)
SHARPEN = 0.55  # nsp_core.sharpen: PSNR as without it (27.2 dB), sharpness .71 of the drawing instead of .45


def assemble(vae_run: Path, reader_run: Path, generator_run: Path | None) -> NextScenePipeline:
    """The pipeline of averaged weights, rounded to bf16 and held in fp32 for the CPU. Without a generator: random."""
    vae = load_vae(vae_run)
    reader_config, processor, reader = load_reader(reader_run)
    scale, reference = None, "repeat_last"
    if generator_run is None:
        transformer: Any = build.transformer(condition=reader_config.caption_channels)
    else:
        config = from_run(GeneratorConfig, generator_run)
        transformer = build.transformer(
            config.width, config.layers, config.heads, condition=reader_config.caption_channels
        )
        queries = reader.connector.queries.clone()
        put_average(Generator(reader.connector, transformer), generator_run)
        # the reader's own: a generator knows only their states, and a reader that went on learning has moved them
        reader.connector.queries.copy_(queries)
        reference = "repeat_tail" if config.flow.shows_tail else "repeat_last"
        scale = load_file(generator_run / "residual_scale.safetensors")["residual_scale"].tolist()
    pipeline = NextScenePipeline(
        vision_language=reader.model,
        processor=processor,
        connector=reader.connector,
        transformer=transformer,
        vae=vae,
        scheduler=build.scheduler(),
        reference=reference,
        residual_scale=scale,
        in_world_gain=IN_WORLD_GAIN,
        sharpen=SHARPEN,
        doubt=DOUBT,
    )
    pipeline.language = starter_language()
    return pipeline


def starter_language() -> Language:
    """Every word that the reader was taught, words that may be left out, and examples of what can be said."""
    rng = Random(3)
    examples = []
    for _ in range(4):
        one = story(rng, 3)
        examples += [describe(one.worlds[0]), tell(one.events[0], one.worlds[0]), instructions(one.events[1])[0] + "."]
    words = frozenset(w.lower() for w in vocabulary()) | wordings.words() | wishes.words()
    return Language(words, tuple(examples), LANGUAGE_VERSION, frozenset(STOP_WORDS - words))


def save(pipeline: NextScenePipeline, out: Path) -> None:
    part = out.with_name(f".{out.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    pipeline.to(torch.bfloat16).save_pretrained(part, safe_serialization=True)
    shutil.rmtree(out, ignore_errors=True)
    os.replace(part, out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    for name in ("vae", "reader", "generator"):
        parser.add_argument(f"--{name}", type=Path, default=Path.home() / ".cache/whatnext/training" / name)
    args = parser.parse_args()
    save(assemble(args.vae, args.reader, args.generator if (args.generator / "run.json").exists() else None), args.out)
