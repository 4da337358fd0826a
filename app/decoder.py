"""Reads one file that somebody brought, in a process of its own: `python -m app.decoder`, started by decoder_process.

It loads what it needs, waits for one line of JSON, limits itself, decodes, writes the frames as a plain .npy file,
answers with one line of JSON and ends. Nobody's second file meets what a hostile first one did to it. Knows nothing of
the database, of torch, or of whose file it is.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.process_limits import limit_this_process
from nsp_core.errors import UnreadableMedia
from nsp_core.media import Limits, read_filmstrip, read_media

IDLE_SECONDS = 600.0  # one that is not asked for so long goes home


def main() -> int:
    answer_fd = os.dup(1)
    os.dup2(2, 1)  # what the libraries below print is no answer
    idle = threading.Timer(IDLE_SECONDS, os._exit, (0,))
    idle.daemon = True
    idle.start()
    _load_libraries()
    line = sys.stdin.readline()
    idle.cancel()
    if not line:
        return 0
    answer = answer_to(json.loads(line))
    with os.fdopen(answer_fd, "w", encoding="utf-8") as out:
        out.write(json.dumps(answer))
    return 0


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    """{"facts": what was read}, {"unreadable": sentence} or {"memory": true}."""
    limits = Limits(**request["limits"])
    limit_this_process(
        memory=request["memory"], cpu_seconds=4 * limits.decode_seconds, file_bytes=request["result_bytes"]
    )
    try:
        path = Path(request["path"])
        if request["what"] == "strip":
            strip = read_filmstrip(path, count=request["count"], side=request["side"], limits=limits)
            facts, frames = {"kind": strip.kind, "seconds": strip.seconds, "times": list(strip.times)}, strip.frames
        else:
            wanted = {name: request[name] for name in ("max_seconds", "start", "fps", "side")}
            clip = read_media(path, limits=limits, **wanted)
            frames = clip.frames
            facts = {name: value for name, value in vars(clip).items() if name != "frames"}
        with open(request["result"], "wb") as file:
            np.save(file, frames, allow_pickle=False)
    except UnreadableMedia as error:
        cause = error.__cause__
        return {"unreadable": str(error), "cause": repr(cause) if cause else ""}
    except MemoryError:
        return {"memory": True}
    return {"facts": facts}


def _load_libraries() -> None:
    """Before the wait, so that the answer comes at once: PIL finds its plugins, libheif and libav their decoders."""
    from PIL import Image, ImageCms
    from pillow_heif import register_heif_opener

    register_heif_opener()
    Image.init()
    ImageCms.createProfile("sRGB")
    Image.new("RGB", (2, 2)).save(io.BytesIO(), "PNG")
    asdict(Limits())


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
