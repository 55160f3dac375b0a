"""PeerCounts: what one peer has sent, and was sent: plain integers, counted where they arise."""

from operator import add as plus
from operator import sub
from typing import NamedTuple

PLACE = bytes({ord("m"): 0, ord("p"): 1, ord("i"): 2}.get(letter, 3) for letter in range(256))
"""The place of an element in a count of kinds, by the first letter of its name: a message, a
presence, an iq, or none of these."""


class Peer(NamedTuple):
    """Who is at the other end of a connection.

    Attributes:
        session: A full JID; of a stream that has none, ``domain/id``; of others their domain.
        account: Bare JID; empty before the login.
        address: The IP address.
        software: The name of the client; empty if it does not say.
        domain: Of the account, component or server.
    """

    session: str
    account: str
    address: str
    software: str
    domain: str


class Growth(NamedTuple):
    """What a peer has caused in some time.

    Attributes:
        messages: That it has sent.
        presences: That it has sent.
        iqs: That it has sent.
        came_bytes: The bytes that it has sent.
        got: The stanzas that it was sent.
        went_bytes: The bytes that it was sent.
        slowed: How often it was read more slowly, since it was too fast.
        errors: Its stanzas that were answered with an error by us.
        busy_s: The time for which its stanzas have kept the server busy, in seconds.
        fan_out: The deliveries that its stanzas became at once, beyond one each.
        failed_logins: Its failed attempts to log in, which are noted one by one: each may be for
            another account.
    """

    messages: int = 0
    presences: int = 0
    iqs: int = 0
    came_bytes: int = 0
    got: int = 0
    went_bytes: int = 0
    slowed: int = 0
    errors: int = 0
    busy_s: float = 0.0
    fan_out: int = 0
    failed_logins: int = 0

    @property
    def deliveries(self) -> int:
        """What all that it has sent became: to several recipients, or to one."""
        return self.stanzas + self.fan_out

    @property
    def stanzas(self) -> int:
        """All that it has sent."""
        return self.messages + self.presences + self.iqs

    @property
    def bytes(self) -> int:
        """In both directions."""
        return self.came_bytes + self.went_bytes

    def plus(self, other: "Growth") -> "Growth":
        """Both together."""
        return Growth(*map(plus, self, other))


class PeerCounts:
    """The counts of one connection, since it was made; or of many together.

    Attributes:
        came: The stanzas that have come, by the place of their kind.
        went: The elements that were written, by theirs.
        came_bytes: The bytes that have come, without TLS.
        went_bytes: Those that were written.
        slowed: How often it was read more slowly, since it was too fast.
        errors: Its stanzas that were answered with an error by us.
        busy_s: The time for which what came has kept the server busy.
        fan_out: The deliveries that it became at once, beyond one for each stanza.
        seen: All that there was at the last look.
        mark: The sum of what can grow by itself, then: if it is the same, nothing has.
    """

    __slots__ = (
        "busy_s",
        "came",
        "came_bytes",
        "errors",
        "fan_out",
        "mark",
        "seen",
        "slowed",
        "went",
        "went_bytes",
    )

    def __init__(self) -> None:
        self.came = [0, 0, 0]
        self.went = [0, 0, 0, 0]
        self.came_bytes = self.went_bytes = 0
        self.slowed = self.errors = self.fan_out = 0
        self.busy_s = 0.0
        self.seen, self.mark = NOTHING, 0

    def add(self, other: "PeerCounts") -> None:
        """Add the counts of another."""
        came, more = self.came, other.came  # written out: so many connections are added up
        came[0] += more[0]
        came[1] += more[1]
        came[2] += more[2]
        went, more = self.went, other.went
        went[0] += more[0]
        went[1] += more[1]
        went[2] += more[2]
        went[3] += more[3]
        self.came_bytes += other.came_bytes
        self.went_bytes += other.went_bytes
        self.slowed += other.slowed
        self.errors += other.errors
        self.busy_s += other.busy_s
        self.fan_out += other.fan_out

    def so_far(self) -> Growth:
        """All since the start."""
        came, went = self.came, self.went
        return Growth(
            came[0],
            came[1],
            came[2],
            self.came_bytes,
            went[0] + went[1] + went[2],
            self.went_bytes,
            self.slowed,
            self.errors,
            self.busy_s,
            self.fan_out,
        )

    @property
    def carried(self) -> int:
        """The stanzas in both directions."""
        return sum(self.came) + sum(self.went[:3])

    def grown(self) -> Growth | None:
        """The growth since the last look, which this is now; None if nothing has come or gone, nor
        was read of what had come.
        """
        came = self.came
        mark = self.came_bytes + self.went_bytes + came[0] + came[1] + came[2]
        if mark == self.mark:
            return None
        now = self.so_far()
        growth = Growth(*map(sub, now, self.seen))
        self.seen, self.mark = now, mark
        return growth


NOTHING = Growth()

__all__ = ["NOTHING", "PLACE", "Growth", "Peer", "PeerCounts"]
