"""The subscription states of RFC 6121 Appendix A, as a table.

Nine states, four stimuli, two directions: each cell holds the next state and whether the stanza
goes on (to the contact, if the user sent it; to the user, if the contact did).
"""

from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from xmppd.store.rosters import RosterItem

SUBSCRIBED = ("from", "both")
"""Subscriptions by which the contact sees the owner."""

SUBSCRIBED_TO = ("to", "both")
"""Subscriptions by which the owner sees the contact."""


class State(Enum):
    """A subscription as RFC 6121 §A.1 names it: (subscription, pending out, pending in)."""

    NONE = "none", False, False
    NONE_OUT = "none", True, False
    NONE_IN = "none", False, True
    NONE_OUT_IN = "none", True, True
    TO = "to", False, False
    TO_IN = "to", False, True
    FROM = "from", False, False
    FROM_OUT = "from", True, False
    BOTH = "both", False, False


class Move(NamedTuple):
    """The transition that a stimulus makes."""

    state: State
    passes: bool


_S = State
_STAYS, _GOES = False, True

# fmt: off
SENT: dict[str, dict[State, Move]] = {
    "subscribe": {                                                      # §A.2.1
        _S.NONE: Move(_S.NONE_OUT, _GOES), _S.NONE_OUT: Move(_S.NONE_OUT, _GOES),
        _S.NONE_IN: Move(_S.NONE_OUT_IN, _GOES), _S.NONE_OUT_IN: Move(_S.NONE_OUT_IN, _GOES),
        _S.TO: Move(_S.TO, _GOES), _S.TO_IN: Move(_S.TO_IN, _GOES),
        _S.FROM: Move(_S.FROM_OUT, _GOES), _S.FROM_OUT: Move(_S.FROM_OUT, _GOES),
        _S.BOTH: Move(_S.BOTH, _GOES),
    },
    "unsubscribe": {                                                    # §A.2.2
        _S.NONE: Move(_S.NONE, _GOES), _S.NONE_OUT: Move(_S.NONE, _GOES),
        _S.NONE_IN: Move(_S.NONE_IN, _GOES), _S.NONE_OUT_IN: Move(_S.NONE_IN, _GOES),
        _S.TO: Move(_S.NONE, _GOES), _S.TO_IN: Move(_S.NONE_IN, _GOES),
        _S.FROM: Move(_S.FROM, _GOES), _S.FROM_OUT: Move(_S.FROM, _GOES),
        _S.BOTH: Move(_S.FROM, _GOES),
    },
    "subscribed": {                                                     # §A.2.3
        _S.NONE: Move(_S.NONE, _STAYS), _S.NONE_OUT: Move(_S.NONE_OUT, _STAYS),
        _S.NONE_IN: Move(_S.FROM, _GOES), _S.NONE_OUT_IN: Move(_S.FROM_OUT, _GOES),
        _S.TO: Move(_S.TO, _STAYS), _S.TO_IN: Move(_S.BOTH, _GOES),
        _S.FROM: Move(_S.FROM, _STAYS), _S.FROM_OUT: Move(_S.FROM_OUT, _STAYS),
        _S.BOTH: Move(_S.BOTH, _STAYS),
    },
    "unsubscribed": {                                                   # §A.2.4
        _S.NONE: Move(_S.NONE, _STAYS), _S.NONE_OUT: Move(_S.NONE_OUT, _STAYS),
        _S.NONE_IN: Move(_S.NONE, _GOES), _S.NONE_OUT_IN: Move(_S.NONE_OUT, _GOES),
        _S.TO: Move(_S.TO, _STAYS), _S.TO_IN: Move(_S.TO, _GOES),
        _S.FROM: Move(_S.NONE, _GOES), _S.FROM_OUT: Move(_S.NONE_OUT, _GOES),
        _S.BOTH: Move(_S.TO, _GOES),
    },
}
RECEIVED: dict[str, dict[State, Move]] = {
    "subscribe": {                                                      # §A.3.1
        _S.NONE: Move(_S.NONE_IN, _GOES), _S.NONE_OUT: Move(_S.NONE_OUT_IN, _GOES),
        _S.NONE_IN: Move(_S.NONE_IN, _STAYS), _S.NONE_OUT_IN: Move(_S.NONE_OUT_IN, _STAYS),
        _S.TO: Move(_S.TO_IN, _GOES), _S.TO_IN: Move(_S.TO_IN, _STAYS),
        _S.FROM: Move(_S.FROM, _STAYS), _S.FROM_OUT: Move(_S.FROM_OUT, _STAYS),
        _S.BOTH: Move(_S.BOTH, _STAYS),
    },
    "unsubscribe": {                                                    # §A.3.2
        _S.NONE: Move(_S.NONE, _STAYS), _S.NONE_OUT: Move(_S.NONE_OUT, _STAYS),
        _S.NONE_IN: Move(_S.NONE, _GOES), _S.NONE_OUT_IN: Move(_S.NONE_OUT, _GOES),
        _S.TO: Move(_S.TO, _STAYS), _S.TO_IN: Move(_S.TO, _GOES),
        _S.FROM: Move(_S.NONE, _GOES), _S.FROM_OUT: Move(_S.NONE_OUT, _GOES),
        _S.BOTH: Move(_S.TO, _GOES),
    },
    "subscribed": {                                                     # §A.3.3
        _S.NONE: Move(_S.NONE, _STAYS), _S.NONE_OUT: Move(_S.TO, _GOES),
        _S.NONE_IN: Move(_S.NONE_IN, _STAYS), _S.NONE_OUT_IN: Move(_S.TO_IN, _GOES),
        _S.TO: Move(_S.TO, _STAYS), _S.TO_IN: Move(_S.TO_IN, _STAYS),
        _S.FROM: Move(_S.FROM, _STAYS), _S.FROM_OUT: Move(_S.BOTH, _GOES),
        _S.BOTH: Move(_S.BOTH, _STAYS),
    },
    "unsubscribed": {                                                   # §A.3.4
        _S.NONE: Move(_S.NONE, _STAYS), _S.NONE_OUT: Move(_S.NONE, _GOES),
        _S.NONE_IN: Move(_S.NONE_IN, _STAYS), _S.NONE_OUT_IN: Move(_S.NONE_IN, _GOES),
        _S.TO: Move(_S.NONE, _GOES), _S.TO_IN: Move(_S.NONE_IN, _GOES),
        _S.FROM: Move(_S.FROM, _STAYS), _S.FROM_OUT: Move(_S.FROM, _GOES),
        _S.BOTH: Move(_S.FROM, _GOES),
    },
}
# fmt: on


