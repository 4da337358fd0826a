"""Judges: does a scene follow from the story before it, without repeating it? See `verdict` and `registry`.

`paper` asks the paper's two questions (`templates`) of an `asking.Asker`: `calls.Live` over a service (`claude`,
`server`), or `batches.Batched`; both have one `ledger`. `weighing` and `local` ask the reader on this machine.
"""

from __future__ import annotations

from nsp_core.judges.registry import GROUP, get_judge, judge_names
from nsp_core.judges.verdict import CausalJudge, Outcome, Verdict, majority

__all__ = ["GROUP", "CausalJudge", "Outcome", "Verdict", "get_judge", "judge_names", "majority"]
