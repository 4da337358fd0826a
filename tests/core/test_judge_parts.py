"""What network judges are made of: the paper's words, ledger, limiter, prices, lifecycles; and the local judge."""

from __future__ import annotations

import copy
import hashlib
import re
import sqlite3
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nsp_core.errors import ConfigError
from nsp_core.judges import get_judge, local, templates
from nsp_core.judges.asking import Ask, object_schema, pictures_of, read_fields
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.ledger import BudgetSpent, Ledger
from nsp_core.judges.lifecycle import PAPERS_JUDGE, known_to_sdk
from nsp_core.judges.limiter import Limiter
from nsp_core.judges.local import LocalJudge
from nsp_core.judges.paper import VERDICT_SCHEMA
from nsp_core.judges.prices import estimate, most_input, price_of
from nsp_core.judges.weighing import caption_of, chances
from nsp_core.model import build
from nsp_core.model.vision_language import Prompt, prepare
from nsp_core.types import Scene, StoryContext
from tests.core import golden


# --- words ----------------------------------------------------------------------------------------------------
def test_the_papers_words_are_frozen() -> None:
    """Compared without line breaks, which are those of the paper's columns. A new hash needs a new TEMPLATE_VERSION."""
    texts = (templates.CAUSAL_CONSISTENCY, templates.PRECEDING_DESCRIPTION, templates.VERIFICATION, templates.CAPTION)
    plain = "\n".join(re.sub(r"\s+", " ", text).strip() for text in texts)
    found = hashlib.sha256(plain.encode()).hexdigest()[:16]
    assert (templates.TEMPLATE_VERSION, found) == (1, "4052f1875cfb49a3")


def test_a_story_that_looks_like_a_template_stays_a_story() -> None:
    text = templates.fill("10.1", "He wrote {caption}.", "a {scene_description} in {braces}")
    assert "Scene Description: He wrote {caption}.\nCaption: a {scene_description} in {braces}\n" in text
    assert templates.fill("11.1", "a", "b").endswith("Scene Description: a\nCaption: b\nOutput:\nVerdict: Pass / Fail")


NO_ANSWERS = (
    "",
    "Pass",
    "[]",
    '{"verdict": "Pass"}',
    '{"reason": 1, "verdict": "Pass"}',
    '{"reason": "", "verdict": "pass"}',
    '{"reason": "", "verdict": "Pass", "more": ""}',
    '{"reason": "", "verdict": "Pass"} or so',
)


@pytest.mark.parametrize("text", NO_ANSWERS)
def test_nothing_is_guessed_from_an_answer_of_another_form(text: str) -> None:
    assert read_fields(text, VERDICT_SCHEMA) is None


def test_a_key_is_the_content() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (9, 96, 160, 3), np.uint8)
    other = frames.copy()
    other[4] = 0
    schema = object_schema(caption={"type": "string"})

    def key(shown: np.ndarray, text: str = "x", vote: int = 0, model: str = "m") -> str:
        return Ask(text, schema, pictures_of(shown, 3, 512), vote).key({"model": model})

    assert key(frames) == key(frames.copy())
    keys = {key(frames), key(other), key(frames, "y"), key(frames, vote=1), key(frames, model="n")}
    assert len(keys) == 5


def test_pictures_are_spread_over_the_clip_and_made_small() -> None:
    frames = np.stack([np.full((480, 832, 3), i * 10, np.uint8) for i in range(17)])
    pictures = pictures_of(frames, 5, 416)
    assert [(one.width, one.height) for one in pictures] == [(416, 240)] * 5
    assert len(pictures_of(frames[:2], 6, 416)) == 2


# --- money ----------------------------------------------------------------------------------------------------
def test_money_is_exact_and_survives_everything(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "judge.db", 1000)
    first, second = ledger.reserve(600), ledger.reserve(400)
    with pytest.raises(BudgetSpent, match="MAX_USD"):
        ledger.reserve(1)
    ledger.settle(first, 100, "k", '{"a": "b"}')
    ledger.release(second)
    other = Ledger(tmp_path / "judge.db", 1000)
    assert (other.balance().spent, other.balance().reserved, other.answer("k")) == (100, 0, '{"a": "b"}')
    other.reserve(900)
    with pytest.raises(BudgetSpent):
        ledger.reserve(1)
    other.forget_answers()
    assert ledger.answer("k") is None and ledger.balance().spent == 100


