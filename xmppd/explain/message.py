"""Explanations of what becomes of a message."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from xmppd.cluster.node import NodeId
from xmppd.explain.finding import Finding
from xmppd.explain.parties import Party, intercepted, party, unread
from xmppd.message.decision import ANOTHER_NODE, NO_ROOM, UNTOLD, Cell, Decision
from xmppd.message.follower import ON_ITS_WAY, Course, Remark
from xmppd.message.offline_message_strategy import use
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.session import Session
from xmppd.stanza import JID, Condition, Message, StanzaError
from xmppd.stanza.phrases import listed

_BODY = b"<body>Wherefore?</body>"


WORDS = {
    Cell.DELIVERED: "delivered there",
    Cell.TO_MOST_AVAILABLE: "delivered to those of the highest priority",
    Cell.TO_ALL: "delivered to all of them",
    Cell.KEPT: "stored until the account comes online",
    Cell.BOUNCED: "bounced",
    Cell.DROPPED: "dropped",
    Cell.TO_ADMINS: "sent to each administrator",
    Cell.HANDED_ON: "passed on",
}


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The decision about a message, also one to all administrators.

    Attributes:
        decision: About the message itself; None if it does not come so far.
        courses: Its courses at the ends of accounts of ours.
        delivered: The sessions that get it.
        left: The domains whose route gets it: of components, or the way to other servers; or the
            node that decides about it.
        stored: The accounts for which it is kept.
        error: The error that answers it; None if none does.
    """

    decision: Decision | None = None
    courses: tuple[Course, ...] = ()
    delivered: tuple[JID, ...] = ()
    left: tuple[str, ...] = ()
    stored: tuple[str, ...] = ()
    error: StanzaError | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A message that is explained, with all that matters for it.

    Attributes:
        server: Decides about it.
        sender: Of the message.
        to: Its addressee.
        kind: The message's type.
        foreseen: The decision about it.
        remarks: Those of its followers.
        waiting: The use of the recipient's quota, in words.
        denied: The list or setting that stops it; None if none does.
        barred: Whether it does not even come in.
    """

    server: XMPPServer
    sender: Party
    to: Party
    kind: str
    foreseen: Foreseen
    remarks: list[Remark]
    waiting: str
    denied: Finding | None
    barred: bool


async def explain_message(
    server: XMPPServer, sender: JID, to: JID, kind: str = "chat"
) -> list[Finding]:
    """Explain what would become of a message with a few words in it, sent now.

    Returns:
        The outcome, then its reasons, then other facts; only one if nobody can send it.
    """
    message = Message.make(to, sender, _BODY, type=kind)
    writer, reader = await party(server, sender), await party(server, to)
    if writer.local and not writer.known:
        says = f"{writer.jid.bare} does not exist, so nobody can send this"
        return [Finding("sender_unknown", says, decides=True)]
    denied, foreseen = _barred(server, writer), Foreseen()
    barred = denied is not None
    if denied is None:
        ours = [session.privacy for session in writer.sessions] or [await _default(server, writer)]
        denied, error = _refused(writer, ours, message)
        foreseen = Foreseen(error=error) if denied else await _foresee(server, message)
    if denied is None:
        denied = _denied(reader, await _default(server, reader), message)
    local = server.routing_table.is_local(to) and to.local is not None
    waiting = use(await server.store.offline.offline_messages(to.bare) if local else ())
    remarks: list[Remark] = []
    for course in foreseen.courses:
        remarks += await server.followers.explain(course)
    case = Case(server, writer, reader, kind, foreseen, remarks, waiting, denied, barred)
    found = [finding for look in RULES for finding in look(case)]
    cause = next(finding for finding in found if finding.decides)
    return [replace(finding, decides=finding is cause) for finding in found]


async def deciding_node(server: XMPPServer, to: JID) -> NodeId | None:
    """The other node that decides about a message to somebody; None if this one does."""
    message = Message.make(to, to, _BODY, type="chat")
    finding = server.routing_table.find_way(message)
    if finding is not None:
        await finding
    decision = server.message_router.decide(message)
    return server.routing_table.lead(to.bare) if decision.row is ANOTHER_NODE else None


async def _foresee(server: XMPPServer, message: Message) -> Foreseen:
    """The decisions of the router and of the strategy; nothing is done."""
    finding = server.routing_table.find_way(message)
    if finding is not None:
        await finding
    first = server.message_router.decide(message)
    if first.row is ANOTHER_NODE and message.to is not None:
        node = server.routing_table.lead(message.to.bare)
        left = () if node is None else (f"node {node.name}",)
        return Foreseen(first, _at_sender(server, message), left=left)
    if first.cell is Cell.HANDED_ON:
        obstacle = _obstacle(server, message)
        left = () if obstacle or message.to is None else (message.to.domain,)
        return Foreseen(first, _at_sender(server, message), left=left, error=obstacle)
    messages = [message]
    if first.cell is Cell.TO_ADMINS:
        messages = [message.addressed(admin) for admin in server.admins]
    decisions = [await _decision(server, each) for each in messages]
    went = [each for each in decisions if not each.bounced]
    return Foreseen(
        first if len(decisions) != 1 or first.cell is Cell.TO_ADMINS else decisions[0],
        (*_at_sender(server, message), *_at_recipients(messages, decisions)),
        delivered=tuple(session.jid for each in went for session in each.sessions),
        stored=tuple(
            each.to.bare
            for each, decision in zip(messages, decisions, strict=True)
            if decision.cell is Cell.KEPT and each.to is not None
        ),
        error=None if went else decisions[0].refusal(),
    )


async def _decision(server: XMPPServer, message: Message) -> Decision:
    decision = server.message_router.decide(message)
    strategy = server.offline_message_strategy
    if decision.cell is Cell.KEPT or decision.row.tells:
        decision = await strategy.decide(message, decision)
    if decision.cell is Cell.KEPT:
        decision = await strategy.find_room(message, decision)
    return decision


def _obstacle(server: XMPPServer, message: Message) -> StanzaError | None:
    """The reason why it cannot leave for another domain, if it cannot."""
    table, domain = server.routing_table, "" if message.to is None else message.to.domain
    if domain in table.away:
        return table.unreached(message)
    if domain in table.components:
        return None
    if table.foreign is None:
        return StanzaError(Condition.REMOTE_SERVER_NOT_FOUND)
    return server.foreign_routes.obstacle(message.sender.domain, domain)


def _at_sender(server: XMPPServer, message: Message) -> tuple[Course, ...]:
    """Its course at the end of its sender, if that is an account here and not its recipient."""
    sender, to = message.sender, message.to
    if not server.routing_table.is_local(sender) or to is None or to.bare == sender.bare:
        return ()
    return (Course(message, message.payload.tree, sender.bare, ON_ITS_WAY, True),)


def _at_recipients(messages: list[Message], decisions: list[Decision]) -> Iterator[Course]:
    """Its courses at the ends of the accounts that it is for and that do not refuse it."""
    for message, decision in zip(messages, decisions, strict=True):
        to = message.to
        if not decision.bounced and to is not None and to.local is not None:
            tree, got = message.payload.tree, decision.sessions
            yield Course(message, tree, to.bare, decision, got=got)


def _barred(server: XMPPServer, writer: Party) -> Finding | None:
    """The reason why nothing comes in from the sender's server, if nothing does."""
    domain = writer.jid.domain
    if writer.local or domain in server.routing_table.components:
        return None
    if not server.foreign_routes.policies.of(domain).block:
        return None
    says = f"s2s.domain blocks {domain}: nothing from there is accepted"
    return _because("sender_barred", says, "SV-4")


