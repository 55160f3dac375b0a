"""Importer: takes people from a reader and makes their accounts (IM-1, IM-3 to IM-6)."""

from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, FirstError, gatherResults

from xmppd.account.accounts import Accounts
from xmppd.auth.base import RunInThread
from xmppd.migration.agreement import Agreement
from xmppd.migration.archive_ids import without_archive_ids
from xmppd.migration.elements import MAX_SECONDS
from xmppd.migration.person import Person, Remarks
from xmppd.migration.renaming import rename_all, renamed
from xmppd.migration.user_data import UserDataTable
from xmppd.stanza import JID, Message, Presence, StanzaError, Tree, ns, qname
from xmppd.stanza.date_time import microseconds_of
from xmppd.stanza.guests import is_guest
from xmppd.stanza.names import local_name, namespace_of, put_names_right
from xmppd.stanza.xml import read
from xmppd.store.accounts import AccountExists, NoSuchAccount
from xmppd.store.arrivals import Arrival, forget_pages
from xmppd.store.errors import QuotaExceeded
from xmppd.store.last_presences import LastPresence
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys
from xmppd.store.store import Store

T = TypeVar("T")

PARTS_AT_ONCE = 64
"""People, or parts of them, that are in memory."""

ENTRIES_AT_ONCE = 500
"""Messages, items and the like in those; the last part may have more."""

FORGET_AFTER_PARTS = 256
"""The parts after which SQLite keeps in memory none of the pages that it has written."""

