"""The published models' classes through the command line: a bank.json and a picture in, scenes and a reel out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.checkup import machine
from app.predict import main
from app.predictors import check
from app.settings import Settings
from app.tier_choice import chosen
from nsp_core.banks import file
from nsp_core.hardware import Device, Hardware
from nsp_core.media import probe_clip
from nsp_core.model.writing import Written
from nsp_core.tiers import GB
from tests import hub_layout


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a person has it who downloaded both models: bank.json beside them."""
    root = tmp_path_factory.mktemp("bank")
    hub_layout.write_qwen(root / "Qwen2.5-VL-3B-Instruct")
    hub_layout.write_ltx(root / "LTX-Video")
    small = {"width": 96, "height": 64, "frames": 17, "steps": 2, "dtype": "float32"}
    hub_layout.write_json(root / "bank.json", {"reader": "Qwen2.5-VL-3B-Instruct", "drawer": "LTX-Video", **small})
    return root


def test_a_picture_is_continued_by_the_models_of_a_bank(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter(["A glass stands on the table.", "The glass falls.", "It cracks."])

    def write(*_: Any, **__: Any) -> Iterator[Written]:  # a random reader's words would be none
        yield Written(f'{next(said)}"}}', True, -0.1)

    monkeypatch.setattr("nsp_core.banks.pipeline.write", write)
    Image.fromarray(np.full((120, 200, 3), (200, 60, 40), np.uint8)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    asked = [str(tmp_path / "photo.png"), "--model", str(bank), "--out", str(out), "--scenes", "2", "--json"]
    assert main(asked) == 0
    told = capsys.readouterr().out
    answer = json.loads(told.splitlines()[-1])
    assert answer["story"] == "A glass stands on the table."
    assert [scene["words"] for scene in answer["scenes"]] == ["The glass falls.", "It cracks."]
    assert answer["how"].startswith("cascade: ") and answer["how"] in told.splitlines()[-3]
    clip = probe_clip(answer["scenes"][0]["clip"])
    assert (clip.format.width, clip.format.height, clip.frames, clip.format.fps) == (384, 256, 17, 16)
    assert np.asarray(Image.open(out / "scene-01.png")).shape == (64, 96, 3)


def test_a_bank_that_is_not_whole_is_refused_before_anything_is_loaded(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "bank.json"
    hub_layout.write_json(broken, {"reader": str(bank / "Qwen2.5-VL-3B-Instruct"), "drawer": "LTX-Video"})
    assert main(["It rains.", "--model", str(broken), "--out", str(tmp_path / "out")]) == 2
    assert "names" in (said := capsys.readouterr().err) and "as its drawer, but it is not there" in said


def machine_with(gigabytes: float, *cards: float) -> Hardware:
    found = [Device("cuda", "a card", int(size * GB), int(size * GB)) for size in cards]
    return Hardware((*found, Device("cpu", "a processor", int(gigabytes * GB), GB)), 2, "Linux x86_64")


def test_a_bank_that_cannot_fit_is_refused_before_anything_is_loaded(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the sizes of its own files, not by those of the published models."""
    monkeypatch.setattr("nsp_core.banks.load.load", lambda *_: pytest.fail("it does not fit"))
    large = json.loads((bank / "bank.json").read_text()) | {"width": 832, "height": 480, "frames": 65}
    large |= {name: str(bank / large[name]) for name in ("reader", "drawer")}
    hub_layout.write_json(tmp_path / "bank.json", large)
    asked = ["It rains.", "--model", str(tmp_path / "bank.json"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine_with(4))
    assert main(asked) == 2
    assert "bank.json needs 10.0 GB of memory on the processor, and there are 4.0: choose" in capsys.readouterr().err
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine_with(64, 9))
    assert main(asked) == 2
    assert "needs 10.0 GB on the graphics card, and a card has 9.0: choose gpu-8" in capsys.readouterr().err
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine_with(64, 11))
    check(str(tmp_path / "bank.json"))
    check(str(bank))


def test_parts_are_as_large_as_what_is_loaded_of_them(bank: Path) -> None:
    from diffusers import LTXVideoTransformer3DModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    spec = file.read(bank / "bank.json")
    found = file.sizes(spec)
    drawer = LTXVideoTransformer3DModel.from_pretrained(bank / "LTX-Video" / "transformer")
    reader = Qwen2_5_VLForConditionalGeneration.from_pretrained(bank / "Qwen2.5-VL-3B-Instruct")
    assert found.transformer * GB == pytest.approx(4 * drawer.num_parameters())
    assert found.reader * GB == pytest.approx(4 * reader.num_parameters(), rel=0.15), "or with a head of its own"
    assert found.text > 0 and file.sizes(replace(spec, four_bits=True)).reader < file.sizes(spec).reader
    assert file.sizes(replace(spec, mode="unified")).text == 0
    assert file.sizes(replace(spec, dtype="bfloat16")).transformer * 2 == found.transformer


def test_a_bank_draws_where_there_is_a_card(bank: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, model=str(bank / "bank.json"))
    assert chosen(settings, look=lambda: machine_with(64, 11)).device == "cuda"
    assert chosen(settings, look=lambda: machine_with(64)).device == "cpu"


def test_the_doctor_looks_at_all_folders_of_a_bank(bank: Path, tmp_path: Path) -> None:
    settings = Settings.from_environment({"WHATNEXT_MODEL": str(bank)}, data_dir=tmp_path)
    assert settings.model == str(bank / "bank.json")
    assert machine.model(settings).level == "fine"
    file = next((bank / "LTX-Video" / "vae").glob("*.safetensors"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    found = machine.model(settings)
    file.write_bytes(whole)
    assert found.level == "wrong" and found.details == ("vae/diffusion_pytorch_model.safetensors",)
