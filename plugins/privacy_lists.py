"""XEP-0016: Privacy Lists. Rules about the addresses that an account hears, and those that see it.

The specification is deprecated: it asks more of clients than most of them do, and blocking
(:xep:`0191`) and invisibility (:xep:`0186`) have taken its place. It is for clients that know
nothing else, and not loaded unless it is named in ``plugins.load``. Lists are obeyed all the same,
whether this is loaded or not.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from itertools import count

from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.turns import Turns
from xmppd.plugin.place import Part
from xmppd.presence.privacy_changes import PrivacyChanges, active_list
from xmppd.privacy.privacy_list import NS, PrivacyList, name_of
from xmppd.privacy.privacy_list_manager import PrivacyListChanged, PrivacyListManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, escape, qname
from xmppd.stanza.addresses import parse_all

LIST, ACTIVE, DEFAULT = (qname(NS, name) for name in ("list", "active", "default"))


@dataclass(frozen=True)
class IQPrivacyHandler(IQHandler):
    """Show an account its lists, and change them and their use as it asks (§2)."""

    rosters: RosterManager
    privacy_lists: PrivacyListManager
    privacy_changes: PrivacyChanges
    turns: Turns

    query = qname(NS, "query")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        """The names of all lists, or one list whole (§2.3)."""
        known = await self.privacy_lists.lists(asked.address)
        named = list(iq.payload.tree[0])
        if not named:
            active = active_list(asked.session)
            names = _named("active", active) + _named("default", known.default_name)
            return _query(names + "".join(_named("list", name) for name in known.lists))
        if len(named) != 1 or named[0].tag != LIST:
            raise StanzaError(Condition.BAD_REQUEST, "ask for one list at a time")
        return _query(known.found(_name(named[0])).wire().decode())

    def on_set(self, iq: IQ, asked: Asked) -> Awaitable[None]:
        """Use a list, or change one: one thing at a time (§2.1)."""
        session = asked.session
        named = list(iq.payload.tree[0])
        if len(named) != 1 or named[0].tag not in (LIST, ACTIVE, DEFAULT):
            raise StanzaError(
                Condition.BAD_REQUEST,
                "a request must contain one of <active/>, <default/> and <list/>",
            )
        if named[0].tag == LIST:
            return self._set_list(session, named[0])
        name = _name(named[0]) if "name" in named[0].attrib else None
        if named[0].tag == DEFAULT:
            return self.privacy_changes.set_default(asked.address, name, by=session)
        return self.privacy_changes.activate(session, name)

    async def _set_list(self, session: LocalClientSession, asked: Tree) -> None:
        account = session.jid.to_bare()
        if not len(asked):
            await self.privacy_changes.remove(account, _name(asked), by=session)
            return
        self.privacy_lists.check_length(len(asked))
        named = [item.get("value", "") for item in asked if item.get("type") == "jid"]
        try:
            await parse_all(named, self.turns.next)  # so that reading the list does not wait
            changed = PrivacyList.from_tree(asked)
        except ValueError as error:
            raise StanzaError(Condition.BAD_REQUEST, str(error)) from error
        await self._check_groups(account, changed)
        await self.privacy_changes.save(account, changed)

    async def _check_groups(self, account: JID, changed: PrivacyList) -> None:
        """A rule's group is one of the roster's (§2.1)."""
        if changed.groups:
            roster = await self.rosters.roster(account)
            missing = changed.groups.difference(*(item.groups for item in roster.shown()))
            if missing:
                raise StanzaError(
                    Condition.ITEM_NOT_FOUND, f"the roster has no group {min(missing)}"
                )


@dataclass(frozen=True)
class PrivacyListPush:
    """Tells all resources of an account that a list has changed; they may fetch it (§2.2)."""

    sessions: SessionManager
    _numbers: "count[int]" = field(default_factory=count)

    def push(self, change: PrivacyListChanged) -> None:
        """Tell all resources."""
        query = _query(_named("list", change.name))
        for session in self.sessions.local_sessions(change.account.bare):
            push_id = f"privacy-{next(self._numbers)}"
            push = IQ.make(session.jid, change.account, query, id=push_id, type="set")
            session.deliver(push, push.wire())


def _name(asked: Tree) -> str:
    try:
        return name_of(asked)
    except ValueError as error:
        raise StanzaError(Condition.BAD_REQUEST, str(error)) from error


def _named(element: str, name: str | None) -> str:
    return "" if name is None else f"<{element} name='{escape(name)}'/>"


def _query(inside: str) -> bytes:
    return f"<query xmlns='{NS}'>{inside}</query>".encode()


def plug(
    sessions: SessionManager,
    rosters: RosterManager,
    privacy_lists: PrivacyListManager,
    privacy_changes: PrivacyChanges,
    turns: Turns,
) -> list[Part]:
    """The parts of this feature."""
    push = PrivacyListPush(sessions)
    return [
        IQPrivacyHandler(rosters, privacy_lists, privacy_changes, turns),
        On(PrivacyListChanged, push.push),
    ]
