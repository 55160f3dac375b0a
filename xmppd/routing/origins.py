"""Origins: which sessions have had messages that came by other nodes."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count

from xmppd.cluster.node import NodeId
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.stanza import Message, Stanza

MAX_HAD = 20_000
"""Messages, for each session that has had one, of which that is remembered; 2.2 MB, however long
their addresses are. One that is routed anew comes within some seconds, unless Redis is away, and
nobody can be declared dead."""


class Origins:
    """Tells messages that are routed anew from others (CL-15).

    A message that is passed on to the node which decides about it is given an origin: the node that
    has passed it on first, and a number there. Should the node that decides be lost before it has
    said that the message was handled, the message is routed anew; sessions at other nodes may have
    it by then, and are not given it again. Nor does it wait for them in the store, where that node
    may have kept or held it: it has its origin there, too (CL-53).

    Args:
        id: Of this node.
    """

    def __init__(self, id: NodeId) -> None:
        self._ours = f"{id}/"
        self._numbers = count(1)
        self._had: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._had)

    def give(self, message: Stanza) -> None:
        """Give a message that is about to leave this node an origin, if it has none yet."""
        if not message.payload.origin:
            message.payload.origin = f"{self._ours}{next(self._numbers)}"

    def of(self, message: Stanza) -> str:
        """The origin of a message that is about to be held, which it is given if it has none."""
        self.give(message)
        return message.payload.origin

    def may_come_again(self, message: Message) -> bool:
        """Whether sessions may have a message already that is about to be given to some, or may be
        given it once more: it was passed on before it has come here, or was passed on from here, or
        a session at another node has given it back, for which it may be held still.
        """
        origin, passed_on = message.payload.origin, message.payload.passed_on
        if passed_on == 1:
            return message.payload.again or origin.startswith(self._ours)
        return passed_on > 1

    def is_new(self, origin: str, session: LocalClientSession) -> bool:
        """Note that a session here is about to have a message; returns whether it has not had it
        before.
        """
        if self.has_had(origin, session):
            return False
        self._had[_key(origin, session)] = None
        if len(self._had) > MAX_HAD:
            self._had.popitem(last=False)
        return True

    def has_had(self, origin: str, session: LocalClientSession) -> bool:
        """Whether a session here has had a message, as far as that is remembered."""
        return _key(origin, session) in self._had

    def new_to(self, message: Message, sessions: Sequence[Session]) -> tuple[Session, ...]:
        """Those of some sessions that have not had a message; whether one at another node has, that
        node knows.
        """
        origin = message.payload.origin
        return tuple(
            session
            for session in sessions
            if not isinstance(session, LocalClientSession) or self.is_new(origin, session)
        )


def _key(origin: str, session: LocalClientSession) -> int:
    """What stands for a message that a session has had: 64 bits, which no other has by chance, and
    nobody can choose, since texts are hashed with a secret of the process.
    """
    return hash((origin, session.jid.full, session.serial))


__all__ = ["MAX_HAD", "Origins"]
