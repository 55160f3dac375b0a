"""Commands on sessions."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, Desk, account, address
from xmppd.ctl.protocol import Refused, Reply
from xmppd.ctl.users import iso
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import StreamCondition, StreamError


async def _list(desk: Desk, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted = account(desk, arguments.text("account")).bare if arguments.given("account") else ""
    for session in tuple(desk.server.session_manager.sessions.values()):
        if session.bound and wanted in ("", session.jid.bare):
            yield _row(session)


def _row(session: LocalClientSession) -> Reply:
    return {
        "jid": session.jid.full,
        "state": "sleeping" if session.asleep else "connected",
        "address": session.connection.address,
        "encrypted": session.connection.encrypted,
        "since": iso(session.since),
        "available": session.presence is not None,
        "priority": session.priority,
    }


async def _kick(desk: Desk, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = address(arguments.text("jid"))
    reason = arguments.text("reason", "an administrator ended this session")
    error = StreamError(StreamCondition.POLICY_VIOLATION, reason)
    sessions = desk.server.session_manager
    if jid.is_bare:
        ended = sessions.end_account(jid.bare, error)
    else:
        session = sessions.session(jid)
        ended = 0 if session is None or not session.bound else 1
        if session is not None and session.bound:
            session.connection.close(error)
    if not ended:
        raise Refused(f"{jid} has no session")
    yield f"sessions of {jid} that ended: {ended}"


COMMANDS = (
    Command(
        "session list",
        "list who is connected",
        _list,
        (Argument("--account", "only sessions of this account"),),
        needs="server",
    ),
    Command(
        "session kick",
        "close a session, or all of an account",
        _kick,
        (
            Argument("jid", "such as romeo@example.org/orchard; without the resource, all"),
            Argument("--reason", "told to the client"),
        ),
        needs="server",
    ),
)
