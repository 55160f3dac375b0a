"""Access to a node: which affiliation may do what, and whom an access model lets in, as tables."""

from enum import Enum

from msgspec import Struct

from xmppd.stanza import Condition, StanzaError

from .names import refused


class Affiliation(Enum):
    """What somebody is to a node (:xep:`0060`, §4.1)."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    PUBLISH_ONLY = "publish-only"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


class AccessModel(Enum):
    """Who may subscribe to a node, and read it (§4.5)."""

    OPEN = "open"
    PRESENCE = "presence"
    ROSTER = "roster"
    AUTHORIZE = "authorize"
    WHITELIST = "whitelist"


class PublishModel(Enum):
    """Who may publish at a node, beside those whose affiliation says so (§7.1.5)."""

    PUBLISHERS = "publishers"
    SUBSCRIBERS = "subscribers"
    OPEN = "open"


class Standing(Struct, frozen=True):
    """What somebody is to a node and its host just now.

    Attributes:
        affiliation: To the node.
        is_subscribed: Whether they have a subscription that is not pending.
        sees_presence: Whether the host lets them see its presence; no service has any.
        in_group: Whether they are in one of the host's groups that the node allows.
    """

    affiliation: Affiliation
    is_subscribed: bool = False
    sees_presence: bool = False
    in_group: bool = False


class May(Enum):
    """How far an affiliation may do something.

    Attributes:
        YES: Always.
        NO: Never.
        BY_MODEL: If the node's model lets them.
        OWN: With items of their own.
    """

    YES = "yes"
    NO = "no"
    BY_MODEL = "as the model says"
    OWN = "own items"


class Action(Enum):
    """What may be done with a node."""

    SUBSCRIBE = "subscribe"
    READ = "items"
    PUBLISH = "publish"
    RETRACT = "retract"
    MANAGE = "configure, purge, delete, affiliations, subscriptions"


_Y, _N, _M, _O = May.YES, May.NO, May.BY_MODEL, May.OWN

# fmt: off
MAY: dict[Affiliation, dict[Action, May]] = {
    affiliation: dict(zip(Action, cells, strict=True)) for affiliation, cells in {
        #                          subscribe items publish retract manage
        Affiliation.OWNER:        (_Y,       _Y,   _Y,     _Y,     _Y),
        Affiliation.PUBLISHER:    (_Y,       _Y,   _Y,     _O,     _N),
        Affiliation.PUBLISH_ONLY: (_N,       _N,   _Y,     _O,     _N),
        Affiliation.MEMBER:       (_Y,       _Y,   _M,     _O,     _N),
        Affiliation.NONE:         (_M,       _M,   _M,     _O,     _N),
        Affiliation.OUTCAST:      (_N,       _N,   _N,     _N,     _N),
    }.items()
}
# fmt: on
"""The table of :xep:`0060`, §4.1."""


def check_model(model: AccessModel, standing: Standing) -> None:
    """Let in whom the access model lets in (NO-1).

    Raises:
        StanzaError: It does not, with the condition that it has for that.
    """
    match model:
        case AccessModel.PRESENCE if not standing.sees_presence:
            raise refused(Condition.NOT_AUTHORIZED, "presence-subscription-required")
        case AccessModel.ROSTER if not standing.in_group:
            raise refused(Condition.NOT_AUTHORIZED, "not-in-roster-group")
        case AccessModel.WHITELIST:
            raise refused(Condition.NOT_ALLOWED, "closed-node")
        case AccessModel.AUTHORIZE if not standing.is_subscribed:
            raise refused(Condition.NOT_AUTHORIZED, "not-subscribed")


def check_subscribe(model: AccessModel, standing: Standing) -> bool:
    """Let somebody subscribe; returns whether an owner has to approve.

    Raises:
        StanzaError: They may not.
    """
    may = MAY[standing.affiliation][Action.SUBSCRIBE]
    if may is May.NO:
        raise StanzaError(Condition.FORBIDDEN)
    if may is May.YES:
        return False
    if model is AccessModel.AUTHORIZE:
        return not standing.is_subscribed
    check_model(model, standing)
    return False


def check_read(model: AccessModel, standing: Standing) -> None:
    """Let somebody read items.

    Raises:
        StanzaError: They may not.
    """
    may = MAY[standing.affiliation][Action.READ]
    if may is May.NO:
        raise StanzaError(Condition.FORBIDDEN)
    if may is May.BY_MODEL:
        check_model(model, standing)


def may_read(model: AccessModel, standing: Standing) -> bool:
    """Whether somebody may read items, and is told of new ones."""
    try:
        check_read(model, standing)
    except StanzaError:
        return False
    return True


def check_publish(model: PublishModel, standing: Standing) -> None:
    """Let somebody publish.

    Raises:
        StanzaError: FORBIDDEN: they may not.
    """
    may = MAY[standing.affiliation][Action.PUBLISH]
    is_let_in = model is PublishModel.OPEN or (
        model is PublishModel.SUBSCRIBERS and standing.is_subscribed
    )
    if may is May.NO or (may is May.BY_MODEL and not is_let_in):
        raise StanzaError(Condition.FORBIDDEN)


def check_retract(standing: Standing) -> None:
    """Let somebody retract items of their own, at least.

    Raises:
        StanzaError: FORBIDDEN: they may not.
    """
    if MAY[standing.affiliation][Action.RETRACT] is May.NO:
        raise StanzaError(Condition.FORBIDDEN)


def may_replace(standing: Standing) -> bool:
    """Whether somebody may retract, or replace, items that others have published."""
    return MAY[standing.affiliation][Action.RETRACT] is May.YES


def check_manage(standing: Standing) -> None:
    """Let an owner go on.

    Raises:
        StanzaError: FORBIDDEN: they are none.
    """
    if MAY[standing.affiliation][Action.MANAGE] is not May.YES:
        raise StanzaError(Condition.FORBIDDEN)


__all__ = [
    "MAY",
    "AccessModel",
    "Action",
    "Affiliation",
    "May",
    "PublishModel",
    "Standing",
    "check_manage",
    "check_model",
    "check_publish",
    "check_read",
    "check_retract",
    "check_subscribe",
    "may_read",
    "may_replace",
]
