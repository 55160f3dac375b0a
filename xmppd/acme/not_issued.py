"""NotIssued: the error of an authority; and Suggestion, what it says of a certificate."""

from collections.abc import Mapping
from dataclasses import dataclass


class NotIssued(Exception):
    """An error: there is no certificate.

    Args:
        sentence: Why, and what to do; without a full stop.
        names: The names that the authority does not take for ours, and what it says of each.
    """

    def __init__(self, sentence: str, names: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.names = dict(names or {})


class Stopped(NotIssued):
    """An error: the server stops."""

    def __init__(self) -> None:
        super().__init__("the server is stopping")


@dataclass(frozen=True)
class Suggestion:
    """What the authority says of renewing a certificate (:rfc:`9773`).

    Attributes:
        renew_at: The stamp it would have it renewed at; None if it says nothing.
        ask_again_at: The stamp at which to ask again.
    """

    renew_at: float | None
    ask_again_at: float
