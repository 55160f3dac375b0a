"""Decisions about messages: the table of :rfc:`6121#section-8.5.4`, and the row that applies.

The table has a row for each state of an account, for its bare JID and for a full JID without a
session, and a column for each type of message. RFC 6121 leaves some cells to the server; ours says
what this one does there. Rows that the RFC does not have are about lists that deny the sender
(:xep:`0016`), about messages that are not kept, and about addresses that are not an account's.
"""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from msgspec import Struct

from xmppd.message.worth import fate
from xmppd.session.session import Session
from xmppd.stanza import Condition, Message, StanzaError
from xmppd.stanza.fate import OfflineFate

KINDS = ("normal", "chat", "groupchat", "headline", "error")
"""Types of message; one that is written otherwise is a normal one (:rfc:`6121#section-5.2.2`)."""


class Cell(Enum):
    """A cell of the table; its value is the RFC's letter, where it has one."""

    DELIVERED = "D"
    TO_MOST_AVAILABLE = "M"
    TO_ALL = "A"
    KEPT = "O"
    BOUNCED = "E"
    DROPPED = "S"
    TO_ADMINS = "to each administrator"
    HANDED_ON = "to the route of another domain, or to the node that decides"


class DecisionRow(Struct, frozen=True, eq=False):
    """A row of the table.

    Attributes:
        says: The state that it is about, in words.
        cells: The cell for each type of message.
        tells: Whether a refusal by it says that a resource is not here, which is not for everybody
            to know (MR-10).
    """

    says: str
    cells: dict[str, Cell]
    tells: bool = False


class Rows(NamedTuple):
    """The rows for one kind of address.

    Attributes:
        no_account: There is no such account.
        denied: No resource is here, and the account's default list denies the sender.
        nobody: No resource is available.
        negative: Some are, all with a negative priority.
        one: One has a priority that is not negative, and lets the sender in.
        several: So have several.
        unwanted: Some have such a priority, and their lists deny the sender.
    """

    no_account: DecisionRow
    denied: DecisionRow
    nobody: DecisionRow
    negative: DecisionRow
    one: DecisionRow
    several: DecisionRow
    unwanted: DecisionRow


def _row(says: str, *cells: Cell, tells: bool = False) -> DecisionRow:
    return DecisionRow(says, dict(zip(KINDS, cells, strict=True)), tells)


_GONE = "to a missing resource of an account"
_D, _M, _A = Cell.DELIVERED, Cell.TO_MOST_AVAILABLE, Cell.TO_ALL
_O, _E, _S = Cell.KEPT, Cell.BOUNCED, Cell.DROPPED

# The columns are those of KINDS: normal, chat, groupchat, headline, error.
# fmt: off
BARE = Rows(
    _row("to an account that does not exist",                     _E, _E, _E, _S, _S),
    _row("to an account that denies its sender",                  _E, _E, _E, _S, _S),
    _row("to an account without an available resource",           _O, _O, _E, _S, _S),
    _row("to an account with negative priorities only",           _O, _O, _E, _S, _S),
    _row("to an account with one resource that wants it",         _D, _D, _E, _D, _S),
    _row("to an account with several resources that want it",     _M, _M, _E, _A, _S),
    _row("to an account whose resources deny its sender",         _E, _E, _E, _S, _S),
)
NO_MATCH = Rows(
    _row(f"{_GONE} that does not exist",                  _E, _E, _E, _S, _S),
    _row(f"{_GONE} that denies its sender",               _E, _E, _E, _S, _S),
    _row(f"{_GONE} without an available one",             _O, _O, _E, _S, _S, tells=True),
    _row(f"{_GONE} with negative priorities only",        _O, _O, _E, _S, _S, tells=True),
    _row(f"{_GONE} where another resource wants it",      _E, _D, _E, _S, _S, tells=True),
    _row(f"{_GONE} where several other resources want it", _E, _M, _E, _S, _S, tells=True),
    _row(f"{_GONE} whose other resources deny its sender", _E, _E, _E, _S, _S),
)
MATCH = _row("to a resource that is connected",                   _D, _D, _D, _D, _D)
MATCH_UNWANTED = _row("to a resource that denies its sender",     _E, _E, _E, _S, _S)
NOTHING_TO_KEEP = _row("to an offline account, without anything to store", _S, _S, _E, _S, _S)
NOT_TO_BE_KEPT = _row("to an offline account, not to be stored",  _E, _E, _E, _S, _S, tells=True)
UNTOLD = _row("to an absent resource, from a sender who may not see its presence", *(_S,) * 5)
NO_ROOM = _row("to an account that may store no more",            _E, _E, _E, _S, _S)
SERVER = _row("to the server, or a resource of it",               _E, _E, _E, _E, _S)
ADMINS = _row("to the server and its administrators",             *(Cell.TO_ADMINS,) * 4, _S)
ELSEWHERE = _row("to another domain",                             *(Cell.HANDED_ON,) * 5)
ANOTHER_NODE = _row("to an account with sessions on another node", *(Cell.HANDED_ON,) * 5)
# fmt: on


