"""NameService: what DNS and the hosts file say about a domain and its hosts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import chain, zip_longest
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import CannotListenError, ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUDP
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import (
    DNSFormatError,
    DNSNameError,
    DNSQueryRefusedError,
    DNSServerError,
    DomainError,
)
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from xmppd.s2s.targets import Service, Target

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")

QUERY_TIMEOUTS_S = (1, 3)
"""How long each name server may take, the first time and the second."""

AAAA_DELAY_S = 0.05
"""How much longer than A an answer for AAAA may take: the Resolution Delay of :rfc:`8305`."""

MAX_ADDRESSES = 8

WORDS = {DNSServerError: "SERVFAIL", DNSQueryRefusedError: "REFUSED", DNSFormatError: "FORMERR"}

_HOST = re.compile(rb"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*\.?\Z").match
T = TypeVar("T")


class LookupFailed(Exception):
    """There is no answer to go by; the text says why."""


class NoSuchName(LookupFailed):
    """DNS says that there is nothing of the kind."""


class NoAnswer(LookupFailed):
    """DNS does not say; another time it may."""


Found = tuple[str, ...] | LookupFailed


@dataclass(frozen=True, slots=True)
class Services:
    """What the SRV records of a service say.

    Attributes:
        offered: Where it is.
        refused: Whether they say that there decidedly is none: the target ``.`` (:rfc:`2782`).
    """

    offered: tuple[Service, ...] = ()
    refused: bool = False


class IReactor(IReactorTCP, IReactorUDP, IReactorTime):
    """What asking takes of a reactor."""


class NameService:
    """Asks the hosts file, then DNS.

    A question takes one descriptor while it is under way, and ends when its time is over.

    Args:
        reactor: Sends the questions.
        servers: Name servers and their ports; if there are none, those that resolv.conf names,
            which may change.
        resolv_conf: Where that is.
        hosts: Where the hosts file is.
        timeouts_s: How long each name server may take, the first time, the second …
    """

    def __init__(
        self,
        reactor: IReactor,
        servers: Sequence[tuple[str, int]] = (),
        *,
        resolv_conf: Path = RESOLV_CONF,
        hosts: Path = HOSTS,
        timeouts_s: Sequence[float] = QUERY_TIMEOUTS_S,
    ) -> None:
        self._reactor = reactor
        self._configured = tuple(servers)
        self._resolv_conf = resolv_conf
        self._hosts = FilePath(str(hosts))
        self._timeouts_s = timeouts_s
        self._servers: tuple[tuple[str, int], ...] = ()
        self._resolver: Resolver | None = None

    async def services(self, name: str, *, direct_tls: bool) -> Services:
        """The SRV records of a service.

        Args:
            name: Such as ``_xmpp-server._tcp.example.org``.
            direct_tls: Whether this service speaks TLS from the first byte.

        Raises:
            NoSuchName: There are none.
            NoAnswer: Nobody knows.
        """
        records = await self._ask(name, dns.SRV)
        offered = tuple(
            Service(
                record.priority,
                record.weight,
                Target(record.target.name.decode().removesuffix("."), record.port, direct_tls),
            )
            for record in records
            if isinstance(record, dns.Record_SRV) and record.port and _HOST(record.target.name)
        )
        refused = any(
            isinstance(record, dns.Record_SRV) and record.target.name in {b"", b"."}
            for record in records
        )
        if not offered and not refused:
            raise NoSuchName("no such records")
        return Services(offered, refused)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IP addresses of a host, IPv6 and IPv4 by turns, :data:`MAX_ADDRESSES` at most.

        Raises:
            NoSuchName: It has none.
            NoAnswer: Nobody knows.

        Spec: :rfc:`8305#section-3`
        """
        known = searchFileForAll(self._hosts, host.encode())
        if known:
            return by_turns(
                [address for address in known if ":" in address],
                [address for address in known if ":" not in address],
            )
        v6 = Deferred.fromCoroutine(self._addresses(host, dns.AAAA))
        v4 = await Deferred.fromCoroutine(self._addresses(host, dns.A))
        if isinstance(v4, LookupFailed):
            return self._only(await v6, v4)
        late = NoAnswer("too late")
        found = await in_time(v6, AAAA_DELAY_S, late, self._reactor)
        return by_turns(() if isinstance(found, LookupFailed) else found, v4)

    def _only(self, v6: Found, why_not_v4: LookupFailed) -> tuple[str, ...]:
        if isinstance(v6, LookupFailed):
            raise v6 if isinstance(v6, NoAnswer) else why_not_v4
        return v6[:MAX_ADDRESSES]

    async def _addresses(self, host: str, type: int) -> Found:
        """The addresses of one family, or why there are none."""
        try:
            return tuple(map(_address, await self._ask(host, type))) or NoSuchName("no addresses")
        except LookupFailed as failure:
            return failure

    async def _ask(self, name: str, type: int) -> list[object]:
        """The records of a type; those of an alias are among them."""
        resolver = self._current_resolver()
        try:
            # Not its lookup methods: if one of them finds no socket, it never answers for that
            # name again.
            message = await resolver.queryUDP([dns.Query(name, type, dns.IN)])
            answers, _, _ = await maybeDeferred(resolver.filterAnswers, message)
        except DNSNameError:
            raise NoSuchName("no such name") from None
        except DeferredTimeoutError:
            raise NoAnswer("no answer from DNS") from None
        except DomainError as error:
            raise NoAnswer(f"DNS says {WORDS.get(error.__class__, 'no')}") from None
        except (CannotListenError, ConnectError, ConnectionClosed, OSError) as error:
            raise NoAnswer(f"DNS cannot be asked: {error}") from None
        return [answer.payload for answer in answers if answer.type == type]

    def _current_resolver(self) -> Resolver:
        """The one that asks the servers there are now."""
        servers = self._configured or name_servers(self._resolv_conf)
        if self._resolver is None or servers != self._servers:
            self.close()
            self._servers = servers
            self._resolver = Resolver(
                servers=list(servers), timeout=self._timeouts_s, reactor=self._reactor
            )
        return self._resolver

    def close(self) -> None:
        """Let go of connections to name servers, which long answers need."""
        if self._resolver is not None:
            for connection in list(self._resolver.connections):
                connection.transport.loseConnection()


