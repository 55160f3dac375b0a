"""Messages are searched by their words, if the administrator wants that (XEP-0431, QU-18)."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.archive.archives import JULIET, chat
from tests.plugins.archive.queries import Answer, QueryCase, fields, page
from xmppd.config.config import Config
from xmppd.testing.client import done
from xmppd.testing.house import house_config
from xmppd_plugins.archive.query_form import MAX_SOUGHT
from xmppd_plugins.archive.tables import MARKS
from xmppd_plugins.archive.word_index import WORDS_TO
from xmppd_plugins.archive.words import MAX_WORDS, words_in, words_of

FIELD = "{urn:xmpp:fulltext:0}fulltext"
OMEMO = "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>eA==</payload></encrypted>"


class WordTests(SynchronousTestCase):
    def test_words(self) -> None:
        """Words are the same whatever their case and accents; each counts once."""
        self.assertEqual(words_in("Où est-il, où? Straße STRASSE"), ["ou", "est", "il", "strasse"])
        text = "Ромео и Юлия; 羅密歐 42nd_st"
        self.assertEqual(words_in(text), ["ромео", "и", "юлия", "羅密歐", "42nd", "st"])
        self.assertEqual(words_in('\'; DROP TABLE "x" & | ! ( ) *'), ["drop", "table", "x"])
        self.assertEqual(words_in(" \N{THUMBS UP SIGN} ... "), [])
        self.assertEqual(words_in("x" * 500), ["x" * 64])

    def test_messages(self) -> None:
        """A message has the words of its text; not of what is encrypted, or torn."""
        self.assertEqual(words_of(b"<message><body>Ay me</body><subject>No</subject></message>"),
                         ["ay", "me"])  # fmt: skip
        encrypted = f"<message><body>I sent you</body>{OMEMO}</message>"
        self.assertEqual(words_of(encrypted.encode()), [])
        for stanza in (b"", b"<message><body>Ay", b"<message/>", b"<message><body/></message>"):
            self.assertEqual(words_of(stanza), [])
        many = " ".join(f"w{n}" for n in range(2 * MAX_WORDS))
        self.assertEqual(
            len(words_of(f"<message><body>{many}</body></message>".encode())), MAX_WORDS
        )


class SearchTests(QueryCase):
    """On the wire."""

    def config(self, **tables: object) -> Config:
        return house_config("montague.lit", archive={"full_text": True})

    def setUp(self) -> None:
        super().setUp()
        self.say("Good night, good night!", "Parting is such", "sweet sorrow", "Góod")
        self.say("good nurse", to="nurse@montague.lit")

    def search(self, text: str, *more: tuple[str, str], asked: str = "") -> Answer:
        """What is found."""
        return self.ask(fields((FIELD, text), *more), asked)

    def test_found(self) -> None:
        """All of the words are in what is found, in order of time."""
        self.assertEqual(
            self.search("GOOD").said, ["Good night, good night!", "Góod", "good nurse"]
        )
        self.assertEqual(self.search("night good").said, ["Good night, good night!"])
        self.assertEqual(self.search("goo").said, [])
        self.assertEqual(self.search("good sorrow").said, [])

    def test_with_others(self) -> None:
        """It goes together with filters and pages."""
        found = self.search("good", ("with", JULIET)).said
        self.assertEqual(found, ["Good night, good night!", "Góod"])
        answer = self.search("good", asked=page("<before/>", max=2))
        self.assertEqual((answer.said, answer.complete), (["Góod", "good nurse"], False))
        self.assertEqual(self.search("good", asked=page(max=0)).total, "3")
        ids = self.ask().ids[:2]
        answer = self.ask(fields((FIELD, "good"), ("ids", ids)))
        self.assertEqual(answer.said, ["Good night, good night!"])

    def test_encrypted(self) -> None:
        """What is encrypted is not found by what stands beside it."""
        self.romeo.send(chat(JULIET, "I sent you something encrypted", OMEMO))
        self.assertEqual(self.search("encrypted").said, [])

    def test_indexed(self) -> None:
        """It is the same when it was indexed, by itself after a while."""
        self.write()
        self.index()
        for _ in range(12):
            self.house.clock.advance(60)
        (self.romeo,) = self.house.connect("romeo/2")  # the others have not answered for too long
        self.say("good bye")
        marks = dict(done(self.archive.database.read(MARKS, {})))
        self.assertGreater(int(marks[WORDS_TO]), 0)
        found = ["Good night, good night!", "Góod", "good nurse", "good bye"]
        self.assertEqual(self.search("good").said, found)

    def test_refused(self) -> None:
        """A search without any word, or with too many, is refused."""
        answer = self.search("...")
        self.assertEqual((answer.error, FIELD in answer.text), ("bad-request", True))
        many = " ".join(f"w{n}" for n in range(MAX_SOUGHT + 1))
        self.assertEqual(self.search(many).error, "not-acceptable")
        self.assertEqual(self.search(many.partition(" ")[2]).said, [])
        self.assertEqual(self.search("").said, self.ask().said)

    def test_told(self) -> None:
        """The field is in the form, and the account says that it can be searched."""
        self.romeo.raw()
        self.romeo.send("<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>")
        form = ElementTree.fromstring(self.romeo.received()[0])
        names = [each.get("var") for each in form.iter("{jabber:x:data}field")]
        self.assertIn(FIELD, names)
        disco = "http://jabber.org/protocol/disco#info"
        self.romeo.send(f"<iq type='get' id='d' to='{self.romeo.session.jid.bare}'>"
                        f"<query xmlns='{disco}'/></iq>")  # fmt: skip
        self.assertIn("urn:xmpp:fulltext:0", self.romeo.received()[0])
