"""Commands on the clients that have access to an account."""

from collections.abc import AsyncGenerator

from xmppd.account.devices import KnownDevice
from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, account
from xmppd.ctl.protocol import Refused, Reply
from xmppd.stanza import StreamCondition, StreamError
from xmppd.stanza.date_time import date_time

_ACCOUNT = Argument("account", "such as romeo@example.org")


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    for device in await context.server.devices.of(account(context, arguments.text("account"))):
        yield _row(device)


def _row(device: KnownDevice) -> Reply:
    return {
        "device": device.id,
        "name": device.agent.device,
        "software": device.agent.software,
        "sessions": len(device.sessions),
        "first_seen": date_time(device.first_seen),
        "last_seen": date_time(device.last_seen),
        "token_expires": None if device.expires is None else date_time(device.expires),
    }


async def _revoke(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    devices = context.server.devices
    wanted = arguments.text("device")
    reason = StreamError(StreamCondition.NOT_AUTHORIZED, "an administrator revoked this client")
    ids = [device.id for device in await devices.of(jid) if wanted in ("", device.id)]
    if not ids:
        raise Refused(f"{jid} has no such device" if wanted else f"{jid} has no device")
    for id in ids:
        await devices.revoke(jid, id, reason)
    yield f"devices of {jid} that were revoked: {len(ids)}; one that knows the password may return"


COMMANDS = (
    Command(
        "device list",
        "list the clients that have access to an account",
        _list,
        (_ACCOUNT,),
    ),
    Command(
        "device revoke",
        "take the tokens of a client, or of all, and end its sessions",
        _revoke,
        (_ACCOUNT, Argument("--device", "as device list has it; all without it")),
    ),
)
