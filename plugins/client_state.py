"""XEP-0352: Client State Indication. An inactive client gets what matters, and no more.

Here a client says whether it is active; :mod:`xmppd.session.client_state` says which stanzas can
wait, and they wait in the session.
"""

from collections.abc import Sequence

from xmppd.message.follower import Course, Follower, Remark
from xmppd.plugin.place import AtUnload, Part
from xmppd.session.client_state import news_of
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import Tree, qname
from xmppd.stream.inline_feature import bind_feature
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

NS = "urn:xmpp:csi:0"
FEATURE = f"<csi xmlns='{NS}'/>".encode()


INACTIVE, ACTIVE = qname(NS, "inactive"), qname(NS, "active")


def become_inactive(negotiation: Negotiation, element: Tree) -> None:
    """Note that the client is inactive (§4.2)."""
    negotiation.session.rest(inactive=True)


def become_active(negotiation: Negotiation, element: Tree) -> None:
    """Note that it is active: stanzas that have waited are written before anything else (§5.1)."""
    negotiation.session.rest(inactive=False)


def begin(negotiation: Negotiation, element: Tree) -> bytes:
    """Note that the client is inactive from its login on."""
    negotiation.session.rest(inactive=element.tag == INACTIVE)
    return b""


class Waking(Follower):
    """Explains which messages are delivered at once to an inactive client (CS-2)."""

    async def explain(self, course: Course) -> Sequence[Remark]:
        return [
            _remark(course, session)
            for session in course.got
            if isinstance(session, LocalClientSession) and session.inactive and session.settled
        ]


def _remark(course: Course, session: LocalClientSession) -> Remark:
    nobody = f"the client of {session.jid} is in the background"
    if news_of(course.message, session.jid) is None:
        return Remark(
            "wakes", f"{nobody}: this message goes out at once, with all that waits", "CS-2"
        )
    return Remark(
        "inactive", f"{nobody}: this presence waits until the client is active again", "CS-4"
    )


def plug(sessions: SessionManager) -> list[Part]:
    """The parts of this feature."""

    def wake_all() -> None:
        for session in sessions.sessions.values():
            session.rest(inactive=False)

    return [
        AtUnload(wake_all),
        Waking(),
        StreamFeature(
            FEATURE,
            needs=Stream.AUTHENTICATED,
            elements=((INACTIVE, become_inactive), (ACTIVE, become_active)),
        ),
        bind_feature(NS, (INACTIVE, begin), (ACTIVE, begin)),
    ]
