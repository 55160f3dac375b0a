"""NameService: what DNS and the hosts file say about a domain and its hosts."""

import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import chain, zip_longest
from pathlib import Path
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.names import dns
from twisted.names.hosts import searchFileForAll
from twisted.python.filepath import FilePath

from xmppd.resolve.question import IResolverReactor, LookupFailed, NoAnswer, NoSuchName, Question
from xmppd.resolve.targets import ServiceRecord, Target

RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")

QUERY_TIMEOUTS_S = (1, 3)
"""The time that each name server may take, the first time and the second."""

AAAA_DELAY_S = 0.05
"""The time that an answer for AAAA may take longer than that for A: the Resolution Delay of
:rfc:`8305`."""

MAX_ADDRESSES = 8
MAX_NAME = 253
MAX_LABEL = 63

_HOST = re.compile(rb"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*\.?\Z").match
T = TypeVar("T")

Found = tuple[str, ...] | LookupFailed


@dataclass(frozen=True, slots=True)
class Services:
    """The SRV records of a service.

    Attributes:
        offered: Its targets.
        refused: Whether the service is decidedly not available: the target ``.`` (:rfc:`2782`).
    """

    offered: tuple[ServiceRecord, ...] = ()
    refused: bool = False


class NameService:
    """Asks the hosts file, then DNS.

    A question takes one descriptor while it is under way, and ends when its time is over or its
    caller is cancelled.

    Args:
        reactor: Sends the questions.
        servers: Name servers and their ports; if there are none, those that resolv.conf names,
            which may change.
        resolv_conf: Its path.
        hosts: The path of the hosts file.
        timeouts_s: How long each name server may take, the first time, the second …
    """

    def __init__(
        self,
        reactor: IResolverReactor,
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

    async def services(self, name: str, *, direct_tls: bool) -> Services:
        """The SRV records of a service.

        Args:
            name: Such as ``_xmpp-server._tcp.example.org``.
            direct_tls: Whether this service speaks TLS from the first byte.

        Raises:
            NoSuchName: There are none.
            NoAnswer: No name server has said.
        """
        records = await self._ask(name, dns.SRV)
        offered = tuple(
            ServiceRecord(
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
        v4 = Deferred.fromCoroutine(self._addresses(host, dns.A))
        try:
            fours = await v4
            if isinstance(fours, LookupFailed):
                return self._only(await v6, fours)
            return by_turns(await self._soon(v6), fours)
        finally:
            cancel(v6, v4)

    async def alias(self, host: str) -> bool:
        """Whether a host is an alias of another one, as far as DNS says."""
        try:
            return bool(await self._ask(host, dns.CNAME))
        except LookupFailed:
            return False

    def _only(self, v6: Found, why_not_v4: LookupFailed) -> tuple[str, ...]:
        if isinstance(v6, LookupFailed):
            raise v6 if isinstance(v6, NoAnswer) else why_not_v4
        return by_turns(v6, ())

    async def _soon(self, found: Deferred[Found]) -> tuple[str, ...]:
        """The addresses that are found within a moment, once those of the other family are
        there.
        """
        try:
            addresses = await found.addTimeout(AAAA_DELAY_S, self._reactor)
        except DeferredTimeoutError:
            return ()
        return () if isinstance(addresses, LookupFailed) else addresses

    async def _addresses(self, host: str, type: int) -> Found:
        """The addresses of one family, or why there are none."""
        try:
            return tuple(map(_address, await self._ask(host, type))) or NoSuchName("no addresses")
        except LookupFailed as failure:
            return failure

    async def _ask(self, name: str, type: int) -> list[object]:
        """The records of a type, including those of an alias."""
        if not is_name(name):
            raise NoSuchName("the name is too long for DNS")
        try:
            question = Question(self._reactor, name, type)
        except UnicodeError:
            raise NoSuchName("the name is not valid in DNS") from None
        servers = self._configured or name_servers(self._resolv_conf)
        return await question.ask(servers, self._timeouts_s)


def name_servers(resolv_conf: Path) -> tuple[tuple[str, int], ...]:
    """The name servers of the machine; itself if none are named, as in resolv.conf(5)."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line.split()[1] for line in lines if re.match(r"nameserver\s+\S", line)]
    return tuple((address, dns.PORT) for address in named) or (("127.0.0.1", dns.PORT),)


def by_turns(v6: Sequence[str], v4: Sequence[str]) -> tuple[str, ...]:
    """IPv6 and IPv4 addresses by turns, so that neither keeps the other waiting
    (:rfc:`8305#section-4`).
    """
    pairs = chain.from_iterable(zip_longest(v6, v4))
    return tuple(dict.fromkeys(filter(None, pairs)))[:MAX_ADDRESSES]


def is_name(name: str) -> bool:
    """Whether this name, in ASCII, could be one of DNS (:rfc:`1035#section-2.3.4`)."""
    labels = name.removesuffix(".").split(".")
    return len(name) <= MAX_NAME and all(0 < len(label) <= MAX_LABEL for label in labels)


async def both(
    first: Coroutine[Deferred[object], object, T], second: Coroutine[Deferred[object], object, T]
) -> tuple[T, T]:
    """Two results that are waited for side by side; cancelling stops both."""
    one, other = Deferred.fromCoroutine(first), Deferred.fromCoroutine(second)
    try:
        return await one, await other
    finally:
        cancel(one, other)


def cancel(*results: Deferred[T]) -> None:
    """Cancel these, unless they have ended."""
    for result in results:
        result.addErrback(lambda _: None)
        result.cancel()


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
    "both",
    "cancel",
    "name_servers",
]
