"""Films and papers tell how they were made, are signed as the last step, and show it when they were changed."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import verify
from app.provenance import credentials
from app.provenance.account import Account, Provenance, Signing
from app.provenance.certificate import FILE, certificates, identity_of, known_roots, self_made
from app.provenance.reading import kind_of, look
from app.provenance.remarks import remark_in
from app.reel.plan import plan_for
from app.reel.render import Clip
from app.reel.taking import ENDINGS, FORMS, Form, Taken, take_out
from nsp_core.errors import UserError
from nsp_core.media import probe_clip
from tests.app.reel.conftest import make_clip

SCENES = (
    {"scene": "s0", "after": None, "take": "t0", "kind": "drawn", "model": 0, "seed": 11, "words": "<b> --> & é"},
    {"scene": "s1", "after": "s0", "take": "t1", "kind": "still"},
)
ACCOUNT = Account("story", ({"model": "starter", "fingerprint": "f" * 64},), SCENES, True, version="9.9")
PLACELESS = {"srt"}
SIGNABLE = {"mp4", "gif", "webp", "sheet", "book"}


@pytest.fixture(scope="session")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("two")
    return [Clip(make_clip(folder / f"{n}.mp4", n, 6, sound=False), f"Words {n}.") for n in range(2)]


@pytest.fixture
def provenance(tmp_path: Path) -> Provenance:
    return Provenance(ACCOUNT, Signing(str(tmp_path / "signing")))


def made(form: Form, clips: list[Clip], folder: Path, provenance: Provenance | None) -> Taken:
    (folder / "pieces").mkdir(exist_ok=True)
    out = folder / f"film.{ENDINGS[form]}"
    return take_out(form, plan_for("ab"), clips, out, pieces=folder / "pieces", title="Bars", provenance=provenance)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_tells_its_recipe_and_is_signed_where_it_can_be(
    form: Form, two: list[Clip], tmp_path: Path, provenance: Provenance
) -> None:
    pytest.importorskip("c2pa")
    taken = made(form, two, tmp_path, provenance)
    assert (taken.unsigned == "") == (form in SIGNABLE) == taken.signed_by.startswith("self-made certificate ")
    found = look(taken.path)
    assert found.state == ("whole" if form in SIGNABLE else "unsigned")
    told = remark_in(taken.path, kind_of(taken.path))
    if form in PLACELESS:
        assert told is None and found.recipe is None
        return
    assert told is not None and json.loads(told) == json.loads(ACCOUNT.remark), "in plain metadata, for other tools"
    assert found.recipe == json.loads(ACCOUNT.remark) and found.recipe_signed == (form in SIGNABLE)


def test_a_signed_film_plays_as_before_and_names_its_clips(
    two: list[Clip], tmp_path: Path, provenance: Provenance
) -> None:
    c2pa: Any = pytest.importorskip("c2pa")
    signed = made("mp4", two, tmp_path, provenance).path.rename(tmp_path / "signed.mp4")
    bare = made("mp4", two, tmp_path, None)
    assert bare.unsigned == "off" and remark_in(bare.path, "mp4") is None and look(bare.path).state == "unsigned"
    one, other = probe_clip(signed), probe_clip(bare.path)
    assert one == other and one.index_first and one.chapters and one.captions
    with signed.open("rb") as file:
        told = json.loads(c2pa.Reader("video/mp4", file).json())
    manifest = told["manifests"][told["active_manifest"]]
    assert manifest["title"] == "Bars" and manifest["claim_generator_info"][0]["name"] == "What Happens Next?"
    assert [one["relationship"] for one in manifest["ingredients"]] == ["componentOf", "componentOf"]
    actions = next(one for one in manifest["assertions"] if one["label"].startswith("c2pa.actions"))["data"]["actions"]
    assert [one["action"] for one in actions] == ["c2pa.created", "c2pa.placed"]
    assert actions[0]["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia"), "one scene is a picture"
    assert replace(ACCOUNT, scenes=SCENES[:1]).source_type == "trainedAlgorithmicMedia"
    assert len(actions[1]["parameters"]["ingredients"]) == 2


@pytest.mark.parametrize("form", ["mp4", "gif", "sheet", "book"])
def test_one_changed_byte_is_seen(form: Form, two: list[Clip], tmp_path: Path, provenance: Provenance) -> None:
    pytest.importorskip("c2pa")
    path = made(form, two, tmp_path, provenance).path
    data = bytearray(path.read_bytes())
    place = (
        data.rfind(b"mdat") + 50 if form == "mp4" else len(data) - 40 if form != "book" else data.find(b"stream") + 9
    )
    data[place] ^= 1
    path.write_bytes(bytes(data))
    found = look(path)
    assert found.state == "changed" and found.problems and not found.recipe_signed


def test_what_the_command_says(
    two: list[Clip], tmp_path: Path, provenance: Provenance, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("c2pa")
    film = made("mp4", two, tmp_path, provenance).path

    def said(*given: str) -> tuple[int, str]:
        code = verify.main([*given, "--data-dir", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    code, text = said(str(film))
    assert code == 0 and "has not been changed" in text and "known here" in text and "seed 11: <b> --> & é" in text
    (tmp_path / "signing" / FILE).rename(tmp_path / "elsewhere.pem")
    code, text = said(str(film))
    assert code == 0 and "which nobody here vouches for" in text, "whole, but anyone can take a name"
    code, text = said(str(film), "--anchors", str(tmp_path / "elsewhere.pem"))
    assert code == 0 and "known here" in text
    code, text = said(str(film), "--json")
    answer = json.loads(text.splitlines()[-1])
    assert answer["state"] == "whole" and answer["signer"]["trusted"] is False and len(answer["recipe"]["scenes"]) == 2
    assert set(answer) == {
        "file", "kind", "state", "signer", "title", "made_with", "problems", "recipe", "recipe_signed"
    }  # fmt: skip
    captions = made("vtt", two, tmp_path, provenance).path
    code, text = said(str(captions))
    assert code == 1 and "without content credentials" in text and "which is not signed" in text
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:200])
    strange = tmp_path / "strange.mp4"
    strange.write_bytes(b"\x00\x01strange")
    (tmp_path / "empty").touch()
    assert said(str(broken))[0] == 1 and "DAMAGED" in said(str(broken))[1]
    for name, why in (("strange.mp4", "nothing that is written here"), ("empty", "is empty"), ("gone", "no file")):
        code, text = said(str(tmp_path / name))
        assert code == 2 and why in text and len(text.splitlines()) == 1
    code, text = said(str(film), "--anchors", str(film))
    assert code == 2


def test_a_recipe_from_anybody_breaks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for told in (
        '{"made_with":5,"scenes":[1,{"model":-7,"seed":[]},{"model":true,"words":{"a":"\\u001b[31m"}}],"models":{}}',
        '{"made_with":"","scenes":{"a":1}}',
        "[" * 100_000,
        "",
    ):
        path = tmp_path / "a.vtt"
        path.write_text(f"WEBVTT\n\nNOTE what-happens-next {told}\n\n", encoding="utf-8")
        assert verify.main([str(path), "--data-dir", str(tmp_path)]) == 1
        assert "\x1b" not in capsys.readouterr().out


def test_without_the_library_files_are_written_unsigned(
    two: list[Clip], tmp_path: Path, provenance: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "can_sign", lambda: False)
    taken = made("mp4", two, tmp_path, provenance)
    assert (taken.signed_by, taken.unsigned) == ("", "library") and probe_clip(taken.path).frames == 12
    assert remark_in(taken.path, "mp4") == ACCOUNT.remark, "the recipe is told all the same"


def test_what_goes_wrong_while_signing(
    two: list[Clip], tmp_path: Path, provenance: Provenance, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("c2pa")

    def refuse(*_given: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(credentials, "_write", refuse)
    assert made("mp4", two, tmp_path, provenance).unsigned == "failed"
    assert not [path.name for path in tmp_path.iterdir() if "partial" in path.name]
    pem = tmp_path / "own.pem"
    pem.write_text(self_made(), encoding="ascii")
    own = replace(provenance, signing=Signing(str(tmp_path), str(pem), str(pem)))
    with pytest.raises(UserError, match="your certificate"):
        made("gif", two, tmp_path, own)
    assert not (tmp_path / "film.gif").exists(), "who has a certificate does not get a film without it"


def test_a_certificate_of_ones_own(two: list[Clip], tmp_path: Path, provenance: Provenance) -> None:
    pytest.importorskip("c2pa")
    pem, other = tmp_path / "own.pem", tmp_path / "other.pem"
    pem.write_text(self_made(), encoding="ascii")
    other.write_text(self_made(), encoding="ascii")
    own = Signing(str(tmp_path / "signing"), str(pem), str(pem))
    taken = made("sheet", two, tmp_path, replace(provenance, signing=own))
    assert taken.signed_by == identity_of(own).name and not (tmp_path / "signing").exists()
    found = look(taken.path, anchors=known_roots(own))
    assert found.state == "whole" and found.signer is not None and found.signer.trusted
    for wrong, why in (
        (replace(own, key=str(other)), "does not belong"),
        (replace(own, key=""), "needs both files"),
        (replace(own, certificate=str(tmp_path / "gone.pem")), "cannot be read as a PEM"),
        (replace(own, certificate=str(two[0].path), key=str(two[0].path)), "cannot be read as a PEM"),
    ):
        with pytest.raises(UserError, match=why):
            identity_of(wrong)


def test_the_self_made_certificate_is_made_once(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    signing = Signing(str(tmp_path / "signing"))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(identity_of(signing).chain)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(set(found)) == 1, "whoever comes first makes it, for all"
    path = tmp_path / "signing" / FILE
    assert [one.name for one in path.parent.iterdir()] == [FILE]
    assert len(certificates(path.read_text())) == 2
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
