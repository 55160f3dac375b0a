"""Siblings: the sessions that an account with a session here has on other nodes."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from xmppd.cluster.bus import Bus, ask_all
from xmppd.cluster.entries.accounts import Sibling, SiblingGone
from xmppd.cluster.node import Location, NodeId
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.remote_session import RemoteSession
from xmppd.session.session import Session
from xmppd.session.session_manager import REPLACED
from xmppd.stanza import JID

MEET_S = 2.0
"""The time for which a login waits for other nodes with sessions of its account."""


class SessionTable(Protocol):
    """The part of the RoutingTable that holds sessions."""

    bound: dict[str, Session]

    def add(self, session: Session) -> None:
        """Make a session reachable under its JID."""

    def remove(self, session: Session) -> bool:
        """Forget a session, by identity; returns whether it was here."""

    def refresh(self, session: Session) -> None:
        """Note that the session became available or unavailable."""

    def note_left(self, bare: str, serial: int) -> None:
        """Note that a session of an account that was entered then is no session."""

    def sessions_here(self, bare: str) -> tuple[LocalClientSession, ...]:
        """The sessions of an account that are connected here."""

    def turn_way(self, bare: str, node: NodeId) -> None:
        """Note that messages for an account may still be under way to a node that a session of it
        has left.
        """


class Siblings:
    """Knows all sessions of the accounts that have one here, as their nodes describe them (CL-23).

    A session is described to the other nodes of its account when it is entered in the directory,
    and whenever something changes that these go by. The nodes that are told are those whose
    sessions are known here, and those that a login has asked.

    Attributes:
        nodes: By bare JID the other nodes with sessions of an account that has one here, or whose
            login is under way here; empty on a single node.
        arriving: The number of logins under way here, by bare JID; not counted on a single node.
        changed: Called with the bare JID of an account when something is known of its sessions on
            other nodes that was not before.
        met_late: Called with the bare JID of an account when another node knows of its session here
            that did not for some time, and may have changed what belongs to it.
        absent: Called with the bare JID of an account that has nothing here any more, when other
            nodes may change what belongs to it.
    """

    def __init__(self, table: SessionTable, bus: Bus) -> None:
        self.table = table
        self.bus = bus
        self.nodes: dict[str, tuple[NodeId, ...]] = {}
        self.arriving: Counter[str] = Counter()
        self.changed: list[Callable[[str], object]] = []
        self.met_late: list[Callable[[str], object]] = []
        self.absent: list[Callable[[str], object]] = []
        self._known: dict[str, dict[str, RemoteSession]] = {}
        self._asked: dict[str, dict[NodeId, None]] = {}

    # -- sessions here ----------------------------------------------------------------------------

    def tell(self, session: LocalClientSession) -> None:
        """Describe a session to the other nodes with sessions of its account: something of it has
        changed that they go by. What the client is sent because of that comes behind.
        """
        if session.closed:
            return  # its nodes hear that it has ended
        for node in self.nodes.get(session.jid.bare, ()):
            self.bus.tell(node, described(session, session.jid))

    def want(self, session: LocalClientSession, what: str, *, wanted: bool) -> None:
        """Note that a client has switched something on or off that followers of messages go by."""
        session.wants = session.wants | {what} if wanted else session.wants - {what}
        self.tell(session)

    async def meet(
        self, session: LocalClientSession, jid: JID, nodes: Iterable[NodeId], within_s: float
    ) -> bool:
        """Ask the nodes of an account's other sessions to describe these, for a login here.

        A node that does not answer in time describes them when it can; then they are taken as they
        come.

        Args:
            session: That logs in; it is in the directory.
            jid: The full JID that it will have.
            nodes: Those of its siblings in the directory.
            within_s: The time that is waited for them.

        Returns:
            Whether all of them have answered.
        """
        bare = jid.bare
        asked = dict.fromkeys(nodes)
        self._asked.setdefault(bare, {}).update(asked)
        self._recount(bare)
        answers = await ask_all(self.bus, asked, described(session, jid, asks=True), within_s)
        return len(answers) == len(asked)

    def has_met_late(self, bare: str) -> None:
        """Note that all nodes know of a session here that some of them had not for a while: what
        these have changed of the account, this one was not told.
        """
        if self._is_here(bare):
            for read_again in self.met_late:
                read_again(bare)

    def settle(self, session: LocalClientSession) -> None:
        """Take a session that was bound: its siblings can be reached from now on."""
        jid = session.jid
        known = self._known.get(jid.bare, {})
        replaced = known.pop(jid.full, None)
        if replaced is not None:
            replaced.closed = True
            self.table.turn_way(jid.bare, replaced.location.node)
            self._recount(jid.bare)
        for full, other in known.items():
            if not isinstance(
                self.table.bound.get(full), LocalClientSession
            ):  # which is moved here
                self.table.add(other)
                self.table.refresh(other)
        if known:
            self._has_changed(jid.bare)
        self.tell(session)

    def moved(self, session: LocalClientSession, node: NodeId) -> None:
        """Take a session that was here until now, and is at another node."""
        if self._is_here(session.jid.bare):
            entry = described(session, session.jid)
            self._note(session.jid, Location(node, session.serial), entry)

    def part(self, jid: JID, serial: int) -> None:
        """Tell the other nodes that a session has ended, or that its login has failed."""
        gone = SiblingGone(jid.full, serial, last=not self._is_here(jid.bare))
        for node in self.nodes.get(jid.bare, ()):
            self.bus.tell(node, gone)
        self.forget_absent(jid.bare)

    def forget_absent(self, bare: str) -> None:
        """Forget the sessions of an account that has none here any more."""
        if not self._is_here(bare):
            for session in self._known.pop(bare, {}).values():
                session.closed = True
            self._asked.pop(bare, None)
            self._recount(bare)
            for forget in self.absent:
                forget(bare)

    # -- sessions on other nodes ------------------------------------------------------------------

    def sibling(self, sender: NodeId, entry: Sibling) -> None:
        """Take the description of a session on another node."""
        jid = JID.prepared(entry.session)
        holder = self.table.bound.get(jid.full)
        if isinstance(holder, LocalClientSession):
            if holder.serial >= entry.serial:
                return
            holder.connection.close(REPLACED)
        if not self._is_here(jid.bare):
            return
        if entry.asks:
            for session in self.table.sessions_here(jid.bare):
                self.bus.tell(sender, described(session, session.jid))
        self._note(jid, Location(sender, entry.serial), entry)

    def _note(self, jid: JID, location: Location, entry: Sibling) -> None:
        known = self._known.setdefault(jid.bare, {})
        session = known.get(jid.full)
        if session is None or session.location != location:
            if session is not None and session.location.serial > location.serial:
                return
            if session is not None:
                session.closed = True
                self.table.remove(session)
                self.table.turn_way(jid.bare, session.location.node)
            session = known[jid.full] = RemoteSession(jid, location, self.bus)
            self._recount(jid.bare)
        session.describe(entry)
        if self.table.sessions_here(jid.bare):
            self.table.add(session)
            self.table.refresh(session)
            self._has_changed(jid.bare)

    def sibling_gone(self, sender: NodeId, entry: SiblingGone) -> None:
        """Forget a session of another node, unless a later one of its JID is known."""
        jid = JID.prepared(entry.session)
        session = self._known.get(jid.bare, {}).get(jid.full)
        if session is not None and session.location == Location(sender, entry.serial):
            self._forget(session)
            self.table.turn_way(jid.bare, sender)
        if entry.last:
            self._asked.get(jid.bare, {}).pop(sender, None)
            self._recount(jid.bare)

    def lost(self, node: NodeId) -> None:
        """Forget all sessions of a node that is lost, or has left."""
        for bare in [bare for bare, nodes in self.nodes.items() if node in nodes]:
            for session in tuple(self._known.get(bare, {}).values()):
                if session.location.node == node:
                    self._forget(session)
            self._asked.get(bare, {}).pop(node, None)
            self._recount(bare)

    def _forget(self, session: RemoteSession) -> None:
        session.closed = True
        bare = session.jid.bare
        known = self._known[bare]
        del known[session.jid.full]
        if not known:
            del self._known[bare]
        self.table.remove(session)
        self._recount(bare)
        self._has_changed(bare)

    def _has_changed(self, bare: str) -> None:
        for tell in self.changed:
            tell(bare)

    def _is_here(self, bare: str) -> bool:
        return bool(self.arriving[bare] or self.table.sessions_here(bare))

    def _recount(self, bare: str) -> None:
        """Find the nodes that are told of the account's sessions here."""
        known: Mapping[str, RemoteSession] = self._known.get(bare, {})
        nodes = dict.fromkeys(session.location.node for session in known.values())
        nodes.update(dict.fromkeys(self._asked.get(bare, ())))
        if nodes:
            self.nodes[bare] = tuple(nodes)
        else:
            self.nodes.pop(bare, None)
            self._asked.pop(bare, None)


def described(session: LocalClientSession, jid: JID, *, asks: bool = False) -> Sibling:
    """The description of a session for other nodes.

    Args:
        session: Connected here.
        jid: The full JID that it has, or is about to have.
        asks: Whether the other node describes its own in return.
    """
    privacy, presence = session.privacy, session.presence
    return Sibling(
        jid.full,
        session.serial,
        None if presence is None else presence.payload.raw,
        None if presence is None else presence.id,
        session.priority,
        session.interested,
        None if privacy is None else privacy.active,
        privacy is not None and privacy.invisible,
        tuple(sorted(session.wants)),
        asks,
    )


__all__ = ["Siblings", "described"]
