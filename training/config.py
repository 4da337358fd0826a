"""Strict, typed YAML: one file a run, an unknown key is an error with a suggestion, `a.b=c` overrides.

Knows nothing of what is configured: a stage defines its own frozen dataclass and calls `load`.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from nsp_core.errors import ConfigError

T = TypeVar("T")


def load(cls: type[T], path: Path, overrides: list[str] | None = None) -> T:
    """Read `path` into the dataclass `cls`. Raises ConfigError naming the key, the rule and the remedy."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"The config {path} can't be read ({error}); give the path of a YAML file.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"The config {path} must hold `key: value` lines, got {type(values).__name__}.")
    for override in overrides or []:
        apply_override(values, override)
    return build(cls, values)


def build(cls: type[T], values: dict[str, Any], prefix: str = "") -> T:
    """Build the (nested) dataclass `cls` from plain values, checking names and types."""
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f" Did you mean '{prefix}{near[0]}'?" if near else f" Known keys: {', '.join(known)}."
            raise ConfigError(f"Unknown config key '{prefix}{key}'.{hint}")
    missing = [
        n
        for n, f in known.items()
        if n not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"The config lacks '{prefix}{missing[0]}'; add it.")
    return cls(**{k: _convert(hints[k], v, prefix + k) for k, v in values.items()})


def to_dict(config: Any) -> dict[str, Any]:
    """The resolved config as plain values, for the file that is kept beside every result."""
    return typing.cast(dict[str, Any], _plain(dataclasses.asdict(config)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def apply_override(values: dict[str, Any], override: str) -> None:
    """Put `a.b=c` into nested values. Raises ConfigError for what is not written so."""
    key, sep, text = override.partition("=")
    if not sep or not key:
        raise ConfigError(f"An override is written key=value (got '{override}').")
    *parents, last = key.split(".")
    node = values
    for parent in parents:
        node = node.setdefault(parent, {})
        if not isinstance(node, dict):
            raise ConfigError(f"'{parent}' in '{override}' is a value, not a section.")
    node[last] = yaml.safe_load(text)


def _convert(hint: Any, value: Any, name: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ConfigError(f"'{name}' is a section of keys, got {value!r}.")
        return build(hint, value, name + ".")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        return _convert(next(a for a in args if a is not type(None)), value, name)
    if origin is tuple and isinstance(value, (list, tuple)):
        inner = args[0] if len(args) == 2 and args[1] is Ellipsis else None
        return tuple(_convert(inner or args[i], v, name) for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return value
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(hint, type) and type(value) is hint:
        return value
    if hint is Any:
        return value
    if origin is typing.Literal and value in args:
        return value
    allowed = " | ".join(map(str, args)) if origin is typing.Literal else getattr(hint, "__name__", str(hint))
    raise ConfigError(f"'{name}' must be {allowed}, got {value!r}.")
