"""Which tier runs: by hardware, by what is here, by what a person says; and the next smaller one when memory ends."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.director import Director
from app.engine import Engine
from app.job_report import GivenBack
from app.loads import Loads
from app.models.shelf import Shelf
from app.pages.engine_view import engine_view
from app.pages.models_view import mode_words
from app.runner import Runner
from app.settings import STARTER, Settings
from app.shortage import OutOfMemory, is_out_of_memory
from app.store import open_store
from app.tier_choice import choice, chosen, keep, lower, tier_of, with_tier
from app.tier_model import load
from app.worker import Worker
from app.worker_process import WorkerProcess
from nsp_core.errors import ConfigError, ModelUnavailable
from nsp_core.fit import check_fit, check_folders, largest
from nsp_core.hardware import Device, Hardware
from nsp_core.model.spec import BankSpec, HubModel
from nsp_core.tiers import GB, TIERS, needs, published, tier_called
from nsp_core.weights.cache import Cache, State

BIG = [tier for tier in TIERS if tier.models]


def machine(*cards: float, memory: int = 64, free: float | None = None) -> Hardware:
    found = [Device("cuda", "a card", int(size * GB), int((free or size) * GB)) for size in cards]
    return Hardware((*found, Device("cpu", "a processor", memory * GB, memory * GB)), 2, "Linux x86_64")


class Full(Cache):
    """All weights are here, or those of some repositories."""

    only: tuple[str, ...] | None = None

    def state(self, model: HubModel) -> State:
        here = self.only is None or model.repo in self.only
        from nsp_core.weights.cache import HubFile

        file = HubFile("a.json", 1, "0" * 40)
        return State(model, None, (file,), 1 if here else 0, () if here else (file,))

    def folder_of(self, model: HubModel) -> Path:
        return self.root / model.repo


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path / "data")
    made.make_folders()
    return made


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    shelf = Shelf(Full(tmp_path))
    monkeypatch.setattr(Shelf, "here", classmethod(lambda _cls: shelf))
    monkeypatch.setattr(Cache, "here", classmethod(lambda _cls: shelf.cache))
    return shelf


def test_nobody_looks_at_the_machine_for_nothing(settings: Settings, tmp_path: Path) -> None:
    found = chosen(settings, look=lambda: pytest.fail("nothing is here to choose from"), shelf=Shelf(Cache(tmp_path)))
    assert found == settings and found.is_safe


@pytest.mark.parametrize(("cards", "name"), [((), str(STARTER)), ((9,), "gpu-8"), ((25,), "gpu-24"), ((85,), "gpu-80")])
def test_what_fits_and_is_here(settings: Settings, full: Shelf, cards: tuple[float, ...], name: str) -> None:
    assert chosen(settings, look=lambda: machine(*cards)).model == name


def test_what_fits_better_but_is_not_here_is_passed_over(settings: Settings, tmp_path: Path) -> None:
    cache = Full(tmp_path)
    object.__setattr__(cache, "only", ("Qwen/Qwen2.5-VL-3B-Instruct", "Lightricks/LTX-Video"))
    assert chosen(settings, look=lambda: machine(85), shelf=Shelf(cache)).model == "gpu-8"


def test_a_named_tier_that_cannot_run_is_refused_with_the_nearest(settings: Settings, full: Shelf) -> None:
    with pytest.raises(ModelUnavailable, match=r"gpu-24 needs 18\.6 GB .* a card has 12\.9: choose gpu-12, which fits"):
        with_tier(settings, "gpu-24", look=lambda: machine(12.9))
    with pytest.raises(ModelUnavailable, match="and this machine has none: choose starter, which fits"):
        with_tier(settings, "gpu-8", look=lambda: machine())
    with pytest.raises(ConfigError, match="There is no tier 'gpu-1'; there are starter, gpu-8"):
        with_tier(settings, "gpu-1", look=machine)
    assert with_tier(settings, "gpu-16", look=lambda: machine(12.9)).model == "gpu-16", "a person may try"


def test_a_named_tier_without_weights(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="models get gpu-16"):
        with_tier(settings, "gpu-16", look=lambda: machine(17), shelf=Shelf(Cache(tmp_path)))


def test_who_is_heard_first(settings: Settings, full: Shelf, tmp_path: Path) -> None:
    keep(settings, "gpu-12")
    assert chosen(settings, look=lambda: machine(25)).model == "gpu-12"
    assert chosen(replace(settings, tier="gpu-8"), look=lambda: machine(25)).model == "gpu-8"
    assert chosen(replace(settings, tier="auto"), look=lambda: machine(25)).model == "gpu-24"
    named = replace(settings, model=str(tmp_path))
    assert chosen(named, look=lambda: machine(25)) == named
    with pytest.raises(ConfigError, match="name one of the two"):
        chosen(replace(named, tier="gpu-8"))
    keep(settings, "gpu-80")
    assert chosen(settings, look=lambda: machine()).is_safe, "chosen on the page, on another machine: the page opens"
    assert chosen(settings, look=lambda: machine(9)).model == "gpu-8", "with what fits, as if nothing were chosen"
    keep(settings, "starter")
    assert chosen(settings, look=lambda: machine(9)).is_safe


def test_the_starter_by_name_is_the_starter(settings: Settings, full: Shelf) -> None:
    """Its folder is what stands in the settings when nothing was named, too."""
    data = {"WHATNEXT_DATA": str(settings.data_dir)}
    for named in (
        Settings.from_environment(data, model=STARTER),
        Settings.from_environment({**data, "WHATNEXT_MODEL": str(STARTER)}),
    ):
        found = chosen(named, look=lambda: machine(25))
        assert found.is_safe and choice(found) == "named"
    silent = Settings.from_environment(data, model=None)
    found = chosen(silent, look=lambda: machine(25))
    assert found.model == "gpu-24" and choice(found) == "auto"
    assert choice(chosen(replace(silent, tier="gpu-8"), look=lambda: machine(25))) == "named"
    assert choice(chosen(replace(silent, tier="auto"), look=lambda: machine(25))) == "auto"
    keep(settings, "gpu-12")
    assert choice(chosen(silent, look=lambda: machine(25))) == "gpu-12"
    with pytest.raises(ConfigError, match="both named"):
        chosen(Settings.from_environment(data, model=STARTER, tier="gpu-8"))


def test_memory_that_others_hold_is_no_memory() -> None:
    tier = tier_called("gpu-24")
    check_fit(tier, machine(25, free=5))
    with pytest.raises(ModelUnavailable, match=r"only 5\.0 of a card's 25\.0 are free: close other programs"):
        check_fit(tier, machine(25, free=5), now=True)
    with pytest.raises(ModelUnavailable, match=r"keeps 30\.8 GB in the computer's own memory .* there are 16\.0"):
        check_fit(tier, machine(25, memory=16))
    assert largest(machine(25, memory=20)).name == "gpu-16"


def test_a_scene_that_cannot_fit_is_refused(full: Shelf) -> None:
    spec = tier_called("gpu-16").spec
    assert spec is not None
    check_folders(spec, published(spec), machine(17), "this scene")
    long = replace(spec, frames=257, width=1216, height=704)
    assert needs(long).device > needs(spec).device
    with pytest.raises(ModelUnavailable, match="this scene needs .* choose gpu-16, which fits"):
        check_folders(long, published(long), machine(17), "this scene")


def test_every_way_to_keep_less_needs_less() -> None:
    plain = BankSpec("cascade", BIG[-1].models[0], BIG[-1].models[1])
    ways: list[dict[str, Any]] = [{}, {"tiled": True}, {"offload": "group", "tiled": True}, {"offload": "in_turn"}]
    ways.append({"offload": "in_turn", "four_bits": True})
    sizes = [needs(replace(plain, **way)).device for way in ways]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)
    unified = replace(plain, mode="unified", connector=Path("x"))
    assert needs(unified).device == pytest.approx(26.4, abs=0.1), "the paper's figure"
    assert needs(unified).disk < needs(plain).disk


def test_unified_mode_wants_a_connector() -> None:
    with pytest.raises(ConfigError, match="nobody has published"):
        tier_called("gpu-40").in_mode("unified")
    tier = tier_called("gpu-40").in_mode("unified", Path("connector"))
    assert tier.memory.obtained == "paper" and tier.seconds is not None and tier.seconds.value == 13.0
    assert "text_encoder/*.safetensors" not in tier.models[1].files
    assert tier.in_mode("cascade") == tier_called("gpu-40")


def test_a_connector_of_ones_own(settings: Settings, full: Shelf, tmp_path: Path) -> None:
    """Tiers work in unified mode with it; whoever loads one is told where it lies."""
    folder = tmp_path / "bridge"
    with pytest.raises(ConfigError, match="bridge is no connector: it needs config.json"):
        chosen(replace(settings, connector=str(folder)), look=lambda: machine(25))
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    found = chosen(replace(settings, connector=str(folder)), look=lambda: machine(25))
    assert found.model == f"gpu-24+{folder}" and found.is_tier
    tier, plain = tier_of(found), tier_of(chosen(settings, look=lambda: machine(25)))
    assert tier is not None and tier.spec is not None and plain is not None and plain.spec is not None
    assert (tier.spec.mode, tier.spec.connector, plain.spec.mode) == ("unified", folder, "cascade")
    assert (
        mode_words(tier.spec)
        == "without words in between: what it understood guides the drawing (because a trained bridge is there)"
    )
    assert mode_words(plain.spec).endswith("(because no trained bridge is there)")
    down = lower(found)
    assert down is not None and down.model == f"gpu-16+{folder}"
    assert with_tier(found, "gpu-8", look=lambda: machine(25)).model == f"gpu-8+{folder}"
    assert with_tier(found, "starter", look=lambda: machine(25)).is_safe
    from_environment = Settings.from_environment({"WHATNEXT_CONNECTOR": str(folder)}, data_dir=tmp_path)
    assert from_environment.connector == str(folder.resolve())


def test_pinned_revisions_are_whole_commits() -> None:
    for tier in BIG:
        assert all(len(model.revision) == 40 and int(model.revision, 16) for model in tier.models)


# when memory is short ---------------------------------------------------------------------------------------------


class OutOfMemoryError(RuntimeError):
    """Torch's has this name."""


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not fit"), False),
        (ValueError("out of memory is what I say"), False),
    ],
)
def test_how_libraries_say_it(error: Exception, short: bool) -> None:
    assert is_out_of_memory(error) is short
    try:
        raise ModelUnavailable("does not load") from error
    except ModelUnavailable as wrapped:
        assert is_out_of_memory(wrapped) is short


