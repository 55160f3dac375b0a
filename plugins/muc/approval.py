"""Forms by which somebody decides about what another one asks for (:xep:`0045`, §8.6, §9.9)."""

from collections.abc import Callable
from math import ceil
from weakref import WeakKeyDictionary

from msgspec import Struct

from xmppd.stanza import Condition, StanzaError, Tree, qname
from xmppd.stanza.form import DATA, values_of
from xmppd.stanza.form_field import FlagField
from xmppd.stanza.phrases import counted

from .room import Room

AGAIN_S = 300.0
"""The time from one request of somebody to their next."""

MAX_OPEN = 100
"""Requests of a room that are remembered; the oldest one is forgotten."""

_FORM = qname(DATA, "x")


def filled_in(message: Tree) -> Tree | None:
    """The form that a message brings filled in; None if it brings none."""
    found = message.find(_FORM)
    return found if found is not None and found.get("type") == "submit" else None


class _Open(Struct):
    """What somebody asks for.

    Attributes:
        asked: When, by the steady clock.
        what: The nick for which it is; None when it was answered.
    """

    asked: float
    what: str | None


class OpenRequests:
    """What people ask of rooms and nobody has answered yet, each by who asks.

    Args:
        seconds: The steady clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self._asked: WeakKeyDictionary[Room, dict[str, _Open]] = WeakKeyDictionary()

    def ask(self, room: Room, who: str, what: str) -> None:
        """Note what somebody asks for.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: they have asked a moment ago.
        """
        asked, now = self._asked.setdefault(room, {}), self.seconds()
        before = asked.get(who)
        if before is not None and now - before.asked < AGAIN_S:
            left = AGAIN_S - (now - before.asked)
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"you have already asked; ask again in {counted(ceil(left), 'second')}",
            )
        asked.pop(who, None)
        while len(asked) >= MAX_OPEN:
            del asked[next(iter(asked))]
        asked[who] = _Open(now, what)

    def answer(self, room: Room, who: str) -> str:
        """What somebody has asked for, which is answered now: the first answer counts.

        Raises:
            StanzaError: ITEM_NOT_FOUND: nothing, or it was answered already.
        """
        found = self._asked.get(room, {}).get(who)
        if found is None or found.what is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "someone has already answered this request")
        what, found.what = found.what, None
        return what


def decision(form: Tree, form_type: str, allow: str, who: str) -> tuple[bool, str]:
    """Whether somebody allows what is asked for, and who it was that has asked.

    Args:
        form: Filled in.
        form_type: Whose form it is.
        allow: The field that says whether it is allowed.
        who: The field that says about whom.

    Raises:
        StanzaError: BAD_REQUEST: the form does not say that.
    """
    values = values_of(form, form_type)
    try:
        is_allowed = FlagField().read(values.get(allow, []))
        (about,) = values.get(who, [])
    except ValueError as error:
        text = f"{allow} must be true or false, and {who} must be one address or nick"
        raise StanzaError(Condition.BAD_REQUEST, text) from error
    return is_allowed, about


__all__ = ["AGAIN_S", "MAX_OPEN", "OpenRequests", "decision", "filled_in"]
