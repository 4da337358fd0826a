"""Stage `reader`: teach the small Qwen2.5-VL to read the world, say what happens next, and fill its queries.

python launch.py train reader --config training/configs/starter/reader.yaml

Three losses. Language on the answers of the frozen task list. Language *through the queries*: the next scene's words
and state may be read from the queries only (4-D mask), so the queries cannot be bypassed. Linear heads, thrown away
after training, from vision tokens to the states at the clip's two ends and from queries to the next state: the
transformer is to be handed a code, not a puzzle (DECISIONS.md).
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nsp_core.model import build
from nsp_core.model.connector import Connector
from nsp_core.model.vision_language import positions, prepare, query_states
from nsp_core.model.writing import write
from training.all_answers import Row, divergence
from training.loop import LoopConfig
from training.own_words import OwnWords
from training.picturebook.parse import parse
from training.picturebook.rules import enabled
from training.picturebook.scenes import Story
from training.picturebook.world import COLOURS, LIGHTS, PLACES, SLOTS, STATES, WEATHERS, World
from training.reader_data import Moment, Sample, begin_sample, judged, near_miss, sample, thinned
from training.remembering import remembered
from training.wishing import wish_by_rule

log = logging.getLogger(__name__)

SPRITES = ("nothing", *(f"{k} {s}" for k, states in STATES.items() for s in states))
# how a World is written as class numbers: three of the whole picture, then sprite and colour of each slot
TARGETS = (len(PLACES), len(LIGHTS), len(WEATHERS), *(len(SPRITES), len(COLOURS) + 1) * len(SLOTS))
ROWS, COLUMNS = 6, 10  # vision tokens of one clip
# what every vision token tells by itself: its row, its column, sprite and colour at the end in the nearest slot. The
# vision tower has relative positions only, and words cannot say 'left' before a token says where it is (DECISIONS.md)
HERE = (ROWS, COLUMNS, len(SPRITES), len(COLOURS) + 1)


@dataclass(frozen=True)
class ReaderConfig:
    loop: LoopConfig
    stories: Path
    out: Path
    hidden: int = 192
    layers: int = 4
    vision_hidden: int = 128
    vision_layers: int = 4
    queries: int = 32
    caption_channels: int = 256
    vocabulary: int = 1000
    batch: int = 32  # language samples a step
    words_batch: int = 0  # further ones without pictures, at a third of the cost: rules are learnt from them
    draw_batch: int = 16  # samples whose queries are filled
    begin_share: float = 0.2  # of these, described beginnings
    # Of the questions what comes next: those asked where a held-out composition is possible (one moment in five). A
    # reader that learned there that it never happens tells what cannot happen instead: it must learn what else can
    closed_share: float = 0.2
    near_share: float = 0.0  # of the same questions: a near miss is followed to where it goes wrong, not a right answer
    # Words of its own (training.own_words): questions that follow a wrong one to where it goes wrong instead of a near
    # miss, and verdicts on right and wrong ones instead of made-up ones
    own_words: Path | None = None
    own_share: float = 0.5
    # Of the wishes and verdicts: those in stories that only memory decides (training.remembering), and how many such
    # stories there are
    recall_share: float = 0.0
    recalls: int = 3000
    by_rule_share: float = 0.0  # of the other wishes: those drawn rule by rule (training.wishing)
    frames_share: float = 0.7
    thinned_share: float = 0.3  # samples of whose prompt some words are left out
    held_out_stories: int = 200
    tasks: tuple[str, ...] = ("next", "next", "next", "describe", "steer", "steer", "before", "judge")
    head_weight: float = 0.5
    query_weight: float = 1.0
    threads: int = 2
    device: str = "cpu"
    minutes: float = math.inf
    init: Path | None = None
    # A run folder whose generator is already trained: words go on improving, and the queries' states stay where they
    # were for the language's first wording, so that other wordings come to mean the same to that generator
    anchor: Path | None = None
    anchor_weight: float = 10.0


class Reader(nn.Module):
    """The model, the queries (inside the connector, whose bridge is not trained here) and the training-only heads."""

    def __init__(self, model: Any, connector: Any, hidden: int) -> None:
        super().__init__()
        self.model = model
        self.connector = connector
        # the same product as its convolution over exactly one patch, whose backward pass is slow on CPUs
        model.model.visual.patch_embed.forward = partial(embed_patches, model.model.visual.patch_embed)
        for name, parameter in connector.named_parameters():
            parameter.requires_grad_(name == "queries")
        slot_tokens = 2 * 5  # two columns and five rows of vision tokens
        self.seen_slot = nn.Linear(slot_tokens * hidden, 2 * (len(SPRITES) + len(COLOURS) + 1))
        self.seen_all = nn.Linear(10 * hidden, 2 * (len(PLACES) + len(LIGHTS) + len(WEATHERS)))
        self.seen_here = nn.Linear(hidden, sum(HERE))
        self.coming = nn.Linear(len(connector.queries) * hidden, sum(TARGETS))


def embed_patches(module: Any, patches: Tensor) -> Tensor:
    """(N, 3*t*p*p) -> (N, D): Qwen2.5-VL's patch embedding as one matrix product."""
    return functional.linear(patches.to(module.proj.weight.dtype), module.proj.weight.flatten(1))


