"""A story in one file: packed to be given away or kept, and brought in again wherever the program is."""

from app.pack.bringing import BroughtIn, bring_in
from app.pack.form import NotAPack
from app.pack.packing import Packed, pack_story

__all__ = ["BroughtIn", "NotAPack", "Packed", "bring_in", "pack_story"]
