"""Rooms, with slixmpp: hats, versions of lists, announcements, news, unread, taken back."""

from typing import Any
from xml.etree import ElementTree

from slixmpp import JID
from slixmpp.plugins.xep_0490.stanza import NS as DISPLAYED
from slixmpp.plugins.xep_0490.stanza import Displayed

from tests.integration.people import Person, ServerCase, people

SERVICE = "conference.verona.lit"
INBOX = "urn:xmpp:inbox:1"
HATS = "urn:xmpp:hats:0:commands"
POET = "http://verona.lit/hats#poet"
PLUGINS = ("xep_0045", "xep_0050", "xep_0317", "xep_0410", "xep_0437", "xep_0463")


class RoomTests(ServerCase):
    def room(self) -> JID:
        """A room that no other test has."""
        return JID(f"{self.suffix}@{SERVICE}")

    async def opened(self, owner: Person, *others: Person) -> JID:
        """A room that stays, in which these are, by their names."""
        room = self.room()
        for person in (owner, *others):
            for plugin in PLUGINS:
                person.register_plugin(plugin)
        await owner["xep_0045"].join_muc_wait(room, "Owner")
        form = await owner["xep_0045"].get_room_config(room)
        form["type"] = "submit"
        form.get_fields()["muc#roomconfig_persistentroom"]["value"] = True
        form.get_fields()["muc#roomconfig_whois"]["value"] = "anyone"
        await owner["xep_0045"].set_room_config(room, form)
        for person in others:
            await person["xep_0045"].join_muc_wait(room, person.boundjid.user)
        for person in (owner, *others):
            await person.catch_up()
            person.inbox.clear()
        return room

    async def fill_in(self, person: Person, room: JID, node: str, **values: str) -> Any:
        """Run a command of a room, by its form."""
        asked = await person["xep_0050"].send_command(room, node)
        form = asked["command"]["form"]
        form["type"] = "submit"
        for var, field in form.get_fields().items():
            name = var.partition("#")[2] or var
            if name in values:
                field["value"] = values[name]
        session_id = asked["command"]["sessionid"]
        return await person["xep_0050"].send_command(
            room, node, action="complete", payload=form, sessionid=session_id
        )

    @people
    async def test_hats(self) -> None:
        """An owner finds the commands for hats, makes one and gives it; all see it (RM-74)."""
        romeo, juliet, nurse = await self.arrivals("romeo", "juliet", "nurse")
        room = await self.opened(romeo, juliet)
        found = await romeo["xep_0050"].get_commands(room)
        nodes = [item[1] for item in found["disco_items"]["items"]]
        self.assertIn(f"{HATS}:create", nodes)
        done = await self.fill_in(
            romeo, room, f"{HATS}:create", title="Poet", uri=POET, hue="171.5"
        )
        self.assertEqual(done["command"]["status"], "completed")
        await self.fill_in(romeo, room, f"{HATS}:assign", uri=POET, jid=juliet.boundjid.bare)
        shown = await juliet.expect("presence", sender=f"{room}/{juliet.boundjid.user}")
        (hat,) = shown["hats"]["hats"]
        self.assertEqual((hat["title"], hat["uri"], hat["hue"]), ("Poet", POET, 171.5))
        nurse.register_plugin("xep_0317")
        await nurse["xep_0045"].join_muc_wait(room, "Nurse")
        seen = await nurse.expect("presence", sender=f"{room}/{juliet.boundjid.user}")
        self.assertEqual([each["uri"] for each in seen["hats"]["hats"]], [POET])

    @people
    async def test_versions(self) -> None:
        """Who enters again hears what is new in the lists (RM-76)."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        room = await self.opened(romeo, juliet)
        await romeo["xep_0045"].set_affiliation(room, "member", jid=juliet.boundjid.bare)
        told = await juliet.expect("presence", sender=f"{room}/{juliet.boundjid.user}")
        version = told["muc"]["mav"]["until"]
        self.assertTrue(version)
        juliet["xep_0045"].leave_muc(room, juliet.boundjid.user)
        await juliet.catch_up()
        await romeo["xep_0045"].set_affiliation(room, "admin", jid=JID("nurse@verona.lit"))
        juliet.inbox.clear()
        joining = juliet.make_presence(pto=f"{room}/{juliet.boundjid.user}")
        joining.enable("muc_join")
        joining["muc_join"]["mav"]["since"] = version
        joining.send()
        news = await juliet.expect("message", sender=room)
        self.assertEqual(news["muc"]["mav"]["since"], version)
        self.assertIn("nurse@verona.lit", str(news))
        self.assertNotIn(juliet.boundjid.bare, str(news["muc"]))
        own = await juliet.expect("presence", sender=f"{room}/{juliet.boundjid.user}")
        self.assertEqual(own["muc"]["mav"]["until"], news["muc"]["mav"]["until"])

    @people
    async def test_news(self) -> None:
        """A member who is not in is told once that something was said (RM-63)."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        room = await self.opened(romeo)
        for plugin in PLUGINS:
            juliet.register_plugin(plugin)
        await romeo["xep_0045"].set_affiliation(room, "member", jid=juliet.boundjid.bare)
        await juliet.expect("message", sender=room)
        juliet["xep_0437"].subscribe(JID(SERVICE))
        await juliet.catch_up()
        for text in ("One", "Two"):
            romeo.send_message(room, text, mtype="groupchat")
        told = await juliet.expect("message", sender=SERVICE)
        listed = [each.text for each in told.xml.iter("{urn:xmpp:rai:0}activity")]
        self.assertEqual(listed, [str(room)])
        await romeo.catch_up()
        await juliet.saw_nothing("message")

    @people
    async def test_unread(self) -> None:
        """A member who is not in finds in the inbox what was said, up to what they have shown
        (RM-81).
        """
        romeo, juliet = await self.arrivals("romeo", "juliet")
        room = await self.opened(romeo)
        juliet.register_plugin("xep_0490")
        await romeo["xep_0045"].set_affiliation(room, "member", jid=juliet.boundjid.bare)
        await juliet.expect("message", sender=room)
        ids = []
        for text in ("One", "Two"):
            romeo.send_message(room, text, mtype="groupchat")
            said = await romeo.expect("message", body=text)
            ids.append(said["stanza_id"]["id"])
        await self.expect_unread(juliet, room, 2)
        shown = Displayed()
        shown["stanza_id"]["id"], shown["stanza_id"]["by"] = ids[0], str(room)
        await juliet["xep_0223"].store(shown, node=DISPLAYED, id=str(room))
        await self.expect_unread(juliet, room, 1)

    async def expect_unread(self, person: Person, room: JID, count: int) -> None:
        """Wait until so many are unread, which another node may know a moment later."""
        found: list[str | None] = []
        for _ in range(50):
            person.inbox.clear()
            asked = person.make_iq_get()
            asked.append(ElementTree.Element(f"{{{INBOX}}}inbox"))
            await asked.send()
            entries = (each for one in person.inbox for each in one.xml.iter(f"{{{INBOX}}}entry"))
            found = [each.get("unread") for each in entries if each.get("jid") == str(room)]
            if found == [str(count)]:
                return
            await person.catch_up()
        self.fail(f"unread in {room}: {found}, and not {count}")

    @people
    async def test_taken_back(self) -> None:
        """A moderator takes back all of somebody's day by a command of the room (RM-77)."""
        romeo, juliet = await self.arrivals("romeo", "juliet")
        room = await self.opened(romeo, juliet)
        for text in ("One", "Two"):
            juliet.send_message(room, text, mtype="groupchat")
            await romeo.expect("message", body=text)
        done = await self.fill_in(
            romeo, room, "xmppd#moderate-all", who=juliet.boundjid.user, reason="Noise"
        )
        self.assertIn("messages removed: 2", str(done))
        for _ in range(2):
            told = await juliet.expect("message", sender=room)
            self.assertIn("urn:xmpp:message-moderate:1", str(told))

    @people
    async def test_announced(self) -> None:
        """What an administrator announces is said by each room (RM-78)."""
        (romeo,) = await self.arrivals("romeo")
        room = await self.opened(romeo)
        self.server.tell("room announce", text="Peace")
        told = await romeo.expect("message", sender=room, body="Peace")
        self.assertEqual(told["type"], "groupchat")

    @people
    async def test_found(self) -> None:
        """A room is found by words, with the form of a directory (RM-67)."""
        (romeo,) = await self.arrivals("romeo")
        room = await self.opened(romeo)
        asked = romeo.make_iq_set(ito=SERVICE)
        query = ElementTree.Element("{jabber:iq:search}query")
        filled = romeo["xep_0004"].make_form(ftype="submit")
        filled.add_field("FORM_TYPE", value="jabber:iq:search", ftype="hidden")
        filled.add_field("words", value=self.suffix)
        query.append(filled.xml)
        asked.append(query)
        answer = await asked.send()
        self.assertIn(str(room), str(answer))
