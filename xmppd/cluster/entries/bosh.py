"""Entries of BOSH: requests that came to a node which has not their session."""

from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import BusEntry

MAX_BODY_BYTES = 1_048_576
"""The largest body that is passed on."""


class BoshAsked(BusEntry, tag="ba", frozen=True):
    """A request for a session of the other node; what it is answered is :class:`BoshAnswered`,
    which comes when there is something to say.

    Attributes:
        number: Names it in what follows.
        data: Its body.
        address: Of whoever asks.
        encrypted: Whether it came by TLS.
    """

    number: int
    data: Annotated[bytes, Meta(max_length=MAX_BODY_BYTES)]
    address: str
    encrypted: bool


class BoshAnswered(BusEntry, tag="bb", frozen=True):
    """The answer to a request.

    Attributes:
        number: Of the request.
        data: Its body.
    """

    number: int
    data: bytes


class BoshGone(BusEntry, tag="bg", frozen=True):
    """Nobody waits for the answer to a request any more."""

    number: int


__all__ = ["MAX_BODY_BYTES", "BoshAnswered", "BoshAsked", "BoshGone"]
