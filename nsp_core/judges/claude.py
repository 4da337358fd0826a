"""Claude as a judge's service, through the anthropic SDK 2.x. Registered as "claude" (entry point `claude_judge`).

The SDK's own retries are off: `calls` decides what is tried again, because the SDK forgets long waits and knows no
budget. No sampling settings are sent, which newer models refuse. Knows nothing of stories.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from nsp_core.errors import ConfigError, ModelUnavailable
from nsp_core.judges.asking import Ask, Busy, GiveUp, Reply, Unclear
from nsp_core.judges.calls import Live
from nsp_core.judges.config import JudgeConfig, claude_defaults, is_here
from nsp_core.judges.ledger import Ledger
from nsp_core.judges.lifecycle import check_alive
from nsp_core.judges.limiter import Limiter, seconds_of
from nsp_core.judges.paper import PaperJudge
from nsp_core.judges.prices import NANO, price_of
from nsp_core.keys import SERVICE, key

KEY = "ANTHROPIC_API_KEY"
_TRY_AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)


class Claude:
    """One call is one message. Raises ModelUnavailable without a key, ConfigError for a model of unknown price."""

    def __init__(self, config: JudgeConfig, client: Any = None) -> None:
        self.config = claude_defaults(config)
        self.price = price_of(self.config, self.config.model)
        self.client = client if client is not None else client_of(self.config)
        self.signature: Mapping[str, Any] = {
            "service": "anthropic",
            "url": self.config.url,
            "model": self.config.model,
            "effort": self.config.effort,
            "max_tokens": self.config.max_tokens,
        }

    def params(self, ask: Ask) -> dict[str, Any]:
        """The body of a message, live or in a batch: pictures first, then the words."""
        shown = [
            {
                "type": "image",
                "source": {
                    "type": "base64",
                    "media_type": "image/jpeg",
                    "data": base64.b64encode(picture.jpeg).decode(),
                },
            }
            for picture in ask.pictures
        ]
        output: dict[str, Any] = {"format": {"type": "json_schema", "schema": dict(ask.schema)}}
        if self.config.effort != "none":
            output["effort"] = self.config.effort
        return {
            "model": self.config.model,
            "max_tokens": self.config.max_tokens,
            "messages": [{"role": "user", "content": [*shown, {"type": "text", "text": ask.text}]}],
            "output_config": output,
        }

    def send(self, ask: Ask, timeout: float, limiter: Limiter) -> Reply:
        import anthropic

        client = self.client.with_options(timeout=timeout, max_retries=0)
        try:
            raw = client.messages.with_raw_response.create(**self.params(ask))
        except anthropic.APIStatusError as error:
            limiter.observe(error.response.headers)
            raise _failed(error) from None
        except anthropic.APIConnectionError as error:  # timeouts, too
            raise Unclear(f"the connection failed ({type(error).__name__})") from None
        limiter.observe(raw.headers)
        try:
            message = raw.parse()
            return self.read(message)
        except (anthropic.AnthropicError, ValueError, TypeError, AttributeError):
            raise Unclear("the service sent something that is no message") from None

    def read(self, message: Any, *, batch: bool = False) -> Reply:
        """The answer of a finished message, with what it costs. A refusal or a cut-off answer is none."""
        usage = message.usage
        read = usage.input_tokens + (usage.cache_read_input_tokens or 0)
        written_to_cache = 1.25 * (usage.cache_creation_input_tokens or 0)
        cost = self.price.nano(read + written_to_cache, usage.output_tokens, batch=batch)
        if message.stop_reason == "refusal":
            category = getattr(message.stop_details, "category", None)
            return Reply(None, cost, "the judge refused to answer" + (f" ({category})" if category else ""))
        if message.stop_reason == "max_tokens":
            return Reply(None, cost, "the answer was cut off: raise WHATNEXT_JUDGE_MAX_TOKENS")
        if message.stop_reason != "end_turn":
            return Reply(None, cost, f"the answer ended early ({message.stop_reason})")
        return Reply("".join(block.text for block in message.content if block.type == "text"), cost)


def _failed(error: Any) -> Exception:
    status = error.status_code
    if status in _TRY_AGAIN or status >= 500:
        wait = seconds_of(error.response.headers.get("retry-after"))
        return Busy(f"the service answered with error {status}", wait, everybody=status == 429 and wait is not None)
    told = error.body.get("error", {}).get("message", "") if isinstance(error.body, dict) else ""
    hint = {401: f": check {KEY}", 402: ": the account has no credit left", 403: f": check the rights of {KEY}"}
    return GiveUp(f"the service refuses the question (error {status}){hint.get(status) or f': {told}' if told else ''}")


def client_of(config: JudgeConfig) -> Any:
    """Raises ModelUnavailable when there is no key, ConfigError for an address that would show it. Nothing else that
    the SDK could find by itself is used."""
    found = key(KEY)
    if found is None:
        raise ModelUnavailable(
            f"The judge 'claude' needs a key: set {KEY} in the environment, or `keyring set {SERVICE} {KEY}`."
        )
    parts = urlsplit(config.url)
    if parts.scheme != "https" and not is_here(parts.hostname or ""):
        raise ConfigError(f"A key is not sent in the clear to {parts.hostname}: use an address with https://.")
    import anthropic

    return anthropic.Anthropic(api_key=found.reveal(), base_url=config.url, max_retries=0, timeout=config.timeout)


def claude_judge(config: JudgeConfig | None = None) -> PaperJudge:
    """Ready to be asked: the key is there and the model is alive. Raises ModelUnavailable and ConfigError."""
    service = Claude(config or JudgeConfig.from_environment())
    life = check_alive(service.client, service.config.model)
    if life.effort is False:
        service = Claude(replace(service.config, effort="none"), service.client)
    ledger = Ledger(service.config.path, round(service.config.max_usd * NANO), keep_answers=service.config.keep_answers)
    return PaperJudge(f"claude:{service.config.model}", Live(service, ledger, service.config), service.config)
