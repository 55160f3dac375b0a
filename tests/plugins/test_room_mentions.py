"""Tests of telling those who are mentioned in a room in which they are not."""

from tests.plugins.muc.halls import ORCHARD, RunningCase, bodies
from xmppd.testing.client import Client
from xmppd_plugins.room_mentions import MAX_MENTIONED


class MentionCase(RunningCase):
    plugins: tuple[str, ...] = ("disco", "muc", "room_mentions")

    def absent(self, **config: str) -> tuple[Client, Client]:
        """Romeo, who is in, and Nurse, a member who is not."""
        (romeo,) = self.opened("romeo")
        self.assert_done(self.configure(romeo, tell_affected="0"))
        self.assert_done(self.affiliate(romeo, "nurse", "member"))
        if config:
            self.assert_done(self.configure(romeo, **config))
        nurse = self.client("nurse")
        nurse.raw()
        return romeo, nurse

    def register(self, client: Client, nick: str) -> None:
        """Have a nick be kept for somebody."""
        client.send(
            f"<iq type='set' id='r' to='{ORCHARD}'><query xmlns='jabber:iq:register'>"
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/muc#register</value></field>"
            f"<field var='muc#register_roomnick'><value>{nick}</value></field></x></query></iq>"
        )
        self.assertIn("type='result'", client.received()[0])

    def refer(self, client: Client, uri: str, body: str = "where is she?", more: str = "") -> None:
        """Say something with a reference."""
        client.send(
            f"<message type='groupchat' id='m1' to='{ORCHARD}'><body>{body}</body>{more}"
            f"<reference xmlns='urn:xmpp:reference:0' type='mention' uri='{uri}'/></message>"
        )


class MentionTests(MentionCase):
    def test_reference(self) -> None:
        """Who is referred to is sent what was said, by the room, as all have heard it
        (RM-62).
        """
        romeo, nurse = self.absent()
        self.refer(romeo, "xmpp:nurse@montague.lit")
        (told,) = nurse.received()
        self.assertTrue(told.startswith(f"<message from='{ORCHARD}' to='nurse@montague.lit"))
        for word in ("<mentions xmlns='urn:xmpp:mmn:0'>", "<forwarded ", "<delay ", "id='m1'"):
            self.assertIn(word, told)
        self.assertIn(f"from='{ORCHARD}/Romeo'", told)
        self.assertIn(f"by='{ORCHARD}'", told)
        self.assertEqual(bodies([told]), ["where is she?"])

    def test_nick(self) -> None:
        """A nick that is kept for somebody is theirs: as a word, in an answer, or by its address
        (RM-62).
        """
        romeo, nurse = self.absent()
        self.register(nurse, "Angelica B.")
        for body, is_told in (
            ("angelica b., come", True),
            ("Angelica B.!", True),
            ("Angelicas B.", False),
            ("B. and Angelica", False),
        ):
            self.say(romeo, body)
            self.assertEqual(bodies(nurse.received()), [body] if is_told else [], body)
        self.refer(romeo, f"xmpp:{ORCHARD}/angelica%20b.", "no escapes")
        self.assertEqual(nurse.received(), [])
        self.refer(romeo, f"xmpp:{ORCHARD}/Angelica B.", "by address")
        self.assertEqual(bodies(nurse.received()), ["by address"])

    def test_nobody(self) -> None:
        """Not told are those who are in, who are nothing to the room, who are banned, and all if
        the room is configured so; nor of a correction (RM-62).
        """
        romeo, nurse = self.absent()
        juliet = self.client("juliet")
        for name in ("juliet", "tybalt"):
            self.refer(romeo, f"xmpp:{name}@montague.lit")
        self.assertEqual(juliet.received(), [])
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>"
        self.refer(romeo, "xmpp:nurse@montague.lit", more=replace)
        self.enter(nurse, "Nurse")
        self.refer(romeo, "xmpp:nurse@montague.lit")
        self.assertEqual(len(nurse.received()), 1, "which all have heard")
        nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        nurse.raw()
        self.assert_done(self.configure(romeo, mentions="0"))
        self.refer(romeo, "xmpp:nurse@montague.lit")
        self.assert_done(self.configure(romeo, mentions="1"))
        self.assert_done(self.affiliate(romeo, "nurse", "outcast"))
        self.refer(romeo, "xmpp:nurse@montague.lit")
        self.assertEqual(nurse.received(), [])

    def test_many(self) -> None:
        """Some people are told of one message, and no more."""
        (romeo,) = self.opened("romeo")
        names = [f"servant{number}" for number in range(MAX_MENTIONED + 1)]
        for name in names:
            self.house.add(name, {})
            self.assert_done(self.affiliate(romeo, name, "member"))
        clients = [self.client(name) for name in names]
        reference = "<reference xmlns='urn:xmpp:reference:0' type='mention' uri='xmpp:{}'/>"
        more = "".join(reference.format(f"{name}@montague.lit") for name in names)
        self.refer(romeo, "xmpp:nobody", more=more)
        self.assertEqual(sum(len(client.received()) for client in clients), MAX_MENTIONED)


class KeptTests(MentionCase):
    plugins = ("disco", "archive", "muc", "room_archive", "room_mentions")

    def test_away(self) -> None:
        """It waits for who is offline (RM-62)."""
        romeo, nurse = self.absent()
        nurse.send("<presence type='unavailable'/>")
        self.refer(romeo, "xmpp:nurse@montague.lit")
        self.assertEqual(bodies(nurse.received()), [])
        nurse.send("<presence/>")
        self.house.clock.advance(1)
        self.assertEqual(bodies(nurse.received()), ["where is she?"])
