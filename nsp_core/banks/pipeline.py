"""The pipeline on published weights: the same class, requests and results as the starter's, in one of two modes.

Unified (arXiv 2512.13015): the reader's queries go through our connector into the drawer, as in the starter. Cascade:
no connector; the reader's words go through the drawer's own T5. Whichever is used is told with every scene (`how`).
What differs between drawers lies in `nsp_core.banks.ltx`; where the weights come from, in `nsp_core.banks.load`.

Letters: B batch, Q queries, C latent channels, F latent frames, h, w latent sides, T frames, H, W pixels.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from nsp_core import flow, prompts
from nsp_core.banks.answers import BEGUN, closed, finished, so_far
from nsp_core.banks.ltx import LTX, Condition
from nsp_core.banks.reading import SEQUENCE, check_budget, measure
from nsp_core.errors import UserError
from nsp_core.memory import ends, last_seen, words_of
from nsp_core.model import build
from nsp_core.model.quick import one_run
from nsp_core.model.spec import Mode as DrawMode
from nsp_core.model.vision_language import Prompt, prepare
from nsp_core.model.writing import Manner, Written, write, write_several
from nsp_core.pipeline import NextScenePipeline
from nsp_core.sampler import Velocity
from nsp_core.types import (
    Description,
    Frames,
    NextScene,
    Progress,
    SamplingOptions,
    Scene,
    SceneRequest,
    ShouldStop,
    StoryContext,
    Thought,
)

# arXiv 2512.13015, inference: no negative prompt; the shift is the scheduler's own for the number of tokens
PAPER_SAMPLING = {"steps": 50, "guidance": 3.0, "shift": None}
MAX_ANSWER = 96  # tokens that the reader may write for one scene
TRIES = 3  # an answer that is not what was asked for is asked for again, with another seed


class BankPipeline(NextScenePipeline):
    """Implements `nsp_core.types.Predictor`. Made by `nsp_core.banks.load.load`."""

    model_cpu_offload_seq = "vision_language->text_encoder->connector->transformer->vae"
    _optional_components = ["connector", "text_encoder", "tokenizer"]
    takes_taste = False  # its words are told in a form of their own (nsp_core.banks.answers)

    def __init__(
        self,
        vision_language: Any,
        processor: Any,
        transformer: Any,
        vae: Any,
        scheduler: Any,
        connector: Any = None,
        text_encoder: Any = None,
        tokenizer: Any = None,
        width: int = 832,
        height: int = 480,
        num_frames: int = 65,
        fps: int = 16,
        dialect: str = "paper",
        reference: str = "none",
        residual_scale: None = None,
        rope_scale: Any = (),
        sampling: Any = None,
        in_world_gain: float = -math.inf,
        sharpen: float = 0.0,
        doubt: float | None = None,
    ) -> None:
        super().__init__(
            vision_language=vision_language,
            processor=processor,
            connector=connector,
            transformer=transformer,
            vae=vae,
            scheduler=scheduler,
            width=width,
            height=height,
            num_frames=num_frames,
            fps=fps,
            dialect=dialect,
            reference=reference,
            residual_scale=residual_scale,
            rope_scale=rope_scale,  # the drawer says where cells lie in its own way
            sampling=sampling or {"continue": PAPER_SAMPLING, "cut": PAPER_SAMPLING},
            in_world_gain=in_world_gain,
            sharpen=sharpen,
            doubt=doubt,
        )
        self.register_modules(text_encoder=text_encoder, tokenizer=tokenizer)
        module = build.drawer(type(transformer).__name__)
        self.drawer: LTX = module.of(transformer, vae, scheduler, text_encoder, tokenizer)
        self.drawn: DrawMode = "cascade" if connector is None else "unified"
        self._kept: dict[str, tuple[Any, Any]] = {}
        self.queries = 0 if connector is None else connector.config.num_queries

    @property
    def draws_on(self) -> str:
        """The kind of device that computes, wherever the weights wait: "cuda" or "cpu"."""
        return str(self._execution_device.type)

    # -- words ----------------------------------------------------------------------------------------------------

    def describe(self, frames: Frames) -> Description:
        """What is seen in a picture or clip (T, H, W, 3) of the model's size. A big model knows no outside world."""
        thought = self._last(self._answers(Prompt(prompts.WRITE_SEEN, (ends(self.check_frames(frames)),)), 1, 0, None))
        return Description(thought.text, True, math.exp(thought.score))

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        """Stream the words of the next scene; the first alternative is the likeliest, the others are sampled."""
        wish = "" if steer is None else prompts.WISH.format(words=steer.replace('"', "'"))

        def ask(context: StoryContext) -> str:
            return prompts.WRITE_NEXT.format(story=story_of(context), wish=wish)

        return self._answers(self.fitted(context, ask), alternatives, seed, should_stop)

    def _answers(
        self, prompt: Prompt, alternatives: int, seed: int, should_stop: ShouldStop | None
    ) -> Iterator[Thought]:
        """The first one streams, the others are written side by side. Raises UserError when not one is a scene."""
        asked = (self.vision_language, self.processor, prompt)
        how = {"max_tokens": MAX_ANSWER, "should_stop": should_stop, "begun": BEGUN, "begin": self.beginnings.of}
        last = Written("", False, 0.0)
        for last in write(*asked, seed=seed, **how):
            if closed(last.text):
                break
            if not last.done and (text := so_far(last.text)):
                yield Thought(0, text)
        told: set[str] = set()
        answers, tried = [last], 1
        while answers:
            for answer in answers:
                words = finished(answer.text, cut=answer.cut)
                if words and words not in told and len(told) < alternatives and self.can_draw(words):
                    yield Thought(len(told), words, True, answer.score)
                    told.add(words)
            more = range(tried, tried if len(told) == alternatives else min(tried + alternatives, TRIES * alternatives))
            manners = [Manner(seed + n, 0.7 + 0.1 * min(n, 5), 0.95) for n in more]
            answers = write_several(*asked, manners, enough=closed, **how) if manners else []
            tried += len(answers)
        if not told:
            raise UserError("The reader did not answer with a scene; say in your own words what happens next.")

    def can_draw(self, words: str) -> bool:
        """Whether the drawer reads all of `words`: nothing is offered that `act` would refuse."""
        try:
            self.check_words(words)
        except UserError:
            return False
        return True

    def check_words(self, words: str) -> None:
        """Raise UserError for words that the drawer's T5 would cut. In unified mode the reader reads them."""
        if self.drawn == "cascade":
            self.drawer.check_words(words)

    # -- what is read ---------------------------------------------------------------------------------------------

    def prompt(self, context: StoryContext, task: str) -> Prompt:
        return self.fitted(context, lambda some: "\n".join(filter(None, (story_lines(some), task))))

    def prompt_to_draw(self, context: StoryContext, words: str) -> Prompt:
        """The paper's instruction with the last scene; a beginning that is described is its words alone, as in
        pre-training. Without `words` this is the paper's setting: the model has to find out by itself what follows."""
        if not context.scenes:
            return self.fitted(context, lambda _: words)
        return self.fitted(context, lambda some: story_of(some, words))

    def fitted(self, context: StoryContext, say: Callable[[StoryContext], str]) -> Prompt:
        """say(context) with the two ends of the last clip. Scenes are left out until the prompt fits, the oldest ones
        but for the first, which the story is anchored to. Raises UserError, naming the budget, when the last scene
        alone is too much. So a story of any length costs no more than the budget."""
        scene = last_seen(context)
        clips = () if scene is None or scene.frames is None else (ends(self.check_frames(scene.frames)),)
        seen = measure(self.processor, Prompt("", clips))[1]
        for scenes in fewer(context.scenes):
            some = replace(context, scenes=scenes)
            text = say(some)
            prompt = Prompt(text, clips, len(os.path.commonprefix([text, story_of(some)])))
            if measure(self.processor, Prompt(prompt.text))[0] + seen + self.queries <= SEQUENCE:
                return prompt
        check_budget(self.processor, prompt, self.queries)
        return prompt

    # -- pictures -------------------------------------------------------------------------------------------------

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        if self.drawn == "cascade" and not request.words.strip():
            raise UserError("There are no words yet: say in one sentence what happens.")
        self.check_words(request.words)
        self.maybe_free_model_hooks()  # with a kept condition no reader is needed, and nothing else sends it away
        self.drawer.forget()
        try:
            yield from super().act(request, should_stop=should_stop)
        finally:
            self.drawer.forget()
            self.maybe_free_model_hooks()  # a drawing that was stopped leaves nothing on the card (in_turn)

    def sigmas(self, options: SamplingOptions) -> Tensor:
        return self.drawer.sigmas(int(options.steps or 1), math.prod(self.geometry.latent_shape), options.shift)

    def encode_condition(self, context: StoryContext, words: str) -> Any:
        """-> what the drawer is told for the scene and for nothing, each a `Condition`."""
        if self.drawn == "cascade":
            device = self._execution_device
            kinds = (words.strip(), "")
            return self._once("condition", kinds, lambda: tuple(self.drawer.encode_words(w, device) for w in kinds))
        prompt = self.prompt_to_draw(context, words)
        key = (prompt.text, *map(digest, prompt.clips))
        return self._once("condition", key, lambda: (Condition(self.read(prompt)), Condition(self.null_condition())))

    def _once(self, what: str, key: Any, make: Callable[[], Any]) -> Any:
        """make(), or what it made the last time for the same key: takes of one scene are read once, and a reader that
        waits elsewhere is not brought in for each of them."""
        if what not in self._kept or self._kept[what][0] != key:
            self._kept[what] = (key, make())
        return self._kept[what][1]

    def read(self, prompt: Prompt) -> Tensor:
        ready(self.vision_language)  # its inner model is called, which a hook for the whole would not see
        device = self._execution_device
        inputs = {k: v.to(device) for k, v in prepare(self.processor, [prompt]).items()}
        states = self.states(prompt, inputs, self.connector.queries.to(device))
        condition: Tensor = self.connector(states.to(self.connector.dtype))
        return condition

    def reference_of(self, scene: Scene) -> Tensor:
        """(1, C, k, h, w), normalised: the last latent frames of what was, as many as the drawer goes on from."""
        assert scene.frames is not None
        frames = self.check_frames(scene.frames)
        ratio = self.geometry.temporal_ratio
        most = min(self.drawer.overlap, (len(frames) - 1) // ratio + 1)
        known = frames[-((most - 1) * ratio + 1) :]
        latents: Tensor = self._once("reference", digest(known), lambda: self.encode(known))
        return latents

    def encode(self, frames: Frames) -> Tensor:
        return self.drawer.encode(frames, self._execution_device)

    def decode(self, latents: Tensor) -> Frames:
        return self.drawer.decode(latents)

    def prepare_noise(self, seed: int, reference: Tensor | None = None) -> Tensor:
        """As many latent frames more as are known already, beside the first: a scene is always as long."""
        frames, height, width = self.geometry.latent_shape
        frames += 0 if reference is None else reference.shape[2] - 1
        shape = (1, self.vae.config.latent_channels, frames, height, width)
        return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed)).to(self._execution_device)

    def one_run(
        self, conditions: Any, reference: Tensor | None, options: SamplingOptions
    ) -> AbstractContextManager[Velocity]:
        kept, guidance = self.drawer.kept(), float(options.guidance or 1)
        return one_run(kept, lambda x, sigma: self.velocity(x, sigma, conditions, reference, guidance), options.faster)

    def velocity(self, x: Tensor, sigma: float, conditions: Any, reference: Tensor | None, guidance: float) -> Tensor:
        """Guided velocity, shaped like x; the empty prompt first, as diffusers has it, to the last bit."""
        clean = 0 if reference is None else reference.shape[2]
        x = self.to_latents(x, reference)
        given, null = conditions
        both = (given,) if guidance == 1 else (null, given)
        out = self.drawer.velocity(x, sigma, both, clean, self.config.fps)
        v = flow.guide(out[1:], out[:1], guidance) if len(both) == 2 else out
        if clean:
            v = torch.cat([torch.zeros_like(v[:, :, :clean]), v[:, :, clean:]], 2)
        return v

    def to_latents(self, x: Tensor, reference: Tensor | None) -> Tensor:
        if reference is None:
            return x
        return torch.cat([reference.to(x), x[:, :, reference.shape[2] :]], 2)

    def frames_of(self, latents: Tensor, reference: Tensor | None) -> Frames:
        """What was shown before is cut, but for its last frame."""
        known = 0 if reference is None else (reference.shape[2] - 1) * self.geometry.temporal_ratio
        return self.decode(latents)[known:]