async def _default(server: XMPPServer, of: Party) -> SessionPrivacy | None:
    """An account's default list: in force for all but the sessions with an active one."""
    if of.roster is None:
        return None
    lists = await server.privacy_lists.lists(of.jid)
    return lists.in_force(of.jid.to_bare(), of.roster)


def _refused(
    writer: Party, lists: Iterable[SessionPrivacy | None], message: Message
) -> tuple[Finding | None, StanzaError | None]:
    """The sender's own list that stops the message, and with which error it does."""
    reader = message.to
    for privacy in lists:
        try:
            if privacy is not None:
                privacy.check_out(message)
        except StanzaError as error:
            assert privacy is not None and reader is not None
            if privacy.blocks(reader):
                says = f"{writer.jid.bare} has blocked {reader}"
                return _because("sender_denies", says, "PL-9"), error
            says = f"{writer.jid} has an active privacy list that denies {reader}"
            return _because("sender_denies", says, "PL-4"), error
    return None, None


def _denied(reader: Party, default: SessionPrivacy | None, message: Message) -> Finding | None:
    """The recipient's list that stands in the message's way, if one does."""
    sender = message.sender
    wanting = [s for s in reader.available if s.priority >= 0 or reader.jid.resource is not None]
    denying = [s for s in wanting if s.privacy is not None and not s.privacy.lets_in(message)]
    if denying and len(denying) == len(wanting):
        if all(s.privacy is not None and s.privacy.blocks(sender) for s in denying):
            return _because("session_denies", f"{reader.jid.bare} has blocked {sender}", "PL-9")
        names = listed([session.jid.full for session in denying])
        says = f"{names} has an active privacy list that denies {sender}"
        return _because("session_denies", says, "PL-3")
    if default is None or wanting or default.lets_in(message):
        return None
    if default.blocks(sender):
        return _because("account_denies", f"{reader.jid.bare} has blocked {sender}", "PL-9")
    says = f"the default privacy list of {reader.jid.bare} denies {sender}"
    return _because("account_denies", says, "PL-5")


