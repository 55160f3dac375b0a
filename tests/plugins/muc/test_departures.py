"""What becomes of rooms when accounts are removed."""

from tests.plugins.muc.halls import MUC, ORCHARD, RoomsCase
from xmppd.stanza import JID
from xmppd.testing.client import Client, done


class DepartureTests(RoomsCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.opened("romeo", "juliet", "nurse")

    def make(self, *items: str) -> None:
        """Have people be something, as Romeo wants."""
        inner = "".join(items)
        query = f"<query xmlns='{MUC}#admin'>{inner}</query>"
        self.romeo.send(f"<iq type='set' id='m' to='{ORCHARD}'>{query}</iq>")
        for client in (self.romeo, self.juliet, self.nurse):
            client.raw()

    def remove(self, name: str) -> None:
        """Remove an account."""
        done(self.house.server.accounts.remove(JID.parse(f"{name}@montague.lit")))

    def listed(self, client: Client, affiliation: str) -> str:
        """Who has an affiliation, as the answer says it."""
        client.raw()
        query = f"<query xmlns='{MUC}#admin'><item affiliation='{affiliation}'/></query>"
        client.send(f"<iq type='get' id='l' to='{ORCHARD}'>{query}</iq>")
        return "".join(client.received())

    def test_member(self) -> None:
        """A member whose account is removed is none any more."""
        self.make("<item affiliation='member' jid='juliet@montague.lit'/>")
        self.remove("juliet")
        self.assertNotIn("juliet", self.listed(self.romeo, "member"))

    def test_ban(self) -> None:
        """Who is banned stays so, when the name is somebody else's."""
        self.make("<item affiliation='outcast' jid='juliet@montague.lit'/>")
        self.remove("juliet")
        self.assertIn("juliet@montague.lit", self.listed(self.romeo, "outcast"))

    def test_heir(self) -> None:
        """A room whose last owner is gone is its oldest admin's."""
        self.make("<item affiliation='admin' jid='nurse@montague.lit'/>")
        self.make("<item affiliation='admin' jid='juliet@montague.lit'/>")
        self.remove("romeo")
        self.assertIn("affiliation='owner'", "".join(self.nurse.received()))
        self.assertIn("nurse@montague.lit", self.listed(self.nurse, "owner"))

    def test_not_in_memory(self) -> None:
        """So it is with a room that is not in use, when it is used again."""
        self.make("<item affiliation='admin' jid='nurse@montague.lit'/>")
        field = "<field var='muc#roomconfig_persistentroom'><value>1</value></field>"
        form = f"<x xmlns='jabber:x:data' type='submit'>{field}</x>"
        query = f"<query xmlns='{MUC}#owner'>{form}</query>"
        self.romeo.send(f"<iq type='set' id='c' to='{ORCHARD}'>{query}</iq>")
        for client, nick in ((self.romeo, "Romeo"), (self.juliet, "Juliet"), (self.nurse, "Nurse")):
            client.send(f"<presence type='unavailable' to='{ORCHARD}/{nick}'/>")
        done(self.house.plugins.reload("muc"))
        self.remove("romeo")
        self.enter(self.nurse, "Nurse")
        self.assertIn("nurse@montague.lit", self.listed(self.nurse, "owner"))
