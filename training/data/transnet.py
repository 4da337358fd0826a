"""TransNetV2 finds cuts (T. Soucek and J. Lokoc, arXiv 2008.04838): a small network that looks at 100 frames together.

Its sums are written out here from the reference code (MIT, (c) 2020 Tomas Soucek), over its published weights, whose
names they keep: the package that carries these sets seeds and switches of torch for the whole program when it is
imported, and wants the program ffmpeg. Frames are 48x27 RGB, and of every hundred the middle fifty are believed. Torch
comes in with this module: stage split loads it only when it is asked for. Knows nothing of clips.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nsp_core.errors import ConfigError
from training.data.film import Film, Scaler
from training.data.rows import Outcome, Row

WIDTH, HEIGHT = 48, 27
WINDOW, EDGE = 100, 25  # frames that are seen together; at each end of them, those that are only looked at
SHARE = 0.5  # from which a frame counts as the last of its shot
AROUND = 50  # frames before and after, with which a frame is compared
Weights = Mapping[str, Tensor]


def before_limits(rows: Sequence[Row], then: Callable[[Sequence[Row]], list[Outcome]]) -> list[Outcome]:
    """`then`: a worker that is given this function has torch loaded before its limit of memory begins to count."""
    return then(rows)


def cuts_of(path: Path, weights: Path, threshold: float, least: int) -> list[int]:
    """Numbers of the frames that begin a shot, of at least `least` frames; another pass over the film."""
    with Film(path) as film:
        small = Scaler(film, film.look(), WIDTH, HEIGHT, "rgb24", crop=False, flags="bicubic")
        shown = (small(timed.frame).to_ndarray() for timed in film.frames())
        return begins(shares_of(shown, opened(weights)), threshold, least)


def begins(shares: Iterable[float], threshold: float, least: int) -> list[int]:
    """A shot begins with the frame after those that end one; what would be shorter than `least` is no shot."""
    found, last, ending = [], 0, False
    for number, share in enumerate(shares):
        if ending and share <= threshold and number - last >= least:
            found.append(number)
            last = number
        ending = share > threshold
    return found


def shares_of(frames: Iterable[Any], weights: Weights) -> Iterator[float]:
    """Of each frame (HEIGHT, WIDTH, 3; uint8 RGB), how surely it is its shot's last. A hundred are in memory."""
    seen: list[Any] = []
    came = given = 0
    for frame in frames:
        seen = [*seen, frame] if came else [frame] * (EDGE + 1)
        came += 1
        if len(seen) == WINDOW:
            yield from middle(seen, weights)
            given, seen = given + WINDOW - 2 * EDGE, seen[WINDOW - 2 * EDGE :]
    while given < came:
        yield from middle([*seen, *[seen[-1]] * (WINDOW - len(seen))], weights)[: came - given]
        given, seen = given + WINDOW - 2 * EDGE, seen[WINDOW - 2 * EDGE :] or seen[-1:]


@torch.inference_mode()
def middle(seen: Sequence[Any], weights: Weights) -> list[float]:
    return network(torch.from_numpy(np.stack(seen)), weights)[EDGE : WINDOW - EDGE].tolist()


@lru_cache(maxsize=1)
def opened(path: Path) -> Weights:
    """Tensors by name, read without running anything. Raises ConfigError for what is none of TransNetV2's."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
        if len(found["cls_layer1.weight"]) != 1:
            raise ValueError("its last layer is another one's")
    except Exception as error:  # whatever a foreign file makes unpickling raise
        raise ConfigError(
            f"split.model {path.name} holds no weights of TransNetV2 for PyTorch ({type(error).__name__}); leave it "
            "empty and get them with python launch.py data weights."
        ) from error
    return {name: value.float() for name, value in found.items() if value.is_floating_point()}


# -- the network ------------------------------------------------------------------------------------------------------
def network(frames: Tensor, w: Weights) -> Tensor:
    """(T, HEIGHT, WIDTH, 3) uint8 -> (T,), from 0 to 1."""
    x, pooled = frames.permute(3, 0, 1, 2)[None].float() / 255, []
    for number in range(3):
        x = stack(x, w, f"SDDCNN.{number}.DDCNN")
        pooled.append(x.mean((3, 4)))
    looks = alike(F.linear(torch.cat(pooled, 1)[0].T, *of(w, "frame_sim_layer.projection")))
    colours = alike(histograms(frames))
    parts = [F.relu(F.linear(colours, *of(w, "color_hist_layer.fc")))]
    parts.append(F.relu(F.linear(looks, *of(w, "frame_sim_layer.fc"))))
    parts.append(x[0].permute(1, 2, 3, 0).flatten(1))
    hidden = F.relu(F.linear(torch.cat(parts, 1), *of(w, "fc1")))
    return F.linear(hidden, *of(w, "cls_layer1"))[:, 0].sigmoid()


def of(w: Weights, name: str) -> tuple[Tensor, Tensor]:
    return w[f"{name}.weight"], w[f"{name}.bias"]


def stack(x: Tensor, w: Weights, name: str) -> Tensor:
    first = F.relu(cell(x, w, f"{name}.0"))
    return F.avg_pool3d(F.relu(cell(first, w, f"{name}.1")) + first, (1, 2, 2))


def cell(x: Tensor, w: Weights, name: str) -> Tensor:
    """Four looks into time, each twice as far as the one before."""
    far = []
    for rate in (1, 2, 4, 8):
        flat = F.conv3d(x, w[f"{name}.Conv3D_{rate}.layers.0.weight"], padding=(0, 1, 1))
        deep = w[f"{name}.Conv3D_{rate}.layers.1.weight"]
        far.append(F.conv3d(flat, deep, padding=(rate, 0, 0), dilation=(rate, 1, 1)))
    mean, var = w[f"{name}.bn.running_mean"], w[f"{name}.bn.running_var"]
    return F.batch_norm(torch.cat(far, 1), mean, var, *of(w, f"{name}.bn"), eps=1e-3)


def alike(vectors: Tensor) -> Tensor:
    """(T, C) -> (T, 2 AROUND + 1): how much each frame is like its neighbours, 0 where there are none."""
    unit = F.normalize(vectors, dim=1)
    padded = F.pad(unit @ unit.T, (AROUND, AROUND))
    places = torch.arange(len(unit))[:, None] + torch.arange(2 * AROUND + 1)
    return padded.gather(1, places)


def histograms(frames: Tensor) -> Tensor:
    """(T, 512): how many pixels have each colour, of eight steps a channel."""
    red, green, blue = (frames.int() >> 5).flatten(1, 2).unbind(-1)
    bins = ((red << 6) + (green << 3) + blue).long()
    return torch.zeros(len(frames), 512).scatter_add_(1, bins, torch.ones(bins.shape))
