"""Entries about things that live once, and what plugins say to those and to accounts."""

from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import BusEntry, OurJIDText
from xmppd.stanza import Condition, ErrorType, StanzaError

_CONDITIONS = {condition.tag: condition for condition in Condition}

MAX_KIND = 32
"""The characters that the kind of a thing may have."""

MAX_MESSAGE_KIND = 200
"""The characters that the name of a plugin's kind of messages may have."""

MAX_THING = 8_192
"""The characters that the name of a thing may have: two addresses, with room."""


class TakeUp(BusEntry, tag="ct", frozen=True):
    """A thing is to be taken up there; the answer is :class:`OwnedAt`.

    Attributes:
        kind: Of the thing.
        name: Its own.
        token: That the board has given it there; 0 if it is to ask for one.
        state: What is not to be forgotten of it, if it comes from the sender.
    """

    kind: Annotated[str, Meta(max_length=MAX_KIND)]
    name: Annotated[str, Meta(max_length=MAX_THING)]
    token: int = 0
    state: bytes | None = None

    @property
    def about(self) -> str:
        """The thing."""
        return f"{self.kind} {self.name}"


class OwnedAt(BusEntry, tag="co", frozen=True):
    """Who has a thing.

    Attributes:
        owner: That node, as text; empty if it is nobody's, and not taken up where this is said.
    """

    owner: str


class PluginTold(BusEntry, tag="rt", frozen=True):
    """A message of a plugin for the nodes of an account.

    Attributes:
        account: That account.
        kind: ``plugin.Name``.
        data: The message, packed.
    """

    account: OurJIDText
    kind: Annotated[str, Meta(max_length=MAX_MESSAGE_KIND)]
    data: bytes

    @property
    def about(self) -> str:
        """The account."""
        return self.account


class PluginAsked(BusEntry, tag="ra", frozen=True):
    """A message of a plugin for the node that has a thing; the answer is :class:`PluginAnswer` or
    :class:`PluginRefusal`, or None: it is elsewhere.

    Attributes:
        thing: Its kind and name.
        kind: ``plugin.Name``.
        data: The message, packed.
    """

    thing: tuple[
        Annotated[str, Meta(max_length=MAX_KIND)], Annotated[str, Meta(max_length=MAX_THING)]
    ]
    kind: Annotated[str, Meta(max_length=MAX_MESSAGE_KIND)]
    data: bytes

    @property
    def about(self) -> str:
        """The thing, whose messages come in order."""
        return f"said {' '.join(self.thing)}"


class PluginAnswer(BusEntry, tag="rs", frozen=True):
    """What a plugin answers.

    Attributes:
        data: The answer, packed.
    """

    data: bytes


class PluginRefusal(BusEntry, tag="rr", frozen=True):
    """Why a plugin does not do it.

    Attributes:
        condition: Name of a stanza error, and so are all others of that.
        text: For people.
        type: What to do about it.
        application: Namespace and name of an application-specific condition.
        attribute: Name and value of an attribute of that.
    """

    condition: str
    text: str | None
    type: ErrorType
    application: tuple[str, str] | None
    attribute: tuple[str, str] | None

    @classmethod
    def of(cls, error: StanzaError) -> "PluginRefusal":
        """The refusal that this error is."""
        return cls(error.condition.tag, error.text, error.type, error.application, error.attribute)

    def error(self) -> StanzaError:
        """The error again."""
        return StanzaError(
            _CONDITIONS.get(self.condition, Condition.UNDEFINED_CONDITION),
            self.text,
            type=self.type,
            application=self.application,
            attribute=self.attribute,
        )


__all__ = [
    "MAX_KIND",
    "MAX_MESSAGE_KIND",
    "MAX_THING",
    "OwnedAt",
    "PluginAnswer",
    "PluginAsked",
    "PluginRefusal",
    "PluginTold",
    "TakeUp",
]
