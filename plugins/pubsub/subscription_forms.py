"""The forms about subscriptions: their options, and what owners answer who are asked to approve."""

from collections.abc import Collection
from typing import NamedTuple

from msgspec.structs import replace

from xmppd.stanza import JID, Condition, Element, StanzaError, qname
from xmppd.stanza.date_time import date_time, microseconds_of
from xmppd.stanza.form import DATA, Field, form

from .config import PREFIX, FlagField, submitted
from .messages import Approval
from .names import SUBSCRIBE_AUTHORIZATION, SUBSCRIBE_OPTIONS, refused, unsupported
from .state import Follow, FollowOptions

SHOW_VALUES = ("away", "chat", "dnd", "online", "xa")


class WantedOptions(NamedTuple):
    """What a form says of a subscription.

    Attributes:
        changes: To its options.
        expires: When it ends, in seconds since 1970; None for never.
    """

    changes: dict[str, object]
    expires: float | None = None

    def applied(self, options: FollowOptions) -> FollowOptions:
        """The options with the changes; what the form does not say stays."""
        return replace(options, **self.changes)


class SubscriptionForm:
    """The form of a subscription's options (NO-13).

    Args:
        known: Those beside ``deliver`` and ``expire`` that the host does, by their names.
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self.known = known

    def read(self, filled: Element | None) -> WantedOptions:
        """What a form says; nothing without one.

        Raises:
            StanzaError: A value is none, or of an option that is not there.
        """
        changes: dict[str, object] = {}
        expires: float | None = None
        values_of = {} if filled is None else submitted(filled, SUBSCRIBE_OPTIONS)
        for var, values in values_of.items():
            name = var.removeprefix(PREFIX)
            try:
                if name == "expire":
                    expires = None if values == ["presence"] else _moment(values)
                elif name == "deliver" or (name == "include_body" and name in self.known):
                    changes[name] = FlagField().read(values)
                elif name == "show-values" and name in self.known:
                    changes["show_values"] = _shown(values)
                elif name != "digest" or values not in (["0"], ["false"]):
                    raise unsupported("subscription-options")
            except ValueError as error:
                raise refused(Condition.BAD_REQUEST, "invalid-options", f"{var} {error}") from error
        return WantedOptions(changes, expires)

    def form(self, follow: Follow) -> Element:
        """The form, with the present values."""
        options = follow.options
        expires = () if follow.expires is None else (date_time(follow.expires),)
        lines = {
            "deliver": ("Get notifications?", "boolean", (), FlagField().write(options.deliver)),
            "expire": ("Until when", "text-single", (), expires),
            "include_body": (
                "Include the text?",
                "boolean",
                (),
                FlagField().write(options.include_body),
            ),
            "show-values": (
                "Only with this presence",
                "list-multi",
                SHOW_VALUES,
                options.show_values or SHOW_VALUES,
            ),
        }
        fields = (
            Field(PREFIX + name, label, type, options=choices, values=values)
            for name, (label, type, choices, values) in lines.items()
            if name in ("deliver", "expire", *self.known)
        )
        return form(SUBSCRIBE_OPTIONS, "Options of the subscription", "", *fields)


def _moment(values: list[str]) -> float:
    if len(values) != 1:
        raise ValueError("must be one date and time")
    return microseconds_of(values[0]) / 1_000_000


def _shown(values: list[str]) -> tuple[str, ...]:
    if not set(values) <= set(SHOW_VALUES):
        raise ValueError(f"must be among {', '.join(SHOW_VALUES)}")
    found = tuple(sorted(set(values)))
    return () if found == SHOW_VALUES else found


_X = qname(DATA, "x")


def answer_in(message: Element, host: JID, who: JID) -> Approval | None:
    """What the form in a message says to who wants to subscribe; None if there is none that is
    filled in.

    Raises:
        StanzaError: BAD_REQUEST: it is another form, or does not say it.
    """
    filled = next((each for each in message if each.tag == _X), None)
    if filled is None or filled.get("type") != "submit":
        return None
    values = submitted(filled, SUBSCRIBE_AUTHORIZATION)
    try:
        node, jid = values[f"{PREFIX}node"][0], JID.parse(values[f"{PREFIX}subscriber_jid"][0])
        allowed = FlagField().read(values[f"{PREFIX}allow"])
    except (KeyError, IndexError, ValueError) as error:
        raise StanzaError(Condition.BAD_REQUEST, f"the form lacks {error}") from error
    return Approval(host.full, node, who.full, jid.full, allowed)


__all__ = ["SubscriptionForm", "WantedOptions", "answer_in"]
