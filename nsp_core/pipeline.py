"""NextScenePipeline: what happens next, first in words (`think`), then in pictures (`act`).

The paper's architecture from the ecosystem's classes: Qwen2.5-VL reads the story, learnable queries and a connector
carry what it understood into the LTX diffusion transformer, which draws the next clip. One folder in hub layout.

Letters: B batch, Q queries, C latent channels, F latent frames, h, w latent sides, T frames, H, W pixels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.loaders import LTXVideoLoraLoaderMixin
from torch import Tensor

from nsp_core import checkpoint, flow, prompts, shortcuts
from nsp_core.errors import Cancelled, GeometryError, UserError
from nsp_core.judges import Verdict
from nsp_core.language import Language
from nsp_core.latents import Geometry, check_geometry, denormalise, first_seen, from_target, normalise
from nsp_core.memory import ends, last_seen, words_of
from nsp_core.model.beginnings import Beginnings
from nsp_core.model.convolution import by_onednn
from nsp_core.model.quick import Quick, one_run
from nsp_core.model.velocity import predict_velocity
from nsp_core.model.vision_language import Inputs, Prompt, prepare, query_states, query_states_after
from nsp_core.model.writing import write
from nsp_core.opinion import opinion
from nsp_core.sampler import Step, Velocity, denoise
from nsp_core.sharpen import unsharp
from nsp_core.telling import tell
from nsp_core.types import (
    Description,
    Frames,
    Latents,
    Mode,
    NextScene,
    Progress,
    SamplingOptions,
    Scene,
    SceneRequest,
    ShouldStop,
    StoryContext,
    Thought,
)


class NextScenePipeline(DiffusionPipeline, LTXVideoLoraLoaderMixin):
    """Implements `nsp_core.types.Predictor`.

    Config (in model_index.json): clip size and rate, `dialect` of the prompts, `reference` and `residual_scale` of the
    latents, `rope_scale`, recommended sampling per mode, `in_world_gain`: a picture that the autoencoder keeps no
    better than this (see `fidelity`) was never part of the model's world; `sharpen`, of its pictures' edges; `doubt`:
    its reader believes in no idea below this (nsp_core.opinion; in log-odds), and in any where there is none.
    """

    model_cpu_offload_seq = "vision_language->connector->transformer->vae"
    _optional_components: list[str] = []

    def __init__(
        self,
        vision_language: Any,
        processor: Any,
        connector: Any,
        transformer: Any,
        vae: Any,
        scheduler: Any,
        width: int = 160,
        height: int = 96,
        num_frames: int = 17,
        fps: int = 8,
        dialect: str = "starter",
        reference: str = "repeat_last",
        residual_scale: list[float] | None = None,
        rope_scale: Any = (2.0, 128.0, 128.0),
        sampling: Any = None,
        in_world_gain: float = -100.0,
        sharpen: float = 0.0,
        doubt: float | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vision_language=vision_language,
            processor=processor,
            connector=connector,
            transformer=transformer,
            vae=vae,
            scheduler=scheduler,
        )
        self.register_to_config(
            width=width,
            height=height,
            num_frames=num_frames,
            fps=fps,
            dialect=dialect,
            reference=reference,
            residual_scale=residual_scale,
            rope_scale=list(rope_scale),
            sampling=sampling or DEFAULT_SAMPLING,
            in_world_gain=in_world_gain,
            sharpen=sharpen,
            doubt=doubt,
        )
        self.language: Language | None = None
        self.fingerprint = "unsaved"
        self.how = ""
        self.adapter: str | None = None  # names and strength, where nsp_core.adapters gave it some
        self.adapter_strength: float | None = None
        self.taught: frozenset[str] = frozenset()  # words of adapters, which the reader never learnt to tell
        self.geometry = check_geometry(
            Geometry(width, height, num_frames, vae.spatial_compression_ratio, vae.temporal_compression_ratio)
        )
        channels = vae.config.latent_channels
        self._scale = torch.tensor(residual_scale) if residual_scale else torch.ones(channels)
        self._null: Tensor | None = None
        self.beginnings = Beginnings()

    # -- folders --------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, path: str | Path, **kwargs: Any) -> NextScenePipeline:
        """Load one folder in hub layout. Raises CheckpointMismatch or ModelUnavailable with what is missing."""
        return checkpoint.load_pipeline(cls, Path(path), super().from_pretrained, **kwargs)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        super().save_pretrained(str(save_directory), **kwargs)
        if self.language:
            self.language.save(Path(save_directory))

    # -- words ----------------------------------------------------------------------------------------------------

    def describe(self, frames: Frames) -> Description:
        """What is seen in a picture or clip (T, H, W, 3) of the model's size."""
        clip = self.check_frames(frames)
        written = self._last(
            write(self.vision_language, self.processor, Prompt(self.dialect.describe, (ends(clip),)), max_tokens=96)
        )
        fidelity = self.fidelity(clip)
        return Description(written.text, fidelity >= self.config.in_world_gain, float(np.exp(written.score)))

    def think(
        self,
        context: StoryContext,
        *,
        steer: str | None = None,
        alternatives: int = 1,
        seed: int = 0,
        should_stop: ShouldStop | None = None,
    ) -> Iterator[Thought]:
        """Stream the words of the next scene; the first alternative is the likeliest, the others are sampled.

        Only words that `act` draws are told. Raises OutsideLanguage for a wish that is not understood.
        """
        return tell(self, context, steer=steer, alternatives=alternatives, seed=seed, should_stop=should_stop)

    # -- pictures -------------------------------------------------------------------------------------------------

    def act(self, request: SceneRequest, *, should_stop: ShouldStop | None = None) -> Iterator[Progress | NextScene]:
        """Draw one take of `request.words`. Same request, same raw frames (on one machine with one thread count)."""
        started = time.monotonic()
        # 1 check
        options = self.resolve(request.mode, request.options)
        if self.language:
            self.language.with_words(self.taught).check(request.words)
        steps = int(options.steps or 1)
        yield Progress("read", 0, steps)
        with torch.no_grad():
            # 2 read the story once
            conditions = self.encode_condition(request.context, request.words)
            reference = self.encode_reference(request.context) if request.mode == "continue" else None
            # 3 noise
            x = self.prepare_noise(options.seed, reference)
            # 4 denoise
            final: Step | None = None
            with self.one_run(conditions, reference, options) as velocity:
                for final in denoise(velocity, x, self.sigmas(options)):
                    if should_stop and should_stop():
                        raise Cancelled("Stopped while the pictures were being drawn.")
                    show = options.preview_every and final.index % options.preview_every == 0 and final.index < steps
                    preview = self.frames_of(self.to_latents(final.clean, reference), reference) if show else None
                    yield Progress("draw", final.index, steps, preview)
            assert final is not None
            # 5 decode
            latents = self.to_latents(final.x, reference)
            yield Progress("decode", steps, steps)
            frames = self.frames_of(latents, reference)
        yield NextScene(
            words=request.words,
            frames=frames,
            latents=latents[0].float().cpu().numpy(),
            fps=self.config.fps,
            mode=request.mode,
            options=options,
            seconds=time.monotonic() - started,
            fingerprint=self.fingerprint,
            how=self.how,
        )

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        """The reader's own opinion of `scene`; never raises for what it cannot say (missing). See nsp_core.opinion."""
        return opinion(self, context, scene)

    def __call__(
        self,
        context: StoryContext,
        words: str | None = None,
        *,
        steer: str | None = None,
        mode: Mode = "continue",
        options: SamplingOptions | None = None,
    ) -> NextScene:
        """Think (unless `words` are given), then act."""
        options = options or SamplingOptions(preview_every=0)
        if words is None:
            words = self._last(self.think(context, steer=steer, seed=options.seed)).text
        return self._last(self.act(SceneRequest(context, words, mode, options)))

    # -- steps ----------------------------------------------------------------------------------------------------

    @property
    def dialect(self) -> prompts.Dialect:
        return prompts.DIALECTS[self.config.dialect]

    def resolve(self, mode: Mode, options: SamplingOptions) -> SamplingOptions:
        """Fill in what the checkpoint recommends for `mode`; refuse what cannot be drawn."""
        best = self.config.sampling[mode]
        steps = options.steps if options.steps is not None else int(best["steps"])
        guidance = options.guidance if options.guidance is not None else best["guidance"]
        shift = options.shift if options.shift is not None else best["shift"]
        if not 1 <= steps <= 200:
            raise UserError(f"steps must be from 1 to 200, got {steps}.")
        if not 1 <= guidance <= 20:
            raise UserError(f"guidance must be from 1 to 20, got {guidance}.")
        shortcuts.check(options.faster)
        return replace(options, steps=steps, guidance=guidance, shift=shift)

    def check_frames(self, frames: Frames) -> Frames:
        """Raises GeometryError for pictures of another size: those of a story that another model drew."""
        expected = (self.config.height, self.config.width, 3)
        if frames.ndim == 4 and frames.shape[3:] == (3,) and frames.shape[1:] != expected:
            raise GeometryError(
                f"The pictures of this story are {frames.shape[2]}x{frames.shape[1]}, and this model draws "
                f"{expected[1]}x{expected[0]}: choose the model that drew them, or begin a new story."
            )
        if frames.ndim != 4 or frames.shape[1:] != expected or frames.dtype != np.uint8 or not len(frames):
            raise UserError(
                f"Frames must be uint8 (T, {expected[0]}, {expected[1]}, 3), got {frames.dtype} {frames.shape}."
            )
        return frames

    def prompt(self, context: StoryContext, task: str) -> Prompt:
        """The story's words, the ends of the last scene that has pictures, and the task."""
        scene = last_seen(context)
        clips = () if scene is None or scene.frames is None else (ends(self.check_frames(scene.frames)),)
        words = tuple(map(self.plain, words_of(context)))
        story = prompts.story_text(self.dialect, words, self.known_bible(context.bible))
        return Prompt(story + task, clips, len(story))

    def known_bible(self, bible: str) -> str:
        """What the reader is given of what holds for the whole story: all of it, or of a small language the sentences
        that are in it. (Others would be noise: with them the starter says something else in two of five cases, and
        nothing that they ask for.)"""
        if self.language is None or not bible:
            return bible
        return " ".join(map(self.plain, self.language.split(bible)[0]))

    def plain(self, words: str) -> str:
        """What the reader is given of what a person wrote."""
        return self.language.plain(words) if self.language else words

    def encode_condition(self, context: StoryContext, words: str) -> tuple[Tensor, Tensor]:
        """-> the connector's output for the scene and for the null prompt, each (1, Q, caption_channels)."""
        return self.read(self.prompt_to_draw(context, words)), self.null_condition()

    def prompt_to_draw(self, context: StoryContext, words: str) -> Prompt:
        """Without words the model has to find out by itself what comes: the paper's setting, as its stages train it."""
        task = self.dialect.draw.format(words=self.plain(words)) if words.strip() else self.dialect.next
        return self.prompt(context, task)

    def null_condition(self) -> Tensor:
        """Guidance's other side: an empty prompt through the reader with the same queries."""
        if self._null is None:
            self._null = self.read(Prompt(""))
        return self._null

    def read(self, prompt: Prompt) -> Tensor:
        inputs = {k: v.to(self.connector.device) for k, v in prepare(self.processor, [prompt]).items()}
        return self.connector(self.states(prompt, inputs, self.connector.queries))

    def states(self, prompt: Prompt, inputs: Inputs, queries: Tensor) -> Tensor:
        """(1, Q, D): the queries, filled by the reader."""
        begun = self.beginnings.of(self.vision_language, self.processor, prompt, inputs)
        if begun is None:
            return query_states(self.vision_language, inputs, queries)[0]
        return query_states_after(self.vision_language, inputs, queries, begun)

    def encode_reference(self, context: StoryContext) -> Tensor:
        """(1, C, F, h, w), normalised: latent 0 of the lossless last frame, then the tail of the last clip repeated."""
        scene = last_seen(context)
        if scene is None or scene.frames is None:
            raise UserError("There is no picture to continue from: draw this scene with a cut or begin with a picture.")
        return self.reference_of(scene)

    def reference_of(self, scene: Scene) -> Tensor:
        assert scene.frames is not None
        frames = self.check_frames(scene.frames)
        count = self.config.num_frames
        still = np.repeat(frames[-1:], count, 0)
        head = self.encode(still[:1])
        if scene.tail_latents is not None:
            tail = torch.from_numpy(np.asarray(scene.tail_latents, np.float32))[None, :, -1:]
        else:
            tail = self.encode(frames if len(frames) == count else still)[:, :, -1:]
        return torch.cat([head, tail.expand(-1, -1, self.geometry.latent_shape[0] - 1, -1, -1)], 2)

    def encode(self, frames: Frames) -> Tensor:
        """(T, H, W, 3) uint8 -> (1, C, F, h, w), normalised."""
        x = torch.from_numpy(np.ascontiguousarray(frames)).permute(3, 0, 1, 2)[None].to(self.vae.device, self.vae.dtype)
        with by_onednn(self.vae):
            latents = self.vae.encode(x / 127.5 - 1).latent_dist.mode()
        return normalise(latents.float(), self.vae.latents_mean.float(), self.vae.latents_std.float())

    def decode(self, latents: Tensor) -> Frames:
        """(1, C, F, h, w), normalised -> (T, H, W, 3) uint8."""
        raw = denormalise(latents, self.vae.latents_mean.float(), self.vae.latents_std.float())
        with by_onednn(self.vae):
            y = self.vae.decode(raw.to(self.vae.dtype)).sample[0].float().transpose(0, 1)
        y = unsharp(y.clamp(-1, 1), self.config.sharpen).clamp(-1, 1)
        return ((y + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()

    def fidelity(self, frames: Frames) -> float:
        """By how many dB the autoencoder keeps the last frame better than an 8-fold reduction does.

        Plain PSNR calls every smooth photograph familiar. This asks whether the *details* are known: pictures of the
        starter's world gain 8 dB and more, photographs and other cartoons -9 to 3 (DECISIONS.md).
        """
        frame = torch.from_numpy(np.ascontiguousarray(frames[-1:])).permute(0, 3, 1, 2).float()
        with torch.no_grad():
            back = torch.from_numpy(self.decode(self.encode(frames[-1:]))).permute(0, 3, 1, 2).float()
        small = torch.nn.functional.avg_pool2d(frame, 8)
        rough = torch.nn.functional.interpolate(small, size=frame.shape[-2:], mode="bilinear")
        kept, lost = (back - frame).square().mean(), (rough - frame).square().mean()
        return float(10 * torch.log10(lost.clamp(min=1e-6) / kept.clamp(min=1e-6)))

    def sigmas(self, options: SamplingOptions) -> Tensor:
        """(steps + 1,) from 1 to 0."""
        return flow.sigma_schedule(int(options.steps or 1), float(options.shift or 1))

    def frames_of(self, latents: Tensor, reference: Tensor | None) -> Frames:  # noqa: ARG002
        """The clip's pictures; with a reference, the first of them is the last one that was."""
        return self.decode(latents)

    def prepare_noise(self, seed: int, reference: Tensor | None = None) -> Tensor:  # noqa: ARG002
        """Drawn on the CPU in fp32, so that a seed means the same on every device."""
        generator = torch.Generator("cpu").manual_seed(seed)
        shape = (1, self.vae.config.latent_channels, *self.geometry.latent_shape)
        return torch.randn(shape, generator=generator).to(self.transformer.device)

    def one_run(
        self, conditions: Any, reference: Tensor | None, options: SamplingOptions
    ) -> AbstractContextManager[Velocity]:
        """`velocity` for the steps of one run, which share what does not change between them."""
        guidance = float(options.guidance or 1)
        both = torch.cat(conditions if guidance != 1 else conditions[:1]).to(self.transformer.dtype)
        kept, faster = Quick(self.transformer), options.faster
        return one_run(kept, lambda x, sigma: self.velocity(x, sigma, both, reference, guidance), faster)

    def velocity(self, x: Tensor, sigma: float, conditions: Any, reference: Tensor | None, guidance: float) -> Tensor:
        """Guided velocity, shaped like x. With a reference the first latent frame is clean: timestep 0, velocity 0.
        `conditions`: for the scene and for nothing, each (1, Q, C) or both in one tensor."""
        clean = 0
        if reference is not None:
            x = torch.cat([first_seen(reference, self.config.reference).to(x), x[:, :, 1:]], 2)
            clean = 1
        both = conditions if guidance != 1 else conditions[:1]
        batch = len(both)
        out = predict_velocity(
            self.transformer,
            x.expand(batch, -1, -1, -1, -1),
            torch.full((batch,), sigma),
            both if isinstance(both, Tensor) else torch.cat(both),
            clean_frames=clean,
            rope_scale=tuple(self.config.rope_scale),
        )
        v = flow.guide(out[:1], out[1:], guidance) if batch == 2 else out.float()
        if clean:
            v = torch.cat([torch.zeros_like(v[:, :, :1]), v[:, :, 1:]], 2)
        return v

    def to_latents(self, x: Tensor, reference: Tensor | None) -> Tensor:
        """From what the transformer predicts to normalised latents of the clip."""
        if reference is None:
            return x
        target = torch.cat([reference[:, :, :1], x[:, :, 1:]], 2)
        return from_target(target, reference, self.config.reference, self._scale.to(x))

    @staticmethod
    def _last(items: Iterator[Any]) -> Any:
        last = None
        for item in items:  # noqa: B007
            last = item
        if last is None:
            raise UserError("The model had nothing to say; steer it with a few words.")
        return last


DEFAULT_SAMPLING = {
    "continue": {"steps": 16, "guidance": 2.0, "shift": 2.0},
    "cut": {"steps": 20, "guidance": 3.0, "shift": 4.0},
}


__all__ = ["DEFAULT_SAMPLING", "Latents", "NextScenePipeline"]
