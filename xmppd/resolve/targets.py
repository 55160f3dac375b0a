"""Targets: the hosts and ports where a domain takes connections of servers, and their order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from random import Random, SystemRandom

from xmppd.config.config import S2SSettings

PORT = 5269
"""The port of a server whose DNS names none (:rfc:`6120#section-3.2.2`)."""

MAX_TARGETS = 16


@dataclass(frozen=True, slots=True)
class Target:
    """A host and port of a remote server.

    Attributes:
        host: A name as in DNS, or an IP address.
        port: Of TCP.
        direct_tls: Whether TLS is spoken from the first byte (:xep:`0368`), or after STARTTLS.
    """

    host: str
    port: int = PORT
    direct_tls: bool = False

    def at(self, address: str) -> "Target":
        """The same target at one of its host's addresses."""
        return replace(self, host=address)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port} ({'direct TLS' if self.direct_tls else 'STARTTLS'})"


@dataclass(frozen=True, slots=True)
class Directions:
    """The configured ways to other servers.

    Attributes:
        known: The targets of some servers, whatever DNS says.
        allow_private: Whether DNS may lead to addresses that are not public, or to this machine.
    """

    known: Mapping[str, Sequence[Target]] = field(default_factory=dict)
    allow_private: bool = False

    @classmethod
    def of(cls, settings: S2SSettings) -> "Directions":
        """The configured directions."""
        known = {
            remote.name: (Target(remote.host, remote.port, remote.direct_tls),)
            for remote in settings.domain
            if remote.host
        }
        return cls(known, settings.allow_private)


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """One SRV record.

    Attributes:
        priority: The lower is tried first.
        weight: Its share among those of one priority.
        target: The host and port.
    """

    priority: int
    weight: int
    target: Target

    def __str__(self) -> str:
        return f"{self.priority} {self.weight} {self.target}"


def in_order(services: Iterable[ServiceRecord], random: Random | None = None) -> tuple[Target, ...]:
    """The targets to try, in order; a new draw each time.

    Those of one priority come in the order of a draw in which each has a chance as large as its
    weight; a weight of 0 is a small chance, like 1. Those with direct TLS are records like all
    others: priorities and weights of both kinds are mixed (:xep:`0368`).

    Args:
        services: The SRV records of a domain.
        random: Draws among those of one priority.

    Returns:
        At most :data:`MAX_TARGETS`: no DNS answer sends us to more.

    Spec: :rfc:`2782`
    """
    random = random or SystemRandom()

    def place(service: ServiceRecord) -> tuple[int, float]:
        # The least of several exponential variates belongs to each as often as its rate is large.
        return service.priority, random.expovariate(service.weight or 1)

    first = nsmallest(MAX_TARGETS, services, key=place)
    return tuple(dict.fromkeys(service.target for service in first))


__all__ = ["MAX_TARGETS", "PORT", "Directions", "ServiceRecord", "Target", "in_order"]
