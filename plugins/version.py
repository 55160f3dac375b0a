"""XEP-0092: Software Version. The server's name and version; the operating system is not told."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.host.version import version
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, Element, child, element, qname

NS = "jabber:iq:version"
NAME = "xmppd"


@dataclass(frozen=True)
class IQVersionHandler(IQHandler):
    """Say the server's name and version; accounts have none."""

    version: str

    query = qname(NS, "query")
    features = (NS,)

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        answer = element(NS, "query")
        child(answer, "name", NAME)
        child(answer, "version", self.version)
        return answer


def plug() -> list[Part]:
    """The parts of this feature."""
    return [IQVersionHandler(version())]
