"""What each stage does, told in the terms of a plan: which parts learn, what a step draws, what is made once.

Knows how a config's keys become work; sizes, memory and time are training/plan/plan.py's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nsp_core.errors import ConfigError
from training.grpo.sde import stochastic_steps
from training.models import ROOT
from training.plan import meta
from training.plan.parts import parts_of, read, text_of, text_tokens
from training.plan.plan import (
    CAST,
    GIB,
    LEARNS,
    STATE,
    Plan,
    Row,
    Step,
    activations,
    cache_flop,
    rate_of,
    weights_memory,
    whole_batch,
)
from training.plan.sizes import Parts, Role, TextEncoder
from training.pretrain.stage import TABLE, row_of, shares_of

ALONE = ("teacher", "grpo")  # stages that torchrun can't divide
DISTILLED = 4  # tensors of a whole batch's size: latents, noise, both together, velocity (training/distil/objective.py)


def plan_of(stage: str, configs: dict[str, Any]) -> Plan:
    """`configs`: those of one folder by stage. Raises ConfigError for a stage whose cost no formula is known for, and
    for more processes than it can have."""
    if stage in ALONE and configs[stage].plan.processes > 1:
        asked = configs[stage].plan.processes
        raise ConfigError(f"Stage {stage} runs on one process, plan.processes is {asked}: set plan.processes=1.")
    if stage in TABLE:
        return of_row(stage, configs[stage], parts_of(stage, configs))
    if stage == "grpo":
        return of_grpo(configs[stage], parts_of(stage, configs))
    if stage in ("teacher", "distil"):
        parts, text = parts_of(stage, configs), text_of(stage, configs)
        if stage == "teacher":
            return of_teacher(configs[stage], parts, text)
        return of_distil(configs[stage], parts, text, text_tokens(stage, configs))
    if stage == "generator":
        return of_generator(configs[stage])
    known = ", ".join((*TABLE, "teacher", "distil", "grpo", "generator"))
    raise ConfigError(f"Stage {stage} has no plan: its costs are in the model card. There are plans of {known}.")


def of_row(stage: str, config: Any, parts: Parts) -> Plan:
    row, plan, loop = row_of(stage, config), config.plan, config.loop
    shares: dict[str, float] = dict(shares_of(stage, row, config))
    live = "queries" in row.moves
    drawer: Role = "learns" if "transformer" in row.moves else "through"
    bridge: Role = "learns" if "bridge" in row.moves else "through"
    cut = config.flow.cut_share if "next" in shares else 1.0
    step = Step(
        *(parts, config.flow.batch, shares, drawer, "through" if live else None, bridge, config.recompute),
        *(plan.prompt, cut, plan.processes),
    )
    known = {k: config.examples.count(k) for k in shares}  # type: ignore[arg-type]
    scale = plan.examples / sum(known.values()) if plan.examples else 1.0
    counts = {k: round(n * scale) for k, n in known.items()}
    rows = [Row(f"{part}, {loop.steps} steps", n * loop.steps) for part, n in step.flop().items()]
    made = "latents" if live else "latents and the reader's states"
    once = cache_flop(parts, counts, plan.prompt, 0 if live else 1)
    rows.append(Row(f"{made} of {sum(counts.values())} examples, once", once, True))
    memory = weights_memory(
        *(parts, row.moves, loop.optimiser, plan.processes),
        **{"sharded": loop.parallel == "shard", "half": config.half, "reader": live},
    )
    return Plan(
        *(stage, loop.steps, plan.processes, plan.machine),
        loop.steps * step.tokens,
        loop.steps * config.flow.batch * step.read_tokens if live else 0.0,
        loop.steps * config.flow.batch / sum(counts.values()),
        tuple(rows),
        {**memory, "activations": activations(step), "the whole batch": whole_batch(step)},
        rate_of(plan),
    )


def of_teacher(config: Any, parts: Parts, text: TextEncoder) -> Plan:
    """The stand-in: transformer and text encoder, both newborn."""
    plan, loop, tokens = config.plan, config.loop, config.text.tokens
    each = {
        "transformer": parts.drawer.forward(parts.tokens("image"), tokens).step("learns", config.recompute),
        "text encoder": text.forward(tokens).step("learns"),
    }
    times = loop.steps * config.flow.batch
    rows = [Row(f"{part}, {loop.steps} steps", n * times) for part, n in each.items()]
    once = cache_flop(parts, {"image": config.examples.images}, 0, 0)
    rows.append(Row(f"latents of {config.examples.images} stills, once", once, True))
    moving = parts.drawer.parameters + text.parameters
    step = Step(parts, config.flow.batch, {"image": 1.0}, "learns", None, recompute=config.recompute)
    return Plan(
        *("teacher", loop.steps, 1, plan.machine, times * parts.tokens("image"), 0.0, times / config.examples.images),
        tuple(rows),
        {
            "all that learns": moving * (LEARNS + STATE[loop.optimiser] + CAST) / GIB,
            "activations": activations(step),
            "the whole batch": whole_batch(step, DISTILLED),
        },
        rate_of(plan),
    )


def of_distil(config: Any, parts: Parts, text: TextEncoder, tokens: int) -> Plan:
    """Two passes of one transformer at every step, the student's with its way back to connector and queries; before
    that the teacher draws every caption's picture. `tokens`: to which the teacher's text encoder pads a caption."""
    plan, loop, draw = config.plan, config.loop, config.draw
    step = Step(
        *(parts, config.flow.batch, {"image": 1.0}, "through", "through", "learns", config.recompute, plan.prompt),
        processes=plan.processes,
    )
    taught = parts.drawer.forward(parts.tokens("image"), tokens).forward
    told = text.forward(tokens).forward
    count = plan.examples or config.examples.images
    times = loop.steps
    rows = [Row(f"{part}, {loop.steps} steps", n * times) for part, n in step.flop().items()]
    rows.append(Row("teacher: transformer and T5", times * config.flow.batch * (taught + told)))
    guided = 2 if draw.guidance != 1 else 1
    drawn = count * guided * (draw.steps * taught + told)
    rows.append(Row(f"{count} pictures drawn by the teacher, once", drawn, True, True))
    memory = weights_memory(
        *(parts, ("queries", "bridge"), loop.optimiser, plan.processes),
        **{"sharded": loop.parallel == "shard", "half": config.half, "reader": True},
    )
    memory["T5"] = text.parameters * (2 if config.half else 4) / GIB
    return Plan(
        *("distil", loop.steps, plan.processes, plan.machine),
        times * step.tokens,
        times * config.flow.batch * step.read_tokens,
        times * config.flow.batch / count,
        tuple(rows),
        {**memory, "activations": activations(step), "the whole batch": whole_batch(step, DISTILLED)},
        rate_of(plan),
    )


def of_generator(config: Any) -> Plan:
    """The starter's: a transformer that is born here, beside the starter's reader and autoencoder."""
    plan, loop = config.plan, config.loop
    parts = read(ROOT / "assets" / "starter")
    size = replace(parts.drawer, width=config.width, layers=config.layers, heads=config.heads)
    parts = replace(parts, drawer=size)
    step = Step(
        *(parts, config.flow.batch, {"next": 1.0}, "learns", None),
        **{"recompute": config.recompute, "prompt": plan.prompt, "cut": config.flow.cut_share},
        processes=plan.processes,
    )
    rows = [Row(f"{part}, {loop.steps} steps", n * loop.steps) for part, n in step.flop().items()]
    once = cache_flop(parts, {"next": config.pairs}, plan.prompt, config.wordings)
    rows.append(Row(f"latents and the reader's states of {config.pairs} pairs, once", once, True, True))
    moves = ("bridge", "transformer")
    memory = weights_memory(
        *(parts, moves, loop.optimiser, plan.processes),
        **{"sharded": loop.parallel == "shard", "half": False, "reader": False},
    )
    return Plan(
        *("generator", loop.steps, plan.processes, plan.machine, loop.steps * step.tokens, 0.0),
        loop.steps * config.flow.batch / config.pairs,
        tuple(rows),
        {**memory, "activations": activations(step), "the whole batch": whole_batch(step)},
        rate_of(plan),
    )


def of_grpo(config: Any, parts: Parts) -> Plan:
    """Rollouts, what they show, and the update: each of the chosen candidates at each trained step."""
    plan, loop, group, rollout = config.plan, config.loop, config.group, config.rollout
    kind = "next"
    guided = 2 if rollout.guidance != 1 else 1
    noisy = len(stochastic_steps(rollout.steps, rollout.window, rollout.window_every, 0))
    trained = max(1, round(noisy * rollout.fraction))
    chosen = group.top + group.bottom or group.candidates
    cut = 1.0 if config.asks.mode == "cut" else 0.0
    step = Step(
        parts, rollout.micro_batch * guided, {kind: 1.0}, "learns", None, "fixed", config.recompute, plan.prompt
    )
    step = Step(**{**vars(step), "cut": cut, "bridge": "learns" if "bridge" in config.policy.moves else "fixed"})
    each = step.draw_work(kind)
    times = loop.steps * config.groups
    vae = meta.autoencoder(parts.autoencoder)
    seen = meta.flop(meta.decode(vae, parts.latents(kind)))
    rows = (
        Row("rollouts", times / config.updates * group.candidates * rollout.steps * guided * each.forward),
        Row("updates", times * chosen * trained * guided * each.step("learns", config.recompute)),
        Row("candidates decoded", times / config.updates * group.candidates * seen),
        Row("stories read", times / config.updates * parts.language.forward(step.read_tokens).forward),
    )
    moves = tuple(config.policy.moves)
    memory = weights_memory(
        *(parts, moves, loop.optimiser, 1),
        **{"sharded": False, "half": config.half, "reader": True},
    )
    memory["autoencoder"] = meta.parameters(vae) * (2 if config.half else 4) / GIB
    beside = max(activations(step), meta.memory(vae, meta.decode(vae, parts.latents(kind))) / GIB)
    return Plan(
        *("grpo", loop.steps, 1, plan.machine),
        times * chosen * trained * parts.tokens(kind),
        times / config.updates * step.read_tokens,
        times / config.updates / (plan.examples or config.asks.count),
        rows,
        {**memory, "activations": beside},
        rate_of(plan),
    )