# --- the outcome -------------------------------------------------------------------------------


def _outcome(case: Case) -> Iterator[Finding]:
    seen, to = case.foreseen, case.to.jid
    if case.barred:
        yield Finding(
            "refused", "the message is rejected, and the other server gets an error", "SV-4"
        )
    elif seen.error is not None:
        text = f" ({seen.error.text})" if seen.error.text else ""
        yield Finding(
            "bounced", f"the message is returned with {seen.error.condition.tag}{text}", "PK-1"
        )
    elif seen.delivered:
        names = listed([jid.full for jid in seen.delivered])
        yield Finding(
            "delivered", f"the message is delivered to {names}", "MR-5" if to.resource else "RT-6"
        )
    elif seen.left:
        yield Finding("handed_on", f"the message is passed on to {listed(list(seen.left))}", "RT-3")
    elif seen.stored:
        yield Finding(
            "stored",
            f"the message is stored until {listed(list(seen.stored))} comes online",
            "OM-2",
        )
    else:
        yield Finding("dropped", "the message is dropped, and its sender is not notified", "OM-2")


# --- why ---------------------------------------------------------------------------------------


def _reason(case: Case) -> Iterator[Finding]:
    """The reason of the outcome."""
    to = case.to
    if case.denied is not None and not case.foreseen.delivered:
        yield case.denied
    elif not to.local:
        yield _elsewhere(case)
    elif to.jid.local is None:
        yield _the_server(case)
    elif case.foreseen.decision is not None and case.foreseen.decision.row is NO_ROOM:
        yield _because(
            "quota",
            f"{to.jid.bare} has {case.waiting} stored; at most "
            f"{case.server.offline_message_strategy.quota()} are allowed",
            "OM-4",
        )
    elif case.foreseen.left:
        nodes = listed(list(case.foreseen.left))
        says = f"{to.jid.bare} has sessions at {nodes}: run this command there"
        yield _because("another_node", says, "CL-12")
    elif not case.foreseen.delivered:
        yield from _nobody(case)
    else:
        yield _somebody(case)


