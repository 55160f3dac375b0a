"""Commands about rooms, for administrators."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from xmppd.command.argument import DRY_RUN, MANY, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Choice, DomainName, FileName, Flag, Hidden, why_unread
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.date_time import date_time

from .asker import RoomAsker
from .config import RoomConfig
from .config_form import config_fields
from .occupant_ids import new_key
from .ranks import RoomAffiliation
from .state import Affiliated, Destroyed, KeptRoom
from .store import RoomStore
from .written_room import read_room, written

T = TypeVar("T")

PAGE = 500
HIDDEN = "muc#roomconfig_roomsecret"

_AFFILIATIONS = tuple(each.value for each in RoomAffiliation)
_ROOM = Argument("room", "such as coven@conference.example.org", Address())
_REASON = Argument("--reason", "a reason, which the occupants see")
_SERVICE = Argument(
    "--service", "a service, such as conference.example.org; all by default", DomainName(ours=False)
)
LIST = Description(
    "room list",
    "list the rooms of a service, or of all services",
    (
        _SERVICE,
        Argument("--orphans", "only rooms without an owner", Flag()),
    ),
    area="rooms",
    empty="no room was found",
)
SHOW = Description(
    "room show",
    "show a room and its occupants",
    (_ROOM,),
    area="rooms",
)
CREATE = Description(
    "room create",
    "create a room that stays when it is empty",
    (_ROOM, Argument("owner", "the owner's account", Address())),
    effect="changes",
    area="rooms",
)
DESTROY = Description(
    "room destroy",
    "destroy a room, with everything in it",
    (
        _ROOM,
        Argument("--forward", "the room to which the occupants are sent", Address()),
        _REASON,
        DRY_RUN,
    ),
    effect="ends",
    area="rooms",
)
AFFILIATION = Description(
    "room affiliation",
    "change the affiliation of an account, or of a whole domain",
    (
        _ROOM,
        Argument("person", "such as romeo@example.org", Address()),
        Argument("affiliation", "the new affiliation", Choice(_AFFILIATIONS)),
        _REASON,
    ),
    effect="changes",
    area="rooms",
)
KICK = Description(
    "room kick",
    "remove an occupant from a room",
    (_ROOM, Argument("nick", "the occupant's nick"), _REASON),
    effect="changes",
    area="rooms",
)
CONFIG = Description(
    "room config",
    "show or change a room's configuration",
    (_ROOM, Argument("--set", "a field and its new value, such as maxusers=50", Hidden(), MANY)),
    effect="changes",
    area="rooms",
)
ANNOUNCE = Description(
    "room announce",
    "send a message to all rooms that are not empty",
    (Argument("text", "the message"), _SERVICE),
    effect="changes",
    area="rooms",
)
EXPORT = Description(
    "room export",
    "export rooms without their messages, as a line of JSON for each room",
    (Argument("--room", "only this room", Address()),),
    answers="document",
    area="content",
)
IMPORT = Description(
    "room import",
    "import rooms from a file on this machine that `xmppctl room export` wrote",
    (Argument("file", "a file that the server can read", FileName()),),
    effect="changes",
    area="rooms",
)


class RoomRow(Row, frozen=True):
    """A room."""

    room: str
    title: str
    public: bool
    members_only: bool
    persistent: bool


class RoomFactRow(Row, frozen=True):
    """Something that is so of a room."""

    fact: str
    value: str


class RoomConfigRow(Row, frozen=True):
    """A field of a room's configuration."""

    field: str
    value: str


