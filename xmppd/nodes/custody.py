"""Custody: a sender is told that a message was handled when it is safe, on whichever node it is."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.cluster.bus import Unreachable
from xmppd.cluster.entries.stanzas import Secure
from xmppd.cluster.node import NodeId
from xmppd.message.held_messages import HeldMessages
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.routing.routing_table import MAX_PASSED_ON, RoutingTable
from xmppd.session.stream_management import Told
from xmppd.stanza import JID, Later
from xmppd.store.errors import StoreError

SECURE_S = 5.0
"""The time in which other nodes make messages safe."""

MARGIN_S = 10.0
"""The time by which a message may have come to another node earlier than the clocks of both say,
since the question was under way for longer than the message."""

_log = Logger()


class Custody:
    """Asks the nodes that a sender's messages went to, and makes messages safe for others (CL-19).

    Args:
        routing_table: Knows these nodes.
        held_messages: Holds the messages here.
        entries: Says when what came before was handled.
    """

    def __init__(
        self, routing_table: RoutingTable, held_messages: HeldMessages, entries: EntryHandler
    ) -> None:
        self.routing_table = routing_table
        self.bus = routing_table.bus
        self.held_messages = held_messages
        self.entries = entries

    def secure_elsewhere(
        self, sender: JID, told: Told, passed_on: int = 0, but: NodeId | None = None
    ) -> Later:
        """Have other nodes make messages safe.

        Args:
            sender: Full JID.
            told: Their addressees.
            passed_on: How often that was asked already.
            but: A node that is not asked.

        Returns:
            Something to wait for; None if no message has gone to another node.

        Raises:
            StoreError: A node did not do so in time.
        """
        table = self.routing_table
        if not table.directory.shared or passed_on > MAX_PASSED_ON:
            return None
        age_s = self.held_messages.clocks.seconds() - told.since
        asked: dict[NodeId, list[str]] = {}
        if told.to is None:
            asked = {node.id: [] for node in table.membership.nodes.values()}
        else:
            for bare in {_bare(text, sender) for text in told.to}:
                for node in table.nodes_about(bare):
                    asked.setdefault(node, []).append(bare)
        if but is not None:
            asked.pop(but, None)
        return self._ask(sender, age_s, asked, passed_on) if asked else None

    async def _ask(
        self, sender: JID, age_s: float, asked: dict[NodeId, list[str]], passed_on: int
    ) -> None:
        within_s = SECURE_S * (1 - passed_on / (MAX_PASSED_ON + 2))
        is_all = not any(asked.values())
        for _ in range(2 if is_all else 1):  # the first time all that is under way has arrived
            works = [
                Deferred.fromCoroutine(
                    self.bus.ask(node, Secure(sender.full, age_s, accounts, passed_on), within_s)
                )
                for node, accounts in asked.items()
            ]
            failed: Unreachable | None = None
            for work in works:
                try:
                    await work
                except Unreachable as error:
                    failed = error
            if failed is not None:
                _log.info("a message may not be stored safely: {error}", error=failed)
                raise StoreError(str(failed)) from failed

    async def secure(self, node: NodeId, entry: Secure) -> None:
        """Make messages safe that are here, or were passed on from here.

        Raises:
            Unreachable: One of them cannot be made safe, which is for the sender's node to know.
        """
        try:
            await self._secure(node, entry)
        except StoreError as error:
            raise Unreachable(str(error)) from error

    async def _secure(self, node: NodeId, entry: Secure) -> None:
        await self.entries.handled(node, entry.accounts)
        sender, accounts = JID.prepared(entry.sender), set(entry.accounts) or None
        held = self.held_messages
        told = Told(accounts, held.clocks.seconds() - entry.age_s - MARGIN_S)
        if accounts is None:
            for other in self.routing_table.membership.nodes.values():
                await self.bus.settled(other.id)
            await held.secure_for(sender, told)
            return
        asking = self.secure_elsewhere(sender, told, entry.passed_on + 1, but=node)
        others = None if asking is None else Deferred.fromCoroutine(asking)
        try:
            await held.secure_for(sender, told)
        finally:
            if others is not None:
                await others


def _bare(text: str, sender: JID) -> str:
    """The account of a message's addressee, as its client wrote it."""
    try:
        return JID.parse(text).bare if text else sender.bare
    except ValueError:
        return sender.bare


__all__ = ["Custody"]
