"""The forms about subscriptions: their options, and what owners answer who are asked to approve."""

from xmppd.stanza import JID, Condition, Element, StanzaError
from xmppd.stanza.date_time import date_time, microseconds_of
from xmppd.stanza.form import Field, form

from .config import PREFIX, FlagField, submitted
from .messages import Approval
from .names import SUBSCRIBE_AUTHORIZATION, SUBSCRIBE_OPTIONS, refused, unsupported
from .state import Follow


def options_in(filled: Element) -> tuple[bool | None, float | None]:
    """Whether a subscriber wants to be told, and until when, as a form says.

    Raises:
        StanzaError: A value is none, or of an option that is not there (NO-13).
    """
    deliver: bool | None = None
    expires: float | None = None
    for var, values in submitted(filled, SUBSCRIBE_OPTIONS).items():
        try:
            match var:
                case "pubsub#deliver":
                    deliver = FlagField().read(values)
                case "pubsub#expire":
                    expires = None if values == ["presence"] else _moment(values)
                case "pubsub#digest" if values in (["0"], ["false"]):
                    pass
                case _:
                    raise unsupported("subscription-options")
        except ValueError as error:
            raise refused(Condition.BAD_REQUEST, "invalid-options", f"{var} {error}") from error
    return deliver, expires


def _moment(values: list[str]) -> float:
    if len(values) != 1:
        raise ValueError("is one moment")
    return microseconds_of(values[0]) / 1_000_000


def options_form(follow: Follow) -> Element:
    """The form of a subscription's options."""
    expires = () if follow.expires is None else (date_time(follow.expires),)
    return form(
        SUBSCRIBE_OPTIONS,
        "Options of a subscription",
        "",
        Field(f"{PREFIX}deliver", "Be told?", "boolean", values=FlagField().write(follow.deliver)),
        Field(f"{PREFIX}expire", "Until when", values=expires),
    )


def approval_in(filled: Element, host: JID, who: JID) -> Approval:
    """What the form of a message says.

    Raises:
        StanzaError: BAD_REQUEST: it is another form, or does not say it.
    """
    values = submitted(filled, SUBSCRIBE_AUTHORIZATION)
    try:
        node, jid = values[f"{PREFIX}node"][0], JID.parse(values[f"{PREFIX}subscriber_jid"][0])
        allowed = FlagField().read(values[f"{PREFIX}allow"])
    except (KeyError, IndexError, ValueError) as error:
        raise StanzaError(Condition.BAD_REQUEST, f"the form says no {error}") from error
    return Approval(host.full, node, who.full, jid.full, allowed)


__all__ = ["approval_in", "options_form", "options_in"]
