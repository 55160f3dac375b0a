"""XEP-0133: Service Administration. Administration of accounts from a client.

The commands are those of the server; here are the names of this specification for them, and the
fields of their forms.
"""

from collections.abc import Callable, Mapping
from typing import Any

from xmppd.command.command_form import CommandForm, Filled
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply, Row, columns_of
from xmppd.plugin.place import Part
from xmppd.roster.roster import item_bytes
from xmppd.stanza import Element, ns, parse
from xmppd.stanza.form import Field, result
from xmppd.store.rosters import RosterItem

NS = "http://jabber.org/protocol/admin"
MAX_LISTED = 1_000

Told = Callable[[Filled], Mapping[str, object]]
Answer = Callable[[Filled, list[Reply]], Element]

ACCOUNT = Field("accountjid", "Account", "jid-single", required=True)
ACCOUNTS = Field("accountjids", "Accounts", "jid-multi", required=True)
SESSIONS = Field("accountjids", "Accounts or their sessions", "jid-multi", required=True)
PASSWORD = Field("password", "Password", "text-private", required=True)
AGAIN = Field("password-verify", "Password again", "text-private", required=True)
ANNOUNCEMENT = Field("announcement", "Announcement", "text-multi", required=True)
CHOICES = ("25", "50", "75", "100", "150", "200", "none")
MAX_ITEMS = Field("max_items", "Maximum number", "list-single", options=CHOICES)


# -- arguments of commands --------------------------------------------------------------------


def by_names(**names: str) -> Told:
    """Each argument is the value of the field with that name; several, if it may have several."""

    def told(filled: Filled) -> Mapping[str, object]:
        values = {argument: filled.values[var] for argument, var in names.items()}
        return {
            argument: value if names[argument].endswith("s") else value[0]
            for argument, value in values.items()
        }

    return told


def new_account(filled: Filled) -> Mapping[str, object]:
    """§4.1: the password is typed twice."""
    if filled.values["password"] != filled.values["password-verify"]:
        raise Refused("the passwords differ")
    return BY_PASSWORD(filled)


def announced(filled: Filled) -> Mapping[str, object]:
    """§4.23: the lines of an announcement, for those at the domain asked."""
    return {"text": "\n".join(filled.values["announcement"]), "domain": filled.domain}


def in_state(state: str) -> Told:
    """The arguments for a list: the domain asked, and the number chosen, at most
    :data:`MAX_LISTED`.
    """

    def told(filled: Filled) -> Mapping[str, object]:
        told = {"domain": filled.domain, "state": state}
        if MAX_ITEMS.var in filled.values:
            chosen = "".join(filled.values[MAX_ITEMS.var])
            told["rows"] = chosen if chosen.isdecimal() else str(MAX_LISTED)
        return told

    return told


# -- their answers ----------------------------------------------------------------------------


def rosters(filled: Filled, replies: list[Reply]) -> Element:
    """§4.8: the form, and in it a roster for each account, in their order."""
    accounts = tuple(dict.fromkeys(filled.values["accountjids"]))
    made = result(NS, Field("accountjids", type="jid-multi", values=accounts))
    for account in accounts:
        items = b"".join(contact(row) for row in rows(replies) if row["account"] == account)
        made.append(parse(b"<query xmlns='%b'>%b</query>" % (ns.ROSTER.encode(), items)))
    return made


def contact(row: Mapping[str, Any]) -> bytes:
    """A contact as in a roster."""
    return item_bytes(
        RosterItem(
            jid=row["contact"],
            name=row["name"],
            groups=tuple(row["groups"]),
            subscription=row["subscription"],
            ask=row["ask"],
            approved=row["approved"],
        )
    )


def last_logins(filled: Filled, replies: list[Reply]) -> Element:
    """§4.9: since when the account is here, or when it left; one value for each account."""
    found = rows(replies)
    return result(
        NS,
        Field("accountjids", type="jid-multi", values=texts(found, "account")),
        Field("lastlogin", "Last login", "text-multi", values=texts(found, "last_login")),
    )


