"""Accounts as hosts of nodes."""

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import JID, Condition, Message, StanzaError
from xmppd_plugins.pubsub.access import AccessModel
from xmppd_plugins.pubsub.config import NodeConfig, NodeForm, precondition_not_met
from xmppd_plugins.pubsub.names import new_name
from xmppd_plugins.pubsub.state import Follow, NodeState
from xmppd_plugins.pubsub.subscription_forms import SubscriptionForm

from .audience import EventAudience
from .defaults import BOOKMARKS, defaults
from .faces import NodeFaces
from .settings import PEPSettings

MAX_NODES = 200
"""Of an account (PE-1)."""

MAX_ITEMS = 10_000
"""Of one node."""

MAX_PAYLOAD_BYTES = 262_144
FORM = NodeForm(MAX_ITEMS, MAX_PAYLOAD_BYTES)


class AccountHost:
    """An account with its nodes, which only its owner writes.

    Args:
        account: Bare JID.
        presences: Know who may see it.
        audience: Is told its events.
        faces: Show nodes of it elsewhere.
        settings: The limits.
    """

    form = FORM
    subscription_form = SubscriptionForm(("show-values",))
    max_nodes = MAX_NODES
    max_bytes: int

    def __init__(
        self,
        account: JID,
        presences: PresenceManager,
        audience: EventAudience,
        faces: NodeFaces,
        settings: PEPSettings,
    ) -> None:
        self.jid = account
        self.max_bytes = settings.max_bytes_per_account
        self.faces = faces
        self.presences = presences
        self.audience = audience

    def defaults(self, node: str) -> NodeConfig:
        return defaults(node)

    def check_create(self, who: JID, *, by_publishing: bool = False) -> None:
        """Let the owner make nodes.

        Raises:
            StanzaError: FORBIDDEN: it is somebody else.
        """
        if not self.is_owner(who):
            raise StanzaError(Condition.FORBIDDEN)

    def check_config(self, node: str, config: NodeConfig) -> None:
        """Have bookmarks be private (PE-3).

        Raises:
            StanzaError: CONFLICT: they would not be.
        """
        if node in BOOKMARKS and config.access_model is not AccessModel.WHITELIST:
            raise precondition_not_met("pubsub#access_model")

    def is_owner(self, who: JID) -> bool:
        return who.bare == self.jid.bare

    async def relation(self, who: JID, config: NodeConfig) -> tuple[bool, bool]:
        roster = await self.presences.rosters.roster(self.jid)
        in_group = not set(roster.standing(who)[1]).isdisjoint(config.roster_groups_allowed)
        return await self.presences.can_see(who, self.jid), in_group

    async def tell(
        self,
        recipients: Sequence[str],
        *children: bytes,
        cause: JID | None,
        type: str | None = None,
    ) -> None:
        if cause is not None:
            self.audience.table.note_fan_out(cause, len(recipients))
        message = Message.make(None, self.jid, *children, id=new_name(), type=type)
        for jid in recipients:
            later = self.audience.router.route(message.addressed(JID.prepared(jid)))
            if later is not None:
                Deferred.fromCoroutine(later)  # the result of a router never fails

    async def tell_event(
        self,
        state: NodeState,
        follows: Sequence[Follow],
        event: Callable[[], bytes],
        body: bytes = b"",
        *,
        cause: JID | None,
    ) -> None:
        def message() -> Message:
            type = state.config.notification_type.value
            return Message.make(None, self.jid, event(), id=new_name(), type=type)

        await self.audience.tell(self.jid, state, message, follows, cause)
        await self.faces.told(self.jid, state.name.node, here=True)


__all__ = ["MAX_ITEMS", "MAX_NODES", "AccountHost"]
