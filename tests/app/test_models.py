"""`launch.py models`: list, get, verify and remove, from end to end against a hub of our own."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from app.models import main as models
from app.models.line import Line, progress_words
from nsp_core.hardware import Device, Hardware
from nsp_core.tiers import GB, LTX_WITH_T5, QWEN_3B, QWEN_7B
from nsp_core.weights.fetch import Progress
from tests.hub_server import Hub, published, served


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    repos = (published(tmp_path_factory.mktemp("repo"), model) for model in (QWEN_7B, QWEN_3B, LTX_WITH_T5))
    with served(*repos) as running:
        yield running


@pytest.fixture(autouse=True)
def here(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    hub.sent.clear()
    return tmp_path / "hub"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert models.main([*arguments, "--json"]) == code
    said = capsys.readouterr()
    return json.loads(said.out.splitlines()[-1]) if said.out else {"said": said.err}


def machine(*cards: int) -> Hardware:
    found = [Device("cuda", "a card", size * GB, size * GB) for size in cards]
    return Hardware((*found, Device("cpu", "a processor", 64 * GB, 60 * GB)), 2, "Linux x86_64")


def test_from_nothing_to_whole_and_back(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    listed = run(capsys, "list")
    assert [one["status"] for one in listed["models"]] == ["absent"] * 3
    assert all(one["size"] is None and one["commit"] is None for one in listed["models"])
    got = run(capsys, "get", "gpu-16")
    assert [one["name"] for one in got["models"]] == [LTX_WITH_T5.repo, QWEN_7B.repo]
    assert got["bytes"] == hub.bytes == sum(one["size"] for one in got["models"])
    assert "pytorch_model.bin" not in hub.sent
    listed = run(capsys, "list", "qwen2.5-vl-7b-instruct")
    assert listed["models"][0]["status"] == "here" and listed["models"][0]["commit"] == QWEN_7B.revision
    assert run(capsys, "get", "gpu-24")["bytes"] == 0, "the same weights, in other bits"
    checked = run(capsys, "verify")
    assert checked["ok"] and [one["name"] for one in checked["models"]] == [LTX_WITH_T5.repo, QWEN_7B.repo]
    removed = run(capsys, "remove", QWEN_7B.repo)
    assert removed["removed"] == [QWEN_7B.repo] and removed["freed"] == got["models"][1]["size"]
    assert [one["status"] for one in run(capsys, "list")["models"]] == ["absent", "here", "absent"]


def test_verify_says_what_is_damaged_and_get_mends_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "get", QWEN_3B.repo)
    (weights,) = here.rglob("model.safetensors")
    data = weights.read_bytes()
    weights.resolve().write_bytes(data[:-1] + b"?")
    checked = run(capsys, "verify", code=1)
    assert not checked["ok"] and checked["models"][0]["damaged"] == ["model.safetensors"]
    assert run(capsys, "list", QWEN_3B.repo)["models"][0]["status"] == "part"
    run(capsys, "get", QWEN_3B.repo)
    assert weights.read_bytes() == data and run(capsys, "verify")["ok"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["get", "gpt-2"], 2, "There are no weights 'gpt-2'; there are Qwen/"),
        (["remove"], 2, "What to remove is missing"),
        (["get", "starter"], 2, "came with the program"),
        (["verify", QWEN_7B.repo], 1, "has not been downloaded"),
        (["paint"], 2, "invalid choice"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(capsys, *arguments, code=code)["said"]
    assert says in said and said.count("\n") == 1


def test_get_takes_what_suits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine())
    assert "the starter suits it best" in run(capsys, "get", code=2)["said"]
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine(9))
    assert [one["name"] for one in run(capsys, "get")["models"]] == [QWEN_3B.repo, LTX_WITH_T5.repo]


def test_progress_in_words() -> None:
    now = Progress("owner/name", "a.safetensors", 4_000_000_000, 16_000_000_000, 40e6, 300.0)
    assert progress_words(now) == "4.0 GB of 16.0 GB (25%), 40 MB a second, 5 min left: a.safetensors"
    stream, clock = io.StringIO(), iter(range(100))
    with Line(stream, clock=lambda: float(next(clock))) as line:
        for _ in range(40):
            line.show(now)
    assert 2 <= len(stream.getvalue().splitlines()) <= 8, "where nobody watches, a line now and then"


def test_what_four_bits_cost_is_kept_and_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nsp_core.model import quantised

    asked: list[Path] = []
    monkeypatch.setenv("WHATNEXT_CONNECTOR", str(here))

    def measured(folder: Path, connector: Path | None) -> quantised.FourBitError:
        assert connector == here.resolve()
        asked.append(folder)
        return quantised.FourBitError(0.081, 0.9967, 0.052, 0.9986, 4, trained=False)

    monkeypatch.setattr(quantised, "measure_folder", measured)
    run(capsys, "get", "gpu-8")
    assert run(capsys, "verify")["models"][0]["four_bits"] is None and not asked
    assert models.main(["verify", "--four-bits"]) == 0
    assert "by 8.1% at the queries (cosine 0.9967) and by 5.2% at the output of the" in capsys.readouterr().out
    assert len(asked) == 1 and asked[0].is_relative_to(here), "only the reader is measured"
    shown = run(capsys, "verify")["models"]
    assert shown[0]["four_bits"]["at_connector"] == 0.052 and shown[1]["four_bits"] is None
    assert len(asked) == 1, "kept"
