"""XEP-0352: Client State Indication. A client that nobody looks at hears what matters, and no more.

Here a client says whether anybody does; what can wait is said in
:mod:`xmppd.session.client_state`, and waits in the session.
"""

from xmppd.plugin.place import AtUnload, Part
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import Tree, qname
from xmppd.stream.inline_feature import bind_feature
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

NS = "urn:xmpp:csi:0"
FEATURE = f"<csi xmlns='{NS}'/>".encode()


INACTIVE, ACTIVE = qname(NS, "inactive"), qname(NS, "active")


def become_inactive(negotiation: Negotiation, element: Tree) -> None:
    """Nobody looks at the client (§4.2)."""
    negotiation.session.rest(inactive=True)


def become_active(negotiation: Negotiation, element: Tree) -> None:
    """Somebody does: what has waited is written before anything else is done (§5.1)."""
    negotiation.session.rest(inactive=False)


def begin(negotiation: Negotiation, element: Tree) -> bytes:
    """The client says so in its login already."""
    negotiation.session.rest(inactive=element.tag == INACTIVE)
    return b""


def plug(sessions: SessionManager) -> list[Part]:
    """What this feature is made of."""

    def wake_all() -> None:
        for session in sessions.sessions.values():
            session.rest(inactive=False)

    return [
        AtUnload(wake_all),
        StreamFeature(
            lambda negotiation: FEATURE,
            needs=Stream.AUTHENTICATED,
            elements=((INACTIVE, become_inactive), (ACTIVE, become_active)),
        ),
        bind_feature(NS, (INACTIVE, begin), (ACTIVE, begin)),
    ]
