"""Times one model in a process of its own: `python -m tests.bench.model` prints one JSON object as its last line.

A process of its own, because instruction sets (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA) can only be chosen before
torch is loaded, and because the most memory that a process ever held can only be read once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nsp_core.types import Frames, NextScene, Progress, SamplingOptions, Scene, SceneRequest, StoryContext

THREADS = 2
TINY = "tiny random model, no starter here"


@dataclass
class Timing:
    """Seconds of each repetition; `preview_differs`: other words gave another first preview."""

    words: list[float] = field(default_factory=list)
    clip: list[float] = field(default_factory=list)
    preview: list[float] = field(default_factory=list)
    drawing: list[float] = field(default_factory=list)
    peer: list[float] = field(default_factory=list)
    preview_differs: bool = False
    peak_gb: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    model: str = ""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.model")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-peer", action="store_true")
    arguments = parser.parse_args(argv)

    import torch

    torch.set_num_threads(THREADS)
    pipeline, name = load(arguments.model)
    timing = Timing(model=name)
    time_scenes(pipeline, timing, arguments.rounds)
    timing.peak_gb = peak_gb()  # before the peer is there
    if not arguments.without_peer:
        time_against_ltx(pipeline, timing, arguments.rounds)
    print(json.dumps(vars(timing)))
    return 0


def load(path: Path | None) -> tuple[Any, str]:
    if path is None:
        from nsp_core.model.build import tiny_pipeline

        pipeline = tiny_pipeline()
        for part in ("vision_language", "connector", "transformer", "vae"):
            getattr(pipeline, part).eval().requires_grad_(False)
        return pipeline, TINY
    from nsp_core import NextScenePipeline

    return NextScenePipeline.from_pretrained(path), path.name


def time_scenes(pipeline: Any, timing: Timing, rounds: int) -> None:
    """As the page does it: words first, then a clip with its previews, after a picture of the model's own making."""
    said = pipeline.language.examples[0] if pipeline.language else "A red ball rolls."
    story = beginning(pipeline, said)
    timing.steps = {mode: int(values["steps"]) for mode, values in pipeline.config.sampling.items()}
    wished = [said, "It rains." if pipeline.language is None else pipeline.language.examples[-1]]
    every = min(SamplingOptions().preview_every, max(1, timing.steps["continue"] - 1))
    previews: list[Frames] = []
    for number in range(rounds + 1):  # the first one warms up
        began = time.perf_counter()
        for _ in pipeline.think(story):
            pass
        worded = time.perf_counter()
        shown: float | None = None
        for item in pipeline.act(
            SceneRequest(story, wished[number % 2], "continue", SamplingOptions(preview_every=every))
        ):
            if isinstance(item, Progress) and item.preview is not None:
                shown = time.perf_counter()
                previews.append(item.preview)
                break
        drawing = time.perf_counter()
        for _ in pipeline.act(SceneRequest(story, wished[number % 2], "continue", SamplingOptions(seed=number))):
            pass
        ended = time.perf_counter()
        if number:
            timing.words.append(worded - began)
            timing.clip.append(ended - drawing)
            if shown is not None:
                timing.preview.append(shown - worded)
    timing.preview_differs = len(previews) > 1 and not np.array_equal(previews[0], previews[1])


def beginning(pipeline: Any, words: str) -> StoryContext:
    """A first scene that the model drew itself, at few steps: any pictures of the right size take the same time."""
    options = SamplingOptions(steps=2, preview_every=0)
    for item in pipeline.act(SceneRequest(StoryContext(), words, "cut", options)):
        if isinstance(item, NextScene):
            return StoryContext((Scene(words, item.frames, item.latents),))
    raise AssertionError("act ended without a scene")


def time_against_ltx(pipeline: Any, timing: Timing, rounds: int) -> None:
    """Ours and diffusers' LTXPipeline in turns: same transformer, autoencoder, steps, guidance, size, text length.

    What the text becomes is handed to both, because each would read it with another model; all that follows counts,
    from noise to frames.
    """
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, LTXPipeline

    c = pipeline.config
    steps, guidance = int(c.sampling["cut"]["steps"]), float(c.sampling["cut"]["guidance"])
    with torch.no_grad():
        given, null = pipeline.encode_condition(StoryContext(), "a red ball")
    peer = LTXPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=2.0),
        vae=pipeline.vae,
        text_encoder=None,
        tokenizer=None,
        transformer=pipeline.transformer,
    )
    peer.set_progress_bar_config(disable=True)
    everything = torch.ones(given.shape[:2], dtype=torch.long)
    request = SceneRequest(StoryContext(), "a red ball", "cut", SamplingOptions(preview_every=0))
    language, read = pipeline.language, pipeline.encode_condition
    pipeline.language, pipeline.encode_condition = None, lambda *_: (given, null)

    def ours() -> None:
        for _ in pipeline.act(request):
            pass

    def theirs() -> None:
        peer(
            prompt_embeds=given,
            negative_prompt_embeds=null,
            prompt_attention_mask=everything,
            negative_prompt_attention_mask=everything,
            height=c.height,
            width=c.width,
            num_frames=c.num_frames,
            frame_rate=c.fps,
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=torch.Generator().manual_seed(0),
            output_type="np",
        )

    try:
        for number in range(rounds + 1):
            pair = (clock(ours), clock(theirs)) if number % 2 else (clock(theirs), clock(ours))[::-1]
            if number:
                timing.drawing.append(pair[0])
                timing.peer.append(pair[1])
    finally:
        pipeline.language, pipeline.encode_condition = language, read


def clock(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired_ratio(values: list[float], peers: list[float]) -> tuple[float, float]:
    """Median of the ratios of neighbours, and how far it may be off by chance: their middle half, by the root of n."""
    ratios = sorted(value / peer for value, peer in zip(values, peers, strict=True))
    middle = statistics.median(ratios)
    if len(ratios) < 4:
        return middle, max(ratios) - min(ratios)
    low, _, high = statistics.quantiles(ratios, n=4)
    return middle, (high - low) / len(ratios) ** 0.5


def peak_gb() -> float:
    """The most memory that this process ever held, in GB of 10^9 bytes."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e9
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e9 if sys.platform == "darwin" else most * 1024 / 1e9


if __name__ == "__main__":
    sys.exit(main())