def test_one_tier_lower(settings: Settings, full: Shelf) -> None:
    at: Settings | None = with_tier(settings, "gpu-80", look=lambda: machine(85))
    names = []
    while at is not None:
        names.append(at.model)
        at = lower(at)
    assert names == ["gpu-80", "gpu-40", "gpu-24", "gpu-16", "gpu-12", "gpu-8"], "never the starter: another world"
    assert lower(settings) is None


@pytest.fixture
def engine(settings: Settings, full: Shelf) -> Iterator[Engine]:
    store = open_store(with_tier(settings, "gpu-24", look=lambda: machine(25)))
    yield Engine(store.settings, WorkerProcess(store))
    store.close()


def test_the_engine_goes_one_tier_lower(engine: Engine) -> None:
    assert engine.settings.model == "gpu-24" and engine.stepped_down() is None
    with pytest.raises(OutOfMemory), Loads(engine.settings).attempt():
        raise OutOfMemory("not enough")
    assert engine.settings.model == "gpu-16" and engine.stepped_down() == ("gpu-24", "gpu-16")
    Loads(engine.settings).ran_short("not enough for drawing either")
    assert engine.settings.model == "gpu-12"
    with Loads(engine.settings).attempt():
        pass
    assert engine.settings.model == "gpu-12", "what works stays"
    engine.reset()
    assert engine.settings.model == "gpu-24" and engine.stepped_down() is None


