"""Positions of messages in archives, and ids that are encrypted positions (AR-25, OA-9).

A position is a number of 63 bits: microseconds since 1970, and ten bits that tell messages of one
microsecond apart: one counts, one tells whether another node than the sender's has accepted the
message, and eight are the number of the node. So positions are in the order of time, and no two
nodes give the same one.
"""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from twisted.logger import Logger

KEY_BYTES = 32
"""One half encrypts positions, the other names archives."""

MAX_POSITION = 2**63 - 1
STEP_BACK_S = 60.0
"""A clock that was set back by more than this is worth a line in the log."""

MAX_REMEMBERED_ARCHIVES = 100_000

_LOW_BITS = 10
_TICK_BITS = 9
_TICKS_PER_S = 1_000_000 << (_LOW_BITS - _TICK_BITS)
_ELSEWHERE = 1 << 8

_block = Struct(">QQ")
_log = Logger()


def microseconds_of(position: int) -> int:
    """The time of a position, in microseconds since 1970."""
    return position >> _LOW_BITS


def first_at(microseconds: int) -> int:
    """The first position that a message of this time may have; at most the last one there is."""
    return min(max(microseconds, 0) << _LOW_BITS, MAX_POSITION)


def last_at(microseconds: int) -> int:
    """The last position that a message of this time may have."""
    return min((max(microseconds, 0) + 1) << _LOW_BITS, MAX_POSITION + 1) - 1


def elsewhere(position: int) -> int:
    """The position at its recipient's end of a message that another node has accepted at its
    sender's: always the same for the same message.
    """
    return position | _ELSEWHERE


class PositionClock:
    """Gives positions, each higher than the last one, whatever becomes of the clock (OA-9).

    Args:
        now: Tells the time in seconds since 1970.
        node: The number of this node, from 0 to 255.

    Attributes:
        now: Tells the time.
    """

    def __init__(self, now: Callable[[], float], node: Callable[[], int]) -> None:
        self.now = now
        self._node = node
        self._last = 0
        self._is_behind = False

    def go_on_above(self, position: int) -> None:
        """Give no position that is not above this one."""
        self._last = max(self._last, position >> _TICK_BITS)

    @property
    def last(self) -> int:
        """A position that is not below the last one that was given."""
        return (self._last + 1 << _TICK_BITS) - 1

    def next(self) -> int:
        """The next position."""
        tick = int(self.now() * 1_000_000) << (_LOW_BITS - _TICK_BITS)
        if tick <= self._last:
            self._note_step(self._last - tick)
            tick = self._last + 1
        elif self._is_behind:
            self._is_behind = False
        self._last = tick
        return tick << _TICK_BITS | self._node()

    def _note_step(self, ticks: int) -> None:
        if ticks > STEP_BACK_S * _TICKS_PER_S and not self._is_behind:
            self._is_behind = True
            _log.warn(
                "the clock is {s} s behind the last message in the archive: until it catches up, "
                "new messages get the time of that message",
                s=round(ticks / _TICKS_PER_S),
            )


class ArchiveIds:
    """Numbers of archives, and the ids of messages in them.

    The number of an archive is a keyed digest of its owner's name, so nothing has to be looked up
    before a message is delivered; an id is one block of AES over that number and a position. The
    key is kept in the store: a restored backup has the same ids.

    Args:
        key: Of :data:`KEY_BYTES` bytes, random.

    Attributes:
        number: The number of an archive, by the bare JID of its owner; from 1 to 2^63 - 1.
    """

    def __init__(self, key: bytes) -> None:
        half = KEY_BYTES // 2
        cipher = Cipher(algorithms.AES(key[:half]), modes.ECB())  # noqa: S305  # one block, once
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        self._names = key[half:]
        self.number = lru_cache(MAX_REMEMBERED_ARCHIVES)(self._number)

    def _number(self, owner: str) -> int:
        made = blake2b(owner.encode(), key=self._names, digest_size=8).digest()
        return int.from_bytes(made) >> 1 or 1

    def id_of(self, number: int, position: int) -> str:
        """The id of the message at a position of an archive: 32 hex digits, in lower case."""
        return self._encrypt(_block.pack(number, position)).hex()

    def position_of(self, number: int, id: str) -> int | None:
        """The position that an id names; None if it was not made for this archive."""
        if len(id) != 2 * _block.size or id != id.lower():
            return None
        try:
            its_number, position = _block.unpack(self._decrypt(bytes.fromhex(id)))
        except ValueError:
            return None
        return position if its_number == number and position <= MAX_POSITION else None


__all__ = [
    "KEY_BYTES",
    "MAX_POSITION",
    "ArchiveIds",
    "PositionClock",
    "elsewhere",
    "first_at",
    "last_at",
    "microseconds_of",
]
