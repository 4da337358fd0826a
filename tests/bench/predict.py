"""Times the big pipeline against diffusers' own, in a process: `python -m tests.bench.predict` prints one JSON object.

The classes of LTX-Video 0.9.0 at a size that a processor can draw, with random weights: 8 layers, 512 wide, a scene of
1,260 tokens, as wide as films that are saved as they are (smaller ones are enlarged). Ours and `LTXPipeline` take turns
on the same weights, words, steps, guidance and dtype; their latents are compared. Of the same run: the rate of a plain
matrix product of the blocks' size, which is the most that could be had; and what a scene costs after a hundred others,
against after three.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.model import THREADS, clock, paired_ratio, peak_gb

LAYERS, HEADS, HEAD = 8, 8, 64
WIDTH, HEIGHT, FRAMES, FPS = 672, 320, 41, 16
TOKENS = (WIDTH // 32) * (HEIGHT // 32) * ((FRAMES - 1) // 8 + 1)
GUIDANCE, SEED = 3.0, 0
CALM = 0.02  # of the decoder's last layer: random pictures are noise, which no film is and which takes encoders ages
QUALITY = 10 * (1 - 17 / 51)  # of diffusers' export, which makes this the same quantiser as the house encoding's
WORDS = "a glass falls and cracks."

# the most that ours may take of diffusers' time: at least 1.1 times as fast denoising, 1.3 times to a saved film
BARS = {"denoising": 1 / 1.1, "film": 1 / 1.3, "memory": 1.0, "difference": 1e-4, "long": 1.1}
LONG, SHORT = 100, 3  # scenes
ALONE = ("ours", "peer", "long", "short")  # what is drawn in a process of its own, for its memory


@dataclass
class Timing:
    """Seconds of each repetition, words to latents and words to a saved mp4; `difference`: the largest of the latents;
    `gemm`: floating point operations a second; `flop`: of one run's blocks; `long` and `short`: a scene that continues
    a story of many or few scenes, from the first of its words to its frames."""

    ours: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    film: list[float] = field(default_factory=list)
    peer_film: list[float] = field(default_factory=list)
    long: list[float] = field(default_factory=list)
    short: list[float] = field(default_factory=list)
    difference: float = 0.0
    gemm: float = 0.0
    flop: float = 0.0
    peak_gb: float = 0.0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.predict")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--only", choices=ALONE, help="draw once, for the most memory that it held")
    arguments = parser.parse_args(argv)

    import torch

    torch.set_num_threads(THREADS)
    timing = Timing()
    with tempfile.TemporaryDirectory() as folder:
        where = Path(folder)
        write_models(where)
        if arguments.only in ("long", "short"):
            go_on(our_pipeline(where, arguments.steps), LONG if arguments.only == "long" else SHORT)
        elif arguments.only:
            make = our_way if arguments.only == "ours" else their_way
            make(where, arguments.steps)[1](where / "film.mp4")
        else:
            compare(where, timing, arguments.rounds, arguments.steps)
            grow_old(where, timing, arguments.rounds, arguments.steps)
    timing.peak_gb = peak_gb()
    print(json.dumps(vars(timing)))
    return 0


def write_models(folder: Path) -> None:
    import torch
    from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel

    from tests import hub_layout

    hub_layout.write_qwen(folder / "reader")
    hub_layout.write_ltx(folder / "drawer")
    shutil.rmtree(folder / "drawer" / "transformer")  # the tiny one, in several files
    torch.manual_seed(1)
    LTXVideoTransformer3DModel(
        in_channels=hub_layout.LATENT,
        out_channels=hub_layout.LATENT,
        num_attention_heads=HEADS,
        attention_head_dim=HEAD,
        cross_attention_dim=HEADS * HEAD,
        num_layers=LAYERS,
        caption_channels=hub_layout.CAPTION,
    ).save_pretrained(folder / "drawer" / "transformer")
    vae = AutoencoderKLLTXVideo.from_pretrained(folder / "drawer" / "vae")
    vae.decoder.conv_out.conv.weight.data *= CALM
    vae.save_pretrained(folder / "drawer" / "vae")


Latents = Any  # a tensor (1, C, F, h, w)
Way = tuple[Callable[[], Latents], Callable[[Path], object]]  # words to latents, words to a film


def our_pipeline(folder: Path, steps: int) -> Any:
    from nsp_core.banks import file
    from nsp_core.banks.load import load
    from nsp_core.model.spec import BankSpec

    spec = BankSpec(
        "cascade",
        file.local(folder / "reader"),
        file.local(folder / "drawer"),
        dtype="float32",
        width=WIDTH,
        height=HEIGHT,
        frames=FRAMES,
        fps=FPS,
        steps=steps,
        guidance=GUIDANCE,
    )
    return load(spec, file.folder_of, "cpu")


def our_way(folder: Path, steps: int) -> Way:
    from nsp_core.media import write_clip
    from nsp_core.types import NextScene, SamplingOptions, SceneRequest, StoryContext

    pipeline = our_pipeline(folder, steps)
    request = SceneRequest(StoryContext(), WORDS, "cut", SamplingOptions(seed=SEED, preview_every=0))

    def draw() -> Latents:
        pipeline._kept.clear()  # nothing that an earlier round understood
        seen: list[Any] = []
        frames_of, pipeline.frames_of = pipeline.frames_of, lambda latents, _: seen.append(latents)
        try:
            for _ in pipeline.act(request):
                pass
        finally:
            pipeline.frames_of = frames_of
        return seen[-1]

    def film(path: Path) -> None:
        pipeline._kept.clear()
        for item in pipeline.act(request):
            if isinstance(item, NextScene):
                write_clip(path, item.frames, item.fps)

    return draw, film


def their_way(folder: Path, steps: int) -> Way:
    import torch
    from diffusers import LTXPipeline
    from diffusers.utils import export_to_video

    from nsp_core.latents import unpack

    pipeline = LTXPipeline.from_pretrained(folder / "drawer", dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)

    def ask(kind: str) -> Any:
        return pipeline(
            prompt=WORDS,
            negative_prompt="",
            width=WIDTH,
            height=HEIGHT,
            num_frames=FRAMES,
            frame_rate=FPS,
            num_inference_steps=steps,
            guidance_scale=GUIDANCE,
            generator=torch.Generator("cpu").manual_seed(SEED),
            output_type=kind,
        ).frames

    def draw() -> Latents:
        return unpack(ask("latent"), ((FRAMES - 1) // 8 + 1, HEIGHT // 32, WIDTH // 32))

    def film(path: Path) -> None:
        export_to_video(ask("pil")[0], str(path), fps=FPS, quality=QUALITY)

    return draw, film


def compare(folder: Path, timing: Timing, rounds: int, steps: int) -> None:
    (ours, our_film), (theirs, their_film) = our_way(folder, steps), their_way(folder, steps)
    timing.difference = float((ours() - theirs()).abs().max())  # warms both up
    our_film(folder / "film.mp4")
    their_film(folder / "film.mp4")
    timing.gemm = gemm_rate()
    timing.flop = steps * flop_of_one_evaluation()
    for number in range(rounds):
        order = [(ours, timing.ours), (theirs, timing.peer)]
        for work, seconds in order if number % 2 else order[::-1]:
            seconds.append(clock(work))
        films = [(our_film, timing.film), (their_film, timing.peer_film)]
        for make, seconds in films if number % 2 else films[::-1]:
            seconds.append(clock(lambda make=make: make(folder / "film.mp4")))  # type: ignore[misc]


def grow_old(folder: Path, timing: Timing, rounds: int, steps: int) -> None:
    pipeline = our_pipeline(folder, steps)
    for number in range(rounds + 1):  # the first one warms up
        pair = (clock(lambda: go_on(pipeline, LONG)), clock(lambda: go_on(pipeline, SHORT)))
        if number:
            timing.long.append(pair[0])
            timing.short.append(pair[1])


def go_on(pipeline: Any, scenes: int) -> None:
    """A random reader's words are no scene, so only its first one is waited for: by then it has read the story. The
    story brings its latest pictures, as the app does."""
    import numpy as np

    from app.settings import Settings
    from nsp_core.errors import UserError
    from nsp_core.types import SamplingOptions, Scene, SceneRequest, StoryContext

    pipeline._kept.clear()
    rng = np.random.default_rng(0)

    def pictures(number: int) -> Any:
        if number < scenes - Settings.context_frames:
            return None
        return rng.integers(0, 255, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8)

    story = StoryContext(tuple(Scene(f"{number}. {WORDS}", pictures(number)) for number in range(scenes)))
    with contextlib.suppress(UserError):  # it may also say nothing at all
        next(iter(pipeline.think(story)), None)
    for _ in pipeline.act(SceneRequest(story, WORDS, "continue", SamplingOptions(seed=SEED, preview_every=0))):
        pass


def gemm_rate() -> float:
    """The best of several products of the size of a block's feed-forward, both halves of the guidance at once."""
    import torch

    width = HEADS * HEAD
    a, b = torch.randn(2 * TOKENS, width), torch.randn(width, 4 * width)
    best = float("inf")
    for _ in range(8):
        began = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - began)
    return 2 * 2 * TOKENS * width * 4 * width / best


