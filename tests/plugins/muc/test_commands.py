"""Administrators look after rooms."""

from pathlib import Path

from msgspec.structs import replace

from tests.plugins.muc.halls import MUC, ORCHARD, SERVICE, RoomsCase, codes, rooms_config
from tests.plugins.muc.store_contract import WHOLE
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.config.config import Config
from xmppd.config.scopes import ROLES
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd_plugins.muc.state import KeptRoom
from xmppd_plugins.muc.written_room import read_room, written

COVEN = f"coven@{SERVICE}"
ADMIN = f"{MUC}#admin"


class CommandCase(RoomsCase):
    """The prince administers the server; Romeo has a room, in which Juliet is."""

    people = ("romeo", "juliet", "prince")

    def config(self) -> Config:
        return replace(rooms_config(), admins=("prince@montague.lit",))

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.opened("romeo/1", "juliet/1")

    def give(self, name: str, **given: object) -> list[Reply]:
        """What a command says to the shell."""
        return self.give_by(SHELL, name, **given)

    def give_by(self, actor: Actor, name: str, **given: object) -> list[Reply]:
        """What it says to somebody."""
        commands = self.house.server.commands
        asked = commands.asked(name, given, actor)

        async def read() -> list[Reply]:
            return [reply async for reply in commands.replies(*asked)]

        return done(read())

    def shown(self, name: str, **given: object) -> list[str]:
        """The same as text."""
        return [str(reply) for reply in self.give(name, **given)]

    def refused(self, name: str, **given: object) -> str:
        """Why a command is refused."""
        error: Refused = self.assertRaises(Refused, self.give, name, **given)
        return str(error)

    def administer(self, client: Client, item: str) -> None:
        """Change a list of the room."""
        query = f"<query xmlns='{ADMIN}'>{item}</query>"
        client.send(f"<iq type='set' id='a' to='{ORCHARD}'>{query}</iq>")
        client.raw()


