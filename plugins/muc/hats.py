"""Hats of a room, and who wears them (:xep:`0317`)."""

from collections.abc import Iterable
from hashlib import sha1

from msgspec.structs import replace

from xmppd.stanza import escape

from .names import HATS
from .state import Hat

MAX_HATS = 50
"""Hats of a room."""

MAX_PEOPLE = 1_000
"""People who have one hat."""


class RoomHats:
    """The hats that there are in a room, and what each person wears of them (RM-74).

    Args:
        hats: All of them.

    Attributes:
        by_uri: All of them.
    """

    __slots__ = ("_worn", "by_uri")

    def __init__(self, hats: Iterable[Hat]) -> None:
        self.by_uri = {hat.uri: hat for hat in hats}
        self._worn = _worn(self.by_uri.values())

    def change(self, hats: Iterable[Hat], gone: Iterable[str]) -> bool:
        """Have some hats be new or others, and some be gone; returns whether there are others than
        before, or they are called otherwise.

        Args:
            hats: With all who have them.
            gone: By URI.
        """
        before = self._shown()
        for uri in gone:
            self.by_uri.pop(uri, None)
        self.by_uri.update((hat.uri, hat) for hat in hats)
        self._worn = _worn(self.by_uri.values())
        return self._shown() != before

    def _shown(self) -> dict[str, tuple[str, float | None]]:
        return {hat.uri: (hat.title, hat.hue) for hat in self.by_uri.values()}

    def worn(self, person: str) -> bytes:
        """What others see of the hats of somebody; empty if they have none.

        Args:
            person: Bare JID.
        """
        return self._worn.get(person, b"")

    def without(self, person: str) -> tuple[Hat, ...]:
        """The hats that somebody has, as they are when they have them no more."""
        return tuple(
            replace(hat, people=tuple(each for each in hat.people if each != person))
            for hat in self.by_uri.values()
            if person in hat.people
        )

    @property
    def hash(self) -> str:
        """By which it is seen whether there are others than before; empty if there are none."""
        listed = "\n".join(sorted(self.by_uri))
        return sha1(listed.encode(), usedforsecurity=False).hexdigest() if listed else ""


def _worn(hats: Iterable[Hat]) -> dict[str, bytes]:
    found: dict[str, str] = {}
    for hat in sorted(hats, key=lambda each: each.uri):
        hue = "" if hat.hue is None else f" hue='{hat.hue:g}'"
        shown = f"<hat uri='{escape(hat.uri)}' title='{escape(hat.title)}'{hue}/>"
        for person in hat.people:
            found[person] = found.get(person, "") + shown
    return {
        person: f"<hats xmlns='{HATS}'>{shown}</hats>".encode() for person, shown in found.items()
    }


__all__ = ["MAX_HATS", "MAX_PEOPLE", "RoomHats"]
