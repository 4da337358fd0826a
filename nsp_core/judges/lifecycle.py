"""Which Claude models are alive: asked of the service, else read from the SDK's own list. Costs nothing.

Knows nothing of judging. The paper's judge is among the dead.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from nsp_core.errors import ModelUnavailable

log = logging.getLogger(__name__)

PAPERS_JUDGE = "claude-3-7-sonnet-20250219"  # arXiv 2512.13015, supplement 13: "the Claude 3.7 Sonnet model"
State = Literal["active", "deprecated", "retired", "unknown"]
_PATIENCE = 15.0
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


@dataclass(frozen=True)
class Life:
    """`retires`: the day of a model's end, past or to come, where one is known. `source`: who says so."""

    model: str
    state: State
    retires: date | None = None
    source: Literal["service", "sdk"] = "service"
    effort: bool | None = None  # whether it takes an effort; None: not told
    structured: bool | None = None


def known_to_sdk(today: date | None = None) -> list[Life]:
    """Every model that the installed SDK names, with the ends that it knows of; as old as the SDK."""
    import anthropic
    from anthropic.resources.messages.messages import DEPRECATED_MODELS

    today = today or date.today()
    literal = get_args(anthropic.types.Model)[0]
    found = []
    for model in dict.fromkeys([*get_args(literal), *DEPRECATED_MODELS]):
        end = _day(DEPRECATED_MODELS.get(model, ""))
        state: State = "active" if end is None else "retired" if end <= today else "deprecated"
        found.append(Life(model, state, end, "sdk"))
    return found


def known_to_service(client: Any) -> list[Life]:
    """Those that this key may call. Raises what the SDK raises."""
    return [_life(one) for one in client.with_options(timeout=_PATIENCE).models.list(limit=100)]


def life_of(client: Any, model: str) -> Life:
    """As the service says; as the SDK says when the service cannot be reached."""
    import anthropic

    told = next((life for life in known_to_sdk() if life.model == model), Life(model, "unknown", None, "sdk"))
    if client is None:
        return told
    try:
        return _life(client.with_options(timeout=_PATIENCE, max_retries=2).models.retrieve(model))
    except anthropic.NotFoundError:
        return Life(model, "retired", told.retires) if told.state == "retired" else Life(model, "unknown")
    except anthropic.AnthropicError as error:
        log.warning("the service does not say whether %s is alive (%s)", model, type(error).__name__)
        return told


def check_alive(client: Any, model: str) -> Life:
    """Raises ModelUnavailable for a model that nobody can call any more, naming one that can be."""
    life = life_of(client, model)
    if life.state == "retired" or (life.state == "unknown" and life.source == "service"):
        since = f"was retired on {life.retires}" if life.retires else "cannot be called with this key"
        raise ModelUnavailable(
            f"The model {model} {since}: set WHATNEXT_JUDGE_MODEL to one that `python launch.py judge doctor` lists."
        )
    if life.state == "deprecated":
        log.warning("the judge's model %s will be retired%s", model, f" on {life.retires}" if life.retires else "")
    return life


def _life(info: Any) -> Life:
    told = getattr(info, "lifecycle", None)  # services in between may leave it out: what is listed can be called
    state: State = told if told in ("active", "deprecated", "retired") else "active"
    end: datetime | None = getattr(info, "retires_at", None)
    can = getattr(info, "capabilities", None)
    return Life(
        info.id,
        state,
        None if end is None else end.date(),
        "service",
        None if can is None else bool(can.effort.supported),
        None if can is None else bool(can.structured_outputs.supported),
    )


def _day(text: str) -> date | None:
    """ "February 19th, 2026" as the SDK writes it; month names in English whatever the machine's language."""
    words = text.replace(",", "").split()
    if len(words) != 3 or words[0] not in _MONTHS:
        return None
    return date(int(words[2]), _MONTHS.index(words[0]) + 1, int(words[1].rstrip("stndrh")))
