"""A server on this machine that speaks Messages, Message Batches, Models and chat completions, and fails on request.

What it answers follows from the question alone: a caption tells how bright the last picture is, and a verdict is Pass
when the caption has the word "follows". It keeps its own books of what it would bill.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

from PIL import Image

PRICE = (2.0, 10.0)  # of claude-sonnet-5-5
INPUT_TOKENS, OUTPUT_TOKENS = 300, 60
FAULTS = ("429", "529", "500", "slow", "dropped", "garbled", "no message", "no json", "wrong form")
BILLED = {"slow", "dropped", "garbled", "no message", "no json", "wrong form"}


class Gone(Exception):
    """The connection is closed without an answer."""


@dataclass
class Service:
    """`faults`: the share of calls that fail, in one of the ways of `kinds`; `slow`: seconds."""

    faults: float = 0.0
    kinds: tuple[str, ...] = FAULTS
    slow: float = 0.5
    seed: int = 0
    retry_after: str | None = "0.02"
    headers: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=lambda: {"claude-sonnet-5-5": "active"})
    batch_seconds: float = 0.0
    refused_batches: int = 0  # so many POSTs get 529 first
    on_batch: Callable[[], None] | None = None  # after a batch was taken, before the answer
    on_results: Callable[[], None] | None = None  # when half of the results are out
    asked: list[dict[str, Any]] = field(default_factory=list)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    billed_nano: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    # -- what is said -------------------------------------------------------------------------------------------------
    def fault(self) -> str:
        with self.lock:
            kind = self.rng.choice(self.kinds) if self.rng.random() < self.faults else ""
            self.happened[kind or "well"] += 1
            return kind

    def bill(self, share: float = 1.0) -> None:
        with self.lock:
            self.billed_nano += round((INPUT_TOKENS * PRICE[0] + OUTPUT_TOKENS * PRICE[1]) * 1000 * share)

    def message(self, body: dict[str, Any], fault: str = "") -> dict[str, Any]:
        words, pictures = _content(body)
        text, stop = answer(words, pictures), "end_turn"
        if "unspeakable" in words:
            text, stop = "", "refusal"
        elif "endless" in words:
            text, stop = text[:9], "max_tokens"
        if fault == "no json":
            text = "I think it is a Pass."
        elif fault == "wrong form":
            text = json.dumps({"reason": "hm", "verdict": "Perhaps"})
        content = [{"type": "thinking", "thinking": "", "signature": "x"}, {"type": "text", "text": text}]
        return {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
        }

    def chat(self, body: dict[str, Any], fault: str = "") -> dict[str, Any]:
        said = self.message(body, fault)
        reason = {"end_turn": "stop", "max_tokens": "length", "refusal": "content_filter"}[said["stop_reason"]]
        choice = {"message": {"role": "assistant", "content": said["content"][1]["text"]}, "finish_reason": reason}
        return {"choices": [choice], "usage": {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS}}

    # -- batches ------------------------------------------------------------------------------------------------------
    def take_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            if self.refused_batches:
                self.refused_batches -= 1
                return {}
            name = f"msgbatch_{len(self.batches):03d}"
            self.batches[name] = {"requests": body["requests"], "since": time.monotonic(), "seed": self.rng.random()}
        for _ in body["requests"]:
            self.bill(0.5)  # at the latest: nobody can get it back
        return self.batch(name)

    def batch(self, name: str) -> dict[str, Any]:
        kept = self.batches[name]
        ended = time.monotonic() - kept["since"] >= self.batch_seconds
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        counts["succeeded" if ended else "processing"] = len(kept["requests"])
        return {
            "id": name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": "2026-11-21T10:00:00Z",
            "expires_at": "2026-11-22T10:00:00Z",
            "results_url": f"{self.url}/v1/messages/batches/{name}/results" if ended else None,
        }

    def results(self, name: str) -> list[dict[str, Any]]:
        """In another order than they were asked; the same every time."""
        kept = self.batches[name]
        rng = Random(kept["seed"])
        lines = []
        for request in kept["requests"]:
            result: dict[str, Any]
            chance = rng.random() / self.faults if self.faults else 1.0
            if chance < 0.4:
                error = {"type": "error", "error": {"type": "api_error", "message": "overloaded"}}
                result = {"type": "errored", "error": error}
            elif chance < 0.6:
                result = {"type": "expired"}
            else:
                fault = "no json" if chance < 0.8 else "wrong form" if chance < 1 else ""
                result = {"type": "succeeded", "message": self.message(request["params"], fault)}
            lines.append({"custom_id": request["custom_id"], "result": result})
        rng.shuffle(lines)
        return lines


def answer(words: str, pictures: list[bytes]) -> str:
    if pictures:
        level = round(sum(Image.open(io.BytesIO(pictures[-1])).convert("L").resize((1, 1)).tobytes()) / 8)
        return json.dumps({"caption": f"{len(pictures)} pictures of brightness {level}; it follows"})
    caption = re.search(r"Caption: (.*)", words)
    assert caption, f"no template of ours: {words[:80]}"
    passed = "follows" in caption[1]
    return json.dumps({"reason": f"because of: {caption[1]}", "verdict": "Pass" if passed else "Fail"})


def _content(body: dict[str, Any]) -> tuple[str, list[bytes]]:
    words, pictures = "", []
    for block in body["messages"][0]["content"]:
        if block["type"] == "text":
            words += block["text"]
        elif block["type"] == "image":
            pictures.append(base64.b64decode(block["source"]["data"]))
        else:
            pictures.append(base64.b64decode(block["image_url"]["url"].split(",", 1)[1]))
    return words, pictures


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def service(self) -> Service:
        return self.server.service

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        models = [_model(name, state) for name, state in self.service.models.items()]
        if path == "/v1/models":
            return self._json(200, {"data": models, "has_more": False, "first_id": None, "last_id": None})
        if path.startswith("/v1/models/"):
            found = [one for one in models if one["id"] == path.rsplit("/", 1)[1]]
            return self._json(200, found[0]) if found else self._error(404, "not_found_error")
        if path == "/v1/messages/batches":
            found = [self.service.batch(name) for name in reversed(self.service.batches)]
            return self._json(200, {"data": found, "has_more": False, "first_id": None, "last_id": None})
        name = path.split("/")[4]
        if name not in self.service.batches:
            return self._error(404, "not_found_error")
        if not path.endswith("/results"):
            return self._json(200, self.service.batch(name))
        lines = [json.dumps(line) for line in self.service.results(name)]
        if self.service.on_results is not None:
            then, self.service.on_results = self.service.on_results, None
            whole = "\n".join(lines).encode()
            self._head(200, len(whole), "application/binary")
            self.wfile.write(whole[: len(whole) // 2])
            self.wfile.flush()
            then()
            self.close_connection = True
            return None
        return self._body(200, "\n".join(lines).encode(), "application/binary")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service = self.service
        if self.path == "/v1/messages/batches":
            taken = service.take_batch(body)
            if taken and service.on_batch is not None:
                then, service.on_batch = service.on_batch, None
                then()
                self.close_connection = True
                return None
            return self._json(200, taken) if taken else self._error(529, "overloaded_error")
        with service.lock:
            service.asked.append(body)
            service.at_once += 1
            service.most_at_once = max(service.most_at_once, service.at_once)
        try:
            return self._answer(body, service.fault())
        finally:
            with service.lock:
                service.at_once -= 1

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        service = self.service
        if fault in ("429", "529", "500"):
            return self._error(
                int(fault), {"429": "rate_limit_error", "529": "overloaded_error"}.get(fault, "api_error")
            )
        service.bill()
        if fault == "slow":
            time.sleep(service.slow)
        if fault == "dropped":
            self.close_connection = True
            return None
        if fault == "garbled":
            return self._body(200, b'{"id": "msg_1", "content": [{"type": "te', "application/json")
        if fault == "no message":
            return self._json(200, {"hello": "world"})
        chat = self.path == "/v1/chat/completions"
        return self._json(200, service.chat(body, fault) if chat else service.message(body, fault))

    def _error(self, status: int, kind: str) -> None:
        self._json(status, {"type": "error", "error": {"type": kind, "message": "as was asked for"}})

    def _json(self, status: int, plain: Any) -> None:
        self._body(status, json.dumps(plain).encode(), "application/json")

    def _body(self, status: int, body: bytes, kind: str) -> None:
        try:
            self._head(status, len(body), kind)
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has stopped waiting

    def _head(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in self.service.headers.items():
            self.send_header(name, value)
        if status in (429, 529) and self.service.retry_after is not None:
            self.send_header("retry-after", self.service.retry_after)
        self.end_headers()


def _model(name: str, state: str) -> dict[str, Any]:
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-09-01T00:00:00Z",
        "lifecycle": state,
        "retires_at": None if state == "active" else "2026-02-19T00:00:00Z",
    }


class Running:
    """`with Running(Service()) as service:`; its address is `service.url`."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def __enter__(self) -> Service:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.service = self.service  # type: ignore[attr-defined]
        self.service.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        return self.service

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()
