"""The evaluation reader: renderings are read back, what lies between two readings is not."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from training.picturebook.draw import clip, still
from training.picturebook.reader import PictureReader, idle, looks, psnr, reader_of, skies
from training.picturebook.rules import step
from training.picturebook.scenes import story
from training.picturebook.world import Event, Thing, World

MEADOW = World("meadow", "day", "clear", (Thing(0, "cat", "awake"), Thing(2, "balloon", "floating", "red")))


def test_every_thing_in_every_colour_is_told_apart() -> None:
    reader = reader_of()
    for number, look in enumerate(looks()):
        slot, sky = number % 3, skies()[5 * (number % 4)]  # four skies, in all three places
        world = sky.put(Thing(slot, *look))
        assert reader.read(still(world)).world == world.seen()


def test_whole_stories_are_read() -> None:
    reader = reader_of()
    for seed in range(6):
        for world in story(Random(seed), 6).worlds:
            reading = reader.read(still(world))
            assert reading.world == world.seen(), reading
            assert reading.error < 6 and reading.blend < 0.01


def test_a_picture_is_read_in_time() -> None:
    reader, picture = PictureReader(), still(MEADOW)
    reader.read(picture)
    spent = []
    for _ in range(5):
        started = time.process_time()
        reader.read(picture)
        spent.append(time.process_time() - started)
    assert min(spent) < 0.03


def test_between_two_things_is_unreadable() -> None:
    reader = reader_of()
    one, other = still(MEADOW), still(MEADOW.put(Thing(2, "balloon", "floating", "green")))
    half = ((one.astype(float) + other) / 2).astype(np.uint8)
    assert reader.read(half).world is None
    # a tenth of another colour is still the one
    tenth = (one * 0.9 + other * 0.1).astype(np.uint8)
    assert reader.read(tenth).world == MEADOW.seen()


def test_a_thing_that_is_half_there_is_unreadable() -> None:
    half = ((still(MEADOW).astype(float) + still(MEADOW.without(0))) / 2).astype(np.uint8)
    reading = reader_of().read(half)
    assert reading.world is None and reading.reason.startswith("left")


def test_dusk_is_neither_day_nor_night() -> None:
    dusk = ((still(MEADOW).astype(float) + still(replace(MEADOW, light="night"))) / 2).astype(np.uint8)
    reading = reader_of().read(dusk)
    assert reading.world is None and "ground" in reading.reason


def test_pictures_of_no_world_are_unreadable() -> None:
    reader, rng = reader_of(), np.random.default_rng(0)
    for picture in (
        np.zeros((96, 160, 3), np.uint8),
        np.full((96, 160, 3), 128, np.uint8),
        rng.integers(0, 255, (96, 160, 3)).astype(np.uint8),
        still(MEADOW)[:, ::-1].copy(),
        np.roll(still(MEADOW), 24, 1),
    ):
        assert reader.read(picture).world is None
    with pytest.raises(ValueError, match="scale it first"):
        reader.read(np.zeros((48, 80, 3), np.uint8))


def test_a_clip_is_read_at_both_ends() -> None:
    event = Event("sunset")
    reading = reader_of().read_clip(clip(MEADOW, event, step(MEADOW, event)))
    assert reading.readable and reading.under_way >= 2
    assert reading.start.world == MEADOW.seen()
    assert reading.end.world == replace(MEADOW.seen(), light="night")


def test_nothing_happens_in_an_idle_world_and_nothing_moves_in_a_jump() -> None:
    reader, night = reader_of(), replace(MEADOW, light="night")
    assert reader.read_clip(np.array(idle(MEADOW))).under_way == 0
    jump = np.repeat(still(night)[None], 17, 0)
    jump[0] = still(MEADOW)
    reading = reader.read_clip(jump)
    assert reading.readable and reading.under_way == 0


def test_a_clip_that_still_changes_at_its_end_is_not_settled() -> None:
    event = Event("balloon_floats_off", 2, None, "balloon", "red")
    before = replace(MEADOW, weather="wind")
    late = clip(before, event, step(before, event))
    late[1:-1] = late[1]  # all that happens happens in the last frame
    assert not reader_of().read_clip(late).settled


def test_psnr() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    assert psnr(picture, picture) == 99
    assert psnr(picture, picture + 255) == pytest.approx(0)
