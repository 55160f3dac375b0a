"""What other nodes send is checked as it is unpacked."""

from typing import Any

from msgspec import ValidationError
from msgspec.msgpack import Decoder, Encoder
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.entries.entry import MAX_ACCOUNTS, Accounts, BusEntry, JIDText, OurJIDText
from xmppd.cluster.entries.presence import Arrived, Here, SentPresence, Telling
from xmppd.cluster.entries.stanzas import Delivered, Routed
from xmppd.cluster.entry_decoder import BadEntry, EntryDecoder, addresses
from xmppd.stanza.jid import MAX_ADDRESS_BYTES

JULIET = "juliet@montague.lit/balcony"
ROMEO = "romeo@montague.lit/orchard"
packed = Encoder().encode


class Several(BusEntry, tag="several", frozen=True):
    """An entry with addresses in each way in which there may be some."""

    sender: OurJIDText
    to: list[JIDText]
    perhaps: JIDText | None = None
    told: Accounts = []
    name: str = ""


class EntryDecoderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.decoder = EntryDecoder(["montague.lit", "capulet.lit"])

    def assert_refused(self, why: str, *fields: Any) -> None:
        """Such an entry is refused (CL-81)."""
        with self.assertRaisesRegex(BadEntry, why):
            self.decoder.decode(packed([fields]))

    def routed(self, *, to: str = JULIET, sender: str = ROMEO, kind: Any = 0) -> tuple[Any, ...]:
        """A stanza on its way."""
        return "m", kind, to, sender, "1", None, b"<message/>", 0, 0, 0, 0, 0, "a.1/7"

    def test_round(self) -> None:
        """What is packed is unpacked."""
        entries = [
            Routed(0, JULIET, ROMEO, "1", "chat", b"<message/>"),
            Delivered(JULIET, 1, "friar@laurence.lit/cell", None, None, b"<presence/>"),
        ]
        self.assertEqual(self.decoder.decode(packed(entries)), entries)

    def test_no_address(self) -> None:
        """A name that is no JID is refused."""
        for name in ("", "@montague.lit", "juliet@montague.lit/", "a@b\n", "a\x00b@c"):
            self.assert_refused("is not an address", *self.routed(to=name))
            self.assert_refused("is not an address", *self.routed(sender=name))

    def test_long_address(self) -> None:
        """So is one that is longer than a JID can be."""
        longest = f"{'a' * 1023}@{'b' * 1023}/{'c' * 1023}"
        self.assertEqual(len(longest), MAX_ADDRESS_BYTES)
        self.decoder.decode(packed([self.routed(sender=longest)]))
        self.assert_refused("length <= 3071", *self.routed(sender=longest + "c"))

    def test_not_ours(self) -> None:
        """A session is of a domain that is served here."""
        for session in ("juliet@capulet.lit/1", JULIET):
            self.decoder.decode(packed([("d", session, 0, ROMEO, None, None, b"")]))
        self.assert_refused(
            "this server does not serve verona.lit",
            "d",
            "juliet@verona.lit/1",
            0,
            ROMEO,
            None,
            None,
            b"",
        )

    def test_kind(self) -> None:
        """There are three kinds of stanzas."""
        self.assert_refused("int", *self.routed(kind=3))
        self.assert_refused("int", *self.routed(kind=-1))
        self.assert_refused("Expected `int`", *self.routed(kind="0"))

    def test_newer(self) -> None:
        """An entry of a kind, or with a field, that only a newer node knows is refused."""
        self.assert_refused("Invalid value 'newer'", "newer", 1)
        self.assert_refused("at most length 12", *self.routed(), "more")

    def test_older(self) -> None:
        """One that lacks the last fields, as an older node sends it, has their defaults."""
        (entry,) = self.decoder.decode(packed([self.routed()[:7]]))
        self.assertEqual(entry, Routed(0, JULIET, ROMEO, "1", None, b"<message/>"))

    def test_questions(self) -> None:
        """What is asked is checked like what is told, and is no question itself."""
        self.assert_refused("is not an address", "?", 1, self.routed(to=""))
        self.assert_refused("is not an address", "!", 1, self.routed(to=""), "")
        self.assert_refused("a question about a question", "?", 1, ("?", 2, self.routed()))
        self.decoder.decode(packed([("!", 1, None, "no")]))

    def test_garbage(self) -> None:
        """What is no MessagePack, or very deep, is refused as well."""
        for data in (b"", b"\xc1", b"\x91" * 5_000, b"\x91" + b"\x93\xa1?\x01" * 5_000):
            with self.assertRaises(BadEntry):
                self.decoder.decode(data)

    def test_short_sentence(self) -> None:
        """The sentence about it does not quote more than a line of it."""
        with self.assertRaises(BadEntry) as raised:
            self.decoder.decode(packed([("x" * 10_000,)]))
        self.assertLessEqual(len(str(raised.exception)), 200)

    def test_fields(self) -> None:
        """The fields that are addresses are found by their types."""
        self.assertEqual(addresses(Several), (("sender", True), ("to", False), ("perhaps", False)))
        check = self.decoder.check
        check(Several(ROMEO, [JULIET, "verona.lit"], None, ["", "nobody"]))
        for wrong in (
            Several("romeo@verona.lit/1", []),
            Several(ROMEO, [JULIET, ""]),
            Several(ROMEO, [], "@"),
        ):
            with self.assertRaises(ValueError):
                check(wrong)

    def test_parts(self) -> None:
        """What an entry is made of is checked as well."""
        sent = SentPresence(ROMEO, 1, 1, None, None, b"<presence/>")
        nobody = SentPresence("", 1, 1, None, None, b"<presence/>")
        check = self.decoder.check
        check(Telling(sent, []))
        check(Arrived(ROMEO, 1, None, [], [], []))
        for wrong in (Telling(nobody, []), Here([sent, nobody], [])):
            with self.assertRaises(ValueError):
                check(wrong)

    def test_list(self) -> None:
        """A list of accounts has its limit."""
        decode = Decoder(Several).decode
        decode(packed(Several(ROMEO, [], None, ["a"] * MAX_ACCOUNTS)))
        with self.assertRaisesRegex(ValidationError, "length <= 10000"):
            decode(packed(Several(ROMEO, [], None, ["a"] * (MAX_ACCOUNTS + 1))))
