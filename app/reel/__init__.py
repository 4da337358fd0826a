"""The path of a story as one film to take home."""

from app.reel.export import ReelInfo, ReelItem, export_reel

__all__ = ["ReelInfo", "ReelItem", "export_reel"]