def name_servers(resolv_conf: Path) -> tuple[tuple[str, int], ...]:
    """The name servers of the machine; itself if none are named, as in resolv.conf(5)."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.split()[1] for line in lines if re.match(r"nameserver\s+\S", line)]
    return tuple((address, dns.PORT) for address in named) or (("127.0.0.1", dns.PORT),)


def by_turns(v6: Sequence[str], v4: Sequence[str]) -> tuple[str, ...]:
    """IPv6 and IPv4 by turns, so that neither keeps the other waiting (:rfc:`8305#section-4`)."""
    pairs = chain.from_iterable(zip_longest(v6, v4))
    return tuple(address for address in pairs if address is not None)[:MAX_ADDRESSES]


def in_time(answer: Deferred[T], seconds: float, otherwise: T, clock: IReactorTime) -> Deferred[T]:
    """The answer, or something else if it takes longer; what it then is, is ignored."""
    result: Deferred[T] = Deferred()
    timer = clock.callLater(seconds, result.callback, otherwise)

    def settle(outcome: T) -> None:
        if timer.active():
            timer.cancel()
            result.callback(outcome)

    answer.addCallback(settle)
    return result


def _address(record: object) -> str:
    if isinstance(record, dns.Record_AAAA):
        return str(IPv6Address(record.address))
    assert isinstance(record, dns.Record_A)
    return str(record.dottedQuad())


__all__ = [
    "AAAA_DELAY_S",
    "MAX_ADDRESSES",
    "LookupFailed",
    "NameService",
    "NoAnswer",
    "NoSuchName",
    "Services",
    "name_servers",
]
