"""RoomCommand: something that some may have a room do (:xep:`0050`)."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from xmppd.stanza import JID, Element
from xmppd.stanza.form import Field, form

from .room import Room

Values = Mapping[str, Sequence[str]]


class RoomCommand(ABC):
    """Something that some may have a room do.

    Attributes:
        node: By which it is asked for.
        title: For people.
        form_type: The FORM_TYPE of its fields (:xep:`0068`).
    """

    node: ClassVar[str]
    title: ClassVar[str]
    form_type: ClassVar[str]

    @abstractmethod
    def check(self, room: Room, actor: JID) -> None:
        """Let somebody have it done.

        Raises:
            StanzaError: They may not.
        """

    def fields(self, room: Room) -> tuple[Field, ...]:
        """Those to fill in; none if it takes nothing."""
        return ()

    @abstractmethod
    async def run(self, room: Room, actor: JID, values: Values) -> Element | str | None:
        """Do it.

        Args:
            room: Where.
            actor: Full JID of who wants it, and may have it.
            values: By field, checked.

        Returns:
            The form that it answers with, a sentence, or nothing.

        Raises:
            StanzaError: It cannot be done.
        """

    def form(self, room: Room) -> Element | None:
        """The form to fill in."""
        fields = self.fields(room)
        return form(self.form_type, self.title, "Fill out this form.", *fields) if fields else None


def value(values: Values, name: str) -> str:
    """The value of a field; empty if it has none."""
    return next(iter(values.get(name, ())), "").strip()


__all__ = ["RoomCommand", "Values", "value"]
