"""The same weights, the same words, the same seed: what we draw is what diffusers' own pipelines draw.

On a processor in fp32 there is one path, and it is the reference: text to video and image to video of LTX-Video 0.9.0
agree to the last bit. LTX-Video 0.9.5 agrees within 1e-4: diffusers divides the timestep of every token by 1000 again
to find sigmas, which rounds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nsp_core.banks import file
from nsp_core.banks.load import load
from nsp_core.banks.pipeline import BankPipeline
from nsp_core.latents import pack, unpack
from nsp_core.model.spec import BankSpec
from nsp_core.types import Frames, NextScene, SamplingOptions, Scene, StoryContext
from tests import hub_layout, original_layout

SIZE = {"width": 96, "height": 64, "num_frames": 17}
LATENT = (3, 2, 3)
WORDS = "A glass falls and cracks."
SEED, STEPS, GUIDANCE, FPS = 5, 4, 3.0, 16


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    hub_layout.write_qwen(root / "qwen")
    hub_layout.write_ltx(root / "0.9.0")
    hub_layout.write_ltx(root / "0.9.5", "0.9.5")
    return root


def ours(hub: Path, version: str, **more: Any) -> BankPipeline:
    size = {"width": SIZE["width"], "height": SIZE["height"], "frames": SIZE["num_frames"], "fps": FPS}
    drawer = file.local(hub / version)
    spec = BankSpec("cascade", file.local(hub / "qwen"), drawer, dtype="float32", steps=STEPS, **size, **more)
    pipeline = load(spec, file.folder_of)
    pipeline.drawer.as_published = True
    return pipeline


def theirs(kind: Any, hub: Path, version: str) -> Any:
    pipeline = kind.from_pretrained(hub / version, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def asked(**more: Any) -> dict[str, Any]:
    generator = torch.Generator("cpu").manual_seed(SEED)
    common = {"prompt": WORDS, "negative_prompt": "", "frame_rate": FPS, "num_inference_steps": STEPS}
    return {**common, **SIZE, "guidance_scale": GUIDANCE, "generator": generator, "output_type": "latent", **more}


def take(pipeline: BankPipeline, context: StoryContext, mode: str = "cut") -> NextScene:
    return pipeline(context, WORDS, mode=mode, options=SamplingOptions(seed=SEED, preview_every=0))


def clip() -> Frames:
    cells = np.random.default_rng(1).integers(0, 255, (4, 6, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    return np.stack([np.roll(cells, 2 * i, 1) for i in range(17)])


# --- the same latents -----------------------------------------------------------------------------------------------


def test_text_to_video_is_the_same_to_the_last_bit(hub: Path) -> None:
    from diffusers import LTXPipeline

    with torch.no_grad():
        expected = unpack(theirs(LTXPipeline, hub, "0.9.0")(**asked()).frames, LATENT)
    scene = take(ours(hub, "0.9.0"), StoryContext())
    assert expected.std() > 0.5, "latents of nothing would always be met"
    assert np.array_equal(scene.latents, expected[0].numpy())


@pytest.mark.parametrize("mode", ["cut", "continue"])
def test_the_quick_way_draws_what_the_published_one_does(hub: Path, mode: str) -> None:
    """In `cut` that is what diffusers draws, to the last bit."""
    pipeline = ours(hub, "0.9.0")
    context = StoryContext((Scene("It wobbles.", clip()),)) if mode == "continue" else StoryContext()
    published = take(pipeline, context, mode).latents
    pipeline.drawer.as_published = False
    np.testing.assert_allclose(take(pipeline, context, mode).latents, published, atol=1e-4)


def test_the_same_latents_become_the_same_frames(hub: Path) -> None:
    from diffusers import LTXPipeline

    with torch.no_grad():
        expected = theirs(LTXPipeline, hub, "0.9.0")(**asked(output_type="np")).frames[0]
    scene = take(ours(hub, "0.9.0"), StoryContext())
    assert np.array_equal(scene.frames, (expected * 255).round().astype(np.uint8))


def test_image_to_video_is_the_same_to_the_last_bit(hub: Path) -> None:
    """The encoding of the picture is compared by itself: diffusers draws a sample of it, we take its mode."""
    from diffusers import LTXImageToVideoPipeline

    pipeline, reference = ours(hub, "0.9.0"), theirs(LTXImageToVideoPipeline, hub, "0.9.0")
    picture = clip()[-1]
    with torch.no_grad():
        image = reference.video_processor.preprocess(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255)
        raw = reference.vae.encode(image.unsqueeze(2)).latent_dist.mode()
        head = reference._normalize_latents(raw, reference.vae.latents_mean, reference.vae.latents_std)
        torch.testing.assert_close(pipeline.encode(picture[None]), head, atol=1e-5, rtol=1e-5)
        start = pipeline.prepare_noise(SEED)
        start[:, :, :1] = pipeline.encode(picture[None])
        expected = unpack(reference(**asked(latents=pack(start))).frames, LATENT)
    scene = take(pipeline, StoryContext((Scene("It wobbles.", picture[None]),)), "continue")
    assert np.array_equal(scene.latents, expected[0].numpy())


@pytest.mark.parametrize("known", [0, 1, 9])
def test_the_conditioned_version_agrees(hub: Path, known: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LTXConditionPipeline on words alone, a picture, and nine frames; with the mode of the encoding on both sides."""
    from diffusers import LTXConditionPipeline
    from diffusers.pipelines.ltx import pipeline_ltx_condition as module
    from PIL import Image

    monkeypatch.setattr(module, "retrieve_latents", lambda encoded, **_: encoded.latent_dist.mode())
    pipeline, frames = ours(hub, "0.9.5"), clip()
    count = SIZE["num_frames"] + (8 if known == 9 else 0)
    pictures = [Image.fromarray(frame) for frame in frames[-known:]] if known else []
    how: dict[str, Any] = {"num_frames": count, "image_cond_noise_scale": 0.0}
    if known:
        how["conditions"] = [
            module.LTXVideoCondition(**({"image": pictures[0]} if known == 1 else {"video": pictures}))
        ]
    with torch.no_grad():
        expected = theirs(LTXConditionPipeline, hub, "0.9.5")(**asked(**how)).frames
    context = StoryContext((Scene("It wobbles.", frames[-known:]),)) if known else StoryContext()
    scene = take(pipeline, context, "continue" if known else "cut")
    np.testing.assert_allclose(scene.latents, expected[0].numpy(), atol=1e-4)


