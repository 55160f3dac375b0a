"""Occupants of a room, and the sessions by which they are in it."""

from typing import NamedTuple

from xmppd.cluster.node import NodeId
from xmppd.net.token_bucket import TokenBucket
from xmppd.stanza import JID, Presence

from .entrance import Entrance
from .ranks import Role


class Said(NamedTuple):
    """A presence that a client has sent to a room.

    Attributes:
        presence: In its name and to nobody, without what only the room may say.
        priority: Its own.
    """

    presence: Presence
    priority: int = 0


class OccupantSession:
    """A session that is in a room.

    Attributes:
        jid: Its full JID.
        occupant: Whose it is.
        presence: What its client last said, in its name and to nobody, without what only the room
            may say.
        priority: Of that presence.
        number: Rises with each session that enters the room.
        node: The other node where it is; None if it is here, or of another server.
        heard: The moment when something came from it last, on the steady clock.
        unanswered: How often it was asked since then whether it is there.
        entrance: What it has yet to be shown; None when it was shown all that came before.
    """

    __slots__ = (
        "entrance",
        "heard",
        "jid",
        "node",
        "number",
        "occupant",
        "presence",
        "priority",
        "unanswered",
    )

    def __init__(self, jid: JID, occupant: "Occupant", said: Said, number: int) -> None:
        self.jid = jid
        self.occupant = occupant
        self.number = number
        self.node: NodeId | None = None
        self.heard = 0.0
        self.unanswered = 0
        self.entrance: Entrance | None = None
        self.says(said)

    def says(self, said: Said) -> None:
        """Take another presence."""
        self.presence, self.priority = said

    def entered(self) -> None:
        """Note that it was shown all that came before: from now on it is told at once."""
        self.entrance = None

    def end_entrance(self) -> None:
        """Show it nothing more of what it was about to be shown."""
        if self.entrance is not None:
            self.entrance.end()
            self.entrance = None


class Occupant:
    """Somebody in a room under a nick, with one or more sessions of one account (RM-15).

    Attributes:
        jid: Of the room, with the nick as resource.
        person: Bare JID of the account.
        id: By which others know them again, whatever their nick (:xep:`0421`).
        role: What they are in the room just now.
        hats: Those that they wear, as others see them.
        sessions: By full JID.
        bucket: How much they may say just now; None until they say something.
        unheard: Whether they have said nothing yet in a room so large that their presence is shown
            only when they do (RM-22).
        seen: What they were last shown as to one who entered, behind all that it depends on.
    """

    __slots__ = ("bucket", "hats", "id", "jid", "person", "role", "seen", "sessions", "unheard")

    def __init__(self, jid: JID, person: JID, id: str, role: Role, hats: bytes = b"") -> None:
        self.jid = jid
        self.person = person
        self.id = id
        self.role = role
        self.hats = hats
        self.sessions: dict[str, OccupantSession] = {}
        self.bucket: TokenBucket | None = None
        self.unheard = False
        self.seen: tuple[tuple[object, ...], Presence] | None = None

    @property
    def nick(self) -> str:
        """The name by which others see them."""
        return self.jid.resource or ""

    @property
    def shown(self) -> OccupantSession:
        """The session whose presence others see: of the highest priority, then the newest."""
        sessions = self.sessions.values()
        if len(sessions) == 1:
            return next(iter(sessions))
        return max(sessions, key=_rank)


def _rank(session: OccupantSession) -> tuple[int, int]:
    return session.priority, session.number


__all__ = ["Occupant", "OccupantSession", "Said"]
