"""Delayed delivery (:xep:`0203`): a message that waited says when it came."""

from xmppd.stanza import ns
from xmppd.stanza.date_time import date_time
from xmppd.stanza.stanza import Message, Payload

_END = b"</message>"


class Stamped(Payload):
    """The payload of a message that we have stamped: it says when it came, and says it once."""

    __slots__ = ()


class Stored(Stamped):
    """The payload of a message that came out of the store, where it still is.

    Attributes:
        number: What the store calls it.
    """

    __slots__ = ("number",)
    number: int


def delayed(wire: bytes, domain: str, seconds: float) -> bytes:
    """The message, stamped with when it came to the server of this domain.

    Args:
        wire: A message. One without any content is left as it is: it says nothing that is late.
        domain: Who held it up.
        seconds: Since 1970.
    """
    if not wire.endswith(_END):
        return wire
    delay = f"<delay xmlns='{ns.DELAY}' from='{domain}' stamp='{date_time(seconds)}'/>"
    return b"%b%b%b" % (wire[: -len(_END)], delay.encode(), _END)


def stamped(message: Message, domain: str, seconds: float) -> Message:
    """The same message, stamped unless it is already; what its sender says of delays is its own."""
    payload = message.payload
    if isinstance(payload, Stamped):
        return message
    return _with(message, Stamped(delayed(payload.raw, domain, seconds), payload.to))


def as_stamped(message: Message) -> Message:
    """The same message, that we have stamped before."""
    payload = message.payload
    return _with(message, Stamped(payload.raw, payload.to, payload.tree))


def out_of_store(data: bytes, number: int) -> Message:
    """A message as it was stored under this number, stamped and addressed."""
    message = Message.from_bytes(data)
    payload = message.payload
    stored = Stored(payload.raw, payload.to, payload.tree)
    stored.number = number
    return _with(message, stored)


def _with(message: Message, payload: Payload) -> Message:
    payload.copied_for = message.payload.copied_for
    return Message(message.to, message.sender, message.id, message.type, payload)
