"""LTX-Video 0.9.0 as one file, as it was first published and as ComfyUI keeps it: other names for the same weights.

The names are those that diffusers' converter reads (`convert_ltx_*_checkpoint_to_diffusers`), the other way round. What
the file holds is taken from a folder in diffusers' layout.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

TRANSFORMER = (("proj_in", "patchify_proj"), ("time_embed", "adaln_single"), ("norm_q", "q_norm"), ("norm_k", "k_norm"))
# the deepest name first: "decoder.up_blocks.1" is a part of "decoder.up_blocks.1.upsamplers.0"
VAE = (
    *(
        ("decoder.up_blocks.3.upsamplers.0", "decoder.up_blocks.8"),
        ("decoder.up_blocks.3.conv_in", "decoder.up_blocks.7"),
    ),
    *(
        ("decoder.up_blocks.2.upsamplers.0", "decoder.up_blocks.5"),
        ("decoder.up_blocks.2.conv_in", "decoder.up_blocks.4"),
    ),
    *(("decoder.up_blocks.1.upsamplers.0", "decoder.up_blocks.2"), ("decoder.up_blocks.3", "decoder.up_blocks.9")),
    *(("decoder.up_blocks.2", "decoder.up_blocks.6"), ("decoder.up_blocks.1", "decoder.up_blocks.3")),
    *(("decoder.up_blocks.0", "decoder.up_blocks.1"), ("decoder.mid_block", "decoder.up_blocks.0")),
    *(
        ("encoder.down_blocks.0.downsamplers.0", "encoder.down_blocks.1"),
        ("encoder.mid_block", "encoder.down_blocks.9"),
    ),
    *(("encoder.down_blocks.0.conv_out", "encoder.down_blocks.2"), ("encoder.down_blocks.3", "encoder.down_blocks.8")),
    *(("encoder.down_blocks.1.downsamplers.0", "encoder.down_blocks.4"),),
    *(("encoder.down_blocks.1.conv_out", "encoder.down_blocks.5"), ("encoder.down_blocks.1", "encoder.down_blocks.3")),
    *(("encoder.down_blocks.2.downsamplers.0", "encoder.down_blocks.7"),),
    *(("encoder.down_blocks.2", "encoder.down_blocks.6"),),
)
INSIDE = (
    *(("conv_shortcut.conv", "conv_shortcut"), ("resnets", "res_blocks"), ("norm3", "norm3.norm")),
    *(("latents_mean", "per_channel_statistics.mean-of-means"), ("latents_std", "per_channel_statistics.std-of-means")),
)


def write_original(path: Path, folder: Path, prefix: str = "model.diffusion_model.") -> Path:
    """One file with the transformer under `prefix` and the autoencoder under "vae."."""
    state: dict[str, Tensor] = {}
    for shard in sorted((folder / "transformer").glob("*.safetensors")):
        for name, value in load_file(shard).items():
            for new, old in TRANSFORMER:
                name = name.replace(new, old)
            state[prefix + name] = value
    for shard in sorted((folder / "vae").glob("*.safetensors")):
        for name, value in load_file(shard).items():
            state["vae." + original(name)] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, path)
    return path


def original(name: str) -> str:
    for new, old in VAE:
        if name.startswith(f"{new}."):
            name = old + name[len(new) :]
            break
    for new, old in INSIDE:
        name = name.replace(new, old)
    return name
