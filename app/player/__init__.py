"""A story as one page that plays it: offline, in any browser, and whoever watches chooses what happens next."""

from app.player.page import Page, write_page

__all__ = ["Page", "write_page"]