def test_not_without_leave(engine: Engine) -> None:
    engine.asked_for = replace(engine.asked_for, step_down=False)
    Loads(engine.settings).ran_short("not enough")
    assert engine.settings.model == "gpu-24"


def fail_to_load(settings: Settings, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(ValueError), Loads(settings).attempt():  # noqa: PT011
            raise ValueError("broken")


def test_other_failures_are_no_reason(engine: Engine) -> None:
    """And the starter, which knows another world, never takes over a tier's stories."""
    fail_to_load(engine.settings)
    assert engine.settings.model == "gpu-24" and not engine.stands_in and engine.stepped_down() is None
    assert "“Graphics card, 24 GB” could not be loaded three times" in engine.broken() and "broken" in engine.broken()
    engine.reset()
    assert not engine.broken()


def test_the_smallest_tier_has_nobody_behind_it(engine: Engine) -> None:
    for name in ("gpu-24", "gpu-16", "gpu-12", "gpu-8"):
        now = engine.settings
        assert now.model == name and not engine.broken()
        for _ in range(3):
            with pytest.raises(OutOfMemory), Loads(now).attempt():
                raise OutOfMemory("not enough")
    assert engine.settings.model == "gpu-8" and "Graphics card, 8 GB" in engine.broken()


def test_a_death_without_a_word_is_taken_for_a_lack_of_memory(engine: Engine) -> None:
    for _ in range(3):
        assert engine.settings.model == "gpu-24"
        Loads(engine.settings).attempt().__enter__()  # the system killed it: nothing more is written
    assert engine.settings.model == "gpu-16" and engine.stepped_down() == ("gpu-24", "gpu-16")


class Hungry:
    """A predictor whose drawing takes more memory than there is."""

    fingerprint = "hungry"
    languages = ("en",)

    def act(self, _request: Any, **_how: Any) -> Iterator[Any]:
        raise OutOfMemoryError("CUDA out of memory")
        yield

    def __getattr__(self, _name: str) -> Any:
        raise AttributeError(_name)


def drawing(settings: Settings, load: Any) -> tuple[Director, str]:
    director = Director(open_store(settings), load=load)
    director.start()
    owner = director.store.local_owner()
    stories = director.store.stories(owner)
    scene = stories.begin_scene(stories.create_story("A story").id, "rain falls")
    (asked,) = director.submit_draw(owner, scene.id)
    return director, asked


@pytest.mark.parametrize("leave", [True, False])
def test_a_take_that_runs_short_in_the_page_itself(settings: Settings, full: Shelf, leave: bool) -> None:
    """Nobody would look at a job that waits: it fails, and says who does it when it is asked again."""
    here = replace(with_tier(settings, "gpu-24", look=lambda: machine(25)), in_process=True, step_down=leave)
    loaded: list[str] = []

    def load() -> Any:
        loaded.append(director.engine.settings.model)
        return Hungry()

    director, asked = drawing(here, load)
    job = director.run_here(asked)
    assert job.status == "failed" and loaded == ["gpu-24"]
    if leave:
        assert "ask again, and the smaller gpu-16 does it" in str(job.error)
        assert director.engine.settings.model == "gpu-16"
        view = engine_view(director)
        assert "Graphics card, 24 GB" in view["note"] and "Graphics card, 16 GB" in view["note"] and view["again"]
    else:
        assert "gpu-16 is the next smaller one here" in str(job.error)
        assert director.engine.settings.model == "gpu-24"
    owner = director.store.local_owner()
    (again,) = director.submit_draw(owner, str(job.scene_id))
    director.run_here(again)
    assert loaded == (["gpu-24", "gpu-16"] if leave else ["gpu-24"]), "the smaller one; or the same, still loaded"
    director.shutdown()
    director.store.close()


def test_whoever_asked_is_told_why_when_nobody_stands_in(
    settings: Settings, full: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(replace(with_tier(settings, "gpu-24", look=lambda: machine(25)), worker_poll_idle=0.0))
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine(25, free=9))
    with pytest.raises(GivenBack):
        Worker(store)._load()
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine())
    Loads(store.settings).reset()
    with pytest.raises(ModelUnavailable, match="this machine has none"):
        Worker(store)._load()
    store.close()


