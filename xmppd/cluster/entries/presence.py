"""Entries about who is available."""

from collections.abc import Hashable
from typing import Literal

from msgspec import Struct

from xmppd.cluster.entries.entry import Accounts, BusEntry, JIDText, OurJIDText, Serial
from xmppd.stanza import JID, Payload, Presence


class SentPresence(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A presence that a session has sent.

    Attributes:
        session: Its full JID.
        serial: When it was entered in the directory.
        count: Of its presences: of two of one session the one with the higher count is the later.
        id: Of the presence.
        type: ``unavailable``, or None.
        raw: Its payload, without addresses.
    """

    session: OurJIDText
    serial: Serial
    count: Serial
    id: str | None
    type: Literal["unavailable"] | None
    raw: bytes

    @classmethod
    def of(cls, presence: Presence, serial: int, count: int) -> "SentPresence":
        """The presence as it crosses."""
        raw = presence.payload.without_to().raw
        gone: Literal["unavailable"] | None = None if presence.type is None else "unavailable"
        return cls(presence.sender.full, serial, count, presence.id, gone, raw)

    @property
    def account(self) -> str:
        """Bare JID of its sender."""
        return self.session.partition("/")[0]

    def stanza(self) -> Presence:
        """The presence again, without an address and without parsing it."""
        sender = JID.prepared(self.session)
        return Presence(None, sender, self.id, self.type, Payload(self.raw))


class Apart(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A contact of whom not all resources may see a presence.

    Attributes:
        account: Bare JID.
        shown: Whether resources in general may.
        but: The full JIDs of those for which it is the other way round.
    """

    account: str
    shown: bool
    but: Accounts

    def shows_to(self, jid: str) -> bool:
        """Whether this resource may see it."""
        return self.shown != (jid in self.but)

    def opposite(self) -> "Apart":
        """The same, of those resources that may not."""
        return Apart(self.account, not self.shown, self.but)


class Telling(BusEntry, tag="pt", frozen=True):
    """A presence for people at the other node.

    Attributes:
        sent: The presence.
        to: Their bare JIDs; full ones of single sessions that were sent directed presence.
        apart: Those of whom not all resources may see it; of a goodbye, those of whom some still
            see the session.
        directed: Whether the client itself has named the address.
    """

    sent: SentPresence
    to: Accounts
    apart: list[Apart] = []
    directed: bool = False

    @property
    def about(self) -> str:
        """The account of its sender."""
        return self.sent.account

    @property
    def newest(self) -> Hashable:
        """The session, and those who are told."""
        return None if self.apart else (self.sent.session, self.directed, tuple(self.to))


class Arrived(BusEntry, tag="pa", frozen=True):
    """A session that looks for people at the other node; answered by :class:`Here`.

    Attributes:
        viewer: Its full JID.
        serial: When it was entered in the directory.
        sent: Its presence; None if it is shown to nobody.
        tell: Bare JIDs of those to whom it is shown.
        apart: Those of whom not all resources may see it.
        see: Bare JIDs of those whose presence it wants to see.
        everybody: Whether it is also shown to all accounts there that see it by a shared group.
        directed: Those who have its directed presence, and may have been handed that there when it
            was at another node.
    """

    viewer: JIDText
    serial: Serial
    sent: SentPresence | None
    tell: Accounts
    apart: list[Apart]
    see: Accounts
    everybody: bool = False
    directed: Accounts = []

    @property
    def about(self) -> str:
        """The account of the session."""
        return self.viewer.partition("/")[0]


class Here(BusEntry, tag="ph", frozen=True):
    """The sessions that somebody who looked for them may see, as they are when this is sent.

    Attributes:
        sent: The last presence of each.
        absent: Bare JIDs of those looked for that have no session at the node.
        watchers: Bare JIDs of those there who see the newcomer by a shared group.
    """

    sent: list[SentPresence]
    absent: Accounts
    watchers: Accounts = []


class Gone(BusEntry, tag="pg", frozen=True):
    """An account has no session at the node any more.

    Attributes:
        account: Bare JID.
        serial: The highest that a session of it has had there.
    """

    account: OurJIDText
    serial: Serial

    @property
    def about(self) -> str:
        """The account."""
        return self.account


class Shows(BusEntry, tag="ps", frozen=True):
    """The sessions of an account that are at the node are to be shown to somebody from now on.

    Attributes:
        account: Bare JID.
        viewer: Bare JID, of any server.
    """

    account: OurJIDText
    viewer: JIDText

    @property
    def about(self) -> str:
        """The account."""
        return self.account


__all__ = ["Apart", "Arrived", "Gone", "Here", "SentPresence", "Shows", "Telling"]
