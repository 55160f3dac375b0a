"""The capabilities of the server: hashes in the stream features save clients asking for them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from xmppd.disco.disco import Disco
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.plugin.plugin_manager import PluginsChanged
from xmppd.stanza import JID
from xmppd.stream.stream_feature import Negotiation

from .verification import CAPS_2, hash_2, verification_string

NS = "http://jabber.org/protocol/caps"
NODE = "urn:xmppd"
HASHES_2 = ("sha-256", "sha3-256")
"""Those that :xep:`0300` wants everybody to know."""


class Hashed(NamedTuple):
    """The capabilities of a domain.

    Attributes:
        info: What it says of itself.
        ver: The hash of :xep:`0115`.
        hashes: Those of :xep:`0390`, by algorithm.
        features: The stream features that tell both.
    """

    info: DiscoInfo
    ver: str
    hashes: dict[str, str]
    features: bytes

    def is_named(self, node: str) -> bool:
        """Whether a node is that of one of the hashes."""
        named = [f"{CAPS_2}#{hash}.{value}" for hash, value in self.hashes.items()]
        return node in (f"{NODE}#{self.ver}", *named)


@dataclass
class ServerCapabilities:
    """The disco#info of each domain, kept together with its hashes. It is made once after each
    change of plugins, so that the node of a hash is answered with what was hashed.
    """

    disco: Disco
    _known: dict[str, Hashed] = field(default_factory=dict)  # by domain of ours

    def of(self, domain: str) -> Hashed:
        """The capabilities of a domain."""
        if domain not in self._known:
            server = JID.parse(domain)
            info = self.disco.server(DiscoQuestion(server, server))
            hashes = {hash: hash_2(info, hash) for hash in HASHES_2}
            ver = verification_string(info)
            self._known[domain] = Hashed(info, ver, hashes, _features(ver, hashes))
        return self._known[domain]

    def forget(self, event: PluginsChanged) -> None:
        """Forget all hashes, since the server's features have changed."""
        self._known.clear()

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The stream features: that of :xep:`0115` (§6.3), and that of :xep:`0390`."""
        return self.of(negotiation.domain).features

    def say(self, question: DiscoQuestion) -> DiscoInfo | None:
        """Answer the node of a hash with what was hashed (§6.2); it has no items."""
        known = self.of(question.entity.domain)
        return replace(known.info, items=()) if known.is_named(question.node) else None


def _features(ver: str, hashes: Mapping[str, str]) -> bytes:
    listed = "".join(
        f"<hash xmlns='urn:xmpp:hashes:2' algo='{hash}'>{value}</hash>"
        for hash, value in hashes.items()
    )
    first = f"<c xmlns='{NS}' hash='sha-1' node='{NODE}' ver='{ver}'/>"
    return f"{first}<c xmlns='{CAPS_2}'>{listed}</c>".encode()


__all__ = ["NODE", "NS", "ServerCapabilities"]