def test_a_take_that_runs_short_waits_for_a_smaller_tier(settings: Settings, full: Shelf) -> None:
    """In a worker: its page starts another one with the smaller tier, which finds the job waiting."""
    store = open_store(with_tier(settings, "gpu-24", look=lambda: machine(25)))
    owner = store.local_owner()
    stories = store.stories(owner)
    scene = stories.begin_scene(stories.create_story("A story").id, "rain falls")
    payload = {"words": "rain falls", "mode": "cut", "options": {"seed": 1}}
    store.jobs.submit(owner, "draw", payload, story_id=scene.story_id, scene_id=scene.id)
    job = store.jobs.claim("worker", 1, "cuda")
    assert job is not None
    Runner(store, "worker", Hungry).run(job)  # type: ignore[arg-type]
    now = store.jobs.status(job.id)
    assert now.is_open and now.attempts == 0 and Engine(store.settings, WorkerProcess(store)).settings.model == "gpu-16"
    store.close()


def test_a_tier_becomes_a_predictor(full: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The border to the loader: what it is called with, and what becomes of its errors."""
    banks, asked = ModuleType("nsp_core.banks.load"), []
    fails: list[Exception] = []

    def load_banks(spec: BankSpec, folder_of: Any, device: str | None) -> Any:
        if fails:
            raise fails[0]
        asked.append((spec, folder_of(spec.reader), device))
        return "a predictor"

    banks.load = load_banks  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nsp_core.banks", ModuleType("nsp_core.banks"))
    monkeypatch.setitem(sys.modules, "nsp_core.banks.load", banks)
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine(25))
    assert load("gpu-12") == "a predictor"
    spec, folder, device = asked[0]
    assert spec.four_bits and folder == full.cache.root / "Qwen/Qwen2.5-VL-7B-Instruct" and device == "cuda"
    fails[:] = [OutOfMemoryError("CUDA out of memory")]
    with pytest.raises(OutOfMemory, match="not enough to load gpu-12"):
        load("gpu-12")
    fails[:] = [KeyError("weight")]
    with pytest.raises(ModelUnavailable, match="models verify says"):
        load("gpu-12")
    with pytest.raises(ModelUnavailable, match="choose gpu-24, which fits"):
        load("gpu-40")
    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine(25, free=9))
    with pytest.raises(OutOfMemory, match=r"only 9\.0 of a card's 25\.0 are free"):
        load("gpu-12")


def test_the_doctor_says_what_suits_and_how_that_is_known(
    settings: Settings, full: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.checkup.tiers import look_at_tiers

    monkeypatch.setattr("nsp_core.hardware.look", lambda: machine(25))
    first, *weights = look_at_tiers(settings)
    assert first.level == "fine" and "The tier gpu-24 runs" in first.text
    assert len(first.details) == len(TIERS)
    assert "fits    gpu-24: 18.6 GB (computed) of memory" in first.details[4]
    assert "a scene in 25.0 s (computed for an RTX 4090)" in first.details[4]
    assert first.details[6].startswith("too big gpu-80")
    assert len(weights) == 3 and all(one.subject == "weights" and one.level == "fine" for one in weights)
    keep(settings, "gpu-8")
    first, *_ = look_at_tiers(settings)
    assert first.level == "note" and "gpu-24 would fit" in first.text
    (first,) = look_at_tiers(Settings(data_dir=settings.data_dir, tier="gpu-80"))
    assert first.level == "wrong" and "choose gpu-24, which fits" in first.text
