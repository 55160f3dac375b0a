"""BoundedConnection: a connection to PostgreSQL that does not wait for ever. It needs psycopg."""

from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen

from xmppd.store.limits import left_s

T = TypeVar("T")


class BoundedConnection(Connection[tuple[Any, ...]]):
    """A connection that waits for its server as long as its thread may wait.

    TCP tells of a server that is gone, but not of one that is there and does not answer. When the
    time is up the connection is closed from this side, so that a late answer is not taken for that
    to a later query.
    """

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        """The result of the exchange with the server.

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
