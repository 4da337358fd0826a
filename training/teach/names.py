"""Names in captions: "a dog runs" becomes "Bruno, my dog, runs", and "Bruno runs" becomes "Bruno, my dog, runs".

A name is put in once a caption, in two cases only: the caption says it, and not yet what it stands for; or it speaks of
the very thing ("a dog", "the dog", "my dog") and no other name stands for the same word. Whatever else a caption says
stays as it is: what is not seen in the words is not guessed. Knows nothing of clips.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from training.teach.lesson import Name

_ARTICLE = r"(?:a|an|the|my|our|one|this|that)"


def with_names(caption: str, names: Sequence[Name]) -> str:
    """`caption` with the names that belong into it."""
    nouns = [noun_of(one) for one in names]
    for one, noun in zip(names, nouns, strict=True):
        if not one.is_:
            continue
        said = re.search(rf"\b{re.escape(one.who)}\b", caption)
        if said:
            if not noun or not re.search(rf"\b{re.escape(noun)}\b", caption, re.IGNORECASE):
                caption = spliced(caption, said.start(), said.end(), one)
        elif noun and nouns.count(noun) == 1:
            seen = re.search(rf"\b{_ARTICLE}\s+{re.escape(noun)}\b", caption, re.IGNORECASE)
            if seen:
                caption = spliced(caption, seen.start(), seen.end(), one)
    return caption


def noun_of(name: Name) -> str:
    """ "dog" of "my dog" and of "our old dog": its last word."""
    words = re.findall(r"\w+", name.is_.lower())
    return words[-1] if words else ""


def spliced(caption: str, start: int, end: int, name: Name) -> str:
    after = caption[end:]
    comma = "" if re.match(r"\s*(?:$|[.,;:!?])", after) else ","
    return f"{caption[:start]}{name.who}, {name.is_}{comma}{after}"
