"""EventAudience: who is told of what an account publishes, beside those who have subscribed."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from msgspec import Struct
from twisted.internet.defer import Deferred

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Location, NodeId
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.presence.presence_manager import PresenceManager
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.roster.roster import Roster
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Message, Payload
from xmppd_plugins.caps.clients import ClientCapabilities
from xmppd_plugins.pubsub.access import AccessModel, Affiliation
from xmppd_plugins.pubsub.config import NodeConfig
from xmppd_plugins.pubsub.state import Follow, NodeState

from .counts import EventCounts


class EventTold(Struct, frozen=True):
    """An event for people at another server of the service.

    Attributes:
        owner: Bare JID of the account that tells it.
        node: The name of its node.
        id: Of the message.
        type: Of the message.
        raw: Its payload.
        people: Bare JIDs of whom to tell, if their clients want that.
        followers: Of those who have subscribed.
        cause: Full JID of who has caused it; empty if nobody has.
    """

    owner: str
    node: str
    id: str
    type: str
    raw: bytes
    people: list[str]
    followers: list[Follow]
    cause: str = ""


class NotTold(NamedTuple):
    """Why somebody is not told of an event.

    Attributes:
        rule: In docs/pipeline.md.
        says: A part of a sentence.
    """

    rule: str
    says: str


class EventAudience:
    """Tells events to the sessions that want them: the account's own, its contacts', and those of
    who sees it by a shared group; and to subscribers. Nobody is told twice (PE-5).

    Args:
        presences: Know rosters and lists.
        capabilities: Know what clients want.
        messages: Lead to other servers of the service.
        router: For people of other services.
        counts: Of notifications.
    """

    def __init__(
        self,
        presences: PresenceManager,
        capabilities: ClientCapabilities,
        messages: PluginMessages,
        router: PacketRouter,
        counts: EventCounts,
    ) -> None:
        self.table: RoutingTable = presences.routing_table
        self.presences = presences
        self.capabilities = capabilities
        self.messages = messages
        self.router = router
        self.counts = counts

    async def tell(
        self,
        account: JID,
        state: NodeState,
        make: Callable[[], Message],
        followers: Sequence[Follow],
        cause: JID | None = None,
    ) -> None:
        """Tell an event of a node.

        Args:
            account: Bare JID of the owner.
            state: The node.
            make: Makes the message, to nobody yet, once somebody is told.
            followers: Who has subscribed.
            cause: Who has caused it, for whom it counts at each server of the service.
        """
        node = state.name.node
        roster = await self.presences.rosters.roster(account)
        lists = await self.presences.privacy_lists.lists(account)
        privacy = lists.in_force(account, roster)
        here, elsewhere = self._people(roster, privacy, state)
        wanting = [
            follow
            for follow in followers
            if _is_shown(privacy, jid := JID.prepared(follow.jid))
            and self._may_follow(roster, state, jid)
        ]
        sessions = self._sessions(node, here, wanting)
        strangers = self._strangers(node, elsewhere, wanting)
        shared = self.table.directory.shared
        if not (sessions or strangers or shared):
            return
        message = make()
        self._tell_sessions(message, sessions, cause)
        if shared:
            await self._tell_nodes(message, node, here, wanting, cause)
        self._tell_strangers(message, strangers, cause)

    def _people(
        self, roster: Roster, privacy: SessionPrivacy | None, state: NodeState
    ) -> tuple[list[str], Sequence[JID]]:
        """Who may read the node and is shown its events, of those whom the account's presence
        reaches (PE-7, PE-8): the accounts of ours, and the others.
        """
        account, config = roster.account, state.config
        is_for_all = config.access_model in (AccessModel.OPEN, AccessModel.PRESENCE)
        if is_for_all and privacy is None and state.affiliations.keys() <= {account.bare}:
            # As nearly always: nobody has to be asked about.
            return [account.bare, *roster.viewers_here()], roster.viewers_elsewhere
        people = [
            jid
            for jid in (account, *roster.viewers())
            if (jid is account or self._may_read(roster, config, state.affiliation(jid), jid))
            and _is_shown(privacy, jid)
        ]
        here = [jid.bare for jid in people if self.table.is_local(jid)]
        return here, [jid for jid in people if not self.table.is_local(jid)]

    def _may_read(
        self, roster: Roster, config: NodeConfig, affiliation: Affiliation, viewer: JID
    ) -> bool:
        if affiliation in (Affiliation.OUTCAST, Affiliation.PUBLISH_ONLY):
            return False
        if affiliation is not Affiliation.NONE:
            return True
        match config.access_model:
            case AccessModel.OPEN | AccessModel.PRESENCE:
                return True
            case AccessModel.ROSTER:
                return not set(roster.standing(viewer)[1]).isdisjoint(config.roster_groups_allowed)
        return False

    def _may_follow(self, roster: Roster, state: NodeState, follower: JID) -> bool:
        """Whether somebody who has subscribed may read the node still."""
        if follower.bare == roster.account.bare:
            return True
        affiliation = state.affiliation(follower)
        if affiliation is Affiliation.NONE:
            if state.config.access_model is AccessModel.AUTHORIZE:
                return True  # the subscription is what was approved
            if state.config.access_model is AccessModel.PRESENCE:
                return roster.may_be_seen_by(follower)
        return self._may_read(roster, state.config, affiliation, follower)

    async def why_not(self, state: NodeState, account: JID, viewer: JID) -> NotTold | None:
        """Why somebody is not told of a node, whatever their client wants; None if they are."""
        roster = await self.presences.rosters.roster(account)
        lists = await self.presences.privacy_lists.lists(account)
        if not _is_shown(lists.in_force(account, roster), viewer):
            return NotTold("PE-8", f"{account.bare} or its privacy list blocks this address")
        if viewer.bare == account.bare:
            return None
        if not roster.may_be_seen_by(viewer):
            return NotTold(
                "PE-5",
                f"{account.bare} is not visible to this address: see xmppctl explain presence",
            )
        if not self._may_read(roster, state.config, state.affiliation(viewer), viewer):
            model = state.config.access_model.value
            return NotTold("PE-7", f"the node's access model, {model}, excludes this address")
        return None

    def told(self, event: EventTold) -> None:
        """Tell people here of an event at another server of the service."""
        sender = JID.prepared(event.owner)
        message = Message(None, sender, event.id, event.type, Payload(event.raw))
        sessions = self._sessions(event.node, event.people, event.followers)
        self._tell_sessions(message, sessions, JID.prepared(event.cause) if event.cause else None)

    def _sessions(
        self, node: str, people: Iterable[str], followers: Sequence[Follow]
    ) -> list[LocalClientSession]:
        """The sessions that are told, of those that are connected here."""
        users = self.table.users
        here = [
            session for bare in people if bare in users for session in users[bare].available_here
        ]
        sessions = self.capabilities.wanting(here, node)
        self.counts.filtered += len(here) - len(sessions)
        for follow in followers:
            sessions += self._subscribed(follow)
        return list(dict.fromkeys(sessions)) if followers else sessions

    def _tell_sessions(
        self, message: Message, sessions: Sequence[LocalClientSession], cause: JID | None
    ) -> None:
        self._count(len(sessions), cause)
        head, tail = message.around_to()
        shared = message.for_several()
        for session in sessions:
            session.deliver(shared, head + session.jid.wire + tail)

    def _count(self, told: int, cause: JID | None) -> None:
        self.counts.told += told
        if cause is not None and told:
            self.table.note_fan_out(cause, told)

    def _subscribed(self, follow: Follow) -> Iterator[LocalClientSession]:
        """The sessions here that a subscription is for."""
        jid, shows = JID.prepared(follow.jid), follow.options.show_values
        for session in self.table.available_here(jid.bare):
            is_meant = session.priority >= 0 if jid.resource is None else session.jid == jid
            if is_meant and (not shows or _show(session) in shows):
                yield session

    async def _tell_nodes(
        self,
        message: Message,
        node: str,
        people: Sequence[str],
        followers: Sequence[Follow],
        cause: JID | None,
    ) -> None:
        """Tell other servers of the service whom they have to tell."""
        told: dict[NodeId, tuple[list[str], list[Follow]]] = defaultdict(lambda: ([], []))
        found = await self._found(message.sender, people)
        for bare in people:
            for id in {*self._nodes_of(bare), *(place.node for place in found.get(bare, ()))}:
                told[id][0].append(bare)
        for follow in followers:
            jid = JID.prepared(follow.jid)
            if self.table.is_local(jid):
                for place in await self.table.nodes_of(jid.bare):
                    told[place.node][1].append(follow)
        raw, sender = message.payload.without_to().raw, message.sender
        id_of, kind, by = message.id or "", message.type or "normal", cause.full if cause else ""
        for id, (bares, follows) in told.items():
            event = EventTold(sender.bare, node, id_of, kind, raw, bares, follows, by)
            self.messages.tell_node(id, sender, event)

    async def _found(self, account: JID, people: Iterable[str]) -> Mapping[str, Sequence[Location]]:
        """Where people are if the account is not available here: then nothing is known of where
        those are whom it sees.
        """
        table = self.table
        if table.available_here(account.bare):
            return {}
        unknown = [bare for bare in people if bare not in table.elsewhere]
        with suppress(DirectoryAway):  # then they see it when they come the next time
            found = await table.directory.nodes_of(unknown)
            own = table.membership.id
            return {
                bare: [place for place in places if place.node != own]
                for bare, places in found.items()
            }
        return {}

    def _nodes_of(self, bare: str) -> Iterable[NodeId]:
        """The other servers at which an account of interest is known to be."""
        siblings = self.table.siblings.nodes.get(bare, ())
        return {*siblings, *(place.node for place in self.table.elsewhere.get(bare, ()))}

    def _strangers(
        self, node: str, people: Iterable[JID], followers: Iterable[Follow]
    ) -> Collection[str]:
        """The full JIDs of contacts at other services whose clients want it, and the JIDs of
        subscribers there (PE-9).
        """
        told: dict[str, None] = {}
        for jid in people:
            told.update(dict.fromkeys(self.capabilities.wanted_elsewhere(jid.bare, node)))
        for follow in followers:
            if not self.table.is_local(JID.prepared(follow.jid)):
                told[follow.jid] = None
        return told

    def _tell_strangers(self, message: Message, told: Collection[str], cause: JID | None) -> None:
        self._count(len(told), cause)
        for full in told:
            later = self.router.route(message.addressed(JID.prepared(full)))
            if later is not None:
                Deferred.fromCoroutine(later)  # the result of a router never fails


def _show(session: LocalClientSession) -> str:
    """How a session shows itself, as options of subscriptions call it."""
    return (session.presence and session.presence.show) or "online"


def _is_shown(privacy: SessionPrivacy | None, viewer: JID) -> bool:
    """Whether the account's default list lets its presence, and so its events, out to somebody
    (PE-8).
    """
    return privacy is None or privacy.shows_to(viewer)


__all__ = ["EventAudience", "EventTold"]