# --- the schedule ---------------------------------------------------------------------------------------------------

# computed from the published scheduler_config.json (0.9.0) for 65 frames at 832x480
TOKENS = 9 * 15 * 26
TWENTY = (
    *(1, 0.9901, 0.9792, 0.9673, 0.9542, 0.9398, 0.9236, 0.9056, 0.8853, 0.8622),
    *(0.8358, 0.8052, 0.7695, 0.7271, 0.676, 0.6133, 0.5345, 0.4324, 0.295, 0.1, 0),
)


def test_the_shift_at_the_papers_size_is_the_published_one(hub: Path) -> None:
    drawer = ours(hub, "0.9.0").drawer
    assert TOKENS == 3510
    np.testing.assert_allclose(drawer.sigmas(20, TOKENS).numpy(), TWENTY, atol=6e-5)
    s = drawer.sigmas(50, TOKENS)
    stretched = 1 - (1 - s[25]) * (1 - shifted(1 / 50)) / 0.9  # the schedule ends at 0.1: undone
    u = 1 - 25 / 50
    assert torch.isclose(torch.logit(stretched) - torch.logit(torch.tensor(u)), torch.tensor(1.840), atol=2e-3)


def shifted(u: float, mu: float = 0.95 + (2.05 - 0.95) * (TOKENS - 1024) / (4096 - 1024)) -> float:
    return float(torch.sigmoid(torch.tensor(mu) + torch.logit(torch.tensor(u, dtype=torch.float64))))