def flop_of_one_evaluation(words: int = 16) -> float:
    """The products that the blocks cannot do without, for a condition and an empty one; the rest is less than a
    hundredth. The first block's own attention is the same for both, and the empty one's words are one token."""
    width = HEADS * HEAD
    own = 2 * TOKENS * width * width * 4 + 4 * TOKENS * TOKENS * width
    heard = 2 * TOKENS * width * width * 2 + 2 * words * width * width * 2 + 4 * TOKENS * words * width
    feed_forward = 2 * TOKENS * width * width * 8
    return float(LAYERS * (2 * own + heard + 2 * feed_forward) - own)


def rows(row: Callable[..., dict[str, Any]], timing: dict[str, Any], held: dict[str, float]) -> list[dict[str, Any]]:
    """`held`: GB of each of ALONE, in a process of its own."""
    share = f"{timing['flop'] / min(timing['ours']) / timing['gemm']:.0%} of a plain matrix product's rate"
    what = f"a mid-size random LTX, {TOKENS:,} tokens, {THREADS} threads"
    peer = "diffusers LTXPipeline, same weights, words, steps, guidance and dtype"

    def against(
        name: str, text: str, unit: str, ours: list[float], theirs: list[float], peer: str = peer
    ) -> dict[str, Any]:
        ratio, noise = paired_ratio(ours, theirs)
        values = {"value": round(min(ours), 4), "peer": peer, "peer_value": round(min(theirs), 4)}
        made = row(f"{text}, {what}", None, unit, bar=round(BARS[name], 4))
        return {**made, **values, "ratio": round(ratio, 4), "ok": ratio <= BARS[name] + (noise if len(ours) > 1 else 0)}

    return [
        against("denoising", f"words to latents, {share}", "s", timing["ours"], timing["peer"]),
        against("film", "words to a saved mp4", "s", timing["film"], timing["peer_film"]),
        against("memory", "most memory held", "GB", [held["ours"]], [held["peer"]]),
        against(
            "long",
            f"words and a clip after {LONG} scenes",
            "s",
            timing["long"],
            timing["short"],
            f"after {SHORT} scenes",
        ),
        against(
            "long",
            f"most memory held after {LONG} scenes",
            "GB",
            [held["long"]],
            [held["short"]],
            f"after {SHORT} scenes",
        ),
        row(f"largest difference of a latent from theirs, {what}", timing["difference"], "", bar=BARS["difference"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
