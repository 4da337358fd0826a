"""The error tree: which errors are the person's to mend, and what they carry."""

from __future__ import annotations

import inspect

import nsp_core.errors as errors


def test_bad_input_can_be_told_from_everything_else() -> None:
    bad_input = {"UserError", "UnreadableMedia", "OutsideLanguage", "NotHere", "GeometryError", "ConfigError"}
    classes = {name: c for name, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__}
    assert all(issubclass(c, errors.WhatNextError) for c in classes.values())
    assert {name for name, c in classes.items() if issubclass(c, errors.UserError)} == bad_input
    assert set(classes) - bad_input == {"WhatNextError", "CheckpointMismatch", "Cancelled", "ModelUnavailable"}


def test_the_tree_in_the_docstring_names_every_error() -> None:
    classes = [name for name, c in vars(errors).items() if inspect.isclass(c) and c.__module__ == errors.__name__]
    assert errors.__doc__ is not None
    assert not [name for name in classes if name not in errors.__doc__]


def test_an_error_is_its_sentence() -> None:
    refused = errors.OutsideLanguage("I don't know that yet.", ("A ball.",))
    assert str(refused) == "I don't know that yet." and refused.known == ("A ball.",)
    assert errors.OutsideLanguage("no").known == ()
