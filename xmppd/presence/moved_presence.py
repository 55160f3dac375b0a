"""MovedPresence: a session changes its node, and nobody is shown anything of that."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.presence import SentPresence
from xmppd.cluster.node import NodeId
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.lately import Lately
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Presence, Stanza
from xmppd.store.errors import StoreError

TRY_AGAIN_S = 5.0
TRIES = 12
"""As often the directory is asked whether a session has ended, until it answers: for a minute."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class MovedAway:
    """A session that has gone to another node.

    Attributes:
        jid: Full JID.
        serial: Of its place.
        count: Of its presences when it went.
        node: To which it went.
        known_at: The nodes that knew of its account.
        directed: Full or bare JIDs that were sent directed presence.
    """

    jid: JID
    serial: int
    count: int
    node: NodeId
    known_at: tuple[NodeId, ...]
    directed: tuple[str, ...]


class MovedPresence:
    """Has those who see a session, and those whom it sees, go by its new node from then on
    (CL-103).

    Args:
        presences: Those of sessions here, and what these were shown.
    """

    def __init__(self, presences: PresenceManager) -> None:
        self.presences = presences
        self.routing_table = presences.routing_table
        self.introductions = presences.introductions
        self.sightings = presences.introductions.sightings
        self.id = presences.introductions.membership.id
        self._lately = Lately[MovedAway](presences.introductions.clock.seconds)

    # -- at the node that it leaves ---------------------------------------------------------------

    def prepare(self, session: LocalClientSession) -> None:
        """Note whom of this node a session sees that is about to be saved, and who has sent it
        directed presence, so that another node knows them.
        """
        for sender in self.presences.directed.senders_to(session.jid):
            self.sightings.handed(session.jid.full, sender, self.id)
        privacy = session.privacy
        for sent in self._here(session):
            if privacy is None or privacy.lets_in(sent.stanza()):
                self.sightings.shows(session, sent, self.sightings.mark(self.id, sent))

    def went(self, session: LocalClientSession, node: NodeId) -> None:
        """Have those here who see a session see it at another node from now on."""
        for sender in self.presences.directed.senders_to(session.jid):
            self.routing_table.interest.know(sender.partition("/")[0], node)
        directed = self.presences.directed.pop(session.jid)
        for address in directed:
            if self.presences.reached(address):
                self.sightings.handed(address.full, session.jid.full, node)
        known_at = tuple(self.routing_table.interest.known_at.get(session.jid.bare, ()))
        if session.presence is not None or directed:
            addresses = tuple(jid.full for jid in directed)
            jid, serial, count = session.jid, session.serial, session.count
            moved = MovedAway(jid, serial, count, node, known_at, addresses)
            self._lately.note(moved)
            if known_at:
                Deferred.fromCoroutine(self._take_back_late(moved)).addErrback(_failed, moved)
        if session.presence is None:
            return
        sent = SentPresence.of(session.presence, session.serial, session.count)
        mark = self.sightings.mark(node, sent)
        for viewer in self._viewers(session):
            if viewer.privacy is None or viewer.privacy.lets_in(session.presence):
                self.sightings.shows(viewer, sent, mark)

    def lost(self, node: NodeId) -> list[MovedAway]:
        """The sessions that have gone to a node lately which is lost now: it may not have said so
        at the nodes where they are seen, which then believe that they are here.
        """
        return [moved for moved in self._lately.all() if moved.node == node]

    async def _take_back_late(self, moved: MovedAway) -> None:
        """Take a session back if it has ended at its new node before what this one had said of it
        was heard: that came behind the goodbye.
        """
        for node in moved.known_at:
            await self.routing_table.bus.settled(node)
        if await self._has_ended(moved):
            await self.say_goodbye(moved)

    async def _has_ended(self, moved: MovedAway) -> bool:
        """Whether a session that has gone to another node is nowhere; as far as that can be said
        soon.
        """
        introductions = self.introductions
        for _ in range(TRIES):
            if introductions.membership.complete:
                with suppress(DirectoryAway):
                    places = await introductions.directory.sessions_of(moved.jid.bare)
                    place = places.get(moved.jid.resource or "")
                    return place is None or place.serial != moved.serial
            await deferLater(introductions.clock, TRY_AGAIN_S)
        return False

    async def say_goodbye(self, moved: MovedAway) -> None:
        """Have those hear that a session is gone who were shown it by this node, and nothing later
        by another one.
        """
        try:
            roster = await self.introductions.rosters.look(moved.jid.to_bare())
        except StoreError:
            _log.info("nobody could be notified that {jid} is gone", jid=moved.jid.full)
            return
        gone = Presence.make(None, moved.jid, type="unavailable")
        sent = SentPresence.of(gone, moved.serial, moved.count + 1)
        people = (*roster.own_and_viewers(), *moved.directed)
        self.routing_table.interest.take_back(sent, moved.known_at, people)

    def _viewers(self, session: LocalClientSession) -> Iterator[LocalClientSession]:
        """The other sessions here that may see one, as far as its own side decides."""
        roster = self.introductions.rosters.loaded(session.jid.bare)
        if roster is None:
            return
        people, apart = roster.listeners(session.privacy)
        for bare in people:
            yield from self._others(bare, session)
        for each in apart:
            for viewer in self._others(each.account, session):
                if each.shows_to(viewer.jid.full):
                    yield viewer

    def _others(self, bare: str, session: LocalClientSession) -> Iterator[LocalClientSession]:
        here = self.routing_table.available_here(bare)
        return (viewer for viewer in here if viewer is not session)

    def is_found_out(self, stanza: Stanza) -> bool:
        """Whether a stanza that has come for a session while it was moved says what its new node
        asks for anyway.
        """
        return (
            isinstance(stanza, Presence)
            and stanza.to is None
            and stanza.type in (None, "unavailable")
            and self.routing_table.is_local(stanza.sender)
        )

    def stays(self, session: LocalClientSession) -> None:
        """Note that a session is here: those here need not be noted."""
        for sender, node in tuple(self.sightings.handed_to(session.jid.full).items()):
            if node == self.id:
                self.sightings.withdraw(session.jid.full, sender)

    # -- at the node that it comes to -------------------------------------------------------------

    def came(self, session: LocalClientSession) -> None:
        """Have a session see those here as they are now."""
        self.stays(session)
        for address in self.presences.directed.receivers(session.jid):
            if self.presences.reached(address):
                self.sightings.withdraw(address.full, session.jid.full)
        self.introductions.find_here(session, list(self._here(session)), self._viewers(session))

    def is_known_at(self, session: LocalClientSession, nodes: Iterable[NodeId]) -> None:
        """Note which nodes know of a session that has come here; if it has ended meanwhile, they
        are told, and know nothing of it any more.
        """
        interest, bare = self.routing_table.interest, session.jid.bare
        for node in nodes:
            if node != self.id and self.introductions.membership.is_in(node):
                interest.know(bare, node)
        if not session.closed:
            return
        roster = self.introductions.rosters.loaded(bare)
        if roster is not None:
            gone = Presence.make(None, session.jid, type="unavailable")
            interest.say_goodbye(session, gone, roster.own_and_viewers())
        if bare not in self.routing_table.users:
            interest.leave(bare, session.serial)

    async def find_others(self, session: LocalClientSession) -> None:
        """Have other nodes know that it is here."""
        receivers = self.presences.directed.receivers(session.jid)
        await self.introductions.find_elsewhere(session, receivers)

    def pass_on(self, session: LocalClientSession, stanza: Stanza) -> None:
        """Note a presence that the former node has shown a session."""
        if not isinstance(stanza, Presence):
            return
        if not self.routing_table.is_local(stanza.sender):
            self.presences.remote.note(session, stanza)
        elif stanza.type == "unavailable":
            session.seen.pop(stanza.sender.full, None)  # its client believes that it is gone

    def _here(self, session: LocalClientSession) -> Iterator[SentPresence]:
        """The presences of sessions here that a session may see."""
        rosters = self.introductions.rosters
        roster = rosters.loaded(session.jid.bare)
        if session.presence is None or roster is None:
            return
        contacts = filter(self.routing_table.is_local, roster.subscribed_to)
        for bare in {session.jid.bare, *(contact.bare for contact in contacts)}:
            theirs = rosters.loaded(bare) if bare in self.routing_table.users else None
            if theirs is None or not theirs.may_be_seen_by(session.jid):
                continue
            for other in self.presences.shown(bare, session.jid):
                if other is not session and other.presence is not None:
                    yield SentPresence.of(other.presence, other.serial, other.count)


def _failed(failure: Failure, moved: MovedAway) -> None:
    _log.failure("the clean-up of moved presence of {jid} failed", failure, jid=moved.jid.full)


__all__ = ["MovedAway", "MovedPresence"]
