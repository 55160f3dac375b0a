"""XEP-0133: Service Administration. What an administrator does to accounts from a client."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from xmppd.account.accounts import Accounts
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.provider import Passwords
from xmppd.command.ad_hoc import AdHocCommand
from xmppd.plugin.place import Part
from xmppd.roster.roster import item_bytes
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    StanzaError,
    StreamCondition,
    StreamError,
    ns,
    parse,
)
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field, form, result
from xmppd.store.accounts import AccountExists, AccountStore, NoSuchAccount
from xmppd.store.last_presences import PresenceStore

NS = "http://jabber.org/protocol/admin"
MAX_ACCOUNTS_AT_ONCE = 100
MAX_LISTED = 1_000
PAGE = 1_000

Values = dict[str, list[str]]
Change = Callable[[JID], Awaitable[None]]
Run = Callable[[IQ, Values], Awaitable[Element | str]]

ACCOUNT = Field("accountjid", "Account", "jid-single", required=True)
ACCOUNTS = Field("accountjids", "Accounts", "jid-multi", required=True)
SESSIONS = Field("accountjids", "Accounts, or sessions of theirs", "jid-multi", required=True)
PASSWORD = Field("password", "Password", "text-private", required=True)
AGAIN = Field("password-verify", "Password again", "text-private", required=True)
CHOICES = ("25", "50", "75", "100", "150", "200", "none")
MAX_ITEMS = Field("max_items", "How many at most", "list-single", options=CHOICES)


@dataclass(frozen=True)
class Administration:
    """The commands (§4); passwords come in and are never shown, for nobody keeps them."""

    registered: AccountStore
    presences: PresenceStore
    accounts: Accounts
    passwords: Passwords
    attempts: AttemptLimiter
    sessions: SessionManager
    rosters: RosterManager
    routing_table: RoutingTable

    # -- one account, or some -------------------------------------------------------------------

    async def add_user(self, iq: IQ, values: Values) -> str:
        """§4.1."""
        account = self._local(values["accountjid"][0])
        password = values["password"][0]
        if password != values["password-verify"][0]:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "the passwords differ")
        try:
            async with self.attempts.derivation(account.bare, self._address(iq)):
                await self.passwords.create(account.bare, password)
        except AccountExists as error:
            raise StanzaError(Condition.CONFLICT, "there is such an account already") from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        return f"{account} was added."

    async def delete_user(self, iq: IQ, values: Values) -> str:
        """§4.2."""
        return await self._each_but_own(iq, values, self.accounts.remove, "deleted")

    async def disable_user(self, iq: IQ, values: Values) -> str:
        """§4.3."""
        return await self._each_but_own(iq, values, self.accounts.disable, "disabled")

    async def reenable_user(self, iq: IQ, values: Values) -> str:
        """§4.4; failed attempts are forgotten too."""
        return await self._each(await self._accounts(values), self._enable, "enabled")

    async def _enable(self, account: JID) -> None:
        await self.accounts.enable(account)
        await self.attempts.unlock(account.bare)

    async def end_user_session(self, iq: IQ, values: Values) -> str:
        """§4.5: of a bare JID all sessions, of a full JID that one."""
        sessions = self.sessions
        error = StreamError(StreamCondition.NOT_AUTHORIZED, "an administrator ended this session")
        ended = 0
        for text in bounded(values["accountjids"]):
            jid = JID.parse(text)
            session = sessions.session(jid)
            if jid.is_bare:
                ended += sessions.close_all(jid.bare, error)
            elif session is not None and session.bound:
                session.connection.close(error)
                ended += 1
        return f"{ended} sessions ended."

    async def change_user_password(self, iq: IQ, values: Values) -> str:
        """§4.7."""
        account = self._local(values["accountjid"][0])
        asker = self.sessions.session(iq.sender)
        try:
            await self.accounts.set_password(
                account, values["password"][0], spare=asker, address=self._address(iq)
            )
        except NoSuchAccount as error:
            raise unknown(account) from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        return f"The password of {account} was changed."

    def _address(self, iq: IQ) -> str:
        """Where the administrator's client is; empty if it is none of ours."""
        asker = self.sessions.session(iq.sender)
        return "" if asker is None else asker.connection.address

    async def get_user_roster(self, iq: IQ, values: Values) -> Element:
        """§4.8: the form, and in it a roster for each account, in their order."""
        accounts = await self._accounts(values)
        answer = result(NS, Field("accountjids", type="jid-multi", values=texts(accounts)))
        for account in accounts:
            roster = await self.rosters.roster(account)
            items = b"".join(item_bytes(item) for item in roster.shown())
            answer.append(parse(b"<query xmlns='%b'>%b</query>" % (ns.ROSTER.encode(), items)))
        return answer

    async def get_user_lastlogin(self, iq: IQ, values: Values) -> Element:
        """§4.9: since when the account is here, or when it left; one value for each account."""
        accounts = await self._accounts(values)
        left = await self.presences.last_presence(texts(accounts))
        here = self.sessions.local_sessions
        times = []
        for account in accounts:
            since = [session.since for session in here(account.bare)]
            seen = [left[account.bare].seen] if account.bare in left else []
            times.append(date_time(max(since or seen)) if since or seen else "")
        return result(
            NS,
            Field("accountjids", type="jid-multi", values=texts(accounts)),
            Field("lastlogin", "Last login", "text-multi", values=tuple(times)),
        )

    async def user_stats(self, iq: IQ, values: Values) -> Element:
        """§4.10: what is known without measuring for it."""
        (account,) = await self._existing([self._local(values["accountjid"][0])])
        sessions = list(self.sessions.local_sessions(account.bare))
        roster = await self.rosters.roster(account)
        addresses = tuple(sorted({session.connection.address for session in sessions}))
        resources = tuple(sorted(session.jid.resource or "" for session in sessions))
        return result(
            NS,
            Field("accountjid", type="jid-single", values=(account.bare,)),
            Field("ipaddresses", "IP addresses", "text-multi", values=addresses),
            Field("rostersize", "Contacts", values=(str(sum(1 for _ in roster.shown())),)),
            Field("onlineresources", "Resources online", "text-multi", values=resources),
        )

    # -- how many, and who ----------------------------------------------------------------------

    async def registered_users_num(self, iq: IQ, values: Values) -> Element:
        """§4.13."""
        number = await self.registered.count_accounts(service(iq))
        return count("registeredusersnum", "Registered users", number)

    async def disabled_users_num(self, iq: IQ, values: Values) -> Element:
        """§4.14."""
        number = len(await self._disabled(service(iq)))
        return count("disabledusersnum", "Disabled users", number)

    async def online_users_num(self, iq: IQ, values: Values) -> Element:
        """§4.15: accounts with a bound resource, available or not."""
        number = sum(1 for _ in self._online(iq))
        return count("onlineusersnum", "Online users", number)

    async def active_users_num(self, iq: IQ, values: Values) -> Element:
        """§4.16: available with a resource that is not away."""
        number = sum(self._active(bare) for bare in self._online(iq))
        return count("activeusersnum", "Active users", number)

    async def idle_users_num(self, iq: IQ, values: Values) -> Element:
        """§4.17: online, but not active."""
        number = sum(not self._active(bare) for bare in self._online(iq))
        return count("idleusersnum", "Idle users", number)

    async def registered_users_list(self, iq: IQ, values: Values) -> Element:
        """§4.18: in order of their names."""
        infos = await self.registered.accounts(service(iq), limit=limit_of(values))
        found = tuple(info.account for info in infos)
        return people("registereduserjids", "Registered users", found)

    async def disabled_users_list(self, iq: IQ, values: Values) -> Element:
        """§4.19."""
        found = await self._disabled(service(iq))
        return people("disableduserjids", "Disabled users", tuple(found[: limit_of(values)]))

    async def online_users_list(self, iq: IQ, values: Values) -> Element:
        """§4.20."""
        found = sorted(self._online(iq))[: limit_of(values)]
        return people("onlineuserjids", "Online users", tuple(found))

    # -- who is meant ---------------------------------------------------------------------------

    def _local(self, text: str) -> JID:
        """An address that is, or may become, an account here."""
        jid = JID.parse(text)
        if jid.local is None or not jid.is_bare:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "an account is written user@domain")
        if not self.routing_table.is_local(jid):
            raise StanzaError(Condition.ITEM_NOT_FOUND, f"{jid.domain} is not served here")
        return jid

    async def _accounts(self, values: Values) -> list[JID]:
        """The accounts of a form: all of them exist, or nothing is done."""
        named = [self._local(text) for text in bounded(values["accountjids"])]
        return await self._existing(named)

    async def _existing(self, accounts: list[JID]) -> list[JID]:
        for account in accounts:
            if not await self.registered.exists(account.bare):
                raise unknown(account)
        return accounts

    async def _each_but_own(self, iq: IQ, values: Values, change: Change, changed: str) -> str:
        """Change accounts that the administrator can do without."""
        accounts = await self._accounts(values)
        if any(account.bare == iq.sender.bare for account in accounts):
            raise StanzaError(Condition.NOT_ALLOWED, "this would be your own account")
        return await self._each(accounts, change, changed)

    async def _each(self, accounts: list[JID], change: Change, changed: str) -> str:
        for account in accounts:
            try:
                await change(account)
            except NoSuchAccount as error:  # somebody else was quicker
                raise unknown(account) from error
        return f"{listed(accounts)} {changed}."

    async def _disabled(self, domain: str) -> list[str]:
        """The disabled accounts of a domain, found a page at a time."""
        found: list[str] = []
        after = ""
        while infos := await self.registered.accounts(domain, after=after, limit=PAGE):
            found.extend(info.account for info in infos if info.disabled)
            after = infos[-1].account
        return found

    def _online(self, iq: IQ) -> Iterator[str]:
        """Bare JIDs of accounts with a bound resource."""
        end = f"@{service(iq)}"
        return (bare for bare in self.routing_table.users if bare.endswith(end))

    def _active(self, bare: str) -> bool:
        return any(is_active(session) for session in self.routing_table.available(bare))


