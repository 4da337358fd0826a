"""What can go wrong in the store, each as one sentence for the person.

WhatNextError
├── UserError
│   ├── NotFound       no such story, scene, take or job (or it is somebody else's)
│   └── StaleStory     the story was changed elsewhere since the page last read it
└── SchemaError        the database cannot be used by this version of the program
"""

from __future__ import annotations

from nsp_core.errors import UserError, WhatNextError


class NotFound(UserError):
    pass


class StaleStory(UserError):
    pass


class SchemaError(WhatNextError):
    pass


CHANGED = "This story was changed in another window: look at it as it is now, then try again."
