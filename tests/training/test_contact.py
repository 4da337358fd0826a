"""A contact sheet shows what a model tells and draws from fixed beginnings, and stops where it has nothing to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.evaluate import contact
from training.models import ROOT

STARTER = ROOT / "assets" / "starter"


def test_each_row_has_its_pictures_and_one_that_was_not_drawn_is_white() -> None:
    first = np.full((96, 160, 3), 40, np.uint8)
    clip = np.full((17, 96, 160, 3), 200, np.uint8)
    rows = [("one", first, [("It rains.", clip), ("(nothing came to mind)", None)]), ("two", first, [])]
    seen = np.asarray(contact.sheet(rows, scenes=2))
    assert seen.shape[1] == 5 * 164 + 4
    top = seen[50]
    assert (top[80] == 40).all() and (top[164 + 80] == 200).all() and (top[3 * 164 + 80] == 255).all()
    assert (seen[50 + seen.shape[0] // 2][164 + 80] == 255).all()


@pytest.mark.skipif(not STARTER.is_dir(), reason="no starter in this checkout")
def test_the_starter_fills_a_sheet(tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    assert contact.main([str(out), str(STARTER), str(STARTER), "--stories", "1", "--scenes", "1"]) == 0
    seen = np.asarray(Image.open(out))
    down = (len(seen) - contact.GAP) // 2
    one, other = (seen[contact.GAP + at * down :][:96, 164:] for at in (0, 1))
    assert one.std() > 10 and np.array_equal(one, other), "the same model draws the same"
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
