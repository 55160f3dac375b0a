"""Commands on sessions."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain

from msgspec.structs import asdict

from xmppd.auth.tokens import Tokens
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Address, Flag, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.ctl.users import MAX_ACCOUNTS_AT_ONCE
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, Condition, StreamCondition, StreamError
from xmppd.stanza.phrases import counted

MAX_ROWS = 1_000_000
SESSION = "such as romeo@example.org/orchard"


class SessionRow(Row, frozen=True):
    """A session, in a list."""

    least = ("device", "priority", "mechanism", "encrypted", "available")

    jid: str
    state: str
    address: str
    encrypted: bool
    mechanism: str | None
    device: str | None
    since: str | None
    idle_s: int
    available: bool
    priority: int
    sent: int
    slowed: int


class SessionShown(SessionRow, frozen=True):
    """All data of a session; its state is that of its presence, and what it sent was by its present
    connection.
    """

    messages: int
    presences: int
    iqs: int
    sent_bytes: int
    got: int
    got_bytes: int
    errors: int
    tls: str | None
    binding: str | None
    software: str
    stream: str


@dataclass(frozen=True)
class SessionCommands:
    """The commands that show sessions, and end them."""

    sessions: SessionManager
    tokens: Tokens

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List the sessions that are bound: in the order of their JIDs if there is an end."""
        told = context.arguments
        bares = [jid.bare for jid in told.jids("account")]
        found: Iterable[LocalClientSession] = tuple(self.sessions.sessions.values())
        if bares:
            found = chain(*map(self.sessions.local_sessions, bares))
        found = (session for session in found if session.bound)
        if words := told.text("find").casefold():
            found = (session for session in found if _has(session, words))
        after, rows = next(iter(told.jids("after")), None), told.number("rows", 0)
        if after is not None:
            found = (session for session in found if session.jid.full > after.full)
        if rows or after is not None:
            by_jid = {session.jid.full: session for session in found}
            found = map(by_jid.__getitem__, nsmallest(rows or MAX_ROWS, by_jid))
        for session in found:
            yield _row(session, "detached" if session.detached else "connected")

    async def show(self, context: CommandContext) -> Replies:
        """Show a session that is bound."""
        session = self.sessions.session(context.arguments.jid("jid"))
        if session is None or not session.bound:
            raise Refused("the session does not exist", Condition.ITEM_NOT_FOUND)
        login, row = session.login, _row(session, _state(session))
        counted = session.connection.counts.so_far()
        yield SessionShown(
            **asdict(row),
            messages=counted.messages,
            presences=counted.presences,
            iqs=counted.iqs,
            sent_bytes=counted.came_bytes,
            got=counted.got,
            got_bytes=counted.went_bytes,
            errors=counted.errors,
            tls=session.connection.tls_version,
            binding=login.binding if login is not None else None,
            software=session.agent,
            stream=session.id,
        )

    async def end(self, context: CommandContext) -> Replies:
        """End all sessions of a bare JID, or that of a full JID; there must be one."""
        told = context.arguments
        reason = told.text("reason", "an administrator ended this session")
        error = StreamError(StreamCondition.NOT_AUTHORIZED, reason)
        jids = told.jids("jid")
        ended: dict[JID, int] = {}
        dry = context.dry_run
        for jid in jids:
            if dry:
                ended[jid] = len(self._there(jid))
                continue
            if told.flag("revoke"):
                await self._revoke(jid)
            ended[jid] = self._close(jid, error)
        if not any(ended.values()):
            named = ", ".join(map(str, jids))
            raise Refused(f"{named} has no session", Condition.ITEM_NOT_FOUND)
        for jid, count in ended.items():
            sessions = f"{counted(count, 'session')} of {jid}"
            yield f"would end {sessions}" if dry else f"ended {sessions}"

    def _close(self, jid: JID, error: StreamError) -> int:
        if jid.is_bare:
            return self.sessions.close_all(jid.bare, error)
        for session in self._there(jid):
            session.connection.close(error)
            return 1
        return 0

    def _there(self, jid: JID) -> list[LocalClientSession]:
        """The session of a full JID, or all of a bare one."""
        if jid.is_bare:
            return list(self.sessions.local_sessions(jid.bare))
        session = self.sessions.session(jid)
        return [] if session is None or not session.bound else [session]

    async def _revoke(self, jid: JID) -> None:
        """Revoke the tokens of a session, or of all devices of an account."""
        for session in tuple(self.sessions.local_sessions(jid.bare)):
            if session.login is not None and jid in (session.jid, session.jid.to_bare()):
                await self.tokens.revoke(jid.bare, session.login.agent.id)


def _has(session: LocalClientSession, words: str) -> bool:
    """Whether a session has these words in its JID, its address, or the name of its client."""
    login = session.login
    device = (login is not None and login.agent.device) or ""
    names = f"{device}\n{session.agent}\n{session.software}"
    text = f"{session.jid.full}\n{session.connection.address}\n{names}"
    return words in text.casefold()


def _row(session: LocalClientSession, state: str) -> SessionRow:
    login = session.login
    return SessionRow(
        jid=session.jid.full,
        state=state,
        address=session.connection.address,
        encrypted=session.connection.encrypted,
        mechanism=login.mechanism if login is not None else None,
        device=login.agent.device if login is not None else None,
        since=iso(session.since),
        idle_s=round(session.connection.silent_s),
        available=session.presence is not None,
        priority=session.priority,
        sent=sum(session.connection.counts.came),
        slowed=session.connection.counts.slowed,
    )


def _state(session: LocalClientSession) -> str:
    """The state in its presence."""
    presence = session.presence
    if presence is None:
        return "unavailable"
    show = presence.show
    presence.payload.forget_trees()
    return show or "available"


COMMANDS: tuple[Declared[SessionCommands], ...] = (
    Declared(
        Description(
            "session list",
            "list sessions",
            (
                Argument("--account", "only sessions of this account", AccountName()),
                Argument("--find", "only sessions with this in the JID, IP address or client"),
                Argument("--after", "only sessions whose JIDs sort after this one", Address()),
                Argument("--rows", "at most this many rows from each node", Number(1, MAX_ROWS)),
            ),
            asks="all",
            area="sessions",
            empty="no session was found",
        ),
        SessionCommands.list_all,
        (SessionRow,),
    ),
    Declared(
        Description(
            "session show",
            "show everything about a session",
            (Argument("jid", SESSION, Address()),),
            asks="all",
            area="sessions",
            answers="record",
        ),
        SessionCommands.show,
        (SessionShown,),
    ),
    Declared(
        Description(
            "session end",
            "end a session, or all sessions of an account",
            (
                Argument(
                    "jid",
                    f"{SESSION}; without the resource, all sessions of the account",
                    Address(),
                    MAX_ACCOUNTS_AT_ONCE,
                ),
                Argument("--reason", "a reason, which the client receives"),
                Argument(
                    "--revoke",
                    "revoke the client's tokens too, so that it needs the password again",
                    Flag(),
                ),
                DRY_RUN,
            ),
            "ends",
            asks="all",
            area="sessions",
        ),
        SessionCommands.end,
    ),
)
