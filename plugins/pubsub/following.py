"""Following: subscriptions to nodes and affiliations with them, and who approves the first."""

from collections.abc import Mapping, Sequence

from xmppd.stanza import JID, Condition, Element, StanzaError

from . import events
from .access import Affiliation, check_manage, check_subscribe
from .config import SendLast
from .engine import Engine
from .names import refused, unsupported
from .nodes import Host
from .state import Follow, FollowOptions, FollowState, NodeName, NodeState

MAX_SUBSCRIPTIONS = 10_000
"""Of one node (NO-12)."""

MAX_AFFILIATIONS = 10_000
"""Of one node."""


class Following:
    """Lets people subscribe, and owners say who may.

    Args:
        engine: Does all else with nodes.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.nodes = engine.nodes
        self.store = engine.store

    # -- subscribers ------------------------------------------------------------------------------

    async def subscribe(
        self,
        name: NodeName,
        who: JID,
        jid: JID,
        filled: Element | None = None,
    ) -> Follow:
        """Subscribe somebody, or renew their subscription.

        Args:
            name: Of the node.
            who: Asks for it.
            jid: Who is to be told: the bare or full JID of who asks.
            filled: The form of its options; what that does not say is as before.

        Raises:
            StanzaError: They may not, or an owner has yet to say so.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.found(name)
            self._check_jid(who, jid)
            wanted = host.subscription_form.read(filled)
            before = state.follows.get(jid.full)
            if before is not None and before.state is FollowState.PENDING:
                raise refused(Condition.NOT_AUTHORIZED, "pending-subscription")
            if not state.config.subscribe:
                raise unsupported("subscribe")
            model = state.config.access_model
            pending = check_subscribe(model, await self.nodes.standing(host, state, who))
            if before is None and len(state.follows) >= MAX_SUBSCRIPTIONS:
                most = f"a node may have at most {MAX_SUBSCRIPTIONS} subscriptions"
                raise refused(Condition.RESOURCE_CONSTRAINT, "too-many-subscriptions", most)
            options = wanted.applied(FollowOptions() if before is None else before.options)
            to = FollowState.PENDING if pending else FollowState.SUBSCRIBED
            follow = Follow(jid.full, to, options, wanted.expires)
            await self._save(state, follow)
            await self._changed(host, state, follow, who)
            return follow

    def _check_jid(self, who: JID, jid: JID) -> None:
        """Let people subscribe themselves only."""
        if jid.bare != who.bare or (jid.resource is not None and jid != who):
            raise refused(Condition.BAD_REQUEST, "invalid-jid", "this is someone else's address")

    async def _save(self, state: NodeState, *follows: Follow) -> None:
        await self.store.follow(state.name, self.nodes.token(state.name), follows)
        for follow in follows:
            if follow.state is FollowState.NONE:
                state.follows.pop(follow.jid, None)
            else:
                state.follows[follow.jid] = follow

    async def _changed(self, host: Host, state: NodeState, follow: Follow, who: JID) -> None:
        """Tell owners of a subscription that somebody has changed, and the subscriber of the last
        item.
        """
        node = state.name.node
        if follow.state is FollowState.PENDING:
            await host.tell(state.owners, events.approval_wanted(node, follow.jid), cause=who)
            return
        if state.config.notify_sub:
            await host.tell(state.owners, events.subscription_changed(node, follow), cause=who)
        if follow.state is FollowState.SUBSCRIBED:
            await self._send_last(host, state, follow, who)

    async def _send_last(self, host: Host, state: NodeState, follow: Follow, who: JID) -> None:
        config = state.config
        if config.send_last_published_item is SendLast.NEVER or not follow.options.deliver:
            return
        item = await self.engine.reading.last_item(state)
        if item is not None and config.deliver_notifications:
            told = [self.engine.event_of(state, (item,)), events.delayed(item)]
            if follow.options.include_body:
                told.append(events.body((item,)))
            await host.tell((follow.jid,), *told, cause=who, type=config.notification_type.value)

    async def unsubscribe(self, name: NodeName, who: JID, jid: JID) -> None:
        """End a subscription.

        Raises:
            StanzaError: There is none, or it is somebody else's.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.found(name)
            if jid.bare != who.bare:
                raise StanzaError(Condition.FORBIDDEN)
            if jid.full not in state.follows:
                raise refused(Condition.UNEXPECTED_REQUEST, "not-subscribed")
            ended = Follow(jid.full, FollowState.NONE)
            await self._save(state, ended)
            await self._changed(host, state, ended, who)

    async def forget(self, name: NodeName, jid: JID) -> None:
        """Forget somebody who is gone: their subscriptions, and what they were to the node unless
        that was its last owner.
        """
        async with self.nodes.alone(name):
            state = await self.nodes.find(name)
            if state is None:
                return
            ended = [
                Follow(follow.jid, FollowState.NONE)
                for follow in state.follows.values()
                if follow.jid == jid.full or JID.prepared(follow.jid).bare == jid.full
            ]
            if ended:
                await self._save(state, *ended)
            is_known = jid.resource is None and jid.bare in state.affiliations
            if is_known and state.owners != [jid.bare]:
                await self._affiliate(state, {jid.bare: Affiliation.NONE})

    async def options(self, name: NodeName, who: JID, jid: JID) -> Follow:
        """A subscription with its options, for whose it is.

        Raises:
            StanzaError: There is none, or it is somebody else's.
        """
        async with self.nodes.alone(name):
            state = await self.nodes.found(name)
            return self._own(state, who, jid)

    async def set_options(self, name: NodeName, who: JID, jid: JID, filled: Element) -> None:
        """Give a subscription other options.

        Raises:
            StanzaError: There is none, or it is somebody else's.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.found(name)
            follow = self._own(state, who, jid)
            wanted = host.subscription_form.read(filled)
            options = wanted.applied(follow.options)
            await self._save(state, Follow(follow.jid, follow.state, options, wanted.expires))

    def _own(self, state: NodeState, who: JID, jid: JID) -> Follow:
        if jid.bare != who.bare:
            raise StanzaError(Condition.FORBIDDEN)
        follow = state.follows.get(jid.full)
        if follow is None:
            raise refused(Condition.UNEXPECTED_REQUEST, "not-subscribed")
        return follow

    # -- owners -----------------------------------------------------------------------------------

    async def approve(self, name: NodeName, who: JID, jid: JID, *, allowed: bool) -> None:
        """Say whether somebody may subscribe who has asked to (NO-14).

        Raises:
            StanzaError: They are no owner, or nobody has asked.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            before = state.follows.get(jid.full)
            if before is None or before.state is not FollowState.PENDING:
                raise StanzaError(Condition.ITEM_NOT_FOUND, f"{jid} has not asked to subscribe")
            to = FollowState.SUBSCRIBED if allowed else FollowState.NONE
            follow = Follow(jid.full, to, before.options, before.expires)
            await self._save(state, follow)
            changed = events.subscription_changed(name.node, follow)
            await host.tell((follow.jid,), changed, cause=who)
            await self._changed(host, state, follow, who)

    async def tell_pending(self, name: NodeName, who: JID) -> None:
        """Send an owner a form for each subscription that is to be approved (NO-14).

        Raises:
            StanzaError: They are no owner.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            for follow in state.follows.values():
                if follow.state is FollowState.PENDING:
                    wanted = events.approval_wanted(name.node, follow.jid)
                    await host.tell((who.full,), wanted, cause=who)

    async def subscriptions(self, name: NodeName, who: JID) -> list[Follow]:
        """All subscriptions to a node, for an owner.

        Raises:
            StanzaError: They are none.
        """
        async with self.nodes.alone(name) as host:
            return list((await self._managed(host, name, who)).follows.values())

    async def set_subscriptions(
        self, name: NodeName, who: JID, changes: Sequence[tuple[JID, FollowState]]
    ) -> None:
        """Change subscriptions of others, as an owner; they are told.

        Raises:
            StanzaError: They are no owner, or there are too many.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            added = {jid.full for jid, to in changes if to is not FollowState.NONE}
            if len(added | state.follows.keys()) > MAX_SUBSCRIPTIONS:
                most = f"a node may have at most {MAX_SUBSCRIPTIONS} subscriptions"
                raise refused(Condition.RESOURCE_CONSTRAINT, "too-many-subscriptions", most)
            follows = [Follow(jid.full, to) for jid, to in changes]
            await self._save(state, *follows)
            for follow in follows:
                changed = events.subscription_changed(name.node, follow)
                await host.tell((follow.jid,), changed, cause=who)

    async def affiliations(self, name: NodeName, who: JID) -> Mapping[str, Affiliation]:
        """All affiliations with a node, for an owner.

        Raises:
            StanzaError: They are none.
        """
        async with self.nodes.alone(name) as host:
            return dict((await self._managed(host, name, who)).affiliations)

    async def set_affiliations(
        self, name: NodeName, who: JID, changes: Mapping[str, Affiliation]
    ) -> None:
        """Change affiliations; those whose they are are told (NO-15).

        Raises:
            StanzaError: They are no owner, none would be left, or there are too many.
        """
        async with self.nodes.alone(name) as host:
            state = await self._managed(host, name, who)
            after = {**state.affiliations, **changes}
            if not any(each is Affiliation.OWNER for each in after.values()):
                raise StanzaError(Condition.NOT_ACCEPTABLE, "a node needs an owner")
            if len(after) > MAX_AFFILIATIONS:
                raise StanzaError(
                    Condition.RESOURCE_CONSTRAINT,
                    f"a node may have at most {MAX_AFFILIATIONS} affiliations",
                )
            await self._affiliate(state, changes)
            for jid, affiliation in changes.items():
                changed = events.affiliation_changed(name.node, jid, affiliation.value)
                await host.tell((jid,), changed, cause=who)
            theirs = [
                follow
                for follow in state.follows.values()
                if JID.prepared(follow.jid).bare in changes
            ]
            await self.engine.shut_out(host, state, theirs, who)

    async def _affiliate(self, state: NodeState, changes: Mapping[str, Affiliation]) -> None:
        await self.store.affiliate(state.name, self.nodes.token(state.name), changes)
        for jid, affiliation in changes.items():
            if affiliation is Affiliation.NONE:
                state.affiliations.pop(jid, None)
            else:
                state.affiliations[jid] = affiliation

    async def _managed(self, host: Host, name: NodeName, who: JID) -> NodeState:
        state = await self.nodes.found(name)
        check_manage(await self.nodes.standing(host, state, who))
        return state


__all__ = ["MAX_AFFILIATIONS", "MAX_SUBSCRIPTIONS", "Following"]
