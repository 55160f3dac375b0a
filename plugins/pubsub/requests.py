"""Requests about nodes, on their way to where these are served.

A request about one node is done where that node is served (``actions.py``); what is about all nodes
of a host is read from the store at any.
"""

from contextlib import suppress

from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import JID, Condition, Element, StanzaError, dump, parse, qname

from .access import Affiliation
from .actions import Answer, PubSubActions, read_request, request_of
from .engine import Engine
from .following import Following
from .listing import MAX_LISTED
from .messages import (
    Approval,
    AskNode,
    AskPending,
    Departed,
    NodeMessage,
    NodeReply,
    Overdue,
)
from .names import NS, new_name, refused
from .state import FIRST, NodeName
from .tables import KIND


class PubSubRequests:
    """Reads requests, and has them done where their nodes are served.

    Args:
        engine: Does what is about nodes.
        following: Does what is about subscriptions and affiliations.
        messages: Lead to where a node is served.
    """

    def __init__(self, engine: Engine, following: Following, messages: PluginMessages) -> None:
        self.engine = engine
        self.following = following
        self.actions = PubSubActions(engine, following)
        self.store = engine.store
        self.messages = messages

    async def ask(self, host: JID, who: JID, kind: str, query: Element) -> Answer:
        """Do what somebody asks of a host; returns the child of the result.

        Raises:
            StanzaError: It cannot be done, or they may not.
        """
        action, ask = read_request(kind, query)
        node = action.get("node") or ""
        if not node:
            if action.tag == qname(NS, "create"):
                node = new_name()
                action.set("node", node)
            elif ask.needs_node:
                raise refused(Condition.BAD_REQUEST, "nodeid-required")
            else:
                name = NodeName(host.full, "")
                return await ask.do(self.actions, request_of(name, who, query, action))
        name = NodeName(host.full, node)
        if not self.engine.nodes.lives_once(name):  # it is served here
            return await ask.do(self.actions, request_of(name, who, query, action))
        asked = AskNode(host.full, node, who.full, kind, dump(query))
        answer = await self.messages.ask((KIND, name.thing), asked, NodeReply)
        return answer.data or None

    async def _send(self, message: NodeMessage) -> NodeReply:
        """Have something done where the node is served."""
        name = NodeName(message.host, message.node)
        if self.engine.nodes.lives_once(name):
            return await self.messages.ask((KIND, name.thing), message, NodeReply)
        match message:
            case Approval():
                return await self.take_approval(message)
            case AskPending():
                return await self.take_pending(message)
            case Departed():
                return await self.take_departed(message)
            case Overdue():
                return await self.take_overdue(message)

    async def take(self, asked: AskNode) -> NodeReply:
        """Do what is asked of a node that is served here.

        Raises:
            StanzaError: It cannot be done, or they may not.
        """
        query = parse(asked.query)
        action, ask = read_request(asked.kind, query)
        name, who = NodeName(asked.host, asked.node), JID.prepared(asked.asker)
        answer = await ask.do(self.actions, request_of(name, who, query, action))
        return NodeReply(answer or b"")

    # -- beside requests --------------------------------------------------------------------------

    async def approve(self, approval: Approval) -> None:
        """Have an owner's answer to who wants to subscribe done.

        Raises:
            StanzaError: They are no owner, or nobody wants to.
        """
        await self._send(approval)

    async def take_approval(self, approval: Approval) -> NodeReply:
        """Do it where the node is served."""
        name, owner = NodeName(approval.host, approval.node), JID.prepared(approval.owner)
        jid = JID.prepared(approval.jid)
        await self.following.approve(name, owner, jid, allowed=approval.allowed)
        return NodeReply(b"")

    async def pending(self, host: JID, who: JID) -> list[str]:
        """The names of nodes whose owner somebody is, and at which subscriptions wait for that."""
        waiting = await self.store.pending(host, MAX_LISTED)
        if self.engine.nodes.host(host.full).is_owner(who):
            return waiting
        owned = dict(await self.store.affiliations_of(host, who, MAX_LISTED))
        return [name for name in waiting if owned.get(name) is Affiliation.OWNER]

    async def tell_pending(self, host: JID, node: str, who: JID) -> None:
        """Have an owner sent a form for each of them.

        Raises:
            StanzaError: They are no owner, or there is no such node.
        """
        await self._send(AskPending(host.full, node, who.full))

    async def take_pending(self, asked: AskPending) -> NodeReply:
        """Do it where the node is served."""
        name = NodeName(asked.host, asked.node)
        await self.following.tell_pending(name, JID.prepared(asked.owner))
        return NodeReply(b"")

    async def forget(self, host: JID, jid: JID) -> None:
        """Forget somebody who is gone, in all nodes of a host."""
        follows = await self.store.follows_of(host, jid, MAX_LISTED)
        affiliations = await self.store.affiliations_of(host, jid, MAX_LISTED)
        for node in dict.fromkeys(name for name, _ in (*follows, *affiliations)):
            with suppress(StanzaError):  # it is tried again when the next message comes back
                await self._send(Departed(host.full, node, jid.full))

    async def forget_everywhere(self, account: JID) -> None:
        """Forget an account that is gone, in all nodes of all hosts here (PE-18)."""
        for page in (self.store.followed_by, self.store.known_to):
            after = FIRST
            while found := await page(account, MAX_LISTED, after):
                for name in found:
                    with suppress(StanzaError):  # its host is gone as well
                        await self._send(Departed(name.host, name.node, account.bare))
                after = found[-1]

    async def take_departed(self, gone: Departed) -> NodeReply:
        """Do it where the node is served."""
        await self.following.forget(NodeName(gone.host, gone.node), JID.prepared(gone.jid))
        return NodeReply(b"")

    async def end_overdue(self) -> None:
        """Have the items and subscriptions removed whose time is over (NO-7, NO-13)."""
        now = self.engine.nodes.now()
        for name in await self.store.overdue(now, MAX_LISTED):
            with suppress(StanzaError):  # there is a next time
                await self._send(Overdue(name.host, name.node))

    async def take_overdue(self, overdue: Overdue) -> NodeReply:
        """Do it where the node is served."""
        await self.engine.end_overdue(NodeName(overdue.host, overdue.node))
        return NodeReply(b"")


__all__ = ["PubSubRequests"]