def state_of(item: RosterItem | None) -> State:
    """The state that a roster item is in; no item is None."""
    if item is None:
        return State.NONE
    return State((item.subscription, item.ask, item.pending_in is not None))


def in_state(item: RosterItem, state: State, pending: bytes | None = None) -> RosterItem:
    """The same item in another state.

    Args:
        item: The item before.
        state: Its next state.
        pending: The request, where the state is one that has a new request pending in.
    """
    subscription, ask, pending_in = state.value
    kept = (item.pending_in or pending) if pending_in else None
    return replace(item, subscription=subscription, ask=ask, pending_in=kept)


def was_seen(item: RosterItem | None) -> bool:
    """Whether the contact may see the account, by this item."""
    return item is not None and item.subscription in SUBSCRIBED


def mutual(item: RosterItem) -> RosterItem:
    """The same item once both see each other, and nobody waits for an answer."""
    return replace(item, subscription="both", ask=False, pending_in=None, approved=False)


def farewells(item: RosterItem) -> tuple[str, ...]:
    """The subscription stanzas that leave nothing between an account and this contact."""
    sees = item.subscription in SUBSCRIBED_TO or item.ask
    is_seen = item.subscription in SUBSCRIBED or item.pending_in is not None
    return ("unsubscribe",) * sees + ("unsubscribed",) * is_seen
