"""A whole model on this machine as a judge of its own: its reader is asked, nothing is drawn. Registered as "local".

WHATNEXT_JUDGE_MODEL is the model's folder (hub layout). How it is asked stands in `weighing`.
"""

from __future__ import annotations

from typing import Any

import torch

from nsp_core.banks import file
from nsp_core.errors import ConfigError
from nsp_core.judges.config import JudgeConfig
from nsp_core.judges.templates import Template
from nsp_core.judges.verdict import Verdict
from nsp_core.judges.weighing import judge_locally, template_of
from nsp_core.pipeline import NextScenePipeline
from nsp_core.types import Scene, StoryContext


class LocalJudge:
    """A loaded model as a judge of its own name. The starter answers only what it was taught; see nsp_core.opinion."""

    def __init__(self, pipeline: Any, template: Template = "10.1") -> None:
        self.name = f"local:{pipeline.fingerprint}"
        self._pipeline, self._template = pipeline, template
        self.template = template_of(template)

    def judge(self, context: StoryContext, scene: Scene) -> Verdict:
        return judge_locally(self._pipeline, context, scene, self.name, self._template)


def local_judge(config: JudgeConfig | None = None) -> LocalJudge:
    """Raises ConfigError when no model folder is set or the folder is the starter's kind, and what loading raises."""
    config = config or JudgeConfig.from_environment()
    if not config.model:
        raise ConfigError("The judge 'local' needs a model: set WHATNEXT_JUDGE_MODEL to the folder of one.")
    if bank := file.find(config.model):
        from nsp_core.banks.load import load

        return LocalJudge(load(file.read(bank), file.folder_of), config.template)
    pipeline: Any = NextScenePipeline.from_pretrained(config.model)
    if pipeline.config.dialect != "paper":
        raise ConfigError(
            "The judge 'local' asks in the paper's words, which the starter has not learnt: set a big one."
        )
    if torch.cuda.is_available():
        pipeline.to("cuda")
    return LocalJudge(pipeline, config.template)
