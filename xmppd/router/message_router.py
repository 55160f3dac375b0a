"""MessageRouter: messages to a session, an account, or an address elsewhere
(:rfc:`6121#section-8`).
"""

from dataclasses import dataclass

from msgspec.structs import replace
from mypy_extensions import mypyc_attr

from xmppd.events import Events
from xmppd.message.decision import (
    ADMINS,
    ANOTHER_NODE,
    ELSEWHERE,
    SERVER,
    Cell,
    Decision,
    decide,
    decided,
)
from xmppd.message.follower import AccountFollowers, Course, Followers
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.routing.routing_table import SILENT, RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import JID, Condition, Later, Message, StanzaError
from xmppd.stanza.copy_count import Copies

_ELSEWHERE = Decision(Cell.HANDED_ON, ELSEWHERE)
_AT_ANOTHER_NODE = Decision(Cell.HANDED_ON, ANOTHER_NODE)
_DROPPED_THERE = Decision(Cell.DROPPED, SERVER)


@dataclass(frozen=True, slots=True)
class MessageUnheard:
    """A message to an account found no session, and its sender is not told: it was kept, or
    dropped.

    Attributes:
        account: Bare JID; if the message was dropped there need be no such account.
        message: As it was kept.
        decision: About it, with the row of the table.
    """

    account: JID
    message: Message
    decision: Decision


