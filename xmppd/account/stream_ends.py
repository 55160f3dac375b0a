"""StreamEnds: the end of an account's streams, on all nodes of the service."""

from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

from xmppd.cluster.bus import ask_all
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.accounts import EndAccount, StreamsEnded
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, StreamCondition, StreamError

END_S = 5.0
"""The time that another node may take to close an account's streams."""

MAX_REMEMBERED = 10_000
"""Accounts whose streams were closed lately. A login that began before the first of them that was
forgotten is not let in."""


@dataclass(frozen=True, slots=True)
class StreamsClosed:
    """What has become of an account's streams.

    Attributes:
        streams: The number of those that were closed.
        unasked: The names of nodes that have not answered: theirs may still be open.
        by_password: Whether a client among them had logged in by a password, as far as that was
            looked at.
    """

    streams: int
    unasked: tuple[str, ...] = ()
    by_password: bool = False


class StreamEnds:
    """Closes the streams of accounts whose password has changed, or which are disabled or removed;
    also those of clients that were about to prove themselves by what has changed (CL-26).

    Args:
        sessions: Those that are here.
        cluster: The other nodes.
    """

    def __init__(self, sessions: SessionManager, cluster: Cluster) -> None:
        self.sessions = sessions
        self.cluster = cluster
        self._number = self._forgotten = 0
        self._ended: OrderedDict[str, int] = OrderedDict()

    async def end(
        self,
        account: JID,
        condition: StreamCondition,
        text: str,
        *,
        spare: LocalClientSession | None = None,
        removed: bool = False,
    ) -> StreamsClosed:
        """Close the streams of an account, all but one.

        Args:
            account: Bare JID.
            condition: Of the error that its clients are told.
            text: For their user.
            spare: The session here that asked for it; it stays.
            removed: Whether the account is gone, so that nothing of it is remembered anywhere.
        """
        count = self.end_here(account.bare, StreamError(condition, text), spare=spare)
        entry = EndAccount(account.bare, condition.value, text, removed=removed)
        others = await self.ask(entry)
        if others.unasked:
            with suppress(DirectoryAway):
                await self.cluster.directory.close_account(account.bare)
        return StreamsClosed(count + others.streams, others.unasked)

    def end_here(
        self, account: str, error: StreamError, *, spare: LocalClientSession | None = None
    ) -> int:
        """Close those that are here; returns their number. Logins under way come to nothing."""
        self._number += 1
        self._ended[account] = self._number
        self._ended.move_to_end(account)
        if len(self._ended) > MAX_REMEMBERED:
            _, self._forgotten = self._ended.popitem(last=False)
        return self.sessions.close_all(account, error, spare=spare)

    async def ask(self, entry: EndAccount) -> StreamsClosed:
        """Have all other nodes close streams: a login may be under way at any of them."""
        nodes = [node.id for node in self.cluster.membership.nodes.values()]
        answers = await ask_all(self.cluster.bus, nodes, entry, END_S)
        ended = [answer for answer in answers.values() if isinstance(answer, StreamsEnded)]
        return StreamsClosed(
            sum(each.streams for each in ended),
            tuple(node.name for node in nodes if node not in answers),
            any(each.by_password for each in ended),
        )

    # -- logins under way -------------------------------------------------------------------------

    def now(self) -> int:
        """The moment when a client begins to prove itself, for :meth:`check`."""
        return self._number

    def check(self, account: JID, began: int) -> None:
        """Whether a client may be let in that has proved itself.

        Raises:
            StreamError: RESET: the account's streams were closed meanwhile, and what it has proved
                may be what was true before.
        """
        if self._ended.get(account.bare, self._forgotten) > began:
            raise StreamError(
                StreamCondition.RESET, "the account has just been changed; log in again"
            )


__all__ = ["StreamEnds", "StreamsClosed"]