_DELAY = qname(ns.DELAY, "delay")


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What is to be imported, and how.

    Attributes:
        served: The domains that are served here.
        domains: What domains of the source are called here.
        only: The accounts that are taken, as they are called here; all if it is empty.
        replace: Whether an account that is there already gives way.
        is_dry_run: Whether nothing is written.
    """

    served: Collection[str]
    domains: Mapping[str, str] = field(default_factory=dict)
    only: frozenset[str] = frozenset()
    replace: bool = False
    is_dry_run: bool = False


@dataclass(slots=True)
class Outcome:
    """What has become of a person.

    Attributes:
        name: As the source calls the person.
        account: Bare JID here; empty if there is none.
        taken: Whether the account has come, or would come in a dry run.
        notes: What was left out, and why; or why the whole person was.
        has_password: Whether somebody can log in.
        disabled: Whether nobody may.
        disabled_until: Until when, in seconds since 1970; None for as long as nobody enables it.
    """

    name: str
    account: str = ""
    taken: bool = False
    notes: Remarks = field(default_factory=Remarks)
    has_password: bool = False
    disabled: bool = False
    disabled_until: float | None = None


class Importer:
    """Makes accounts of people, a few at a time.

    An account is marked from its first row to its last one, and nobody can log in to it until it is
    whole: whoever is cut off in between begins with that person again, and what is whole stays.

    Args:
        store: Has everything.
        accounts: Close the streams of an account that is replaced; makes keys of passwords.
        agreement: Has both sides of a subscription say the same.
        user_data: Take what is more than an account.
        run_in_thread: Runs the reader beside the reactor.
        plan: What is to be done.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        agreement: Agreement,
        user_data: UserDataTable,
        run_in_thread: RunInThread,
        plan: ImportPlan,
    ) -> None:
        self.store = store
        self.accounts = accounts
        self.agreement = agreement
        self.user_data = user_data
        self.run_in_thread = run_in_thread
        self.plan = plan
        self._under_way: dict[str, Outcome] = {}
        self._replaced: set[int] = set()

    async def run(self, people: Iterator[Person]) -> AsyncIterator[Outcome]:
        """Take all people; gives what has become of each.

        Raises:
            SourceError: The source cannot be read any further; the text says where.
            StoreError: The database cannot be written.
        """
        current: Outcome | None = None  # of somebody of whom more is to come
        kept = 0
        while parts := await self.run_in_thread(_next_parts, people):
            groups = _by_person(parts)
            known = [None if group[0].begins else current for group in groups]
            outcomes = await _all(map(self._take, groups, known))
            current = None if parts[-1].ends else outcomes.pop()
            over = [each for each in outcomes if each is not None]
            await self._finish([each for each in over if each.taken])
            for outcome in over:
                yield outcome
            kept += len(parts)
            if kept >= FORGET_AFTER_PARTS and not self.plan.is_dry_run:
                await self.store.database.write(forget_pages)
                kept = 0
        if not self.plan.is_dry_run:
            async for found, subscription in self.agreement.settle():
                note = (
                    f"the roster of {found.contact} does not agree, so the subscription is now "
                    f"{subscription}"
                )
                yield Outcome(found.account, found.account, notes=Remarks([note]))

    # -- one person -------------------------------------------------------------------------------

    async def _take(self, parts: list[Person], outcome: Outcome | None) -> Outcome | None:
        """Take some parts of one person; what there is to say by now.

        Args:
            parts: Those, in order.
            outcome: What there is to say of the parts before; None if they are not wanted.
        """
        if parts[0].begins:
            outcome = await self._begin(parts[0])
        if outcome is None:
            return None
        for part in parts:
            outcome.notes += part.left_out
            if outcome.taken:
                await self._add(outcome, part, is_new=part.begins)
        if parts[-1].ends and outcome.taken and not outcome.has_password:
            why = "the password could not be imported: set one with xmppctl user password "
            # Not by append: it is never one of "and 9 more".
            outcome.notes.insert(len(outcome.notes), f"{why}{outcome.account}")
        return outcome

    async def _begin(self, person: Person) -> Outcome | None:
        """Look at somebody new: what there is to say, or None if this person is not wanted."""
        domain = self.plan.domains.get(person.domain, person.domain)
        outcome = Outcome(f"{person.name}@{person.domain}")
        try:
            account = JID.of(person.name, domain)
        except ValueError as error:
            return (
                None if self.plan.only else _without(outcome, f"the address is invalid ({error})")
            )
        if self.plan.only and account.bare not in self.plan.only:
            return None
        outcome.account = account.bare
        if account.domain not in self.plan.served:
            return _without(
                outcome,
                f"this server does not serve {account.domain}; rename the domain with --domain",
            )
        if is_guest(account.bare):
            return _without(outcome, "names of this form are reserved for guests")
        known = self._under_way.setdefault(account.bare, outcome)
        if known is not outcome or hash(account.bare) in self._replaced:
            return _without(
                outcome, f"{known.name} already has the address {account.bare}: rename one"
            )
        outcome.taken = await self._has_room(account, outcome)
        if not outcome.taken:
            del self._under_way[account.bare]
        return outcome

    async def _has_room(self, account: JID, outcome: Outcome) -> bool:
        """Whether the account may be made, where nothing else is or stays."""
        store = self.store
        if not await store.accounts.exists(account.bare):
            return True
        half_done = await store.arrivals.is_arriving(account.bare)
        if not half_done and not self.plan.replace:
            outcome.notes.append("the account already exists, and was not changed")
            return False
        if not self.plan.is_dry_run:
            if not half_done:
                self._replaced.add(hash(account.bare))
            await self.accounts.clear(account)
        return True

    async def _add(self, outcome: Outcome, person: Person, *, is_new: bool) -> None:
        account = JID.prepared(outcome.account)
        keys = await self._keys(person, outcome)
        contacts = self._contacts(person, outcome)
        messages = self._messages(account, person, outcome)
        outcome.has_password |= bool(keys)
        outcome.disabled |= person.disabled
        outcome.disabled_until = outcome.disabled_until or _moment(person.disabled_until)
        if self.plan.is_dry_run:
            self._look_at(person, outcome)
            return
        created, last_seen = (_moment(each) for each in (person.created, person.last_seen))
        arrival = Arrival(account.bare, keys, contacts, messages, created)
        try:
            await self.store.arrivals.add(arrival, is_new=is_new)
        except (AccountExists, NoSuchAccount):
            outcome.taken = False
            outcome.notes.append("someone created or removed this account in the meantime")
            return
        if last_seen is not None:
            last = LastPresence(last_seen, person.status)
            await self.store.presences.save_last_presence(account.bare, last)
        for tree in person.data:
            await self._hand_on(account, tree, outcome)

    async def _keys(self, person: Person, outcome: Outcome) -> list[ScramKeys]:
        if person.password is None:
            return list({key.hash: key for key in person.keys}.values())
        try:
            return list(await self.accounts.passwords.keys(person.password))
        except ValueError as error:
            outcome.notes.append(f"password: {error}")
            return []

    def _contacts(self, person: Person, outcome: Outcome) -> list[RosterItem]:
        """The contacts with their addresses prepared, each once."""
        found: dict[str, RosterItem] = {}
        for item in person.contacts:
            try:
                jid = JID.parse(renamed(item.jid, self.plan.domains)).bare
            except ValueError as error:
                outcome.notes.append(f"contact {item.jid!r}: {error}")
                continue
            if jid in found:
                outcome.notes.append(f"contact {item.jid!r}: {jid} is already a contact")
            elif jid != outcome.account:
                found[jid] = _prepared(item, jid, outcome.account)
        return list(found.values())

    def _messages(
        self, account: JID, person: Person, outcome: Outcome
    ) -> list[tuple[bytes, float | None]]:
        """The messages that wait, as they are kept, and when each came."""
        found = []
        for tree in person.messages:
            rename_all(tree, self.plan.domains)
            put_names_right(tree, ns.CLIENT, bare_is_content=False)
            try:
                message = Message.from_tree(tree, JID.parse(tree.get("from") or account.domain))
                stamps = [each.get("stamp", "") for each in tree.findall(_DELAY)]
                came = microseconds_of(stamps[-1]) / 1e6 if stamps else None
            except ValueError as error:
                outcome.notes.append(f"an offline message: {error}")
                continue
            if message.to is None or message.to.bare != account.bare:
                message = message.addressed(account)
            found.append((without_archive_ids(message, account.bare).wire(), came))
        return found

    async def _hand_on(self, account: JID, tree: Tree, outcome: Outcome) -> None:
        """Give an element to whoever keeps what it has."""
        keeper, name = self.user_data.of(tree.tag), _name(tree)
        if keeper is None:
            outcome.notes.append(f"{name}: no loaded plugin stores this")
            return
        rename_all(tree, self.plan.domains)
        try:
            outcome.notes += [f"{name}: {each}" for each in await keeper.take(account, tree)]
        except (StanzaError, ValueError, QuotaExceeded) as error:
            text = error.text if isinstance(error, StanzaError) else str(error)
            outcome.notes.append(f"{name}: {text or 'the server cannot store it'}")

    def _look_at(self, person: Person, outcome: Outcome) -> None:
        """Say of which elements nothing would become."""
        for tree in person.data:
            if self.user_data.of(tree.tag) is None:
                outcome.notes.append(f"{_name(tree)}: no loaded plugin stores this")

    async def _finish(self, arrived: list[Outcome]) -> None:
        """Open the accounts that are whole."""
        if not self.plan.is_dry_run:
            await self.store.presences.write()
            finish = self.store.arrivals.finish
            going = [
                finish(each.account, disabled=each.disabled, until=each.disabled_until)
                for each in arrived
            ]
            await _all(going)
        for outcome in arrived:
            self._under_way.pop(outcome.account, None)