@mypyc_attr(allow_interpreted_subclasses=True)
class MessageRouter:
    """Decides about each message by the table in :mod:`xmppd.message.decision`, and does it.

    Attributes:
        admins: The administrators, who get messages to the server itself (MR-4).
        stanzas: The number that it was given.
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        offline: OfflineMessageStrategy,
        followers: Followers,
        admins: tuple[JID, ...],
        events: Events,
    ) -> None:
        self.routing_table = routing_table
        self.offline = offline
        self.followers = followers
        self.admins = admins
        self.events = events
        self.stanzas = 0
        self._followers_of = followers.of
        self._lines = offline.flood.lines
        self._origins = routing_table.origins
        self._ways = routing_table.ways.taken
        self._turn_of = ""  # the account whose turn it is, while its message is routed

    def decide(self, message: Message) -> Decision:
        """Decide about an addressed message, as far as possible without the store; about one that
        is kept, :meth:`OfflineMessageStrategy.decide` knows more.
        """
        to, routes = message.to, self.routing_table
        assert to is not None, "it is addressed"
        if to.resource is not None:
            named = routes.bound.get(to.full)
            here = named if named is not None and not named.closed else None
            if here and not (self._turn_of and self._is_held_back(message, to, here)):
                return decide(message, here, ())
        if to.domain not in routes.domains:
            return _ELSEWHERE
        if to.local is None:
            return self._decide_there(message, to)
        if to.bare in routes.users:
            return decide(message, None, routes.available(to.bare))
        return _AT_ANOTHER_NODE if routes.may_pass_on(message) else decide(message, None, ())

    def _is_held_back(self, message: Message, to: JID, named: Session) -> bool:
        """Whether it waits behind stored messages, for a session that is about to become available
        (MR-7); one that the session denies does not.
        """
        in_turn = to.bare == self._turn_of
        return (
            in_turn
            and message.type == "chat"
            and self.offline.flood.holds_back(to)
            and (named.privacy is None or named.privacy.lets_in(message))
        )

    def _decide_there(self, message: Message, to: JID) -> Decision:
        """Decide about a message to the server or its administrators (MR-3, MR-4)."""
        if not message.answerable:
            return _DROPPED_THERE
        return decided(message, ADMINS if self.admins and to.resource is None else SERVER)

    def route(self, message: Message) -> Later:
        """Deliver, store, drop or bounce a message, and let its recipient's followers know.

        Raises:
            StanzaError: It is bounced.
        """
        to = message.to
        if to is None:
            to = message.sender.to_bare()  # :rfc:`6120#section-10.3.1`
            message = message.addressed(to)
        in_turn = to.bare == self._turn_of
        if not in_turn and to.bare in self._lines.open:
            return self._route_in_turn(message, to)
        if self._ways and not in_turn and self._goes_another_way(message, to):
            return self._route_in_turn(message, to)
        decision = self.decide(message)
        sessions = decision.sessions
        if sessions and message.payload.origin and self._origins.may_come_again(message):
            sessions = self._origins.new_to(message, sessions)
            if not sessions:
                return None  # they have it by a node that is lost (CL-15)
            decision = replace(decision, sessions=sessions)
        if sessions:
            asked = self._followers_of.get(to.bare, self.followers.of_all)
            if asked is not None or len(sessions) > 1:
                if self._deliver(message, decision, asked):
                    return None
            elif sessions[0].deliver(message, message.wire()):
                return None
            decision = decide(message, None, ())  # all of them have just ended
        return self._route_on(message, to, decision, in_turn=in_turn)

    def _route_on(self, message: Message, to: JID, decision: Decision, *, in_turn: bool) -> Later:
        """Route a message that no session here gets."""
        if decision is _ELSEWHERE:
            return self._leave(message)
        if decision.cell is Cell.TO_ADMINS:
            return self._to_admins(message)
        if decision is _AT_ANOTHER_NODE and self.routing_table.pass_on(message):
            return None
        if not in_turn:
            finding = self.routing_table.find_way(message)
            if finding is not None or decision.cell is Cell.KEPT:
                return self._route_in_turn(message, to, finding)
        if decision is _AT_ANOTHER_NODE:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, SILENT)
        return self._not_delivered(message, to, decision)

    async def _route_in_turn(self, message: Message, to: JID, finding: Later = None) -> None:
        """Route it behind messages that are stored for the account, or are being stored (MR-7),
        once its way is found (CL-11). One that comes from another node does not wait for those that
        wait for their way to turn; one that comes back goes ahead of all that have come here since
        (CL-16).
        """
        passes = message.payload.passed_on > 0
        turn = self._lines.join(to.bare, passes=passes, ahead=passes and self._is_back(message))
        if turn is not None:
            await turn
        holder = self._lines.open[to.bare].holder
        try:
            await self.offline.flood.catch_up(to.to_bare())
            if await self._has_waited_for_way(message, to, finding, holder):
                await self.offline.flood.catch_up(to.to_bare())  # who has come here meanwhile
            later = self._route_now(message, to)
            if later is not None:
                await later
        finally:
            self._lines.leave(to.bare, holder)

    async def _has_waited_for_way(
        self, message: Message, to: JID, finding: Later, holder: object
    ) -> bool:
        """Find the way of a message, and wait until it may go there; returns whether that had to be
        waited for.
        """
        passes, waited = message.payload.passed_on > 0, finding is not None
        if finding is None:
            finding = self.routing_table.find_way(message)
        if finding is not None:
            waited = True
            await finding
        if to.bare in self._ways and not passes:
            waited = True
            await self._turn_way(to, holder)
            finding = self.routing_table.find_way(message)
            if finding is not None:  # who was there is somewhere else by now
                await finding
        while (room := self.routing_table.find_room(message)) is not None:
            waited = True
            await room
        return waited

    # -- by other nodes ---------------------------------------------------------------------------

    def _is_back(self, message: Message) -> bool:
        """Whether a message that comes from another node was sent before those that wait here: its
        sender is here, or it was not sent here because its account was not.
        """
        sender = self.routing_table.bound.get(message.sender.full)
        return message.payload.passed_on > 1 or isinstance(sender, LocalClientSession)

    def _goes_another_way(self, message: Message, to: JID) -> bool:
        """Whether the way of a message's account has changed, so that it may have to wait for what
        is under way still (CL-16).
        """
        way = self._ways.get(to.bare)
        if way is None or message.payload.passed_on:
            return False
        if to.bare in self.routing_table.users:
            return True
        node = self.routing_table.lead(to.bare)
        return node is not None and node != way.by

    async def _turn_way(self, to: JID, holder: object) -> None:
        """Wait until nothing is under way any more by the way that messages for an account took
        before. Who has the turn steps aside meanwhile for what comes that way.
        """
        bare, table = to.bare, self.routing_table
        way, node = self._ways[bare], table.lead(bare)
        if node == way.by and node is not None:
            return
        way.turning = True
        try:
            settled = None
            while settled != way.nodes:  # a session may change its node meanwhile
                settled = way.nodes
                await self._settle(bare, holder)
        finally:
            way.turning = False
        table.ways.turned(bare, table.lead(bare))

    async def _settle(self, bare: str, holder: object) -> None:
        self._lines.step_aside(bare, holder)
        try:
            if not await self.routing_table.settle(bare):
                await self.offline.flood.next_turn()  # a lost node's are on their way again
        finally:
            turn = self._lines.come_back(bare, holder)
            if turn is not None:
                await turn

    def _route_now(self, message: Message, to: JID) -> Later:
        self._turn_of = to.bare
        try:
            return MessageRouter.route(self, message)  # a plugin's router has seen it
        finally:
            self._turn_of = ""

    # -- to sessions ------------------------------------------------------------------------------

    def _deliver(
        self, message: Message, decision: Decision, asked: AccountFollowers | None
    ) -> bool:
        """Deliver it to several sessions, or with followers; returns whether it arrived.

        Of the sessions that have it, also by followers, the last that ends without having read it
        gives it back (SE-12).
        """
        if message.type == "error" and self.routing_table.hand_over(message):
            return True
        got = sessions = decision.sessions
        account = sessions[0].jid.bare
        course, copies = None, self._copies(account, message)
        if asked is not None:
            course = Course(message, message.payload.tree, account, decision)
            if asked.preparing:
                self.followers.prepare(course, asked)
                message = course.message
        wire = message.wire()
        message.payload.copies = copies
        if len(sessions) == 1:
            if not sessions[0].deliver(message, wire):
                message.payload.copies = None
                return False
        else:
            shared = message.for_several()
            got = tuple([session for session in sessions if session.deliver(shared, wire)])
            if not got:
                message.payload.copies = None
                return False
            self.routing_table.note_fan_out(message.sender, len(got) - 1)
        copies.left = len(got)
        if asked is None or course is None:
            if len(got) == 1:
                message.payload.copies = None
            return True
        course.got = got
        course.copies = copies
        self.followers.follow(course, asked)
        return True

    def _copies(self, account: str, message: Message) -> Copies:
        """The count of the sessions that have a message; known to other nodes that have some of
        them, as is its origin (CL-15).
        """
        copies = Copies(account, 0)
        if self.routing_table.is_elsewhere_too(account):
            self.routing_table.copy_counts.number(copies)
            self._origins.give(message)
        return copies

    # -- to no session ----------------------------------------------------------------------------

    def _not_delivered(self, message: Message, to: JID, decision: Decision) -> Later:
        """Keep, drop or bounce it, as the strategy decides, and have it followed unless it is
        bounced.
        """
        if decision.bounced and decision.row.tells:
            return self._refuse(message, to, decision)
        if decision.bounced or to.local is None:
            return self.offline.undeliverable(message, decision)
        course, asked = None, self._followers_of.get(to.bare, self.followers.of_all)
        if asked is not None:
            course = Course(message, message.payload.tree, to.bare, decision)
            self.followers.prepare(course, asked)
            message = course.message
        if decision.cell is Cell.KEPT:
            return self._keep(message, to, decision, course)
        self.offline.undeliverable(message, decision)
        self._unheard(message, to, decision, course)
        return None

    async def _refuse(self, message: Message, to: JID, decision: Decision) -> None:
        """Refuse it, unless its sender may not know that a resource is not here (MR-10)."""
        decision = await self.offline.decide(message, decision)
        self.offline.undeliverable(message, decision)
        self._unheard(message, to, decision, None)

    async def _keep(
        self, message: Message, to: JID, decision: Decision, course: Course | None
    ) -> None:
        settled = await self.offline.nobody_there(message, decision)
        self._unheard(message, to, settled, course)

    def _unheard(
        self, message: Message, to: JID, decision: Decision, course: Course | None
    ) -> None:
        """Tell the followers and listeners of a message that no session has."""
        asked = self._followers_of.get(to.bare, self.followers.of_all)
        if course is not None and asked is not None:
            course.decision = decision
            self.followers.follow(course, asked)
        self.events.fire(MessageUnheard(to.to_bare(), message, decision))

    def _leave(self, message: Message) -> None:
        if not self.routing_table.route(message):
            raise self.routing_table.unreached(message)

    async def _to_admins(self, message: Message) -> None:
        """Deliver it to each administrator; it is bounced only if none takes it."""
        refusals: list[StanzaError] = []
        for admin in self.admins:
            try:
                later = self.route(message.addressed(admin))
                if later is not None:
                    await later
            except StanzaError as error:
                refusals.append(error)
        if len(refusals) == len(self.admins):
            raise refusals[0]
