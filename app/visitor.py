"""Who asks, while a request is answered: the name of a session, "" for the person at this machine and for the program.

The gate sets it, whoever limits what one visitor may do reads it; it follows the request into its threads. Where people
have accounts (app.accounts), the account stands beside it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Account:
    """Whose stories a request may see. A guest's `subject` is made up and forgotten with the session; `name` is for
    reading only, an account may change it."""

    kind: Literal["guest", "account"]
    subject: str
    name: str = ""

    @property
    def is_guest(self) -> bool:
        return self.kind == "guest"


visitor: ContextVar[str] = ContextVar("visitor", default="")
account: ContextVar[Account | None] = ContextVar("account", default=None)
