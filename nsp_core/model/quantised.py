"""Qwen-VL and T5 in four bits: how they are asked for, which layers stay as they are, and what it costs in precision.

The connector was trained on the bfloat16 reader's states, so the error that counts is not that of a weight but of the
states at the queries, and of what the connector makes of them for the drawer. Knows nothing of drawing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nsp_core.model.connector import Connector
from nsp_core.model.spec import BankSpec, FourBitError
from nsp_core.model.vision_language import query_states
from nsp_core.prompts import PAPER_INSTRUCTION

# Names count in full: "visual" alone is not found, and the tower would be quantised with the rest (its attention adds a
# bias in place, which breaks training, too); without "lm_head" the head would be. T5 keeps its "wo" by itself.
KEPT = ("model.visual", "lm_head", "shared")

# What the paper's page shows (arXiv 2512.13015, project page)
SCENES = (
    "A glass sitting near the edge of the table begins to wobble.",
    "A frozen river begins to crack as the temperature rises.",
    "Leaves are gently falling from the trees in autumn wind.",
    "Dark clouds begin to gather over the forest.",
)


def quantisation(spec: BankSpec, device: torch.device | str | None = None) -> dict[str, Any]:
    """What `from_pretrained` of a transformers model has to be told for `spec`: nothing without `four_bits`."""
    return nf4(getattr(torch, spec.dtype), device) if spec.four_bits else {}


def nf4(dtype: torch.dtype, device: torch.device | str | None = None) -> dict[str, Any]:
    """Four bits that compute in `dtype`.

    NF4 with the scales quantised once more (QLoRA, arXiv 2305.14314): .53 bytes a parameter. transformers places such
    a model by itself, so the device belongs to it; None: a graphics card where there is one.
    """
    from transformers import BitsAndBytesConfig

    place = device or ("cuda" if torch.cuda.is_available() else "cpu")
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(KEPT),
    )
    return {"quantization_config": config, "device_map": {"": torch.device(place)}}


def compare(full: Tensor, small: Tensor, connector: Connector, *, trained: bool = True) -> FourBitError:
    """`full` and `small` (N, Q, D): the states at the queries of N scenes, as both readers give them."""
    weight = connector.input.weight
    with torch.no_grad():
        made = [connector(states.to(weight.device, weight.dtype)).float() for states in (full, small)]
    return FourBitError(
        *_apart(full.float(), small.float()),
        *_apart(made[0], made[1]),
        scenes=len(full),
        trained=trained,
    )


def measure(
    load: Callable[[bool], Any],
    tokenizer: Any,
    connector: Connector | None = None,
    scenes: Sequence[str] = SCENES,
    *,
    queries: int = 256,
    captions: int = 4096,
) -> FourBitError:
    """Ask the reader in bfloat16 and in four bits about the same scenes. `load(four_bits)` gives one of them; never are
    both in memory. Without a connector a newborn one of `queries` and `captions` stands in, and is said to."""
    trained = connector is not None
    states = []
    for four_bits in (False, True):
        model = load(four_bits)
        if connector is None:
            torch.manual_seed(0)
            connector = Connector(queries, model.config.get_text_config().hidden_size, captions)
        states.append(torch.stack([_states(model, tokenizer, connector, scene) for scene in scenes]))
        del model
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    assert connector is not None
    return compare(states[0], states[1], connector, trained=trained)


def measure_folder(folder: Path, connector: Path | None = None) -> FourBitError:
    """`measure` of a reader's folder in hub layout, on the graphics card when the bfloat16 one fits there. A connector
    that was made for a reader of another width is left out."""
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer

    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    roomy = torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > 1.2 * size
    device = torch.device("cuda" if roomy else "cpu")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def load(four_bits: bool) -> Any:
        how = nf4(torch.bfloat16, device) if four_bits else {}
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=torch.bfloat16, use_safetensors=True, local_files_only=True, trust_remote_code=False, **how
        )
        return model.eval() if four_bits else model.eval().to(device)

    bridge = Connector.from_pretrained(str(connector), local_files_only=True) if connector else None
    width = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().hidden_size
    if bridge is not None and bridge.config.hidden != width:
        bridge = None
    return measure(load, tokenizer, bridge)


@torch.no_grad()
def _states(model: Any, tokenizer: Any, connector: Connector, scene: str) -> Tensor:
    """(Q, D) in float32 on the processor."""
    text = PAPER_INSTRUCTION.format(scene=scene)
    if tokenizer.chat_template:
        messages = [{"role": "user", "content": text}]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = {k: v.to(model.device) for k, v in tokenizer([text], return_tensors="pt").items() if k != "token_type_ids"}
    found, _ = query_states(model, inputs, connector.queries.detach().to(model.device))
    return found[0].float().cpu()


def _apart(full: Tensor, small: Tensor) -> tuple[float, float]:
    cosine = torch.nn.functional.cosine_similarity(full, small, dim=-1).mean()
    return float((small - full).norm() / full.norm()), float(cosine)
