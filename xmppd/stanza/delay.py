"""Delayed delivery (:xep:`0203`): the stamp of a message that waited."""

from typing import NamedTuple, Self

from twisted.internet.defer import Deferred

from xmppd.stanza import ns
from xmppd.stanza.date_time import date_time
from xmppd.stanza.stanza import Message, Payload

_END = b"</message>"


class Kept:
    """A message that is in the store while it is in the queue of a session.

    Attributes:
        held: Whether it is there for that reason only, and is no offline message.
        number: Its number in the store; 0 while it is being written.
        position: The count of handled stanzas by which the session's client has it, as the store
            knows it; 0 if it does not.
        over: Whether it has arrived, or found another place.
        writing: Done when it is written, or cannot be; None if it is not being written.
    """

    __slots__ = ("held", "number", "over", "position", "writing")

    def __init__(self, number: int = 0, *, held: bool, position: int = 0) -> None:
        self.held = held
        self.number = number
        self.position = position
        self.over = False
        self.writing: Deferred[None] | None = None


class Stood(NamedTuple):
    """The position of a message in the queue of a session that has ended.

    Attributes:
        kept: Its entry in the store, if it has one.
        key: The key by which the session could be resumed; empty if it could not.
        position: The count of handled stanzas by which its client has it; 0 if it was not sent.
    """

    kept: Kept | None
    key: bytes
    position: int


class Stamped(Payload):
    """The payload of a message that we have stamped with its time of arrival, once."""

    __slots__ = ()


class Stored(Stamped):
    """The payload of a message that came out of the store, where it still is.

    Attributes:
        kept: Its entry in the store.
    """

    __slots__ = ("kept",)
    kept: Kept


class Returned(Stamped):
    """The payload of a message that a session gave back when it ended.

    Attributes:
        stood: Where it stood there.
    """

    __slots__ = ("stood",)
    again = True
    stood: Stood

    def without_to(self) -> Self:
        """The same payload, ready for any address."""
        payload = super().without_to()
        payload.stood = self.stood
        return payload

    def changed(self, raw: bytes) -> Self:
        """The same payload with other bytes."""
        payload = super().changed(raw)
        payload.stood = self.stood
        return payload


class Unread(Payload):
    """The payload of a message that a session without stream management gave back."""

    __slots__ = ()
    again = True


class StampedUnread(Stamped):
    """The payload of a message that a session on another node gave back."""

    __slots__ = ()
    again = True


def delayed(wire: bytes, domain: str, seconds: float) -> bytes:
    """The message, stamped with its time of arrival at the server of this domain.

    Args:
        wire: A message. One without any content is left as it is, since nothing in it is late.
        domain: Of the server that kept it.
        seconds: Since 1970.
    """
    if not wire.endswith(_END):
        return wire
    delay = f"<delay xmlns='{ns.DELAY}' from='{domain}' stamp='{date_time(seconds)}'/>"
    return b"%b%b%b" % (wire[: -len(_END)], delay.encode(), _END)


def stamped(message: Message, domain: str, seconds: float) -> Message:
    """The same message, stamped unless it is already; a stamp that its sender has written stays."""
    payload = message.payload
    if isinstance(payload, Stamped):
        return message
    return _with(message, Stamped(delayed(payload.raw, domain, seconds), payload.to))


def as_stamped(message: Message) -> Message:
    """The same message, marked as stamped by us before."""
    payload = message.payload
    return _with(message, Stamped(payload.raw, payload.to, payload.tree))


def out_of_store(data: bytes, number: int) -> Message:
    """The message that was stored under this number, stamped and addressed."""
    message = Message.from_bytes(data)
    note_stored(message, number)
    return message


def note_stored(message: Message, number: int) -> None:
    """Note that a message is in the store under this number, whichever way it has come."""
    payload = message.payload
    stored = Stored(payload.raw, payload.to, payload.tree)
    stored.stays(payload)
    stored.kept = Kept(number, held=False)
    message.payload = stored


def returned(message: Message, stood: Stood) -> Message:
    """The same message, stamped, as a session gives it back."""
    payload = Returned(message.payload.raw, message.payload.to)
    payload.stood, payload.origin = stood, message.payload.origin
    return Message(message.to, message.sender, message.id, message.type, payload)


def as_unread(message: Message) -> Message:
    """The same message, as a session without stream management gives it back."""
    payload = message.payload
    if payload.__class__ is not Payload:
        return message
    return _with(message, Unread(payload.raw, payload.to))


def _with(message: Message, payload: Payload) -> Message:
    payload.stays(message.payload)
    return Message(message.to, message.sender, message.id, message.type, payload)
