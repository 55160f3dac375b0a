"""What people do all day, with slixmpp, over TLS, on SQLite and on PostgreSQL."""

from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from tests.integration.people import PASSWORD, Person, Refused, ServerCase, befriend, people
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.testing.process import ServerProcess

NOTE = "<note xmlns='urn:example:note'>Swear not by the moon</note>"


class SQLiteTests(ServerCase):
    """The walk, with a database in a file."""

    @people
    async def test_friends(self) -> None:
        """Two become friends, see each other come and go, and talk."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        await befriend(romeo, juliet)
        self.assertEqual(juliet.client_roster[romeo.boundjid.bare]["subscription"], "both")
        romeo.say(juliet.boundjid.bare, "to whoever you are")
        await juliet.expect("message", body="to whoever you are", sender=romeo.boundjid)
        juliet.say(romeo.boundjid.full, "to this very client")
        await romeo.expect("message", body="to this very client", sender=juliet.boundjid)
        romeo.send_presence(pshow="away", pstatus="at the Friar's")
        await juliet.expect("presence", type="away", status="at the Friar's")
        await romeo.leave()
        await juliet.expect("presence", type="unavailable", sender=romeo.boundjid)
        again = await self.person(romeo.boundjid.full).arrive()
        await juliet.expect("presence", type="available", sender=romeo.boundjid)
        await again.expect("presence", type="available", sender=juliet.boundjid)
        await again.lose()
        await juliet.expect("presence", type="unavailable", sender=romeo.boundjid)

    @people
    async def test_offline_messages(self) -> None:
        """Who is away finds what was said meanwhile, once, in order, with the time it was said."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        await juliet.leave()
        for number in range(3):
            romeo.say(juliet.boundjid.bare, f"message {number}")
        await romeo.catch_up()
        again = await self.person(juliet.boundjid.bare).arrive()
        for number in range(3):
            message = await again.expect("message")
            self.assertEqual(message["body"], f"message {number}")
            self.assertTrue(message["delay"]["stamp"])
            self.assertEqual(message["delay"]["from"], self.server.domain)
        await again.catch_up()
        await self.keep(again, NOTE)  # written behind what is to be forgotten
        await again.leave()
        again = await self.person(juliet.boundjid.bare).arrive()
        await again.saw_nothing("message")

    @people
    async def test_roster(self) -> None:
        """A roster is changed on one client and seen on the other, and fetched anew only if new."""
        address = self.account("romeo")
        orchard = await self.person(f"{address}/orchard").arrive()
        balcony = await self.person(f"{address}/balcony").arrive()
        change = orchard.make_iq_set()
        change["roster"]["items"] = {"juliet@verona.lit": {"name": "Juliet", "groups": ["Capulet"]}}
        await change.send()
        push = await balcony.expect("iq", type="set")
        item = push["roster"]["items"]["juliet@verona.lit"]
        self.assertEqual((item["name"], item["groups"]), ("Juliet", ["Capulet"]))
        version = push["roster"]["ver"]
        self.assertTrue(version)
        same = balcony.make_iq_get()
        same["roster"]["ver"] = version
        self.assertEqual(len((await same.send()).xml), 0)
        await orchard.del_roster_item("juliet@verona.lit")
        push = await balcony.expect("iq", type="set")
        self.assertEqual(push["roster"]["items"]["juliet@verona.lit"]["subscription"], "remove")
        await balcony.leave()
        late = await self.person(f"{address}/balcony").log_in()
        stale = late.make_iq_get()
        stale["roster"]["ver"] = version
        answer = await stale.send()
        self.assertEqual(len(answer.xml) and len(answer["roster"]["items"]), 0)

    @people
    async def test_belongings(self) -> None:
        """A card and private notes are kept; others see the card, and nobody the notes."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        card = romeo["xep_0054"].make_vcard()
        card["FN"] = "Romeo Montague"
        await romeo["xep_0054"].publish_vcard(vcard=card)
        await self.keep(romeo, NOTE)
        await romeo.leave()
        seen = await juliet["xep_0054"].get_vcard(romeo.boundjid.bare)
        self.assertEqual(seen["vcard_temp"]["FN"], "Romeo Montague")
        again = await self.person(romeo.boundjid.bare).arrive()
        self.assertIn("Swear not by the moon", await self.kept(again))
        self.assertNotIn("Swear not by the moon", await self.kept(juliet))

    async def keep(self, owner: Person, note: str) -> None:
        """Keep some XML in private."""
        iq = owner.make_iq_set()
        query = ElementTree.SubElement(iq.xml, "{jabber:iq:private}query")
        query.append(ElementTree.fromstring(note))
        await iq.send()

    async def kept(self, owner: Person) -> str:
        """What is kept of that kind."""
        iq = owner.make_iq_get()
        query = ElementTree.SubElement(iq.xml, "{jabber:iq:private}query")
        ElementTree.SubElement(query, "{urn:example:note}note")
        return str(await iq.send())

    @people
    async def test_password(self) -> None:
        """A new password holds at once, closes other sessions, and the old one is refused."""
        address = self.account("romeo")
        orchard = await self.person(f"{address}/orchard").arrive()
        balcony = await self.person(f"{address}/balcony").arrive()
        await orchard["xep_0077"].change_password("wherefore art thou")
        await balcony.expect("error", condition="reset")
        await orchard.catch_up()
        with self.assertRaises(Refused):
            await self.person(address, PASSWORD).log_in()
        await self.person(address, "wherefore art thou").arrive()

    @people
    async def test_removal(self) -> None:
        """Who removes the account is gone, with all that belonged to it; friends see it."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        await befriend(romeo, juliet)
        await romeo["xep_0077"].cancel_registration()
        await juliet.expect("presence", type="unavailable", sender=romeo.boundjid)
        await juliet.expect("presence", type="unsubscribed", sender=romeo.boundjid.bare)
        with self.assertRaises(Refused):
            await self.person(romeo.boundjid.bare).log_in()
        juliet.say(romeo.boundjid.bare, "O Romeo, Romeo")
        bounce = await juliet.expect("message", type="error")
        self.assertEqual(bounce["error"]["condition"], "service-unavailable")

    @people
    async def test_restart(self) -> None:
        """After a power failure everybody's friends and messages are there."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        await befriend(romeo, juliet)
        await juliet.leave()
        romeo.say(juliet.boundjid.bare, "parting is such sweet sorrow")
        await romeo.catch_up()
        self.server.kill()
        self.server.start()
        romeo, juliet = [await self.person(one.boundjid.full).arrive() for one in (romeo, juliet)]
        self.assertEqual(juliet.client_roster[romeo.boundjid.bare]["subscription"], "both")
        await juliet.expect("message", body="parting is such sweet sorrow")
        await romeo.expect("presence", type="available", sender=juliet.boundjid)


class PostgreSQLTests(SQLiteTests):
    """The same walk."""

    url: ClassVar[str] = ""

    @classmethod
    def make(cls, directory: Path) -> ServerProcess:
        cls.url = make_postgresql()
        cls.settings = {"storage": {"url": cls.url}}
        return super().make(directory)

    @classmethod
    def clean_up(cls) -> None:
        if cls.url:
            drop_postgresql(cls.url)
