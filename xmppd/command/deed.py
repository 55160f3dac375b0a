"""Deed: a command that changes something, as it is written down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deed:
    """A command that changes something.

    Attributes:
        actor: Who gives it.
        way: By which it came.
        address: The IP address it came from; empty at the server's machine.
        node: The node that took it.
        command: Its words.
        arguments: A text of JSON, without secrets.
        outcome: What came of it.
        request: The actor's name for this one request; empty without one. It is done once.
    """

    actor: str
    way: str
    address: str
    node: str
    command: str
    arguments: str
    outcome: str
    request: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """A deed that was written down.

    Attributes:
        number: Rising.
        earlier: What came of the same request before; empty if this is the first time.
    """

    number: int
    earlier: str = ""


__all__ = ["Begun", "Deed"]
