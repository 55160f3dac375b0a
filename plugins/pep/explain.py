"""Why somebody is told of what an account publishes, or is not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Address
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID
from xmppd_plugins.pubsub.nodes import ServedNodes
from xmppd_plugins.pubsub.state import FollowState, NodeName, NodeState

from .audience import EventAudience

EXPLAIN = Description(
    "explain event",
    "show whether someone gets what an account publishes, and why",
    (
        Argument("owner", "the account that publishes, such as romeo@example.org", AccountName()),
        Argument("watcher", "the account that should get it", Address()),
        Argument("node", "the node, such as urn:xmpp:avatar:metadata"),
    ),
    needs="store",
    answers="sentences",
    area="trace",
)


class EventFindingRow(Row, frozen=True):
    """A finding, with its rule."""

    code: str
    rule: str
    says: str


@dataclass(frozen=True)
class EventExplanations:
    """Explains events of accounts.

    Attributes:
        nodes: All nodes.
        audience: Of accounts.
    """

    nodes: ServedNodes
    audience: EventAudience

    def command(self) -> Command:
        """The command."""
        return Command(EXPLAIN, self.run, (EventFindingRow,))

    async def run(self, context: CommandContext) -> Replies:
        """A row for each finding, the most important one first."""
        told = context.arguments
        owner, watcher, node = told.jid("owner"), told.jid("watcher"), told.text("node")
        state = await self.nodes.store.node(NodeName(owner.bare, node))
        if state is None:
            says = f"{owner.bare} has published nothing at {node}."
            yield EventFindingRow("no_node", "NO-17", says)
            return
        async for finding in self._findings(owner, watcher, state):
            yield finding

    async def _findings(
        self, owner: JID, watcher: JID, state: NodeState
    ) -> AsyncIterator[EventFindingRow]:
        node, bare = state.name.node, watcher.bare
        follow = state.follows.get(watcher.full) or state.follows.get(bare)
        is_subscribed = follow is not None and follow.state is FollowState.SUBSCRIBED
        if is_subscribed:
            yield EventFindingRow("subscribed", "PE-5", f"{bare} has subscribed to {node}.")
        refusal = await self.audience.why_not(state, owner, watcher)
        if refusal is not None and not (is_subscribed and refusal.rule != "PE-8"):
            yield EventFindingRow("not_told", refusal.rule, f"{bare} gets nothing: {refusal.says}.")
            return
        async for finding in self._clients(node, watcher, is_subscribed=is_subscribed):
            yield finding

    async def _clients(
        self, node: str, watcher: JID, *, is_subscribed: bool
    ) -> AsyncIterator[EventFindingRow]:
        """What becomes of it at each of the watcher's clients."""
        table, capabilities = self.audience.table, self.audience.capabilities
        if not table.is_local(watcher):
            wanting = capabilities.wanted_elsewhere(watcher.bare, node)
            says = (
                f"notified at {', '.join(wanting)}"
                if wanting
                else "notified nowhere: no client of the account wants this"
            )
            yield EventFindingRow("elsewhere", "PE-9", f"{watcher.bare} is {says}.")
            return
        sessions = table.available_here(watcher.bare)
        for session in sessions:
            jid = session.jid.full
            if is_subscribed or node in capabilities.wanted(session):
                yield EventFindingRow("told", "PE-5", f"{jid} is notified.")
            elif session.capabilities is None:
                says = f"{jid} has not announced its capabilities, so it is not notified."
                yield EventFindingRow("no_capabilities", "EC-1", says)
            else:
                yield EventFindingRow(
                    "not_wanted", "PE-5", f"{jid} does not want notifications of {node}."
                )
        if not sessions:
            says = (
                f"{watcher.bare} is not available here; it gets the newest item when it comes "
                "online."
            )
            yield EventFindingRow("not_here", "PE-14", says)


__all__ = ["EventExplanations"]
