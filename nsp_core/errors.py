"""The error tree. Every message says what was asked, what is allowed and what to do, in one sentence.

WhatNextError
├── UserError              bad input: shown as one sentence, exit code 2
│   ├── UnreadableMedia    a file that is no picture or clip that can be decoded
│   ├── OutsideLanguage    words that the loaded model never learnt (carries `known`: what it does know)
│   │   └── NotHere        a wish in known words that cannot come true now
│   ├── GeometryError      a size or frame count that the model cannot draw
│   └── ConfigError        an unknown key or a value out of range
├── CheckpointMismatch     files of a checkpoint that do not fit each other or this program
├── Cancelled              the person asked to stop; nothing is wrong
└── ModelUnavailable       the model cannot be loaded here (memory, missing files)
"""

from __future__ import annotations


class WhatNextError(Exception):
    """Root of all errors that this project raises on purpose."""


class UserError(WhatNextError):
    """Bad input. `str(error)` is one sentence that a person can act on."""


class UnreadableMedia(UserError):
    pass


class OutsideLanguage(UserError):
    def __init__(self, message: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.known = known


class NotHere(OutsideLanguage):
    """A wish in known words that cannot come true at this moment of the story, or was not understood."""


class GeometryError(UserError):
    pass


class ConfigError(UserError):
    pass


class CheckpointMismatch(WhatNextError):
    pass


class Cancelled(WhatNextError):
    pass


class ModelUnavailable(WhatNextError):
    pass
