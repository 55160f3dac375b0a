"""The first step of work that may have to wait, without a Deferred."""

import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred


def first_step(work: Coroutine[Any, Any, None]) -> Deferred[None] | None:
    """Do work as far as it goes; most work that may wait need not, and is done by then.

    As with ``Deferred.fromCoroutine``, which takes ten times as long, it runs in a context of its
    own: what it sets there, such as its place in a trace, is not seen by what comes in meanwhile.

    Returns:
        None if it is done; else an awaitable for the rest.

    Raises:
        Exception: What the work raises before it waits.
    """
    context = copy_context()
    try:
        waiting = context.run(work.send, None)
    except StopIteration:
        return None
    return context.run(lambda: Deferred.fromCoroutine(_rest(work, waiting)))


async def _rest(work: Coroutine[Any, Any, None], waiting: Deferred[Any]) -> None:
    await _go_on(work, waiting)


@types.coroutine
def _go_on(work: Coroutine[Any, Any, None], waiting: object) -> Generator[object, Any, None]:
    """Wait for what the work waits for, and hand it the result, until it is done."""
    while True:
        try:
            result = yield waiting
        except GeneratorExit:  # nobody can go on with it: it is collected as garbage
            work.close()
            raise
        except BaseException as error:  # what it waits for has failed, or is waited for no more
            step = partial(work.throw, error)
        else:
            step = partial(work.send, result)
        try:
            waiting = step()
        except StopIteration:
            return


__all__ = ["first_step"]
