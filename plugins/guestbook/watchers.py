"""Watchers: sessions that watch the book of their account."""

from collections.abc import Sequence

from xmppd.message.follower import Course, Follower, Followers, Remark
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import JID, Element, Message, dump, element
from xmppd.stanza.date_time import date_time

from .book import NS, Signed
from .entries import Entry

MAX_VISITORS = 20
"""For each account, the latest."""

WATCHING = b"watching"


class Watchers(Follower):
    """Tells the sessions that watch the book of their account of each entry, and notes meanwhile
    who visits the account: who has written messages to it.

    Args:
        followers: Tell of the messages of an account, while it is watched.
        routing_table: Delivers notices.

    Attributes:
        sessions: Those that watch, by account.
        visitors: Bare JIDs of the visitors of each account that is watched, the latest last.
    """

    def __init__(self, followers: Followers, routing_table: RoutingTable) -> None:
        self.followers = followers
        self.routing_table = routing_table
        self.sessions: dict[str, tuple[LocalClientSession, ...]] = {}
        self.visitors: dict[str, dict[str, None]] = {}

    def watch(self, session: LocalClientSession) -> None:
        """Let a session watch from now on; again and again is as good as once."""
        bare = session.jid.bare
        if session not in self.sessions.get(bare, ()):
            self.sessions[bare] = (*self.sessions.get(bare, ()), session)
            self.visitors.setdefault(bare, {})
            self.followers.watch(self, bare)

    def unwatch(self, session: LocalClientSession) -> None:
        """Let it watch no more; with the last one of an account, its visitors are forgotten."""
        bare = session.jid.bare
        left = tuple(each for each in self.sessions.pop(bare, ()) if each is not session)
        if left:
            self.sessions[bare] = left
        else:
            self.visitors.pop(bare, None)
            self.followers.unwatch(self, bare)

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended."""
        self.unwatch(event.session)

    def count(self) -> int:
        """The number of sessions that watch."""
        return sum(map(len, self.sessions.values()))

    def tell(self, signed: Signed) -> None:
        """Tell those here who watch a book of a new entry in it."""
        notice = dump(shown(signed.entry(), element(NS, "signed")))
        owner = JID.prepared(signed.owner)
        for session in self.sessions.get(owner.bare, ()):
            self.routing_table.route(Message.make(session.jid, owner, notice, type="headline"))

    def follow(self, course: Course) -> None:
        sender = course.message.sender.bare
        if not course.is_sent and course.message.type != "error" and sender != course.account:
            visitors = self.visitors[course.account]
            visitors.pop(sender, None)
            visitors[sender] = None
            if len(visitors) > MAX_VISITORS:
                del visitors[next(iter(visitors))]

    async def explain(self, course: Course) -> Sequence[Remark]:
        if course.is_sent or course.account not in self.sessions:
            return ()
        return [Remark("visited", f"the sender becomes a visitor of {course.account}")]

    def state(self) -> SessionState:
        """Whether a session watches, after a restart as well."""

        def saved(session: LocalClientSession) -> bytes | None:
            return WATCHING if session in self.sessions.get(session.jid.bare, ()) else None

        def load(data: bytes) -> Put:
            if data != WATCHING:
                raise ValueError("nobody knows whether it watches a guestbook")
            return self.watch

        return SessionState(NS, saved, load)


def shown(entry: Entry, made: Element) -> Element:
    """An element that shows an entry."""
    made.set("number", str(entry.number))
    made.set("by", entry.guest)
    made.set("at", date_time(entry.signed))
    made.text = entry.words
    return made


__all__ = ["MAX_VISITORS", "Watchers", "shown"]
