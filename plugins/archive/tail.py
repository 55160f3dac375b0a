"""Tail: the newest messages of all archives, in memory until they are found in the database."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable

from xmppd.stanza.stanza import Archived

from .tables import SENT

MAX_TAIL = 20_000
"""Messages; beyond that who sends one waits until some are in the database."""


class Accepted(Archived):
    """A message that was accepted for one archive or two.

    Attributes:
        wire: Its bytes as they were routed, without ids of ours.
        sent: The number of its sender's archive; 0 if it is in none.
        received: The number of its recipient's archive; 0 if it is in none.
        to: Whom it was sent to, as the entry of the sender's archive names its peer.
        sender: Who sent it, as the entry of the recipient's archive names its peer.
        flags: Of :mod:`~xmppd_plugins.archive.tables`, but for those that depend on the archive.
        promised: The archive for which it was prepared, and has yet to be followed; 0 if none.
        batch: With which it is written; None if it has not joined the tail.
    """

    __slots__ = ("batch", "flags", "promised", "received", "sender", "sent", "to", "wire")

    def __init__(self, position: int, wire: bytes, to: str, sender: str, flags: int = 0) -> None:
        super().__init__(position)
        self.wire = wire
        self.to = to
        self.sender = sender
        self.flags = flags
        self.sent = self.received = self.promised = 0
        self.batch: object | None = None

    @property
    def is_taken(self) -> bool:
        """Whether it is in a recipient's archive, or about to be: another recipient's needs another
        position.
        """
        return bool(self.received or self.promised)

    @property
    def archives(self) -> tuple[int, ...]:
        """The numbers of the archives it is in."""
        if self.sent and self.received:
            return self.sent, self.received
        return (self.sent or self.received,) if self.sent or self.received else ()

    def peer_in(self, archive: int) -> str:
        """Its peer, in one of its archives."""
        return self.to if archive == self.sent else self.sender

    def flags_in(self, archive: int) -> int:
        """Its flags, in one of its archives."""
        return self.flags | SENT if archive == self.sent else self.flags

    def leave(self, archive: int) -> None:
        """Be in this archive no longer."""
        if self.sent == archive:
            self.sent = 0
        if self.received == archive:
            self.received = 0

    def taken_apart(self, archive: int) -> "Accepted":
        """The message in one of its archives, whose entry is written behind that of the other."""
        apart = Accepted(self.position, self.wire, self.to, self.sender, self.flags)
        if archive == self.sent:
            self.sent, apart.sent = 0, archive
        else:
            self.received, apart.received = 0, archive
        return apart


class Tail:
    """Messages by the archives they are in; one in two archives counts once.

    Args:
        max_messages: The number at which it is full.

    Attributes:
        on_dropped: Called when messages have left it.
    """

    def __init__(self, max_messages: int = MAX_TAIL) -> None:
        self.max_messages = max_messages
        self.on_dropped: Callable[[], None] = _nobody_waits
        self._by_archive = defaultdict[int, list[Accepted]](list)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether those who send messages have to wait."""
        return self._count >= self.max_messages

    @property
    def is_overfull(self) -> bool:
        """Whether there is no room either for what was accepted elsewhere, and cannot wait."""
        return self._count >= 2 * self.max_messages

    def add(self, message: Accepted) -> None:
        """Add a message to the archives that it is in by now."""
        self._count += 1
        for archive in message.archives:
            self.add_to(archive, message)

    def add_to(self, archive: int, message: Accepted) -> None:
        """Add a message that is in the tail to one more archive."""
        self._by_archive[archive].append(message)

    def of(self, archive: int) -> Collection[Accepted]:
        """The messages of an archive, in no order that can be relied on."""
        return self._by_archive.get(archive, ())

    def drop(self, messages: Iterable[Accepted]) -> None:
        """Drop messages that are found in the database now."""
        gone = set(messages)
        self._count -= len(gone)
        for message in gone:
            if not message.promised:  # nobody else needs its bytes, whoever has the message still
                message.wire = b""
        for archive in {archive for message in gone for archive in message.archives}:
            left = [each for each in self.of(archive) if each not in gone]
            if left:
                self._by_archive[archive] = left
            else:
                self._by_archive.pop(archive, None)
        self.on_dropped()

    def forget(self, archive: int) -> None:
        """Take an archive out of its messages; they stay in those of others."""
        for message in self._by_archive.pop(archive, ()):
            message.leave(archive)


def _nobody_waits() -> None:
    """Do nothing: nobody waits for room."""


__all__ = ["MAX_TAIL", "Accepted", "Tail"]
