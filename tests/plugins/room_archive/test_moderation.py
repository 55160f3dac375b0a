"""Tests of what is taken back in rooms."""

from tests.plugins.muc.halls import ORCHARD, bodies, condition
from tests.plugins.room_archive.orchards import OrchardCase, ids
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd_plugins.archive.entries import ALL

RETRACT = "<retract xmlns='urn:xmpp:message-retract:1'/>"
WHY = "Mind your language"


class RetractionCase(OrchardCase):
    def said(self, client: Client, body: str, inner: str = "") -> str:
        """Have somebody say something; returns its id."""
        client.raw()
        client.send(
            f"<message type='groupchat' id='m' to='{ORCHARD}'><body>{body}</body>{inner}</message>"
        )
        (id,) = ids(client.received())
        return id

    def kept_now(self) -> list[str]:
        """What the archive has, as it is written."""
        entries = done(self.archive.entries.page(ORCHARD, ALL, 100))
        return [(entry.stanza or b"").decode() for entry in entries]

    def shown(self) -> list[str]:
        """The texts of what Nurse is shown when she enters."""
        nurse = self.client("nurse")
        return bodies(self.enter(nurse, "Nurse"))


class AuthorTests(RetractionCase):
    def retract(self, client: Client, id: str) -> None:
        """Take something back."""
        client.send(
            f"<message type='groupchat' id='r' to='{ORCHARD}'>"
            f"<retract xmlns='urn:xmpp:message-retract:1' id='{id}'/></message>"
        )

    def test_own(self) -> None:
        """What its author takes back leaves a tombstone in the archive, with its ids and its
        author, and is not shown to who enters (AR-10, RM-43).
        """
        _, juliet = self.kept("juliet")
        id = self.said(juliet, "Wherefore?")
        self.retract(juliet, id)
        tombstone, retraction = self.kept_now()
        self.assertNotIn("Wherefore", tombstone)
        for word in ("<retracted ", "id='r'", "<occupant-id", "jid='juliet@", "id='m'"):
            self.assertIn(word, tombstone)
        self.assertIn("<retract ", retraction)
        self.assertEqual(self.shown(), [])

    def test_others(self) -> None:
        """Nobody takes back what others have said: it is told as any message, and stays
        (RM-43).
        """
        romeo, juliet = self.kept("juliet")
        id = self.said(romeo, "But soft!")
        self.retract(juliet, id)
        self.assertIn("<retract ", romeo.received()[-1])
        self.assertIn("But soft!", self.kept_now()[0])
        self.assertEqual(self.shown(), ["But soft!"])

    def test_other_nick(self) -> None:
        """Its author may have another nick by then (RM-43)."""
        _, juliet = self.kept("juliet")
        id = self.said(juliet, "Wherefore?")
        self.enter(juliet, "Capulet")
        self.retract(juliet, id)
        self.assertIn("<retracted ", self.kept_now()[0])

    def test_restarted(self) -> None:
        """It is gone behind a restart as well."""
        _, juliet = self.kept("juliet")
        self.retract(juliet, self.said(juliet, "Wherefore?"))
        self.house = self.house.restarted()
        self.assertEqual(self.shown(), [])
        self.assertEqual(self.query(self.client("romeo")).said, ["", ""])

    def test_no_id(self) -> None:
        """An id that the room has not given takes nothing back."""
        _, juliet = self.kept("juliet")
        self.said(juliet, "Wherefore?")
        for id in ("m", "", "0" * 32):
            self.retract(juliet, id)
        self.assertIn("Wherefore", self.kept_now()[0])


