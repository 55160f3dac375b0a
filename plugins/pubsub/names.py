"""Names of :xep:`0060`, and its errors."""

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


__all__ = [
    "ERRORS",
    "EVENT",
    "META_DATA",
    "NODE_CONFIG",
    "NS",
    "OWNER",
    "PUBLISH_OPTIONS",
    "SUBSCRIBE_AUTHORIZATION",
    "SUBSCRIBE_OPTIONS",
    "refused",
    "unsupported",
]
