"""The outcome of a stanza at a stage, and the sessions that it passed by."""

from collections.abc import Iterator

from xmppd.explain.message import passed_over
from xmppd.message.follower import Course
from xmppd.message.worth import fate
from xmppd.presence.presence_manager import hears
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID, Message, Presence, Stanza, StanzaError, qname
from xmppd.stanza.copies import is_copy
from xmppd.stanza.fate import OfflineFate
from xmppd.stanza.phrases import counted
from xmppd.store.errors import StoreError
from xmppd.trace.passage import Passage, Step

_ID = qname("urn:xmpp:sid:0", "stanza-id")

Outcome = tuple[str, str]
"""A code, and the same in words."""


def failed(error: Exception) -> Outcome:
    """The outcome of a stage that has raised an error."""
    if isinstance(error, StanzaError):
        text = f" ({error.text})" if error.text else ""
        return "refused", f"refused with {error.condition.tag}{text}"
    if isinstance(error, StoreError):
        return "failed", "failed because of the database; the log says why"
    return "failed", f"failed with {type(error).__name__}; the log has a traceback"


def returned(server: XMPPServer, step: Step, result: object) -> Outcome:
    """The outcome of a stage that has returned: whether it arrived, a changed stanza, or
    nothing.
    """
    stanza = step.stanza
    if step.session is not None:
        return _delivered(server, stanza, step.session, result)
    if step.stage == "OfflineMessageStrategy" and isinstance(stanza, Message):
        return _kept(stanza)
    if result is True:
        return "arrived", "arrived"
    if result is False:
        return "nobody", f"{stanza.to} has no session"
    if isinstance(result, int):
        return "done", counted(result, "copy", "copies")
    if isinstance(result, Stanza) and result is not stanza:
        return "changed", "changed by a plugin"
    if step.stage == "InterceptorManager" and result is None:
        plugins = server.interceptors.plugins(server.interceptors.incoming[stanza.__class__])
        return "dropped", f"dropped by {' or '.join(plugins)}"
    return "done", "done"


def _delivered(server: XMPPServer, stanza: Stanza, session: JID, result: object) -> Outcome:
    if result is None:
        plugins = server.interceptors.plugins(server.interceptors.outgoing[stanza.__class__])
        return "dropped", f"not to {session}: dropped by {' or '.join(plugins)}"
    if isinstance(stanza, Message) and is_copy(stanza, session.bare):
        return "copied", f"a copy to {session}"
    if stanza.to is not None and result is not stanza:
        return "changed", f"to {session}, changed by a plugin"
    return "delivered", f"to {session}"


def _kept(message: Message) -> Outcome:
    """The strategy has not refused it: then it is kept, if it is of a kind that is."""
    if fate(message).offline is not OfflineFate.KEPT:
        return "dropped", "dropped: not meant to be stored"
    return "stored", f"stored for {message.to}"


def followed(course: Course) -> Outcome:
    """What a message is worth at the end of an account (AR-7), and whether it is in an archive."""
    fate, message = course.fate, course.message
    by = (each for each in message.payload.tree.iterfind(_ID) if each.get("by") == course.account)
    id = next((each.get("id") for each in by), None)
    archived = f"archived as {id}" if id else "not archived"
    if not id and course.is_sent and message.payload.archived is not None:
        archived = "archived"  # and nobody who sees the message is told its id at this end
    worth = f"{archived}, {fate.carbon.value}, {fate.push.value}"
    return "followed", f"at {course.account}, {fate.says}: {worth}"


def skipped(server: XMPPServer, step: Step, passage: Passage) -> Iterator[tuple[JID, str]]:
    """The sessions and contacts that the stanza might have been for and that did not get it, with
    reasons.
    """
    stanza = step.stanza
    if step.stage == "MessageRouter" and isinstance(stanza, Message):
        return _sessions(server, stanza, passage)
    if step.stage == "Roster" and isinstance(stanza, Presence):
        return _contacts(server, stanza)
    return iter(())


def _sessions(server: XMPPServer, message: Message, passage: Passage) -> Iterator[tuple[JID, str]]:
    """The other sessions of the account that a message is for (RT-16 to RT-20)."""
    to = message.to or message.sender.to_bare()
    got = {step.session for step in passage.steps if step.session and step.code != "skipped"}
    for session in server.routing_table.sessions(to.bare):
        if session.jid not in got:
            kind = message.type or "normal"
            yield session.jid, passed_over(session, to, kind, got).says


def _contacts(server: XMPPServer, presence: Presence) -> Iterator[tuple[JID, str]]:
    """The contacts that a broadcast does not reach (RO-2, RO-3)."""
    roster = server.roster_manager.loaded(presence.sender.bare)
    if roster is None:
        return
    routes = server.routing_table
    session = routes.bound.get(presence.sender.full)
    for item in roster.items.values():
        contact = JID.parse(item.jid)
        if not roster.may_be_seen_by(contact):
            yield contact, f"{contact} may not see this presence: subscription {item.subscription}"
        elif session is not None and not hears(roster, session.privacy, contact):
            yield (
                contact,
                f"{contact} does not see this session: it is invisible, or a privacy list hides it",
            )
        elif routes.is_local(contact) and not routes.available(contact.bare):
            yield contact, f"{contact} is not available"


__all__ = ["Outcome", "failed", "followed", "returned", "skipped"]
