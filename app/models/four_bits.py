"""What four bits cost a reader: measured once on wish, kept beside the weights, said wherever they are looked at.

The measuring loads the reader twice, which takes minutes and its bfloat16 size in memory; so it is never done unasked.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from nsp_core.model.spec import FourBitError, HubModel
from nsp_core.tiers import TIERS
from nsp_core.weights.cache import Cache

_NAME = "four_bits.json"


def four_bit_words(error: FourBitError) -> str:
    """One sentence."""
    bridge = "" if error.trained else " (one that was never trained; there is no other yet)"
    return (
        f"in 4 bits its states differ from those in 16 by {error.at_queries:.1%} at the queries (cosine "
        f"{error.cosine_at_queries:.4f}) and by {error.at_connector:.1%} at the output of the connector{bridge} "
        f"(cosine {error.cosine_at_connector:.4f}), over {error.scenes} scenes."
    )


def four_bit_error(
    cache: Cache, model: HubModel, *, fresh: bool = False, connector: Path | None = None
) -> FourBitError | None:
    """What was measured of this commit; `fresh`: measure it now, with a `connector` of one's own where there is one.
    None for what is no reader, or was not measured."""
    if model not in {tier.spec.reader for tier in TIERS if tier.spec is not None}:
        return None
    record = cache.record_of(model)
    if record is None:
        return None
    path = cache.repo(model.repo) / "whatnext" / _NAME
    if fresh:
        from nsp_core.model.quantised import measure_folder

        made = measure_folder(cache.folder_of(model), connector)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"commit": record.commit, **asdict(made)}), encoding="utf-8")
        os.replace(partial, path)
        return made
    with contextlib.suppress(OSError, ValueError, TypeError):
        given = json.loads(path.read_text(encoding="utf-8"))
        if given.pop("commit") == record.commit:
            return FourBitError(**given)
    return None
