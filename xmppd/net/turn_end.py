"""The end of a turn, when all that was said in it leaves at once."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.net.epoll_hub import Hub, Reactor

AtEndOfTurn = Callable[[Callable[[], None]], None]
"""Calls a function when this turn ends."""

_log = Logger()


class LastCall:
    """A call at the end of a turn of the hub.

    Args:
        function: Is called.
    """

    __slots__ = ("flush",)

    def __init__(self, function: Callable[[], None]) -> None:
        self.flush = function

    def failed(self) -> None:
        """Log the error that it has raised."""
        _log.failure("could not send the output that had been collected for connections")


def at_end_of_turn_of_hub(reactor: Reactor) -> AtEndOfTurn:
    """For nodes whose connections are in the hub: what is written then leaves in the same turn.
    From outside of a turn, there is one for it.
    """
    return lambda function: Hub.of(reactor).flush_later(LastCall(function))


def at_end_of_turn(clock: IReactorTime) -> AtEndOfTurn:
    """For any reactor: in its next turn."""

    def later(function: Callable[[], None]) -> None:
        clock.callLater(0, function)

    return later


__all__ = ["AtEndOfTurn", "LastCall", "at_end_of_turn", "at_end_of_turn_of_hub"]
