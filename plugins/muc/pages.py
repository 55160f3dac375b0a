"""The page of rooms in the console."""

from xmppd.pages.page import Page, Panel

PAGES: tuple[Page | Panel, ...] = (
    Page(path="rooms", title="Rooms", place="People", acts=("room create", "room announce")),
    Panel(
        page="rooms",
        title="Rooms",
        command="room list",
        each=("room show", "room affiliation", "room kick", "room config", "room destroy"),
    ),
)

__all__ = ["PAGES"]
