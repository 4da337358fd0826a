"""Message Batches: killed at any moment and started again, a batch is found, nothing is paid twice and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nsp_core.errors import ConfigError
from nsp_core.judges.batches import Batched
from nsp_core.judges.claude import Claude
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.ledger import Ledger
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.verdict import Verdict
from nsp_core.types import Scene, StoryContext
from tests.core.judge_server import Running, Service
from tests.core.test_judge_live import BEFORE, clip, many

EACH = (600_000 + 600_000) // 2  # 300 tokens at $2 and 60 at $10 for a million, in 1e-9 dollars, at half price


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-only-a-test")


@pytest.fixture
def service() -> Iterator[Service]:
    with Running(Service(batch_seconds=0.05)) as service:
        yield service


def judge_of(url: str, folder: Path, dollars: float = 5.0, poll: float = 0.02) -> tuple[PaperJudge, Ledger]:
    config = JudgeConfig(url=url, max_usd=dollars, file=folder / "judge.db", keep_answers=True)
    claude = Claude(config)
    ledger = Ledger(config.path, round(dollars * 1e9))
    return PaperJudge("claude:batch", Batched(claude, ledger, poll), claude.config), ledger


def check(verdicts: list[Verdict], honest: list[str], missing: int = 0) -> None:
    assert all(v.outcome in ("missing", o) for v, o in zip(verdicts, honest, strict=True))
    lost = [v.reason for v in verdicts if v.outcome == "missing"]
    assert len(lost) <= missing, lost


def test_a_batch_costs_half_and_answers_in_the_order_of_the_questions(service: Service, tmp_path: Path) -> None:
    judge, ledger = judge_of(service.url, tmp_path)
    pairs, honest = many(40)
    verdicts = judge.judge_all(pairs)
    check(verdicts, honest)
    assert verdicts[0].cost_usd == pytest.approx(EACH / 1e9)
    assert len(service.batches) == 1 and not service.asked
    assert ledger.balance().spent == service.billed_nano == 40 * EACH
    assert ledger.balance().reserved == 0
    judge.judge_all(pairs)
    assert len(service.batches) == 1, "everything is known"


def test_captions_are_one_batch_and_verdicts_another(service: Service, tmp_path: Path) -> None:
    judge, _ = judge_of(service.url, tmp_path)
    verdicts = judge.judge_all([(BEFORE, Scene("", clip(level))) for level in (10, 60, 120)])
    assert [v.outcome for v in verdicts] == ["pass"] * 3 and len(service.batches) == 2


def test_a_fifth_of_the_results_fails(tmp_path: Path) -> None:
    pairs, honest = many(120)
    with Running(Service(faults=0.2, seed=2, refused_batches=2)) as service:
        judge, ledger = judge_of(service.url, tmp_path)
        verdicts = judge.judge_all(pairs)
        assert 2 <= len(service.batches) <= 4, "what failed inside the service went again"
        missing = [v for v in verdicts if v.outcome == "missing"]
        check(verdicts, honest, missing=20)
        assert missing and all("form" in v.reason or "without an answer" in v.reason for v in missing)
        assert ledger.balance().spent <= service.billed_nano and ledger.balance().reserved == 0


def test_refusals_are_missing_and_not_sent_again(service: Service, tmp_path: Path) -> None:
    judge, _ = judge_of(service.url, tmp_path)
    verdicts = judge.judge_all([(BEFORE, Scene("The unspeakable follows.")), (BEFORE, Scene("It follows."))])
    assert [v.outcome for v in verdicts] == ["missing", "pass"] and "refused" in verdicts[0].reason
    assert len(service.batches) == 1


def test_what_the_budget_does_not_cover_at_once_comes_in_turns(service: Service, tmp_path: Path) -> None:
    """A question costs a twentieth of what it could cost at most, so the money comes back batch by batch."""
    judge, ledger = judge_of(service.url, tmp_path, dollars=0.03)
    pairs, honest = many(10)
    check(judge.judge_all(pairs), honest)
    assert len(service.batches) > 3
    assert service.billed_nano == ledger.balance().spent <= 30_000_000


def test_the_budget_is_the_end(service: Service, tmp_path: Path) -> None:
    judge, ledger = judge_of(service.url, tmp_path, dollars=0.015)
    pairs, honest = many(20)
    verdicts = judge.judge_all(pairs)
    check(verdicts, honest, missing=19)
    given = sum(v.outcome != "missing" for v in verdicts)
    assert 0 < given < 20 and service.billed_nano == given * EACH == ledger.balance().spent <= 15_000_000
    assert all("budget of $0.01" in v.reason for v in verdicts if v.outcome == "missing")


def test_a_batch_that_the_service_has_forgotten_stays_paid(service: Service, tmp_path: Path) -> None:
    judge, ledger = judge_of(service.url, tmp_path)
    pairs, honest = many(4)
    asker: Any = judge.asker
    keys = [ask.key(asker.service.signature) for _, scene in pairs for ask in judge.verdict_asks(_last(), scene.words)]
    ledger.name(ledger.plan(keys, 1_000_000, "", []), "msgbatch_of_long_ago")
    check(judge.judge_all(pairs), honest)
    assert len(service.batches) == 1 and ledger.balance().reserved == 1_000_000


def test_an_answer_that_is_lost_on_the_way_is_found_again(service: Service, tmp_path: Path) -> None:
    service.on_batch = lambda: None  # taken, and the connection closes without an answer
    judge, ledger = judge_of(service.url, tmp_path)
    pairs, honest = many(12)
    check(judge.judge_all(pairs), honest)
    assert len(service.batches) == 1 and ledger.balance().spent == service.billed_nano


def test_somebody_elses_batch_of_the_same_size_is_not_taken_for_ours(service: Service, tmp_path: Path) -> None:
    judge, ledger = judge_of(service.url, tmp_path)
    pairs, honest = many(5)
    strange = [{"custom_id": f"theirs-{i}", "params": _params("Caption: theirs")} for i in range(5)]

    def theirs_first() -> None:
        ours = service.batches.pop("msgbatch_000")
        service.take_batch({"requests": strange})
        service.batches["msgbatch_900"] = service.batches.pop("msgbatch_000")
        service.batches = {"msgbatch_777": ours, **service.batches}

    service.on_batch = theirs_first
    check(judge.judge_all(pairs), honest)
    assert set(service.batches) == {"msgbatch_777", "msgbatch_900"}, "nothing was sent twice"
    assert ledger.balance().spent == 5 * EACH


@pytest.mark.parametrize("when", ["taken", "waiting", "reading"])
def test_killed_and_started_again(when: str, tmp_path: Path) -> None:
    """The process that judges gets SIGKILL; the next one finds the batch and pays nothing again."""
    pairs, honest = many(30)
    with Running(Service(batch_seconds=0.0 if when != "waiting" else 1.0)) as service:
        program = (
            "import sys, json; from pathlib import Path\n"
            "from tests.core.test_judge_batches import judge_of; from tests.core.test_judge_live import many\n"
            "judge_of(sys.argv[1], Path(sys.argv[2]))[0].judge_all(many(30)[0])\n"
        )
        killed = threading.Event()

        def kill() -> None:
            os.kill(victim.pid, signal.SIGKILL)
            victim.wait()
            killed.set()

        if when == "taken":
            service.on_batch = kill
        elif when == "reading":
            service.on_results = kill
        victim = subprocess.Popen([sys.executable, "-c", program, service.url, str(tmp_path)])
        if when == "waiting":
            while not service.batches:
                victim.poll()
                assert victim.returncode is None
            threading.Timer(0.2, kill).start()
        assert killed.wait(60)
        judge, ledger = judge_of(service.url, tmp_path)
        check(judge.judge_all(pairs), honest)
        assert len(service.batches) == 1 and not service.asked
        assert ledger.balance().spent == service.billed_nano == 30 * EACH
        assert ledger.balance().reserved == 0 and not ledger.submissions()


def test_a_batch_that_never_reached_the_service_is_sent(service: Service, tmp_path: Path) -> None:
    judge, ledger = judge_of(service.url, tmp_path)
    pairs, honest = many(3)
    asker: Any = judge.asker
    keys = [ask.key(asker.service.signature) for _, scene in pairs for ask in judge.verdict_asks(_last(), scene.words)]
    ledger.plan(keys, 1_000_000_000, json.dumps([2**22 + 5, 1.0]), [])  # by a process that is no more
    check(judge.judge_all(pairs), honest)
    assert len(service.batches) == 1 and ledger.balance().spent == 3 * EACH and ledger.balance().reserved == 0


def test_batches_need_a_file_that_keeps_answers(service: Service, tmp_path: Path) -> None:
    claude = Claude(JudgeConfig(url=service.url))
    with pytest.raises(ConfigError, match="KEEP_ANSWERS"):
        Batched(claude, Ledger(tmp_path / "x.db", 1, keep_answers=False))


def _last() -> str:
    context: StoryContext = BEFORE
    return context.scenes[-1].words


def _params(text: str) -> dict[str, Any]:
    return {"model": "claude-sonnet-5-5", "messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]}