class RoomCommands:
    """The commands.

    Args:
        asker: Asks rooms.
        store: Keeps them.
        now: Tells the time, in seconds since 1970.
    """

    def __init__(self, asker: RoomAsker, store: RoomStore, now: Callable[[], float]) -> None:
        self.asker = asker
        self.store = store
        self.now = now

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            Command(LIST, self.list, (RoomRow,)),
            Command(SHOW, self.show, (RoomFactRow,)),
            Command(CREATE, self.create),
            Command(DESTROY, self.destroy),
            Command(AFFILIATION, self.affiliation),
            Command(KICK, self.kick),
            Command(CONFIG, self.config, (RoomConfigRow,)),
            Command(ANNOUNCE, self.announce),
            Command(EXPORT, self.export),
            Command(IMPORT, self.bring_in),
        ]

    # -- what there is ----------------------------------------------------------------------------

    async def list(self, context: CommandContext) -> Replies:
        """A row for each room."""
        orphans = context.arguments.flag("orphans")
        for service in self._services(context):
            async for name, config in self._lines(service, orphans=orphans):
                yield RoomRow(
                    name,
                    config.roomname,
                    config.publicroom,
                    config.membersonly,
                    config.persistentroom,
                )

    def _services(self, context: CommandContext) -> Sequence[str]:
        """The services that a command is about."""
        services, wanted = tuple(self.asker.services), context.arguments.text("service")
        if not wanted:
            return services
        if wanted not in services:
            raise Refused(
                f"{wanted} is not a service with rooms; use {' or '.join(services)}",
                Condition.ITEM_NOT_FOUND,
            )
        return (wanted,)

    async def _lines(
        self, service: str, *, orphans: bool = False
    ) -> AsyncIterator[tuple[str, RoomConfig]]:
        after, read = "", self.store.orphans if orphans else self.store.all
        while page := await read(service, PAGE, after):
            for line in page:
                yield line
            after = page[-1][0]

    async def show(self, context: CommandContext) -> Replies:
        """A row for each fact."""
        room = await self._room(context)
        yield RoomFactRow("name", room.config.roomname)
        yield RoomFactRow("description", room.config.roomdesc)
        yield RoomFactRow(
            "made", f"{date_time(room.created)} by {room.creator or 'an administrator'}"
        )
        if room.locked:
            yield RoomFactRow("locked", "until its owner configures it")
        for each in room.affiliated:
            more = f", {each.nick}" if each.nick else ""
            why = f" ({each.reason})" if each.reason else ""
            yield RoomFactRow(each.affiliation.value, f"{each.jid}{more}{why}")
        for hat in room.hats:
            yield RoomFactRow("hat", f"{hat.title}: {', '.join(hat.people)}")
        for seen in await _done(self.asker.occupants(room.jid)):
            yield RoomFactRow("occupant", f"{seen.nick}, {seen.jid}, {seen.role}")

    async def _room(self, context: CommandContext) -> KeptRoom:
        jid = context.arguments.jid("room")
        room = await self.store.load(jid)
        if room is None or not jid.is_bare:
            raise Refused(f"room {jid} does not exist", Condition.ITEM_NOT_FOUND)
        return room

    # -- what is done -----------------------------------------------------------------------------

    async def create(self, context: CommandContext) -> Replies:
        """Make one."""
        jid, owner = context.arguments.jid("room"), context.arguments.jid("owner")
        listed = Affiliated(owner.bare, RoomAffiliation.OWNER)
        config = RoomConfig(persistentroom=True)
        await _done(
            self.asker.make(KeptRoom(jid, config, new_key(), self.now(), affiliated=(listed,)))
        )
        yield f"room {jid} was created; its owner is {owner.bare}"

    async def destroy(self, context: CommandContext) -> Replies:
        """Destroy one."""
        jid, arguments = context.arguments.jid("room"), context.arguments
        if context.dry_run:
            await self._room(context)
            yield f"room {jid} would be destroyed, for everyone"
            return
        forward = arguments.jid("forward").bare if arguments.given("forward") else ""
        where = Destroyed(forward, arguments.text("reason", ""))
        await _done(self.asker.destroy(jid, where))
        yield f"room {jid} was destroyed"

    async def affiliation(self, context: CommandContext) -> Replies:
        """Change one."""
        jid, person = context.arguments.jid("room"), context.arguments.jid("person")
        wanted = RoomAffiliation(context.arguments.text("affiliation"))
        reason = context.arguments.text("reason", "")
        await _done(self.asker.affiliate(jid, person, wanted, reason))
        yield f"{person.bare} now has the affiliation {wanted.value} in {jid}"

    async def kick(self, context: CommandContext) -> Replies:
        """Kick somebody."""
        jid, nick = context.arguments.jid("room"), context.arguments.text("nick")
        await _done(self.asker.kick(jid, nick, context.arguments.text("reason", "")))
        yield f"{nick} was removed from {jid}"

    async def config(self, context: CommandContext) -> Replies:
        """Change some fields, then a row for each."""
        jid = context.arguments.jid("room")
        values: dict[str, list[str]] = {}
        for each in context.arguments.texts("set"):
            field, equals, value = each.partition("=")
            if not equals:
                raise Refused(f"{each} is not in the form field=value", Condition.BAD_REQUEST)
            values.setdefault(field, []).extend([value] if value else [])
        if values:
            await _done(self.asker.configure(jid, values))
        for line in config_fields((await self._room(context)).config):
            shown = ", ".join(line.values)
            yield RoomConfigRow(line.var, "(not shown)" if line.var == HIDDEN and shown else shown)

    async def announce(self, context: CommandContext) -> Replies:
        """Say something in all rooms."""
        for service in self._services(context):
            await _done(self.asker.announce(service, context.arguments.text("text")))
            yield f"sent to all rooms of {service} that are not empty"

    # -- out and in -------------------------------------------------------------------------------

    async def export(self, context: CommandContext) -> Replies:
        """Write them, a line for each."""
        if context.actor.way == "ad-hoc":
            raise Refused(
                "rooms can be exported only on the server's own machine", Condition.FORBIDDEN
            )
        if context.arguments.given("room"):
            yield written(await self._room(context)).decode()
            return
        async for line in self.everything():
            yield line.decode()

    async def everything(self) -> AsyncIterator[bytes]:
        """All rooms, a line for each."""
        for service in self.asker.services:
            async for name, _ in self._lines(service):
                room = await self.store.load(JID.prepared(name))
                if room is not None:
                    yield written(room)

    async def bring_in(self, context: CommandContext) -> Replies:
        """Make the rooms of a file; those that there are already stay as they are."""
        made = 0
        try:
            with Path(context.arguments.text("file")).open("rb") as file:
                for number, line in enumerate(file, 1):
                    try:
                        await self.asker.make(read_room(line))
                        made += 1
                    except (ValueError, StanzaError) as error:
                        yield f"line {number} was skipped: {_said(error)}"
        except OSError as error:
            raise Refused(f"{why_unread(error)}; rooms created: {made}") from error
        yield f"rooms created: {made}"


async def _done(work: Awaitable[T]) -> T:
    try:
        return await work
    except StanzaError as error:
        raise Refused(_said(error), error.condition) from error


def _said(error: Exception) -> str:
    return (error.text or error.condition.tag) if isinstance(error, StanzaError) else str(error)


__all__ = ["RoomCommands"]