def test_many_threads_and_two_openings_do_not_overspend(tmp_path: Path) -> None:
    ledgers = [Ledger(tmp_path / "judge.db", 100) for _ in range(2)]
    taken: list[int] = []

    def take(ledger: Ledger) -> None:
        for _ in range(20):
            try:
                taken.append(ledger.reserve(3))
            except BudgetSpent:
                return

    threads = [threading.Thread(target=take, args=(ledgers[i % 2],)) for i in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(taken) == 33 and ledgers[0].balance().reserved == 99


def test_words_are_kept_only_when_asked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "judge.db", 100, keep_answers=False)
    ledger.settle(ledger.reserve(5), 4, "k", '{"caption": "my cat"}')
    ledger.close()
    assert b"my cat" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, but long enough to be read as one " * 20)
    with sqlite3.connect(tmp_path / "strange.db") as strange:
        strange.execute("CREATE TABLE story (words TEXT)")
    for name in ("text", "strange.db"):
        with pytest.raises(ConfigError, match="name another one"):
            Ledger(tmp_path / name, 1)


def test_prices_and_bounds() -> None:
    price = price_of(JudgeConfig(), "claude-haiku-4-5-20251001")
    assert (price.input, price.output) == (1.0, 5.0)
    assert price.nano(1_000_000, 0) == 1_000_000_000 and price.nano(0, 1_000_000, batch=True) == 2_500_000_000
    with pytest.raises(ConfigError):
        price_of(JudgeConfig(), "claude-haiku-4-5-nano")
    ask = Ask("Ünder" * 100, {})
    assert most_input(ask) >= 600
    guess = estimate(price, [(ask, 50)], 1000, 2000, batch=False)
    assert guess.calls == 1000 and 0 < guess.likely < guess.most


# --- pace -----------------------------------------------------------------------------------------------------
def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def test_requests_a_minute_are_kept() -> None:
    limiter = Limiter(8, requests=600)
    limiter.observe({"anthropic-ratelimit-requests-limit": "600", "anthropic-ratelimit-requests-remaining": "2"})
    started = time.monotonic()
    for _ in range(6):
        assert limiter.enter(0, 0, soon())
        limiter.leave()
    assert 0.35 <= time.monotonic() - started < 1.5, "two at once, then one each tenth of a second"


def test_headers_tell_what_nobody_set() -> None:
    limiter = Limiter(4)
    assert limiter.enter(10**9, 0, soon(0)), "nothing is known yet"
    headers = {"anthropic-ratelimit-input-tokens-limit": "60000", "anthropic-ratelimit-input-tokens-remaining": "1000"}
    limiter.observe(headers)
    assert limiter.enter(900, 0, soon(0.05))
    assert not limiter.enter(900, 0, soon(0.2)), "the second one would need most of a second"
    limiter.observe({"anthropic-ratelimit-input-tokens-limit": "what", "anthropic-ratelimit-requests-limit": "-3"})
    assert limiter.enter(0, 0, soon(0.05))


def test_what_a_person_set_is_not_raised_by_headers() -> None:
    limiter = Limiter(4, requests=60)
    limiter.observe({"anthropic-ratelimit-requests-limit": "4000", "anthropic-ratelimit-requests-remaining": "0"})
    assert not limiter.enter(0, 0, soon(0.3))


def test_a_reset_is_waited_for_by_the_services_own_clock() -> None:
    limiter = Limiter(4)
    kind = "anthropic-ratelimit-requests"
    headers = {f"{kind}-limit": "60000", f"{kind}-remaining": "0", f"{kind}-reset": "2031-05-01T10:00:01Z"}
    limiter.observe({**headers, "date": "Thu, 01 May 2031 10:00:00 GMT"})
    assert not limiter.enter(0, 0, soon(0.5))
    assert limiter.enter(0, 0, soon(2))


def test_a_place_is_waited_for() -> None:
    limiter = Limiter(1)
    assert limiter.enter(0, 0, soon())
    assert not limiter.enter(0, 0, soon(0.05))
    threading.Timer(0.1, limiter.leave).start()
    assert limiter.enter(0, 0, soon(2))


# --- lives ----------------------------------------------------------------------------------------------------
def test_the_sdk_knows_the_dead() -> None:
    lives = {life.model: life for life in known_to_sdk(date(2026, 11, 21))}
    assert (lives[PAPERS_JUDGE].state, lives[PAPERS_JUDGE].retires) == ("retired", date(2026, 2, 19))
    assert lives["claude-sonnet-5-5"].state == "active"
    assert lives["claude-sonnet-4-5"].state == "deprecated"
    later = {life.model: life.state for life in known_to_sdk(date(2027, 1, 1))}
    assert later["claude-sonnet-4-5"] == "retired"


# --- the reader as a judge ------------------------------------------------------------------------------------
BEFORE = StoryContext((Scene("The sun shines."),))


WORDS = ["Verdict: Pass / Fail", "Verdict: Pass", "Verdict: Fail", "Pass", "Fail", "The sun shines. It rains."]