class ModeratorTests(RetractionCase):
    def moderate(self, client: Client, id: str, inner: str = RETRACT) -> str:
        """Ask for something to be taken back; returns the answer."""
        client.raw()
        client.send(
            f"<iq type='set' id='q' to='{ORCHARD}'><moderate id='{id}' "
            f"xmlns='urn:xmpp:message-moderate:1'>{inner}<reason>{WHY}</reason></moderate></iq>"
        )
        *self.told, answer = client.received()
        return answer

    def test_told(self) -> None:
        """Moderators take back what others have said: all are told by the room, by whom and why,
        also in the way that older clients know (RM-44).
        """
        romeo, juliet = self.kept("juliet")
        id = self.said(juliet, "A plague!")
        self.assertIn("type='result'", self.moderate(romeo, id))
        (heard,) = juliet.received()
        self.assertIn(f"from='{ORCHARD}'", heard)
        self.assertIn(f"<retract xmlns='urn:xmpp:message-retract:1' id='{id}'>", heard)
        self.assertIn(f"<apply-to xmlns='urn:xmpp:fasten:0' id='{id}'>", heard)
        self.assertEqual(heard.count(f"by='{ORCHARD}/Romeo'"), 2)
        self.assertEqual(heard.count(f"<reason>{WHY}</reason>"), 2)
        self.assertEqual(heard.count("<occupant-id"), 2)
        self.assertEqual(len(self.told), 1)

    def test_no_archive(self) -> None:
        """In a room without an archive all are told as well, and it is shown to nobody who enters;
        what the room does not remember is not found (RM-44).
        """
        romeo, juliet = self.kept("juliet", persistentroom="0")
        first, _ = self.said(juliet, "A plague!"), self.said(juliet, "on both")
        self.assertEqual(condition(self.moderate(juliet, first)), "forbidden")
        self.assertIn("type='result'", self.moderate(romeo, first))
        self.assertIn(f"id='{first}'", self.told[-1])
        self.assertEqual(self.shown(), ["on both"])
        self.assertEqual(condition(self.moderate(romeo, first)), "item-not-found")

    def test_archive(self) -> None:
        """The archive has a tombstone that says so, and what was told (RM-44)."""
        romeo, juliet = self.kept("juliet")
        self.moderate(romeo, self.said(juliet, "A plague!"))
        tombstone, moderation = self.kept_now()
        self.assertNotIn("plague", tombstone)
        for word in ("<retracted ", "<moderated ", WHY, "jid='juliet@"):
            self.assertIn(word, tombstone)
        self.assertIn("<apply-to ", moderation)
        self.assertEqual(self.shown(), [])
        first, *_ = self.results(juliet)
        self.assertIn("<retracted ", first)
        self.assertNotIn("juliet@montague.lit/1'/>", first)

    def test_refused(self) -> None:
        """Only moderators may; only what was said there, and has a text (RM-44)."""
        romeo, juliet = self.kept("juliet")
        id = self.said(juliet, "A plague!")
        self.assertEqual(condition(self.moderate(juliet, id)), "forbidden")
        for other in ("", "m", "0" * 32):
            self.assertEqual(condition(self.moderate(romeo, other)), "item-not-found")
        self.assertEqual(condition(self.moderate(romeo, id, "")), "bad-request")
        romeo.raw()
        romeo.send(f"<message type='groupchat' to='{ORCHARD}'><subject>S</subject></message>")
        (subject,) = ids(romeo.received())
        self.assertEqual(condition(self.moderate(romeo, subject)), "not-allowed")
        (heard,) = juliet.received()
        self.assertIn("<subject>", heard)

    def test_twice(self) -> None:
        """What is gone is told once."""
        romeo, juliet = self.kept("juliet")
        id = self.said(juliet, "A plague!")
        for _ in range(2):
            self.assertIn("type='result'", self.moderate(romeo, id))
        self.assertEqual(len(juliet.received()), 1)

    def test_old_way(self) -> None:
        """Older clients ask in their way (RM-44)."""
        romeo, juliet = self.kept("juliet")
        id = self.said(juliet, "A plague!")
        romeo.send(
            f"<iq type='set' id='q' to='{ORCHARD}'><apply-to id='{id}' xmlns='urn:xmpp:fasten:0'>"
            "<moderate xmlns='urn:xmpp:message-moderate:0'>"
            f"<retract xmlns='urn:xmpp:message-retract:0'/><reason>{WHY}</reason>"
            "</moderate></apply-to></iq>"
        )
        self.assertIn("type='result'", romeo.received()[-1])
        self.assertIn(WHY, juliet.received()[-1])

    def test_store_fails(self) -> None:
        """Nobody is told of what is still in the archive (RM-44)."""
        romeo, juliet = self.kept("juliet")
        id = self.said(juliet, "A plague!")
        juliet.raw()

        def fail(*_: object) -> None:
            raise StoreError

        self.patch(self.house.store.database, "write", fail)
        self.assertEqual(condition(self.moderate(romeo, id)), "resource-constraint")
        self.assertEqual(juliet.received(), [])
