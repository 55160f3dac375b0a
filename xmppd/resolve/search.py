"""Search: one way to a domain's server, from its name to a connection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random

import idna
from twisted.internet import defer, error
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, FailureGroup
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IProtocol
from twisted.internet.protocol import ClientFactory, Protocol

from xmppd.resolve.attempts import Attempts
from xmppd.resolve.connector import Visitor
from xmppd.resolve.happy_eyeballs import first_to_connect
from xmppd.resolve.lost import Disbelieved, no_stream
from xmppd.resolve.name_service import LookupFailed, NameService, NoSuchName, Services, both
from xmppd.resolve.public_address import flaw_of
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.targets import Target, in_order
from xmppd.stanza import Condition, StanzaError

NOT_OFFERED = "the domain says in DNS that it has no such service (the target is a dot)"
"""How a question about a service ended (:rfc:`2782`)."""

TARGET_S = 10.0
"""The time that connecting to one target may take, whatever the number of its addresses."""

SETTLE_S = 10.0
"""The time that settling may take at one address."""

_WORDS = {error.ConnectionRefusedError: "refused", error.TimeoutError: "no answer"}


class RemoteServerNotFound(StanzaError):
    """A domain has no server, as far as DNS says."""

    def __init__(self, text: str) -> None:
        super().__init__(Condition.REMOTE_SERVER_NOT_FOUND, text)

    def again(self) -> "RemoteServerNotFound":
        """The same error, to be raised another time."""
        return RemoteServerNotFound(self.text or "")

    @staticmethod
    def of(domain: str) -> "RemoteServerNotFound":
        """The error for a domain, in the usual words."""
        return RemoteServerNotFound(f"{domain} has no XMPP server")


class RemoteServerTimeout(StanzaError):
    """A domain may have a server, but now there is no way to it."""

    def __init__(self, text: str) -> None:
        super().__init__(Condition.REMOTE_SERVER_TIMEOUT, text)


@dataclass
class Search:
    """One search: asks for targets and tries them in order, and notes each step with its outcome.

    Attributes:
        domain: Of the server.
        visitor: Wants to be connected.
        reactor: Connects.
        names: Looks names up.
        attempts: Notes the steps.
        random: Draws among targets of one priority.
        allow_private: Whether DNS may lead to any address; else only to public ones of other
            machines.
        hopeful: Whether a step failed that may succeed another time.
        refused: Whether it led to a forbidden address.
        why: The visitor's reason to leave the last target; None if none was connected.
    """

    domain: str
    visitor: Visitor
    reactor: IResolverReactor
    names: NameService
    attempts: Attempts
    random: Random
    allow_private: bool
    hopeful: bool = False
    refused: bool = False
    why: StanzaError | None = None

    async def connect(self, targets: Sequence[Target] = ()) -> IProtocol:
        """The protocol that has settled at the first target where that is possible.

        Args:
            targets: The configured targets, which may be this machine; without any DNS is asked.

        Raises:
            RemoteServerNotFound: There is no target.
            RemoteServerTimeout: No target could be reached, or no name server.
            StanzaError: The visitor's reason to leave the last target.

        Spec: :rfc:`6120#section-3.2`
        """
        self.allow_private |= bool(targets)
        for target in targets or await self._targets():
            protocol = await self._visit(target)
            if protocol is not None:
                return protocol
        if self.why is not None:
            raise self.why
        if self.hopeful:
            raise RemoteServerTimeout(f"the server of {self.domain} cannot be reached")
        if self.refused:
            raise RemoteServerNotFound(f"the server of {self.domain} has no public address")
        raise RemoteServerNotFound.of(self.domain)

    # -- where to go ----------------------------------------------------------------------------

    async def _targets(self) -> Sequence[Target]:
        literal = self.domain.strip("[]")
        if is_address(literal):
            return (Target(literal),)
        host = in_ascii(self.domain)
        direct, starttls = await both(
            self._services(f"_xmpps-server._tcp.{host}", direct_tls=True),
            self._services(f"_xmpp-server._tcp.{host}", direct_tls=False),
        )
        offered = [*direct.offered, *starttls.offered]
        if not offered and not starttls.refused:
            return (Target(host),)
        return in_order(offered, self.random)

    async def _services(self, name: str, *, direct_tls: bool) -> Services:
        """The services in DNS; none, if it does not answer."""
        ended = self.attempts.begin(self.domain, "lookup", f"{name} SRV")
        try:
            services = await self.names.services(name, direct_tls=direct_tls)
        except LookupFailed as failure:
            self._failed(failure, ended)
            return Services()
        ended(", ".join(map(str, services.offered)) or NOT_OFFERED)
        return services

    async def _addresses(self, host: str) -> Sequence[str]:
        if is_address(host):
            return (host,)
        ended = self.attempts.begin(self.domain, "lookup", f"{host} AAAA, A")
        try:
            addresses = await self.names.addresses(host)
        except LookupFailed as failure:
            self._failed(failure, ended)
            return ()
        ended(", ".join(addresses))
        return addresses

    def _failed(self, failure: LookupFailed, ended: Callable[[str], None]) -> None:
        self.hopeful |= not isinstance(failure, NoSuchName)
        ended(str(failure))

    # -- going there ----------------------------------------------------------------------------

    async def _visit(self, target: Target) -> IProtocol | None:
        """The protocol that has settled at the first address of a target where it could; or
        None.
        """
        addresses = [
            address
            for address in await self._addresses(target.host)
            if self._may_reach(target.at(address))
        ]
        while addresses:
            factory = _Once(partial(self.visitor.make, target))
            protocol = await self._connect(target, factory, addresses)
            if protocol is None:
                return None
            if await self._settles(target.at(factory.address), protocol):
                return protocol
            addresses = addresses[addresses.index(factory.address) + 1 :]
        return None

    async def _connect(
        self, target: Target, factory: "_Once", addresses: Sequence[str]
    ) -> IProtocol | None:
        """The protocol that is connected to one of a target's addresses, or None."""
        reach = partial(self._reach, target, factory)
        winner = first_to_connect(addresses, reach, self.reactor)
        try:
            return await winner.addTimeout(TARGET_S, self.reactor)
        except (FailureGroup, defer.TimeoutError):
            self.hopeful = True
            return None

    async def _settles(self, there: Target, protocol: IProtocol) -> bool:
        """Whether the visitor can use this target."""
        ended = self.attempts.begin(self.domain, "negotiate", str(there))
        settled = Deferred.fromCoroutine(self.visitor.settle(protocol))
        try:
            await settled.addTimeout(SETTLE_S, self.reactor)
        except Disbelieved as why:
            ended(why.text or "")
            raise
        except StanzaError as why:
            self.why = why
        except defer.TimeoutError:
            self.why = no_stream("no stream was opened in time")
        except defer.CancelledError:
            ended("given up")
            raise
        else:
            ended("done")
            return True
        ended(self.why.text or self.why.condition.tag)
        return False

    def _may_reach(self, there: Target) -> bool:
        """Whether a peer can make us connect to this IP address."""
        flaw = "" if self.allow_private else flaw_of(there.host)
        if flaw:
            self.refused = True
            outcome = f"not tried, because the address is {flaw}; s2s.allow_private would allow it"
            self.attempts.note(self.domain, "connect", str(there), outcome)
        return not flaw

    async def _reach(self, target: Target, factory: "_Once", address: str) -> IProtocol:
        """Connect to one address."""
        ended = self.attempts.begin(self.domain, "connect", str(target.at(address)))
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        try:
            protocol = await kind(self.reactor, address, target.port, TARGET_S).connect(factory)
        except ConnectingCancelledError:
            ended("another address was faster" if factory.used else "given up")
            raise
        except ConnectError as failure:
            ended(_WORDS.get(failure.__class__, str(failure)))
            raise
        ended("connected")
        factory.address = address
        return protocol


class _Once(ClientFactory):
    """Makes the protocol of whichever address is the first to be connected.

    Attributes:
        used: Whether it has made one.
        address: The address at which it is connected.
    """

    noisy = False

    def __init__(self, make: Callable[[], Protocol]) -> None:
        self._make = make
        self.used = False
        self.address = ""

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        self.used = True
        return self._make()


def is_address(host: str) -> bool:
    """Whether this is an IP address, which needs no look-up."""
    return isIPAddress(host) or isIPv6Address(host)


def in_ascii(domain: str) -> str:
    """A domain in the form of DNS.

    Raises:
        RemoteServerNotFound: It has no such form.
    """
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain).decode()
    except idna.IDNAError:
        raise RemoteServerNotFound(f"{domain} cannot be a name in DNS") from None


__all__ = [
    "SETTLE_S",
    "TARGET_S",
    "RemoteServerNotFound",
    "RemoteServerTimeout",
    "Search",
    "in_ascii",
]
