"""What all entries have in common."""

from collections.abc import Hashable
from typing import Annotated

from msgspec import Meta, Struct

from xmppd.stanza.jid import MAX_ADDRESS_BYTES

MAX_ACCOUNTS = 10_000
"""The accounts that one entry may name."""


Serial = Annotated[int, Meta(ge=0)]
"""A number that only rises."""

JIDText = Annotated[str, Meta(max_length=MAX_ADDRESS_BYTES, extra={"jid": "any"})]
"""A prepared JID as text."""

OurJIDText = Annotated[str, Meta(max_length=MAX_ADDRESS_BYTES, extra={"jid": "ours"})]
"""A prepared JID as text, of an account or session of a domain that is served here."""

Accounts = Annotated[list[str], Meta(max_length=MAX_ACCOUNTS)]
"""Bare JIDs that are looked up, and mean nothing if they are not found."""


OurJIDTexts = Annotated[list[OurJIDText], Meta(max_length=MAX_ACCOUNTS)]
"""Prepared JIDs as text, of accounts or sessions of domains that are served here."""


class BusEntry(
    Struct, array_like=True, frozen=True, tag=True, tag_field="of", forbid_unknown_fields=True
):
    """Something that a node says to another.

    Attributes:
        about: The account, or thing, that it concerns: entries about the same are handled one after
            the other. Empty if that does not matter.
        newest: Of those that wait for a node and have this in common only the newest is sent, since
            it says all that the others said. None if none says less than another.
    """

    @property
    def about(self) -> str:
        """Nothing."""
        return ""

    @property
    def newest(self) -> Hashable:
        """None."""
        return None


class SessionEntry(BusEntry, frozen=True):
    """What concerns one session of an account.

    Attributes:
        session: Its full JID.
        serial: When it was entered in the directory.
    """

    session: OurJIDText
    serial: int

    @property
    def about(self) -> str:
        """Its account."""
        return self.session.partition("/")[0]


class AccountEntry(BusEntry, frozen=True):
    """What concerns an account.

    Attributes:
        account: Bare JID.
    """

    account: OurJIDText

    @property
    def about(self) -> str:
        """The account."""
        return self.account


__all__ = [
    "MAX_ACCOUNTS",
    "AccountEntry",
    "Accounts",
    "BusEntry",
    "JIDText",
    "OurJIDText",
    "OurJIDTexts",
    "Serial",
    "SessionEntry",
]
