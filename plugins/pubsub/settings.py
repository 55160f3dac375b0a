"""The table ``[pubsub]`` of the configuration."""

from typing import Literal

from xmppd.config.section import Section


class PubSubSettings(Section, frozen=True):
    """``[pubsub]``: the service at ``pubsub.`` and each domain.

    Attributes:
        create: Who may make nodes: ``admins``, those with an account here (``local``), or ``all``.
        max_nodes: How many nodes a service has.
        max_items: The most that a node may keep.
        max_payload_bytes: The largest payload of an item.
        max_bytes: How large the items of all nodes of a service may be together; each counts 64
            bytes beside its payload and its id.
    """

    create: Literal["admins", "local", "all"] = "admins"
    max_nodes: int = 10_000
    max_items: int = 10_000
    max_payload_bytes: int = 262_144
    max_bytes: int = 1_073_741_824

    def __post_init__(self) -> None:
        if self.max_items > 1_000_000:
            raise ValueError("max_items must be at most 1000000")


__all__ = ["PubSubSettings"]
