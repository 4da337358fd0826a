"""What millions of clips would cost: processors, cards, hours, storage, dollars, from rates that were measured.

Rates of decoding and encoding come from a run's own store (`data plan --rates DIR`), else from the ones below, which
say where they were measured. Captions and verdicts by a service cost tokens; by a model of one's own, card-hours,
whose rate nobody measured here: NeMo Curator's nightly gate stands in and is named. Prices are assumptions, to be set.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nsp_core.errors import UserError
from training.data.store import Store

# seconds of one core for one clip of 81 frames at 832x480: the quicker of two runs over the project's test films (480p
# and 720p) on two slow x86 cores that others worked on, too, so more than a machine of one's own will take
CORE_SECONDS = {"probe": 0.34, "split": 2.4, "quality": 0.0002, "render": 0.003}
CLIP_BYTES = 1.2e6  # of such a clip at crf 17 (the same runs)
LATENT_BYTES = 1.1e6  # 128 channels, 11 x 15 x 26, bfloat16
SOURCE_BYTES = 1.5e6  # of film for one clip: it is read once and may be thrown away
# captions of a node of 8 GPUs, NVIDIA NeMo Curator's nightly gate (benchmarking/nightly-benchmark.yaml, 26.07)
CAPTIONS_PER_NODE_SECOND = 0.85
TOKENS = {"caption": (6 * 250 + 90, 80), "precede": (220, 50), "verify": (260, 90)}  # in, out; six pictures of 512
ROUNDS = 1.5  # descriptions of one clip, of at most three


@dataclass(frozen=True)
class Prices:
    """Dollars. Assumptions: what is rented differs by a factor of three."""

    core_hour: float = 0.04
    card_node_hour: float = 20.0  # eight cards
    terabyte_month: float = 23.0
    million_in: float = 3.0
    million_out: float = 15.0
    cores: int = 64  # of one node
    nodes: int = 16
    card_nodes: int = 8


def rates_of(folder: Path) -> tuple[dict[str, float], float, int]:
    """Core-seconds a clip by stage, bytes a clip, and of how many clips."""
    path = folder / "state.db"
    if not path.is_file():
        raise UserError(f"{folder} is no folder of a run: `data run` makes one.")
    store = Store(path)
    rendered = [r for r in store.results("render").values() if r.outcome.status == "ok"]
    seconds = {s: sum(r.seconds for r in store.results(s).values()) for s in ("probe", "split", "quality", "render")}
    store.close()
    films = [r for r in rendered if str(r.outcome.values["file"]).endswith(".mp4")]
    if not films:
        raise UserError(f"The run in {folder} has not made a clip yet: there are no rates in it.")
    size = sum(float(r.outcome.values["bytes"]) for r in films) / len(films)
    return {stage: total / len(films) for stage, total in seconds.items()}, size, len(films)


def costs(clips: float, rates: Path | None, prices: Prices = Prices()) -> dict[str, Any]:
    if not clips >= 1:
        raise UserError(f"--clips is {clips:g}: give how many clips there are to be, from 1 on.")
    seconds, size, measured = (CORE_SECONDS, CLIP_BYTES, 0) if rates is None else rates_of(rates)
    core_hours = clips * sum(seconds.values()) / 3600
    node_hours = clips / CAPTIONS_PER_NODE_SECOND / 3600
    storage = {"clips": clips * size / 1e12, "latents": clips * LATENT_BYTES / 1e12}
    storage |= {"films, while they are cut": clips * SOURCE_BYTES / 1e12}
    kept = storage["clips"] + storage["latents"]
    asks = {"caption": clips, "precede": clips * ROUNDS, "verify": clips * ROUNDS}
    by_service = {
        name: count * (TOKENS[name][0] * prices.million_in + TOKENS[name][1] * prices.million_out) / 1e6
        for name, count in asks.items()
    }
    return {
        "clips": clips,
        "rates": {"core_seconds_a_clip": seconds, "bytes_a_clip": size, "measured_on_clips": measured},
        "cutting": {
            "core_hours": core_hours,
            "nodes": prices.nodes,
            "hours": core_hours / (prices.cores * prices.nodes),
            "usd": core_hours * prices.core_hour,
        },
        "captions_by_cards": {
            "node_hours": node_hours,
            "nodes": prices.card_nodes,
            "hours": node_hours / prices.card_nodes,
            "usd": node_hours * prices.card_node_hour,
        },
        "words_by_service_usd": by_service,
        "storage_tb": storage,
        "storage_usd_a_month": kept * prices.terabyte_month,
        "usd": {
            "captions by cards, pairs by a service": core_hours * prices.core_hour
            + node_hours * prices.card_node_hour
            + by_service["precede"]
            + by_service["verify"],
            "all words by a service": core_hours * prices.core_hour + sum(by_service.values()),
            "all words by a service, in batches": core_hours * prices.core_hour + sum(by_service.values()) / 2,
        },
        "assumed": vars(prices),
    }


def print_plan(clips: float, rates: Path | None, as_json: bool) -> int:
    found = costs(clips, rates)
    print("\n".join(lines_of(found)))  # noqa: T201 - its answer
    if as_json:
        print(json.dumps(found))  # noqa: T201
    return 0


def lines_of(found: dict[str, Any]) -> list[str]:
    cut, cards, p = found["cutting"], found["captions_by_cards"], found["assumed"]
    measured = found["rates"]["measured_on_clips"]
    lines = [
        f"{found['clips']:,.0f} clips, rates measured on {measured} clips of that run"
        if measured
        else f"{found['clips']:,.0f} clips, rates of the project's test films (--rates DIR: your own)",
        f"shots, filters, clips   {cut['core_hours']:12,.0f} core-hours, {days(cut['hours'])} on {cut['nodes']} nodes "
        f"of {p['cores']} cores, ${cut['usd']:,.0f}",
        f"captions by own cards   {cards['node_hours']:12,.0f} node-hours of 8 cards (Curator's gate, not ours), "
        f"{days(cards['hours'])} on {cards['nodes']} nodes, ${cards['usd']:,.0f}",
    ]
    lines += [f"{name + ' by a service':<24}${usd:,.0f}" for name, usd in found["words_by_service_usd"].items()]
    lines += [f"storage, {name:<28}{size:8.1f} TB" for name, size in found["storage_tb"].items()]
    lines += [f"storage a month         ${found['storage_usd_a_month']:,.0f}"]
    lines += [f"together, {name}: ${usd:,.0f}" for name, usd in found["usd"].items()]
    lines.append(
        f"Assumed: ${p['core_hour']} a core-hour, ${p['card_node_hour']:g} a node-hour of 8 cards, "
        f"${p['terabyte_month']:g} a TB-month, ${p['million_in']:g} and ${p['million_out']:g} a million tokens."
    )
    return lines


def days(hours: float) -> str:
    return f"{hours:.1f} hours" if hours < 48 else f"{math.ceil(hours / 24)} days"
