"""XEP-0186: Invisible Command. A session may be online, and be seen by no contact but those it
tells.

The specification is deferred, not withdrawn; nothing else lets a client be invisible without
privacy lists.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

from xmppd.events import Events
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.handler.presence_update_handler import SessionUnavailable
from xmppd.plugin.place import Part
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.stanza import IQ, Condition, StanzaError, qname

NS = "urn:xmpp:invisible:1"
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class IQInvisibleHandler(IQHandler):
    """Make a session invisible (§3.1)."""

    privacy_changes: PrivacyChanges

    query = qname(NS, "invisible")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN
    features = (NS,)

    def on_set(self, iq: IQ, asked: Asked) -> Awaitable[None]:
        probe = iq.payload.tree[0].get("probe", "false")
        if probe not in BOOLEANS:
            raise StanzaError(Condition.BAD_REQUEST, "probe must be true or false")
        return self.privacy_changes.hide(asked.session, probes=BOOLEANS[probe])


@dataclass(frozen=True)
class IQVisibleHandler(IQHandler):
    """Make a session visible: as one that has not sent presence yet (§3.2)."""

    privacy_changes: PrivacyChanges
    events: Events

    query = qname(NS, "visible")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        if await self.privacy_changes.show(asked.session):
            self.events.fire(SessionUnavailable(asked.session))


def plug(privacy_changes: PrivacyChanges, events: Events) -> list[Part]:
    """The parts of this feature."""
    return [
        IQInvisibleHandler(privacy_changes),
        IQVisibleHandler(privacy_changes, events),
    ]
