"""A wish that cannot come true here is answered with what could."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nsp_core.errors import NotHere, OutsideLanguage, UserError
from nsp_core.types import Predictor, ShouldStop, StoryContext

IDEAS = 3


@contextmanager
def offering(predictor: Predictor, context: StoryContext, should_stop: ShouldStop) -> Iterator[None]:
    """Around thoughts about a wish: NotHere leaves with the predictor's own ideas of what comes next as its `known`.
    Raises OutsideLanguage, with what it knows at all, where it has none; Cancelled, when it is stopped meanwhile."""
    try:
        yield
    except NotHere as error:
        try:
            ideas = predictor.think(context, alternatives=IDEAS, should_stop=should_stop)
            possible = tuple(one.text for one in ideas if one.done)
        except UserError:
            possible = ()
        raise NotHere(str(error), possible) if possible else OutsideLanguage(str(error), error.known) from error
