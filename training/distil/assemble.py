"""Where stage distil begins with published weights: python -m training.distil.assemble --reader F --drawer F --out F

`--reader`: a folder of Qwen2.5-VL as it lies on the hub; `--drawer`: one of LTX-Video in diffusers' layout, with its
transformer/, vae/, text_encoder/ and tokenizer/. Written to --out: model/ (both, with queries and a connector that
nobody has taught) and text_encoder/, tokenizer/ beside it. Nothing is downloaded; about 32 GB are written.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

import torch

from nsp_core.errors import CheckpointMismatch, ConfigError, UserError
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
    """Raises ConfigError or CheckpointMismatch naming what a folder lacks."""
    from nsp_core.banks import ltx, reading
    from nsp_core.model import build
    from nsp_core.model.connector import Connector
    from nsp_core.pipeline import NextScenePipeline

    if not (reader / "config.json").is_file():
        raise ConfigError(f"{reader} has no config.json: give the whole folder as it lies on the hub.")
    half = torch.bfloat16
    language: Any = reading.load_model(reader, half)
    parts = ltx.load(drawer, half, words=True)
    channels = parts["transformer"].config.caption_channels
    pipeline = NextScenePipeline(
        vision_language=language,
        processor=build.reader(reading.family_of(reader)).load_processor(reader),
        connector=Connector(queries, language.config.text_config.hidden_size, channels, SCALE),
        transformer=parts["transformer"],
        vae=parts["vae"],
        scheduler=parts["scheduler"],
        dialect="paper",
        sampling=SAMPLING,
        **(clip or CLIP),
    )
    out.mkdir(parents=True, exist_ok=True)
    parts["text_encoder"].save_pretrained(str(out / "text_encoder"))
    parts["tokenizer"].save_pretrained(str(out / "tokenizer"))
    save(pipeline, out / "model")
    log.info("%s holds a model and its teacher: begin with init=%s", out, out)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.distil.assemble", description=__doc__.splitlines()[0])
    for name in ("reader", "drawer", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        assemble(args.reader.expanduser(), args.drawer.expanduser(), args.out.expanduser())
    except (UserError, CheckpointMismatch) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
