"""Who asks, while a request is answered: the name of a session, "" for the person at this machine and for the program.

The gate sets it, whoever limits what one visitor may do reads it; it follows the request into its threads.
"""

from __future__ import annotations

from contextvars import ContextVar

visitor: ContextVar[str] = ContextVar("visitor", default="")
