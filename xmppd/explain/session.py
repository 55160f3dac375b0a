"""How a session is, or why it has ended."""

from collections.abc import Iterator

from xmppd.explain.finding import Finding
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.ended_sessions import EndedSession
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, StreamCondition
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted, listed

KEEPS_HAPPENING = 3
"""Sessions that end in the same way so often do so for one reason."""

CONFLICT = StreamCondition.CONFLICT.value


def explain_session(server: XMPPServer, address: JID) -> list[Finding]:
    """The session of a full JID, or all of an account, and those that have ended in the last hour.

    Returns:
        Nothing if this node knows of none.
    """
    sessions = server.session_manager
    there = [
        session
        for session in sessions.local_sessions(address.bare)
        if session.jid in (address, session.jid if address.is_bare else None)
    ]
    found = [finding for session in there for finding in _there(server, session)]
    ended = server.ended_sessions.of(str(address))
    found += _conflicts(ended)
    found += [_ended(server, each) for each in reversed(ended)]
    return found


def _there(server: XMPPServer, session: LocalClientSession) -> Iterator[Finding]:
    wire, jid = session.connection, session.jid.full
    software = f" by {session.agent}" if session.agent else ""
    if session.detached:
        left_s = server.resumable_sessions.left_s(session)
        yield Finding(
            "detached",
            f"{jid} has lost its connection; its client{software}, last at {wire.address}, may "
            f"resume within {left_s:.0f} s",
        )
    else:
        state = "available" if session.presence is not None else "without presence"
        yield Finding(
            "there",
            f"{jid} has been connected from {wire.address}{software} since "
            f"{date_time(session.since)}, {state}; it last sent something {wire.silent_s:.0f} s "
            "ago",
        )
    backlog = session.backlog
    if backlog is not None and backlog:
        code, why = "waits", "the client is inactive"
        if session.detached:
            why = "the session has lost its connection"
        elif backlog.full:
            code, why = "reads_slowly", "the client reads slowly"
        yield Finding(code, f"{counted(len(backlog), 'stanza')} waiting for it, because {why}")
    counts = wire.counts
    if counts.slowed:
        yield Finding(
            "slowed",
            f"the server slowed this client down {counted(counts.slowed, 'time')}, because it "
            "sent more than stream.stanzas_per_s or stream.bytes_per_s; it has sent "
            f"{counted(sum(counts.came), 'stanza')} so far",
        )


def _conflicts(ended: list[EndedSession]) -> Iterator[Finding]:
    """The resources that clients take from each other again and again."""
    taken = [each for each in ended if each.why.startswith(CONFLICT)]
    for jid in dict.fromkeys(each.jid for each in taken):
        addresses = [each.address for each in taken if each.jid == jid]
        if len(addresses) >= KEEPS_HAPPENING:
            yield Finding(
                "conflicts",
                f"{jid} was taken by another session {counted(len(addresses), 'time')} in the "
                f"last hour: clients at {listed([*dict.fromkeys(addresses)])} want the same "
                "resource, and each throws the other out; give one of them another resource",
            )


def _ended(server: XMPPServer, ended: EndedSession) -> Finding:
    clocks = server.clocks
    ago_s = clocks.seconds() - ended.at
    lasted_s = max(0.0, clocks.stamp(ended.at) - ended.since)
    software = f", by {ended.software}" if ended.software else ""
    return Finding(
        "ended",
        f"{ended.jid} ended at {date_time(clocks.stamp(ended.at))}, {ago_s:.0f} s ago: "
        f"{ended.why}; it was connected from {ended.address}{software} for {lasted_s:.0f} s",
    )
