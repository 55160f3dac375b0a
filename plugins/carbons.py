"""XEP-0280: Message Carbons. Each of my devices sees what the others send and get."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from xmppd.events import On
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.message.decision import Cell
from xmppd.message.follower import ANSWERED, Course, Follower, Followers, Remark
from xmppd.plugin.place import AtUnload, Part
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionClosed
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import IQ, Condition, Message, Tree, qname
from xmppd.stanza.copies import CARBONS, Direction, carbon, forwarded
from xmppd.stanza.fate import CarbonFate
from xmppd.stream.inline_feature import bind_feature
from xmppd.stream.stream_feature import Negotiation

RULES = "urn:xmpp:carbons:rules:0"
ENABLED = b"enabled"

MAX_REMEMBERED = 50_000
"""Copied messages that are remembered: errors that answer them are copied as well."""


class Carbons(Follower):
    """Copies messages to the resources of their sender and of their recipient (CA-1 to CA-8).

    Args:
        followers: Tell this one of the messages of accounts that have sessions with carbons.
        routing_table: Knows these sessions, also those on other nodes.

    Attributes:
        sessions: Those with carbons, by the bare JID of an account that has a session here.
    """

    def __init__(self, followers: Followers, routing_table: RoutingTable) -> None:
        self.followers = followers
        self.routing_table = routing_table
        self.siblings = routing_table.siblings
        self.sessions: dict[str, tuple[Session, ...]] = {}
        self._last: Message | None = None
        self._inside = b""  # the same, as it stands in copies for both sides
        self._recent: set[int] = set()
        self._older: set[int] = set()

    # -- sessions with carbons ---------------------------------------------------------------------

    def enable(self, session: LocalClientSession) -> None:
        """Give the session copies from now on; again and again is as good as once."""
        if not self.is_enabled(session):
            self.siblings.want(session, CARBONS, wanted=True)
        self.refresh(session.jid.bare)

    def disable(self, session: LocalClientSession) -> None:
        """Give the session no more copies."""
        self.siblings.want(session, CARBONS, wanted=False)
        self.refresh(session.jid.bare)

    def is_enabled(self, session: LocalClientSession) -> bool:
        """Whether the session gets copies."""
        return CARBONS in session.wants

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended."""
        self.refresh(event.session.jid.bare)

    def refresh(self, bare: str) -> None:
        """Find the sessions of an account that get copies now, here and on other nodes."""
        sessions = self.routing_table.sessions(bare)
        wanting = tuple(session for session in sessions if CARBONS in session.wants)
        if wanting:
            self.sessions[bare] = wanting
            self.followers.watch(self, bare)
        elif self.sessions.pop(bare, ()):
            self.followers.unwatch(self, bare)

    # -- copies ------------------------------------------------------------------------------------

    def follow(self, course: Course) -> None:
        """Copy messages that a resource sends to the others of its account (§8), and those that
        come for an account to its resources that did not get them (§7).
        """
        others = self._others(course)
        if not others and (course.is_sent or len(self.sessions[course.account]) == 1):
            return  # an account with a single device, which no error about it concerns either
        subject = _subject(course)
        if self._is_eligible(course, subject):
            if course.message.type != "error":
                if len(self._recent) >= MAX_REMEMBERED // 2:
                    self._older, self._recent = self._recent, set()
                self._recent.add(subject)
            if others:
                self._copy(course, others)

    def _others(self, course: Course) -> list[Session]:
        """The sessions that want a copy, and do not have the message yet."""
        message, sender = course.message, course.message.sender.full
        sessions = self.sessions.get(course.account, ())
        if course.is_sent:
            return [session for session in sessions if session.jid.full != sender]
        got = message.to if course.decision is ANSWERED else None
        is_kept = course.decision.cell is Cell.KEPT
        return [
            session
            for session in sessions
            if session not in course.got
            and not (is_kept and _is_given_kept(session))
            and session.jid.full != sender
            and session.jid != got
            and (session.privacy is None or session.privacy.lets_in(message))
        ]

    def _is_eligible(self, course: Course, subject: int) -> bool:
        """Whether a message is copied (§6.1)."""
        copied = course.fate.carbon
        if copied is CarbonFate.AS_ANSWERED:
            return subject in self._recent or subject in self._older
        if copied is CarbonFate.SENT:
            return course.is_sent or course.message.sender.is_bare
        return copied is CarbonFate.YES

    def _copy(self, course: Course, sessions: Sequence[Session]) -> None:
        message, shared = course.message, course.copies
        if message is not self._last:
            self._last, self._inside = message, forwarded(message)
        own = message.sender.bare == course.account
        direction: Direction = "sent" if own else "received"
        copy = carbon(message, self._inside, direction, sessions[0].jid.to_bare())
        copy.payload.copies = shared
        head, tail = copy.around_to()
        arrived = sum(session.deliver(copy, head + session.jid.wire + tail) for session in sessions)
        self.routing_table.note_fan_out(message.sender, arrived)
        if shared is not None:
            shared.left += arrived

    async def explain(self, course: Course) -> Sequence[Remark]:
        names = " and ".join(session.jid.full for session in self._others(course))
        if not names or not self._is_eligible(course, _subject(course)):
            return ()
        if course.is_sent:
            says = f"carbons are on: {names} gets a copy of what is sent"
            return [Remark("sent_copied", says, "CA-2")]
        return [Remark("copied", f"carbons are on: a copy goes to {names}", "CA-3")]


