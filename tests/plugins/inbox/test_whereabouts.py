"""What plugins say of a message that was sent: archived, pushed, read."""

from tests.plugins.push.service import JULIET, LATE_S, PLUGINS, ROMEO, PushCase, message
from xmppd.explain.whereabouts import locate_message
from xmppd.stanza import JID
from xmppd.testing.client import done

MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"
RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='m'/>"


class WhereTests(PushCase):
    """Romeo has written to Juliet, who has an archive, an inbox and a phone."""

    plugins = ("archive", "inbox", *PLUGINS)

    def codes(self, id: str = "m") -> list[str]:
        """What is known of it."""
        asked = locate_message(self.house.server, JID.parse(ROMEO), JID.parse(JULIET), id)
        self.found = done(asked)
        return [each.code for each in self.found]

    def test_away(self) -> None:
        """It is kept, in both archives, not read, and told to the phone's service."""
        self.away()
        self.send()
        self.wait(1)
        self.assertEqual(sorted(self.codes()), ["archived", "archived", "kept", "pushed", "unread"])
        self.assertEqual(self.codes("other"), ["unknown"])

    def test_phone(self) -> None:
        """It is told if the phone does not acknowledge it, and is read when she says so."""
        phone = self.phone()
        self.send()
        self.wait(1)
        archived = ["archived", "archived"]
        self.assertEqual(
            sorted(self.codes()), [*archived, "pushed_late", "unacknowledged", "unread"]
        )
        self.wait(LATE_S)
        self.assertEqual(sorted(self.codes()), [*archived, "pushed", "unacknowledged", "unread"])
        self.ack(phone)
        phone.send(message(ROMEO, MARKER))
        self.wait(1)
        self.assertEqual(sorted(self.codes()), [*archived, "pushed", "read"])

    def test_retracted(self) -> None:
        """Of what was taken back the archives say so."""
        self.send()
        self.romeo.send(message(JULIET, RETRACT, id="r"))
        self.wait(1)
        self.codes()
        says = [each.says for each in self.found if each.code == "archived"]
        self.assertEqual(["retracted" in each for each in says], [True, True])