@pytest.fixture(scope="module")
def pipeline() -> Any:
    made = build.tiny_pipeline([*WORDS, templates.CAUSAL_CONSISTENCY] * 8)
    made.register_to_config(dialect="paper")
    made.vision_language.eval()
    return made


def whole_logits(pipeline: Any, text: str, answer: str) -> torch.Tensor:
    """Of the token after `answer`, by the plainest way: everything read at once, as one line of text."""
    inputs = prepare(pipeline.processor, [Prompt(text)])["input_ids"]
    ids = torch.cat([inputs, pipeline.processor.tokenizer(answer, return_tensors="pt")["input_ids"]], 1)
    place = torch.arange(ids.shape[1])[None].expand(3, 1, -1)
    return pipeline.vision_language(input_ids=ids, position_ids=place, use_cache=False).logits[0, -1]


def token(pipeline: Any, word: str) -> int:
    (found,) = pipeline.processor.tokenizer(word)["input_ids"]
    return int(found)


def test_chances_are_those_of_the_next_token(pipeline: Any) -> None:
    passed, failed = chances(pipeline.vision_language, pipeline.processor, Prompt("Does it follow?"))
    with torch.no_grad():
        likely = whole_logits(pipeline, "Does it follow?", "Verdict:").softmax(-1)
    tokens = [token(pipeline, word) for word in (" Pass", "Pass")]
    assert passed == pytest.approx(float(likely[tokens].sum()), rel=1e-4)
    tokens = [token(pipeline, word) for word in (" Fail", "Fail")]
    assert failed == pytest.approx(float(likely[tokens].sum()), rel=1e-4)


def test_a_reader_that_would_say_something_else_gives_no_verdict(pipeline: Any) -> None:
    verdict = LocalJudge(pipeline).judge(BEFORE, Scene("It rains."))
    assert (verdict.outcome, verdict.reason) == ("missing", "the answer was not a verdict")
    assert pipeline.judge(BEFORE, Scene("It rains.")).outcome == "missing"


def test_a_reader_that_has_learnt_it_judges_words_and_pictures(pipeline: Any) -> None:
    pipeline = copy.deepcopy(pipeline)
    model = pipeline.vision_language.train()
    lessons = {"It rains.": " Pass", "The sun shines.": " Fail"}
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(25):
        losses = [
            torch.nn.functional.cross_entropy(
                whole_logits(pipeline, templates.fill("10.1", "The sun shines.", words), "Verdict:")[None],
                torch.tensor([token(pipeline, wanted)]),
            )
            for words, wanted in lessons.items()
        ]
        optimizer.zero_grad()
        sum(losses).backward()
        optimizer.step()
    model.eval()
    judge = LocalJudge(pipeline)
    rains, shines = (judge.judge(BEFORE, Scene(words)) for words in lessons)
    assert (rains.outcome, shines.outcome) == ("pass", "fail")
    assert rains.score is not None and shines.score is not None and rains.score > 0.7 > 0.3 > shines.score
    assert rains.judge.startswith("local:") and rains.template == "10.1 v1, P(Pass) v1" and rains.cost_usd == 0
    own = pipeline.judge(BEFORE, Scene("It rains."))
    assert (own.outcome, own.score) == ("pass", rains.score) and own.judge.startswith("own:")
    seen = judge.judge(BEFORE, Scene("Words that nobody reads.", golden.last_clip()))
    caption = caption_of(pipeline, Scene("", golden.last_clip()))
    assert caption and seen.outcome != "missing" and caption in seen.reason and "nobody" not in seen.reason


def test_the_local_judge_loads_a_big_models_folder_and_no_starters(pipeline: Any, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "big")
    judge = get_judge("local", config=JudgeConfig(model=str(tmp_path / "big")))
    assert judge.name.startswith("local:") and judge.judge(BEFORE, Scene("It rains.")).judge == judge.name
    pipeline.register_to_config(dialect="starter")
    pipeline.save_pretrained(tmp_path / "small")
    pipeline.register_to_config(dialect="paper")
    with pytest.raises(ConfigError, match="has not learnt"):
        get_judge("local", config=JudgeConfig(model=str(tmp_path / "small")))


def test_the_local_judge_says_what_it_lacks(pipeline: Any) -> None:
    judge = LocalJudge(pipeline)
    assert judge.judge(StoryContext(), Scene("It rains.")).outcome == "missing"
    assert judge.judge(BEFORE, Scene("")).outcome == "missing"
    assert "160" in judge.judge(BEFORE, Scene("", np.zeros((2, 8, 8, 3), np.uint8))).reason
    bytes_only = build.tiny_pipeline(["abc"])
    assert "Pass from Fail" in LocalJudge(bytes_only).judge(BEFORE, Scene("It rains.")).reason
    with pytest.raises(ConfigError, match="WHATNEXT_JUDGE_MODEL"):
        local.local_judge(JudgeConfig())
