"""Silence: finds servers that take stanzas and answer nothing (SV-17).

What is written to a server that hangs is acknowledged by its kernel, so that the stream looks open.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from xmppd.routing.requests import Requests
from xmppd.s2s.domain_pair import DomainPair
from xmppd.s2s.server_stream import ServerStream
from xmppd.stanza import IQ, JID, ns

SILENT_S = 60.0
"""For how long nothing comes from a server to which something was sent, until it is asked."""

ANSWER_S = 60.0
"""How long it has to answer."""

AGAIN_S = 300.0
"""When a server that has not answered is asked again."""

_PING = f"<ping xmlns='{ns.PING}'/>".encode()

Key = tuple[str, str]


@dataclass(slots=True)
class _Unheard:
    """A pair whose remote domain was sent something, and has sent nothing since.

    Attributes:
        ask_at: When it is asked, on the clock; None while it may answer.
    """

    ask_at: float | None


class Silence:
    """Asks servers that say nothing, once a minute at most, and notes which ones do not answer.

    Args:
        requests: By which it asks.
        pairs: By our domain and theirs.
        changed: Called with a pair that has fallen silent, or that has been heard again.
    """

    def __init__(
        self,
        requests: Requests,
        pairs: dict[Key, DomainPair],
        changed: Callable[[DomainPair], None],
    ) -> None:
        self._requests = requests
        self._clock: IReactorTime = requests.clock
        self._pairs = pairs
        self._changed = changed
        self._unheard: dict[Key, _Unheard] = {}

    def wrote(self, keys: Iterable[Key]) -> None:
        """Note that something was sent by these pairs: our domain and theirs."""
        for key in keys:
            if key not in self._unheard:
                self._unheard[key] = _Unheard(self._clock.seconds() + SILENT_S)

    def heard(self, keys: Iterable[Key]) -> None:
        """Note that something came by these pairs."""
        for key in keys:
            self._unheard.pop(key, None)
            pair = self._pairs.get(key)
            if pair is not None and pair.is_silent:
                self._tell(pair, is_silent=False)

    def look(self) -> list[ServerStream]:
        """Ask those that have been silent for long; forget those whose stream is gone.

        Returns:
            The streams by which a question went.
        """
        now, asked = self._clock.seconds(), []
        for key, unheard in tuple(self._unheard.items()):
            pair = self._pairs.get(key)
            carrier = None if pair is None else pair.carrier
            if pair is None or carrier is None:
                del self._unheard[key]
            elif unheard.ask_at is not None and now >= unheard.ask_at and not carrier.full:
                unheard.ask_at = None
                asked.append(carrier)
                local, remote = JID.parse(pair.local), JID.parse(pair.remote)
                answer = self._requests.ask(remote, local, _PING, timeout_s=ANSWER_S)
                answer.addCallback(self._answered, key, unheard)
        return asked

    def _answered(self, answer: IQ | None, key: Key, unheard: _Unheard) -> None:
        if answer is not None:
            self.heard((key,))
        elif self._unheard.get(key) is unheard:
            unheard.ask_at = self._clock.seconds() + AGAIN_S
            pair = self._pairs.get(key)
            if pair is not None and pair.carrier is not None and not pair.is_silent:
                self._tell(pair, is_silent=True)

    def _tell(self, pair: DomainPair, *, is_silent: bool) -> None:
        pair.is_silent = is_silent
        self._changed(pair)
