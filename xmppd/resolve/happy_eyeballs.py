"""Happy eyeballs: connects to the one of several addresses that answers first."""

from collections.abc import Awaitable, Callable, Iterable
from operator import itemgetter

from twisted.internet.defer import CancelledError, Deferred, FailureGroup, race, succeed
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.python.failure import Failure

ATTEMPT_DELAY_S = 0.25
"""The time after which the next address is tried beside the one before."""

Connect = Callable[[str], Awaitable[IProtocol]]


def first_to_connect(
    addresses: Iterable[str], connect: Connect, clock: IReactorTime
) -> Deferred[IProtocol]:
    """Try addresses side by side; when one is connected the other attempts are cancelled.

    The next is tried when the one before has failed, or has not answered for a while.

    Args:
        addresses: In the order they are tried; at least one.
        connect: Tries one; a failure is a :exc:`~twisted.internet.error.ConnectError`.
        clock: Tells when the next may start.

    Returns:
        Gives what is connected, or fails with a group of all failures. Cancelling it cancels all
        attempts.

    Spec: :rfc:`8305#section-5`
    """
    turn: Deferred[None] = succeed(None)
    attempts = []
    for address in addresses:
        next_turn: Deferred[None] = Deferred()
        attempt = _attempt(address, connect, clock, turn, next_turn)
        attempts.append(Deferred.fromCoroutine(attempt))
        turn = next_turn
    return race(attempts).addCallbacks(itemgetter(1), _told_apart)


def _told_apart(failure: Failure) -> Failure:
    """Tell whether all attempts have failed or all were cancelled."""
    group = failure.value
    assert isinstance(group, FailureGroup)
    for each in group.failures:
        if each.check(CancelledError, ConnectingCancelledError):
            raise CancelledError
    return failure


async def _attempt(
    address: str,
    connect: Connect,
    clock: IReactorTime,
    turn: Deferred[None],
    next_turn: Deferred[None],
) -> IProtocol:
    await turn
    patience = clock.callLater(ATTEMPT_DELAY_S, next_turn.callback, None)
    try:
        return await connect(address)
    except ConnectError:
        if patience.active():
            next_turn.callback(None)
        raise
    finally:
        if patience.active():
            patience.cancel()


__all__ = ["ATTEMPT_DELAY_S", "first_to_connect"]
