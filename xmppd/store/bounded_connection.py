"""A connection to PostgreSQL that does not wait for ever. Imported where psycopg is installed."""

from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen

from xmppd.store.limits import left_s

T = TypeVar("T")


class BoundedConnection(Connection[tuple[Any, ...]]):
    """A connection that waits for its server as long as its thread may wait.

    TCP tells of a server that is gone, but not of one that is there and says nothing. When the
    time is up the connection is closed from this side: whatever would still come by it is not an
    answer to what is asked next.
    """

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """What the exchange with the server comes to.

        Raises:
            OperationalError: It has not come to an end in time.
        """
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, exchange: PQGen[T]) -> Generator[Any, Any, T]:
        """The exchange; psycopg asks it several times a second although nothing has come."""
        try:
            wanted = next(exchange)
            while True:
                ready = yield wanted
                if not ready and left_s() <= 0:
                    self.pgconn.finish()
                    raise OperationalError("the server does not answer")
                wanted = exchange.send(ready)
        except StopIteration as end:
            result: T = end.value
            return result


__all__ = ["BoundedConnection"]
