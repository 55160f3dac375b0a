"""Replies of several sources at once, each as it comes."""

from contextlib import aclosing

from twisted.internet.defer import CancelledError, Deferred, DeferredQueue

from xmppd.command.other_nodes import Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Reply

MAX_WAITING = 100
"""Replies that wait for their reader; then the sources do."""


class _End:
    """A source has no more."""


async def merged(*sources: Replies) -> Replies:
    """The replies of all sources, as they come; a source that ends, or fails, does not end the
    others.

    Args:
        sources: They are closed when nobody reads any more.
    """
    queue: DeferredQueue[Reply | _End] = DeferredQueue()
    room: list[Deferred[None]] = []

    async def read(source: Replies) -> None:
        try:
            async with aclosing(source):
                async for reply in source:
                    if len(queue.pending) >= MAX_WAITING:
                        room.append(Deferred())
                        await room[-1]
                    queue.put(reply)
        except (Refused, Unanswered) as error:
            queue.put(str(error))
        finally:
            queue.put(_End())

    readers = [Deferred.fromCoroutine(read(source)) for source in sources]
    try:
        left = len(readers)
        while left:
            reply = await queue.get()
            if isinstance(reply, _End):
                left -= 1
            else:
                yield reply
            if room:
                room.pop(0).callback(None)
    finally:
        for reader in readers:
            reader.addErrback(lambda failure: failure.trap(CancelledError))
            reader.cancel()


__all__ = ["merged"]
