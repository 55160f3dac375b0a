"""AuthorityThread: an authority that may be waited for."""

from collections.abc import Sequence
from threading import Event
from typing import Protocol

from xmppd.acme.not_issued import Suggestion
from xmppd.host.machine import Workers


class Signs(Protocol):
    """An authority; its methods are called in a thread."""

    def issue(self, names: Sequence[str]) -> bytes:
        """Have a certificate issued.

        Args:
            names: As certificates spell them; the first one is its domain.

        Returns:
            PEM: the certificate, those that lead to its root, and its new private key.

        Raises:
            NotIssued: It is not.
        """

    def suggestion(self, pem: bytes) -> Suggestion:
        """When to renew a certificate.

        Raises:
            NotIssued: The authority does not say.
        """


class AuthorityThread:
    """Asks an authority in a thread of its own, one thing at a time.

    Args:
        authority: The authority.
        thread: The thread.
        stopping: Ends what the authority is asked just then.
    """

    def __init__(self, authority: Signs, thread: Workers, stopping: Event) -> None:
        self._authority = authority
        self._thread = thread
        self._stopping = stopping

    async def issue(self, names: Sequence[str]) -> bytes:
        """See :meth:`Signs.issue`."""
        return await self._thread.run(self._authority.issue, names)

    async def suggestion(self, pem: bytes) -> Suggestion:
        """See :meth:`Signs.suggestion`."""
        return await self._thread.run(self._authority.suggestion, pem)

    def stop(self) -> None:
        """Ask nothing more; what is under way ends soon, and is not waited for."""
        self._stopping.set()
        self._thread.stop_soon()
