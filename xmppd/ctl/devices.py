"""Commands on the clients that have access to an account."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from msgspec.structs import replace

from xmppd.account.devices import Devices, KnownDevice
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.other_nodes import OtherNodes, gathered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNT, check_asked, existing
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, Condition
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted


class DeviceRow(Row, frozen=True):
    """A client that has access.

    Attributes:
        mechanisms: The mechanisms by which its sessions have logged in.
    """

    least = ("mechanisms", "first_seen", "token_expires")

    device: str
    name: str
    software: str
    sessions: int
    mechanisms: list[str]
    first_seen: str
    last_seen: str
    token_expires: str | None


@dataclass(frozen=True)
class DeviceCommands:
    """Commands that users may give on the clients of their own account, and administrators on
    any.

    Attributes:
        devices: Those that have tokens, or are online.
        sessions: Of this node.
        exists: Whether there is an account of a bare JID.
    """

    devices: Devices
    sessions: SessionManager
    exists: Callable[[str], Awaitable[bool]]

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List clients that are online, and those that have a token."""
        account = context.arguments.jid("account")
        elsewhere = await gathered(context.others, "device list", {"account": account.bare})
        found = {row.device: row for row in map(_row, await self.devices.of(account))}
        for row in elsewhere.rows:
            if isinstance(row, DeviceRow):
                known = found.get(row.device)
                found[row.device] = row if known is None else _together(known, row)
        if not found:
            await existing(self.exists, [account])
        for row in sorted(found.values(), key=lambda row: not row.sessions):
            yield row
        elsewhere.check()

    async def revoke(self, context: CommandContext) -> Replies:
        """Revoke a client's access; the one that asks for it stays, without a token."""
        account = context.arguments.jid("account")
        wanted, every = context.arguments.text("device"), not context.arguments.given("device")
        asker = None if context.actor.jid is None else self.sessions.session(context.actor.jid)
        ids = await self._ids(account, context.others) if every else [wanted.strip()]
        asked = [await self.devices.revoke(account, id, spare=asker) for id in ids]
        revoked = [each for each in asked if each is not None]
        if not revoked:
            await existing(self.exists, [account])
            why = f"{account} has no device" if every else f"{account} does not have that device"
            raise Refused(why, Condition.ITEM_NOT_FOUND)
        yield f"revoked {counted(len(revoked), 'device')} of {account}"
        knowing = sum(each.knows_password for each in revoked)
        if knowing:
            yield f"{knowing} of them may return, because they know the password; change it"
        check_asked({node for each in revoked for node in each.ended.unasked})

    async def _ids(self, account: JID, others: OtherNodes) -> list[str]:
        """The public ids of all devices of an account, also of those that only another node has."""
        elsewhere = await gathered(others, "device list", {"account": account.bare})
        here = [device.id for device in await self.devices.of(account)]
        there = [row.device for row in elsewhere.rows if isinstance(row, DeviceRow)]
        return list(dict.fromkeys([*here, *there]))


def _row(device: KnownDevice) -> DeviceRow:
    logins = [session.login for session in device.sessions]
    return DeviceRow(
        device=device.id,
        name=device.agent.device,
        software=device.agent.software,
        sessions=len(device.sessions),
        mechanisms=sorted({login.mechanism for login in logins if login is not None}),
        first_seen=date_time(device.first_seen),
        last_seen=date_time(device.last_seen),
        token_expires=None if device.expires is None else date_time(device.expires),
    )


def _together(one: DeviceRow, other: DeviceRow) -> DeviceRow:
    """A device that has sessions at several nodes, or a token that all of them know."""
    return replace(
        one,
        sessions=one.sessions + other.sessions,
        mechanisms=sorted({*one.mechanisms, *other.mechanisms}),
        first_seen=min(one.first_seen, other.first_seen),
        last_seen=max(one.last_seen, other.last_seen),
    )


COMMANDS: tuple[Declared[DeviceCommands], ...] = (
    Declared(
        Description(
            "device list", "list the clients that have access to an account", (ACCOUNT,),
            who="owner", needs="store", area="accounts",
        empty="no client holds a token for this account",),
        DeviceCommands.list_all,
        (DeviceRow,),
    ),
    Declared(
        Description(
            "device revoke",
            "revoke the tokens of a client, or of all clients, and end their sessions",
            (ACCOUNT, Argument("--device", 'the id that "device list" shows; all by default')),
            "changes", who="owner", needs="store", area="accounts",
        ),
        DeviceCommands.revoke,
    ),
)  # fmt: skip
