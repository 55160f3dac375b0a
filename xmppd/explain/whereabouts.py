"""Where a message is that was sent: by the words of all who may have it."""

from collections.abc import Iterator

from xmppd.explain.finding import Finding
from xmppd.host.clocks import UNKNOWN
from xmppd.message.follower import Sought
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Message, Stanza
from xmppd.stanza.copies import is_copy, original


async def locate_message(server: XMPPServer, sender: JID, to: JID, id: str) -> list[Finding]:
    """Say where the message is that somebody has sent somebody under an id.

    Args:
        server: That is asked; of sessions on other nodes it knows no queues.
        sender: With a resource or without.
        to: The account that it is for.
        id: As its sender has written it.

    Returns:
        What is known; the first finding stands for all.
    """
    sought = Sought(sender, to.to_bare(), id)
    found = list(_in_sessions(server, sought))
    for code, says, rule in await server.followers.locate(sought):
        found.append(Finding(code, says, rule))
    if not found:
        says = f"no message from {sender} to {to.bare} with the id {id} is known here"
        found = [Finding("unknown", says)]
    first, *others = found
    return [Finding(first.code, first.says, first.rule, decides=True), *others]


def _in_sessions(server: XMPPServer, sought: Sought) -> Iterator[Finding]:
    """The sessions of its addressee that have yet to acknowledge it, or to be sent it."""
    for session in server.routing_table.sessions(sought.to.bare):
        if not isinstance(session, LocalClientSession):
            yield Finding("elsewhere", f"{session.jid.full} is at another node: ask there too")
            continue
        for position, (stanza, _, _) in session.unread_since(UNKNOWN):
            if _is_it(stanza, sought, session):
                yield _standing(session, stanza, sent=position != 0)


def _is_it(stanza: Stanza, sought: Sought, session: LocalClientSession) -> bool:
    if not isinstance(stanza, Message):
        return False
    return sought.is_it(original(stanza) if is_copy(stanza, session.jid.bare) else stanza)


def _standing(session: LocalClientSession, stanza: Stanza, *, sent: bool) -> Finding:
    name, management = session.jid.full, session.management
    held = management is not None and stanza in management.held
    stored = ", and is also in the store" if held else ""
    if session.detached:
        return Finding("sleeps", f"the message waits until {name} reconnects{stored}", "RS-5")
    if sent:
        return Finding(
            "unacknowledged",
            f"the message was sent to {name}, which has not acknowledged it yet{stored}",
            "RS-2",
        )
    return Finding("waits", f"the message waits for the connection of {name}{stored}", "SE-11")


__all__ = ["locate_message"]
