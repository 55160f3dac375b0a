"""Errors of the store."""


class StoreError(Exception):
    """An error: the store is unreachable, unwritable, or of an unknown schema.

    Its text is for administrators, and the store has logged it: code that catches it tells the peer
    :data:`STORE_FAILS` with a condition that means "try again", and logs no trace.
    """


STORE_FAILS = "The server cannot use its database at the moment. Try again later."
"""The text for users about a :class:`StoreError`, in place of its own."""


class ChangeRefused(Exception):
    """An error: a change is refused by its own rules, and the transaction goes on without it."""


class QuotaExceeded(ChangeRefused):
    """An error: a count or a size is at its limit."""


class AnotherVersion(ChangeRefused):
    """An error: what was to be changed is not what it was when that was decided, since another node
    has changed it: read it again, and decide again.
    """


class TablesRefused(ChangeRefused):
    """An error: the tables of a plugin are not as the plugin says, and the database itself works.

    Its text is for administrators.
    """


class Unreadable(ValueError):
    """An error: a record is damaged.

    Args:
        reason: In one sentence.
        field: The only part that is wrong; empty if the record cannot be used at all.
        rest: The record without that field.
    """

    def __init__(self, reason: str, *, field: str = "", rest: object = None) -> None:
        super().__init__(reason)
        self.field = field
        self.rest = rest


__all__ = [
    "STORE_FAILS",
    "AnotherVersion",
    "ChangeRefused",
    "QuotaExceeded",
    "StoreError",
    "TablesRefused",
    "Unreadable",
]