class Decision(Struct, frozen=True):
    """The decision about a message.

    Attributes:
        cell: Its cell in the table.
        row: The row of the table that applies.
        sessions: The sessions here that get it.
        text: The text of the error, if it is bounced.
    """

    cell: Cell
    row: DecisionRow
    sessions: tuple[Session, ...] = ()
    text: str | None = None

    @property
    def bounced(self) -> bool:
        """Whether it comes back to its sender."""
        return self.cell is _E

    def refusal(self) -> StanzaError:
        """The error it is bounced with: a new one each time, since it takes a traceback when
        raised.
        """
        return StanzaError(Condition.SERVICE_UNAVAILABLE, self.text)


class KnownAccount(NamedTuple):
    """An account as the store knows it.

    Attributes:
        exists: Whether there is one.
        denies: Whether its default list denies the sender.
    """

    exists: bool
    denies: bool


def decide(
    message: Message,
    named: Session | None,
    available: Sequence[Session],
    account: KnownAccount | None = None,
) -> Decision:
    """The decision about a message to an account of ours.

    Args:
        message: Addressed.
        named: The session that has the address, and has not ended; None if it is a bare JID, or
            there is none.
        available: The account's available sessions.
        account: As the store knows it. None if that was not asked, since that costs more: then
            a message is kept if there is such an account, and nothing in the message forbids it.
    """
    if named is not None:
        if named.privacy is None or named.privacy.lets_in(message):
            return Decision(_D, MATCH, (named,))
        return decided(message, MATCH_UNWANTED)
    rows = BARE if message.to is None or message.to.resource is None else NO_MATCH
    wanting, is_unwanted = [], False
    for session in available:
        if session.priority >= 0 and not session.closed:
            if session.privacy is None or session.privacy.lets_in(message):
                wanting.append(session)
            else:
                is_unwanted = True
    if len(wanting) == 1:
        row = rows.one
        if row.cells.get(message.type or "normal") is _D:
            return Decision(_D, row, (wanting[0],))
        return decided(message, row, wanting)
    if wanting:
        return decided(message, rows.several, wanting)
    if is_unwanted:
        return decided(message, rows.unwanted)
    decision = decided(message, rows.negative if available else rows.nobody)
    return decision if account is None else settle(decision, message, account)


def settle(decision: Decision, message: Message, account: KnownAccount) -> Decision:
    """The decision about a message that would be kept, which depends on the account."""
    rows = BARE if message.to is None or message.to.resource is None else NO_MATCH
    if not account.exists:
        return decided(message, rows.no_account)
    if account.denies:
        return decided(message, rows.denied)
    if decision.cell is not _O:
        return decision
    offline = fate(message).offline
    if offline is OfflineFate.DROPPED:
        return decided(message, NOTHING_TO_KEEP)
    if offline is OfflineFate.REFUSED:
        return decided(
            message, NOT_TO_BE_KEPT, text="the message is not meant to be stored"
        )  # OM-3
    return decision


def decided(
    message: Message,
    row: DecisionRow,
    wanting: list[Session] | None = None,
    text: str | None = None,
) -> Decision:
    """The decision about a message by a row of the table.

    Args:
        message: Addressed.
        row: The one that applies.
        wanting: The sessions that want it.
        text: Of the error, if it is bounced.
    """
    cell = row.cells.get(message.type or "normal") or row.cells["normal"]
    if cell is _E:
        return Decision(_E, row, (), text)
    if wanting is None or cell is _S:
        return Decision(cell, row)
    if cell is _M:
        wanting = most_available(wanting)
    return Decision(cell, row, tuple(wanting))


def most_available(sessions: list[Session]) -> list[Session]:
    """The sessions with the highest priority (RT-17, RT-20)."""
    highest = max(session.priority for session in sessions)
    return [session for session in sessions if session.priority == highest]
