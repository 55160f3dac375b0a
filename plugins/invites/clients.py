"""Clients that are named to people who have none, by the device that they look with."""

from typing import NamedTuple


class KnownClient(NamedTuple):
    """A client.

    Attributes:
        name: Its name.
        url: Where it is had.
        where: What it runs on.
        devices: The words of :data:`DEVICES` for that.
    """

    name: str
    url: str
    where: str
    devices: tuple[str, ...]


DEVICES = ("Android", "iPhone", "iPad", "Macintosh", "Windows", "Linux")
"""Words in what browsers say of themselves; the first that is there tells the device, since that of
Android says Linux as well.
"""

CLIENTS = (
    KnownClient("Conversations", "https://conversations.im", "Android", ("Android",)),
    KnownClient("Cheogram", "https://cheogram.com/android", "Android", ("Android",)),
    KnownClient(
        "Monal", "https://monal-im.org", "iPhone, iPad, Mac", ("iPhone", "iPad", "Macintosh")
    ),
    KnownClient("Siskin", "https://siskin.im", "iPhone, iPad", ("iPhone", "iPad")),
    KnownClient("Dino", "https://dino.im", "Linux", ("Linux",)),
    KnownClient(
        "Gajim", "https://gajim.org", "Windows, Linux, Mac", ("Macintosh", "Windows", "Linux")
    ),
)


def for_device(user_agent: str) -> tuple[tuple[KnownClient, ...], tuple[KnownClient, ...]]:
    """The clients for the device of a browser, and all others."""
    device = next((word for word in DEVICES if word in user_agent), "")
    mine = tuple(each for each in CLIENTS if device in each.devices)
    return mine, tuple(each for each in CLIENTS if each not in mine)


__all__ = ["KnownClient", "for_device"]
