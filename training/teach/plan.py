"""What teaching a lesson will take here, before it is begun: pairs, minutes, memory, what to expect; in plain words.

Nothing is guessed from tables: two real steps are taken with the very model, sizes and batch (on noise, because what a
step costs does not hang on what it shows), a clip is put through autoencoder and reader, and a clip is drawn.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from nsp_core.types import SamplingOptions, Scene, SceneRequest, StoryContext
from training.adapt.stage import AdaptConfig, Adapted, add_layers, begin
from training.flow_matching import Cache, FlowObjective
from training.generator import encode_clips, read_queries
from training.pretrain.stage import freeze
from training.teach.base import Base
from training.teach.course import LOOKS
from training.teach.lesson import Lesson
from training.teach.material import Material, between_looks, gather, stage_config

STEPS = 400  # the recipe's; fewer where the minutes ask for it
LEAST_STEPS = 20
SHOWN = 3  # held-out clips that are drawn before, underway and after
UNDERWAY = 2  # times that one of them is drawn underway


@dataclass(frozen=True)
class Pace:
    """Seconds here: of a step, of preparing an example, of drawing a clip. `memory` in bytes."""

    step: float
    example: float
    drawing: float
    memory: int


@dataclass(frozen=True)
class Plan:
    pairs: int
    held_out_pairs: int
    pictures: int
    steps: int
    minutes: float
    memory_gb: float
    device: str
    sentences: tuple[str, ...]


def device_here() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def make_plan(lesson: Lesson, base: Base, minutes: float | None = None) -> Plan:
    """Write plan.json. Raises UserError when there is too little to learn from."""
    found = gather(lesson, base)
    device = device_here()
    config = stage_config(lesson, base, found, STEPS, device)
    pace = measure(config)
    steps, shown = steps_within(minutes, pace, config, found)
    told = lesson.told()
    plan = Plan(
        *(found.pairs, found.held_out_pairs, found.pictures, steps),
        minutes=max(0.1, round(seconds_of(steps, pace, config, found, shown) / 60, 1)),
        memory_gb=round(pace.memory / 1e9, 1),
        device=device,
        sentences=sentences(lesson, base, found, config, steps, pace, shown, minutes),
    )
    lesson.write("plan.json", asdict(plan) | {"shown": shown, "pace": asdict(pace)})
    if told.state == "prepared":
        lesson.tell(steps=steps, message="")
    return plan


def seconds_of(steps: int, pace: Pace, config: AdaptConfig, found: Material, shown: int) -> float:
    """Steps, examples made ready, looks at the held-out ones (a row forward costs a third of a row learnt), clips."""
    rows = LOOKS / config.flow.batch / 3
    looks = 1 + steps / between_looks(steps)
    examples = config.examples.pairs + config.examples.images + config.examples.held_out + config.prior.pairs
    drawings = 2 * min(shown, found.held_out_pairs + found.held_out_pictures) + (UNDERWAY if shown > 1 else 0)
    return (steps + rows * looks) * pace.step + examples * pace.example + drawings * pace.drawing


def steps_within(minutes: float | None, pace: Pace, config: AdaptConfig, found: Material) -> tuple[int, int]:
    """How many steps there is time for, and how many clips are drawn to compare: fewer where time is short."""
    if minutes is None:
        return STEPS, SHOWN
    for shown in (SHOWN, 1):
        room = minutes * 60 - seconds_of(0, pace, config, found, shown)
        steps = math.floor(room / (pace.step * (1 + LOOKS / config.flow.batch / 3 / between_looks(STEPS))))
        if steps >= STEPS // 6:
            break
    return max(LEAST_STEPS, min(4 * STEPS, steps)), shown


@torch.no_grad()
def drawing_seconds(pipeline: Any) -> float:
    """Of a clip as the page draws it: two steps measured, all of them counted."""
    c = pipeline.config
    frame = np.zeros((1, c.height, c.width, 3), np.uint8)
    steps = pipeline.resolve("continue", SamplingOptions()).steps
    context = StoryContext((Scene("", frame),))
    words = pipeline.language.examples[0] if pipeline.language else "Something happens."
    started = time.monotonic()
    request = SceneRequest(context, words, "continue", SamplingOptions(steps=2, preview_every=0))
    for _ in pipeline.act(request):
        pass
    return (time.monotonic() - started) * max(1.0, steps / 2 * 0.8)


def measure(config: AdaptConfig) -> Pace:
    """With the real model on this machine; takes a few seconds with the starter."""
    torch.set_num_threads(config.threads)
    pipeline = begin(replace(config, four_bits=False))
    if config.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    drawing = drawing_seconds(pipeline)
    c = pipeline.config
    started = time.monotonic()
    black = np.zeros((2, c.num_frames, c.height, c.width, 3), np.uint8)
    latents = encode_clips(pipeline.vae, black).bfloat16()
    prompt = pipeline.prompt_to_draw(StoryContext((Scene("", black[0]),)), "It begins.")
    queries = pipeline.connector.queries
    states = read_queries(pipeline.vision_language, pipeline.processor, queries, [prompt, prompt])
    example = (time.monotonic() - started) / 2
    noise = Cache(
        latents=latents,
        tails=latents[:, :, -1].contiguous(),
        conditions=states[:, None].bfloat16(),
        null=states[0].float(),
        labels=torch.zeros(2, dtype=torch.long, device=latents.device),
        residual_scale=pipeline._scale.float().to(latents.device),
    )
    module = Adapted(pipeline.connector, pipeline.transformer)
    freeze(pipeline, module, config.moves or (), config.half)
    add_layers(pipeline.transformer, config)
    module.to(config.device)
    flow = replace(config.flow, shows_tail=c.reference == "repeat_tail")
    objective = FlowObjective(flow, module, noise, noise, tuple(c.rope_scale))
    times = []
    for number in range(2):  # the first one makes what is made once
        started = time.monotonic()
        batch = objective.batch(np.random.default_rng(number))
        generator = torch.Generator(config.device).manual_seed(number)
        with torch.autocast(torch.device(config.device).type, torch.bfloat16, enabled=config.loop.autocast):
            loss, _ = objective.loss(batch, generator)
        loss.backward()
        module.zero_grad()
        float(loss.detach())
        times.append(time.monotonic() - started)
    return Pace(min(times), example, drawing, memory_now(config.device))


def memory_now(device: str) -> int:
    """The most that this process has held: of the card, or of the machine."""
    if device != "cpu":
        return int(torch.cuda.max_memory_allocated())
    import psutil

    return int(psutil.Process().memory_info().rss)


def sentences(
    lesson: Lesson,
    base: Base,
    found: Material,
    config: AdaptConfig,
    steps: int,
    pace: Pace,
    shown: int,
    asked: float | None,
) -> tuple[str, ...]:
    clips = [clip for clip in lesson.clips() if clip.usable]
    films = sum(not clip.is_picture for clip in clips)
    minutes = seconds_of(steps, pace, config, found, shown) / 60
    here = f"this computer's processor ({plural(config.threads, 'core')})"
    where = "the graphics card" if config.device != "cpu" else here
    said = [
        f"{plural(films, 'clip')} and {plural(len(clips) - films, 'photo')} make {plural(found.pairs, 'pair')} of a "
        f"picture and what comes next, and {plural(found.held_out_pairs + found.held_out_pictures, 'example')} to look "
        "at that it never learns from.",
        f"Teaching takes about {plural(max(1, round(minutes)), 'minute')} on {where}: {steps} steps of "
        f"{pace.step:.1f} seconds, measured here just now, and the clips that are drawn to compare. It needs about "
        f"{pace.memory / 1e9:.1f} GB of memory.",
        f"Clips are seen as the model draws them: {base.width}x{base.height}, {base.seconds:.0f} seconds; each of them "
        "in a mirror, too, with left and right exchanged in its words.",
    ]
    if asked is not None and minutes > 1.2 * asked:
        said.append(
            f"That is more than the {asked:g} minutes that were asked for: {LEAST_STEPS} steps are the least that is "
            "tried, and other programs may be slowing this computer down."
        )
    if found.pairs < 20:
        said.append(
            "That is little: expect its colours and shapes to come nearer to your clips, not a faithful likeness of "
            "somebody. Twenty clips and more make a clear difference."
        )
    if not films:
        said.append("Photos teach how things look, not how they move: a few short clips help much.")
    if found.words:
        some = ", ".join(found.words[:6]) + (" and others" if len(found.words) > 6 else "")
        said.append(
            f"These words are new to the model and are taught by your clips alone: {some}. It can draw from them; it "
            "does not tell them by itself."
        )
    if config.prior_share:
        said.append(f"In {config.prior_share:.0%} of the steps it sees its old world again, so as not to forget it.")
    else:
        said.append("Nothing of its old world is shown again: what it knew may fade a little, at strength 1.")
    said.append(
        "The model itself stays as it is: what is learnt is a small file beside it, with a strength of its own."
    )
    return tuple(said)


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
