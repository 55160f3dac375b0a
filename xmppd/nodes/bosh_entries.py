"""BoshEntries: requests by BOSH that come to a node which has not their session."""

from dataclasses import dataclass
from functools import partial
from itertools import count

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.cluster.cluster import Cluster
from xmppd.cluster.entries.bosh import MAX_BODY_BYTES, BoshAnswered, BoshAsked, BoshGone
from xmppd.cluster.membership import NodeLeft, NodeLost
from xmppd.cluster.node import NodeId
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.web.bosh import BoshSessions
from xmppd.web.bosh_body import write_body
from xmppd.web.bosh_session import MAX_WAIT_S, as_answer
from xmppd.web.request import HTTPRequest, HTTPResponse

MAX_WAITING = 5_000
"""Requests that other nodes have yet to answer."""

ANSWER_S = MAX_WAIT_S + 15
"""A request that is not answered for so long is to be asked again."""


@dataclass(frozen=True, slots=True)
class _PassedOn:
    """A request that was passed on.

    Attributes:
        node: To which.
        answer: Its answer.
        end: Gives it up.
    """

    node: NodeId
    answer: Deferred[HTTPResponse]
    end: IDelayedCall


class BoshEntries:
    """Passes requests on to the node that has their session, and its answers back; a session's name
    says which node that is (BO-11).

    Args:
        cluster: The other nodes.
        sessions: Those of this node.
        clock: The reactor's.
    """

    def __init__(self, cluster: Cluster, sessions: BoshSessions, clock: IReactorTime) -> None:
        self._membership = cluster.membership
        self._bus = cluster.bus
        self._sessions = sessions
        self._clock = clock
        self._numbers = count(1)
        self._passed_on: dict[int, _PassedOn] = {}
        self._here: dict[tuple[NodeId, int], HTTPRequest] = {}
        sessions.node = str(cluster.membership.id)
        sessions.elsewhere = self.pass_on

    def put_in(self, entries: EntryHandler) -> None:
        """Handle what other nodes say of this."""
        entries.put(BoshAsked, self.asked)
        entries.put(BoshAnswered, self.answered)
        entries.put(BoshGone, self.gone)

    # -- to the node that has the session ---------------------------------------------------------

    def pass_on(
        self, request: HTTPRequest, node: str
    ) -> HTTPResponse | Deferred[HTTPResponse] | None:
        """The answer of another node to a request.

        Args:
            request: For a session that is not here.
            node: The one that its name says.

        Returns:
            None if there is no such node.
        """
        try:
            id = NodeId.parse(node)
        except ValueError:
            return None
        there = self._membership.nodes.get(id.name)
        if there is None or there.id != id or len(request.body) > MAX_BODY_BYTES:
            return None
        if len(self._passed_on) >= MAX_WAITING or self._bus.is_full(id):
            return _again()
        number = next(self._numbers)
        answer: Deferred[HTTPResponse] = Deferred()
        end = self._clock.callLater(ANSWER_S, self._end, number, _again())
        self._passed_on[number] = _PassedOn(id, answer, end)
        request.gone.then(partial(self._nobody_waits, number))
        self._bus.tell(id, BoshAsked(number, request.body, request.address, request.encrypted))
        return answer

    def answered(self, sender: NodeId, entry: BoshAnswered) -> None:
        """Hand an answer on to whoever has asked."""
        passed = self._passed_on.get(entry.number)
        if passed is not None and passed.node == sender:
            self._end(entry.number, as_answer(entry.data))

    def _nobody_waits(self, number: int) -> None:
        passed = self._passed_on.get(number)
        if passed is not None:
            self._bus.tell(passed.node, BoshGone(number))
            self._end(number, _again())

    def _end(self, number: int, response: HTTPResponse) -> None:
        passed = self._passed_on.pop(number)
        if passed.end.active():
            passed.end.cancel()
        passed.answer.callback(response)

    # -- from the node to which a request came ----------------------------------------------------

    def asked(self, sender: NodeId, entry: BoshAsked) -> None:
        """Take a request that came to another node."""
        request = HTTPRequest(
            method="POST",
            body=entry.data,
            address=entry.address,
            encrypted=entry.encrypted,
        )
        key = sender, entry.number
        self._here[key] = request
        answer = self._sessions.answer(request)
        if isinstance(answer, HTTPResponse):
            self._reply(answer, key)
        else:
            answer.addCallback(self._reply, key)

    def _reply(self, response: HTTPResponse, key: tuple[NodeId, int]) -> None:
        request = self._here.pop(key, None)
        if request is not None and isinstance(response.body, bytes):
            self._bus.tell(key[0], BoshAnswered(key[1], response.body))
            request.gone.happen()

    def gone(self, sender: NodeId, entry: BoshGone) -> None:
        """Note that nobody waits for an answer any more."""
        request = self._here.pop((sender, entry.number), None)
        if request is not None:
            request.gone.happen()

    # -- a node is gone ---------------------------------------------------------------------------

    def node_gone(self, event: NodeLost | NodeLeft) -> None:
        """End what was under way to a node that is gone, with its sessions; and what came by it."""
        node = event.node.id
        over = write_body({"type": "terminate", "condition": "item-not-found"})
        for number, passed in tuple(self._passed_on.items()):
            if passed.node == node:
                self._end(number, as_answer(over))
        for key in [key for key in self._here if key[0] == node]:
            self._here.pop(key).gone.happen()


def _again() -> HTTPResponse:
    """Have the client ask again (:xep:`0124#errorstatus-recover`)."""
    return as_answer(write_body({"type": "error"}))


__all__ = ["ANSWER_S", "MAX_WAITING", "BoshEntries"]
