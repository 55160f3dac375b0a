"""Exchanges: the facts of a connection that a SASL mechanism may know."""

from xmppd.auth.base import Exchange
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.stream.stream_feature import Negotiation


def exchange_of(negotiation: Negotiation) -> Exchange:
    """The exchange of a stream, as a SASL mechanism may know it."""
    wire = negotiation.session.connection
    if not isinstance(wire, ConnectionHandler):
        return Exchange(negotiation.domain, wire.address, wire.encrypted)
    return Exchange(
        negotiation.domain,
        wire.address,
        wire.encrypted,
        bindings=wire.channel_bindings(),
        certificate_addresses=wire.certificate_addresses(),
    )
