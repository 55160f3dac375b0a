"""What a store refuses, and what it says when it cannot be used."""


class StoreError(Exception):
    """The store cannot be used: unreachable, unwritable, or of a schema we do not know.

    Its text is for administrators, and the store has logged it: who catches it tells the peer
    :data:`STORE_FAILS` with a condition that means "try again", and logs no trace.
    """


STORE_FAILS = "The server cannot use its database just now. Try again later."
"""What people are told of a :class:`StoreError`, whatever its text says."""


class ChangeRefused(Exception):
    """A change is not made, by its own rules: the transaction goes on without it."""


class QuotaExceeded(ChangeRefused):
    """There is no room for more: a count or a size is at its limit."""


class Unreadable(ValueError):
    """A record is not what it should be.

    Args:
        reason: Why, in one sentence.
        field: What alone of it is wrong; empty if nothing of the record can be used.
        rest: The record without that field.
    """

    def __init__(self, reason: str, *, field: str = "", rest: object = None) -> None:
        super().__init__(reason)
        self.field = field
        self.rest = rest


__all__ = ["STORE_FAILS", "ChangeRefused", "QuotaExceeded", "StoreError", "Unreadable"]
