"""Parquet as `datasets` and the Hub write it: rows that name a file, or that hold a picture or film inside them.

What lies inside is a struct {bytes, path} (the features Image and Video). Such a row is found again by its row group
and its place in that, since pages are packed; whoever wants its bytes reads that group only, page by page (which is as
large as its writer made it, with `datasets` often the whole group). To list rows, bytes are not read at all. Only this
module knows pyarrow (extra `parquet`). Knows nothing of rows' ids and of what is in the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nsp_core.errors import ConfigError, UnreadableMedia

NEEDED = "Reading Parquet needs pyarrow: pip install 'what-happens-next[parquet]'."
EMPTY = "-"  # instead of the hash of a row that holds no bytes
LISTED, UNPACKED = 1024, 8  # rows at a time: of words, of pictures and films
BUFFER = 1 << 20  # bytes; without one, pyarrow reads all of a group's column at once


class Place(NamedTuple):
    """Where bytes lie: the row group, the row in it, the column."""

    group: int
    row: int
    column: str


@dataclass(frozen=True)
class Line:
    """A row before its bytes were read. `path`: the file that it names; beside a `place` only a name. `fault`: why it
    is none."""

    about: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
    place: Place | None = None
    fault: str = ""


def lines(path: Path, paths: Sequence[str], told: Collection[str]) -> Iterator[Line]:
    """Rows in order: of a struct {bytes, path}, or of the first column of `paths`; `told` are columns given as they
    are. What cannot be read is one line with a fault, of the file or of a row group. Raises ConfigError without
    pyarrow."""
    try:
        with table(path) as file:
            schema = file.schema_arrow
            packed = column_of_bytes(schema, paths)
            named = next((name for name in paths if name in schema.names and is_text(schema.field(name).type)), None)
            light = [name for name in schema.names if name in told]
            if packed is None and named is None:
                yield Line(fault=f"it has no struct {{bytes, path}} and none of the columns {', '.join(paths)}")
                return
            for group in range(file.num_row_groups):
                try:
                    yield from lines_of_group(file, group, packed, named, light)
                except FAULTS as error:
                    yield Line(fault=f"row group {group} of it cannot be read: {said(error)}")
    except UnreadableMedia as error:
        yield Line(fault=str(error))


def lines_of_group(file: Any, group: int, packed: str | None, named: str | None, light: list[str]) -> Iterator[Line]:
    inside = packed is not None and not all_empty(file, group, f"{packed}.bytes")
    wanted = [*light]
    if packed is not None and file.schema_arrow.field(packed).type.get_field_index("path") >= 0:
        wanted.append(f"{packed}.path")
    elif named is not None and named not in wanted:
        wanted.append(named)
    number, count = 0, file.metadata.row_group(group).num_rows
    found: Iterator[dict[str, Any]] = (
        (line for batch in batches(file, group, wanted, LISTED) for line in batch.to_pylist())
        if wanted
        else ({} for _ in range(count))
    )
    for number, line in enumerate(found):
        where = (line.get(packed) or {}).get("path") if packed is not None else line.get(str(named))
        about = {name: line[name] for name in light}
        if inside:
            assert packed is not None
            yield Line(about, str(where or ""), Place(group, number, packed))
        elif where:
            yield Line(about, str(where))
        else:
            yield Line(fault=f"row {number} of row group {group} holds no bytes and names no file")


def unpack(path: Path, place: Place, target: Path) -> None:
    """Writes the row's bytes to `target`. Raises UnreadableMedia."""
    with table(path) as file:
        before, there = 0, place.group < file.num_row_groups
        for some in values_of(file, place.group, place.column) if there else ():
            if place.row < before + len(some):
                value = some[place.row - before]
                if not value.is_valid:
                    break
                with target.open("wb") as out:
                    out.write(value.as_buffer())
                return
            before += len(some)
    raise UnreadableMedia(f"Row {place.row} of row group {place.group} of {path.name} holds no bytes any more.")


def hashes(path: Path, places: Collection[Place]) -> dict[Place, str]:
    """SHA-256 of the bytes of rows, EMPTY of one that has none; what cannot be read is not among them. One pass over
    the row groups that are asked for, one of them in memory at most."""
    found: dict[Place, str] = {}
    with table(path) as file:
        for group, column in sorted({(place.group, place.column) for place in places}):
            row = 0
            try:
                for some in values_of(file, group, column):
                    for value in some:
                        if (place := Place(group, row, column)) in places:
                            data = value.as_buffer() if value.is_valid else b""
                            found[place] = hashlib.sha256(data).hexdigest() if len(data) else EMPTY
                        row += 1
            except FAULTS:
                continue
    return found


# -- pyarrow ----------------------------------------------------------------------------------------------------------
FAULTS = (OSError, ValueError, KeyError, TypeError, NotImplementedError, IndexError)  # pyarrow's own are among these


@contextmanager
def table(path: Path) -> Iterator[Any]:
    """Raises UnreadableMedia for what is no Parquet, also when that is found later, ConfigError without pyarrow."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ConfigError(NEEDED) from None
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # its own keeps what was freed, and workers have limits
    try:
        with ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
            yield file
    except FAULTS as error:
        raise UnreadableMedia(f"it is no Parquet file that can be read: {said(error)}") from error


def batches(file: Any, group: int, columns: list[str], rows: int) -> Iterator[Any]:
    yield from file.iter_batches(batch_size=rows, row_groups=[group], columns=columns, use_threads=False)


def values_of(file: Any, group: int, column: str) -> Iterator[Any]:
    """A group's bytes, a few rows at a time; the path beside them is not read."""
    for batch in batches(file, group, [f"{column}.bytes"], UNPACKED):
        yield batch.column(0).field("bytes")


def column_of_bytes(schema: Any, first: Sequence[str]) -> str | None:
    """The struct with bytes in it; of several, one with a usual name."""
    found = [f.name for f in schema if is_packed(f.type)]
    return next((name for name in first if name in found), found[0] if found else None)


def is_packed(kind: Any) -> bool:
    from pyarrow import types

    if not types.is_struct(kind) or (index := kind.get_field_index("bytes")) < 0:
        return False
    inner = kind.field(index).type
    return types.is_binary(inner) or types.is_large_binary(inner) or types.is_binary_view(inner)


def is_text(kind: Any) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def all_empty(file: Any, group: int, leaf: str) -> bool:
    """Whether a group says of itself that no row of it has bytes: then its paths are files."""
    told = file.metadata.row_group(group)
    for number in range(told.num_columns):
        column = told.column(number)
        if column.path_in_schema == leaf:
            counted = column.statistics
            return counted is not None and counted.has_null_count and counted.null_count == told.num_rows
    return False


def said(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
