"""TransNetV2's sums at tiny size, how its numbers become cuts, and what is said when its weights are missing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError
from nsp_core.weights.wheel import is_file
from tests.training.data_parts import SHOTS, small_config, write_film
from training.data import main as door
from training.data import shots
from training.data.run import curate
from training.data.transnet import AROUND, EDGE, WINDOW, begins, cuts_of, network, opened, shares_of


def tiny_weights(filters: int = 2, wide: int = 8) -> dict[str, torch.Tensor]:
    """Of the real names, with a sixteenth of the real filters, and 48x27 pixels as it must be."""
    draw = torch.Generator().manual_seed(0)
    found: dict[str, torch.Tensor] = {}

    def put(name: str, *shape: int) -> None:
        found[name] = torch.randn(*shape, generator=draw) / max(1, shape[-1]) ** 0.5

    comes, pooled = 3, 0
    for level in range(3):
        own = filters * 2**level
        for block in range(2):
            name = f"SDDCNN.{level}.DDCNN.{block}"
            for rate in (1, 2, 4, 8):
                put(f"{name}.Conv3D_{rate}.layers.0.weight", 2 * own, comes, 1, 3, 3)
                put(f"{name}.Conv3D_{rate}.layers.1.weight", own, 2 * own, 3, 1, 1)
            for one in ("weight", "bias", "running_mean"):
                put(f"{name}.bn.{one}", 4 * own)
            found[f"{name}.bn.running_var"] = torch.ones(4 * own)
            comes = 4 * own
        pooled += comes
    for name, out, into in (
        ("frame_sim_layer.projection", 8, pooled),
        ("frame_sim_layer.fc", 8, 2 * AROUND + 1),
        ("color_hist_layer.fc", 8, 2 * AROUND + 1),
        ("fc1", wide, 16 + comes * 3 * 6),
        ("cls_layer1", 1, wide),
    ):
        put(f"{name}.weight", out, into)
        put(f"{name}.bias", out)
    return found


def some_frames(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (count, 27, 48, 3), np.uint8)


@pytest.mark.parametrize("count", [1, 49, 50, 51, 125])
def test_every_frame_has_one_number_whatever_the_length(count):
    weights, frames = tiny_weights(), some_frames(count)
    found = list(shares_of(iter(frames), weights))
    assert len(found) == count and all(0.0 <= one <= 1.0 for one in found)
    padded = np.concatenate([frames[:1].repeat(EDGE, 0), frames, frames[-1:].repeat(WINDOW, 0)])
    whole = [network(torch.from_numpy(padded[at : at + WINDOW]), weights) for at in range(0, count, WINDOW // 2)]
    peer = torch.cat([one[EDGE : WINDOW - EDGE] for one in whole])[:count]
    assert np.allclose(found, peer.numpy(), atol=1e-6), "windows as in the reference code"
    assert list(shares_of(iter(frames[:0]), weights)) == []


def test_a_shot_begins_after_the_frames_that_end_one():
    shares = [0.9, 0.0, 0.0, 0.9, 0.0, 0.8, 0.0, 0.0, 0.7, 0.9, 0.8, 0.1, 0.0, 0.0, 0.9]
    assert begins(shares, 0.5, 1) == [1, 4, 6, 11], "a cut, and a dissolve; none after the last frame"
    assert begins(shares, 0.5, 3) == [4, 11], "what is too short is no shot"
    assert begins([], 0.5, 1) == []


def test_missing_and_foreign_weights_are_one_sentence(tmp_path, monkeypatch, capsys):
    write_film(tmp_path / "films" / "a.mp4", SHOTS[:1], 20)
    monkeypatch.setattr(shots, "default_data_dir", lambda: tmp_path / "home")
    with pytest.raises(ConfigError, match=r"no weights yet: .*launch\.py data weights \(33 MB\)"):
        curate(small_config(tmp_path / "films", split={"detector": "transnet"}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(shots.wheel, "get", lambda wanted, target: wanted == shots.WEIGHTS and bool(target))
    assert door.main(["weights"]) == 0
    assert f"are now in {tmp_path / 'home' / 'transnet' / shots.WEIGHTS_NAME}" in capsys.readouterr().out
    (tmp_path / "net.onnx").write_bytes(b"something else")
    with pytest.raises(ConfigError, match=r"net\.onnx holds no weights of TransNetV2"):
        opened(tmp_path / "net.onnx")


def test_curation_cuts_where_the_network_says(tmp_path):
    """A made-up network: what counts is that its numbers come through, in a worker with its limit of memory."""
    write_film(tmp_path / "films" / "a.mp4", SHOTS[:2], 60)
    torch.save(tiny_weights(), tmp_path / "net.pth")
    split = {"detector": "transnet", "model": str(tmp_path / "net.pth"), "threshold": 0.5, "shortest_shot": 0.6}
    cuts = cuts_of(tmp_path / "films" / "a.mp4", tmp_path / "net.pth", 0.5, 15)
    assert cuts, "else nothing would be shown"
    config = small_config(tmp_path / "films", split=split, run={"executor": "local", "workers": 1})
    found = curate(config, tmp_path / "out")
    assert found.sources[0].row.values["cuts"] == cuts
    assert curate(config, tmp_path / "out").done_now == sum(e.status == "missing" for e in found.clips)
    torch.save(tiny_weights(4), tmp_path / "net.pth")
    assert curate(config, tmp_path / "out").done_now > 0, "other weights, other cuts"


def real_weights() -> Path:
    return Path(os.environ.get("WHATNEXT_TRANSNET") or shots.default_data_dir() / "transnet" / shots.WEIGHTS_NAME)


@pytest.mark.skipif(not real_weights().is_file(), reason="TransNetV2's weights are not on this machine")
def test_the_real_network_finds_the_cuts_of_a_made_film(tmp_path):
    assert is_file(real_weights(), shots.WEIGHTS.inside_sha256)
    film = write_film(tmp_path / "a.mp4", SHOTS, 40)
    assert cuts_of(film, real_weights(), 0.5, 15) == [40, 80, 120]
