"""What every store can do, as Protocols, and the values that go in and out.

An account is named by its bare JID as text. Every method is a coroutine: a store on local SQLite
answers hot reads without ever waiting, one across the network waits in a thread; who asks need not
know. What has returned is safe on disk, unless its docstring says otherwise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any, Protocol

MAX_SPENT_TOKENS = 4
"""How many of the tokens that a device was given are known after their end."""

ROSTER_VERSION_STEP = 2**32
"""A roster's version rises by more than half of this and by less than the whole: 2**31 times."""


class AccountExists(Exception):
    """There is an account of this name already."""


class NoSuchAccount(LookupError):
    """There is no account of this name."""


class QuotaExceeded(Exception):
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


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What SCRAM needs of one password under one hash; the password cannot be had back from it.

    Attributes:
        hash: ``SHA-1``, ``SHA-256`` or ``SHA-512``.
        salt: Random, this account's own.
        iterations: PBKDF2 rounds.
        stored_key: StoredKey of :rfc:`5802#section-3`.
        server_key: ServerKey of the same.
    """

    hash: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """How an account proves itself, and whether it may.

    Attributes:
        account: Bare JID.
        keys: By name of the hash.
        disabled: An administrator closed it.
        locked_until: Seconds since 1970 until which failed attempts keep it closed; 0: not locked.
    """

    account: str
    keys: dict[str, ScramKeys]
    disabled: bool = False
    locked_until: float = 0.0


@dataclass(frozen=True, slots=True)
class FormerAccount:
    """A name that had an account, and that strangers do not get for some time.

    Attributes:
        until: So long, in seconds since 1970.
        key: Of the last password, so that whoever had the account can be told from strangers; None
            if it had none.
    """

    until: float
    key: ScramKeys | None


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """One line of a list of accounts. Times in seconds since 1970."""

    account: str
    created: float
    disabled: bool
    locked_until: float
    last_seen: float | None


@dataclass(frozen=True, slots=True)
class RosterItem:
    """A contact, in the three independent fields that every subscription state is made of.

    Attributes:
        jid: Bare JID of the contact (or whatever JID the user put in).
        name: What the user calls it; empty if nothing.
        groups: In the user's order, without repetition.
        subscription: ``none``, ``to`` (the user sees the contact), ``from`` or ``both``.
        ask: The user's request waits for an answer (pending out).
        pending_in: The contact's request waits for the user: the presence stanza as it came, in
            bytes; None if there is none.
        approved: The user agreed to a request that is yet to come (pre-approval).
    """

    jid: str
    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"
    ask: bool = False
    pending_in: bytes | None = None
    approved: bool = False


@dataclass(frozen=True, slots=True)
class RosterData:
    """A roster as it is kept.

    Attributes:
        version: Rises with every change, by a step drawn at random (:rfc:`6121#section-2.6`): so it
            never names another state, not after an account was made anew or a backup restored.
        items: The contacts, by JID.
    """

    version: int
    items: tuple[RosterItem, ...]


def roster_version_step() -> int:
    """How far a roster's version rises this time; the versions passed over name no state."""
    return SystemRandom().randrange(ROSTER_VERSION_STEP // 2, ROSTER_VERSION_STEP)


@dataclass(frozen=True, slots=True)
class OfflineMessage:
    """A message that waits for its recipient.

    Attributes:
        id: Given by the store, rising.
        stanza: The whole message, addressed, as bytes.
        stored: Seconds since 1970.
        key: Of the session that was given it last; empty if that cannot be resumed.
        position: The lowest count of handled stanzas by which its client has it; 0 if unknown.
    """

    id: int
    stanza: bytes
    stored: float
    key: bytes = b""
    position: int = 0


@dataclass(frozen=True, slots=True)
class StanzaPlace:
    """Where a message that is in the store stands in the queue of a session.

    Attributes:
        number: What the store calls the message.
        held: Whether it is a held one, and not an offline message.
        key: That of the session.
        position: The lowest count of handled stanzas by which its client has it.
    """

    number: int
    held: bool
    key: bytes
    position: int


@dataclass(frozen=True, slots=True)
class LastPresence:
    """What an account left behind when its last resource went.

    Attributes:
        seen: When, in seconds since 1970.
        status: Text of the ``<status/>`` it left with; None if none.
    """

    seen: float
    status: str | None


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session that outlives the server.

    Attributes:
        key: What it is found by; a hash, from which nobody learns how to resume it.
        account: Bare JID.
        data: All that there is to know of it, in the words of whoever saved it.
    """

    key: bytes
    account: str
    data: bytes


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that was accepted, and that its recipient's session has not acknowledged.

    Attributes:
        key: That of the session; empty if it cannot be resumed.
        position: The lowest count of handled stanzas by which its client has it; 0 if unknown.
        account: Bare JID of the recipient.
        stanza: The whole message, addressed and stamped, as bytes.
        came: Seconds since 1970.
        number: Given by the store, rising; 0 if it has none yet.
    """

    key: bytes
    position: int
    account: str
    stanza: bytes
    came: float
    number: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """A small value of an account.

    Attributes:
        namespace: Of the plugin or feature that keeps it.
        key: Its name there.
        value: In the words of whoever keeps it.
    """

    namespace: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a record that is kept in one piece: a stanza in the queue of a saved session.

    Attributes:
        kind: What it is, for an administrator.
        name: Which one.
        data: Its bytes.
    """

    kind: str
    name: str
    data: bytes


Record = OfflineMessage | RosterItem | Item | SavedSession | Fragment
"""What a store keeps without looking inside, and whoever reads it may find unreadable."""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that cannot be read.

    Attributes:
        record: As the store gave it.
        reason: Why, in one sentence.
        field: What alone of it is wrong; empty if nothing of the record can be used.
    """

    record: Record
    reason: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that was set aside.

    Attributes:
        number: Given by the store, rising.
        kind: What it was, such as ``offline message``.
        account: Whose it was, or what else it belonged to; empty if that is not known.
        name: Which one of the account's.
        reason: Why it could not be read.
        since: When that was noticed, in seconds since 1970.
        size_bytes: What keeping it takes.
    """

    number: int
    kind: str
    account: str
    name: str
    reason: str
    since: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SharedGroup:
    """A group whose members see each other without asking (Openfire's shared groups).

    Attributes:
        name: Unique on this server.
        display_name: What it is called in rosters.
        members: Bare JIDs.
        visible_to: ``members`` or ``everybody``: in whose rosters it is shown.
        groups: Names of further groups in whose members' rosters it is shown.
    """

    name: str
    display_name: str
    members: tuple[str, ...] = ()
    visible_to: str = "members"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was given to a device, without what makes it one (FA-1).

    Attributes:
        nonce: Random; the token is made from it and a secret that is not in the store.
        mechanism: The one it may be used with.
        issued: When, in seconds since 1970.
        expires: From when on it is worth nothing.
        count: The highest number that it was used with; 0 if it never was with any.
    """

    nonce: bytes
    mechanism: str
    issued: float
    expires: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A client of an account that has tokens (:xep:`0484#impl-tokens`).

    Attributes:
        id: The installation's own, from its user agent.
        software: What it calls itself.
        name: What its owner calls the device.
        first_seen: When it was first given a token, in seconds since 1970.
        last_seen: When it last logged in by one, or got one.
        current: The token that it used last, or nothing.
        new: One that it was given since and has not used, or nothing.
        spent: Those it was given that are worth nothing any more, the newest first: whoever still
            shows one is told so. At most :data:`MAX_SPENT_TOKENS`.
    """

    id: str
    software: str
    name: str
    first_seen: float
    last_seen: float
    current: Token | None = None
    new: Token | None = None
    spent: tuple[Token, ...] = ()

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Those that it may use, the newer one first."""
        return tuple(token for token in (self.new, self.current) if token is not None)

    def used(self, nonce: bytes, count: int | None, seen: float) -> "Device | None":
        """The device when it has used a token: an older one is worth nothing any more (FA-3).

        Args:
            nonce: The token's.
            count: What the client says how often it used it; None if it does not say.
            seen: Now.

        Returns:
            None if this is none of its tokens, or has been counted already (FA-4).
        """
        token = next((token for token in self.tokens if token.nonce == nonce), None)
        if token is None or (token.count if count is None else count <= token.count):
            return None
        current = token if count is None else replace(token, count=count)
        if token is self.new:
            return self._spending(self.current, current=current, new=None, last_seen=seen)
        return replace(self, current=current, last_seen=seen)

    def given(self, device: "Device", token: Token) -> "Device":
        """The device when it has a new token, in the place of one that it has not used (FA-3).

        Args:
            device: As it describes itself now.
            token: The new one.
        """
        told = replace(
            device, first_seen=self.first_seen, current=self.current, new=token, spent=self.spent
        )
        return told._spending(self.new)

    def without_current(self) -> "Device":
        """The device when the token that it used last is worth nothing any more."""
        return self._spending(self.current, current=None)

    def ended(self) -> "Device":
        """The device when none of its tokens is worth anything any more (FA-5)."""
        return self._spending(self.current, self.new, current=None, new=None)

    def _spending(self, *tokens: Token | None, **changes: Any) -> "Device":
        spent = (*(token for token in tokens if token is not None), *self.spent)
        return replace(self, spent=spent[:MAX_SPENT_TOKENS], **changes)


def with_token(known: Device | None, device: Device, token: Token) -> Device:
    """A device with a new token.

    Args:
        known: As it is in the store; None if it is not.
        device: As it describes itself now.
        token: The new one.
    """
    if known is None:
        return replace(device, current=None, new=token, spent=())
    return known.given(device, token)


def within(devices: Sequence[Device], max_devices: int) -> list[Device]:
    """What is left of an account's devices when it may have so many (FA-5).

    Those that were seen longest ago lose their tokens. As many without tokens are still known, so
    that they can be told.

    Args:
        devices: All of the account's, the one that was seen last first.
        max_devices: How many may have tokens.

    Returns:
        Those that are kept, in the same order.
    """
    kept, active, ended = [], 0, 0
    for device in devices:
        if device.tokens and active < max_devices:
            active += 1
            kept.append(device)
        elif ended < max_devices:
            ended += 1
            kept.append(device.ended())
    return kept


class AccountStore(Protocol):
    """Who has an account here."""

    async def credentials(self, account: str) -> Credentials | None:
        """How this account proves itself; None if there is none."""

    async def exists(self, account: str) -> bool:
        """Whether there is such an account."""

    async def create_account(self, account: str, keys: Sequence[ScramKeys]) -> None:
        """Add an account, with nothing in it: what others of this name left behind is removed.

        Raises:
            AccountExists: There is one of this name.
        """

    async def set_keys(self, account: str, keys: Sequence[ScramKeys]) -> None:
        """Replace all keys of an account: a new password. Its devices' tokens end with the old one.

        Raises:
            NoSuchAccount: There is none of this name.
        """

    async def add_key(self, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]) -> bool:
        """Add a key for the same password, or replace the one under the same hash.

        Args:
            account: Bare JID.
            key: The new one.
            known: The account's keys when its owner proved to know the password.

        Returns:
            False if the account has other keys by now: then nothing has changed.
        """

    async def delete_account(self, account: str) -> None:
        """Remove an account and all that belongs to it, in one transaction.

        Its place in shared groups and its roster's version go too.

        Raises:
            NoSuchAccount: There is none of this name.
        """

    async def reserve_name(self, account: str, *, until: float, now: float) -> None:
        """Keep the name of an account that is about to be removed, until an account is made of it.

        Reservations that are over are forgotten.

        Args:
            account: Bare JID.
            until: How long, in seconds since 1970.
            now: The time, likewise.
        """

    async def former_account(self, account: str) -> FormerAccount | None:
        """What is kept of an account of this name that was removed; perhaps it is over."""

    async def set_disabled(self, account: str, disabled: bool) -> None:
        """Close an account to its owner, or open it again. Closing ends its devices' tokens.

        Raises:
            NoSuchAccount: There is none of this name.
        """

    async def set_locked(self, account: str, until: float) -> None:
        """Lock an account until then (seconds since 1970); 0 lifts it.

        Raises:
            NoSuchAccount: There is none of this name.
        """

    async def accounts(
        self, domain: str, *, after: str = "", limit: int = 1000
    ) -> list[AccountInfo]:
        """The accounts of a domain in order of their names, a page at a time."""

    async def count_accounts(self, domain: str) -> int:
        """How many accounts a domain has."""


class RosterStore(Protocol):
    """Who knows whom."""

    async def roster(self, account: str) -> RosterData:
        """The whole roster by JID; version 0 and no items if nothing was ever in it."""

    async def save_roster_items(self, account: str, items: Sequence[RosterItem]) -> int:
        """Add or replace these items in one transaction.

        Returns:
            The roster's new version; the old one if there were no items.
        """

    async def delete_roster_item(self, account: str, jid: str) -> int:
        """Remove one contact; no error if it is not there.

        Returns:
            The roster's new version; the old one if it was not there.
        """

    async def raise_roster_version(self, account: str) -> int:
        """Give the roster a new version, since something outside of it changes what its owner sees.

        Returns:
            The new version.
        """

    async def shared_groups(self) -> list[SharedGroup]:
        """All shared groups by name."""

    async def save_shared_group(self, group: SharedGroup) -> None:
        """Add or replace a shared group."""

    async def delete_shared_group(self, name: str) -> None:
        """Remove a shared group; no error if it is not there."""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of something there is."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Shares:
    """How many messages wait for an account.

    Attributes:
        all: Together.
        of_sender: Of one sender.
        of_domain: Of all senders of its domain; nothing if that is not counted.
    """

    all: Use = Use()
    of_sender: Use = Use()
    of_domain: Use = Use()


def has_share(theirs: int, more: int, free: int) -> bool:
    """Whether somebody who has so many places may have more, where so many are free.

    Half of what nobody else has is for one, and half of the rest for the next one: so nobody takes
    the last place that is free from those who have none.
    """
    return theirs + more <= free


def check_room(used: Shares, more_bytes: int, *, max_messages: int, max_bytes: int) -> None:
    """One message more, beside those that wait (OM-4).

    Args:
        used: By those that wait.
        more_bytes: Of the message.
        max_messages: That may wait for the account.
        max_bytes: The same in bytes.

    Raises:
        QuotaExceeded: There is no room, or the sender has had its share of it.
    """
    free, free_bytes = max_messages - used.all.count, max_bytes - used.all.bytes
    if free < 1 or more_bytes > free_bytes:
        raise QuotaExceeded("too many messages wait for this account already")
    for share in (used.of_sender, used.of_domain):
        if not has_share(share.count, 1, free) or not has_share(
            share.bytes, more_bytes, free_bytes
        ):
            raise QuotaExceeded("too many messages of yours wait for this account already")


class OfflineStore(Protocol):
    """Messages for those who are away (:xep:`0160`).

    Attributes:
        writes_in_order: What is asked first is written first, though nobody has waited for it.
    """

    @property
    def writes_in_order(self) -> bool: ...

    async def store_offline(
        self,
        account: str,
        stanza: bytes,
        *,
        sender: str,
        sender_domain: str | None = None,
        stored: float,
        max_messages: int,
        max_bytes: int,
        place: StanzaPlace | None = None,
    ) -> int:
        """Keep one message, if there is room. What that costs does not depend on what is there.

        Args:
            account: Bare JID of the recipient.
            stanza: The message.
            sender: Bare JID; of a sender's messages only its share is kept.
            sender_domain: The same for all senders of this domain, if it is given.
            stored: When it came, in seconds since 1970.
            max_messages: How many may wait for the account.
            max_bytes: The same in bytes.
            place: Where it was in the queue of a session that has ended; if it was held for that,
                it is held no more.

        Returns:
            Its id.

        Raises:
            QuotaExceeded: There is no room; the message says for whom, to people.
        """

    async def offline_use(self, account: str, sender: str, sender_domain: str | None) -> Shares:
        """How much waits for an account, in all and of a sender."""

    async def offline_messages(
        self, account: str, *, after: int = 0, limit: int | None = None
    ) -> list[OfflineMessage]:
        """Those that wait, oldest first.

        Args:
            account: Bare JID.
            after: Only those behind the one of this id.
            limit: So many at most; None for all.
        """

    async def delete_offline(self, account: str, ids: Iterable[int]) -> None:
        """Forget these: they have arrived."""


class PresenceStore(Protocol):
    """When accounts were last here."""

    async def last_presence(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        """Of those who were ever here, in one query."""

    async def save_last_presence(self, account: str, last: LastPresence) -> None:
        """Note that the account's last resource went. May be written a moment later, in a batch."""


class TokenStore(Protocol):
    """Devices that may log in by a token."""

    async def devices(self, account: str) -> list[Device]:
        """The account's devices, those without tokens too; who was seen last comes first."""

    async def device(self, account: str, id: str) -> Device | None:
        """One of them."""

    async def add_token(
        self, account: str, device: Device, token: Token, *, max_devices: int
    ) -> None:
        """Give a device a new token, in the place of one that it has not used.

        If there are too many devices, it goes as :func:`within` says.

        Args:
            account: Bare JID.
            device: As it describes itself now; its tokens, and when it was first seen, are not
                looked at if it is known.
            token: The new one.
            max_devices: How many of an account may have tokens.
        """

    async def use_token(
        self, account: str, id: str, nonce: bytes, count: int | None, seen: float
    ) -> bool:
        """Note that a device used a token, as :meth:`Device.used` says: once, whoever asks.

        Returns:
            False if that cannot be: there is no such token, or it has been counted.
        """

    async def end_token(self, account: str, id: str) -> None:
        """End the token that a device used last."""

    async def end_device(self, account: str, id: str) -> bool:
        """End all tokens of a device; whether it had any."""


class ItemStore(Protocol):
    """Small values by (account, namespace, key): what plugins keep without their own schema."""

    async def get_item(self, account: str, namespace: str, key: str) -> bytes | None:
        """The value; None if there is none."""

    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        """All values of a namespace by key."""

    async def set_item(
        self,
        account: str,
        namespace: str,
        key: str,
        value: bytes | None,
        *,
        max_items: int,
        max_bytes: int,
    ) -> None:
        """Keep a value, or forget it (None); the limits are of the whole account.

        Bytes are those of the keys and the values. The name need not be an account: a plugin may
        keep something for a domain or a room.

        Raises:
            QuotaExceeded: There is no room.
        """


class SessionStore(Protocol):
    """What sessions hold while nobody is connected, and what would be lost with them."""

    async def save_sessions(
        self, sessions: Sequence[SavedSession], *, theirs: Mapping[str, Sequence[int]]
    ) -> None:
        """Keep these sessions, and no others; in one transaction.

        Held messages are forgotten: what of them is not acknowledged is in the sessions.

        Args:
            sessions: Of a server that stops.
            theirs: Offline messages by account that are in the sessions now, or have arrived.
        """

    async def saved_sessions(self) -> list[SavedSession]:
        """All that are kept."""

    async def take_up_sessions(
        self, *, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
    ) -> list[int]:
        """The saved sessions are there again, and are forgotten; in one transaction.

        Args:
            held: The messages in their queues.
            lost: The messages of those that are not there again: they become offline messages.

        Returns:
            The numbers of what is held.
        """

    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        """Keep messages until they are acknowledged; forget those that are.

        Returns:
            The numbers they were given.
        """

    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        """Note where messages stand now; what the store has not any more is left out."""

    async def recover_messages(self) -> list[HeldMessage]:
        """Make offline messages of all that are held, whatever the account's quota.

        Returns:
            All of them, oldest first; their numbers are those of the offline messages.
        """


class Quarantine(Protocol):
    """Where records go that cannot be read: there they trouble nobody, and are not lost."""

    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        """Move records to the quarantine, in one transaction.

        A record that has been replaced since it was read stays where it is, and what is there
        already is not kept twice. When there is no more room the oldest make way.

        Args:
            account: Whose records they are.
            damaged: A record of which a field alone is wrong stays, without it.

        Returns:
            Those that were moved.
        """


class QuarantineStore(Quarantine, Protocol):
    """What was set aside, for an administrator."""

    async def quarantined(
        self, *, account: str = "", after: int = 0, limit: int = 1000
    ) -> list[Quarantined]:
        """What is set aside, by number, a page at a time; of one account, or of everybody."""

    async def quarantined_fields(self, number: int) -> dict[str, object] | None:
        """A record that was set aside, field by field; None if there is none of this number."""

    async def forget_quarantined(self, numbers: Sequence[int]) -> int:
        """Delete these for good; tells how many there were."""

    async def count_quarantined(self) -> int:
        """How many records are set aside."""


class Store(
    AccountStore,
    RosterStore,
    OfflineStore,
    PresenceStore,
    TokenStore,
    ItemStore,
    SessionStore,
    QuarantineStore,
    Protocol,
):
    """All of it, and its life."""

    async def open(self) -> None:
        """Be ready. Call once, before anything else.

        Raises:
            StoreError: It cannot be used; the text is one sentence for an administrator.
        """

    async def close(self) -> None:
        """Write what is still queued, and let go."""


class StoreError(Exception):
    """The store cannot be used: unreachable, unwritable, or of a schema we do not know.

    Its text is for administrators, and the store has logged it: who catches it tells the peer
    :data:`STORE_FAILS` with a condition that means "try again", and logs no trace.
    """


STORE_FAILS = "The server cannot use its database just now. Try again later."
"""What people are told of a :class:`StoreError`, whatever its text says."""


__all__ = [
    "STORE_FAILS",
    "AccountExists",
    "AccountInfo",
    "AccountStore",
    "Credentials",
    "Damaged",
    "Device",
    "FormerAccount",
    "Fragment",
    "HeldMessage",
    "Item",
    "ItemStore",
    "LastPresence",
    "NoSuchAccount",
    "OfflineMessage",
    "OfflineStore",
    "PresenceStore",
    "Quarantine",
    "QuarantineStore",
    "Quarantined",
    "QuotaExceeded",
    "Record",
    "RosterData",
    "RosterItem",
    "RosterStore",
    "SavedSession",
    "ScramKeys",
    "SessionStore",
    "SharedGroup",
    "Shares",
    "StanzaPlace",
    "Store",
    "StoreError",
    "Token",
    "TokenStore",
    "Unreadable",
    "Use",
    "check_room",
    "has_share",
    "with_token",
    "within",
]
