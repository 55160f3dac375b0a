"""TCPFraming."""

from tests.unit.stream import framing_contract
from tests.unit.stream.stream_cases import CASES
from xmppd.stanza import ns
from xmppd.stream.framing import StreamHeader
from xmppd.stream.tcp_framing import TCP


class TCPFramingTests(framing_contract.FramingContract):
    """One document, whose elements stand one behind the other."""

    framing = TCP
    cases = CASES

    def test_header_declares(self) -> None:
        """A header declares the content's namespace, that of streams, and what else it is given."""
        header = StreamHeader(namespace=ns.SERVER, sender="a.lit", prefixes={"db": ns.DIALBACK})
        self.assertEqual(
            TCP.header(header),
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' "
            b"xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback' "
            b"from='a.lit' version='1.0'>",
        )
