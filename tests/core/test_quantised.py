"""Four bits on the real classes at test size: what is quantised, what is not, and what it costs at the queries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nsp_core.model import build
from nsp_core.model.connector import Connector
from nsp_core.model.quantised import SCENES, compare, measure, measure_folder, quantisation
from nsp_core.model.spec import BankSpec, HubModel

SOMEWHERE = HubModel("owner/name", "main", ("*.json",))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2.5-VL in hub layout."""
    torch.manual_seed(0)
    where = tmp_path_factory.mktemp("reader")
    tokenizer = build.tokenizer([*SCENES] * 4, 400)
    build.vision_language(tokenizer, hidden=64, layers=2, vision_hidden=64, vision_layers=1).to(
        torch.bfloat16
    ).save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where


def load(folder: Path, four_bits: bool, dtype: Any = torch.bfloat16) -> Any:
    from transformers import AutoModelForImageTextToText

    how = quantisation(BankSpec("cascade", SOMEWHERE, SOMEWHERE, four_bits=four_bits), "cpu")
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, local_files_only=True, **how)


def in_four_bits(model: torch.nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}


def test_without_four_bits_nothing_is_said() -> None:
    assert quantisation(BankSpec("cascade", SOMEWHERE, SOMEWHERE)) == {}


def test_the_tower_and_the_head_stay_as_they_are(folder: Path) -> None:
    small = load(folder, True)
    names = in_four_bits(small)
    linear = {name for name, one in load(folder, False).named_modules() if isinstance(one, torch.nn.Linear)}
    assert names == {name for name in linear if ".language_model." in name} and names
    assert small.lm_head.weight.dtype == torch.bfloat16
    assert not [name for name in names if "visual" in name or "lm_head" in name]


def test_t5_in_four_bits_still_reads(tmp_path: Path) -> None:
    from transformers import T5Config, T5EncoderModel

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=64, d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu"
    )
    full = T5EncoderModel(config).to(torch.bfloat16).eval()
    full.save_pretrained(tmp_path)
    how = quantisation(BankSpec("cascade", SOMEWHERE, SOMEWHERE, four_bits=True), "cpu")
    small = T5EncoderModel.from_pretrained(tmp_path, dtype=torch.bfloat16, **how).eval()
    names = in_four_bits(small)
    assert len(names) == 2 * 6 and not [name for name in names if name.endswith(".wo")], "wo stays, see nsp_core.tiers"
    ids = torch.arange(10)[None]
    with torch.no_grad():
        a, b = (model(ids).last_hidden_state.float() for model in (full, small))
    assert b.isfinite().all() and 0 < float((a - b).norm() / a.norm()) < 0.5


def test_the_error_where_it_counts(folder: Path) -> None:
    connector = Connector(num_queries=8, hidden=64, caption_channels=32)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = measure(lambda four_bits: load(folder, four_bits), tokenizer, connector)
    assert found.scenes == len(SCENES) and found.trained
    assert 0.001 < found.at_queries < 0.5 and 0.001 < found.at_connector < 0.5
    assert found.cosine_at_queries > 0.9 and found.cosine_at_connector > 0.9
    same = measure(lambda _: load(folder, False), tokenizer, connector)
    assert same.at_queries == 0 and same.at_connector == 0


@pytest.mark.full  # from the hub on: tests/app/test_tier_end_to_end.py
def test_the_error_of_a_folder_without_a_connector(folder: Path) -> None:
    found = measure_folder(folder)
    assert not found.trained and 0 < found.at_queries < 0.5


def test_the_error_is_what_it_says() -> None:
    """Against a shift that is known: .1 of every state's length, across it."""
    connector = Connector(num_queries=2, hidden=4, caption_channels=4)
    full = torch.tensor([[[1.0, 0, 0, 0], [0, 2.0, 0, 0]]])
    small = torch.tensor([[[1.0, 0.1, 0, 0], [0.2, 2.0, 0, 0]]])
    found = compare(full, small, connector)
    assert found.at_queries == pytest.approx(0.1, abs=1e-6)
    assert found.cosine_at_queries == pytest.approx(1 / 1.01**0.5, abs=1e-6)
    with torch.no_grad():
        a, b = connector(full), connector(small)
    assert found.at_connector == pytest.approx(float((a - b).norm() / a.norm()), abs=1e-6)
