"""InterceptorManager: interceptors change or stop stanzas of the kinds they declare."""

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from mypy_extensions import mypyc_attr
from twisted.logger import Logger

from xmppd.events import OWNER, Undo
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, StanzaError

S = TypeVar("S", bound=Stanza)
_log = Logger()
KINDS: tuple[type[Stanza], ...] = (Message, Presence, IQ)


@mypyc_attr(allow_interpreted_subclasses=True)
class PacketInterceptor:
    """Sees stanzas as they come in or go out; changes or stops them. Does no I/O and never waits.

    Attributes:
        incoming_kinds: Kinds of stanza that :meth:`incoming` wants to see.
        outgoing_kinds: Kinds of stanza that :meth:`outgoing` wants to see. While it is not empty,
            every delivery of that kind is addressed one by one.
    """

    incoming_kinds: ClassVar[tuple[type[Stanza], ...]] = ()
    outgoing_kinds: ClassVar[tuple[type[Stanza], ...]] = ()

    def incoming(self, stanza: S, session: JID) -> S | None:
        """Take a stanza before it is routed.

        Args:
            stanza: Stamped with its sender.
            session: Full JID of the session it came from.

        Returns:
            The stanza that goes on; None to drop it.

        Raises:
            StanzaError: It is refused, and its sender told.
        """
        return stanza

    def outgoing(self, stanza: S, session: JID) -> S | None:
        """Take a stanza before it is written to the session of this full JID.

        Returns:
            The stanza that goes on; None to drop it, for this session alone.
        """
        return stanza


@mypyc_attr(allow_interpreted_subclasses=True)
class InterceptorManager:
    """All interceptors, by kind and direction, in the order they were added.

    Attributes:
        incoming: For each kind of stanza, the interceptors that see it come in.
        outgoing: For each kind of stanza, the interceptors that see it go out.
        denied: The number of presences that the lists of sessions have kept from them.
        outdated: The number of presences that made way for newer ones while they waited.
    """

    def __init__(self) -> None:
        self.incoming: dict[type[Stanza], tuple[PacketInterceptor, ...]] = dict.fromkeys(KINDS, ())
        self.outgoing: dict[type[Stanza], tuple[PacketInterceptor, ...]] = dict.fromkeys(KINDS, ())
        self.denied = self.outdated = 0
        self._owners: dict[int, str] = {}

    def put(self, part: PacketInterceptor, owner: str) -> Undo:
        """Add an interceptor for the kinds it declares, behind all others."""
        self._owners[id(part)] = owner
        for kind in part.incoming_kinds:
            self.incoming[kind] += (part,)
        for kind in part.outgoing_kinds:
            self.outgoing[kind] += (part,)

        def take_out() -> None:
            self._owners.pop(id(part), None)
            for table in (self.incoming, self.outgoing):
                for kind, known in table.items():
                    table[kind] = tuple(one for one in known if one is not part)

        return take_out

    def plugins(self, interceptors: Iterable[PacketInterceptor]) -> list[str]:
        """The plugins that these belong to, each once."""
        owners = (self._owners.get(id(interceptor), OWNER) for interceptor in interceptors)
        return [plugin for plugin in dict.fromkeys(owners) if plugin != OWNER]

    def come_in(self, stanza: S) -> S | None:
        """An incoming stanza as all interceptors leave it; None if one has dropped it.

        Raises:
            StanzaError: One has refused it.
        """
        seen: S | None = stanza
        for interceptor in self.incoming[stanza.__class__]:
            if seen is None:
                break
            try:
                seen = interceptor.incoming(seen, stanza.sender)
            except StanzaError:
                raise
            except Exception:
                self._failed(interceptor, stanza)
        return seen

    def go_out(self, stanza: S, session: JID) -> S | None:
        """A stanza for this session as all interceptors leave it; None if one has dropped it."""
        seen: S | None = stanza if stanza.to is not None else _addressed(stanza, session)
        for interceptor in self.outgoing[stanza.__class__]:
            if seen is None:
                break
            try:
                seen = interceptor.outgoing(seen, session)
            except StanzaError:
                return None  # IN-4
            except Exception:
                self._failed(interceptor, stanza)
        return seen

    def _failed(self, interceptor: PacketInterceptor, stanza: Stanza) -> None:
        """Log a bug in an interceptor; the stanza goes on as it was (IN-3)."""
        owner = self._owners.get(id(interceptor), OWNER)
        _log.failure("{owner} failed on {stanza}", owner=owner, stanza=stanza)


def _addressed(stanza: S, session: JID) -> S:
    """The stanza with an address: the account's if several get it, the resource's if the account
    sends it.
    """
    own = stanza.sender.full == session.bare
    return stanza.addressed(session if own else session.to_bare())