def is_active(session: Session) -> bool:
    """Whether an available session is not away."""
    presence = session.presence
    if presence is None or b"show" not in presence.payload.raw:  # mostly: nothing to parse
        return presence is not None
    active = presence.show not in ("away", "xa")
    presence.payload.forget_trees()
    return active


def service(iq: IQ) -> str:
    """The domain that is asked."""
    return (iq.to or iq.sender).domain


def bounded(values: list[str]) -> list[str]:
    """Each address once, if they are not too many."""
    once = list(dict.fromkeys(values))
    if len(once) > MAX_ACCOUNTS_AT_ONCE:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"at most {MAX_ACCOUNTS_AT_ONCE} accounts at a time"
        )
    return once


def limit_of(values: Values) -> int:
    """How many to list: as chosen, and never more than :data:`MAX_LISTED`."""
    chosen = values["max_items"]
    return int(chosen[0]) if chosen and chosen[0] != "none" else MAX_LISTED


def unknown(account: JID) -> StanzaError:
    """There is no such account."""
    return StanzaError(Condition.ITEM_NOT_FOUND, f"there is no account {account}")


def texts(accounts: list[JID]) -> tuple[str, ...]:
    """The accounts as they are written."""
    return tuple(account.bare for account in accounts)


def listed(accounts: list[JID]) -> str:
    """The accounts in a sentence, up to the verb."""
    return ", ".join(texts(accounts)) + (" was" if len(accounts) == 1 else " were")


