"""What is in force for one session: its list, and whether it is invisible."""

from typing import NamedTuple

from xmppd.privacy.privacy_list import BLOCK, DENY, CompiledList, Contacts, Kind
from xmppd.stanza import IQ, JID, Condition, ErrorType, Message, Presence, Stanza, StanzaError

BLOCKING_ERRORS = "urn:xmpp:blocking:errors"
NOTIFICATIONS = (None, "unavailable")
"""Types of presence that tell of somebody; all others ask for something."""

Contact = tuple[str, bytes]
"""Bare JID, and its escaped bytes."""


class Audience(NamedTuple):
    """Who hears what a session broadcasts.

    Attributes:
        contacts: Contacts of ours, with all their resources.
        elsewhere: Contacts of other servers.
        apart: Contacts of ours of whom a rule names a resource: each of theirs is looked up.
    """

    contacts: tuple[Contact, ...]
    elsewhere: tuple[JID, ...]
    apart: tuple[str, ...]


NOBODY = Audience((), (), ())


class SessionPrivacy:
    """One session's privacy (PL-1 to PL-10). A session for which nothing is in force has none.

    Nobody edits it: when a list changes, its sessions get another one.

    Attributes:
        account: Bare JID of the owner.
        active: The name of the session's active list; None if the default list is in force.
        rules: The list in force; None if there is none.
        contacts: The owner's.
        invisible: Whether the session is invisible (:xep:`0186`).
        probes: Whether it is told of its contacts all the same.
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
            StanzaError: NOT_ACCEPTABLE: its own list says no; :xep:`0191`'s ``blocked`` goes with
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
        """Whether this viewer is told of the session's presence without being told in person."""
        if self.invisible:
            return viewer.bare == self.account.bare
        return self.lets("presence-out", viewer)

    def tells_apart(self, bare: str) -> bool:
        """Whether not all resources of this account need see the same."""
        return self.rules is not None and not self.invisible and bare in self.rules.apart

    def audience(
        self, contacts: tuple[Contact, ...], elsewhere: tuple[JID, ...], roster: object
    ) -> Audience:
        """Who of the subscribers hears a broadcast: worked out once, and kept (RO-1).

        Args:
            contacts: Subscribers here.
            elsewhere: Subscribers of other servers.
            roster: Stands for the roster as it is: another object whenever anything has changed.
        """
        if self._audience_of is not roster:
            self._audience = self._find_audience(contacts, elsewhere)
            self._audience_of = roster
            self._watchers.clear()
        return self._audience

    def shows_to_watcher(self, bare: str) -> bool:
        """Whether all of somebody hears a broadcast to whom a group shows the account; kept."""
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
        """What the list says; the owner's own resources and server are never denied (PL-1)."""
        if self.rules is None or jid.bare in (self.account.bare, self.account.domain):
            return 0
        return self.rules.verdict(kind, jid, self.contacts)


def kind_in(stanza: Stanza) -> Kind:
    """What a stanza is to the list of whoever gets it."""
    if isinstance(stanza, Message):
        return "message"
    if isinstance(stanza, IQ):
        return "iq"
    return "presence-in" if stanza.type in NOTIFICATIONS else "other"


def kind_out(stanza: Stanza) -> Kind:
    """What a stanza is to the list of whoever sends it."""
    if isinstance(stanza, Presence) and stanza.type in NOTIFICATIONS:
        return "presence-out"
    return "other"
