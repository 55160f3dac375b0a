"""Privacy of one session: the list in force, and whether it is invisible."""

from typing import NamedTuple

from xmppd.cluster.entries.presence import Apart
from xmppd.privacy.privacy_list import BLOCK, DENY, CompiledList, Contacts, Kind
from xmppd.stanza import IQ, JID, Condition, ErrorType, Message, Presence, Stanza, StanzaError

BLOCKING_ERRORS = "urn:xmpp:blocking:errors"
NOTIFICATIONS = (None, "unavailable")
"""Types of presence that tell whether a contact is available; all others are requests."""

Contact = tuple[str, bytes]
"""Bare JID, and its escaped bytes."""


class Audience(NamedTuple):
    """The contacts that hear a session's broadcasts.

    Attributes:
        contacts: Contacts here, with all their resources.
        elsewhere: Contacts of other servers.
        apart: Contacts here of which a rule names a resource: each of their resources is looked up.
    """

    contacts: tuple[Contact, ...]
    elsewhere: tuple[JID, ...]
    apart: tuple[str, ...]


NOBODY = Audience((), (), ())


class SessionPrivacy:
    """One session's privacy (PL-1 to PL-10). A session for which nothing is in force has none.

    Immutable: when a list changes, its sessions get another one.

    Attributes:
        account: Bare JID of the owner.
        active: The name of the session's active list; None if the default list is in force.
        rules: The list in force; None if there is none.
        contacts: Of the owner.
        invisible: Whether the session is invisible (:xep:`0186`).
        probes: Whether it probes its contacts all the same.
    """

    __slots__ = (
        "_audience",
        "_audience_of",
        "_watchers",
        "account",
        "active",
        "contacts",
        "invisible",
        "probes",
        "rules",
    )

    def __init__(
        self,
        account: JID,
        contacts: Contacts,
        rules: CompiledList | None,
        *,
        active: str | None = None,
        invisible: bool = False,
        probes: bool = True,
    ) -> None:
        self.account = account
        self.contacts = contacts
        self.rules = rules
        self.active = active
        self.invisible = invisible
        self.probes = probes
        self._audience = NOBODY
        self._audience_of: object = None
        self._watchers: dict[str, bool] = {}

    def as_if(self, contacts: Contacts) -> "SessionPrivacy":
        """The same, with other contacts."""
        return SessionPrivacy(
            self.account,
            contacts,
            self.rules,
            active=self.active,
            invisible=self.invisible,
            probes=self.probes,
        )

    def lets_in(self, stanza: Stanza) -> bool:
        """Whether a stanza may be delivered to the session; only its sender and kind count."""
        return self.lets(kind_in(stanza), stanza.sender)

    def lets(self, kind: Kind, jid: JID) -> bool:
        """Whether the list lets a stanza of this kind pass, from or to this JID."""
        return not self._verdict(kind, jid) & DENY

    def blocks(self, jid: JID) -> bool:
        """Whether this JID is in the blocklist, and that is in force (:xep:`0191`)."""
        return bool(self._verdict("other", jid) & BLOCK)

    def check_out(self, stanza: Stanza) -> None:
        """Whether the owner may send this (:xep:`0016`, §2.14).

        Raises:
            StanzaError: NOT_ACCEPTABLE: its own list denies it; :xep:`0191`'s ``blocked`` goes with
                it if that is because the recipient is blocked.
        """
        to = stanza.to
        if to is None:
            return
        verdict = self._verdict(kind_out(stanza), to)
        if verdict & DENY:
            raise StanzaError(
                Condition.NOT_ACCEPTABLE,
                type=ErrorType.CANCEL,
                application=(BLOCKING_ERRORS, "blocked") if verdict & BLOCK else None,
            )

    def shows_to(self, viewer: JID) -> bool:
        """Whether this viewer is sent the session's presence, apart from directed presence."""
        if self.invisible:
            return viewer.bare == self.account.bare
        return self.lets("presence-out", viewer)

    def tells_apart(self, bare: str) -> bool:
        """Whether not all resources of this account need see the same."""
        return self.rules is not None and not self.invisible and bare in self.rules.apart

    def told_apart(self, bare: str) -> Apart:
        """Which resources of such an account see it, wherever they are."""
        shown = self.shows_to(JID.prepared(bare))
        named = () if self.rules is None else self.rules.apart.get(bare, ())
        others = [full for full in named if self.shows_to(JID.prepared(full)) != shown]
        return Apart(bare, shown, sorted(others))

    def audience(
        self, contacts: tuple[Contact, ...], elsewhere: tuple[JID, ...], roster: object
    ) -> Audience:
        """The subscribers that hear a broadcast: computed once, and kept (RO-1).

        Args:
            contacts: Subscribers here.
            elsewhere: Subscribers of other servers.
            roster: Stands for the roster's state: another object after each change.
        """
        if self._audience_of is not roster:
            self._audience = self._find_audience(contacts, elsewhere)
            self._audience_of = roster
            self._watchers.clear()
        return self._audience

    def shows_to_watcher(self, bare: str) -> bool:
        """Whether a viewer through a shared group hears a broadcast with all resources; kept."""
        shows = self._watchers.get(bare)
        if shows is None:
            shows = not self.tells_apart(bare) and self.shows_to(JID.prepared(bare))
            self._watchers[bare] = shows
        return shows

    def _find_audience(self, contacts: tuple[Contact, ...], elsewhere: tuple[JID, ...]) -> Audience:
        if self.invisible:
            return NOBODY
        apart = [bare for bare, _ in contacts if self.tells_apart(bare)]
        return Audience(
            tuple(
                contact
                for contact in contacts
                if contact[0] not in apart and self.shows_to(JID.prepared(contact[0]))
            ),
            tuple(jid for jid in elsewhere if self.shows_to(jid)),
            tuple(apart),
        )

    def _verdict(self, kind: Kind, jid: JID) -> int:
        """The list's verdict; the owner's own resources and server are never denied (PL-1)."""
        if self.rules is None or jid.bare in (self.account.bare, self.account.domain):
            return 0
        return self.rules.verdict(kind, jid, self.contacts)


def kind_in(stanza: Stanza) -> Kind:
    """The kind of a stanza for its recipient's list."""
    if isinstance(stanza, Message):
        return "message"
    if isinstance(stanza, IQ):
        return "iq"
    return "presence-in" if stanza.type in NOTIFICATIONS else "other"


def kind_out(stanza: Stanza) -> Kind:
    """The kind of a stanza for its sender's list."""
    if isinstance(stanza, Presence) and stanza.type in NOTIFICATIONS:
        return "presence-out"
    return "other"
