"""Keys of dialback, and the elements that carry them."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.s2s.dialback import MAX_KEY_LENGTH, Dialback, DialbackKeys, answer, refusal, request
from xmppd.stanza import Condition, ns


def read(data: bytes) -> Dialback:
    """What an element says."""
    head = f"<s xmlns='{ns.SERVER}' xmlns:db='{ns.DIALBACK}'>"
    (tree,) = ElementTree.fromstring(b"%b%b</s>" % (head.encode(), data))
    return Dialback.read(tree)


class KeyTests(SynchronousTestCase):
    def test_as_specified(self) -> None:
        """The key of XEP-0185's example."""
        keys = DialbackKeys(b"s3cr3tf0rd14lb4ck")
        key = "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"
        self.assertEqual(keys.key("xmpp.example.com", "example.org", "D60000229F"), key)
        self.assertTrue(keys.is_ours(key, "xmpp.example.com", "example.org", "D60000229F"))

    def test_for_one_stream(self) -> None:
        """A key is for one stream between two domains, and of one installation."""
        keys = DialbackKeys(b"ours")
        key = keys.key("a.lit", "b.lit", "1")
        for receiving, originating, stream in (
            ("b.lit", "a.lit", "1"), ("a.lit", "b.lit", "2"), ("a.lit", "c.lit", "1"),
        ):  # fmt: skip
            self.assertFalse(keys.is_ours(key, receiving, originating, stream))
        self.assertFalse(DialbackKeys(b"theirs").is_ours(key, "a.lit", "b.lit", "1"))
        self.assertFalse(keys.is_ours("schlüssel", "a.lit", "b.lit", "1"))


class ElementTests(SynchronousTestCase):
    def test_request(self) -> None:
        """What is asked is read as it was meant, whatever is in it."""
        said = read(request("verify", "bücher.example", "b.lit", "a<b", id="'>"))
        self.assertEqual(said, Dialback("bücher.example", "b.lit", "'>", "", "a<b"))

    def test_answers(self) -> None:
        """Valid, invalid, or why that cannot be said."""
        self.assertEqual(read(answer("result", "a.lit", "b.lit", valid=True)).type, "valid")
        self.assertEqual(
            read(answer("verify", "a.lit", "b.lit", id="1", valid=False)).type, "invalid"
        )
        said = read(refusal("result", "a.lit", "b.lit", Condition.FORBIDDEN))
        self.assertEqual((said.type, said.text), ("error", "forbidden"))
        bare = read(b"<db:result from='a.lit' to='b.lit' type='error'/>")
        self.assertEqual((bare.type, bare.text), ("error", ""))

    def test_domains_are_prepared(self) -> None:
        """However a domain is written, it is one; and what is none is refused."""
        said = read(b"<db:result from='XN--BCHER-KVA.example' to='B.lit.'> key\n</db:result>")
        self.assertEqual((said.sender, said.to, said.text), ("bücher.example", "b.lit", "key"))
        for addresses in (b"", b"from='a.lit'", b"from='a..lit' to='b.lit'", b"from='' to='b'"):
            self.assertRaises(ValueError, read, b"<db:result %b/>" % addresses)

    def test_long_key(self) -> None:
        """Of a key so much is passed on, and no more."""
        said = read(request("result", "a.lit", "b.lit", "x" * 5_000))
        self.assertEqual(len(said.text), MAX_KEY_LENGTH)
