"""Rooms, with slixmpp."""

from slixmpp import JID
from slixmpp.exceptions import PresenceError
from slixmpp.stanza import Presence

from tests.integration.people import PATIENCE_S, Person, ServerCase, people

SERVICE = "conference.verona.lit"


class RoomTests(ServerCase):
    """Rooms as slixmpp's plugin for :xep:`0045` uses them."""

    @people
    async def test_evening(self) -> None:
        """Somebody makes a room, others enter and talk; it is configured, and one is kicked."""
        romeo, juliet, nurse = await self.arrivals("romeo", "juliet", "nurse")
        room = JID(f"orchard-{self.suffix}@{SERVICE}")
        for person in (romeo, juliet, nurse):
            person.register_plugin("xep_0045")
        made = await self.enter(romeo, room, "Romeo")
        self.assertEqual(made["muc"]["affiliation"], "owner")
        form = await romeo["xep_0045"].get_room_config(room)
        form["type"] = "submit"
        form.get_fields()["muc#roomconfig_persistentroom"]["value"] = True
        form.get_fields()["muc#roomconfig_roomname"]["value"] = "Orchard"
        await romeo["xep_0045"].set_room_config(room, form)
        await self.enter(juliet, room, "Juliet")
        await self.enter(nurse, room, "Nurse")
        self.assertEqual(sorted(romeo["xep_0045"].get_roster(room)), ["Juliet", "Nurse", "Romeo"])

        juliet.send_message(room, "Wherefore art thou?", mtype="groupchat")
        for person in (romeo, juliet, nurse):
            heard = await person.expect("message", body="Wherefore art thou?")
            self.assertEqual(heard["from"], JID(f"{room}/Juliet"))
        romeo["xep_0045"].set_subject(room, "Names")
        changed = await nurse.expect("message", subject="Names")
        self.assertEqual(changed["type"], "groupchat")

        await romeo["xep_0045"].set_role(room, "Nurse", "none", reason="Late")
        gone = await nurse.expect("presence", type="unavailable")
        self.assertEqual(gone["muc"]["role"], "none")
        await romeo["xep_0045"].set_affiliation(room, "outcast", jid=JID(nurse.boundjid.bare))
        with self.assertRaises(PresenceError) as refused:
            await self.enter(nurse, room, "Nurse")
        self.assertEqual(refused.exception.condition, "forbidden")
        await romeo["xep_0045"].destroy(room, reason="Plague")
        end = await juliet.expect("presence", type="unavailable", sender=f"{room}/Juliet")
        self.assertIn("Plague", str(end))

    async def enter(self, person: Person, room: JID, nick: str) -> Presence:
        """Enter a room, and wait for the end of what is shown."""
        own: Presence
        own, *_ = await person["xep_0045"].join_muc_wait(room, nick, timeout=PATIENCE_S)
        return own