def statistics(filled: Filled, replies: list[Reply]) -> Element:
    """§4.10: the data that need no measuring."""
    found = rows(replies)
    (row,) = found
    return result(
        NS,
        Field("accountjid", type="jid-single", values=texts(found, "account")),
        Field("ipaddresses", "IP addresses", "text-multi", values=tuple(row["addresses"])),
        Field("rostersize", "Contacts", values=texts(found, "contacts")),
        Field("onlineresources", "Resources online", "text-multi", values=tuple(row["resources"])),
    )


def number(var: str, label: str) -> Answer:
    """The number of them."""

    def answer(filled: Filled, replies: list[Reply]) -> Element:
        return result(NS, Field(var, label, values=texts(rows(replies), "accounts")))

    return answer


def people(var: str, label: str) -> Answer:
    """Their addresses."""

    def answer(filled: Filled, replies: list[Reply]) -> Element:
        return result(NS, Field(var, label, "jid-multi", values=texts(rows(replies), "account")))

    return answer


def rows(replies: list[Reply]) -> list[dict[str, Any]]:
    """The rows of an answer, by column."""
    return [columns_of(reply) for reply in replies if isinstance(reply, Row)]


def texts(found: list[dict[str, Any]], column: str) -> tuple[str, ...]:
    """A column as texts; an unknown value is an empty text."""
    return tuple("" if row[column] is None else str(row[column]) for row in found)


# -- the table ----------------------------------------------------------------------------------


def node(
    name: str,
    title: str,
    command: str,
    told: Told,
    *fields: Field,
    answer: Answer | None = None,
    whole: bool = False,
) -> CommandForm:
    """One row of the table."""
    return CommandForm(
        f"{NS}#{name}", title, command, NS, told, fields, answer, admins_only=True, whole=whole
    )


def listing(states: str, var: str, command: str) -> CommandForm:
    """§4.18 to §4.20: the accounts in a state."""
    label = f"{states.capitalize()} users"
    return node(
        f"get-{states}-users-list", f"List {states} users", command, in_state(states), MAX_ITEMS,
        answer=people(var, label),
    )  # fmt: skip


def counting(state: str) -> CommandForm:
    """§4.13 to §4.17: the number of accounts in a state."""
    answer = number(f"{state}usersnum", f"{state.capitalize()} users")
    return node(
        f"get-{state}-users-num", f"Count {state} users", "user count", in_state(state),
        answer=answer,
    )  # fmt: skip


BY_ACCOUNT, BY_ACCOUNTS = by_names(account="accountjid"), by_names(account="accountjids")
BY_PASSWORD = by_names(account="accountjid", password="password")  # noqa: S106  # a field's name

FORMS: tuple[CommandForm, ...] = (
    node(
        "add-user", "Add a user", "user add", new_account, ACCOUNT, PASSWORD, AGAIN, whole=True
    ),
    node("delete-user", "Delete users", "user delete", BY_ACCOUNTS, ACCOUNTS, whole=True),
    node("disable-user", "Disable users", "user disable", BY_ACCOUNTS, ACCOUNTS, whole=True),
    node("reenable-user", "Re-enable users", "user enable", BY_ACCOUNTS, ACCOUNTS, whole=True),
    node(
        "end-user-session", "End sessions of users", "session end", by_names(jid="accountjids"),
        SESSIONS,
    ),
    node(
        "change-user-password", "Change a user's password", "user password", BY_PASSWORD, ACCOUNT,
        PASSWORD, whole=True,
    ),
    node(
        "get-user-roster", "Get rosters of users", "roster show", BY_ACCOUNTS, ACCOUNTS,
        answer=rosters,
    ),
    node(
        "get-user-lastlogin", "Get last logins of users", "user show", BY_ACCOUNTS, ACCOUNTS,
        answer=last_logins,
    ),
    node(
        "user-stats", "Get statistics of a user", "user show", BY_ACCOUNT, ACCOUNT,
        answer=statistics,
    ),
    node("announce", "Send an announcement to online users", "announce", announced, ANNOUNCEMENT),
    *map(counting, ("registered", "disabled", "online", "active", "idle")),
    listing("registered", "registereduserjids", "user list"),
    listing("disabled", "disableduserjids", "user list"),
    listing("online", "onlineuserjids", "user online"),
)  # fmt: skip


def plug() -> list[Part]:
    """The parts of this feature."""
    return list(FORMS)
