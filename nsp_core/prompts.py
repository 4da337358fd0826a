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
