"""Judges by name: those of this package, and what others add by the entry point group `whatnext.judges`.

An entry point names a class (or function) that is called without arguments. Nothing is loaded before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

from nsp_core.errors import ConfigError, ModelUnavailable
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.verdict import CausalJudge

GROUP = "whatnext.judges"
# known without an installed package, too, because a checkout can be run as it is
OURS = {
    "claude": "nsp_core.judges.claude:claude_judge",
    "local": "nsp_core.judges.local:local_judge",
    "server": "nsp_core.judges.server:server_judge",
}


def judge_names(declared: Mapping[str, str] | None = None) -> tuple[str, ...]:
    return tuple(sorted(_table(declared)))


def get_judge(name: str, declared: Mapping[str, str] | None = None, config: JudgeConfig | None = None) -> CausalJudge:
    """A new judge of that name. `config` is for those of this package; without one they read the environment.

    `declared` adds names ("module:attribute") that no installed package announces: those of a plain checkout.
    """
    table = _table(declared)
    if name not in table:
        known = ", ".join(sorted(table)) or "none (install the package, or one that brings a judge)"
        raise ConfigError(f"There is no judge '{name}'; known judges: {known}.")
    try:
        make = table[name].load()
        made = make() if config is None or name not in OURS else make(config)
    except (ImportError, AttributeError) as error:
        raise ModelUnavailable(f"The judge '{name}' ({table[name].value}) can't be loaded: {error}.") from error
    if not isinstance(made, CausalJudge):
        raise ConfigError(f"'{table[name].value}' is no judge: it needs a `name` and `judge(context, scene)`.")
    return made


def _table(declared: Mapping[str, str] | None) -> dict[str, EntryPoint]:
    table = {name: EntryPoint(name, value, GROUP) for name, value in (OURS | dict(declared or {})).items()}
    table.update({point.name: point for point in entry_points(group=GROUP)})
    return table
