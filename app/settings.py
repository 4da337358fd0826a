"""What can be set, and where it is kept. Knows nothing of pages, tables or models.

Every value can be given by an environment variable: WHATNEXT_DATA, WHATNEXT_MODEL, WHATNEXT_DEVICE ... (the name
of the field in capitals). The worker reads the same values from a small JSON file that the page writes for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from nsp_core import adapters
from nsp_core.banks import file
from nsp_core.errors import ConfigError
from nsp_core.places import default_data_dir, locks_dir

ROOT = Path(__file__).resolve().parents[1]
STARTER = ROOT / "assets" / "starter"
DEFAULT_PREDICTOR = "app.predictors:load"
TIER_PREDICTOR = "app.tier_model:load"
PROCESSOR, CARD = "cpu", "cuda"  # devices: the starter draws on the one, the tiers above it on the other
STARTER_TIER = "starter"
BOTH_NAMED = "A model folder and a tier were both named: name one of the two."
INLINE = "inline"  # stands where a device does for jobs that a page does itself


@dataclass(frozen=True)
class Settings:
    """All settings of one running program. Times are in seconds."""

    data_dir: Path
    model: str = str(STARTER)  # a folder in hub layout, or a bank.json; what `predictor` is called with
    predictor: str = DEFAULT_PREDICTOR  # "module:function" that returns a nsp_core.types.Predictor
    safe_model: str = str(STARTER)  # what stands in when `model` cannot be loaded, with its predictor
    safe_predictor: str = DEFAULT_PREDICTOR
    tier: str = ""  # of nsp_core.tiers: its weights are the model; "": chosen on the page, or what fits and is here
    connector: str = ""  # a folder with a trained one: the tiers work in unified mode with it
    faster: str = ""  # a shortcut of nsp_core.shortcuts: takes are drawn faster and come out otherwise
    adapter: str = ""  # what turns the model towards somebody's own world: FOLDER or FOLDER=STRENGTH, comma between
    teacher: str = ""  # a module that teaches; "": `launch.py teach` does, and tests name one of their own
    lesson_waits: float = 30.0  # how long nothing is drawn until a lesson that made way for a scene goes on
    step_down: bool = True  # when memory is not enough, the next smaller tier goes on
    device: str = PROCESSOR  # what is drawn on: one worker has it at a time, and its lock is named after it
    threads: int = 0  # 0: the libraries decide
    language: str = "en"  # of the page: a file in app/languages, or the path of one
    in_process: bool = False  # ZeroGPU: jobs run inside the event handler, no worker process
    public: bool = False  # others than the person at this machine may come: app.access asks for a password then
    served_as: str = ""  # other names of this page, comma between them: in front of a proxy; makes it public
    accounts: str = ""  # "huggingface": people log in there and are kept apart; "guests": apart, and forgotten
    keep: str = ""  # where snapshots of all stories go and come from: a folder, or OWNER/NAME of a private dataset
    filter: str = ""  # the content filter: "on", "off", "" for on in public mode only
    filter_model: str = ""  # its weights; "": where app.filter_weights puts them
    judge: str = ""  # a judge of nsp_core.judges that is asked about takes; "": the model itself
    provenance: bool = True  # files that leave say how they were made, and are signed
    provenance_prompts: bool = False  # and tell the words that they were drawn from
    certificate: str = ""  # PEM files of a signer who is known elsewhere; "": a self-made one
    certificate_key: str = ""
    timestamps: str = ""  # address of an authority (RFC 3161) that says when it was signed; "": nobody is asked

    # what the model is shown of a story
    context_scenes: int = 12  # scenes whose words are read: the first one and the latest
    context_frames: int = 3  # of these, the latest whose pictures are read too

    # jobs and processes
    heartbeat_every: float = 1.0
    worker_exit_after: float = 60.0  # without a sign of life from a page
    worker_poll: float = 0.05  # between looks at the queue while a page is in use
    worker_poll_idle: float = 0.5
    worker_lost_after: float = 30.0  # a worker that is alive but silent for so long is killed
    cancel_kill_after: float = 20.0  # a cancelled job that has not ended by then costs the worker
    stop_grace: float = 5.0  # how long a worker may take to end when the program is closed
    progress_every: float = 0.2  # at most five writes of progress a second
    cancel_every: float = 0.1
    max_attempts: int = 2

    @property
    def database(self) -> Path:
        return self.data_dir / "whatnext.db"

    @property
    def media_dir(self) -> Path:
        return self.data_dir / "media"

    @property
    def previews_dir(self) -> Path:
        return self.data_dir / "previews"

    @property
    def locks_dir(self) -> Path:
        return locks_dir(self.data_dir)

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def tier_file(self) -> Path:
        """What was chosen on the page."""
        return self.data_dir / "tier"

    @property
    def adapter_file(self) -> Path:
        """What was chosen on the page, with its strength."""
        return self.data_dir / "adapter"

    @property
    def backups_dir(self) -> Path:
        return self.data_dir / "backups"

    @property
    def filter_on(self) -> bool:
        return self.filter.lower() in ("on", "1", "true", "yes") or (not self.filter and self.public)

    @property
    def model_key(self) -> str:
        """Two workers with the same key are interchangeable: a page adopts a worker only when the keys are equal."""
        return json.dumps([self.predictor, self.model, self.adapter, self.device, self.threads, self.filter_on])

    @property
    def is_safe(self) -> bool:
        """Whether the model is the one that is shipped."""
        return (self.predictor, self.model, self.adapter) == (self.safe_predictor, self.safe_model, "")

    @property
    def is_starter(self) -> bool:
        """Whether the model is the one that came with the program, which is what stands here when nothing was named."""
        return (self.predictor, self.model) == (DEFAULT_PREDICTOR, str(STARTER))

    @property
    def is_tier(self) -> bool:
        """Whether the model is a tier's published weights; `model` is its name then."""
        return self.predictor == TIER_PREDICTOR

    def safe(self) -> Settings:
        """The same with the model that is shipped."""
        return replace(self, predictor=self.safe_predictor, model=self.safe_model, adapter="", device=PROCESSOR)

    def make_folders(self) -> None:
        for folder in (self.data_dir, self.media_dir, self.previews_dir, self.locks_dir, self.logs_dir, self.run_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def to_json(self) -> str:
        return json.dumps({k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        return cls(**_typed(json.loads(text), "the settings file"))

    @classmethod
    def from_environment(cls, env: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Defaults, then WHATNEXT_* of the environment, then `overrides` that are not None."""
        env = os.environ if env is None else env
        names = {f"WHATNEXT_{'DATA' if f.name == 'data_dir' else f.name.upper()}": f.name for f in fields(cls)}
        given = {name: env[key] for key, name in names.items() if env.get(key)}
        values = _typed(given, "the environment")
        values.setdefault("data_dir", default_data_dir())
        values.update(_typed({k: v for k, v in overrides.items() if v is not None}, "the call"))
        values["model"] = str(file.find(values.get("model", cls.model)) or values.get("model", cls.model))
        if Path(values["model"]).exists():  # the worker runs in another folder than this process
            values["model"] = str(Path(values["model"]).resolve())
        if values.get("connector"):
            values["connector"] = str(Path(values["connector"]).expanduser().resolve())
        if values.get("adapter"):
            there = adapters.named(values["adapter"])
            values["adapter"] = ",".join(f"{path.resolve()}={strength:g}" for path, strength in there)
        made = cls(**values)
        # a person who names the starter wants it, and not what would fit as well
        named = "model" in given or overrides.get("model") is not None
        if not named or not made.is_starter:
            return made
        if made.tier not in ("", STARTER_TIER):
            raise ConfigError(BOTH_NAMED)
        return replace(made, tier=STARTER_TIER)


def _typed(given: Mapping[str, Any], source: str) -> dict[str, Any]:
    kinds = {f.name: f.type for f in fields(Settings)}
    values: dict[str, Any] = {}
    for name, raw in given.items():
        if name not in kinds:
            raise ConfigError(f"{name} in {source} is no setting; the settings are {', '.join(sorted(kinds))}.")
        kind = kinds[name]
        try:
            if kind == "Path":
                values[name] = Path(raw).expanduser().resolve()
            elif kind == "bool":
                values[name] = raw if isinstance(raw, bool) else str(raw).lower() in ("1", "true", "yes", "on")
            elif kind == "int":
                values[name] = int(raw)
            elif kind == "float":
                values[name] = float(raw)
            else:
                values[name] = str(raw)
        except ValueError:
            raise ConfigError(f"{name} in {source} must be a number, got {raw!r}.") from None
    return values
