"""XEP-0199: XMPP Ping. Are you there?"""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, ns, qname


@dataclass(frozen=True)
class IQPingHandler(IQHandler):
    """Answer for the server (§4.2), and for an account to those who may see its presence."""

    query = qname(ns.PING, "ping")
    to = To.SERVER | To.SERVICES | To.OWN_ACCOUNT | To.ACCOUNTS_SEEN
    features = (ns.PING,)

    def on_get(self, iq: IQ, asked: Asked) -> None:
        """Yes."""


def plug() -> list[Part]:
    """The parts of this feature."""
    return [IQPingHandler()]
