"""Attempts: every step on the way to another server, with its outcome, for the administrator."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

MAX_DOMAINS = 1_000
MAX_STEPS = 40
"""Of each domain, the latest; of all domains, those that were tried last."""

MAX_TEXT = 500
"""Characters of a step and of its outcome: the DNS of others has a part in both."""


_log = Logger()


@dataclass(slots=True)
class AttemptStep:
    """One step that was tried.

    Attributes:
        at: When it began, in seconds since 1970.
        kind: The kind of step, in a word: ``lookup``, ``connect`` …
        what: The name or address it was about.
        outcome: Its result.
        ms: How long it took; None while it lasts.
    """

    at: float
    kind: str
    what: str
    outcome: str = "under way"
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The history of other servers, for the administrator.

    Attributes:
        attempts: The steps on the ways to them.
        refusals: Connections from them that were refused; kept apart, since any peer can cause
            them.
    """

    attempts: "Attempts"
    refusals: "Attempts"


class Attempts:
    """The steps of each domain, bounded in every direction.

    Args:
        clock: Measures how long a step takes.
        wall_clock: Says when it began.
    """

    def __init__(self, clock: IReactorTime, wall_clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._by_domain: dict[str, deque[AttemptStep]] = {}

    def begin(self, domain: str, kind: str, what: str) -> Callable[[str], None]:
        """Note that a step begins.

        Returns:
            A function to be called with its outcome.
        """
        step = AttemptStep(self._wall_clock(), kind, shortened(what))
        steps = self._by_domain.pop(domain, None) or deque(maxlen=MAX_STEPS)
        if len(self._by_domain) >= MAX_DOMAINS:
            del self._by_domain[next(iter(self._by_domain))]
        self._by_domain[domain] = steps
        steps.append(step)
        began = self._clock.seconds()

        def end(outcome: str) -> None:
            step.outcome = shortened(outcome)
            _log.debug(
                "{domain}: {kind} {what}: {outcome}",
                domain=domain, kind=kind, what=step.what, outcome=step.outcome,
            )  # fmt: skip
            step.ms = (self._clock.seconds() - began) * 1_000

        return end

    def note(self, domain: str, kind: str, what: str, outcome: str) -> None:
        """Note a step that takes no time."""
        self.begin(domain, kind, what)(outcome)

    def of(self, domain: str) -> tuple[AttemptStep, ...]:
        """The steps for a domain, the oldest first."""
        return tuple(self._by_domain.get(domain, ()))

    def domains(self) -> tuple[str, ...]:
        """The domains with steps, the one tried last at the end."""
        return tuple(self._by_domain)


def shortened(text: str) -> str:
    """A text, cut to the length that is kept."""
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}\N{HORIZONTAL ELLIPSIS}"


__all__ = ["MAX_DOMAINS", "MAX_STEPS", "MAX_TEXT", "AttemptStep", "Attempts"]
