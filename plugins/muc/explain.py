"""Why somebody is not in a room, or does not hear somebody there."""

from collections.abc import Sequence
from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, StanzaError

from .asker import RoomAsker, Seen
from .privileges import RolePrivilege, first_role, may
from .ranks import Role, RoomAffiliation
from .state import Affiliated, KeptRoom
from .store import RoomStore

EXPLAIN = Description(
    "explain room",
    "show why someone cannot enter a room, or does not get messages there",
    (
        Argument("room", "such as coven@conference.example.org", Address()),
        Argument("person", "the account that cannot enter or gets no messages", Address()),
        Argument("--speaker", "the account whose messages are missing", Address()),
    ),
    answers="sentences",
    area="trace",
)


class RoomFindingRow(Row, frozen=True):
    """A finding, with its rule."""

    code: str
    rule: str
    says: str


@dataclass(frozen=True)
class RoomExplanations:
    """Explains who is in a room and who is not.

    Attributes:
        asker: Asks rooms.
        store: Keeps them.
    """

    asker: RoomAsker
    store: RoomStore

    def command(self) -> Command:
        """The command."""
        return Command(EXPLAIN, self.run, (RoomFindingRow,))

    async def run(self, context: CommandContext) -> Replies:
        """A row for each finding, the most important one first."""
        told = context.arguments
        jid, person = told.jid("room"), told.jid("person")
        try:
            self.asker.service(jid)
            room = await self.store.load(jid)
            seen = [] if room is None else await self.asker.occupants(jid)
        except StanzaError as error:
            raise Refused(error.text or error.condition.tag, error.condition) from error
        if room is None:
            yield RoomFindingRow("no_room", "RM-10", f"Room {jid} does not exist.")
            return
        here = _sessions(seen, person)
        if not here:
            for finding in why_out(room, person, len({each.nick for each in seen})):
                yield finding
            return
        nicks = ", ".join(dict.fromkeys(each.nick for each in here))
        says = f"{person} is in the room as {nicks}, with the role {here[0].role}."
        yield RoomFindingRow("is_in", "RM-13", says)
        if told.given("speaker"):
            for finding in why_unheard(room, told.jid("speaker"), seen):
                yield finding


def _sessions(seen: Sequence[Seen], person: JID) -> list[Seen]:
    """The sessions of somebody that are in a room; all of an account's, if no resource is named."""
    return [each for each in seen if person.full in (each.jid, JID.prepared(each.jid).bare)]


def why_out(room: KeptRoom, person: JID, occupants: int) -> list[RoomFindingRow]:
    """What keeps somebody out of a room in which they are not, or would if they came."""
    found = []
    entry = _entry(room, person)
    affiliation = RoomAffiliation.NONE if entry is None else entry.affiliation
    who, config = person.bare, room.config
    if entry is not None and affiliation is RoomAffiliation.OUTCAST:
        by = f" by {entry.actor}" if entry.actor else ""
        why = f": {entry.reason}" if entry.reason else ""
        found.append(RoomFindingRow("banned", "RM-10", f"{entry.jid} is banned{by}{why}."))
    elif first_role(affiliation, config) is Role.NONE:
        says = f"{room.jid} is for members only, and {who} is not a member."
        found.append(RoomFindingRow("members_only", "RM-10", says))
    if room.locked:
        says = f"{room.jid} is locked until its owner has configured it."
        found.append(RoomFindingRow("locked", "RM-24", says))
    if config.passwordprotectedroom:
        says = f"{room.jid} has a password, which {who} needs to enter."
        found.append(RoomFindingRow("password", "RM-10", says))
    if config.lock_nicks and entry is not None and entry.nick:
        says = f"{who} must use the nick {entry.nick}."
        found.append(RoomFindingRow("nick", "RM-10", says))
    is_full = config.maxusers is not None and occupants >= config.maxusers
    if is_full and not affiliation.leads:
        says = f"{room.jid} is full: it has room for {config.maxusers}."
        found.append(RoomFindingRow("full", "RM-10", says))
    if not found:
        says = f"{who} may enter {room.jid}, but has not done so, or has left."
        found.append(RoomFindingRow("may_enter", "RM-10", says))
    return found


def why_unheard(room: KeptRoom, speaker: JID, seen: Sequence[Seen]) -> list[RoomFindingRow]:
    """What keeps somebody from being heard by those in a room."""
    here = _sessions(seen, speaker)
    if not here:
        says = f"{speaker} is not in the room, so the room rejects the messages."
        return [RoomFindingRow("speaker_out", "RM-40", says)]
    if not may(Role(here[0].role), RolePrivilege.SPEAK, room.config):
        says = f"{speaker} is a {here[0].role} without voice."
        return [RoomFindingRow("no_voice", "RM-40", says)]
    says = f"The room sends the messages of {speaker} to all occupants."
    return [RoomFindingRow("heard", "RM-40", says)]


def _entry(room: KeptRoom, person: JID) -> Affiliated | None:
    """What counts for somebody in the lists of a room: their own entry, or that of their domain."""
    listed = {each.jid: each for each in room.affiliated}
    return listed.get(person.bare) or listed.get(person.domain)


__all__ = ["RoomExplanations", "why_out", "why_unheard"]
