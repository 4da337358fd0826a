"""From a stage's config to what it will cost: tokens, FLOP, memory a process, hours.

FLOP come from formulas (training/plan/sizes.py), memory beside the weights from the real classes on the meta device
(training/plan/meta.py). Nothing is trained and no weights are read.

Left out of the hours: reading data, drawing pictures, judges, evaluations and saves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from training.plan.machine import MACHINES, PlanConfig
from training.plan.sizes import Parts, Role, TextEncoder, Work

GIB = 2**30
# bytes a parameter that learns: fp32 master, gradient and average, and the optimiser's state
STATE = {"adamw": 8, "muon": 4, "prodigy": 16}
LEARNS = 4 + 4 + 4
CAST = 2  # autocast keeps a bfloat16 copy for the time of a step


@dataclass(frozen=True)
class Row:
    """A piece of a run: FLOP of all processes together. `once`: before the first step; `alone`: by one process, for
    which the others wait."""

    what: str
    flop: float
    once: bool = False
    alone: bool = False


@dataclass(frozen=True)
class Plan:
    stage: str
    steps: int
    processes: int
    machine: str
    tokens: float  # latent tokens that the transformer learns from, of all steps
    prompts: float  # tokens that the reader reads in them
    epochs: float
    rows: tuple[Row, ...]
    memory: dict[str, float]  # GiB of one process, by what it is for
    rate: float  # FLOP a second of one process

    @property
    def flop(self) -> float:
        return sum(row.flop for row in self.rows)

    def hours_of(self, row: Row) -> float:
        return row.flop / (self.rate * (1 if row.alone else self.processes)) / 3600

    @property
    def hours(self) -> float:
        return sum(map(self.hours_of, self.rows))

    @property
    def gib(self) -> float:
        return sum(self.memory.values())

    @property
    def fits(self) -> bool:
        return self.gib <= MACHINES[self.machine].memory

    def plain(self) -> dict[str, Any]:
        rows = [{"what": r.what, "flop": r.flop, "once": r.once, "hours": self.hours_of(r)} for r in self.rows]
        return {
            **{n: getattr(self, n) for n in ("stage", "steps", "processes", "machine", "tokens", "prompts", "epochs")},
            **{"flop": self.flop, "hours": self.hours, "rows": rows},
            **{"memory_gib": self.memory, "gib": self.gib, "fits": self.fits},
        }


def rate_of(plan: PlanConfig) -> float:
    machine = MACHINES[plan.machine]
    return machine.peak * (machine.utilisation if plan.utilisation is None else plan.utilisation)


@dataclass(frozen=True)
class Step:
    """What is done at a step of flow matching; a share of the steps each for kinds of examples."""

    parts: Parts
    batch: int  # examples of a step, of all processes together
    shares: dict[str, float]  # kind -> share of the steps
    drawer: Role
    reader: Role | None  # None: its states come from a cache
    bridge: Role = "learns"
    recompute: bool = False
    prompt: int = 64
    cut: float = 1.0  # share of kind `next` in which no latent is given
    processes: int = 1

    @property
    def read_tokens(self) -> int:
        return max(prompt_tokens(self.parts, kind, self.prompt) for kind in self.shares)

    @property
    def examples(self) -> int:
        """Of one process at a step, at most."""
        return math.ceil(self.batch / self.processes)

    def draw_work(self, kind: str) -> Work:
        """A given latent has timestep 0, so every token of the sample has a noise level of its own."""
        tokens, queries = self.parts.tokens(kind), self.parts.bridge.queries
        given = 1 - self.cut if kind == "next" else 0.0
        whole = self.parts.drawer.forward(tokens, queries)
        return whole * (1 - given) + self.parts.drawer.forward(tokens, queries, tokens) * given

    def flop(self) -> dict[str, float]:
        drawn = sum(s * self.draw_work(k).step(self.drawer, self.recompute) for k, s in self.mix.items())
        found = {"transformer": drawn, "connector": self.parts.bridge.forward().step(self.bridge)}
        if self.reader is not None:
            found["reader"] = self.parts.language.forward(self.read_tokens).step(self.reader, self.recompute)
        return {what: flop * self.batch for what, flop in found.items()}

    @property
    def mix(self) -> dict[str, float]:
        total = sum(self.shares.values())
        return {k: v / total for k, v in self.shares.items()}

    @property
    def tokens(self) -> float:
        return self.batch * sum(s * self.parts.tokens(k) for k, s in self.mix.items())


def prompt_tokens(parts: Parts, kind: str, prompt: int) -> int:
    """What the reader reads: the words, a clip of what was where something comes next, and the queries."""
    pictures = parts.patches // parts.tower.merge**2 if kind == "next" else 0
    return prompt + pictures + parts.bridge.queries


def cache_flop(parts: Parts, kinds: dict[str, int], prompt: int, readings: int) -> float:
    """Latents of every example once, and the reader's states of so many wordings where they are kept."""
    from training.plan import meta

    encoder, total = meta.autoencoder(parts.autoencoder), 0.0
    for kind, count in kinds.items():
        clip = (1, *parts.image) if kind == "image" else parts.clip
        each = meta.flop(meta.encode(encoder, clip)) * (2 if kind == "next" else 1)  # what was, and what comes
        read = parts.language.forward(prompt_tokens(parts, kind, prompt)).forward
        if kind == "next":
            read += parts.tower.forward(parts.patches).forward
        total += count * (each + readings * read)
    return total


