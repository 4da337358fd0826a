"""A model on a borrowed card (ZeroGPU): every call of it runs under `@spaces.GPU`, which forks, as long as asked.

The model is loaded in the page's process on the processor, and moved to the card by the fork, where alone there is one;
what a fork learns is lost with it. Arguments and answers cross by pickling, so `should_stop` stays here: whoever waits
for an answer asks it and tells the fork through one number that both see. Errors cross as answers, because of one that
is raised `spaces` (0.51) keeps the name of its class only. The runner, and with it all rows, stays in
the page's process. Only imported with `WHATNEXT_PREDICTOR=app.zero:load`.
"""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from app.predictors import load as load_here
from nsp_core.errors import Cancelled, ModelUnavailable
from nsp_core.types import (
    Description,
    Frames,
    NextScene,
    Predictor,
    Progress,
    SceneRequest,
    ShouldStop,
    StoryContext,
    Thought,
)

LEAST, MOST = 15, 120  # seconds that are asked for; more costs a visitor their share, less ends in the middle
FIRST_STEP, FIRST_THOUGHT, MOVING = 1.5, 8.0, 8.0  # seconds, guessed before anything was measured
USUAL_STEPS = 16
REMEMBERED = 10


class NoCard(ModelUnavailable):
    """ZeroGPU lends none just now; its own words say why and when it will."""


@dataclass(frozen=True)
class Failed:
    """An error on its way out of a fork."""

    error: Exception


GPU = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]  # spaces.GPU(duration=...)


@dataclass
class Durations:
    """How long a unit of work (a step, an alternative) took lately: half as much again is asked for."""

    first: float
    lately: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def took(self, seconds: float, units: int) -> None:
        self.lately.append(max(0.0, seconds - MOVING) / max(1, units))

    def asked(self, units: int) -> int:
        """Whole seconds for `units`."""
        each = max(self.lately) * 1.5 if self.lately else self.first
        return round(min(MOST, max(LEAST, MOVING + each * max(1, units))))


class Borrowing:
    """A Predictor whose work is done on a borrowed card. One call at a time, as the runner does."""

    def __init__(self, predictor: Predictor, gpu: GPU, move: Callable[[Predictor], None]) -> None:
        self.predictor = predictor
        self.fingerprint = predictor.fingerprint
        self.steps, self.thoughts = Durations(FIRST_STEP), Durations(FIRST_THOUGHT)
        self._stop: Any = multiprocessing.get_context("fork").Value(ctypes.c_bool, False, lock=False)
        self._one = threading.Lock()
        stop = self._stop

        def describe(frames: Frames) -> Description | Failed:
            try:
                move(predictor)
                return predictor.describe(frames)
            except Exception as error:
                return Failed(_portable(error))

        def think(context: StoryContext, steer: str | None, alternatives: int, seed: int) -> Iterator[Thought | Failed]:
            try:
                move(predictor)
                yield from predictor.think(
                    context, steer=steer, alternatives=alternatives, seed=seed, should_stop=lambda: bool(stop.value)
                )
            except Exception as error:
                yield Failed(_portable(error))

        def act(request: SceneRequest) -> Iterator[Progress | NextScene | Failed]:
            try:
                move(predictor)
                yield from predictor.act(request, should_stop=lambda: bool(stop.value))
            except Exception as error:
                yield Failed(_portable(error))

        self._describe = gpu(duration=lambda _frames: self.thoughts.asked(1))(describe)
        self._think = gpu(duration=lambda _context, _steer, alternatives, _seed: self.thoughts.asked(alternatives))(
            think
        )
        self._act = gpu(duration=lambda request: self.steps.asked(steps_of(request)))(act)

    def __getattr__(self, name: str) -> Any:
        """What else a model says of itself: its geometry, its configuration, its opinion."""
        return getattr(self.predictor, name)

    def describe(self, frames: Frames) -> Description:
        with self._one:
            self._stop.value = False
            try:
                answer: Description | Failed = self._describe(frames)
            except Exception as error:
                raise no_card(error) from error
        if isinstance(answer, Failed):
            raise answer.error
        return answer

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        items = self._borrowed(lambda: self._think(context, steer, alternatives, seed), should_stop)
        yield from self._timed(items, self.thoughts, alternatives)

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        items = self._borrowed(lambda: self._act(request), should_stop)
        yield from self._timed(items, self.steps, steps_of(request))

    # inside -----------------------------------------------------------------------------------------------------

    def _borrowed(self, call: Callable[[], Iterator[Any]], should_stop: ShouldStop | None) -> Iterator[Any]:
        """Items as they come. Whoever stops listening, or says so, ends the work within one step of it."""
        with self._one:
            self._stop.value = False
            items = _asked(call())
            try:
                for item in items:
                    if isinstance(item, Failed):
                        raise item.error
                    if should_stop is not None and should_stop():
                        self._stop.value = True
                        continue  # the fork ends with Cancelled at its next step
                    yield item
            except GeneratorExit:
                self._stop.value = True
                for _ in items:
                    pass
                raise
            if self._stop.value:
                raise Cancelled("Stopped.")

    def _timed(self, items: Iterator[Any], durations: Durations, units: int) -> Iterator[Any]:
        began = time.monotonic()
        yield from items
        durations.took(time.monotonic() - began, units)


def _asked(items: Iterator[Any]) -> Iterator[Any]:
    """What goes wrong here goes wrong with the borrowing: a share that is used up, a card that was taken back."""
    try:
        yield from items
    except Exception as error:
        raise no_card(error) from error


def no_card(error: Exception) -> NoCard:
    told = re.sub(r"<[^>]*>", "", str(error.args[0]) if error.args else type(error).__name__)
    return NoCard(f"No graphics card could be borrowed for this: {' '.join(told.split())[:300]}")


def _portable(error: Exception) -> Exception:
    """Python's own errors and ours cross as they are; of others, which may hold anything, the words do."""
    plain = all(isinstance(part, str | int | float | bool | None) for part in error.args)
    if plain and type(error).__module__ in ("builtins", "nsp_core.errors"):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def steps_of(request: SceneRequest) -> int:
    return request.options.steps or USUAL_STEPS


@functools.cache
def load(spec: str) -> Predictor:
    """The model in the folder `spec`, to be used on borrowed cards. Raises as app.predictors.load. Once: ZeroGPU wants
    to see what is decorated before the page opens, and the first job asks for it again."""
    import spaces

    made: Predictor = Borrowing(load_here(spec), spaces.GPU, to_card)
    return made


def to_card(predictor: Any) -> None:
    """In a fork: onto its card, where it has one."""
    import torch

    if torch.cuda.is_available():
        predictor.to("cuda")
