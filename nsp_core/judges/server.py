"""Any server that speaks like OpenAI's chat completions, as a judge: vLLM, llama.cpp, SGLang, Ollama and others.

Registered as "server"; WHATNEXT_JUDGE_URL (such as http://127.0.0.1:8000/v1) and WHATNEXT_JUDGE_MODEL say which. Its
key, if it wants one, is WHATNEXT_JUDGE_KEY. Standard library only. Knows nothing of stories.
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from nsp_core.errors import ConfigError
from nsp_core.judges.asking import Ask, Busy, GiveUp, Reply, Unclear
from nsp_core.judges.calls import Live
from nsp_core.judges.config import JudgeConfig, is_here
from nsp_core.judges.ledger import Ledger
from nsp_core.judges.limiter import Limiter, seconds_of
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.prices import NANO, price_of
from nsp_core.keys import Key, key

KEY = "WHATNEXT_JUDGE_KEY"
VOTE_TEMPERATURE = 0.7  # of several votes; a single one is greedy
_MOST_BYTES = 4_000_000  # of an answer


class ChatServer:
    """Costs nothing unless prices are set. Raises ConfigError without an address and a model."""

    def __init__(self, config: JudgeConfig, secret: Key | None = None) -> None:
        parts = urlsplit(config.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                "The judge 'server' needs the address of one: set WHATNEXT_JUDGE_URL, such as http://127.0.0.1:8000/v1."
            )
        if not config.model:
            raise ConfigError("The judge 'server' needs to know which model to ask: set WHATNEXT_JUDGE_MODEL.")
        if secret is not None and parts.scheme == "http" and not is_here(parts.hostname):
            raise ConfigError(f"A key is not sent in the clear to {parts.hostname}: use an address with https://.")
        self.config, self._secret = config, secret
        self.price = price_of(config, config.model, free=True)
        self.signature: Mapping[str, Any] = {
            "service": "chat",
            "url": config.url,
            "model": config.model,
            "max_tokens": config.max_tokens,
            "greedy": config.votes == 1,
        }

    def body(self, ask: Ask) -> dict[str, Any]:
        content: list[dict[str, Any]] = [
            {
                "type": "image_url",
                "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(one.jpeg).decode()},
            }
            for one in ask.pictures
        ]
        content.append({"type": "text", "text": ask.text})
        schema = {"name": "answer", "strict": True, "schema": dict(ask.schema)}
        return {
            "model": self.config.model,
            "messages": [{"role": "user", "content": content}],
            "response_format": {"type": "json_schema", "json_schema": schema},
            "max_tokens": self.config.max_tokens,
            "temperature": 0.0 if self.config.votes == 1 else VOTE_TEMPERATURE,
            "seed": ask.vote,
        }

    def send(self, ask: Ask, timeout: float, limiter: Limiter) -> Reply:  # noqa: ARG002 - such servers tell no limits
        headers = {"Content-Type": "application/json"}
        if self._secret is not None:
            headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        url = self.config.url.rstrip("/") + "/chat/completions"
        request = urllib.request.Request(url, json.dumps(self.body(ask)).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                text = response.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (408, 409, 429) or error.code >= 500:
                    wait = seconds_of(error.headers.get("retry-after"))
                    busy = Busy(f"the server answered with error {error.code}", wait, everybody=error.code == 429)
                    raise busy from None
                raise GiveUp(f"the server refuses the question (error {error.code})") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unclear(f"the connection failed ({type(error).__name__})") from None
        try:
            return self._read(json.loads(text))
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            raise Unclear("the server sent something that is no answer") from None

    def _read(self, answer: Any) -> Reply:
        usage = answer.get("usage") or {}
        cost = self.price.nano(int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))
        choice = answer["choices"][0]
        if choice["message"].get("refusal"):
            return Reply(None, cost, "the judge refused to answer")
        if choice.get("finish_reason") == "length":
            return Reply(None, cost, "the answer was cut off: raise WHATNEXT_JUDGE_MAX_TOKENS")
        if choice.get("finish_reason") not in ("stop", None):
            return Reply(None, cost, f"the answer ended early ({choice['finish_reason']})")
        return Reply(str(choice["message"]["content"]), cost)


def server_judge(config: JudgeConfig | None = None) -> PaperJudge:
    config = config or JudgeConfig.from_environment()
    service = ChatServer(config, key(KEY))
    ledger = Ledger(config.path, round(config.max_usd * NANO), keep_answers=config.keep_answers)
    return PaperJudge(f"server:{config.model}", Live(service, ledger, config), config)
