"""The store is away at each write in turn: nothing was told of a room that is not there afterwards,
and what is there is what its people see (RM-3).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.plugins.muc.halls import MUC, ORCHARD
from tests.plugins.room_archive.orchards import OrchardCase
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client

COMMANDS = "http://jabber.org/protocol/commands"
HATS = "urn:xmpp:hats:0:commands"
MOST_WRITES = 5


@dataclass(frozen=True)
class Deed:
    """Something that an owner does.

    Attributes:
        sends: What their client sends.
        is_told: What another one in the room is told by which it knows.
        is_there: What somebody finds later: in what they are shown when they enter, or in what the
            owner is answered.
        asked: What the owner asks then.
    """

    sends: str
    is_told: str
    is_there: str
    asked: str = ""


def iq(inner: str, kind: str = "set") -> str:
    """A request to the room."""
    return f"<iq type='{kind}' id='i' to='{ORCHARD}'>{inner}</iq>"


def admin(item: str) -> str:
    """A query about lists."""
    return f"<query xmlns='{MUC}#admin'>{item}</query>"


def command(name: str, **values: str) -> str:
    """A command about hats, filled in."""
    fields = "".join(
        f"<field var='hats#{var}'><value>{value}</value></field>" for var, value in values.items()
    )
    form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
    return f"<command xmlns='{COMMANDS}' node='{HATS}:{name}'>{form}</command>"


INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
CONFIG = (
    f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'><field "
    "var='muc#roomconfig_roomname'><value>Below</value></field></x></query>"
)
DEEDS = {
    "configured": Deed(iq(CONFIG), "code='104'", "name='Below'", iq(INFO, "get")),
    "member": Deed(
        iq(admin("<item jid='nurse@montague.lit' affiliation='member'/>")),
        "affiliation='member'",
        "nurse@montague.lit",
        iq(admin("<item affiliation='member'/>"), "get"),
    ),
    "banned": Deed(
        iq(admin("<item jid='tybalt@montague.lit' affiliation='outcast'/>")),
        "affiliation='outcast'",
        "tybalt@montague.lit",
        iq(admin("<item affiliation='outcast'/>"), "get"),
    ),
    "hat": Deed(
        iq(command("create", uri="u", title="Poet")),
        "code='104'",
        "<value>Poet</value>",
        iq(f"<command xmlns='{COMMANDS}' node='{HATS}:list'/>"),
    ),
    "card": Deed(
        iq("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>aGk=</BINVAL></PHOTO></vCard>"),
        "code='104'",
        "avatarhash",
        iq(INFO, "get"),
    ),
    "subject": Deed(
        f"<message type='groupchat' to='{ORCHARD}'><subject>Love</subject></message>",
        "<subject>Love</subject>",
        "<subject>Love</subject>",
    ),
    "said": Deed(
        f"<message type='groupchat' to='{ORCHARD}'><body>Ay me</body></message>",
        "<body>Ay me</body>",
        "<body>Ay me</body>",
    ),
    "destroyed": Deed(
        iq(f"<query xmlns='{MUC}#owner'><destroy/></query>"), "<destroy", "code='201'"
    ),
}  # fmt: skip


class StoreAwayTests(OrchardCase):
    """Romeo owns the orchard, in which everybody is known; Juliet is in."""

    people: tuple[str, ...] = ("romeo", "juliet", "nurse", "tybalt")

    def setUp(self) -> None:
        """Each deed begins anew."""

    def begin(self) -> tuple[Client, Client]:
        super().setUp()
        romeo, juliet = self.kept("juliet", whois="anyone")
        return romeo, juliet

    def fail_at(self, number: int) -> Callable[[], bool]:
        """Have one write fail, by its number from here on; returns a function that says whether
        there was one.
        """
        database = self.house.store.database
        writes = {"write": database.write, "append": database.append}
        count = 0

        def guarded(name: str) -> Callable[..., Awaitable[object]]:
            async def write(*args: object, **more: object) -> object:
                nonlocal count
                count += 1
                if count == number:
                    raise StoreError("away")
                return await writes[name](*args, **more)  # type: ignore[operator]

            return write

        undo = [self.patch(database, name, guarded(name)) for name in writes]

        def over() -> bool:
            for each in undo:
                each.restore()
            return count >= number

        return over

    def seen_later(self, deed: Deed) -> str:
        """What is there when the server was started again."""
        self.house = self.house.restarted()
        romeo = self.client("romeo")
        found = self.enter(romeo, "Romeo")
        romeo.send(deed.asked)
        return "".join(found) + "".join(romeo.received())

    def test_each(self) -> None:
        """Whichever write fails, what was told is there, and what was refused is not (RM-3)."""
        for name, deed in DEEDS.items():
            for number in range(1, MOST_WRITES + 1):
                with self.subTest(name, write=number):
                    romeo, juliet = self.begin()
                    over = self.fail_at(number)
                    romeo.send(deed.sends)
                    self.house.clock.advance(1)
                    has_failed = over()
                    told = deed.is_told in "".join(juliet.received())
                    answer = "".join(romeo.received())
                    there = deed.is_there in self.seen_later(deed)
                    self.assertLessEqual(told, there, "it was told, and is not there")
                    if not has_failed:
                        self.assertTrue(told and there)
                        break
                    if not told:
                        self.assertIn("type='error'", answer)
            else:
                self.fail(f"{name} takes more than {MOST_WRITES} writes")
