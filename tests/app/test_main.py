"""How the page is started: its options, its port, and what is said when it cannot be."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

import launch
from app import main
from app.settings import Settings


def test_the_door_tells_of_the_same_options() -> None:
    told = {option.split()[0] for option, _ in launch.COMMANDS["app"].options}
    shown = set(re.findall(r"--[a-z-]+", main.parser().format_help())) - {"--help"}
    assert shown == told


def test_the_next_free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = int(taken.getsockname()[1])
        monkeypatch.setattr(main, "DEFAULT_PORT", port)
        assert main.free_port("127.0.0.1") > port


def test_a_port_in_use_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        arguments = ["--port", str(taken.getsockname()[1]), "--data-dir", str(tmp_path / "data"), "--no-browser"]
        assert main.main(arguments) == main.EXIT_USAGE
    told = capsys.readouterr().out.strip().splitlines()
    assert "choose another --port" in told[0] and "Traceback" not in "".join(told)


def test_a_setting_that_is_no_number_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHATNEXT_THREADS", "many")
    assert main.main(["--data-dir", str(tmp_path)]) == main.EXIT_USAGE
    assert "threads" in capsys.readouterr().out


def test_the_settings_take_the_options(tmp_path: Path) -> None:
    arguments = main.parser().parse_args(["--data-dir", str(tmp_path), "--starter", "some/model"])
    settings = Settings.from_environment({}, data_dir=arguments.data_dir, model=arguments.starter)
    assert settings.data_dir == tmp_path.resolve() and settings.model.endswith("some/model")
