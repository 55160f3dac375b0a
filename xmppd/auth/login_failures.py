"""LoginFailures: the last failed logins of accounts, for administrators who are asked why."""

from collections import deque
from dataclasses import dataclass

MAX_ACCOUNTS = 1_000
"""Of more, those of the account that failed longest ago are forgotten."""

KEPT_EACH = 5


@dataclass(frozen=True, slots=True)
class LoginFailure:
    """A login that has failed.

    Attributes:
        at: The moment, on the steady clock.
        address: The IP address it came from.
        mechanism: With which it was tried.
        condition: What the client was told.
    """

    at: float
    address: str
    mechanism: str
    condition: str


class LoginFailures:
    """The last failures of each account, whether it exists or not."""

    def __init__(self) -> None:
        self._known: dict[str, deque[LoginFailure]] = {}

    def note(self, account: str, failure: LoginFailure) -> None:
        """Note one more."""
        known = self._known.pop(account, None) or deque(maxlen=KEPT_EACH)
        if len(self._known) >= MAX_ACCOUNTS:
            del self._known[next(iter(self._known))]
        self._known[account] = known
        known.append(failure)

    def of(self, account: str) -> tuple[LoginFailure, ...]:
        """Those of an account, the oldest first."""
        return tuple(self._known.get(account, ()))


__all__ = ["KEPT_EACH", "MAX_ACCOUNTS", "LoginFailure", "LoginFailures"]
