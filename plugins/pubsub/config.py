"""The configuration of a node, its fields, and the forms that they make (:xep:`0060`, §16.4)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
from msgspec import Struct

from xmppd.stanza import Condition, Element, StanzaError, Tree
from xmppd.stanza.form import Field, form, result
from xmppd.stanza.form import values_of as submitted
from xmppd.stanza.form_field import (
    AddressesField,
    ChoiceField,
    CountField,
    FieldKind,
    FlagField,
    LineField,
    LinesField,
)

from .access import AccessModel, PublishModel
from .names import META_DATA, NODE_CONFIG, NS, PUBLISH_OPTIONS, refused, unsupported

PREFIX = "pubsub#"
MAX = "max"
MAX_NUMBER = 2**31 - 1


class SendLast(Enum):
    """When somebody is sent the last item without asking (§6.1.7)."""

    NEVER = "never"
    ON_SUB = "on_sub"
    ON_SUB_AND_PRESENCE = "on_sub_and_presence"


class NotificationType(Enum):
    """The type of the messages that tell of events."""

    HEADLINE = "headline"
    NORMAL = "normal"
    CHAT = "chat"


class WhenFull(Enum):
    """What becomes of a further item when a node has as many as it keeps."""

    DISCARD_OLDEST = "discard-oldest"
    RETRACT_OLDEST = "retract-oldest"
    REJECT = "reject"


class ItemReply(Enum):
    """Whom an item names to be answered."""

    OWNER = "owner"
    PUBLISHER = "publisher"


class NodeConfig(Struct, frozen=True, omit_defaults=True):
    """The configuration of a node; each attribute is the field of its name.

    Attributes:
        title: For people.
        description: For people.
        language: Of its payloads.
        type: The namespace of its payloads, or what they are for.
        contact: Whom to ask.
        access_model: Who may subscribe and read.
        roster_groups_allowed: The groups of the host that :attr:`AccessModel.ROSTER` lets in.
        publish_model: Who may publish.
        max_items: How many items are kept; None: as many as the host allows.
        publish_node_full: What becomes of a further one.
        item_expire: For how many seconds each is kept; None: for good.
        persist_items: Whether items are kept.
        max_payload_size: Of an item, in bytes.
        deliver_notifications: Whether anybody is told.
        deliver_payloads: Whether they are told the payload.
        notification_type: Of the messages by which they are told.
        notify_config: Whether they are told of another configuration.
        notify_delete: Whether they are told when the node is deleted.
        notify_retract: Whether they are told of items that are retracted, also if nobody asks.
        notify_sub: Whether owners are told of subscriptions.
        presence_based_delivery: Whether only who is available is told.
        send_last_published_item: When somebody is sent the last item.
        subscribe: Whether there are subscriptions.
        itemreply: Whom items name.
    """

    title: str = ""
    description: str = ""
    language: str = ""
    type: str = ""
    contact: tuple[str, ...] = ()
    access_model: AccessModel = AccessModel.OPEN
    roster_groups_allowed: tuple[str, ...] = ()
    publish_model: PublishModel = PublishModel.PUBLISHERS
    max_items: int | None = 20
    publish_node_full: WhenFull = WhenFull.DISCARD_OLDEST
    item_expire: int | None = None
    persist_items: bool = True
    max_payload_size: int = 262_144
    deliver_notifications: bool = True
    deliver_payloads: bool = True
    notification_type: NotificationType = NotificationType.HEADLINE
    notify_config: bool = False
    notify_delete: bool = True
    notify_retract: bool = True
    notify_sub: bool = False
    presence_based_delivery: bool = False
    send_last_published_item: SendLast = SendLast.NEVER
    subscribe: bool = True
    itemreply: ItemReply = ItemReply.OWNER


@dataclass(frozen=True)
class ConfigField:
    """A field of the form.

    Attributes:
        var: Its name without prefix, which is that of the attribute.
        label: For people.
        kind: How its value is read and written.
    """

    var: str
    label: str
    kind: FieldKind

    def read(self, values: Sequence[str]) -> object:
        """The value.

        Raises:
            StanzaError: NOT_ACCEPTABLE: it is none, as the text says (NO-5).
        """
        try:
            return self.kind.read(values)
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, f"{PREFIX}{self.var} {error}") from error

    def field(self, config: NodeConfig) -> Field:
        """The line of a form, with its present value."""
        value = getattr(config, self.var)
        return Field(
            PREFIX + self.var,
            self.label,
            self.kind.type,
            options=self.kind.options,
            values=self.kind.write(value),
        )


class NodeForm:
    """The form of a host's nodes.

    Args:
        max_items: The most that a node may keep.
        max_payload_bytes: The largest payload.
        access_models: Those that the host knows.
        send_last: When the host sends the last item.
        without: Fields that mean nothing to the host.

    Attributes:
        fields: By name without prefix.
    """

    def __init__(
        self,
        max_items: int,
        max_payload_bytes: int,
        access_models: Iterable[AccessModel] = AccessModel,
        send_last: Iterable[SendLast] = SendLast,
        without: Collection[str] = (),
    ) -> None:
        self.max_items = max_items
        fields = (
            ConfigField("title", "Name", LineField()),
            ConfigField("description", "Description", LineField()),
            ConfigField("language", "Language of the payloads", LineField()),
            ConfigField("type", "Namespace of the payloads", LineField()),
            ConfigField("contact", "Contact addresses", AddressesField()),
            ConfigField("access_model", "Who may subscribe and read", ChoiceField(access_models)),
            ConfigField("roster_groups_allowed", "Roster groups that may subscribe", LinesField()),
            ConfigField("publish_model", "Who may publish", ChoiceField(PublishModel)),
            ConfigField("max_items", "Maximum number of items", CountField(0, max_items, MAX)),
            ConfigField(
                "publish_node_full", "What happens when there are more items", ChoiceField(WhenFull)
            ),
            ConfigField(
                "item_expire", "Seconds until an item expires", CountField(1, MAX_NUMBER, MAX)
            ),
            ConfigField("persist_items", "Items are stored", FlagField()),
            ConfigField(
                "max_payload_size",
                "Maximum bytes of a payload",
                CountField(1, max_payload_bytes),
            ),
            ConfigField("deliver_notifications", "Subscribers are notified", FlagField()),
            ConfigField("deliver_payloads", "Notifications contain the payload", FlagField()),
            ConfigField("notification_type", "Type of messages", ChoiceField(NotificationType)),
            ConfigField(
                "notify_config", "Subscribers are notified of a new configuration", FlagField()
            ),
            ConfigField(
                "notify_delete", "Subscribers are notified when the node is deleted", FlagField()
            ),
            ConfigField(
                "notify_retract", "Subscribers are notified of retracted items", FlagField()
            ),
            ConfigField("notify_sub", "Owners are notified of subscriptions", FlagField()),
            ConfigField(
                "presence_based_delivery", "Only available subscribers are notified", FlagField()
            ),
            ConfigField(
                "send_last_published_item", "When the last item is sent", ChoiceField(send_last)
            ),
            ConfigField("subscribe", "Subscriptions are possible", FlagField()),
            ConfigField("itemreply", "The publisher that an item names", ChoiceField(ItemReply)),
        )
        self.fields = {each.var: each for each in fields if each.var not in without}

    def form(self, config: NodeConfig) -> Element:
        """The form to fill in, with the present values."""
        lines = [each.field(config) for each in self.fields.values()]
        return form(NODE_CONFIG, "Configuration of a node", "", *lines)

    def filled(
        self, config: NodeConfig, answer: Tree | Element, form_type: str = NODE_CONFIG
    ) -> NodeConfig:
        """The configuration with what a form says; what it does not say stays (NO-11).

        Raises:
            StanzaError: BAD_REQUEST: it is no such form; NOT_ACCEPTABLE: a value is none; or a
                field is of a feature that is not there.
        """
        changes: dict[str, object] = {}
        for var, values in submitted(answer, form_type).items():
            name = var.removeprefix(PREFIX)
            field = self.fields.get(name)
            if field is not None:
                changes[name] = field.read(values)
            elif name in ("node_type", "collection") and values not in ([], [""], ["leaf"]):
                raise unsupported("collections")
        return msgspec.structs.replace(config, **changes)

    def unmet(self, config: NodeConfig, options: Tree | Element) -> str | None:
        """The first of the publish options that is not as the configuration is; None if all are
        (NO-8).
        """
        for var, values in submitted(options, PUBLISH_OPTIONS).items():
            name = var.removeprefix(PREFIX)
            field = self.fields.get(name) if var.startswith(PREFIX) else None
            if field is None or self._effective(name, field.read(values)) != self._effective(
                name, getattr(config, name)
            ):
                return var
        return None

    def _effective(self, name: str, value: object) -> object:
        """A value as it works out: the maximum and ``max`` are the same."""
        return self.max_items if name == "max_items" and value is None else value


def precondition_not_met(var: str) -> StanzaError:
    """The refusal of a publish option."""
    return refused(
        Condition.CONFLICT,
        "precondition-not-met",
        f"the node has another value for {var} than your publish options",
    )


def meta_data(config: NodeConfig, *more: Field) -> Element:
    """What disco tells of a node (§5.4)."""
    kinds: dict[str, FieldKind] = {
        "title": LineField(),
        "description": LineField(),
        "language": LineField(),
        "type": LineField(),
        "contact": AddressesField(),
        "access_model": ChoiceField(AccessModel),
        "publish_model": ChoiceField(PublishModel),
        "max_items": CountField(0, MAX_NUMBER, MAX),
    }
    fields = [
        Field(PREFIX + var, type=kind.type, values=kind.write(getattr(config, var)))
        for var, kind in kinds.items()
        if getattr(config, var) not in ("", ())
    ]
    return result(META_DATA, *fields, *more)


__all__ = [
    "MAX",
    "NS",
    "PREFIX",
    "ConfigField",
    "FlagField",
    "ItemReply",
    "NodeConfig",
    "NodeForm",
    "NotificationType",
    "SendLast",
    "WhenFull",
    "meta_data",
    "precondition_not_met",
    "submitted",
]