def fewer(scenes: tuple[Scene, ...]) -> Iterator[tuple[Scene, ...]]:
    """At most MAX_SCENES, then fewer and fewer: the first one and the latest, at last the latest alone."""
    latest = scenes[-prompts.MAX_SCENES :]
    if len(latest) < len(scenes):
        latest = (scenes[0], *latest[1:])
    yield latest
    for left_out in range(1, len(latest) - 1):
        yield (latest[0], *latest[1 + left_out :])
    if len(latest) > 1:
        yield latest[-1:]


def story_lines(context: StoryContext) -> str:
    """The words of the scenes, numbered among those that are told, and what holds for the whole story."""
    bible = [prompts.PAPER.bible.format(text=context.bible).strip()] if context.bible.strip() else []
    said = [words.strip() for words in words_of(context) if words.strip()]
    return "\n".join(bible + [prompts.PAPER.scene.format(number=i + 1, words=w).strip() for i, w in enumerate(said)])


def story_of(context: StoryContext, words: str = "") -> str:
    """The paper's instruction after the last scene; what came before stands in front of it."""
    before = story_lines(replace(context, scenes=context.scenes[:-1]))
    last = context.scenes[-1].words.strip() if context.scenes else ""
    if words.strip():
        task = prompts.PAPER_TOLD.format(scene=last, words=words.strip())
    else:
        task = prompts.PAPER_INSTRUCTION.format(scene=last)
    return f"{before}\n{task}" if before else task


def digest(frames: Frames) -> str:
    return hashlib.sha256(frames.tobytes()).hexdigest()


def ready(module: Any) -> None:
    """Bring a module that is kept elsewhere to where it computes: accelerate's hook, called as diffusers does for
    methods other than forward (`apply_forward_hook`)."""
    hook = getattr(module, "_hf_hook", None)
    if hook is not None and hasattr(hook, "pre_forward"):
        hook.pre_forward(module)
