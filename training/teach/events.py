"""What the command says while it works: a line for a person, or a JSON object a line for a page that runs it.

    {"event": "stage"|"progress"|"preview"|"done"|"problem", ...}

Knows nothing of what is told.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

Tell = Callable[..., None]  # (event, **fields)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def as_json(event: str, **fields: Any) -> None:
    say(json.dumps({"event": event, **fields}, ensure_ascii=False))


def as_lines(event: str, **fields: Any) -> None:
    """For a terminal; stages are told once, at their end."""
    if event == "stage":
        if fields.get("done") == fields.get("of"):
            say(f"{fields['stage']}: {fields.get('of') or fields.get('message') or '...'}")
    elif event == "progress":
        held_out = "" if fields["held_out"] is None else f", held-out clips {fields['held_out']:.4f}"
        left = "" if fields["seconds_left"] is None else f", {fields['seconds_left'] / 60:.1f} min left"
        say(f"step {fields['step']} of {fields['steps']}: loss {fields['loss']:.4f}{held_out}{left}")
    elif event == "preview":
        say(f"drawn: {fields['file']}")
    elif "message" in fields:
        say(fields["message"])


def quiet(event: str, **fields: Any) -> None:
    """Tells nobody."""
