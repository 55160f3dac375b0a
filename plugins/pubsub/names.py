"""Names of :xep:`0060`, and its errors."""

from secrets import token_urlsafe

from xmppd.stanza import Condition, StanzaError

NS = "http://jabber.org/protocol/pubsub"
OWNER = f"{NS}#owner"
EVENT = f"{NS}#event"
ERRORS = f"{NS}#errors"
NODE_CONFIG = f"{NS}#node_config"
PUBLISH_OPTIONS = f"{NS}#publish-options"
SUBSCRIBE_OPTIONS = f"{NS}#subscribe_options"
SUBSCRIBE_AUTHORIZATION = f"{NS}#subscribe_authorization"
META_DATA = f"{NS}#meta-data"

MAX_NAME_BYTES = 1_023
"""Of the name of a node, and of the id of an item (NO-3)."""


def refused(condition: Condition, name: str, text: str | None = None) -> StanzaError:
    """A refusal with a condition of :xep:`0060`'s own, such as ``closed-node``."""
    return StanzaError(condition, text, application=(ERRORS, name))


def unsupported(feature: str) -> StanzaError:
    """A refusal of what this service does not do, by the name of the feature."""
    return StanzaError(
        Condition.FEATURE_NOT_IMPLEMENTED,
        application=(ERRORS, "unsupported"),
        attribute=("feature", feature),
    )


def new_name() -> str:
    """A name that nobody guesses, of 26 characters."""
    return token_urlsafe(20)[:26]


def check_name(name: str) -> None:
    """Refuse a name of a node or an item that is none (NO-3).

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is empty, or too long.
    """
    if not 0 < len(name.encode()) <= MAX_NAME_BYTES:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"a name may have 1 to {MAX_NAME_BYTES} bytes")


__all__ = [
    "ERRORS",
    "EVENT",
    "MAX_NAME_BYTES",
    "META_DATA",
    "NODE_CONFIG",
    "NS",
    "OWNER",
    "PUBLISH_OPTIONS",
    "SUBSCRIBE_AUTHORIZATION",
    "SUBSCRIBE_OPTIONS",
    "check_name",
    "new_name",
    "refused",
    "unsupported",
]
