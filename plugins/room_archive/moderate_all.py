"""A command of rooms by which all that somebody has said in the last day is taken back (RM-77)."""

from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.form import Field
from xmppd_plugins.archive.entries import ArchiveEntries, ArchiveEntry, Selection
from xmppd_plugins.archive.ids import first_at
from xmppd_plugins.archive.ids import microseconds_of as time_of
from xmppd_plugins.archive.routed import author_of
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.lists import WantedChanges
from xmppd_plugins.muc.privileges import RolePrivilege, check_role
from xmppd_plugins.muc.ranks import RoomAffiliation
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.room_command import RoomCommand, Values, value
from xmppd_plugins.muc.state import RoomChange

from .moderation import Moderation, check_reason, says_something

DAY_S = 86_400
MAX_TAKEN_BACK = 500
"""Messages, at once."""

MAX_LOOKED_AT = 20_000
"""Entries of an archive, at once."""

PAGE = 200


class ModerateAll(RoomCommand):
    """Takes back all that somebody has said in a room in the last day, whatever their nick was, and
    bans them if that is wanted.

    Args:
        hall: Where the rooms are.
        entries: Of their archives.
        moderation: Takes back one message.
    """

    node, title = "xmppd#moderate-all", "Remove all messages of a user from today"
    form_type = "xmppd#moderate-all"

    def __init__(self, hall: Hall, entries: ArchiveEntries, moderation: Moderation) -> None:
        self.hall = hall
        self.entries = entries
        self.moderation = moderation

    def check(self, room: Room, actor: JID) -> None:
        check_role(self.hall.standing(room, actor), RolePrivilege.MODERATE, room.config)
        if not self.moderation.memory.has(room):
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this room has no archive")

    def fields(self, room: Room) -> tuple[Field, ...]:
        return (
            Field("who", "Nick or address of the user", required=True),
            Field("reason", "Reason that everyone sees"),
            Field("ban", "Ban the user as well", "boolean", values=("0",)),
        )

    async def run(self, room: Room, actor: JID, values: Values) -> str:
        reason = value(values, "reason")
        check_reason(reason)
        since = int((self.hall.clocks.wall_clock() - DAY_S) * 1_000_000)
        since = max(since, time_of(self.moderation.memory.begins(room)))
        person = await self._person(room, value(values, "who"), since)
        if value(values, "ban") in ("1", "true"):
            await self._ban(room, actor, person, reason)
        found, is_all = await self._said_by(room, person, since)
        for entry in found:
            await self.moderation.take_back(room, actor, entry, reason)
        more = "" if is_all else "; there are more: run the command again"
        return f"messages removed: {len(found)}{more}"

    async def _person(self, room: Room, text: str, since: int) -> JID:
        """Whom a nick is of, or was of last in the archive; or the account of that address.

        Raises:
            StanzaError: ITEM_NOT_FOUND: nobody is, nor was.
        """
        occupant = room.occupant(text)
        if occupant is not None:
            return occupant.person
        nick = f"{room.jid.full}/{text}"
        part = Selection(after=first_at(since) - 1, peer=nick)
        for entry in await self.entries.page(room.jid.full, part, 1, backwards=True):
            author = author_of(entry.stanza or b"")
            if author is not None:
                return JID.prepared(author)
        try:
            person = JID.parse(text)
        except ValueError:
            person = room.jid.to_bare()
        if person.local is None or person.bare == room.jid.bare:
            raise StanzaError(
                Condition.ITEM_NOT_FOUND,
                f"nobody with the nick or address {text} was here in the last day",
            )
        return person.to_bare()

    async def _ban(self, room: Room, actor: JID, person: JID, reason: str) -> None:
        wanted = WantedChanges(room, actor, self.hall.standing(room, actor))
        listed = wanted.want_one(person, RoomAffiliation.OUTCAST, reason).affiliated
        if listed:
            await self.hall.change(room, RoomChange(affiliated=tuple(listed.values())), actor)

    async def _said_by(
        self, room: Room, person: JID, since: int
    ) -> tuple[list[ArchiveEntry], bool]:
        """What somebody has said since then, the oldest first, and whether that is all of it."""
        found: list[ArchiveEntry] = []
        after = first_at(since) - 1
        for _ in range(0, MAX_LOOKED_AT, PAGE):
            page = await self.entries.page(room.jid.full, Selection(after=after), PAGE)
            for entry in page:
                if author_of(entry.stanza or b"") != person.bare or entry.is_tombstone:
                    continue
                if says_something(entry):
                    if len(found) >= MAX_TAKEN_BACK:
                        return found, False
                    found.append(entry)
            if len(page) < PAGE:
                return found, True
            after = page[-1].position
        return found, False


__all__ = ["MAX_LOOKED_AT", "MAX_TAKEN_BACK", "ModerateAll"]
