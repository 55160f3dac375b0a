"""Metadata of an archive at the very moment at which a resource is bound (QU-17)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from xmppd.message.follower import Course, Follower, Followers
from xmppd.stanza.guests import is_guest
from xmppd.stream.stream_feature import Negotiation

from .archive import Archive
from .requests import Ends, ends, metadata
from .tail import Accepted
from .waiting import WaitingMessages


class BoundMetadata(Follower):
    """Says in ``<bound/>`` what is in an archive: what comes later reaches the session itself.

    The archive is read before the resource is bound, which may wait; messages that are accepted
    meanwhile are followed.

    Args:
        archive: Has the messages.
        waiting: Those that wait for the account; such a client reads them in the archive (OA-4).
        followers: Tell of messages while a resource is being bound.
    """

    def __init__(self, archive: Archive, waiting: WaitingMessages, followers: Followers) -> None:
        self.archive = archive
        self.waiting = waiting
        self.followers = followers
        self._bindings: dict[str, list[list[int]]] = {}

    def follow(self, course: Course) -> None:
        """Note a message that is in the archive from now on."""
        archived, account = course.message.payload.archived, course.account
        if isinstance(archived, Accepted) and self.archive.ids.number(account) in archived.archives:
            for accepted in self._bindings.get(account, ()):
                accepted.append(archived.position)

    @asynccontextmanager
    async def around(self, negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
        """The metadata of the account that is logging in; a guest has none."""
        session = negotiation.session
        account = session.account
        if account is None or is_guest(account.bare):
            yield bytes
            return
        accepted: list[int] = []
        self._bindings.setdefault(account.bare, []).append(accepted)
        self.followers.watch(self, account.bare)
        try:
            await self.waiting.forget(account)
            found = await ends(self.archive, account)

            def made() -> bytes:
                now = _with_accepted(found, accepted)
                return metadata(self.archive, account, now)

            yield made
        finally:
            self._forget(account.bare, accepted)

    def _forget(self, account: str, accepted: list[int]) -> None:
        left = [each for each in self._bindings.pop(account) if each is not accepted]
        if left:
            self._bindings[account] = left
        else:
            self.followers.unwatch(self, account)


def _with_accepted(found: Ends | None, accepted: list[int]) -> Ends | None:
    """The ends of an archive that has got these messages since."""
    if not accepted:
        return found
    if found is None:
        return Ends(min(accepted), max(accepted))
    return Ends(found.first, max(found.last, *accepted))


__all__ = ["BoundMetadata"]