def weights_memory(
    parts: Parts, moves: Iterable[str], optimiser: str, processes: int, *, sharded: bool, half: bool, reader: bool
) -> dict[str, float]:
    """GiB a process. `half`: parts that stay as they are in bfloat16; `reader`: it is on the device during steps."""
    bridge = {"queries": parts.bridge.queries * parts.bridge.hidden}
    bridge["bridge"] = parts.bridge.parameters - bridge["queries"]
    sizes = {**bridge, "transformer": parts.drawer.parameters}
    if reader:
        sizes["reader"] = parts.language.parameters + parts.tower.parameters
    moving = sum(n for part, n in sizes.items() if part in moves)
    fixed = sum(n for part, n in sizes.items() if part not in moves)
    over = processes if sharded else 1
    # sharded: two blocks are whole at a time, the one at work and the next
    cast = CAST * (moving if not sharded else 2 * moving / max(1, parts.drawer.layers))
    return {
        "weights that stay": fixed * (2 if half else 4) / GIB,
        "weights that learn": moving * LEARNS / over / GIB,
        "optimiser": moving * STATE[optimiser] / over / GIB,
        "bfloat16 copies": cast / GIB,
    }


def activations(step: Step) -> float:
    """GiB of one process at a step: the largest kind, and the reader's graph beside it."""
    from training.plan import meta

    parts = step.parts
    model = meta.drawer(parts.drawer)
    most = max(
        meta.memory(
            model, meta.draw(model, step.examples, parts.latents(k), parts.bridge.queries, step.drawer, step.recompute)
        )
        for k in step.shares
    )
    if step.reader is not None:
        reader = meta.language(parts.language)
        most += meta.memory(reader, meta.read(reader, step.examples, step.read_tokens, step.reader, step.recompute))
    return most / GIB


def whole_batch(step: Step, copies: int = 7) -> float:
    """GiB of what every process makes of the whole batch before it takes its own rows, in fp32: latents, reference,
    residual, what is drawn, noise, both together, and the velocity (training/flow_matching.py)."""
    return copies * 4 * step.batch * step.parts.drawer.channels * max(map(step.parts.tokens, step.shares)) / GIB


@dataclass(frozen=True)
class SceneCost:
    gib: float
    flop: float


def scene(
    parts: Parts, steps: int = 50, prompt: int = 64, *, guided: bool = True, text: TextEncoder | None = None
) -> SceneCost:
    """Drawing one scene with the model as training leaves it: what learnt in fp32, the rest in bfloat16. With `text`
    it is the drawer alone with this text encoder, all in bfloat16.

    The paper (Table 8) has 26.4 and 14.9 GB and does not say how it keeps weights; with all in bfloat16 ours would come
    to 22.3 GiB, so fp32 for what it trained is our reading."""
    from training.plan import meta

    drawer, vae = meta.drawer(parts.drawer), meta.autoencoder(parts.autoencoder)
    latents, both = parts.latents("video"), 2 if guided else 1
    condition = 128 if text else parts.bridge.queries
    drawn = parts.drawer.forward(parts.tokens("video"), condition).forward
    flop = steps * both * drawn + meta.flop(meta.decode(vae, latents))
    weights = 2.0 * meta.parameters(vae)
    if text:
        weights += 2.0 * (text.parameters + parts.drawer.parameters)
        flop += both * text.forward(condition).forward
    else:
        weights += 2.0 * (parts.language.parameters + parts.tower.parameters)
        weights += 4.0 * (parts.drawer.parameters + parts.bridge.parameters)
        flop += both * parts.language.forward(prompt + condition).forward
    beside = max(
        meta.memory(drawer, meta.draw(drawer, both, latents, condition)), meta.memory(vae, meta.decode(vae, latents))
    )
    return SceneCost((weights + beside) / GIB, flop)
