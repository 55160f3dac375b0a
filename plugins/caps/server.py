"""The capabilities of the server: a hash in the stream features saves clients asking for them."""

from dataclasses import dataclass, field, replace

from xmppd.disco.disco import Disco
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.plugin.plugin_manager import PluginsChanged
from xmppd.stanza import JID
from xmppd.stream.stream_feature import Negotiation

from .verification import verification_string

NS = "http://jabber.org/protocol/caps"
NODE = "urn:xmppd"


@dataclass
class ServerCapabilities:
    """The disco#info of each domain, kept together with its hash. It is made once after each change
    of plugins, so that the node of a hash is answered with what was hashed.
    """

    disco: Disco
    _known: dict[str, tuple[str, DiscoInfo]] = field(default_factory=dict)  # by domain of ours

    def of(self, domain: str) -> tuple[str, DiscoInfo]:
        """The hash of a domain's capabilities, and these."""
        if domain not in self._known:
            server = JID.parse(domain)
            info = self.disco.server(DiscoQuestion(server, server))
            self._known[domain] = verification_string(info), info
        return self._known[domain]

    def forget(self, event: PluginsChanged) -> None:
        """Forget all hashes, since the server's features have changed."""
        self._known.clear()

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The stream feature (§6.3)."""
        ver, _ = self.of(negotiation.domain)
        return f"<c xmlns='{NS}' hash='sha-1' node='{NODE}' ver='{ver}'/>".encode()

    def say(self, question: DiscoQuestion) -> DiscoInfo | None:
        """Answer the node of a hash with what was hashed (§6.2); it has no items."""
        ver, info = self.of(question.entity.domain)
        return replace(info, items=()) if question.node == f"{NODE}#{ver}" else None


__all__ = ["NODE", "NS", "ServerCapabilities"]
