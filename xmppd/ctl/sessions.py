"""Commands on sessions."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, account, address
from xmppd.ctl.protocol import Refused, Reply, Row
from xmppd.ctl.users import iso
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, StreamCondition, StreamError


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted = account(context, arguments.text("account")).bare if arguments.given("account") else ""
    for session in tuple(context.server.session_manager.sessions.values()):
        if session.bound and wanted in ("", session.jid.bare):
            yield _row(session)


def _row(session: LocalClientSession) -> Row:
    login = session.login
    return {
        "jid": session.jid.full,
        "state": "detached" if session.detached else "connected",
        "address": session.connection.address,
        "encrypted": session.connection.encrypted,
        "mechanism": login.mechanism if login is not None else None,
        "device": login.agent.device if login is not None else None,
        "since": iso(session.since),
        "idle_s": round(session.connection.silent_s),
        "available": session.presence is not None,
        "priority": session.priority,
    }


async def _show(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    session = context.server.session_manager.session(address(arguments.text("jid")))
    if session is None or not session.bound:
        raise Refused("there is no such session")
    login = session.login
    yield {
        **_row(session),
        "state": _state(session),
        "tls": session.connection.tls_version,
        "binding": login.binding if login is not None else None,
        "software": (login.agent.software if login is not None else "") or session.software,
        "stream": session.id,
    }


def _state(session: LocalClientSession) -> str:
    """What its presence says."""
    presence = session.presence
    if presence is None:
        return "unavailable"
    show = presence.show
    presence.payload.forget_trees()
    return show or "available"


async def _end(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = address(arguments.text("jid"))
    if arguments.flag("revoke"):
        await _revoke(context, jid)
    reason = arguments.text("reason", "an administrator ended this session")
    error = StreamError(StreamCondition.POLICY_VIOLATION, reason)
    sessions = context.server.session_manager
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


async def _revoke(context: CommandContext, jid: JID) -> None:
    """Take the tokens of a session, or of all that an account has."""
    for session in tuple(context.server.session_manager.local_sessions(jid.bare)):
        if session.login is not None and jid in (session.jid, session.jid.to_bare()):
            await context.server.tokens.revoke(jid.bare, session.login.agent.id)


COMMANDS = (
    Command(
        "session list",
        "list who is connected",
        _list,
        (Argument("--account", "only sessions of this account"),),
        needs="server",
    ),
    Command(
        "session show",
        "all there is to know of a session",
        _show,
        (Argument("jid", "such as romeo@example.org/orchard"),),
        needs="server",
    ),
    Command(
        "session end",
        "close a session, or all of an account",
        _end,
        (
            Argument("jid", "such as romeo@example.org/orchard; without the resource, all"),
            Argument("--reason", "told to the client"),
            Argument("--revoke", "take its tokens too: it has to give the password again", "flag"),
        ),
        needs="server",
    ),
)
