"""What leaves this machine when a judge is asked, so that a page can say it before anybody presses a button.

Read from the settings alone: nothing is loaded, no service is asked. Knows nothing of pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from nsp_core.judges.config import JudgeConfig, claude_defaults, is_here

STAYING = ("local", "picturebook")  # judges of this project that need no network


@dataclass(frozen=True)
class Leaving:
    """`pictures` 0: the scene's own words go instead of pictures. `most_usd` None: nothing is known to be billed."""

    host: str
    model: str
    pictures: int
    longest: int
    most_usd: float | None


def what_leaves(judge: str, config: JudgeConfig) -> Leaving | None:
    """None when nothing does. Raises LookupError for a judge of another package, of which nothing is known here."""
    if judge in STAYING:
        return None
    if judge not in ("claude", "server"):
        raise LookupError(judge)
    if judge == "claude":
        config = claude_defaults(config)
    host = urlsplit(config.url).hostname or config.url
    if is_here(host):
        return None
    pictures = config.pictures if config.sees == "pictures" else 0
    billed = judge == "claude" or config.price_in > 0 or config.price_out > 0
    return Leaving(host, config.model, pictures, config.longest, config.max_usd if billed else None)
