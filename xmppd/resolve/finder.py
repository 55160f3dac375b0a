"""Finder: the connector that asks DNS and tries the targets."""

from random import Random, SystemRandom

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol

from xmppd.resolve.attempts import Attempts
from xmppd.resolve.connector import Visitor
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.search import RemoteServerNotFound, RemoteServerTimeout, Search
from xmppd.resolve.targets import Directions
from xmppd.store.cache import Cache

FIND_S = 30.0
"""The time that finding a domain's server may take, and being accepted there."""

NOT_FOUND_S = 60.0
"""The time for which it is remembered that a domain has no server."""

MAX_REMEMBERED = 10_000
"""Domains of which it is remembered."""


class Finder:
    """Connects to the servers of domains.

    Args:
        reactor: Connects, and tells the time.
        names: Looks names up.
        attempts: Notes each step.
        directions: The configured addresses, known and forbidden.
        random: Draws among targets of one priority.
    """

    def __init__(
        self,
        reactor: IResolverReactor,
        names: NameService,
        attempts: Attempts,
        directions: Directions,
        random: Random | None = None,
    ) -> None:
        self.attempts = attempts
        self._directions = directions
        self._reactor = reactor
        self._names = names
        self._random = random or SystemRandom()
        self._not_found: Cache[tuple[float, RemoteServerNotFound]] = Cache(MAX_REMEMBERED)

    def use(self, directions: Directions) -> None:
        """Take other directions; domains that were not found are looked for again."""
        self._directions = directions
        self._not_found = Cache(MAX_REMEMBERED)

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """The protocol that is connected to a domain's server.

        That there is no server is remembered for a while; how often to try one that cannot be
        reached is the caller's decision.

        Args:
            domain: Prepared, as in an address.
            visitor: Makes the protocol, once a target is connected, and says whether it will do.

        Raises:
            RemoteServerNotFound: The domain has no server.
            RemoteServerTimeout: It has, but there is no way to it in time; or DNS does not say.
            StanzaError: Where there is a way, the visitor was turned away.
        """
        self._raise_if_not_found(domain)
        search = Search(
            domain,
            visitor,
            self._reactor,
            self._names,
            self.attempts,
            self._random,
            allow_private=self._directions.allow_private,
        )
        found = Deferred.fromCoroutine(search.connect(self._directions.known.get(domain, ())))
        try:
            return await found.addTimeout(FIND_S, self._reactor)
        except defer.TimeoutError:
            raise RemoteServerTimeout(f"the server of {domain} was not found in time") from None
        except RemoteServerNotFound as error:
            self._not_found[domain] = self._reactor.seconds() + NOT_FOUND_S, error
            raise

    def forget(self, domain: str) -> None:
        """Forget that a domain was not found: it has been heard of, or was mended."""
        self._not_found.forget(domain)

    def _raise_if_not_found(self, domain: str) -> None:
        if domain in self._not_found:
            until, error = self._not_found[domain]
            if self._reactor.seconds() < until:
                raise error.again()
            self.forget(domain)


__all__ = [
    "FIND_S",
    "MAX_REMEMBERED",
    "NOT_FOUND_S",
    "Finder",
]
