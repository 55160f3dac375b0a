"""Tests of queries of a room's archive."""

from tests.plugins.archive.queries import after, fields, page
from tests.plugins.muc.halls import ORCHARD
from tests.plugins.room_archive.orchards import OrchardCase, ids
from xmppd.testing.client import Client

DISCO = "http://jabber.org/protocol/disco#info"
JIDS = "jid='romeo@montague.lit/1'"


class QueryTests(OrchardCase):
    def talk(self, **config: str) -> list[Client]:
        """Romeo and Juliet have talked."""
        romeo, juliet = self.kept("juliet", **config)
        for client, word in ((romeo, "one"), (juliet, "two"), (romeo, "three")):
            self.say(client, word)
            self.house.clock.advance(1)
        return [romeo, juliet]

    def test_as_told(self) -> None:
        """A result is what all have heard: from the occupant, to nobody, with its id once
        (RM-47, AR-23).
        """
        _, juliet = self.talk()
        heard = juliet.received()
        first, *_ = self.results(juliet)
        self.assertIn(f"from='{ORCHARD}' to='juliet@montague.lit/1'", first)
        self.assertIn(f"from='{ORCHARD}/Romeo'", first)
        self.assertEqual(first.count("<stanza-id"), 1)
        self.assertIn(f" by='{ORCHARD}'/>", first)
        self.assertIn(f"id='{ids(heard)[0]}'", first)
        self.assertIn("<occupant-id xmlns='urn:xmpp:occupant-id:0'", first)
        self.assertEqual(first.count(" to='"), 1)

    def test_pages(self) -> None:
        """Pages are as those of accounts: forwards, backwards and flipped, and counted (QU-8,
        QU-10).
        """
        romeo, _ = self.talk()
        first = self.query(romeo, page(max=2))
        self.assertEqual((first.said, first.complete), (["one", "two"], False))
        rest = self.query(romeo, page(after(first.last), max=2))
        self.assertEqual((rest.said, rest.complete), (["three"], True))
        self.assertEqual(self.query(romeo, page("<before/>", max=2)).said, ["two", "three"])
        flipped = self.query(romeo, page("<before/>", max=2), "<flip-page/>")
        self.assertEqual(flipped.said, ["three", "two"])
        self.assertEqual(self.query(romeo, page(max=0)).total, "3")
        self.assertEqual(self.query(romeo, page(after("no"))).error, "item-not-found")

    def test_with_occupant(self) -> None:
        """Messages are found by their occupant, also counted and behind a restart (RM-47)."""
        _, juliet = self.talk()
        occupant = fields(("with", f"{ORCHARD}/Romeo"))
        for _ in range(2):
            self.assertEqual(self.query(juliet, occupant).said, ["one", "three"])
            self.assertEqual(self.query(juliet, occupant, page(max=0)).total, "2")
            nobody = fields(("with", f"{ORCHARD}/romeo"))
            self.assertEqual(self.query(juliet, nobody).said, [])
            self.house = self.house.restarted()
            juliet = self.client("juliet")

    def test_with_account(self) -> None:
        """Who sees JIDs finds messages by the account that has said them, under whatever nick;
        others are refused (RM-47).
        """
        romeo, juliet = self.talk()
        self.enter(juliet, "Capulet")
        self.say(juliet, "four")
        account = fields(("with", "juliet@montague.lit"))
        self.assertEqual(self.query(romeo, account).said, ["two", "four"])
        self.assertEqual(self.query(romeo, account, page(max=0)).total, "2")
        self.assertEqual(self.query(juliet, account).error, "forbidden")

    def test_jids(self) -> None:
        """Who has said something is shown to those who see JIDs when they ask (RM-47)."""
        romeo, juliet = self.talk()
        self.assertIn(JIDS, self.results(romeo)[0])
        self.assertNotIn("romeo@", "".join(self.results(juliet)))
        self.assert_done(self.configure(romeo, whois="anyone"))
        self.assertIn(JIDS, self.results(juliet)[0])

    def test_forged(self) -> None:
        """Nobody has something look as if somebody else had said it (RM-41)."""
        romeo, juliet = self.kept("juliet")
        x = f"<x xmlns='http://jabber.org/protocol/muc#user'><item {JIDS}/></x>"
        juliet.send(
            f"<message type='groupchat' to='{ORCHARD}'>{x}<body>I am he</body>"
            f"<y xmlns='y'>{x}</y></message>"
        )
        account = fields(("with", "romeo@montague.lit"))
        self.assertEqual(self.query(romeo, account).said, [])
        self.assertIn("jid='juliet@montague.lit/1'", self.results(romeo)[0])

    def test_at_once(self) -> None:
        """A client that asks several rooms at once is answered by all of them (QU-15)."""
        romeo, _ = self.talk()
        romeo.raw()
        for number in range(5):
            romeo.send(
                f"<iq type='set' id='q{number}' to='{ORCHARD}'><query xmlns='urn:xmpp:mam:2'/></iq>"
            )
        came: list[str] = []
        for _ in range(20):
            came += romeo.received()
            self.house.clock.advance(0)
        self.assertEqual(len([each for each in came if each.startswith("<iq")]), 5)
        self.assertEqual(len([each for each in came if "<result" in each]), 15)

    def test_slow_reader(self) -> None:
        """Who reads slowly holds nobody up (QU-15)."""
        romeo, juliet = self.talk()
        romeo.stop_reading()
        romeo.send(f"<iq type='set' id='q' to='{ORCHARD}'><query xmlns='urn:xmpp:mam:2'/></iq>")
        juliet.raw()
        self.say(juliet, "I go on")
        self.assertEqual(len(juliet.received()), 1)
        romeo.read_on()

    def test_metadata(self) -> None:
        """Metadata name the first and the last message; of an empty archive there are none
        (QU-16).
        """
        (romeo,) = self.kept()
        asked = f"<iq type='get' id='m' to='{ORCHARD}'><metadata xmlns='urn:xmpp:mam:2'/></iq>"
        romeo.send(asked)
        self.assertNotIn("<start", romeo.received()[0])
        for word in ("one", "two"):
            self.say(romeo, word)
        first, last = ids(romeo.received())
        romeo.send(asked)
        (answer,) = romeo.received()
        self.assertRegex(answer, f"<start [^>]*id='{first}'.*<end [^>]*id='{last}'")

    def test_form(self) -> None:
        """The form of queries is told as an account tells it (QU-2)."""
        (romeo,) = self.kept()
        romeo.send(f"<iq type='get' id='f' to='{ORCHARD}'><query xmlns='urn:xmpp:mam:2'/></iq>")
        self.assertIn("var='with'", romeo.received()[0])

    def test_announced(self) -> None:
        """A room announces its archive while it has one (RM-58)."""
        (romeo,) = self.kept()
        for has in ("1", "0"):
            self.assert_done(self.configure(romeo, mam=has))
            romeo.send(f"<iq type='get' id='d' to='{ORCHARD}'><query xmlns='{DISCO}'/></iq>")
            told = "<feature var='urn:xmpp:mam:2'/>" in "".join(romeo.received())
            self.assertEqual(told, has == "1")
        self.assertEqual(self.query(romeo).error, "service-unavailable")