# --- the queries ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["2.5", "3"])
def test_queries_by_embedding_equal_queries_by_hook(tmp_path: Path, family: hub_layout.Family) -> None:
    """The pipeline puts queries in behind the embedding layer; the other way is to hand embeddings to the model."""
    from nsp_core.banks import reading
    from nsp_core.model.vision_language import Prompt, positions, prepare, query_states

    folder = hub_layout.write_qwen(tmp_path, family)
    model = reading.load_model(folder, torch.float32).eval()
    processor = reading.load_processor(folder, reading.family_of(folder), 1.0)
    queries = torch.randn(6, hub_layout.HIDDEN, generator=torch.Generator().manual_seed(0)) / 8
    for clips in ((), (clip()[[0, -1]],)):
        inputs = prepare(processor, [Prompt("What happens next?", clips)])
        with torch.no_grad():
            by_hook, _ = query_states(model, inputs, queries)
            by_embedding = embedded(model, inputs, queries, positions(model, inputs))
        torch.testing.assert_close(by_hook, by_embedding, atol=2e-6, rtol=1e-5)


def embedded(model: Any, inputs: dict[str, Tensor], queries: Tensor, places: Tensor) -> Tensor:
    """(1, Q, D) with the queries as embeddings of the input and an ordinary causal mask."""
    words = model.get_input_embeddings()(inputs["input_ids"])
    deep = {}
    if "pixel_values_videos" in inputs:
        seen = model.model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"], return_dict=True)
        marks = inputs["input_ids"] == model.config.video_token_id
        words = words.masked_scatter(marks[..., None], torch.cat(list(seen.pooler_output)))
        if getattr(seen, "deepstack_features", None) is not None:
            whole = torch.nn.functional.pad(marks, (0, len(queries)))
            deep = {
                "visual_pos_masks": whole,
                "deepstack_visual_embeds": [torch.cat(list(f)) for f in seen.deepstack_features],
            }
    all_embeddings = torch.cat([words, queries[None]], 1)
    more = places.amax() + 1 + torch.arange(len(queries))
    out = model.model.language_model(
        inputs_embeds=all_embeddings,
        position_ids=torch.cat([places, more.expand(3, 1, -1)], 2),
        attention_mask=torch.ones(all_embeddings.shape[:2], dtype=torch.long),
        use_cache=False,
        **deep,
    )
    states: Tensor = out.last_hidden_state[:, -len(queries) :]
    return states


# --- what others made -----------------------------------------------------------------------------------------------


def test_a_lora_of_plain_peft_and_diffusers_loads_and_changes_the_drawing(hub: Path, tmp_path: Path) -> None:
    from diffusers import LTXPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    maker = theirs(LTXPipeline, hub, "0.9.0")
    maker.transformer.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    torch.manual_seed(0)
    for name, weight in maker.transformer.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3)
    LTXPipeline.save_lora_weights(tmp_path, transformer_lora_layers=get_peft_model_state_dict(maker.transformer))
    with torch.no_grad():
        expected = unpack(maker(**asked()).frames, LATENT)[0].numpy()
    pipeline = ours(hub, "0.9.0")
    before = take(pipeline, StoryContext()).latents
    pipeline.load_lora_weights(tmp_path)
    changed = take(pipeline, StoryContext()).latents
    assert np.abs(changed - before).max() > 1e-2
    np.testing.assert_allclose(changed, expected, atol=1e-5)
    pipeline.unload_lora_weights()
    assert np.array_equal(take(pipeline, StoryContext()).latents, before)


@pytest.mark.parametrize("prefix", ["model.diffusion_model.", ""], ids=["with ComfyUI's prefix", "without"])
def test_a_single_file_in_the_layout_of_the_first_release_draws_the_same(
    hub: Path, tmp_path: Path, prefix: str
) -> None:
    single = original_layout.write_original(tmp_path / "ltx-video-2b-v0.9.safetensors", hub / "0.9.0", prefix)
    pipeline, plain = ours(hub, "0.9.0", single_file=single), ours(hub, "0.9.0")
    assert np.array_equal(take(pipeline, StoryContext()).frames, take(plain, StoryContext()).frames)
    assert pipeline.fingerprint != plain.fingerprint
