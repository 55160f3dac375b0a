"""The configuration of a node, its fields, and the forms that they make (:xep:`0060`, §16.4)."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec
from msgspec import Struct

from xmppd.stanza import JID, Condition, Element, StanzaError, Tree, qname
from xmppd.stanza.form import DATA, MAX_VALUE_LENGTH, MAX_VALUES, Field, form, result

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


class FieldKind(ABC):
    """How the value of a field is read and written.

    Attributes:
        type: As in :xep:`0004`, §3.3.
        options: What a list lets one choose from.
    """

    type: str = "text-single"
    options: tuple[str, ...] = ()

    @abstractmethod
    def read(self, values: Sequence[str]) -> object:
        """The value.

        Raises:
            ValueError: It is none.
        """

    @abstractmethod
    def write(self, value: object) -> tuple[str, ...]:
        """How it is written."""


class FlagField(FieldKind):
    """True or false."""

    type = "boolean"

    def read(self, values: Sequence[str]) -> bool:
        """Whether it is true."""
        if values not in (["0"], ["1"], ["false"], ["true"]):
            raise ValueError("is 0, 1, false or true")
        return values[0] in ("1", "true")

    def write(self, value: object) -> tuple[str, ...]:
        """1 or 0."""
        return ("1" if value else "0",)


class LineField(FieldKind):
    """Text on one line."""

    def read(self, values: Sequence[str]) -> str:
        """The text; empty if nothing is said."""
        if len(values) > 1:
            raise ValueError("is one value")
        return values[0] if values else ""

    def write(self, value: object) -> tuple[str, ...]:
        """The text itself."""
        return (str(value),)


@dataclass(frozen=True)
class CountField(FieldKind):
    """A number, or ``max``.

    Attributes:
        least: The smallest that it may be.
        most: The greatest.
        has_max: Whether it may be ``max``, which is None.
    """

    least: int
    most: int
    has_max: bool = True

    def read(self, values: Sequence[str]) -> int | None:
        """The number."""
        text = values[0] if len(values) == 1 else ""
        if text == MAX and self.has_max:
            return None
        ok = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_NUMBER))
        if not ok or not self.least <= int(text) <= self.most:
            also = f", or {MAX}" if self.has_max else ""
            raise ValueError(f"is a number from {self.least} to {self.most}{also}")
        return int(text)

    def write(self, value: object) -> tuple[str, ...]:
        """The number, or ``max``."""
        return (MAX if value is None else str(value),)


class ChoiceField(FieldKind):
    """One of several words.

    Args:
        words: The values of an enumeration.
    """

    type = "list-single"

    def __init__(self, words: Iterable[Enum]) -> None:
        self._by_word = {str(each.value): each for each in words}
        self.options = tuple(self._by_word)

    def read(self, values: Sequence[str]) -> Enum:
        """The member."""
        if len(values) != 1 or values[0] not in self._by_word:
            raise ValueError(f"is one of {', '.join(self.options)}")
        return self._by_word[values[0]]

    def write(self, value: object) -> tuple[str, ...]:
        """Its word."""
        assert isinstance(value, Enum), "it is a choice"
        return (str(value.value),)


class LinesField(FieldKind):
    """Several texts."""

    type = "text-multi"

    def read(self, values: Sequence[str]) -> tuple[str, ...]:
        """The texts, but for empty ones."""
        return tuple(value for value in values if value)

    def write(self, value: object) -> tuple[str, ...]:
        """The texts themselves."""
        assert isinstance(value, tuple), "they are texts"
        return value


class AddressesField(LinesField):
    """Several JIDs."""

    type = "jid-multi"

    def read(self, values: Sequence[str]) -> tuple[str, ...]:
        """The JIDs, prepared."""
        return tuple(JID.parse(value).full for value in values if value)


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
            ConfigField("contact", "Whom to ask", AddressesField()),
            ConfigField("access_model", "Who may subscribe and read", ChoiceField(access_models)),
            ConfigField("roster_groups_allowed", "Groups that may", LinesField()),
            ConfigField("publish_model", "Who may publish", ChoiceField(PublishModel)),
            ConfigField("max_items", "How many items are kept", CountField(0, max_items)),
            ConfigField("publish_node_full", "When there is one more", ChoiceField(WhenFull)),
            ConfigField("item_expire", "Seconds for which each is", CountField(1, MAX_NUMBER)),
            ConfigField("persist_items", "Whether items are kept", FlagField()),
            ConfigField(
                "max_payload_size",
                "Bytes of a payload",
                CountField(1, max_payload_bytes, has_max=False),
            ),
            ConfigField("deliver_notifications", "Whether subscribers are told", FlagField()),
            ConfigField("deliver_payloads", "Whether they are told the payload", FlagField()),
            ConfigField("notification_type", "Type of messages", ChoiceField(NotificationType)),
            ConfigField("notify_config", "Whether a new configuration is told", FlagField()),
            ConfigField("notify_delete", "Whether it is told when it is deleted", FlagField()),
            ConfigField("notify_retract", "Whether retracted items are told", FlagField()),
            ConfigField("notify_sub", "Whether owners hear of subscriptions", FlagField()),
            ConfigField("presence_based_delivery", "Only those who are available", FlagField()),
            ConfigField(
                "send_last_published_item", "When the last item is sent", ChoiceField(send_last)
            ),
            ConfigField("subscribe", "Whether there are subscriptions", FlagField()),
            ConfigField("itemreply", "Whom an item names", ChoiceField(ItemReply)),
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


def submitted(answer: Tree | Element, form_type: str) -> Mapping[str, list[str]]:
    """The values of a form's fields by their names.

    Raises:
        StanzaError: BAD_REQUEST: it is another form, or too large.
    """
    values: dict[str, list[str]] = {}
    for line in answer.iterfind(qname(DATA, "field")):
        found = [value.text or "" for value in line.iterfind(qname(DATA, "value"))]
        if len(found) > MAX_VALUES or any(len(value) > MAX_VALUE_LENGTH for value in found):
            raise StanzaError(Condition.BAD_REQUEST, f"{line.get('var')} is too long")
        values[line.get("var") or ""] = found
    if values.pop("FORM_TYPE", [form_type]) != [form_type]:
        raise StanzaError(Condition.BAD_REQUEST, f"the form is one of {form_type}")
    return values


def precondition_not_met(var: str) -> StanzaError:
    """The refusal of a publish option."""
    return refused(Condition.CONFLICT, "precondition-not-met", f"{var} is not met")


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
        "max_items": CountField(0, MAX_NUMBER),
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
