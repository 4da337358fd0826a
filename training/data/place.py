"""Where a source row's bytes are: a file, or a part of a tar or of a Parquet file that is unpacked for as long as it is
needed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from nsp_core.errors import UnreadableMedia
from training.data import parquet, published
from training.data.published import unpacked
from training.data.rows import Row


@contextmanager
def opened(row: Row) -> Iterator[Path]:
    """Raises UnreadableMedia when it is not there any more."""
    path, member = Path(str(row.values["path"])), row.values.get("member")
    if member is None:
        if not path.is_file():
            raise UnreadableMedia(f"{path} is not there any more; bring it back or take it out of the sources.")
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="whatnext-data-") as folder:
        if "place" in row.values:
            target = Path(folder) / path.name
            parquet.unpack(path, parquet.Place(*row.values["place"]), target)
            yield target
            return
        if "offset" not in row.values:  # in a published set's zip
            yield unpacked(published.Row("", "", "", "video", path, str(member)), Path(folder))
            return
        target = Path(folder) / PurePosixPath(str(member)).name
        try:
            with path.open("rb") as stream, target.open("wb") as out:  # its place was noted when the tar was listed
                stream.seek(int(row.values["offset"]))
                left = int(row.values["size"])
                while left and (piece := stream.read(min(left, 1 << 20))):
                    left -= out.write(piece)
        except OSError as error:
            raise UnreadableMedia(f"{member} can't be taken out of {path} ({error}).") from error
        yield target
