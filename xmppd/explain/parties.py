"""The two parties of an explanation, as far as they are known."""

from collections.abc import Iterator
from dataclasses import dataclass

from xmppd.explain.finding import Finding
from xmppd.roster.roster import Roster
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.remote_session import RemoteSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Stanza
from xmppd.stanza.phrases import counted, listed


@dataclass(frozen=True, slots=True)
class Party:
    """One of the two parties.

    Attributes:
        jid: As it was named, bare or full.
        local: Whether its domain is ours.
        exists: Whether there is such an account; guests have none.
        disabled: Whether an administrator closed it.
        sessions: Those of the account, or the one of the resource that was named.
        others: The account's other sessions.
        roster: Its roster; None if it is elsewhere.
    """

    jid: JID
    local: bool
    exists: bool
    disabled: bool
    sessions: tuple[Session, ...]
    others: tuple[Session, ...]
    roster: Roster | None

    @property
    def known(self) -> bool:
        """Whether there is an account, or a guest that is here."""
        return self.exists or bool(self.sessions or self.others)

    @property
    def available(self) -> tuple[Session, ...]:
        """Those of its sessions that sent presence."""
        return tuple(session for session in self.sessions if session.presence is not None)


async def party(server: XMPPServer, jid: JID) -> Party:
    """The party with this address; its roster is read, and not kept in memory."""
    local = server.routing_table.is_local(jid)
    credentials = await server.store.accounts.credentials(jid.bare) if local and jid.local else None
    roster = await server.roster_manager.look(jid) if local and jid.local else None
    connected: tuple[Session, ...] = server.routing_table.sessions_here(jid.bare)
    if roster is not None:
        connected += await _elsewhere(server, jid.to_bare(), roster)
    named = tuple(s for s in connected if jid.is_bare or s.jid == jid)
    return Party(
        jid,
        local,
        exists=credentials is not None,
        disabled=credentials is not None and credentials.disabled,
        sessions=named,
        others=tuple(s for s in connected if s not in named),
        roster=roster,
    )


async def _elsewhere(server: XMPPServer, account: JID, roster: Roster) -> tuple[Session, ...]:
    """The sessions of an account on other nodes, each with the list in force for it."""
    sessions = await server.locations.look(account.bare)
    lists = await server.privacy_lists.lists(account) if sessions else None
    for session in sessions:
        named = session.privacy
        if lists is not None:
            session.privacy = lists.in_force(
                account,
                roster,
                active=None if named is None else named.active,
                invisible=named is not None and named.invisible,
            )
    return sessions


def inactive(sessions: tuple[Session, ...]) -> Iterator[Finding]:
    """The sessions whose clients are inactive."""
    for session in sessions:
        if not isinstance(session, LocalClientSession) or session.backlog is None:
            continue
        if not session.backlog.full:
            yield Finding(
                "inactive",
                f"the client of {session.jid} is in the background, so the server holds back what "
                f"is not urgent: {counted(session.backlog.size_bytes, 'byte')} at the moment",
                "CS-2",
            )


def elsewhere(sessions: tuple[Session, ...]) -> Iterator[Finding]:
    """The sessions on other nodes, of which not all is known here."""
    for session in sessions:
        if isinstance(session, RemoteSession):
            yield Finding(
                "on_node",
                f"{session.jid} is connected to node {session.location.node.name}; only that "
                "node knows what waits for it, and which directed presence it sent or received",
                "CL-12",
            )


def unread(sessions: tuple[Session, ...]) -> Iterator[Finding]:
    """The sessions that do not read stanzas which were sent to them."""
    for session in sessions:
        if not isinstance(session, LocalClientSession) or session.backlog is None:
            continue
        size_bytes = session.backlog.size_bytes
        if not session.backlog.full:
            continue
        if session.detached:
            yield Finding(
                "queue",
                f"{session.jid} has lost its connection and may resume; bytes that wait for it: "
                f"{size_bytes}",
                "RS-4",
            )
        else:
            yield Finding(
                "queue",
                f"{session.jid} reads slowly; bytes that wait for it: {size_bytes}",
                "SE-9",
            )


def intercepted(server: XMPPServer, kind: type[Stanza]) -> Iterator[Finding]:
    """The plugins that may change or stop such a stanza; they are not asked."""
    interceptors = server.interceptors
    for table, way in ((interceptors.incoming, "arrives"), (interceptors.outgoing, "leaves")):
        plugins = interceptors.plugins(table[kind])
        if plugins:
            many = "plugin" if len(plugins) == 1 else "plugins"
            yield Finding(
                "interceptor",
                f"the {many} {listed(plugins)} may change or stop a {kind.name} that {way}; "
                "explain did not try that",
                "IN-3",
            )


__all__ = ["Party", "elsewhere", "inactive", "intercepted", "party", "unread"]
