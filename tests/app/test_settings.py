"""Settings: where they come from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import STARTER, Settings
from nsp_core.errors import ConfigError


def test_defaults_environment_and_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    env = {
        "WHATNEXT_DATA": str(tmp_path),
        "WHATNEXT_THREADS": "2",
        "WHATNEXT_IN_PROCESS": "1",
        "WHATNEXT_MODEL": "model",
    }
    settings = Settings.from_environment(env)
    assert (settings.data_dir, settings.threads, settings.in_process) == (tmp_path.resolve(), 2, True)
    assert settings.model == str(tmp_path / "model"), "a folder is named so that another process finds it"
    assert Settings.from_environment(env, threads=3, device=None).threads == 3
    assert Settings.from_environment({"WHATNEXT_DATA": str(tmp_path)}).model == str(STARTER)
    assert Settings.from_json(settings.to_json()) == settings


def test_the_platforms_folder_is_the_default() -> None:
    assert Settings.from_environment({}).data_dir.name == "what-happens-next"


def test_wrong_settings_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads in the environment must be a number, got 'many'"):
        Settings.from_environment({"WHATNEXT_DATA": str(tmp_path), "WHATNEXT_THREADS": "many"})
    with pytest.raises(ConfigError, match="thread in the call is no setting; the settings are"):
        Settings.from_environment({"WHATNEXT_DATA": str(tmp_path)}, thread=1)


def test_only_equal_models_share_a_worker(tmp_path: Path) -> None:
    one = Settings(tmp_path, model="a")
    assert one.model_key == Settings(tmp_path / "elsewhere", model="a").model_key
    assert (
        one.model_key != Settings(tmp_path, model="b").model_key != Settings(tmp_path, model="b", threads=1).model_key
    )
