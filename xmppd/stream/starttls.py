"""STARTTLS (:rfc:`6120#section-5`)."""

from xmppd.stanza import Tree, ns, qname
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature


def starttls_feature(*, required: bool) -> StreamFeature:
    """The feature; the stream says that nothing else goes before it, where TLS is required."""
    inner = "<required/>" if required else ""
    offer = f"<starttls xmlns='{ns.TLS}'>{inner}</starttls>".encode()

    def start(negotiation: Negotiation, tree: Tree) -> None:
        negotiation.start_tls()

    return StreamFeature(
        advertise=offer,
        unless=Stream.SECURE | Stream.WITHOUT_TLS | Stream.AUTHENTICATED,
        elements=((qname(ns.TLS, "starttls"), start),),
    )
