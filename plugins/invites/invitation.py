"""Invitation: what somebody may do who has its token."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from msgspec import json

from xmppd.stanza import JID


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, without its token, which nobody can tell any more.

    Attributes:
        id: For people and programs.
        inviter: Bare JID of whoever invites; empty for the administrators.
        domain: Where an account may be made.
        name: The local part that it must have; empty for any.
        groups: Shared groups that the account joins.
        is_contact: Whether inviter and guest become contacts that see each other.
        with_account: Whether an account may be made by it.
        max_uses: How many may take it up.
        made: In seconds since 1970.
        expires: Likewise.
        revoked: Likewise; None if it is not.
        used: How many have taken it up, or are about to.
    """

    id: str
    inviter: str
    domain: str
    name: str
    groups: tuple[str, ...]
    is_contact: bool
    with_account: bool
    max_uses: int
    made: float
    expires: float
    revoked: float | None = None
    used: int = 0

    @classmethod
    def of_row(cls, row: tuple[object, ...]) -> "Invitation":
        """The invitation of a row of the table."""
        columns = dict(zip(cls.__dataclass_fields__, row, strict=True))
        columns["groups"] = tuple(json.decode(str(columns["groups"]), type=list[str]))
        for name in ("is_contact", "with_account"):  # SQLite has numbers for them
            columns[name] = bool(columns[name])
        return cls(**columns)  # type: ignore[arg-type]  # as they are in the table

    @property
    def row(self) -> Mapping[str, object]:
        """Its row, but for the digests."""
        names = [name for name in self.__dataclass_fields__ if name not in ("groups", "used")]
        columns = {name: getattr(self, name) for name in names}
        return {**columns, "groups": json.encode(self.groups).decode()}

    def state(self, now: float) -> str:
        """The state that it is in, in a word."""
        if self.revoked is not None:
            return "revoked"
        if self.used >= self.max_uses:
            return "used"
        return "expired" if self.expires <= now else "open"

    def uri(self, token: str) -> str:
        """The URI that a client opens (:xep:`0401`, :xep:`0445`)."""
        if self.inviter and self.is_contact and not self.name:
            more = ";ibr=y" if self.with_account else ""
            return f"xmpp:{_in_uri(self.inviter)}?roster;preauth={token}{more}"
        address = JID.of(self.name or None, self.domain).bare
        return f"xmpp:{_in_uri(address)}?register;preauth={token}"


def _in_uri(address: str) -> str:
    """An address as it stands in a URI (:rfc:`5122`)."""
    return quote(address, safe="@")


__all__ = ["Invitation"]
