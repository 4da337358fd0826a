"""The machine panel, without a browser."""

from __future__ import annotations

import json
from pathlib import Path

from app.director import Director
from app.pages.desk import Desk
from app.pages.examples import Examples
from app.settings import Settings
from app.store import open_store


def test_the_machine_panel_says_what_is_here(tmp_path: Path) -> None:
    director = Director(open_store(Settings(data_dir=tmp_path, in_process=True)))
    desk = Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=tmp_path)
    told = desk.ask({"ask": "machine"})
    json.dumps(told)
    assert told["devices"][-1]["kind"] == "cpu" and told["devices"][-1]["memory"] > 0
    assert told["tiers"][0]["current"] and told["tiers"][0]["fits"]
    assert told["model"]["loaded"] is False and told["disk_free"] > 0
    assert all(tier["verdict"] and tier["memory"]["how"].startswith("(") for tier in told["tiers"])
    director.store.close()


def test_a_question_that_nobody_knows(tmp_path: Path) -> None:
    director = Director(open_store(Settings(data_dir=tmp_path, in_process=True)))
    desk = Desk(director, director.store.local_owner(), Examples(tmp_path), uploads=tmp_path)
    assert "reload" in desk.ask({"ask": "the meaning of life"})["error"]
    assert "reload" in desk.ask(["not", "even", "a", "message"])["error"]
    director.store.close()
