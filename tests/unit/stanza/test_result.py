"""Results of an archive (XEP-0313)."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, Message
from xmppd.stanza.result import MAM, STANZA_ID, Results, is_result

JULIET = JID.parse("juliet@capulet.lit")
BALCONY = JID.parse("juliet@capulet.lit/balcony")
ID = b"0123456789abcdef0123456789abcdef"
KEPT = (
    b"<message from='romeo@montague.lit/orchard' to='juliet@capulet.lit' id='1'>"
    b"<body>Hi</body><y xmlns=''/><stanza-id xmlns='urn:xmpp:sid:0' by='room@x' id='7'/></message>"
)
NOON = 1_700_000_000_000_001


def made(kept: bytes = KEPT, query: str | None = None) -> Message:
    """A result with this message in it."""
    return Results(JULIET, BALCONY, query).result(kept, ID, NOON)


def inside(result: Message) -> ElementTree.Element:
    """The message in a result, as a client reads it."""
    tree = ElementTree.fromstring(b"<stream xmlns='jabber:client'>%b</stream>" % result.wire())
    (forwarded,) = tree[0][0]
    delay, message = forwarded
    assert delay.attrib == {"stamp": "2023-11-14T22:13:20.000001Z"}, delay.attrib
    return message


class ResultTests(SynchronousTestCase):
    """Results."""

    def test_envelope(self) -> None:
        """QU-11: A result comes from the archive to the resource that has asked, and repeats its
        word.
        """
        result = made(query="f'27")
        self.assertEqual((result.sender, result.to, result.type), (JULIET, BALCONY, None))
        tree = ElementTree.fromstring(result.wire())
        self.assertEqual(tree.attrib, {"from": JULIET.full, "to": BALCONY.full})
        self.assertEqual(tree[0].tag, f"{{{MAM}}}result")
        self.assertEqual(tree[0].attrib, {"queryid": "f'27", "id": ID.decode()})
        self.assertNotIn("queryid", made().payload.tree[0].attrib)

    def test_message(self) -> None:
        """The message in it is what was kept, with a namespace of its own."""
        message = inside(made())
        self.assertEqual(message.tag, "{jabber:client}message")
        self.assertEqual(message.attrib["from"], "romeo@montague.lit/orchard")
        self.assertEqual(message.findtext("{jabber:client}body"), "Hi")
        self.assertIsNotNone(message.find("y"))

    def test_one_id(self) -> None:
        """AR-23: It says its id once, and those of others stay."""
        ids = inside(made()).findall(f"{{{STANZA_ID}}}stanza-id")
        said = [(each.get("by"), each.get("id")) for each in ids]
        self.assertEqual(said, [("room@x", "7"), (JULIET.bare, ID.decode())])

    def test_empty(self) -> None:
        """A message with nothing in it has its id all the same."""
        message = inside(made(b"<message from='romeo@montague.lit/orchard' type='chat'/>"))
        self.assertEqual(len(message), 1)

    def test_no_message(self) -> None:
        """What is torn is no message."""
        for kept in (b"", b"<presence/>", KEPT[:-1], KEPT[1:]):
            self.assertRaises(ValueError, made, kept)

    def test_told(self) -> None:
        """A result is told from other messages, also when it was read back."""
        result = made()
        self.assertTrue(is_result(result))
        self.assertTrue(is_result(Message.from_bytes(result.wire())))
        self.assertFalse(is_result(Message.from_bytes(KEPT)))
        self.assertFalse(is_result(Message.make(JULIET, BALCONY)))
