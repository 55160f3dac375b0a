"""How a new node of an account is configured, by its name (PE-2, PE-3)."""

from functools import lru_cache

from msgspec.structs import replace

from xmppd_plugins.pubsub.access import AccessModel
from xmppd_plugins.pubsub.config import NodeConfig, SendLast

USUAL = NodeConfig(
    access_model=AccessModel.PRESENCE,
    max_items=1,
    send_last_published_item=SendLast.ON_SUB_AND_PRESENCE,
    presence_based_delivery=True,
)
BOOKMARKS = ("storage:bookmarks", "urn:xmpp:bookmarks:1")
"""Nodes that are never anything but private, whatever a client says."""

_ALL = (
    "eu.siacs.conversations.axolotl.bundles",
    "urn:xmpp:omemo:2:bundles",
    "urn:xmpp:bookmarks:1",
    "urn:xmpp:mds:displayed:0",
    "urn:xmpp:microblog:0",
)
"""Names, or their beginnings, of nodes that keep all their items."""

_OPEN = (
    "eu.siacs.conversations.axolotl.",
    "urn:xmpp:omemo:2:",
    "urn:xmpp:avatar:",
    "urn:xmpp:vcard4",
    "http://jabber.org/protocol/nick",
    "urn:xmpp:microblog:0",
    "urn:xmpp:pubsub-social-feed:",
)
"""Those that strangers, and rooms, have to read: keys, avatars, cards, what is written for all."""

_PRIVATE = ("storage:", "urn:xmpp:bookmarks:1", "urn:xmpp:mds:displayed:0", "http://private.")


@lru_cache(1_024)
def defaults(node: str) -> NodeConfig:
    """The configuration of a new node of this name, where its client says nothing else."""
    config = USUAL
    if node.startswith(_ALL):
        config = replace(config, max_items=None)
    if node.startswith(_OPEN):
        config = replace(config, access_model=AccessModel.OPEN)
    if node.startswith(_PRIVATE):
        config = replace(
            config,
            access_model=AccessModel.WHITELIST,
            send_last_published_item=SendLast.NEVER,
            max_items=None,
        )
    return config


__all__ = ["BOOKMARKS", "defaults"]
