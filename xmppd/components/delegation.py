"""Delegation: namespaces that a component answers in the server's place (:xep:`0355`, admin
mode).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import Deferred

from xmppd.router.iq_router import IQRouter
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import IQ, JID, Condition, Stanza, StanzaError, Tree, escape, ns, qname
from xmppd.stanza.xml import namespace_of, write

NS = "urn:xmpp:delegation:2"
FORWARD = "urn:xmpp:forward:0"
ANSWER_TIMEOUT_S = 30.0
_FORWARDED_IQ = "/".join((qname(FORWARD, "forwarded"), qname(ns.CLIENT, "iq")))

S = TypeVar("S", bound=Stanza)


@dataclass(frozen=True)
class Delegated:
    """One namespace of one component.

    Attributes:
        component: The one that answers.
        namespace: Of the request's child.
        attributes: Which that child must have; without them the server answers.
    """

    component: JID
    namespace: str
    attributes: tuple[str, ...]

    @classmethod
    def parse(cls, component: JID, text: str) -> "Delegated":
        """Read a configured delegation: the namespace, then the attributes."""
        namespace, *attributes = text.split()
        return cls(component, namespace, tuple(attributes))

    def fits(self, child: Tree) -> bool:
        """Whether the request is delegated."""
        return all(child.get(attribute) is not None for attribute in self.attributes)

    def announcement(self) -> str:
        """The element that tells its component of it."""
        inner = "".join(f"<attribute name='{escape(name)}'/>" for name in self.attributes)
        return f"<delegated namespace='{escape(self.namespace)}'>{inner}</delegated>"


class Delegations(PacketInterceptor):
    """Passes requests to the server or an account on to the component that answers them (CO-13). No
    connection waits for a component: its answer is routed when it comes.

    Args:
        delegated: By namespace.
        domain: The server's own, which asks.
    """

    incoming_kinds = (IQ,)

    def __init__(
        self,
        delegated: Mapping[str, Delegated],
        domain: JID,
        routing_table: RoutingTable,
        requests: Requests,
        iq_router: IQRouter,
    ) -> None:
        self.delegated = delegated
        self.domain = domain
        self.routing_table = routing_table
        self.requests = requests
        self.iq_router = iq_router

    def incoming(self, stanza: S, session: JID) -> S | None:
        tree, to = stanza.payload.tree, stanza.to
        if (
            stanza.type not in ("get", "set")
            or len(tree) != 1
            or not self._is_ours(stanza.sender, to)
        ):
            return stanza
        delegated = self.delegated.get(namespace_of(tree[0].tag))
        if (
            delegated is None
            or not delegated.fits(tree[0])
            or stanza.sender.domain == delegated.component.domain
            or not isinstance(stanza, IQ)
        ):
            return stanza
        Deferred.fromCoroutine(self._answer(stanza, delegated.component))  # it answers all itself
        return None

    def _is_ours(self, sender: JID, to: JID | None) -> bool:
        """Whether the request is to the server or an account of ours, from a sender with an
        address.
        """
        local = self.routing_table.is_local
        if local(sender) and sender.local is None:
            return False
        return to is None or (local(to) and to.resource is None)

    async def _answer(self, iq: IQ, component: JID) -> None:
        try:
            answer = iq.result(await self._ask(iq, component))
        except StanzaError as error:
            answer = iq.error(error)
        self.routing_table.route(answer)

    async def _ask(self, iq: IQ, component: JID) -> bytes:
        """Ask the component; returns the child of the result.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE: the sender may not ask that, or the answer is not
                proper.
        """
        await self.iq_router.check_admits(iq)
        answer = await self.requests.ask(
            component, self.domain, forwarded(iq), timeout_s=ANSWER_TIMEOUT_S, type="set"
        )
        inner = None if answer is None else _inner(answer)
        if inner is None or not _answers(inner, iq):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        return b"".join(write(child) for child in inner)


def forwarded(iq: IQ) -> bytes:
    """The request, wrapped for the component."""
    wire, at = iq.wire(), iq.after_name
    inner = b"%b xmlns='%b'%b" % (wire[:at], ns.CLIENT.encode(), wire[at:])
    return b"<delegation xmlns='%b'><forwarded xmlns='%b'>%b</forwarded></delegation>" % (
        NS.encode(), FORWARD.encode(), inner,
    )  # fmt: skip


def _inner(answer: IQ) -> Tree | None:
    if answer.type != "result":
        return None
    return answer.payload.tree.find(f"{qname(NS, 'delegation')}/{_FORWARDED_IQ}")


def _answers(inner: Tree, iq: IQ) -> bool:
    """Whether the component's answer is one to that request."""
    senders = (None, iq.sender.bare) if iq.to is None else (iq.to.full,)
    return (
        inner.get("type") == "result"
        and inner.get("id") == iq.id
        and inner.get("to") == iq.sender.full
        and inner.get("from") in senders
    )
