"""The bare GPU machine's script, on a CPU at tiny size: what travels, what is installed, what comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest
import torch
from safetensors.torch import load_file

from nsp_core.errors import CheckpointMismatch
from tests.training.tiny_parts import StoppedAt, flow_objective, loop_config
from training import checkpoint
from training.gpu import main as gpu
from training.gpu import parcel
from training.loop import train


@pytest.fixture
def run(tmp_path):
    """A run folder that was cut at step 3, with what lies beside the checkpoints."""
    folder = tmp_path / "there" / "generator"
    train(StoppedAt(flow_objective(), 3), loop_config(6), folder)
    (folder / "run.json").write_text(json.dumps({"config": {"out": "/there"}, "commit": None}))
    (folder / "processor").mkdir()
    (folder / "processor" / "tokenizer.json").write_text("{}")
    return folder


def test_a_parcel_joins_to_a_run_that_goes_on(run, tmp_path, monkeypatch):
    monkeypatch.setattr(parcel, "PART", 50_000)
    made = parcel.pack([run], tmp_path / "parcel")
    parts = sorted((tmp_path / "parcel").glob("part_*"))
    assert len(parts) == len(made["parts"]) > 2 and all(p.stat().st_size <= 50_000 for p in parts)
    assert made["steps"] == {"generator": 3}

    here = tmp_path / "here"
    assert parcel.join(tmp_path / "parcel", here) == {"generator": 3}
    there, light = checkpoint.load(run / "checkpoints"), checkpoint.load(here / "generator" / "checkpoints")
    assert light.optimiser is None and light.step == 3
    for name, tensor in there.model.items():
        assert light.model[name].dtype == torch.bfloat16
        assert torch.equal(light.model[name], tensor.bfloat16())
    assert json.loads((here / "generator" / "run.json").read_text())["config"]["out"] == str(here / "generator")
    assert (here / "generator" / "processor" / "tokenizer.json").is_file()
    assert train(flow_objective(), loop_config(6), here / "generator") == 0
    assert [p.name for p in here.iterdir()] == ["generator"]


def test_of_a_finished_run_only_the_averages_travel(run, tmp_path):
    train(flow_objective(), loop_config(6), run)
    unfinished = sum(map(len, parcel.light_files(run).values()))
    (run / "run.json").write_text(json.dumps({"config": {"out": "/there", "loop": {"steps": 6}}}))
    assert sum(map(len, parcel.light_files(run).values())) < 0.6 * unfinished
    parcel.pack([run], tmp_path / "parcel")
    parcel.join(tmp_path / "parcel", tmp_path / "here")
    there = checkpoint.load(run / "checkpoints")
    light = checkpoint.load(tmp_path / "here" / "generator" / "checkpoints")
    assert light.ema.keys() == there.ema.keys() and light.model.keys() == there.model.keys()
    assert all(torch.equal(light.ema[n], t.bfloat16()) for n, t in there.ema.items())
    assert all(torch.equal(light.model[n], light.ema[n]) for n in light.ema)
    train(flow_objective(), loop_config(8), tmp_path / "here" / "generator")


def test_joining_never_goes_back(run, tmp_path):
    parcel.pack([run], tmp_path / "parcel")
    train(flow_objective(), loop_config(6), run)
    assert parcel.join(tmp_path / "parcel", run.parent) == {"generator": 6}
    assert checkpoint.load(run / "checkpoints").optimiser is not None


def test_damage_is_named_and_nothing_is_written(run, tmp_path):
    folder = tmp_path / "parcel"
    parcel.pack([run], folder)
    part = folder / "part_000"
    whole = part.read_bytes()
    for broken in (whole[:-1], whole[:500] + b"x" + whole[501:]):
        part.write_bytes(broken)
        with pytest.raises(CheckpointMismatch, match="part_000 is missing or damaged"):
            parcel.join(folder, tmp_path / "here")
    part.unlink()
    with pytest.raises(CheckpointMismatch, match="part_000"):
        parcel.join(folder, tmp_path / "here")
    with pytest.raises(CheckpointMismatch, match="manifest"):
        parcel.join(tmp_path / "nowhere", tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_what_does_not_fit_is_left_out_whole_and_said(run, tmp_path):
    made = parcel.pack(
        [run, run], tmp_path / "parcel", limit=int(1.5 * sum(map(len, parcel.light_files(run).values())))
    )
    assert made["left_out"] == ["generator"] and made["steps"] == {"generator": 3}


def test_the_starter_fits_into_what_a_call_brings_back():
    """Weights and averages in bf16 of all three stages at the sizes that are trained."""
    from pathlib import Path

    from nsp_core.model import build
    from training.flow_matching import Generator
    from training.reader import ReaderConfig, reader_for

    config = ReaderConfig(loop_config(1), Path(), Path())
    with torch.device("meta"):
        vae, transformer = build.autoencoder(32), build.transformer()
    reader = reader_for(config, build.tokenizer(["a"] * 9, 300))
    sizes = {
        "vae": vae.parameters(),
        "generator": Generator(reader.connector, transformer).parameters(),
        "reader": reader.parameters(),
    }
    both = {k: 4 * sum(p.numel() for p in v) for k, v in sizes.items()}
    assert max(both["vae"] + both["generator"], both["reader"]) < gpu.RETURN_LIMIT


def test_what_travels_is_counted_with_what_is_carried(tmp_path, capsys):
    root = tmp_path / "tree"
    (root / "carried").mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text("carried/\nbuilt\n")
    (root / "built").write_bytes(b"x" * 1000)
    (root / "code.py").write_bytes(b"x" * 300)
    (root / "carried" / "a.whl").write_bytes(b"x" * 5000)
    assert sum(size for size, _ in gpu.travelling(root, [])) == 300 + 15
    assert sum(size for size, _ in gpu.travelling(root, [root / "carried"])) == 300 + 15 + 5000
    assert gpu.report_size(root, [root / "carried"]) == 0
    with (root / "large.bin").open("wb") as sparse:
        sparse.truncate(gpu.TRAVEL_LIMIT)
    assert gpu.report_size(root, []) == 1
    assert "more than 64" in capsys.readouterr().out


def test_the_tree_itself_leaves_room_for_the_wheels(root):
    assert sum(size for size, _ in gpu.travelling(root, [])) < gpu.TRAVEL_LIMIT - 22 * gpu.MIB


def test_versions_of_carried_wheels_are_the_tested_ones():
    assert all(gpu.pinned(name) for name in gpu.WHEELS)


def test_wheels_are_installed_without_network_where_only_the_script_looks(tmp_path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    about = "carried_thing-1.0.dist-info"
    with zipfile.ZipFile(wheels / "carried_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("carried_thing.py", "value = 42\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: carried-thing\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    environment = gpu.install(wheels, tmp_path / "site")
    said = "import carried_thing, training.gpu.main; print(carried_thing.value)"
    out = subprocess.run([sys.executable, "-c", said], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert out.stdout == "42\n", out.stderr
    assert not (tmp_path / "site" / "packages.partial").exists()


TINY_STAGES = {
    "vae": "width=8 still_batch=2 clip_batch=2 clip_frames=9",
    "reader": "hidden=64 layers=1 vision_hidden=64 vision_layers=1 queries=4 caption_channels=32 batch=4 draw_batch=2"
    " held_out_stories=1",
    "generator": "width=32 layers=1 heads=1 pairs=8 held_out_pairs=8 compile=false flow.batch=4",
}
TINY = [f"{stage}.{s}" for stage, v in TINY_STAGES.items() for s in (*v.split(" "), "threads=1", "loop.steps=1")]


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_piece_trains_all_stages_and_the_next_machine_goes_on(tmp_path):
    """First machine: the autoencoder is cut off. Its parcel goes to a second one, which finishes everything."""

    def piece(machine: str, out: str, *more: str) -> int:
        place = ["--out", str(tmp_path / out), "--work", str(tmp_path / machine)]
        size = ["--device", "cpu", "--size", "tiny", "--workers", "1", "--minutes", "30"]
        return gpu.main(["train", *place, *size, *more])

    assert piece("one", "first", *TINY, "vae.minutes=0") == 75
    assert parcel.read_manifest(tmp_path / "first")["steps"] == {"vae": 0}
    assert piece("two", "second", "--parcel", str(tmp_path / "first"), *TINY) == 0
    assert parcel.read_manifest(tmp_path / "second")["steps"] == {"generator": 1, "reader": 1, "vae": 1}
    assert gpu.main(["join", str(tmp_path / "second"), "--work", str(tmp_path / "here")]) == 0

    from training import export

    home = tmp_path / "here"
    pipeline = export.assemble(home / "vae", home / "reader", home / "generator")
    export.save(pipeline, tmp_path / "model")
    assert load_file(tmp_path / "model" / "transformer" / "diffusion_pytorch_model.safetensors")
