"""Where this program keeps what is a person's own, when nobody says otherwise.

Knows nothing of what lies there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def default_data_dir() -> Path:
    """The platform's own folder for a program's data."""
    from platformdirs import user_data_path

    return user_data_path("what-happens-next", appauthor=False)


def locks_dir(data_dir: Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """The folder of the locks of `data_dir`; None: of the one that WHATNEXT_DATA names, or the platform's."""
    named = (os.environ if env is None else env).get("WHATNEXT_DATA")
    return (data_dir or (Path(named) if named else default_data_dir())).expanduser() / "locks"
