"""Explanations of what one account sees of another's presence."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from xmppd.explain import other_servers
from xmppd.explain.finding import Finding
from xmppd.explain.parties import Party, elsewhere, inactive, intercepted, party, unread
from xmppd.roster.subscription import SUBSCRIBED_TO
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.session import Session
from xmppd.stanza import JID, Presence
from xmppd.stanza.phrases import counted, listed
from xmppd.store.last_presences import LastPresence
from xmppd.store.rosters import RosterItem


@dataclass(frozen=True, slots=True)
class PresenceCase:
    """A question: whether a watcher sees an owner, with all that matters for it.

    Attributes:
        server: Has the rosters and lists.
        owner: The one that is seen, or not.
        watcher: The one that sees, or does not.
        last: The owner's last presence.
    """

    server: XMPPServer
    owner: Party
    watcher: Party
    last: LastPresence | None

    @property
    def grant(self) -> RosterItem | None:
        """The watcher in the owner's roster, which decides."""
        roster = self.owner.roster
        return None if roster is None else roster.items.get(self.watcher.jid.bare)

    @property
    def belief(self) -> RosterItem | None:
        """The owner in the watcher's roster, which may differ."""
        roster = self.watcher.roster
        return None if roster is None else roster.items.get(self.owner.jid.bare)

    @property
    def told_in_person(self) -> list[Session]:
        """The owner's sessions that sent the watcher directed presence."""
        knows = self.server.presence_manager.directed.knows
        viewers = (self.watcher.jid, *(session.jid for session in self.watcher.sessions))
        return [s for s in self.owner.sessions if any(knows(s.jid, viewer) for viewer in viewers)]

    @property
    def allowed(self) -> bool:
        """Whether the watcher may see the owner's presence."""
        roster = self.owner.roster
        return roster is not None and roster.may_be_seen_by(self.watcher.jid)


async def explain_presence(server: XMPPServer, owner: JID, watcher: JID) -> list[Finding]:
    """Explain what the watcher sees of the owner now.

    Returns:
        The outcome, then its reasons, then other facts.
    """
    last = await server.presence_manager.last_presence(owner.to_bare())
    case = PresenceCase(server, await party(server, owner), await party(server, watcher), last)
    found = [finding for look in RULES for finding in look(case)]
    cause = next((finding for finding in found if finding.hinders), found[0])
    others = [finding for finding in found if finding is not cause]
    if cause.code in NOBODY:  # subscriptions say nothing then
        others = [finding for finding in others if finding.code in NOBODY]
    return [_outcome(case, cause), replace(cause, decides=True), *others]


def _outcome(case: PresenceCase, cause: Finding) -> Finding:
    """The outcome by the first rule that hinders, or by none."""
    owner, watcher = case.owner.jid, case.watcher.jid
    if not cause.hinders:
        seen = _shown(case) if case.allowed else _told(case)
        resources = listed([session.jid.resource or "" for session in seen])
        return Finding("sees", f"{watcher} sees {owner}, available at {resources}")
    if cause.code == "owner_elsewhere":
        return Finding(
            "unknown",
            f"{watcher} is on another server, which decides what {watcher} sees of {owner}",
        )
    if cause.code in AWAY:
        return Finding("sees_unavailable", f"{watcher} sees {owner} as unavailable")
    return Finding("sees_nothing", f"{watcher} sees nothing of {owner}")


def _told(case: PresenceCase) -> list[Session]:
    """The sessions that the watcher sees though it may not see the account."""
    return [session for session in case.told_in_person if session.presence is not None]


def _shown(case: PresenceCase) -> list[Session]:
    """The sessions that show themselves to the watcher."""
    shows = case.server.presence_manager.shows
    return [session for session in case.owner.available if shows(session, case.watcher.jid)]


# --- is there anybody? -------------------------------------------------------------------------


def _existence(case: PresenceCase) -> Iterator[Finding]:
    owner, watcher = case.owner, case.watcher
    if not owner.local:
        yield _elsewhere(case, owner.jid, "decides who sees it")
    elif not owner.known:
        yield Finding("owner_unknown", f"{owner.jid.bare} does not exist", "PM-6", hinders=True)
    if not watcher.local:
        obstacle = _no_way(case, watcher.jid)
        if obstacle:
            yield Finding(
                "watcher_unreachable",
                f"{watcher.jid.bare} is at {watcher.jid.domain}, and {obstacle}",
                "RT-10",
                hinders=True,
            )
    elif not watcher.known:
        yield Finding(
            "watcher_unknown", f"{watcher.jid.bare} does not exist", "PR-10", hinders=True
        )


