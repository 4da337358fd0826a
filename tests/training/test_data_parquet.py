"""Parquet as the Hub has it: rows that name films, rows that hold them, and whatever can be wrong with either."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nsp_core.errors import ConfigError, UnreadableMedia
from tests.training.data_parts import SHOTS, small_config, write_film
from training.data import ingest as ingest_module
from training.data import parquet
from training.data.config import SourceConfig
from training.data.ingest import ingest
from training.data.parquet import Place
from training.data.place import opened
from training.data.rows import hash_of_file
from training.data.run import curate
from training.data.store import Store

pa = pytest.importorskip("pyarrow")
PACKED = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_rows(path: Path, columns: dict, many: int = 2, **kinds) -> Path:
    """`many` rows a group; `kinds`: of columns that are no plain text."""
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: pa.array(values, kinds.get(name)) for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path, row_group_size=many)
    return path


def read(place: Path, store: Store):
    return ingest((SourceConfig(place, "CC0"),), store)


@pytest.fixture
def pictures(tmp_path: Path) -> list[bytes]:
    found = []
    for number in range(5):
        noise = np.random.default_rng(number).integers(0, 255, (80, 90, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "one.png")
        found.append((tmp_path / "one.png").read_bytes())
    (tmp_path / "one.png").unlink()
    return found


def test_films_in_rows_become_clips_like_films_in_a_folder(tmp_path):
    film = write_film(tmp_path / "plain" / "f.mp4")
    other = write_film(tmp_path / "other.mp4", (SHOTS[3], SHOTS[0]), 40)
    rows = [{"bytes": one.read_bytes(), "path": name} for one, name in ((other, "../../b.mp4"), (film, "f.mp4"))]
    columns = {"video": rows, "text": ["Yellow, then red.", None], "license": ["CC-BY", None]}
    hub = write_rows(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet", columns, video=PACKED).parents[1]
    plain, packed = (curate(small_config(tmp_path / name), tmp_path / "out" / name) for name in ("plain", "hub"))
    sources = {e.row.id: e.row.values for e in packed.sources}
    assert set(sources) == {hash_of_file(film)[:16], hash_of_file(other)[:16]}
    yellow = sources[hash_of_file(other)[:16]]
    assert (yellow["given"], yellow["licence"]) == ("Yellow, then red.", "CC-BY")
    assert yellow["member"] == "train-00000-of-00001/0-0/b.mp4", "a name, and no way out of a folder"
    assert {e.row.id for e in plain.clips} <= {e.row.id for e in packed.clips}
    files = {e.row.id: e.row.values.get("sha256") for e in packed.clips}
    assert all(files[e.row.id] == e.row.values["sha256"] for e in plain.clips)
    again = curate(small_config(hub), tmp_path / "out" / "hub")
    assert again.done_now == sum(e.status == "missing" for e in packed.clips)


def test_a_lost_clip_is_cut_out_of_its_row_again(tmp_path):
    film = write_film(tmp_path / "f.mp4", SHOTS[:1])
    column = [{"bytes": film.read_bytes(), "path": None}]
    place = write_rows(tmp_path / "hub" / "train.parquet", {"video": column}, video=PACKED)
    first = curate(small_config(place.parent), tmp_path / "out")
    values = first.clips[0].row.values
    (tmp_path / "out" / values["file"]).unlink()
    (tmp_path / "out" / "state.db").unlink()
    (tmp_path / "out" / values["file"]).parent.rmdir()
    again = curate(small_config(place.parent), tmp_path / "out")
    assert again.clips[0].row.values["sha256"] == values["sha256"]


def test_rows_that_name_files_find_them_beside_and_above(tmp_path):
    film, picture = write_film(tmp_path / "hub" / "clips" / "f.mp4", SHOTS[:1], 20), tmp_path / "hub" / "data" / "p.png"
    picture.parent.mkdir()
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(picture)
    columns = {
        "file_name": ["clips/f.mp4", "p.png", "gone.mp4", None, "a\0b.mp4"],
        "caption": [["", "A square."], *"abcd"],
    }
    columns |= {"group": [7, None, None, None, None]}
    caption = pa.list_(pa.string())
    columns["caption"] = [one if isinstance(one, list) else [one] for one in columns["caption"]]
    write_rows(picture.parent / "train-00000-of-00001.parquet", columns, caption=caption, group=pa.int64())
    store = Store(None)
    found, left_out = read(tmp_path / "hub", store)
    assert [row.id for row in found] == [hash_of_file(film)[:16], hash_of_file(picture)[:16]], "and each only once"
    assert (found[0].values["given"], found[0].values["group"]) == ("A square.", "7")
    assert [reason for _, reason in left_out] == [
        "its file is not there",
        "row 1 of row group 1 holds no bytes and names no file",
        "its file is not there",
    ]
    (tmp_path / "hub" / "metadata.parquet").write_bytes(
        write_rows(tmp_path / "m" / "x.parquet", {"file_name": ["clips/f.mp4"]}).read_bytes()
    )
    assert len(read(tmp_path / "hub", store)[0]) == 1, "a metadata file says what belongs to the set"
    store.close()


def test_what_was_hashed_is_not_read_again(tmp_path, pictures, monkeypatch):
    rows = [{"bytes": one, "path": f"{n}.png"} for n, one in enumerate(pictures)]
    rows[3] = None
    place = write_rows(tmp_path / "t.parquet", {"image": rows, "text": list("abcde")}, image=PACKED)
    store = Store(None)
    asked = []
    real = parquet.hashes
    monkeypatch.setattr(ingest_module.parquet, "hashes", lambda *args: asked.append(args) or real(*args))
    first, left_out = read(place, store)
    assert len(first) == 4 and [reason for _, reason in left_out] == ["its row holds no bytes"]
    assert len(asked) == 1, "one pass for all rows"
    assert [r.values["place"] for r in first] == [[0, 0, "image"], [0, 1, "image"], [1, 0, "image"], [2, 0, "image"]]
    assert read(place, store) == (first, left_out) and len(asked) == 1
    for row, data in zip(first, (pictures[n] for n in (0, 1, 2, 4)), strict=True):
        with opened(row) as path:
            assert path.read_bytes() == data
    write_rows(place, {"image": rows[:2], "text": list("xy")}, image=PACKED)
    changed, _ = read(place, store)
    assert len(asked) == 2 and [row.values["given"] for row in changed] == ["x", "y"]
    with pytest.raises(UnreadableMedia, match="row group"), opened(first[3]):
        pass
    store.close()


def test_rows_without_bytes_name_files_when_a_whole_group_has_none(tmp_path, pictures):
    (tmp_path / "a.png").write_bytes(pictures[0])
    rows = [{"bytes": None, "path": "a.png"}, {"bytes": None, "path": None}, {"bytes": pictures[1], "path": "a.png"}]
    place = write_rows(tmp_path / "t.parquet", {"picture": rows}, picture=PACKED)
    store = Store(None)
    found, left_out = read(place, store)
    assert ["place" in row.values for row in found] == [False, True] and len(left_out) == 1
    store.close()


def test_what_is_broken_is_left_out_with_a_reason(tmp_path, pictures):
    """A file without an end, no Parquet at all, no column for us, and one row group whose bytes are spoilt."""
    good = write_rows(
        tmp_path / "hub" / "a.parquet", {"image": [{"bytes": b, "path": None} for b in pictures]}, image=PACKED
    )
    whole = good.read_bytes()
    (good.parent / "b.parquet").write_bytes(whole[: len(whole) // 2])
    (good.parent / "c.parquet").write_bytes(b"PAR1")
    write_rows(good.parent / "d.parquet", {"number": [1, 2]})
    spoilt = bytearray(whole)
    spoilt[4:40] = bytes(36)  # the first page of the first group
    (good.parent / "e.parquet").write_bytes(bytes(spoilt))
    store = Store(None)
    found, left_out = read(good.parent, store)
    assert len(found) == 5
    reasons = {name: reason for name, reason in left_out}
    assert "no Parquet" in reasons["b.parquet"] and "no Parquet" in reasons["c.parquet"]
    assert "none of the columns" in reasons["d.parquet"]
    assert reasons["e/0-0"] == "its row cannot be read" and "twice" in reasons["e/1-0"]
    with pytest.raises(ConfigError, match=r"c\.parquet: it is no Parquet"):
        curate(small_config(good.parent / "c.parquet"), tmp_path / "out")
    store.close()


def test_without_pyarrow_one_sentence_names_the_extra(tmp_path, pictures, monkeypatch):
    place = write_rows(tmp_path / "hub" / "t.parquet", {"image": [{"bytes": pictures[0], "path": ""}]}, image=PACKED)
    (place.parent / "p.png").write_bytes(pictures[1])
    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    store = Store(None)
    with pytest.raises(ConfigError, match=r"what-happens-next\[parquet\]"):
        read(place, store)
    found, left_out = read(place.parent, store)
    assert len(found) == 1 and "[parquet]" in left_out[0][1], "what else is in the folder is not held back by it"
    store.close()


def test_one_row_group_at_most_is_in_memory(tmp_path):
    """Arrow counts what it takes: 200 rows of 200 kB, in groups of 20."""
    noise = np.random.default_rng(0)
    rows = [{"bytes": noise.bytes(200_000), "path": None} for _ in range(200)]
    path = write_rows(tmp_path / "t.parquet", {"image": rows}, many=20, image=PACKED)
    with parquet.table(path) as file:
        before, most = pa.total_allocated_bytes(), 0
        for group in range(file.num_row_groups):
            for _ in parquet.values_of(file, group, "image"):
                most = max(most, pa.total_allocated_bytes() - before)
    assert most < 3 * 20 * 200_000
    target = tmp_path / "out"
    parquet.unpack(path, Place(7, 15, "image"), target)
    assert target.read_bytes() == rows[155]["bytes"]