class CommandTests(CommandCase):
    def test_list(self) -> None:
        """Each room has a row, those that nobody owns apart."""
        self.shown("room create", room=COVEN, owner="romeo@montague.lit")
        rows = self.shown("room list")
        self.assertEqual(len(rows), 2)
        self.assertIn(f"room='{COVEN}'", rows[0])
        self.assertIn("persistent=True", rows[0])
        self.assertIn("persistent=False", rows[1])
        self.assertEqual(self.shown("room list", service=SERVICE), rows)
        self.assertEqual(self.shown("room list", orphans=True), [])
        self.assertIn(SERVICE, self.refused("room list", service="montague.lit"))

    def test_show(self) -> None:
        """A room is shown with its lists and who is in."""
        ban = "<item affiliation='outcast' jid='tybalt@montague.lit'><reason>Rude</reason></item>"
        self.administer(self.romeo, ban)
        facts = "\n".join(self.shown("room show", room=ORCHARD))
        for part in (
            "fact='owner', value='romeo@montague.lit'",
            "fact='outcast', value='tybalt@montague.lit (Rude)'",
            "fact='occupant', value='Juliet, juliet@montague.lit/1, participant'",
        ):
            self.assertIn(part, facts)
        self.assertIn("does not exist", self.refused("room show", room=COVEN))

    def test_create(self) -> None:
        """A room that was made is open, is owned, and stays."""
        said = self.shown("room create", room=COVEN, owner="juliet@montague.lit")
        self.assertEqual(said, [f"room {COVEN} was created; its owner is juliet@montague.lit"])
        self.assertIn("affiliation='none'", self.enter(self.romeo, "Romeo", room=COVEN)[0])
        self.romeo.send(f"<presence type='unavailable' to='{COVEN}/Romeo'/>")
        self.assertIn("affiliation='owner'", self.enter(self.juliet, "Juliet", room=COVEN)[0])
        again = self.refused("room create", room=COVEN, owner="juliet@montague.lit")
        self.assertEqual(again, f"room {COVEN} already exists")
        for wrong in ("montague.lit", "coven@montague.lit", SERVICE, f"{COVEN}/x"):
            self.assertIn(
                SERVICE, self.refused("room create", room=wrong, owner="juliet@montague.lit")
            )

    def test_destroy(self) -> None:
        """Who is in a room that is destroyed is told where to go."""
        said = self.shown("room destroy", room=ORCHARD, forward=COVEN, reason="Dawn")
        self.assertEqual(said, [f"room {ORCHARD} was destroyed"])
        told = "".join(self.juliet.received())
        self.assertIn(COVEN, told)
        self.assertIn("Dawn", told)
        self.assertIn("gone", self.enter(self.juliet, "Juliet")[0])
        self.assertIn("the room does not exist", self.refused("room destroy", room=COVEN))

    def test_affiliation(self) -> None:
        """Affiliations are changed without being in; the last owner stays (RM-7)."""
        self.give(
            "room affiliation", room=ORCHARD, person="juliet@montague.lit", affiliation="admin"
        )
        self.assertIn("affiliation='admin'", "".join(self.juliet.received()))
        last = self.refused(
            "room affiliation", room=ORCHARD, person="romeo@montague.lit", affiliation="none"
        )
        self.assertIn("owner", last)

    def test_kick(self) -> None:
        """Somebody is kicked, and told why."""
        said = self.shown("room kick", room=ORCHARD, nick="Juliet", reason="Late")
        self.assertEqual(said, [f"Juliet was removed from {ORCHARD}"])
        told = "".join(self.juliet.received())
        self.assertEqual(codes(told), {110, 307})
        self.assertIn("Late", told)
        self.refused("room kick", room=ORCHARD, nick="Juliet")

    def test_config(self) -> None:
        """Fields are shown, and changed; a password is not shown."""
        changed = ["roomname=Orchard", "maxusers=none", "roomsecret=balcony"]
        rows = self.shown("room config", room=ORCHARD, set=changed)
        self.assertIn("RoomConfigRow(field='muc#roomconfig_maxusers', value='none')", rows)
        self.assertIn("RoomConfigRow(field='muc#roomconfig_roomsecret', value='(not shown)')", rows)
        self.assertNotIn("balcony", str(rows))
        self.assertEqual(rows, self.shown("room config", room=ORCHARD))
        self.assertEqual(codes("".join(self.juliet.received())), {104})
        wrong = self.refused("room config", room=ORCHARD, set=["maxusers=-1"])
        self.assertIn("muc#roomconfig_maxusers", wrong)
        self.assertIn("maxusers", self.refused("room config", room=ORCHARD, set=["walls=4"]))
        self.refused("room config", room=ORCHARD, set=["walls"])

    def test_for_administrators(self) -> None:
        """Nobody else is let do that."""
        romeo = Actor(JID.parse("romeo@montague.lit/1"), ROLES["user"])
        self.assertRaises(Refused, self.give_by, romeo, "room list")