def _elsewhere(case: PresenceCase, jid: JID, what: str) -> Finding:
    obstacle = _no_way(case, jid)
    reached = not obstacle
    way = f", and {obstacle or 'gets a probe'}"
    return Finding(
        "owner_elsewhere" if reached else "owner_unreachable",
        f"{jid.domain} is another server{way}; that server {what}",
        "PM-7" if reached else "RT-10",
        hinders=True,
    )


def _told_from_elsewhere(case: PresenceCase) -> Iterator[Finding]:
    """The presences that the watcher's sessions were sent from the owner's server."""
    remote = case.server.presence_manager.remote
    for session in case.watcher.sessions:
        told = [seen_presence.jid for seen_presence in remote.seen_by(session, case.owner.jid)]
        if told:
            resources = listed([jid.resource or jid.full for jid in told])
            yield Finding(
                "told",
                f"{session.jid} got the presence of {case.owner.jid.bare}: {resources}",
                "RP-3",
            )


def _no_way(case: PresenceCase, jid: JID) -> str:
    """The reason why no route leads there; empty if one does."""
    routes = case.server.routing_table
    if jid.domain in routes.components:
        return ""
    if _is_blocked(case, jid):
        return "s2s.domain blocks it"
    if routes.foreign is None:
        return "this server does not connect to others (s2s.enabled = false)"
    other = case.watcher if jid is case.owner.jid else case.owner
    why = other_servers.failure(case.server.foreign_routes, other.jid.domain, jid.domain)
    return f"cannot be reached ({why}): see xmppctl s2s why {jid.domain}" if why else ""


def _is_blocked(case: PresenceCase, jid: JID) -> bool:
    return case.server.foreign_routes.policies.of(jid.domain).block


# --- may it be seen? ---------------------------------------------------------------------------


def _permission(case: PresenceCase) -> Iterator[Finding]:
    """The rule that lets the watcher see the owner; or the reason why none does."""
    if case.owner.roster is None or not case.owner.known:
        return
    if case.allowed:
        yield from _allowances(case)
        return
    if _told(case):
        resources = listed([session.jid.resource or "" for session in _told(case)])
        yield Finding(
            "directed",
            f"{case.owner.jid.bare} does not let {case.watcher.jid.bare} see its presence, but "
            f"{resources} sent directed presence: {case.watcher.jid.bare} sees that presence and "
            f"its end, but no changes in between",
            "DP-7",
        )
        return
    yield next(finding for reason in REFUSALS for finding in reason(case))


def _allowances(case: PresenceCase) -> Iterator[Finding]:
    owner, watcher = case.owner.jid.bare, case.watcher.jid.bare
    if owner == watcher:
        yield Finding("self", "an account sees itself", "PM-5")
        return
    roster, grant = case.owner.roster, case.grant
    if roster is not None and grant is not None and roster.is_subscribed(case.watcher.jid):
        yield Finding(
            "subscription",
            f"{owner} lets {watcher} see its presence: subscription {grant.subscription} in its "
            "roster",
            "RO-2",
        )
    for group in case.server.shared_groups.showing(watcher, owner):
        yield Finding(
            "group",
            f"the shared group {group.name} shows {owner} to {watcher}",
            "RO-3",
        )


def _asked(case: PresenceCase) -> Iterator[Finding]:
    if case.grant is not None and case.grant.pending_in is not None:
        yield _refusal(
            case,
            "pending",
            "{watcher} has asked to subscribe, and {owner} has not answered yet",
            "PS-7",
        )


def _unheard(case: PresenceCase) -> Iterator[Finding]:
    if case.belief is not None and case.belief.ask:
        yield _refusal(
            case,
            "request_lost",
            "{watcher} thinks that its request is pending, but {owner} has no such request: "
            "{watcher} must ask again",
            "PS-7",
        )


def _believed(case: PresenceCase) -> Iterator[Finding]:
    if case.belief is not None and case.belief.subscription in SUBSCRIBED_TO:
        yield _refusal(
            case,
            "rosters_disagree",
            f"the roster of {{watcher}} says {case.belief.subscription}, but the roster of "
            f"{{owner}} says {_subscription(case.grant)}; only {{owner}}'s counts",
            "RO-2",
        )


def _approved(case: PresenceCase) -> Iterator[Finding]:
    if case.grant is not None and case.grant.approved:
        yield _refusal(
            case, "not_asked", "{owner} agreed in advance, but {watcher} has not asked", "PS-5"
        )


