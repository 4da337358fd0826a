"""`python launch.py bench [app|train|reel|predict|data] [--json] [--quick] [--only PART]`: promises, measured.

Without a word the model, the page's start and the film; `app`: how the page feels in a browser (tests.bench.app);
`train`: a training step (tests.bench.train); `reel`: films (tests.bench.film); `predict`: the big pipeline beside
diffusers' own at a size that a processor can draw (tests.bench.predict), the starter beside it, and what shortcuts
save and change (tests.bench.shortcuts); `data`: curation
beside PySceneDetect and ffmpeg (tests.bench.data).

Each row is {"what", "value", "unit", "peer", "peer_value", "ratio", "bar", "ok"}: `bar` is the most that `value` may
be, or `ratio` where a peer did the same work in the same run. What could not be measured has value null and is not ok.
No test asserts a time: machines differ, and a busy one says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from tests.bench import app, data, film, page, predict, reel, shortcuts, train
from tests.bench.model import THREADS, paired_ratio

ROOT = Path(__file__).resolve().parents[2]
STARTER = ROOT / "assets" / "starter"
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
Row = dict[str, Any]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="launch.py bench", description="Time the model and the page on this machine.")
    what = ["app", "train", "reel", "predict", "data"]
    parser.add_argument(
        "what", nargs="?", choices=what, help="page; a training step; films; the big pipeline; curation"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--quick", action="store_true", help="few repetitions: shows that everything runs")
    parser.add_argument("--starter", type=Path, help="folder of the model to time (default: assets/starter)")
    parser.add_argument(
        "--only", action="append", choices=film.PARTS, help="reel: this part; more than one can be named"
    )
    arguments = parser.parse_args(argv)
    model = arguments.starter
    if model is None and (STARTER / "model_index.json").exists():
        model = STARTER
    rows: list[Row] = []
    rounds = 1 if arguments.quick else 7
    chosen: dict[str | None, list[Callable[[], Iterable[Row]]]] = {
        "app": [lambda: app_rows(model, rounds)],
        "train": [lambda: train_rows(model, rounds)],
        "reel": [lambda: film.rows(quick=arguments.quick, parts=arguments.only or film.PARTS)],
        "data": [lambda: data_rows(arguments.quick)],
        "predict": [
            lambda: predict_rows(rounds),
            lambda: model_rows(model, rounds)[-1:],
            lambda: shortcut_rows(model, rounds),
        ],
        None: measures(model, rounds),
    }
    for measure in chosen[arguments.what]:
        for row in measure():
            rows.append(row)
            print(line_of(row), flush=True)
    if arguments.json:
        print(json.dumps({"rows": rows}), flush=True)
    return 0


def measures(model: Path | None, rounds: int) -> list[Callable[[], Iterable[Row]]]:
    return [
        lambda: model_rows(model, rounds),
        lambda: avx2_rows(model, max(1, rounds // 2)),
        page_rows,
        reel_rows,
    ]


def model_rows(model: Path | None, rounds: int) -> list[Row]:
    try:
        timing = time_model(model, rounds)
    except subprocess.SubprocessError as error:
        return [missing("words and a finished clip", "s", 5.0, error)]
    name, steps = timing["model"], timing["steps"]
    scene = statistics.median(words + clip for words, clip in zip(timing["words"], timing["clip"], strict=True))
    how = f"{steps['continue']} steps, warm, {THREADS} threads ({name})"
    first = statistics.median(timing["preview"]) if timing["preview"] else None
    differs = "changes with the words" if timing["preview_differs"] else "DOES NOT CHANGE WITH THE WORDS"
    ratio, noise = paired_ratio(timing["drawing"], timing["peer"])
    return [
        row(f"words and a finished clip, {how}", scene, "s", bar=5.0),
        row(f"first preview, {differs}, {how}", first, "s", bar=2.0, holds=timing["preview_differs"]),
        row(f"most memory held ({name})", timing["peak_gb"], "GB", bar=1.5),
        {
            **row(f"drawing a clip with a cut, {steps['cut']} steps, condition given ({name})", None, "s", bar=1.0),
            "value": rounded(statistics.median(timing["drawing"])),
            "peer": "diffusers LTXPipeline, same weights, steps, guidance, size and text length",
            "peer_value": rounded(statistics.median(timing["peer"])),
            "ratio": rounded(ratio),
            "ok": ratio <= 1.0 + noise,
        },
    ]


def avx2_rows(model: Path | None, rounds: int) -> list[Row]:
    what = "words and a finished clip, AVX2 only"
    try:
        timing = time_model(model, rounds, "--without-peer", environment=AVX2)
    except subprocess.SubprocessError as error:
        return [missing(what, "s", 15.0, error)]
    scene = statistics.median(words + clip for words, clip in zip(timing["words"], timing["clip"], strict=True))
    how = f"{timing['steps']['continue']} steps, warm, {THREADS} threads ({timing['model']})"
    return [row(f"{what}, {how}", scene, "s", bar=15.0)]


def page_rows() -> list[Row]:
    try:
        return [row("page ready, from the command to its first answer", page.seconds_until_ready(), "s", bar=5.0)]
    except page.PageDidNotStart as error:
        return [missing("page ready, from the command to its first answer", "s", 5.0, error)]


def app_rows(model: Path | None, rounds: int) -> Iterator[Row]:
    return app.rows(row, missing, starter=model, rounds=min(rounds, 3))


def train_rows(model: Path | None, rounds: int) -> list[Row]:
    try:
        return train.rows(row, time_model(model, min(rounds, 5), module="tests.bench.train"))
    except subprocess.SubprocessError as error:
        return [missing("a training step", "s", 1.0, error)]


def shortcut_rows(model: Path | None, rounds: int) -> list[Row]:
    try:
        return shortcuts.rows(row, time_model(model, rounds, module="tests.bench.shortcuts"))
    except subprocess.SubprocessError as error:
        return [missing("a scene with a shortcut", "s", shortcuts.BAR, error)]


def predict_rows(rounds: int) -> list[Row]:
    options = ("--steps", "2" if rounds == 1 else "4")
    module = "tests.bench.predict"
    try:
        held = {who: time_model(None, 1, "--only", who, *options, module=module)["peak_gb"] for who in predict.ALONE}
        return predict.rows(row, time_model(None, rounds, *options, module=module), held)
    except subprocess.SubprocessError as error:
        return [missing("words to latents, a mid-size random LTX", "s", predict.BARS["denoising"], error)]


def data_rows(quick: bool) -> Iterator[Row]:
    return data.rows(row, quick=quick)


def reel_rows() -> list[Row]:
    return reel.rows()


def time_model(
    model: Path | None,
    rounds: int,
    *options: str,
    environment: dict[str, str] | None = None,
    module: str = "tests.bench.model",
) -> Any:
    command = [sys.executable, "-m", module, "--rounds", str(rounds), *options]
    if model is not None:
        command += ["--model", str(model.resolve())]
    # OMP_NUM_THREADS would win over the number of threads that is asked for.
    given = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    done = subprocess.run(
        command, cwd=ROOT, env={**given, **(environment or {})}, capture_output=True, text=True, timeout=1800
    )
    if done.returncode:
        raise subprocess.SubprocessError(page.last_line(done.stderr))
    return json.loads(done.stdout.splitlines()[-1])


def row(what: str, value: float | None, unit: str, *, bar: float, holds: bool = True) -> Row:
    ok = value is not None and holds and value <= bar
    empty = {"peer": None, "peer_value": None, "ratio": None}
    return {"what": what, "value": rounded(value), "unit": unit, **empty, "bar": bar, "ok": ok}


def missing(what: str, unit: str, bar: float, error: Exception) -> Row:
    return row(f"{what} (could not be measured: {error})", None, unit, bar=bar)


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def line_of(row: Row) -> str:
    mark = "ok  " if row["ok"] else "MISS"
    value = "     -" if row["value"] is None else f"{row['value']:6.2f}"
    limit = f"{row['ratio']} of {row['peer']}, bar {row['bar']}" if row["ratio"] is not None else f"bar {row['bar']}"
    return f"{mark} {value} {row['unit']:<2} {row['what']} ({limit})"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
