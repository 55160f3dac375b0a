"""Engine: nodes are made, configured, published at and removed."""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from xmppd.stanza import JID, Condition, Element, StanzaError
from xmppd.store.errors import QuotaExceeded

from . import events
from .access import (
    Affiliation,
    check_manage,
    check_publish,
    check_retract,
    may_read,
    may_replace,
)
from .config import NodeConfig, WhenFull, precondition_not_met
from .names import PUBLISH_OPTIONS, check_name, new_name, refused, unsupported
from .nodes import Host, ServedNodes, kept
from .reading import Reading
from .state import Follow, FollowState, NewItem, NodeItem, NodeName, NodeState
from .tables import NodeExists, NodeFull

MAX_PER_PUBLISH = 20
"""Items in one request (NO-2)."""

MAX_OVERDUE = 1_000
"""Items whose time is over that are removed at once."""

Submitted = tuple[str | None, bytes | None]
"""The id and the payload of an item, as somebody publishes it."""


class Engine:
    """Does what somebody asks of a node, if they may: it is stored first, and then told (NO-17).

    Args:
        nodes: Those that are served here.

    Attributes:
        reading: Reads their items.
    """

    def __init__(self, nodes: ServedNodes) -> None:
        self.nodes = nodes
        self.store = nodes.store
        self.reading = Reading(nodes)

    # -- a node as a whole ------------------------------------------------------------------------

    async def create(self, name: NodeName, who: JID, form: Element | None) -> None:
        """Make a node.

        Raises:
            StanzaError: They may not; there is one; there are too many; or it cannot be like that.
        """
        async with self.nodes.alone(name) as host:
            if await self.nodes.find(name) is not None:
                raise StanzaError(Condition.CONFLICT, "a node with this name already exists")
            config = host.defaults(name.node)
            if form is not None:
                config = host.form.filled(config, form)
            await self._create(host, name, who, config)

    async def _create(
        self,
        host: Host,
        name: NodeName,
        who: JID,
        config: NodeConfig,
        *,
        by_publishing: bool = False,
    ) -> NodeState:
        host.check_create(who, by_publishing=by_publishing)
        check_name(name.node)
        host.check_config(name.node, config)
        state = NodeState(name, config, self.nodes.now(), who.bare)
        state.affiliations[who.bare] = Affiliation.OWNER
        try:
            await self.store.create(state, self.nodes.token(name), max_nodes=host.max_nodes)
        except NodeExists as error:
            raise StanzaError(Condition.CONFLICT, "a node with this name already exists") from error
        except QuotaExceeded as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        self.nodes.remember(state)
        return state

    async def configuration(self, name: NodeName, who: JID) -> tuple[Host, NodeConfig]:
        """A node's configuration, for an owner.

        Raises:
            StanzaError: There is no such node, or they are no owner of it.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            return host, state.config

    async def configure(self, name: NodeName, who: JID, form: Element) -> None:
        """Give a node another configuration.

        Raises:
            StanzaError: There is no such node, they are no owner, or it cannot be like that.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            before, config = state.config, host.form.filled(state.config, form)
            host.check_config(name.node, config)
            token = self.nodes.token(name)
            await self.store.configure(name, token, config)
            state.config = config
            gone = await self.store.items.trim(name, token, kept(host, config))
            if config.notify_config:
                await self._tell(host, state, partial(events.configured, name.node), cause=who)
            if gone and config.notify_retract:
                await self._tell(host, state, partial(events.retracted, name.node, gone), cause=who)
            if config.access_model is not before.access_model:
                await self.shut_out(host, state, state.follows.values(), who)

    async def shut_out(
        self, host: Host, state: NodeState, follows: Iterable[Follow], cause: JID
    ) -> None:
        """End those of the subscriptions whose people may not read any more, since somebody has
        changed the node, and tell them (NO-11, NO-15).
        """
        shut_out = []
        for follow in follows:
            standing = await self.nodes.standing(host, state, JID.prepared(follow.jid))
            if not may_read(state.config.access_model, standing):
                shut_out.append(follow)
        await self.unfollow(host, state, shut_out, cause)

    async def unfollow(
        self, host: Host, state: NodeState, follows: Sequence[Follow], cause: JID | None = None
    ) -> None:
        """End subscriptions, and tell whose they were; without a cause their time is over."""
        ended = [Follow(follow.jid, FollowState.NONE) for follow in follows]
        if not ended:
            return
        await self.store.follow(state.name, self.nodes.token(state.name), ended)
        for follow in ended:
            state.follows.pop(follow.jid, None)
            changed = events.subscription_changed(state.name.node, follow)
            await host.tell((follow.jid,), changed, cause=cause)

    async def delete(self, name: NodeName, who: JID, redirect: str) -> None:
        """Remove a node.

        Raises:
            StanzaError: There is no such node, or they are no owner.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            await self.store.delete(name, self.nodes.token(name))
            self.nodes.forget(name)
            if state.config.notify_delete:
                await self._tell(
                    host, state, partial(events.deleted, name.node, redirect), cause=who
                )

    async def purge(self, name: NodeName, who: JID) -> None:
        """Remove all items of a node.

        Raises:
            StanzaError: There is no such node, they are no owner, or it keeps no items.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            if not state.config.persist_items:
                raise unsupported("persistent-items")
            await self.store.items.purge(name, self.nodes.token(name))
            await self._tell(host, state, partial(events.purged, name.node), cause=who)

    async def _managed(self, host: Host, name: NodeName, who: JID) -> NodeState:
        state = await self.nodes.found(name)
        check_manage(await self.nodes.standing(host, state, who))
        return state

    # -- items ------------------------------------------------------------------------------------

    async def publish(
        self, name: NodeName, who: JID, items: Sequence[Submitted], options: Element | None
    ) -> list[str]:
        """Publish items; returns their ids.

        Raises:
            StanzaError: They may not; an option is not met; or an item is none.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.find(name)
            if state is None:
                state = await self._create_by_publishing(host, name, who, options)
            elif options is not None:
                unmet = host.form.unmet(state.config, options)
                if unmet is not None:
                    raise precondition_not_met(unmet)
            standing = await self.nodes.standing(host, state, who)
            check_publish(state.config.publish_model, standing)
            new = self._checked(host, state.config, who, items)
            if not may_replace(standing):
                await self._check_own(name, who, [item.id for item in new])
            published = await self._keep(host, state, new, who)
            await self._tell_items(host, state, published, who)
            return [item.id for item in published]

    async def _create_by_publishing(
        self, host: Host, name: NodeName, who: JID, options: Element | None
    ) -> NodeState:
        """Make the node that somebody publishes at, as the options say (NO-8)."""
        config = host.defaults(name.node)
        if options is not None:
            config = host.form.filled(config, options, PUBLISH_OPTIONS)
            unmet = host.form.unmet(config, options)
            if unmet is not None:
                raise precondition_not_met(unmet)
        return await self._create(host, name, who, config, by_publishing=True)

    def _checked(
        self, host: Host, config: NodeConfig, who: JID, items: Sequence[Submitted]
    ) -> list[NewItem]:
        """The items, with ids; the configuration says whether there are to be any, with payloads
        (NO-2).
        """
        if len(items) > min(MAX_PER_PUBLISH, max(1, kept(host, config))):
            raise refused(Condition.NOT_ALLOWED, "max-items-exceeded")
        wants_items = config.persist_items or config.deliver_payloads
        if wants_items and not items:
            raise refused(Condition.BAD_REQUEST, "item-required")
        if items and not wants_items:
            raise refused(Condition.BAD_REQUEST, "item-forbidden")
        now = self.nodes.now()
        expires = None if config.item_expire is None else now + config.item_expire
        new: dict[str, NewItem] = {}
        for id_wanted, payload in items:
            if payload is None and config.deliver_payloads:
                raise refused(Condition.BAD_REQUEST, "payload-required")
            if payload is not None and len(payload) > config.max_payload_size:
                most = f"a payload may have at most {config.max_payload_size} bytes"
                raise refused(Condition.NOT_ACCEPTABLE, "payload-too-big", most)
            id = id_wanted or new_name()
            check_name(id)
            new[id] = NewItem(id, who.bare, now, payload or b"", expires)
        return list(new.values())

    async def _check_own(self, name: NodeName, who: JID, ids: Collection[str]) -> None:
        """Let nobody take the place of an item of somebody else's."""
        for item in (await self.store.items.heads_by_id(name, ids)).values():
            if item.publisher != who.bare:
                raise StanzaError(Condition.FORBIDDEN, f"item {item.id} belongs to someone else")

    async def _keep(
        self, host: Host, state: NodeState, new: Sequence[NewItem], who: JID
    ) -> Sequence[NodeItem]:
        """Store the items, if the node keeps any; older ones make room (NO-5, NO-6)."""
        config, name = state.config, state.name
        most = kept(host, config)
        if not config.persist_items or not most or not new:
            return [item.at(0) for item in new]
        try:
            stored = await self.store.items.publish(
                name,
                self.nodes.token(name),
                new,
                most=most,
                when_full=config.publish_node_full,
                host_bytes=host.max_bytes,
            )
        except NodeFull as error:
            raise refused(Condition.CONFLICT, "node-full", str(error)) from error
        except QuotaExceeded as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        if stored.gone and config.publish_node_full is WhenFull.RETRACT_OLDEST:
            await self._tell(
                host, state, partial(events.retracted, name.node, stored.gone), cause=who
            )
        return stored.items

    async def _tell_items(
        self, host: Host, state: NodeState, items: Sequence[NodeItem], who: JID
    ) -> None:
        wants_words = any(follow.options.include_body for follow in state.follows.values())
        body = events.body(items) if wants_words else b""
        await self._tell(host, state, partial(self.event_of, state, items), body, cause=who)

    def event_of(self, state: NodeState, items: Sequence[NodeItem]) -> bytes:
        """What subscribers are told of items."""
        config = state.config
        by = config.itemreply.value == "publisher"
        return events.published(
            state.name.node, items, payloads=config.deliver_payloads, publisher=by
        )

    async def _tell(
        self,
        host: Host,
        state: NodeState,
        event: Callable[[], bytes],
        body: bytes = b"",
        *,
        cause: JID | None = None,
    ) -> None:
        """Tell all subscribers who want to be told; it counts for who has caused it, if anybody
        has.
        """
        if not state.config.deliver_notifications:
            return
        now = self.nodes.now()
        follows = [
            follow
            for follow in state.follows.values()
            if follow.state is FollowState.SUBSCRIBED
            and follow.options.deliver
            and not follow.is_over(now)
        ]
        await host.tell_event(state, follows, event, body, cause=cause)

    async def retract(self, name: NodeName, who: JID, ids: Sequence[str], *, tell: bool) -> None:
        """Remove items.

        Args:
            name: Of the node.
            who: Asks for it.
            ids: Of the items.
            tell: Whether subscribers are told, also if the node would not tell them.

        Raises:
            StanzaError: They may not, or there is none of these.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.found(name)
            if not state.config.persist_items:
                raise unsupported("persistent-items")
            standing = await self.nodes.standing(host, state, who)
            check_retract(standing)
            if not may_replace(standing):
                await self._check_own(name, who, ids)
            gone = await self.store.items.retract(name, self.nodes.token(name), ids)
            if not gone:
                raise StanzaError(Condition.ITEM_NOT_FOUND, "the item does not exist")
            if tell or state.config.notify_retract:
                await self._tell(host, state, partial(events.retracted, name.node, gone), cause=who)

    # -- what is over -----------------------------------------------------------------------------

    async def end_overdue(self, name: NodeName) -> None:
        """Remove the items and subscriptions of a node whose time is over (NO-7, NO-13)."""
        async with self.nodes.alone(name) as host:
            state = await self.nodes.find(name)
            if state is None:
                return
            now = self.nodes.now()
            over = await self.store.items.expired(name, now, MAX_OVERDUE)
            if over:
                gone = await self.store.items.retract(name, self.nodes.token(name), over)
                if gone and state.config.notify_retract:
                    await self._tell(host, state, partial(events.retracted, name.node, gone))
            ended = [follow for follow in state.follows.values() if follow.is_over(now)]
            await self.unfollow(host, state, ended)


__all__ = ["MAX_PER_PUBLISH", "Engine", "Submitted"]
