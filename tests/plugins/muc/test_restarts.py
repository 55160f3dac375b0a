"""Tests of rooms when the server is started again."""

from tests.plugins.muc.halls import MUC, ORCHARD, RoomsCase, bodies, codes, condition
from xmppd.store.sessions import sessions
from xmppd.store.sql import delete
from xmppd.testing.client import Client, Elsewhere, done
from xmppd_plugins.muc.settings import RoomSettings

TYBALT = "tybalt@capulet.lit/1"
FORGET = delete(sessions)
PING = "<iq type='get' id='p' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>"
PERSISTENT = (
    f"<iq type='set' id='c' to='{ORCHARD}'><query xmlns='{MUC}#owner'>"
    "<x xmlns='jabber:x:data' type='submit'>"
    f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>"
    "<field var='muc#roomconfig_persistentroom'><value>1</value></field>"
    "</x></query></iq>"
)


class RestartCase(RoomsCase):
    """Romeo, whose client may resume its session, and Tybalt, of another server, are in."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.client("romeo")
        self.resumes_by = self.romeo.enable()
        self.enter(self.romeo, "Romeo")
        self.romeo.send(PERSISTENT.replace("<value>1", "<value>0"))
        self.elsewhere = Elsewhere(self.house)
        self.elsewhere.send(
            f"<presence from='{TYBALT}' to='{ORCHARD}/Tybalt'><x xmlns='{MUC}'/></presence>"
        )
        self.elsewhere.heard()
        self.romeo.raw()
        self.acknowledged = 0

    def restart(self) -> None:
        self.house = self.house.restarted()
        self.elsewhere = Elsewhere(self.house)

    def resume(self) -> tuple[Client, list[str]]:
        """Romeo's client on another connection, and what it gets behind the answer."""
        before = self.romeo.stanza_handler.session.management
        assert before is not None
        client = self.house.logged_in("romeo")
        return client, client.resume(self.resumes_by, before.sent)[1:]


class RestartTests(RestartCase):
    def test_nobody_is_told(self) -> None:
        """Who was in is in when the server is back, and is told nothing (RM-60)."""
        self.restart()
        client, got = self.resume()
        self.assertEqual(got, [])
        self.assertEqual(self.elsewhere.heard(), [])
        self.say(client, "Still here")
        self.assertEqual(bodies(client.received()), ["Still here"])
        self.assertEqual(bodies(self.elsewhere.heard()), ["Still here"])

    def test_twice(self) -> None:
        """It is so each time (RM-60)."""
        self.restart()
        self.restart()
        client, _ = self.resume()
        self.elsewhere.send(
            f"<message from='{TYBALT}' to='{ORCHARD}' type='groupchat'><body>Ha</body></message>"
        )
        self.assertEqual(bodies(client.received()), ["Ha"])

    def test_while_away(self) -> None:
        """What is said before a client is back waits for it (RM-35, RM-60)."""
        self.restart()
        self.elsewhere.send(
            f"<message from='{TYBALT}' to='{ORCHARD}' type='groupchat'><body>Ha</body></message>"
        )
        _, got = self.resume()
        self.assertEqual(bodies(got), ["Ha"])

    def test_same_occupant(self) -> None:
        """Role, nick, presence and id of who is in stay what they were (RM-43, RM-60)."""
        self.romeo.send(f"<presence to='{ORCHARD}/Romeo'><show>dnd</show></presence>")
        juliet = self.client("juliet")
        (before, *_) = self.enter(juliet, "Juliet")
        juliet.send(f"<presence to='{ORCHARD}/Juliet' type='unavailable'/>")
        self.restart()
        (after, *_) = self.enter(self.client("juliet"), "Juliet")
        self.assertIn("<show>dnd</show>", after)
        self.assertIn("role='moderator'", after)
        self.assertEqual(after, before)

    def test_not_resumable(self) -> None:
        """A session that ends with the server has left (RM-60)."""
        self.enter(self.client("juliet"), "Juliet")
        self.elsewhere.heard()
        self.house.stop_and_wait()
        gone = [each for each in self.elsewhere.heard() if "/Juliet'" in each]
        self.assertEqual([codes(each) for each in gone], [set()])
        self.assertIn("type='unavailable'", gone[0])

    def test_not_resumed(self) -> None:
        """A session that nobody resumes leaves when its time is over (RM-60)."""
        self.restart()
        self.house.clock.advance(self.house.server.config.stream_management.resume_s + 10)
        (gone,) = self.elsewhere.heard()
        self.assertIn("type='unavailable'", gone)

    def test_not_restored(self) -> None:
        """A session that is not there any more leaves after a while (RM-60)."""
        self.house.stop_and_wait()
        done(self.house.store.database.write(lambda connection: connection.execute(FORGET)))
        self.house = self.house.again()
        self.elsewhere = Elsewhere(self.house)
        settings = RoomSettings()
        self.house.clock.advance(settings.lost_server_s - 1)
        self.assertEqual(self.elsewhere.heard(), [])
        self.house.clock.advance(1)
        (gone,) = self.elsewhere.heard()
        self.assertEqual(codes(gone), {333})

    def test_back_by_a_login(self) -> None:
        """Who comes back otherwise than by resuming, and enters again, has not left (RM-60)."""
        self.house.stop_and_wait()
        done(self.house.store.database.write(lambda connection: connection.execute(FORGET)))
        self.house = self.house.again()
        self.elsewhere = Elsewhere(self.house)
        self.enter(self.client("romeo"), "Romeo")
        self.house.clock.advance(600)
        self.assertEqual(self.elsewhere.heard(), [])


class KilledTests(RestartCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo.send(PERSISTENT)
        self.romeo.send(
            f"<message type='groupchat' to='{ORCHARD}'><subject>Balcony</subject></message>"
        )
        self.restart()  # so that somebody is kept to be in
        self.resume()
        self.house = self.house.again()

    def test_gone(self) -> None:
        """After a kill nobody is in, and who asks is told so; the rest is as it was (RM-60)."""
        (romeo,) = self.house.connect("romeo")
        romeo.send(PING.format(f"{ORCHARD}/Romeo"))
        self.assertEqual(condition(romeo.received()[0]), "not-acceptable")
        own, subject = self.enter(romeo, "Romeo")
        self.assertIn("affiliation='owner' role='moderator'", own)
        self.assertEqual(codes(own), {110})
        self.assertIn("<subject>Balcony</subject>", subject)


class ReloadTests(RestartCase):
    def test_reload(self) -> None:
        """When the plugin is read again, who is in stays in and is told nothing (RM-60)."""
        done(self.house.plugins.reload("muc"))
        self.assertEqual(self.romeo.received(), [])
        self.say(self.romeo, "Still here")
        self.assertEqual(bodies(self.romeo.received()), ["Still here"])
        self.assertEqual(bodies(self.elsewhere.heard()), ["Still here"])
