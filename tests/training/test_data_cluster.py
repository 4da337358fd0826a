"""Curation on a Ray cluster of two nodes on this machine: the same output, and a node that goes takes nothing along."""

from __future__ import annotations

import functools

import pytest

from tests.training.data_parts import SHOTS, small_config, write_film
from tests.training.data_stages import die_once, number_rows, take_time
from training.data.engine import Stage, run_stage
from training.data.pack import pack
from training.data.rows import hash_of_file
from training.data.run import curate

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.full


@pytest.fixture
def nodes(monkeypatch):
    """Two nodes with a processor each."""
    from ray.cluster_utils import Cluster as Nodes

    from training.data.cluster import QUIET, ROOT

    for name, value in QUIET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20})
    second = made.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    ray.init(address=made.address, log_to_driver=False)
    yield made, second
    ray.shutdown()
    made.shutdown()


def test_a_cluster_gives_what_one_process_gives_and_loses_nothing(nodes, tmp_path):
    from training.data.cluster import Cluster

    made, second = nodes
    films = tmp_path / "films"
    write_film(films / "a.mp4")
    write_film(films / "b.mp4", SHOTS[1:], 40, 20)
    asked = dict.fromkeys(("captioner", "writer", "judge"), "tests.training.data_parts:Somebody")
    found = {}
    for name in ("inline", "ray"):
        config = small_config(films, words=asked, run={"executor": name})
        out = tmp_path / name
        found[name] = curate(config, out)
        pack(found[name].captioned(), [e.row for e in found[name].pairs], config, out)
    assert [e.row for e in found["ray"].clips] == [e.row for e in found["inline"].clips]
    assert [e.row for e in found["ray"].pairs] == [e.row for e in found["inline"].pairs]
    files = {
        name: {p.relative_to(tmp_path / name): hash_of_file(p) for p in (tmp_path / name / "pack").iterdir()}
        for name in found
    }
    assert files["ray"] == files["inline"] and len(files["ray"]) >= 4

    executor = Cluster(count=2)
    rows = number_rows(60)
    stage = Stage("dies", "source", functools.partial(die_once, folder=tmp_path), "1", batch_size=4)
    done = [(row.id, outcome.status) for row, outcome, _ in run_stage(executor, stage, rows)]
    assert sorted(done) == [(row.id, "ok") for row in rows]
    assert (tmp_path / "died").exists()

    done, gone = [], False
    for row, outcome, _ in run_stage(executor, Stage("slow", "source", take_time, "1", max_retries=3), rows):
        done.append((row.id, outcome.status))
        if len(done) == 10 and not gone:
            made.remove_node(second, allow_graceful=False)
            gone = True
    assert gone
    assert sorted(done) == [(row.id, "ok") for row in rows]
    executor.close()