class AccessTests(OrchardCase):
    def may(self, client: Client) -> bool:
        """Whether somebody may read the archive."""
        answer = self.query(client)
        if answer.error:
            self.assertEqual(answer.error, "forbidden")
        return not answer.error

    def test_open(self) -> None:
        """An open room's is for everybody, but not for outcasts (RM-46)."""
        (romeo,) = self.kept()
        nurse = self.client("nurse")
        self.assertTrue(self.may(nurse))
        self.assert_done(self.affiliate(romeo, "nurse", "outcast"))
        self.assertFalse(self.may(nurse))

    def test_password(self) -> None:
        """A room with a password is read by who is in it, and who is affiliated with it
        (RM-46).
        """
        romeo, juliet = self.kept("juliet", roomsecret="secret")
        nurse = self.client("nurse")
        self.assertTrue(self.may(juliet))
        self.assertFalse(self.may(nurse))
        self.assert_done(self.affiliate(romeo, "nurse", "member"))
        self.assertTrue(self.may(nurse))

    def test_at_each_page(self) -> None:
        """That is asked at each page (RM-46)."""
        romeo, juliet = self.kept("juliet")
        for word in ("one", "two"):
            self.say(romeo, word)
        first = self.query(juliet, page(max=1))
        self.assert_done(self.affiliate(romeo, "juliet", "outcast"))
        self.assertEqual(self.query(juliet, page(after(first.last))).error, "forbidden")

    def test_nowhere(self) -> None:
        """There is no archive where there is no room."""
        self.assertEqual(self.query(self.client("romeo")).error, "item-not-found")
