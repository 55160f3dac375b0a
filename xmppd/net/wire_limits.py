"""WireLimits: the limits of one connection."""

from dataclasses import dataclass

from xmppd.config.config import StreamSettings
from xmppd.stream.stream_parser import ParserLimits

WRAPPED_DEPTH = 16
"""Levels that others may have put around what their users said."""


@dataclass(frozen=True)
class WireLimits:
    """The limits of one connection.

    Attributes:
        unauthenticated: For the parser, until the peer has authenticated.
        authenticated: For the parser, from then on.
        stanzas_per_s: Steady rate; 0 for none.
        stanzas_burst: The number that may come at once.
        bytes_per_s: Steady rate; 0 for none.
        bytes_burst: The number that may come at once.
        close_timeout_s: The time that the peer may take to close its side.
        max_queued_bytes: The limit of what may wait for a peer that reads slowly.
    """

    unauthenticated: ParserLimits
    authenticated: ParserLimits
    stanzas_per_s: float
    stanzas_burst: float
    bytes_per_s: float
    bytes_burst: float
    close_timeout_s: float
    max_queued_bytes: int


def wire_limits(settings: StreamSettings, *, passes_on: bool = False) -> WireLimits:
    """The limits of a connection.

    Args:
        settings: As configured.
        passes_on: Whether the peer passes on stanzas of others. It then adds addresses, writes
            anew, and puts one stanza inside of another; no stanza that its users may send shall end
            a stream that many use.
    """
    authenticated = ParserLimits(
        max_stanza_bytes=settings.max_stanza_bytes,
        max_depth=settings.max_depth,
        max_attributes=settings.max_attributes,
    )
    if passes_on:
        authenticated = ParserLimits(
            max_stanza_bytes=2 * settings.max_stanza_bytes,
            max_depth=settings.max_depth + WRAPPED_DEPTH,
            max_attributes=2 * settings.max_attributes,
        )
    return WireLimits(
        unauthenticated=ParserLimits(
            max_stanza_bytes=settings.max_preauth_stanza_bytes,
            max_depth=settings.max_depth,
            max_attributes=settings.max_attributes,
        ),
        authenticated=authenticated,
        stanzas_per_s=settings.stanzas_per_s,
        stanzas_burst=settings.stanzas_burst,
        bytes_per_s=settings.bytes_per_s,
        bytes_burst=settings.bytes_burst,
        close_timeout_s=settings.close_timeout_s,
        max_queued_bytes=settings.max_queued_bytes,
    )