class WrittenRoomTests(CommandCase):
    """Rooms are written, and read again."""

    def written_to(self, *lines: str) -> str:
        path = Path(self.mktemp())
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def test_there_and_back(self) -> None:
        """A room that was destroyed is made again as it was."""
        self.administer(self.romeo, "<item affiliation='member' jid='juliet@montague.lit'/>")
        self.shown("room config", room=ORCHARD, set=["persistentroom=1", "roomsecret=balcony"])
        lines = self.shown("room export")
        self.assertEqual(lines, self.shown("room export", room=ORCHARD))
        file = self.written_to(*lines)
        self.assertIn("already", self.shown("room import", file=file)[0])
        self.shown("room destroy", room=ORCHARD)
        self.assertEqual(self.shown("room import", file=file), ["rooms created: 1"])
        again = self.shown("room export")
        before, after = ([read_room(line.encode()) for line in each] for each in (lines, again))
        self.assertEqual(before, after)
        entered = self.enter(self.juliet, "Juliet", "<password>balcony</password>")
        self.assertIn("affiliation='member'", entered[0])

    def test_whole(self) -> None:
        """All that is kept of a room is written, but who is in."""
        room = replace(WHOLE, key=bytes(32), affiliated=WHOLE.affiliated[:3])
        read = read_room(written(room))
        config = replace(room.config, avatarhash="")  # the card stays behind
        self.assertEqual(read, replace(room, config=config, occupants=()))

    def test_wrong(self) -> None:
        """What is no room is said by its line, and the others are made."""
        room = KeptRoom(JID.parse(COVEN), WHOLE.config, bytes(32), 1.0)
        good = written(room).decode()
        file = self.written_to(
            "{",
            good.replace(COVEN, SERVICE),
            good.replace(COVEN, "coven@montague.lit"),
            good.replace('"maxhistoryfetch":100', '"maxhistoryfetch":101'),
            good.replace('"key"', '"kay"'),
            good,
        )
        said = self.shown("room import", file=file)
        self.assertEqual([each[:6] for each in said[:5]], [f"line {n}" for n in range(1, 6)])
        self.assertIn("maxhistoryfetch", said[3])
        self.assertEqual(said[5:], ["rooms created: 1"])

    def test_no_file(self) -> None:
        """A file that is not there makes no room."""
        self.assertIn("rooms created: 0", self.refused("room import", file="nowhere"))

    def test_by_form(self) -> None:
        """Files are read and written at the server's own machine only."""
        prince = Actor(JID.parse("prince@montague.lit/1"), ROLES["admin"])
        self.assertRaises(Refused, self.give_by, prince, "room export")
        self.assertRaises(Refused, self.give_by, prince, "room import", file="x")


class ExplanationTests(CommandCase):
    """Why somebody is not in a room, or not heard."""

    def explained(self, person: str, room: str = ORCHARD, **more: str) -> list[str]:
        """The codes of what is found."""
        said = self.give("explain room", room=room, person=person, **more)
        return [str(getattr(each, "code", each)) for each in said]

    def test_in(self) -> None:
        """Who is in is said to be, by account and by session."""
        for person in ("juliet@montague.lit", "juliet@montague.lit/1"):
            self.assertEqual(self.explained(person), ["is_in"])
        self.assertEqual(self.explained("juliet@montague.lit/2"), ["may_enter"])

    def test_no_room(self) -> None:
        """A room that is not there has nobody in."""
        self.assertEqual(self.explained("juliet@montague.lit", COVEN), ["no_room"])
        self.assertIn(SERVICE, self.refused("explain room", room="a@b.lit", person="c@b.lit"))

    def test_out(self) -> None:
        """All that keeps somebody out is named, and by whom they were banned and why."""
        ban = "<item affiliation='outcast' jid='capulet.lit'><reason>A plague</reason></item>"
        self.administer(self.romeo, ban)
        (finding,) = self.give("explain room", room=ORCHARD, person="tybalt@capulet.lit")
        for part in ("capulet.lit is banned by romeo@montague.lit", "A plague"):
            self.assertIn(part, str(finding))
        changes = ["membersonly=1", "roomsecret=x", "lock_nicks=1", "maxusers=1"]
        self.shown("room config", room=ORCHARD, set=changes)
        self.assertEqual(
            self.explained("prince@montague.lit"), ["members_only", "password", "full"]
        )

    def test_heard(self) -> None:
        """Who speaks is heard, if they are in and have voice."""
        romeo, juliet = "romeo@montague.lit", "juliet@montague.lit"
        self.assertEqual(self.explained(romeo, speaker=juliet), ["is_in", "heard"])
        self.administer(self.romeo, "<item role='visitor' nick='Juliet'/>")
        self.assertEqual(self.explained(romeo, speaker=juliet), ["is_in", "no_voice"])
        gone = self.explained(romeo, speaker="prince@montague.lit")
        self.assertEqual(gone, ["is_in", "speaker_out"])