def _because(code: str, says: str, rule: str) -> Finding:
    return Finding(code, says, rule, decides=True)


def _elsewhere(case: Case) -> Finding:
    domain = case.to.jid.domain
    table, routes = case.server.routing_table, case.server.foreign_routes
    if domain in table.away:
        return _because("component_away", f"{domain} has no connection", "CO-8")
    if domain in table.components:
        return _because("component", f"{domain} is a component of this server", "RT-3")
    above = next((ours for ours in table.domains if domain.endswith(f".{ours}")), None)
    if above is not None:
        says = (
            f"{domain} is a subdomain of {above}, but no component or plugin serves it here, so "
            "the server looks for it elsewhere: check that its plugin is loaded, or its "
            "component connected"
        )
        return _because("not_served", says, "RT-10")
    pair = routes.pairs.get((case.sender.jid.domain, domain))
    if pair is not None and pair.is_silent:
        says = (
            f"{domain} accepts stanzas, but does not answer, so it may lose them: see xmppctl s2s "
            f"why {domain}"
        )
        return _because("peer_silent", says, "SV-17")
    if case.foreseen.left:
        says = (
            f"{domain} is another server: xmppctl s2s why {domain} shows whether it can be reached"
        )
        return _because("elsewhere", says, "RT-10")
    if table.foreign is not None and routes.policies.of(domain).block:
        says = f"s2s.domain blocks {domain}: nothing is sent there"
        return _because("peer_blocked", says, "SV-4")
    seconds = routes.retry_in_s(case.sender.jid.domain, domain)
    if seconds:
        says = f"{domain} could not be reached; the server tries again in {seconds:.0f} s"
        return _because("peer_unreached", f"{says}: see xmppctl s2s why {domain}", "SV-10")
    if table.foreign is None:
        says = f"{domain} is another server, and this one does not connect to others"
        return _because("no_route", f"{says} (s2s.enabled = false)", "RT-10")
    return _because("no_route", f"no route leads to {domain}", "RT-10")


def _the_server(case: Case) -> Finding:
    if case.to.jid.resource is not None:
        return _because(
            "server_resource",
            "the server's own address takes no resource (the part after the /)",
            "MR-3",
        )
    if not case.server.admins:
        return _because("no_admins", "no administrators are configured to read it", "MR-3")
    admins = listed([admin.bare for admin in case.server.admins])
    return _because("admins", f"messages to the server go to {admins}", "MR-4")


def _nobody(case: Case) -> Iterator[Finding]:
    """The reason why no session gets it, and what that means for this type."""
    to, kind, decision = case.to, case.kind, case.foreseen.decision
    if to.jid.resource is not None and not to.sessions:
        yield Finding("resource_gone", f"{to.jid} is not connected", "MR-6")
        if decision is not None and decision.row is UNTOLD:
            says = (
                f"{case.sender.jid.bare} may not know whether {to.jid.bare} is online, so the "
                "sender gets no error"
            )
            yield _because("untold", says, "MR-10")
            return
        if kind != "chat" and not case.foreseen.stored:
            yield _one_resource(kind)
            return
    elif kind in ("groupchat", "error"):
        says = f"a message of type {kind} can only go to one resource, not to an account"
        yield _because("bare", says, "OM-2")
        return
    if kind == "headline":
        yield _because("headline", "a headline is not stored", "OM-2")
    elif not to.exists:
        yield _because("no_account", f"{to.jid.bare} does not exist", "OM-1")
    else:
        yield _because("nobody_there", _whereabouts(to), "RT-18")


def _one_resource(kind: str) -> Finding:
    says = f"only that resource could receive a message of type {kind}"
    if kind in ("headline", "error"):
        return _because("one_resource_dropped", f"{says}, which gets no answer", "MR-6")
    return _because("one_resource", says, "MR-6")


