"""Where stage distil begins with published weights: python -m training.distil.assemble --reader F --drawer F --out F

`--reader`: a folder of Qwen2.5-VL as it lies on the hub; `--drawer`: one of LTX-Video in diffusers' layout, with its
transformer/, vae/, text_encoder/ and tokenizer/. Written to --out: model/ (both, with queries and a connector that
nobody has taught) and text_encoder/, tokenizer/ beside it. Nothing is downloaded; about 32 GB are written.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import torch

from nsp_core.errors import ConfigError, UserError
from training.export import save

log = logging.getLogger(__name__)

# 65 frames of 832 x 480 at 16 a second (the paper's clips); of LTX 0.9.0 latents are 8 frames and 32 pixels apart
CLIP = {"width": 832, "height": 480, "num_frames": 65, "fps": 16, "rope_scale": (8 / 16, 32.0, 32.0)}
# e^1.84: LTX's own shift at the 3,510 tokens of such a clip
SAMPLING = {mode: {"steps": 50, "guidance": 3.0, "shift": 6.3} for mode in ("continue", "cut")}
QUERIES = 256
SCALE = 0.01  # the paper's, where a connector meets a pretrained LTX


def assemble(
    reader: Path, drawer: Path, out: Path, *, queries: int = QUERIES, clip: dict[str, Any] | None = None
) -> None:
    """Raises ConfigError naming what a folder lacks."""
    from diffusers import AutoencoderKLLTXVideo, FlowMatchEulerDiscreteScheduler, LTXVideoTransformer3DModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    from nsp_core.model.connector import Connector
    from nsp_core.model.processor import load_processor
    from nsp_core.pipeline import NextScenePipeline

    for folder, wanted in ((reader, ["config.json"]), (drawer, ["transformer", "vae", "text_encoder", "tokenizer"])):
        missing = [name for name in wanted if not (folder / name).exists()]
        if missing:
            raise ConfigError(f"{folder} lacks {', '.join(missing)}: give the whole folder as it lies on the hub.")
    half = torch.bfloat16
    language: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(str(reader), dtype=half)
    transformer: Any = LTXVideoTransformer3DModel.from_pretrained(str(drawer / "transformer"), torch_dtype=half)
    vae: Any = AutoencoderKLLTXVideo.from_pretrained(str(drawer / "vae"), torch_dtype=half)
    width = language.config.text_config.hidden_size
    pipeline = NextScenePipeline(
        vision_language=language,
        processor=load_processor(reader),
        connector=Connector(queries, width, transformer.config.caption_channels, SCALE).to(half),
        transformer=transformer,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        dialect="paper",
        sampling=SAMPLING,
        **(clip or CLIP),
    )
    out.mkdir(parents=True, exist_ok=True)
    save(pipeline, out / "model")
    for name in ("text_encoder", "tokenizer"):
        shutil.copytree(drawer / name, out / name, dirs_exist_ok=True)
    log.info("%s holds a model and its teacher: begin with init=%s", out, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.distil.assemble", description=__doc__.splitlines()[0])
    for name in ("reader", "drawer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        assemble(args.reader.expanduser(), args.drawer.expanduser(), args.out.expanduser())
    except UserError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
