"""The sizes of the model that a config begins with, read from the small JSON files of its folder; no weights.

A stage often begins where another one ends, and that has not been run yet when a plan is made. So where `init` holds no
model, the config beside this one whose `out` it is is asked what that stage begins with.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from nsp_core.errors import ConfigError
from training.distil.teacher import TEXT_TOKENS
from training.models import ROOT
from training.picturebook.words import vocabulary
from training.plan.sizes import PAPER, T5_XXL, Bridge, Drawer, Language, Parts, TextEncoder, Tower
from training.pretrain.stage import TABLE


def parts_of(stage: str, configs: dict[str, Any]) -> Parts:
    """Of stage `stage`; `configs` are those of its folder by stage. Raises ConfigError where no sizes can be found."""
    return PAPER if configs[stage].plan.parts == "paper" else from_init(stage, configs, ())


def from_init(stage: str, configs: dict[str, Any], asked: tuple[str, ...]) -> Parts:
    config = configs[stage]
    for folder in (config.init, config.init / "model", ROOT / config.init):
        if (folder / "model_index.json").is_file():
            return renewed(read(folder), stage, config)
    before = next((name for name, c in configs.items() if c.out == config.init and name not in (*asked, stage)), None)
    if before is None:
        raise ConfigError(
            f"There is no model in {config.init}, and no config beside that of {stage} which leaves one there: "
            "give init=MODEL_OR_RUN, or plan.parts=paper."
        )
    return renewed(from_init(before, configs, (*asked, stage)), stage, config)


def renewed(parts: Parts, stage: str, config: Any) -> Parts:
    """With the newborn transformer that the stage puts into it, if it does."""
    if stage in TABLE:
        fresh = TABLE[stage].fresh if config.fresh is None else config.fresh
    else:
        fresh = ("transformer",) if stage == "teacher" else ()
    if "transformer" not in fresh:
        return parts
    size = config.transformer
    return replace(parts, drawer=replace(parts.drawer, width=size.width, layers=size.layers, heads=size.heads))


def read(folder: Path) -> Parts:
    def values(part: str, name: str = "config.json") -> dict[str, Any]:
        found = json.loads((folder / part / name).read_text())
        assert isinstance(found, dict)
        return found

    index, t, c, v = values("", "model_index.json"), values("transformer"), values("connector"), values("vae")
    reader = values("vision_language")
    text, vision = reader["text_config"], reader["vision_config"]
    kv = text["hidden_size"] // text["num_attention_heads"] * text["num_key_value_heads"]
    patch, merge = vision["patch_size"], vision["spatial_merge_size"]
    height, width = index["height"], index["width"]
    halved = sum(v["spatio_temporal_scaling"])
    return Parts(
        Drawer(
            t["num_attention_heads"] * t["attention_head_dim"],
            *(t["num_layers"], t["num_attention_heads"], t["in_channels"], t["caption_channels"]),
        ),
        Language(
            *(text["hidden_size"], text["num_hidden_layers"], text["intermediate_size"], kv, text["vocab_size"]),
            head=not reader.get("tie_word_embeddings", False),
        ),
        Tower(
            *(vision["hidden_size"], vision["depth"], vision["intermediate_size"]),
            *(vision["temporal_patch_size"] * 3 * patch**2, merge, vision["out_hidden_size"]),
        ),
        Bridge(c["num_queries"], c["hidden"], c["caption_channels"]),
        {k: v[k] for k in v if not k.startswith("_")},
        (index["num_frames"], height, width),
        (height, width),
        (v["patch_size_t"] * 2**halved, v["patch_size"] * 2**halved),
        (height // patch) * (width // patch),  # two pictures are one layer of patches
    )


def text_of(stage: str, configs: dict[str, Any]) -> TextEncoder:
    """The teacher's T5: published, in the folder that stage distil begins with, or made by a config beside it."""
    config = configs[stage]
    if config.plan.parts == "paper":
        return T5_XXL
    told = config.init / "text_encoder" / "config.json"
    if stage == "distil" and told.is_file():
        c = json.loads(told.read_text())
        sizes = (c["d_model"], c["num_layers"], c["d_ff"], c["num_heads"], c["d_kv"], c["vocab_size"])
        return TextEncoder(*sizes)
    if "teacher" not in configs:
        raise ConfigError(f"{config.init} has no text_encoder/, and no config of stage teacher is beside this one.")
    size = configs["teacher"].text
    return TextEncoder(size.width, size.layers, size.width, 2, size.width // 2, len(vocabulary()))


def text_tokens(stage: str, configs: dict[str, Any]) -> int:
    """To how many tokens the teacher of stage distil pads a caption: as `open_teacher` finds it, or will find it."""
    config = configs[stage]
    told = config.init / "tokenizer" / "tokenizer_config.json"
    if config.plan.parts == "paper":
        return TEXT_TOKENS
    if told.is_file():
        return int(min(TEXT_TOKENS, json.loads(told.read_text()).get("model_max_length", TEXT_TOKENS)))
    return int(min(TEXT_TOKENS, configs["teacher"].text.tokens))
