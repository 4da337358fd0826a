"""Every instruction text, as named constants with their source. Knows nothing of models.

Two dialects: PAPER is what Qwen2.5-VL reads (arXiv 2512.13015), STARTER is the short form that the small model was
trained on (frozen with its tokenizer: PROMPT_VERSION).
"""

from __future__ import annotations

from dataclasses import dataclass

PROMPT_VERSION = 1
MAX_SCENES = 12  # scenes of a path whose words are read

# arXiv 2512.13015, task format: the instruction of supervised fine-tuning
PAPER_INSTRUCTION = "Please generate a video showing what happens after this scene: {scene}"


# ours: the instruction with the words of what is to come, when they are known (the paper's model has to guess them)
PAPER_TOLD = PAPER_INSTRUCTION + "\nIn the video: {words}"

# ours: the paper's task, asked of a reader that was never trained for it; what is wanted of the answer are the criteria
# of the paper's Template 10.1
WRITE_NEXT = """\
{story}
Before the video is made, write what it shows: one clearly new moment that follows causally from the scene, with other \
actions, progress or consequences, and as little repetition of the scene as can be. Use one or two plain sentences in \
the present tense that can be understood alone: who and what is seen, where, and what happens.{wish}
Answer with JSON only: {{"scene": "..."}}"""
WISH = ' It must show this: "{words}".'
WRITE_SEEN = """\
Describe what is seen in one or two plain sentences in the present tense: who and what, where, and what happens. No \
guesses about what came before or comes next, nothing about style or quality.
Answer with JSON only: {"scene": "..."}"""


@dataclass(frozen=True)
class Dialect:
    """How a story and a task become the text of one user message. `story` joins lines written with `scene`."""

    scene: str
    bible: str
    describe: str
    next: str
    before: str
    steer: str
    judge: str
    draw: str


STARTER = Dialect(
    scene="{number}. {words}\n",
    bible="{text}\n",
    describe="What is seen?",
    next="What happens next?",
    before="What came before?",
    steer="Next: {words}",
    judge="Does it follow? {words}",
    draw="Draw: {words}",
)

PAPER = Dialect(
    scene="Scene {number}: {words}\n",
    bible="About this story: {text}\n",
    describe="Describe what is seen in one short sentence.",
    next="What happens next? Answer with one short sentence that describes the next scene.",
    before="What happened just before? Answer with one short sentence.",
    steer="The next scene should be: {words}. Answer with one short sentence that describes it.",
    judge="Does this scene follow from the story, without repeating it: {words}? Answer Pass or Fail.",
    draw=PAPER_INSTRUCTION.format(scene="{words}"),
)

DIALECTS = {"starter": STARTER, "paper": PAPER}

# what the starter's reader answers to words that it never learnt
UNKNOWN = "I do not know that yet."
VERDICTS = ("It follows.", "It repeats.", "It does not follow.")


def story_text(dialect: Dialect, words: tuple[str, ...], bible: str = "") -> str:
    """The last MAX_SCENES scenes of a path, numbered from its beginning."""
    first = max(0, len(words) - MAX_SCENES)
    lines = [dialect.scene.format(number=i + 1, words=w) for i, w in enumerate(words) if i >= first]
    return (dialect.bible.format(text=bible) if bible else "") + "".join(lines)