def _moment(seconds: float | None) -> float | None:
    """A moment that there is; None instead of any other."""
    return seconds if seconds is not None and 0 <= seconds < MAX_SECONDS else None


def _prepared(item: RosterItem, jid: str, account: str) -> RosterItem:
    """A contact in a state that there is, with its request as it would have come here."""
    request = item.pending_in
    if request is not None:
        tree = read(request)
        put_names_right(tree, ns.CLIENT, bare_is_content=False)
        presence = Presence.from_tree(tree, JID.prepared(jid))
        request = presence.addressed(JID.prepared(account)).wire()
    return RosterItem(
        jid,
        item.name,
        item.groups,
        item.subscription,
        ask=item.ask and item.subscription in ("none", "from"),
        pending_in=request if item.subscription in ("none", "to") else None,
        approved=item.approved and item.subscription in ("none", "to"),
    )


def _without(outcome: Outcome, why: str) -> Outcome:
    outcome.notes.append(why)
    return outcome


async def _all(going: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all of these at once; the first error as it is."""
    try:
        return await gatherResults(map(Deferred.fromCoroutine, going), consumeErrors=True)
    except FirstError as error:
        found = error.subFailure.value
        assert found is not None, "a failure has an error"
        raise found from error


def _name(tree: Tree) -> str:
    return f"{local_name(tree.tag)} ({namespace_of(tree.tag)})"


def _next_parts(people: Iterator[Person]) -> list[Person]:
    """The next parts, until enough are in memory."""
    parts: list[Person] = []
    entries = 0
    for part in people:
        parts.append(part)
        entries += len(part.messages) + sum(map(len, part.data))
        if len(parts) >= PARTS_AT_ONCE or entries >= ENTRIES_AT_ONCE:
            break
    return parts


def _by_person(parts: list[Person]) -> list[list[Person]]:
    """The same, each list of one person."""
    groups: list[list[Person]] = []
    for part in parts:
        if part.begins or not groups:
            groups.append([])
        groups[-1].append(part)
    return groups


__all__ = ["ImportPlan", "Importer", "Outcome"]
