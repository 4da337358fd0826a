"""What judges are asked, word for word where the paper gives it (arXiv 2512.13015, supplement 10 and 11.1).

Only line breaks are ours: the paper's column ends are no part of a prompt. A change of any text here is a new version,
because verdicts are comparable only within one. Knows nothing of services and models.
"""

from __future__ import annotations

import re
from typing import Literal

TEMPLATE_VERSION = 1  # of all texts in this file
Template = Literal["10.1", "11.1"]

# supplement 10, Template 10.1: the reward of reinforcement learning and the metric
CAUSAL_CONSISTENCY = """\
You will be given two text descriptions:
(1) A preceding scene (context)
(2) A generated video description (caption)
Your task is to determine whether there is logical causal consistency between the scene and caption. Additionally, \
evaluate whether the caption is semantically redundant with the scene description---that is, whether it repeats most \
of the same people, actions, objects, or setting, rather than continuing with new content.
Criteria:
Pass if:
-- The caption shows logical causal continuity from the scene description.
-- The caption describes a clearly new moment with different actions, progression, or consequences.
-- The overlap in content (people, actions, objects, setting) is low.
Fail if:
-- The caption is disconnected or implausible in progression.
-- The caption largely repeats the same content.
-- The two descriptions refer to the same moment or situation.
Input:
Scene Description: {scene_description}
Caption: {caption}
Output:
Verdict: Pass / Fail"""

# supplement 11.1, "Preceding Description Prompt Template": what writes the scene before a clip
PRECEDING_DESCRIPTION = """\
Task: Predict the most likely prior event or activity using commonsense knowledge based on the observed video.
The video shows: [Current visual scene or activity]
Description: [What likely happened just before this moment]
= Guidelines: Use real-world causal reasoning. Describe an earlier event that leads to the current scene, without \
repeating existing actions or characters.
Example:
The video shows: a boy is tying his shoelaces.
Description: He was in a hurry to catch the school bus outside."""

# supplement 11.1, "Verification Prompt Template": what a written pair has to pass
VERIFICATION = """\
You will be given two text descriptions:
1. A preceding scene (context)
2. A generated video description (caption)
Your task: Determine whether the caption is semantically redundant with the scene description or if it provides new, \
causally consistent content.
Label as ``Pass`` if the caption describes a new moment with causal continuity; otherwise label as ``Fail``."""

# ours: the paper prints no slots for the two texts of VERIFICATION, so they come as in 10.1
VERIFICATION_INPUT = """
Input:
Scene Description: {scene_description}
Caption: {caption}
Output:
Verdict: Pass / Fail"""

# ours: the paper says that its judge captions the clip first, and prints no prompt for it
CAPTION = """\
These pictures are taken from one short video, in order of time. Describe in one or two plain sentences what is seen \
and what happens from the first picture to the last. Tell only what can be seen: no guesses about what came before or \
comes next, nothing about style or quality."""

_TEXTS: dict[Template, str] = {"10.1": CAUSAL_CONSISTENCY, "11.1": VERIFICATION + VERIFICATION_INPUT}
_SLOT = re.compile(r"\{(scene_description|caption)\}")


def fill(template: Template, scene_description: str, caption: str) -> str:
    """The whole prompt. Braces in the two texts stay what they are."""
    given = {"scene_description": scene_description, "caption": caption}
    return _SLOT.sub(lambda slot: given[slot[1]], _TEXTS[template])
