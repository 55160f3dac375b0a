"""XEP-0199: XMPP Ping. Are you there?"""

from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
from xmppd.server import XMPPServer
from xmppd.stanza import IQ, ns, qname


@dataclass(frozen=True)
class IQPingHandler(IQHandler):
    """Answer for the server (§4.2), and for an account."""

    query = qname(ns.PING, "ping")
    features = (ns.PING,)

    def on_get(self, iq: IQ) -> None:
        """Yes."""


def plug(server: XMPPServer) -> list[IQHandler]:
    """What this feature is made of."""
    return [IQPingHandler()]