def target(world: World) -> list[int]:
    """Class numbers of what a picture of `world` shows, in the order of TARGETS."""
    seen = world.seen()
    row = [PLACES.index(seen.place), LIGHTS.index(seen.light), WEATHERS.index(seen.weather)]
    for slot in range(len(SLOTS)):
        thing = seen.at(slot)
        row.append(SPRITES.index(f"{thing.kind} {thing.state}") if thing else 0)
        row.append(COLOURS.index(thing.colour) + 1 if thing and thing.colour else 0)
    return row


@dataclass
class ReaderObjective:
    config: ReaderConfig
    processor: Any
    module: Reader
    stories: list[Story]
    held_out: list[Story] = field(default_factory=list)
    anchor: Reader | None = None  # a frozen reader whose query states are kept
    own: list[OwnWords] = field(default_factory=list)
    remembering: list[Moment] = field(default_factory=list)
    by_rule: dict[str, list[Moment]] = field(default_factory=dict)
    _ids: dict[str, list[int]] = field(default_factory=dict)

    def moment(self, rng: np.random.Generator, depth: int, task: str = "") -> Moment:
        """A place in a story at most `depth` scenes after its beginning."""
        is_closed = None if task != "next" else bool(rng.random() < self.config.closed_share)
        while True:
            story = self.stories[int(rng.integers(len(self.stories)))]
            if not story.events:
                continue
            found = Moment(story, int(rng.integers(min(depth, len(story.events)))))
            if is_closed in (None, found.is_closed):
                return found

    def batch(self, rng: np.random.Generator) -> tuple[list[Sample], list[Sample]]:
        c = self.config
        pick = Random(int(rng.integers(2**62)))
        depth = int(
            rng.choice([1, 2, 2, 3, 3, 5, 5, 8, 11])
        )  # one for the batch: short stories are not padded to long ones
        asked = []
        for task in (c.tasks[i] for i in rng.integers(len(c.tasks), size=c.batch)):
            if c.frames_share > 0 or task != "describe":
                frames = c.frames_share > 0 and (task == "describe" or pick.random() < c.frames_share)
                asked.append(self.asked(rng, depth, task, pick, frames))
        read = [pick.choice([task for task in c.tasks if task != "describe"]) for _ in range(c.words_batch)]
        asked += [self.asked(rng, depth, task, pick, frames=False) for task in read]
        drawn = [
            begin_sample(self.moment(rng, depth), pick)
            if pick.random() < c.begin_share
            else sample(self.moment(rng, depth), "draw", pick, frames=pick.random() < c.frames_share)
            for _ in range(c.draw_batch)
        ]
        asked, drawn = (
            [thinned(one, pick) if pick.random() < c.thinned_share else one for one in some] for some in (asked, drawn)
        )
        return asked, drawn

    def asked(self, rng: np.random.Generator, depth: int, task: str, pick: Random, frames: bool) -> Sample:
        if self.remembering and task in ("steer", "judge") and pick.random() < self.config.recall_share:
            recalled = remembered(self.remembering, task, depth, pick, frames=frames)
            if recalled is not None:
                return recalled
        if self.by_rule and task == "steer" and pick.random() < self.config.by_rule_share:
            return wish_by_rule(self.by_rule, self.moment(rng, depth), depth, pick, frames=frames)
        wrong = task == "next" and pick.random() < self.config.near_share
        if self.own and (wrong or task == "judge") and pick.random() < self.config.own_share:
            right = not wrong and pick.random() < 0.5
            rows = [row for row in self.own if row.right is right and row.at < depth]
            if rows:
                one = pick.choice(rows)
                moment = Moment(self.stories[one.story], one.at)
                if wrong:
                    return replace(sample(moment, task, pick, frames=frames), answer=one.words)
                return judged(moment, one.words, pick, frames=frames)
        moment = self.moment(rng, depth, task)
        found = sample(moment, task, pick, frames=frames)
        return replace(found, answer=near_miss(moment, pick) or found.answer) if wrong else found

    def loss(
        self,
        batch: tuple[list[Sample], list[Sample]],
        generator: torch.Generator,  # noqa: ARG002
    ) -> tuple[Tensor, dict[str, float]]:
        asked, drawn = batch
        words, seen, figures = self.asked_loss(asked)
        queried, coming = self.query_loss(drawn)
        c = self.config
        loss = words + c.head_weight * (seen + coming) + c.query_weight * queried
        return loss, {
            "words": float(words.detach()),
            "seen": float(seen.detach()),
            "queries": float(queried.detach()),
            "coming": float(coming.detach()),
            **figures,
        }

    def asked_loss(self, samples: list[Sample]) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Samples with pictures and those without go through the model apart: so these are not padded to the length of
        the others. Loss of the words, of what is seen, and of the words by task."""
        words = seen = torch.zeros((), device=self.device)
        losses: list[tuple[str, Tensor]] = []
        for has_clips in (True, False):
            some = [one for one in samples if bool(one.prompt.clips) is has_clips]
            if some:
                each, sees = self.language_loss(some)
                words, seen = words + each.sum() / len(samples), seen + sees
                losses += zip((one.task for one in some), each.detach(), strict=True)
        figures = {
            task: float(torch.stack(rows).mean())
            for task in ("next", "describe", "steer")
            if (rows := [loss for name, loss in losses if name == task])
        }
        return words, seen, figures

    def language_loss(self, samples: list[Sample]) -> tuple[Tensor, Tensor]:
        """Of each sample (B,), and of what is seen."""
        model, tokenizer = self.module.model, self.processor.tokenizer
        inputs = self.inputs(samples, multiple=64)
        ids, mask = self.answers(samples)
        length = inputs["input_ids"].shape[1]
        places = positions(model, inputs)
        more = places.amax((0, 2), keepdim=True) + 1 + torch.arange(ids.shape[1], device=ids.device)
        extra = {k: inputs[k] for k in ("pixel_values_videos", "video_grid_thw") if k in inputs}
        with _vision_tokens(model) as caught:
            hidden = model.model(
                input_ids=torch.cat([inputs["input_ids"], ids], 1),
                attention_mask=torch.cat([inputs["attention_mask"], mask], 1),
                position_ids=torch.cat([places, more.expand(3, -1, -1)], 2),
                use_cache=False,
                **extra,
            ).last_hidden_state
        logits = model.lm_head(hidden[:, length - 1 : -1]).float()
        losses = divergence(logits, [self.row(s) for s in samples])
        assert tokenizer.padding_side == "left"
        return losses, self.seen_loss(samples, caught)

    def seen_loss(self, samples: list[Sample], caught: list[Tensor]) -> Tensor:
        """Vision tokens of each sample's first clip -> the worlds at its two ends."""
        total = torch.zeros((), device=self.device)
        if not caught:
            return total
        tokens = caught[0].float().view(-1, ROWS * COLUMNS, caught[0].shape[-1])
        firsts, worlds, clip = [], [], 0
        for s in samples:
            if s.prompt.clips:
                firsts.append(clip)
                worlds.append(s)
            clip += len(s.prompt.clips)
        grid = tokens[firsts].view(len(firsts), ROWS, COLUMNS, -1)
        sizes = (len(PLACES), len(LIGHTS), len(WEATHERS))
        parts = [self.module.seen_all(grid.mean(1).flatten(1)).split(2 * list(sizes), 1)]
        for column in (1, 4, 7):
            out = self.module.seen_slot(grid[:, 1:, column : column + 2].flatten(1))
            parts.append(out.split(2 * [len(SPRITES), len(COLOURS) + 1], 1))
        for end, side in ((0, "before"), (1, "now")):
            truth = torch.tensor([target(getattr(s, side)) for s in worlds], device=self.device)
            heads = [*parts[0][3 * end : 3 * end + 3]]
            for slot in parts[1:]:
                heads += slot[2 * end : 2 * end + 2]
            total = total + sum(functional.cross_entropy(h, truth[:, i]) for i, h in enumerate(heads)) / len(heads)
        return total + self.here_loss(grid, truth)

    def here_loss(self, grid: Tensor, truth: Tensor) -> Tensor:
        """(clips, ROWS, COLUMNS, D) tokens, class numbers of the end worlds -> each token's own telling (HERE)."""
        shape = grid.shape[:3]
        slots = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2, 2, 2], device=self.device)
        truths = (
            torch.arange(ROWS, device=self.device)[:, None].expand(shape),
            torch.arange(COLUMNS, device=self.device).expand(shape),
            truth[:, 3 + 2 * slots][:, None].expand(shape),
            truth[:, 4 + 2 * slots][:, None].expand(shape),
        )
        parts = self.module.seen_here(grid).split(list(HERE), -1)
        losses = [functional.cross_entropy(p.flatten(0, 2), t.flatten()) for p, t in zip(parts, truths, strict=True)]
        return torch.stack(losses).mean()

    def query_loss(self, samples: list[Sample]) -> tuple[Tensor, Tensor]:
        inputs = self.inputs(samples, multiple=64)
        ids, mask = self.answers(samples, start=True)
        states, hidden = query_states(self.module.model, inputs, self.module.connector.queries, (ids, mask))
        logits = self.module.model.lm_head(hidden[:, :-1]).float()
        losses = functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        language = (losses.view(len(samples), -1) * mask[:, 1:]).sum() / mask[:, 1:].sum()
        if self.anchor is not None:
            plain = [replace(s, prompt=s.plain or s.prompt) for s in samples]
            with torch.no_grad():
                kept, _ = query_states(self.anchor.model, self.inputs(plain, 64), self.anchor.connector.queries)
            drift = (states.float() - kept.float()).square().mean() / kept.float().var()
            language = language + self.config.anchor_weight * drift
        heads = self.module.coming(states.float().flatten(1)).split(list(TARGETS), 1)
        truth = torch.tensor([target(s.after) for s in samples], device=self.device)
        return language, sum(functional.cross_entropy(h, truth[:, i]) for i, h in enumerate(heads)) / len(heads)

    @property
    def device(self) -> torch.device:
        return self.module.connector.queries.device

    def inputs(self, samples: list[Sample], multiple: int = 1) -> dict[str, Tensor]:
        made = prepare(self.processor, [s.prompt for s in samples], multiple)
        return {k: v.to(self.device) for k, v in made.items()}

    def row(self, one: Sample) -> Row:
        every = ([(self.ids(text), share) for text, share in some] for some in (one.answers, one.untaught))
        return Row(self.ids(one.answer), *every)

    def ids(self, answer: str) -> list[int]:
        known = self._ids.get(answer)
        if known is None:
            tokenizer = self.processor.tokenizer
            known = self._ids[answer] = tokenizer(answer + tokenizer.eos_token)["input_ids"]
        return known

    def answers(self, samples: list[Sample], start: bool = False) -> tuple[Tensor, Tensor]:
        """Right-padded ids and mask of the answers, each with its end; `start` puts a token to read the first from."""
        tokenizer = self.processor.tokenizer
        rows = [self.ids(s.answer) for s in samples]
        if start:
            rows = [[tokenizer.pad_token_id, *row] for row in rows]
        width = -(-max(map(len, rows)) // 16) * 16
        ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        return ids.to(self.device), mask.to(self.device)

    def evaluate(self) -> dict[str, float]:
        """On held-out stories: does the greedy answer name an event that can happen; is the state read from frames?"""
        rng = Random(7)
        moments = [Moment(s, rng.randrange(len(s.events))) for s in self.held_out if s.events][:100]
        named = right = 0
        for moment in moments[:40]:
            one = sample(moment, "next", rng, frames=self.config.frames_share > 0, held_out=True)
            text = [w.text for w in write(self.module.model, self.processor, one.prompt)][-1]
            event = parse(text, None)
            named += event is not None
            right += event is not None and parse(text, moment.world) in enabled(moment.world)
        figures = {"next_is_an_event": named / 40, "next_is_enabled": right / 40}
        drawn = [sample(m, "draw", rng, frames=self.config.frames_share > 0, held_out=True) for m in moments]
        figures["coming_each"], figures["coming_all"] = self.told_by_queries(drawn)
        begun = [begin_sample(m, rng, held_out=True) for m in moments]
        figures["begin_each"], figures["begin_all"] = self.told_by_queries(begun)
        return figures

    def told_by_queries(self, samples: list[Sample]) -> tuple[float, float]:
        """What the linear heads read of the scene to come: the share of single facts, and of whole scenes."""
        states, _ = query_states(self.module.model, self.inputs(samples), self.module.connector.queries)
        heads = self.module.coming(states.float().flatten(1)).split(list(TARGETS), 1)
        truth = torch.tensor([target(s.after) for s in samples], device=self.device)
        hits = torch.stack([h.argmax(1) == truth[:, i] for i, h in enumerate(heads)])
        return float(hits.float().mean()), float(hits.all(0).float().mean())


class _vision_tokens:
    """Catch the merged vision tokens (N, hidden) of a forward pass."""

    def __init__(self, model: Any) -> None:
        self.visual = model.model.visual
        self.caught: list[Tensor] = []

    def __enter__(self) -> list[Tensor]:
        self.hook = self.visual.register_forward_hook(lambda _m, _a, out: self.caught.append(out.pooler_output))
        return self.caught

    def __exit__(self, *_: object) -> None:
        self.hook.remove()


def new_reader(config: ReaderConfig, corpus: list[str]) -> tuple[Any, Reader]:
    """A processor whose tokenizer is learnt from `corpus`, and a reader with random weights."""
    vocabulary = build.tokenizer(corpus, config.vocabulary)
    return build.processor(vocabulary), reader_for(config, vocabulary)


def reader_for(config: ReaderConfig, vocabulary: Any) -> Reader:
    torch.manual_seed(config.loop.seed)
    model = build.vision_language(
        vocabulary,
        hidden=config.hidden,
        layers=config.layers,
        vision_hidden=config.vision_hidden,
        vision_layers=config.vision_layers,
    )
    connector = Connector(config.queries, config.hidden, config.caption_channels, 5.5**-0.5)
    return Reader(model, connector, config.hidden)
