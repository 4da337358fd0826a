"""Claude and other servers as judges, against a server on this machine that fails as services do.

No verdict is lost, none is invented, and what the server would bill is never above the budget.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsp_core.errors import ConfigError, ModelUnavailable
from nsp_core.judges import Verdict, get_judge
from nsp_core.judges.calls import Live
from nsp_core.judges.claude import claude_judge
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.server import ChatServer, server_judge
from nsp_core.keys import Key
from nsp_core.types import Frames, Scene, StoryContext
from tests.core.judge_server import Running, Service

BEFORE = StoryContext((Scene("It is dark."), Scene("A cup stands at the edge of a table.")))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "WHATNEXT_JUDGE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-only-a-test")


@pytest.fixture
def service() -> Iterator[Service]:
    with Running(Service()) as service:
        yield service


def config_for(service: Service, folder: Path, **settings: Any) -> JudgeConfig:
    quick: dict[str, Any] = {"patience": 20.0, "timeout": 5.0, "file": folder / "judge.db", "keep_answers": True}
    return JudgeConfig(url=service.url, **(quick | settings))


def words(text: str) -> tuple[StoryContext, Scene]:
    return BEFORE, Scene(text)


def many(count: int) -> tuple[list[tuple[StoryContext, Scene]], list[str]]:
    """Pairs, and what an honest judge says of each."""
    told = [f"Scene {i} {'follows' if i % 3 else 'is another'}." for i in range(count)]
    return [words(text) for text in told], ["pass" if "follows" in text else "fail" for text in told]


def clip(level: int) -> Frames:
    return np.full((17, 96, 160, 3), level, np.uint8)


def books(judge: PaperJudge) -> tuple[int, int]:
    assert isinstance(judge.asker, Live)
    balance = judge.asker.ledger.balance()
    return balance.spent, balance.reserved


def test_a_verdict_with_its_reason_cost_and_votes(service: Service, tmp_path: Path) -> None:
    judge = claude_judge(config_for(service, tmp_path, votes=3))
    verdict = judge.judge(*words("The cup falls, which follows."))
    assert (verdict.outcome, verdict.votes, verdict.score) == ("pass", ("pass",) * 3, 1.0)
    assert verdict.judge == "claude:claude-sonnet-5-5" and "10.1 v1" in verdict.template
    assert verdict.reason == "because of: The cup falls, which follows."
    assert verdict.cost_usd == pytest.approx(3 * (300 * 2e-6 + 60 * 1e-5)) and service.billed_nano == books(judge)[0]
    sent = service.asked[0]
    assert sent["output_config"]["format"]["schema"]["properties"]["verdict"]["enum"] == ["Pass", "Fail"]
    assert not {"temperature", "top_p", "top_k", "thinking", "tool_choice"} & set(sent)
    assert "Scene Description: A cup stands at the edge of a table.\n" in sent["messages"][0]["content"][0]["text"]


def test_pictures_are_put_into_words_first_by_somebody_who_does_not_know_the_scene(
    service: Service, tmp_path: Path
) -> None:
    judge = claude_judge(config_for(service, tmp_path, pictures=4))
    verdict = judge.judge(BEFORE, Scene("A dragon lands.", clip(200)))
    first, second = service.asked
    kinds = [block["type"] for block in first["messages"][0]["content"]]
    assert kinds == ["image"] * 4 + ["text"]
    assert "dragon" not in str(service.asked) and "cup" not in str(first)
    assert "4 pictures of brightness 25; it follows" in second["messages"][0]["content"][0]["text"]
    assert verdict.outcome == "pass"
    judge.judge(BEFORE, Scene("Whatever else.", clip(200)))
    assert len(service.asked) == 2, "the same pictures after the same scene are not paid for twice"
    judge.judge(BEFORE, Scene("A dragon lands.", clip(90)))
    assert len(service.asked) == 4, "other pictures under the same words are other pictures"


def test_words_only_sends_no_picture(service: Service, tmp_path: Path) -> None:
    judge = claude_judge(config_for(service, tmp_path, sees="words"))
    assert judge.judge(BEFORE, Scene("It follows.", clip(10))).outcome == "pass"
    assert len(service.asked) == 1 and "image" not in str(service.asked[0])


def test_what_cannot_be_judged_is_missing_and_costs_nothing(service: Service, tmp_path: Path) -> None:
    judge = claude_judge(config_for(service, tmp_path))
    for context, scene in ((StoryContext(), Scene("It follows.", clip(1))), (BEFORE, Scene(" "))):
        verdict = judge.judge(context, scene)
        assert verdict.outcome == "missing" and verdict.reason and verdict.cost_usd == 0
    assert not service.asked


def test_a_refusal_and_a_cut_answer_are_missing(service: Service, tmp_path: Path) -> None:
    judge = claude_judge(config_for(service, tmp_path, votes=2))
    refused, cut, well = judge.judge_all(
        [words("The unspeakable follows."), words("endless follows"), words("follows")]
    )
    assert (refused.outcome, refused.votes) == ("missing", ("missing",) * 2) and "refused" in refused.reason
    assert cut.outcome == "missing" and "cut off" in cut.reason
    assert well.outcome == "pass"
    assert refused.cost_usd and len(service.asked) == 6, "neither is asked again, both are paid"


def test_a_fifth_of_the_calls_fails_and_no_verdict_is_lost_or_invented(tmp_path: Path) -> None:
    pairs, honest = many(120)
    with Running(Service(faults=0.2, slow=0.4, seed=3)) as service:
        judge = claude_judge(config_for(service, tmp_path, timeout=0.3, concurrency=16, max_usd=5.0))
        verdicts = judge.judge_all(pairs)
        spent, reserved = books(judge)
        assert min(service.happened[kind] for kind in ("429", "529", "500", "slow", "dropped", "garbled")) > 0
        assert [v.outcome for v in verdicts if v.outcome != "missing"] == [
            o for o, v in zip(honest, verdicts, strict=True) if v.outcome != "missing"
        ]
        missing = [v for v in verdicts if v.outcome == "missing"]
        assert len(missing) <= 2 and all("form" in v.reason for v in missing), [v.reason for v in missing]
        assert service.billed_nano <= spent <= 5_000_000_000 and reserved == 0
        before = len(service.asked)
        again = judge.judge_all(pairs)
        assert len(service.asked) - before <= 4 * len(missing), "what is known is not asked again"
        for old, new in zip(verdicts, again, strict=True):
            assert new.outcome == old.outcome or old.outcome == "missing"


@pytest.mark.parametrize(("faults", "dollars"), [(0.0, 0.06), (0.3, 0.15)])
def test_the_budget_is_never_exceeded(tmp_path: Path, faults: float, dollars: float) -> None:
    pairs, honest = many(60)
    with Running(Service(faults=faults, slow=0.3, seed=5)) as service:
        judge = claude_judge(config_for(service, tmp_path, timeout=0.2, concurrency=8, max_usd=dollars))
        verdicts = judge.judge_all(pairs)
        assert service.billed_nano <= sum(books(judge)) <= dollars * 1e9
        given = [v for v in verdicts if v.outcome != "missing"]
        assert 0 < len(given) < len(pairs)
        assert any(f"budget of ${dollars:.2f}" in v.reason for v in verdicts)
        if not faults:
            assert service.billed_nano > 0.5 * dollars * 1e9, "what could be had for the money was had"
        assert all(v.outcome in ("missing", o) for v, o in zip(verdicts, honest, strict=True))
        other = claude_judge(config_for(service, tmp_path, max_usd=dollars))
        assert other.judge(*words("Something else follows.")).outcome == "missing", "the same file, the same budget"


def test_a_service_that_is_down_is_missing_in_time(tmp_path: Path) -> None:
    with Running(Service(faults=1.0, kinds=("529",), retry_after=None)) as service:
        judge = claude_judge(config_for(service, tmp_path, patience=0.8))
        started = time.monotonic()
        verdict = judge.judge(*words("It follows."))
        assert time.monotonic() - started < 3
        assert verdict.outcome == "missing" and "0.8 s" in verdict.reason and "529" in verdict.reason
        assert books(judge) == (0, 0)


def test_a_service_that_sends_rubbish_is_not_paid_for_ever(tmp_path: Path) -> None:
    with Running(Service(faults=1.0, kinds=("garbled", "no message", "dropped"))) as service:
        judge = claude_judge(config_for(service, tmp_path))
        verdict = judge.judge(*words("It follows."))
        assert verdict.outcome == "missing" and "4 calls" in verdict.reason and len(service.asked) == 4
        assert service.billed_nano <= books(judge)[0] <= 1_000_000_000


def test_a_retry_after_holds_everybody_back(tmp_path: Path) -> None:
    with Running(Service(faults=1.0, kinds=("429",), retry_after="0.5")) as service:
        judge = claude_judge(config_for(service, tmp_path, patience=1.2, concurrency=4))
        judge.judge_all(many(4)[0])
        assert len(service.asked) <= 12, "four at once, at most three times in 1.2 seconds"


def test_no_more_calls_at_once_than_allowed(tmp_path: Path) -> None:
    with Running(Service(faults=1.0, kinds=("slow",), slow=0.05)) as service:
        judge = claude_judge(config_for(service, tmp_path, concurrency=3))
        assert all(v.outcome != "missing" for v in judge.judge_all(many(12)[0]))
        assert service.most_at_once <= 3


def test_a_wrong_key_is_missing_at_once(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = claude_judge(config_for(service, tmp_path))

    def refuse(handler: Any, _body: Any, _fault: str) -> None:
        handler._error(401, "authentication_error")

    monkeypatch.setattr("tests.core.judge_server.Handler._answer", refuse)
    verdict = judge.judge(*words("It follows."))
    assert verdict.outcome == "missing" and "ANTHROPIC_API_KEY" in verdict.reason and len(service.asked) == 1


def test_ctrl_c_sends_nothing_more(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = claude_judge(config_for(service, tmp_path, concurrency=2))
    assert isinstance(judge.asker, Live)
    sent = judge.asker.service.send
    calls: list[int] = []

    def interrupted(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return sent(*given)

    monkeypatch.setattr(judge.asker.service, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        judge.judge_all(many(40)[0])
    assert len(service.asked) < 10


# --- before the first question --------------------------------------------------------------------------------


def test_the_papers_judge_is_dead_and_says_so(tmp_path: Path) -> None:
    with Running(Service(models={"claude-sonnet-5-5": "active"})) as service:
        config = config_for(service, tmp_path, model="claude-3-7-sonnet-20250219", price_in=3, price_out=15)
        with pytest.raises(ModelUnavailable, match="retired on 2026-02-19.*judge doctor"):
            claude_judge(config)
        service.models["claude-3-7-sonnet-20250219"] = "retired"
        with pytest.raises(ModelUnavailable, match="retired on 2026-02-19"):
            claude_judge(config)
        assert not service.asked


def test_without_a_key_a_price_or_an_address_there_is_no_judge(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="price of claude-nobody-1"):
        claude_judge(config_for(service, tmp_path, model="claude-nobody-1"))
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    monkeypatch.setitem(__import__("sys").modules, "keyring", None)
    with pytest.raises(ModelUnavailable, match="set ANTHROPIC_API_KEY"):
        claude_judge(config_for(service, tmp_path))
    monkeypatch.delenv("WHATNEXT_JUDGE_URL", raising=False)
    with pytest.raises(ConfigError, match="WHATNEXT_JUDGE_URL"):
        get_judge("server")


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"WHATNEXT_JUDGE_MODLE": "x"}, "no setting"),
        ({"WHATNEXT_JUDGE_VOTES": "0"}, "1 or more"),
        ({"WHATNEXT_JUDGE_VOTES": "two"}, "a number"),
        ({"WHATNEXT_JUDGE_SEES": "everything"}, "pictures or words"),
        ({"WHATNEXT_JUDGE_MAX_USD": "inf"}, "0.0 or more"),
        ({"WHATNEXT_JUDGE_PRICE_IN": "1"}, "both"),
    ],
)
def test_settings_that_make_no_sense_are_one_sentence(env: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        JudgeConfig.from_environment(env)


# --- other servers --------------------------------------------------------------------------------------------


def test_a_server_of_ones_own_judges_for_nothing(service: Service, tmp_path: Path) -> None:
    config = replace(config_for(service, tmp_path, model="qwen"), url=service.url + "/v1")
    judge = server_judge(config)
    verdict = judge.judge(BEFORE, Scene("", clip(40)))
    assert isinstance(verdict, Verdict) and verdict.outcome == "pass" and verdict.cost_usd == 0
    assert verdict.judge == "server:qwen" and "effort" not in verdict.template
    sent = service.asked[1]
    assert sent["response_format"]["json_schema"]["strict"] and sent["temperature"] == 0


def test_a_server_that_fails_costs_no_verdict(tmp_path: Path) -> None:
    pairs, honest = many(40)
    with Running(Service(faults=0.2, slow=0.4, seed=1)) as service:
        config = replace(config_for(service, tmp_path, model="qwen", timeout=0.3), url=service.url + "/v1")
        verdicts = server_judge(config).judge_all(pairs)
        assert sum(v.outcome == "missing" for v in verdicts) <= 2
        assert all(v.outcome in ("missing", o) for v, o in zip(verdicts, honest, strict=True))


def test_a_key_is_not_sent_in_the_clear(tmp_path: Path) -> None:
    far = JudgeConfig(url="http://judge.example/v1", model="x", file=tmp_path / "judge.db")
    with pytest.raises(ConfigError, match="in the clear"):
        ChatServer(far, Key("secret"))
    with pytest.raises(ConfigError, match="in the clear"):
        claude_judge(replace(far, url="http://proxy.example", model=""))
    with pytest.raises(ConfigError, match="WHATNEXT_JUDGE_KEY"):
        replace(far, url="https://me:secret@judge.example/v1")
    ChatServer(replace(far, url="https://judge.example/v1"), Key("secret"))
    ChatServer(replace(far, url="http://[::1]:8000/v1"), Key("secret"))