def _other_way(case: PresenceCase) -> Iterator[Finding]:
    if case.grant is not None and case.grant.subscription in SUBSCRIBED_TO:
        yield _refusal(
            case,
            "one_way",
            "{owner} sees {watcher}, but {watcher} has not asked to see {owner}",
            "RO-2",
        )
    if any(case.server.shared_groups.showing(case.owner.jid.bare, case.watcher.jid.bare)):
        yield _refusal(
            case,
            "group_one_way",
            "a shared group shows {watcher} to {owner}, but none shows {owner} to {watcher}",
            "RO-7",
        )


def _unanswered(case: PresenceCase) -> Iterator[Finding]:
    if case.grant is not None and case.grant.ask:
        yield _refusal(
            case,
            "other_way_pending",
            "{owner} has asked to see {watcher}; {watcher} has not asked to see {owner}",
            "RO-2",
        )


def _contact(case: PresenceCase) -> Iterator[Finding]:
    if case.grant is not None or case.belief is not None:
        yield _refusal(
            case,
            "none",
            f"the roster of {{owner}} says {_subscription(case.grant)} and that of {{watcher}} "
            f"{_subscription(case.belief)}: nobody has asked, or the request was refused",
            "RO-2",
        )


def _stranger(case: PresenceCase) -> Iterator[Finding]:
    yield _refusal(
        case, "strangers", "neither {owner} nor {watcher} has the other in its roster", "PM-5"
    )


REFUSALS = (
    _asked, _unheard, _believed, _approved, _other_way, _unanswered, _contact, _stranger,
)  # fmt: skip
"""The reasons why no rule lets the watcher see the owner, the most particular first."""


def _refusal(case: PresenceCase, code: str, says: str, rule: str) -> Finding:
    owner, watcher = case.owner.jid.bare, case.watcher.jid.bare
    return Finding(code, says.format(owner=owner, watcher=watcher), rule, hinders=True)


def _subscription(item: RosterItem | None) -> str:
    return "nothing" if item is None else f"subscription {item.subscription}"


# --- is there something to see? ----------------------------------------------------------------

NOBODY = frozenset(("owner_unknown", "watcher_unknown"))
AWAY = frozenset(("owner_disabled", "owner_never_here", "owner_away", "owner_not_available",
                  "resource_gone", "blocked", "invisible", "hidden", "not_let_in"))  # fmt: skip


def _availability(case: PresenceCase) -> Iterator[Finding]:
    owner = case.owner
    if not owner.local or not owner.known:
        return
    for session in owner.available:
        yield _session(session)
    if not owner.available:
        yield _absence(case)
    silent = [s.jid.resource or "" for s in owner.sessions if s.presence is None]
    if silent and owner.available:
        yield Finding(
            "not_available", f"{listed(silent)} is connected and has sent no presence", "RT-1"
        )


def _hidden(session: Session, watcher: JID, *, hinders: bool) -> Finding:
    """The reason why somebody does not see a session that is available."""
    privacy, jid = session.privacy, session.jid
    if privacy is not None and privacy.invisible:
        return Finding("invisible", f"{jid} is invisible", "PL-10", hinders=hinders)
    if privacy is not None and privacy.blocks(watcher):
        return Finding("blocked", f"{jid} has blocked {watcher}", "PL-9", hinders=hinders)
    says = f"{jid} has an active privacy list that hides it from {watcher}"
    return Finding("hidden", says, "PL-6", hinders=hinders)


def _privacy(case: PresenceCase) -> Iterator[Finding]:
    """Sessions that hide from the watcher, or that the watcher does not let in."""
    shown = _shown(case)
    for session in case.owner.available:
        if session not in shown:
            hinders = case.allowed and not shown
            yield _hidden(session, case.watcher.jid, hinders=hinders)
    deaf = [watcher for watcher in case.watcher.available if _lets_none_in(watcher, shown)]
    for session in deaf:
        yield Finding(
            "not_let_in",
            f"{session.jid} has an active privacy list that blocks presence from {case.owner.jid}",
            "PL-3",
            hinders=len(deaf) == len(case.watcher.available),
        )


def _lets_none_in(session: Session, others: list[Session]) -> bool:
    privacy = session.privacy
    if privacy is None or not others:
        return False
    return not any(privacy.lets("presence-in", other.jid) for other in others)


def _session(session: Session) -> Finding:
    presence = session.presence
    show = None if presence is None else presence.show
    return Finding(
        "session",
        f"{session.jid} is available{f' ({show})' if show else ''} with priority "
        f"{session.priority}",
        "PM-1",
    )