def _whereabouts(to: Party) -> str:
    """The reason why an account that exists has no session for a message."""
    everybody = to.sessions + to.others
    if not everybody:
        closed = ", and its account is disabled" if to.disabled else ""
        return f"{to.jid.bare} is not connected{closed}"
    return f"no session of {to.jid.bare} accepts messages"


def _somebody(case: Case) -> Finding:
    """The reason why these sessions get it."""
    bare, got = case.to.jid.bare, case.foreseen.delivered
    if case.to.jid.resource is not None and case.to.sessions:
        return _because("full", f"{case.to.jid} is connected", "MR-5")
    if case.kind == "headline":
        says = "a headline goes to every session whose priority is not negative"
        return _because("headline_to_all", says, "RT-20")
    if len(got) == 1 and len(case.to.available + _present(case.to.others)) == 1:
        return _because("only_session", f"this is the only available session of {bare}", "RT-19")
    priority = max(s.priority for s in case.to.sessions + case.to.others if s.jid in got)
    return _because("priority", f"{priority} is the highest priority at {bare}", "RT-17")


def _present(sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    return tuple(session for session in sessions if session.presence is not None)


# --- what else ---------------------------------------------------------------------------------


def _passed_over(case: Case) -> Iterator[Finding]:
    """The sessions that do not get it."""
    got = case.foreseen.delivered
    for session in case.to.sessions + case.to.others:
        if session.jid not in got:
            yield passed_over(session, case.to.jid, case.kind, got)


def passed_over(session: Session, to: JID, kind: str, got: Collection[JID]) -> Finding:
    """The reason why a session does not get a message of this type to this address."""
    jid = session.jid
    if session.closed:
        return Finding("closing", f"the connection of {jid} is gone", "SE-3")
    if to.resource is not None and to in got:
        return Finding("not_named", f"{jid} is another resource", "RT-12")
    if session.presence is None:
        return Finding("not_available", f"{jid} has sent no presence", "RT-16")
    if session.priority < 0:
        return Finding(
            "negative_priority",
            f"{jid} has priority {session.priority}, so it gets no messages",
            "RT-17",
        )
    if not got:
        return Finding("not_meant", f"a message of type {kind} is not for {jid}", "OM-2")
    return Finding("lower_priority", f"{jid} has only priority {session.priority}", "RT-17")


def _sender(case: Case) -> Iterator[Finding]:
    sender = case.sender
    if not sender.local:
        return
    if not sender.sessions:
        says = f"{sender.jid} is not connected: this is what would happen if it were"
        if sender.disabled:
            says = f"the account {sender.jid.bare} is disabled: nobody can send this"
        yield Finding("sender_away", says, "MR-1")


def _row(case: Case) -> Iterator[Finding]:
    """The row of the table that applies."""
    decision = case.foreseen.decision
    if decision is not None:
        says = f"a message of type {case.kind} {decision.row.says} is {WORDS[decision.cell]}"
        local = case.to.local and case.to.jid.local is not None
        yield Finding("row", says, "RFC 6121 §8.5.4" if local else "")


def _followers(case: Case) -> Iterator[Finding]:
    """The remarks of the followers of both accounts."""
    for code, says, rule in case.remarks:
        yield Finding(code, says, rule)


def _queue(case: Case) -> Iterator[Finding]:
    got = [s for s in case.to.sessions + case.to.others if s.jid in case.foreseen.delivered]
    return unread(tuple(got))


def _plugins(case: Case) -> Iterator[Finding]:
    return intercepted(case.server, Message)


RULES: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    _outcome,
    _reason,
    _row,
    _passed_over,
    _followers,
    _sender,
    _queue,
    _plugins,
)
"""The findings in their order; the first one that decides is the cause."""


__all__ = ["deciding_node", "explain_message", "passed_over"]
