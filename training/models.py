"""Where a stage of the recipe begins and what it leaves: model folders in hub layout, and the run folders around them.

A run folder of the recipe holds `model/`, the averaged weights as they would be shipped. Knows nothing of objectives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nsp_core.banks import file
from nsp_core.errors import ConfigError
from nsp_core.pipeline import NextScenePipeline
from training import checkpoint, export
from training.flow_matching import Generator
from training.generator import GeneratorConfig
from training.stages import from_run, put_average

ROOT = Path(__file__).resolve().parent.parent


def open_to_measure(path: Path, device: str | None = None) -> NextScenePipeline:
    """As `open_model`, and the published weights that a bank.json names; they are put where that file says."""
    if bank := file.find(path):
        from nsp_core.banks.load import load

        return load(file.read(bank), file.folder_of, device)
    pipeline: Any = open_model(path)
    return pipeline.to(device) if device else pipeline


def open_model(path: Path) -> NextScenePipeline:
    """The model at a folder in hub layout, in a finished run of the recipe, or in a run folder of stage generator."""
    if not path.is_absolute() and not path.exists():
        path = ROOT / path  # what ships is named as it lies in the checkout
    for folder in (path, path / "model"):
        if (folder / "model_index.json").is_file():
            return NextScenePipeline.from_pretrained(folder)
    if (path / "residual_scale.safetensors").is_file() and checkpoint.list_steps(path / "checkpoints"):
        config = from_run(GeneratorConfig, path)
        return export.assemble(config.vae, config.reader, path)
    raise ConfigError(f"There is no model in {path}: give a model folder, or the out= of a stage that has finished.")


def leave_model(pipeline: Any, module: Generator, run: Path) -> Path:
    """Write run/model: `pipeline` with the averages of the run's last checkpoint, which `module` trained."""
    put_average(module, run)
    export.save(pipeline, run / "model")
    return run / "model"