def _is_given_kept(session: Session) -> bool:
    """Whether a session is given messages that wait for its account: now, or once it is available
    (PU-14).
    """
    return session.presence is None or session.priority >= 0


def _subject(course: Course) -> int:
    """The key of a message between two addresses, or of the one that an error answers."""
    message = course.message
    peer = message.to if course.is_sent else message.sender
    return hash((course.account, None if peer is None else peer.bare, message.id))


# -- asking for them ------------------------------------------------------------------------------


@dataclass(frozen=True)
class IQEnableHandler(IQHandler):
    """Turn carbons on for the session that asks (§4); again and again does no harm (§10.1)."""

    carbons: Carbons

    query = qname(CARBONS, "enable")
    to = To.SERVER | To.OWN_ACCOUNT
    refusal = Condition.NOT_ALLOWED
    features = (CARBONS, RULES)

    def on_set(self, iq: IQ, asked: Asked) -> None:
        self.carbons.enable(asked.session)


@dataclass(frozen=True)
class IQDisableHandler(IQHandler):
    """Turn carbons off (§5)."""

    carbons: Carbons

    query = qname(CARBONS, "disable")
    to = To.SERVER | To.OWN_ACCOUNT
    refusal = Condition.NOT_ALLOWED

    def on_set(self, iq: IQ, asked: Asked) -> None:
        self.carbons.disable(asked.session)


def session_state(carbons: Carbons) -> SessionState:
    """Whether a session has them on, after a restart as well (RS-9)."""

    def dump(session: LocalClientSession) -> bytes | None:
        return ENABLED if carbons.is_enabled(session) else None

    def load(data: bytes) -> Put:
        if data != ENABLED:
            raise ValueError("nobody knows whether it has carbons on")
        return carbons.enable

    return SessionState("carbons", dump, load)


def plug(followers: Followers, routing_table: RoutingTable) -> list[Part]:
    """The parts of this feature."""
    carbons = Carbons(followers, routing_table)
    siblings = routing_table.siblings
    siblings.changed.append(carbons.refresh)
    for bare in tuple(siblings.nodes):
        carbons.refresh(bare)

    def enable(negotiation: Negotiation, element: Tree) -> bytes:
        carbons.enable(negotiation.session)
        return b""

    return [
        carbons,
        AtUnload(partial(siblings.changed.remove, carbons.refresh)),
        On(SessionClosed, carbons.closed),
        session_state(carbons),
        IQEnableHandler(carbons),
        IQDisableHandler(carbons),
        bind_feature(CARBONS, (qname(CARBONS, "enable"), enable)),
    ]