def count(var: str, label: str, number: int) -> Element:
    """A number as a result."""
    return result(NS, Field(var, label, values=(str(number),)))


def people(var: str, label: str, bares: tuple[str, ...]) -> Element:
    """Bare JIDs as a result."""
    return result(NS, Field(var, label, "jid-multi", values=bares))


def command(node: str, name: str, run: Run, *fields: Field) -> AdHocCommand:
    """One command; without fields it needs no form."""

    def asked(iq: IQ) -> Element:
        return form(NS, name, "Fill out this form.", *fields)

    return AdHocCommand(f"{NS}#{node}", name, run, form=asked if fields else None)


def plug(
    registered: AccountStore,
    presences: PresenceStore,
    accounts: Accounts,
    passwords: Passwords,
    attempts: AttemptLimiter,
    sessions: SessionManager,
    rosters: RosterManager,
    routing_table: RoutingTable,
) -> list[Part]:
    """What this feature is made of."""
    to = Administration(
        registered, presences, accounts, passwords, attempts, sessions, rosters, routing_table
    )
    return [
        command("add-user", "Add a user", to.add_user, ACCOUNT, PASSWORD, AGAIN),
        command("delete-user", "Delete users", to.delete_user, ACCOUNTS),
        command("disable-user", "Disable users", to.disable_user, ACCOUNTS),
        command("reenable-user", "Re-enable users", to.reenable_user, ACCOUNTS),
        command("end-user-session", "End sessions of users", to.end_user_session, SESSIONS),
        command(
            "change-user-password", "Change a user's password", to.change_user_password,
            ACCOUNT, PASSWORD,
        ),
        command("get-user-roster", "Get rosters of users", to.get_user_roster, ACCOUNTS),
        command("get-user-lastlogin", "Get last logins of users", to.get_user_lastlogin, ACCOUNTS),
        command("user-stats", "Get statistics of a user", to.user_stats, ACCOUNT),
        command("get-registered-users-num", "Count registered users", to.registered_users_num),
        command("get-disabled-users-num", "Count disabled users", to.disabled_users_num),
        command("get-online-users-num", "Count online users", to.online_users_num),
        command("get-active-users-num", "Count active users", to.active_users_num),
        command("get-idle-users-num", "Count idle users", to.idle_users_num),
        command(
            "get-registered-users-list", "List registered users", to.registered_users_list,
            MAX_ITEMS,
        ),
        command(
            "get-disabled-users-list", "List disabled users", to.disabled_users_list, MAX_ITEMS
        ),
        command("get-online-users-list", "List online users", to.online_users_list, MAX_ITEMS),
    ]  # fmt: skip
