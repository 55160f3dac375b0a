"""Logins in the order of real clients: everything that was said comes once, by its id (OA-6)."""

from unittest.mock import patch
from xml.etree import ElementTree

from twisted.internet.defer import Deferred

from tests.plugins.archive.archives import JULIET, chat
from tests.plugins.archive.queries import QueryCase, after, fields, page, query, read_answer
from tests.unit.login.logins import BIND, HEADER, Answer, authenticate, plain
from xmppd.login.bind2 import NS as BIND2
from xmppd.stanza.result import MAM
from xmppd.store.rosters import RosterData, RosterStore
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD
from xmppd_plugins.archive.entries import ALL

METADATA = f"{{{MAM}}}metadata"


class Reader:
    """A client that keeps what it reads, by id.

    Attributes:
        client: Its connection.
        read: The texts by id.
        doubles: How often something came that it had already.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.read: dict[str, str] = {}
        self.doubles = 0

    def take(self, stanzas: list[str]) -> list[str]:
        """Take what came, live or in results."""
        for each in map(ElementTree.fromstring, stanzas):
            for message in (each, *each.iter("{jabber:client}message")):
                id = message.find("{urn:xmpp:sid:0}stanza-id")
                body = message.findtext("{jabber:client}body") or message.findtext("body")
                if id is not None and body is not None:
                    name = id.attrib["id"]
                    self.doubles += name in self.read
                    self.read[name] = body
        return stanzas

    @property
    def said(self) -> str:
        """All that it has read, as one word."""
        return "".join(sorted(self.read.values()))


class LoginOrderTests(QueryCase):
    """OA-4 and OA-6."""

    def setUp(self) -> None:
        super().setUp()
        done(self.house.server.passwords.set_password(JULIET, PASSWORD))
        self.say("a", "b")
        self.juliet.send("<presence type='unavailable'/></stream:stream>")
        self.say("c", "d")
        self.write()

    def waiting(self) -> int:
        """The number of messages that wait for Juliet."""
        return len(done(self.house.store.offline.offline_messages(JULIET)))

    def bound(self) -> Reader:
        """A client with a resource."""
        return Reader(self.house.bind("juliet", "2"))

    def presence(self, reader: Reader) -> None:
        """It becomes available, and answers what it is asked."""
        reader.client.send("<presence/>")
        came = reader.take(reader.client.received())
        for each in map(ElementTree.fromstring, came):
            if each.get("type") == "get":
                reader.client.send(f"<iq type='result' id='{each.get('id')}'/>")

    def query(self, reader: Reader, *parts: str) -> None:
        """It reads the archive, page by page."""
        place = page(max=2)
        while True:
            reader.client.send(query(*parts, place))
            answer = read_answer(reader.take(self.until_answered(reader.client)))
            if answer.complete:
                return
            place = page(after(answer.last), max=2)

    def test_query_then_presence(self) -> None:
        """OA-4: bind, query, presence: what was read in the archive is not sent again."""
        reader = self.bound()
        self.query(reader)
        self.presence(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcd", 0))
        self.assertEqual(self.waiting(), 0)

    def test_metadata_then_presence(self) -> None:
        """OA-4: So it is for whoever asks what there is, and reads it later."""
        reader = self.bound()
        reader.client.send("<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>")
        self.presence(reader)
        self.assertEqual(reader.said, "")
        self.query(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcd", 0))

    def test_presence_then_query(self) -> None:
        """OA-6: bind, presence, query, as Dino, Gajim and bots do: what waited is sent at once, and
        known again by its id.
        """
        reader = self.bound()
        self.presence(reader)
        self.assertEqual((reader.said, reader.doubles), ("cd", 0))
        self.query(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcd", 2))
        self.assertEqual(self.waiting(), 0)

    def test_in_between(self) -> None:
        """What comes between query and presence waits, and is sent."""
        reader = self.bound()
        self.query(reader)
        self.say("e")
        self.presence(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcde", 0))

    def test_one_conversation(self) -> None:
        """Who reads one conversation only is sent what waits."""
        reader = self.bound()
        self.query(reader, fields(("with", "mercutio@montague.lit")))
        self.presence(reader)
        self.assertEqual(reader.said, "cd")

    def test_never_available(self) -> None:
        """OA-5: what one client has read in the archive is not sent to the account's next one, even
        if the first has never become available.
        """
        reader = self.bound()
        self.query(reader)
        reader.client.send("</stream:stream>")
        self.say("e")
        old = self.bound()
        self.presence(old)
        self.assertEqual(old.said, "e")

    def test_not_archived(self) -> None:
        """OA-4: What is in no archive is sent to everybody."""
        hint = "<no-permanent-store xmlns='urn:xmpp:hints'/>"
        self.romeo.send(chat(JULIET, "secret", hint))
        reader = self.bound()
        self.query(reader)
        reader.client.send("<presence/>")
        came = "".join(reader.client.received())
        self.assertIn("secret", came)
        self.assertNotIn("<body>c</body>", came)

    def test_forged(self) -> None:
        """What its sender has made look as if it were in the archive waits all the same."""
        known = done(self.archive.entries.last(JULIET))
        assert known is not None
        id = self.archive.id_of(JULIET, known.position)
        forged = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{JULIET}' id='{id}'/>"
        hint = "<no-permanent-store xmlns='urn:xmpp:hints'/>"
        nested = f"<x xmlns='urn:x'>{forged}</x>"
        self.romeo.send(chat(JULIET, "forged", hint, forged))
        self.romeo.send(chat(JULIET, "nested", hint, nested))
        reader = self.bound()
        self.query(reader)
        reader.client.send("<presence/>")
        came = "".join(reader.client.received())
        self.assertIn("forged", came)
        self.assertIn("nested", came)

    def test_resumed(self) -> None:
        """A client that resumes gets what it has missed, once, without asking."""
        (juliet,) = self.house.connect("juliet/phone")
        juliet.raw()
        reader = Reader(juliet)
        id = juliet.enable()
        self.say("e", "f")
        reader.take(juliet.received())
        juliet.abort()
        self.say("g")
        again = self.house.logged_in("juliet")
        reader.client = again
        reader.take(again.resume(id, 2))
        self.assertEqual((reader.said, reader.doubles), ("efg", 0))
        reader.read.clear()
        self.query(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcdefg", 0))

    # -- Bind 2 -----------------------------------------------------------------------------------

    def log_in(self, name: str = "juliet") -> tuple[Reader, Answer]:
        """A client that logs in by SASL2 and Bind 2."""
        client = self.house.unauthenticated()
        client.send(HEADER + authenticate(plain(name), BIND))
        return Reader(client), Answer(client.raw())

    def metadata(self, answer: Answer) -> ElementTree.Element:
        """What a login says of the archive."""
        found = answer["success"].find(f"{{{BIND2}}}bound/{METADATA}")
        assert found is not None
        return found

    def test_bind2(self) -> None:
        """QU-17, OA-4: Whoever binds by Bind 2 is told what is in the archive, and nothing of that
        is sent.
        """
        reader, answer = self.log_in()
        last = done(self.archive.entries.last(JULIET))
        assert last is not None
        ends = {each.tag.rpartition("}")[2]: each.get("id") for each in self.metadata(answer)}
        self.assertEqual(set(ends), {"start", "end"})
        self.assertEqual(ends["end"], self.archive.id_of(JULIET, last.position))
        self.presence(reader)
        self.assertEqual(reader.said, "")
        self.query(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcd", 0))
        self.assertEqual(self.waiting(), 0)

    def test_bind2_later(self) -> None:
        """What comes behind the binding is not in the metadata, and is sent."""
        reader, _ = self.log_in()
        self.say("e")
        self.presence(reader)
        self.assertEqual(reader.said, "e")
        self.query(reader)
        self.assertEqual((reader.said, reader.doubles), ("abcde", 1))

    def test_moment(self) -> None:
        """QU-17: What comes while the account is read for the binding is in the metadata."""
        for name, before in (("mercutio", []), ("tybalt", ["before"])):
            account = f"{name}@montague.lit"
            done(self.house.server.passwords.create(account, PASSWORD))
            self.say(*before, to=account)
            roster = Deferred[RosterData]()
            with patch.object(RosterStore, "roster", lambda _, account, to=roster: to):
                client = self.house.unauthenticated()
                client.send(HEADER + authenticate(plain(name), BIND))
                self.assertNotIn(b"<success", client.raw())
                self.say("e", "f", to=account)
                roster.callback(RosterData(0, ()))
            entries = done(self.archive.entries.page(account, ALL, 10))
            ends = [self.archive.id_of(account, entries[n].position) for n in (0, -1)]
            told = self.metadata(Answer(client.raw()))
            self.assertEqual([each.get("id") for each in told], ends)
            client.abort()
        archive_only = self.house.server.followers.of_all
        assert archive_only is not None
        for name in ("mercutio", "tybalt"):  # nobody follows them any more
            found = self.house.server.followers.of.get(f"{name}@montague.lit", archive_only)
            self.assertEqual(found, archive_only)

    def test_kept_out(self) -> None:
        """QU-17: What the account keeps out of its archive meanwhile is not in the metadata, though
        its sender's archive has it.
        """
        account = self.house.jid("mercutio")
        done(self.house.server.passwords.create(account.bare, PASSWORD))
        self.archive.vetoes.append(lambda course: course.account == account.bare)
        roster = Deferred[RosterData]()
        with patch.object(RosterStore, "roster", lambda _, account: roster):
            client = self.house.unauthenticated()
            client.send(HEADER + authenticate(plain("mercutio"), BIND))
            self.say("e", to=account.bare)
            roster.callback(RosterData(0, ()))
        self.assertEqual(len(self.metadata(Answer(client.raw()))), 0)

    def test_empty(self) -> None:
        """Of an empty archive Bind 2 says that it is empty."""
        done(self.house.server.passwords.create("mercutio@montague.lit", PASSWORD))
        _, answer = self.log_in("mercutio")
        self.assertEqual(len(self.metadata(answer)), 0)