def _absence(case: PresenceCase) -> Finding:
    """The reason why the owner is not available."""
    owner, bare = case.owner, case.owner.jid.bare
    if owner.sessions:
        resources = listed([session.jid.resource or "" for session in owner.sessions])
        says = f"{bare} is connected with {resources}, but none has sent available presence"
        return Finding("owner_not_available", says, "RT-1", hinders=True)
    if owner.others:
        others = listed([session.jid.resource or "" for session in owner.others])
        says = f"{owner.jid} is not connected; {bare} is connected with {others}"
        return Finding("resource_gone", says, "RT-7", hinders=True)
    if owner.disabled:
        says = f"the account {bare} is disabled: nobody can log in"
        return Finding("owner_disabled", says, hinders=True)
    if case.last is None:
        says = f"{bare} has never been online"
        return Finding("owner_never_here", says, "PM-4", hinders=True)
    when = datetime.fromtimestamp(case.last.seen, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    status = "a status that others see" if case.last.status else "no status"
    return Finding("owner_away", f"{bare} left at {when}, with {status}", "PM-7", hinders=True)


# --- does it arrive? ---------------------------------------------------------------------------


def _reception(case: PresenceCase) -> Iterator[Finding]:
    watcher = case.watcher
    if not watcher.local or not watcher.known:
        return
    if not watcher.available and not _reached_in_person(case):
        yield _deafness(case)
    yield from inactive(watcher.sessions)
    yield from unread(watcher.sessions)
    uninterested = [s.jid.resource or "" for s in watcher.available if not s.interested]
    if uninterested:
        yield Finding(
            "not_interested",
            f"{listed(uninterested)} of {watcher.jid.bare} has not requested the roster: it gets "
            "presence, but no roster changes",
            "RO-10",
        )


def _reached_in_person(case: PresenceCase) -> bool:
    """Whether directed presence found a session that no broadcast reaches."""
    knows = case.server.presence_manager.directed.knows
    receivers = (s.jid for s in case.watcher.sessions)
    return any(knows(s.jid, jid) for jid in receivers for s in case.owner.available)


def _deafness(case: PresenceCase) -> Finding:
    """The reason why the watcher is sent nothing."""
    watcher, bare = case.watcher, case.watcher.jid.bare
    if watcher.sessions:
        resources = listed([session.jid.resource or "" for session in watcher.sessions])
        says = (
            f"{bare} is connected with {resources}, but none has sent presence: the server "
            "delivers no presence to a client before that"
        )
        return Finding("watcher_not_available", says, "RT-8", hinders=True)
    if watcher.others:
        others = listed([session.jid.resource or "" for session in watcher.others])
        says = f"{watcher.jid} is not connected; {bare} is connected with {others}"
        return Finding("watcher_resource_gone", says, "RT-7", hinders=True)
    closed = ", and the account is disabled" if watcher.disabled else ""
    later = "; its client gets this presence when it logs in" if case.allowed else ""
    return Finding("watcher_away", f"{bare} is not connected{closed}{later}", "PM-7", hinders=True)


# --- what else ---------------------------------------------------------------------------------


def _agreement(case: PresenceCase) -> Iterator[Finding]:
    """The watcher's roster, where it matters or differs."""
    roster, grant, belief = case.owner.roster, case.grant, case.belief
    if (
        roster is None
        or case.watcher.roster is None
        or case.owner.jid.bare == case.watcher.jid.bare
    ):
        return
    if belief is not None and grant is not None:
        yield Finding(
            "other_roster",
            f"the roster of {case.watcher.jid.bare} says {_subscription(belief)}",
        )
    subscribed = roster.is_subscribed(case.watcher.jid)
    if subscribed and (belief is None or belief.subscription not in SUBSCRIBED_TO):
        yield Finding(
            "watcher_unaware",
            f"the roster of {case.watcher.jid.bare} says {_subscription(belief)}: it gets "
            "changes, but no presence at login",
            "PU-13",
        )


def _directed(case: PresenceCase) -> Iterator[Finding]:
    if case.allowed and case.told_in_person and case.owner.jid.bare != case.watcher.jid.bare:
        count = counted(len(case.told_in_person), "session")
        yield Finding(
            "directed_too",
            f"{count} of {case.owner.jid.bare} also sent it directed presence",
            "DP-1",
        )


def _nodes(case: PresenceCase) -> Iterator[Finding]:
    for one in dict.fromkeys((case.owner, case.watcher)):
        yield from elsewhere(one.sessions)


def _plugins(case: PresenceCase) -> Iterator[Finding]:
    return intercepted(case.server, Presence)


RULES: tuple[Callable[[PresenceCase], Iterator[Finding]], ...] = (
    _existence,
    _told_from_elsewhere,
    _permission,
    _availability,
    _privacy,
    _reception,
    _agreement,
    _directed,
    _nodes,
    _plugins,
)
"""The rules in their order; the first finding that hinders is the cause."""


__all__ = ["explain_presence"]
