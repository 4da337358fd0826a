"""Stage latents: clips through a model's autoencoder, kept beside them (bfloat16) at that model's size and rate.

What a clip is longer than the model's is left out: the first frames are kept, as training does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from nsp_core.media import read_media, to_model_frames
from nsp_core.media.write import whole_file
from training.data.caption import ALL
from training.data.config import DataConfig
from training.data.engine import Stage
from training.data.rows import Outcome, Row, digest

VERSION = 1


def encode(rows: Sequence[Row], model: Path, folder: Path) -> list[Outcome]:
    import numpy as np
    from safetensors.torch import save_file

    from training.data.starter import model as opened_model
    from training.generator import encode_clips, stamp

    pipeline = opened_model(str(model))
    c, weights = pipeline.config, stamp(pipeline.vae, pipeline.vision_language, pipeline.connector.queries)
    found = []
    for row in rows:
        relative = Path("latents") / weights[:12] / row.id[:2] / f"{row.id}.safetensors"
        if not (folder / relative).is_file():
            clip = read_media(folder / str(row.values["file"]), fps=c.fps, side=2 * max(c.width, c.height))
            count = 1 if row.values["kind"] == "image" else c.num_frames
            frames = to_model_frames(clip, c.width, c.height, count, c.fps, part="first")
            made = encode_clips(pipeline.vae, np.stack([frames]))[0].bfloat16().contiguous()
            with whole_file(folder / relative) as partial_file:
                save_file({"latents": made}, partial_file, {"vae": weights, "normalised": "true"})
        found.append(Outcome(values={"latents": relative.as_posix(), "vae": weights}))
    return found


def stage(config: DataConfig, folder: Path) -> Stage:
    model = config.latents.model
    assert model is not None
    weights = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(model.rglob("*.safetensors"))]
    return Stage(
        "latents",
        "clip",
        partial(encode, model=model, folder=folder),
        digest("latents", VERSION, str(model), weights),
        cpus=ALL,
        batch_size=8,
        timeout=config.run.timeout,
    )
