"""How often the exact judge is right, by kind of trial; the bars are those of the judge's specification.

python -m training.evaluate.judge_check [--stories 200] [--vae FOLDER] [--style house] [--json]

FOLDER is a diffusers autoencoder, or a training checkpoint (step_N) of the stage `vae`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluate.intervals import Figure, estimate
from training.evaluate.trials import MUSH, READABLE, Codec, Pixels, as_drawn, soft_and_grainy, trials
from training.picturebook.judge import ExactJudge
from training.picturebook.reader import psnr

RIGHT_BAR, FALSE_PASS_BAR, MUSH_PASS_BAR = 0.98, 0.01, 0.02


@dataclass
class Check:
    """`said[kind]` counts what the judge said; `mistakes` are the first few sentences of wrong verdicts."""

    said: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    truth: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    psnrs: list[float] = field(default_factory=list)
    _right: list[tuple[int, bool]] = field(default_factory=list)

    def add(self, kind: str, story: int, truth: str, detail: str, sentence: str) -> None:
        self.said[kind][detail] += 1
        self.truth[kind] = truth
        if kind in READABLE:
            self._right.append((story, detail == truth))
        if detail != truth and len(self.mistakes) < 60:
            self.mistakes.append(f"{kind}: {sentence}")

    @property
    def right(self) -> Figure:
        return estimate([float(ok) for _, ok in self._right], [story for story, _ in self._right])

    @property
    def false_pass(self) -> float:
        return self._passing([k for k in self.said if k in READABLE and self.truth[k] != "follows"])

    @property
    def mush_pass(self) -> float:
        return self._passing([k for k in self.said if k in MUSH])

    @property
    def mush_unreadable(self) -> float:
        counts = [self.said[k] for k in self.said if k in MUSH]
        return sum(c["unreadable"] for c in counts) / max(1, sum(c.total() for c in counts))

    def _passing(self, kinds: list[str]) -> float:
        return sum(self.said[k]["follows"] for k in kinds) / max(1, sum(self.said[k].total() for k in kinds))

    def plain(self) -> dict[str, Any]:
        return {
            "right": self.right.plain(),
            "false_pass": round(self.false_pass, 4),
            "mush_pass": round(self.mush_pass, 4),
            "mush_unreadable": round(self.mush_unreadable, 4),
            "psnr": round(float(np.mean(self.psnrs)), 2) if self.psnrs else None,
            "said": {kind: dict(counts) for kind, counts in self.said.items()},
        }


def check(
    stories: int,
    codec: Codec = as_drawn,
    *,
    seed: int = 0,
    style: str = "house",
    kinds: tuple[str, ...] = (*READABLE, *MUSH),
    judge: ExactJudge | None = None,
) -> Check:
    judge = judge or ExactJudge(style)
    result = Check()
    for trial in trials(seed, stories, kinds, style):
        frames = codec(trial.frames)
        if trial.kind == "right":
            result.psnrs.append(min(psnr(frames, trial.frames), 60.0))
        verdict = judge.judge_clip(trial.before, trial.event, frames)
        result.add(trial.kind, trial.story, trial.truth, verdict.detail, f"{trial.event} -> {verdict.reason}")
    return result


def autoencoder_codec(folder: Path) -> Codec:
    """A round trip through the autoencoder in `folder`."""
    import torch

    vae: Any
    if (folder / "config.json").is_file():
        from diffusers import AutoencoderKLLTXVideo

        vae = AutoencoderKLLTXVideo.from_pretrained(str(folder), torch_dtype=torch.float32)
    else:
        from safetensors.torch import load_file

        from nsp_core.model import build

        weights = load_file(folder / "ema.safetensors")
        width = weights["encoder.conv_in.conv.weight"].shape[0]
        finest = weights["decoder.conv_out.conv.weight"].shape[1]
        vae = build.autoencoder(width, wide_decoder=finest > width)
        vae.load_state_dict(weights, strict=False)
    vae.eval()

    def codec(frames: Pixels) -> Pixels:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            x = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
            y = vae.decode(vae.encode(x).latent_dist.mode()).sample[0].float().clamp(-1, 1)
        return ((y + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).numpy()

    return codec


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vae", type=Path)
    parser.add_argument("--soft", action="store_true", help="blur and grain in the autoencoder's stead")
    parser.add_argument("--style", default="house")
    parser.add_argument("--kinds", nargs="+", default=[*READABLE, *MUSH], choices=[*READABLE, *MUSH], metavar="KIND")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    codec = autoencoder_codec(args.vae.expanduser()) if args.vae else soft_and_grainy if args.soft else as_drawn
    result = check(args.stories, codec, seed=args.seed, style=args.style, kinds=tuple(args.kinds))
    if not args.json:
        print("\n".join(result.mistakes))  # noqa: T201
        for kind, counts in result.said.items():
            print(f"{kind:14} {dict(counts)}")  # noqa: T201
    print(json.dumps(result.plain()))  # noqa: T201


if __name__ == "__main__":
    main()
