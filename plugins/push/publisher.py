"""Publisher: tells push services, one notification after the other, and ends what always fails."""

from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure as Trouble

from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Label
from xmppd.message.unread_counts import UnreadCounts
from xmppd.routing.requests import Requests
from xmppd.stanza import IQ, JID, ns
from xmppd.stanza.xml import local_name
from xmppd.store.errors import StoreError

from .notice import SEEN, Notice, publish
from .registrations import MAX_UNSEEN, PushRecord, Registration, Registrations
from .settings import PushSettings

ANSWER_S = 30.0
"""The time in which a service answers."""

MAX_OUTSTANDING = 10_000
MAX_OUTSTANDING_PER_SERVICE = 100
MAX_LANES = 10_000
"""Registrations of which a notification was sent so lately that the next one waits."""

MAX_URGENT = 10
"""Calls, and ends of calls, that do not wait in that time: who calls more often is no caller."""

MAX_REFUSALS = 3
MAX_UNREACHED_S = 7 * 86_400.0

FAILURE = Label("reason", ("refused", "unreached", "crowded"))
_UNREACHED = ("remote-server-not-found", "remote-server-timeout")
Key = TypeVar("Key", bound=Hashable)
_log = Logger()


class _Lane:
    """What waits for a registration of which a notification was sent lately (PN-5).

    Attributes:
        registration: As it was when something was told last.
        notice: What is told of it next; None if nothing waits.
        counted: How many unread messages that stands for.
        urgent: How many did not wait.
        clears: Whether its service is yet to be told that what it was told of was seen.
        call: Tells what waits.
    """

    __slots__ = ("call", "clears", "counted", "notice", "registration", "urgent")

    def __init__(self, registration: Registration) -> None:
        self.registration = registration
        self.notice: Notice | None = None
        self.counted = self.urgent = 0
        self.clears = False
        self.call: IDelayedCall | None = None


class Failure(Struct, frozen=True):
    """Why a notification was not taken.

    Attributes:
        condition: Of the error; empty if no answer came.
        refused: Whether trying again would not help (PN-6).
    """

    condition: str = ""
    refused: bool = False


class Publisher:
    """Tells push services. Nobody waits for what they answer (PN-4 to PN-7).

    Args:
        registrations: In the store.
        requests: Ask services.
        clocks: Tell the time.
        unread: Counts the messages that accounts have not read, if somebody does; else those count
            that their services were told of.
        settings: The shortest time between two notifications.

    Attributes:
        changed: Called with an account when one of its registrations is another, or has ended.
        counts: Called with the bare JID of an account: other numbers that are told of it.
        sent: The notifications that were taken.
        failed: Those that were not, by the values of :data:`FAILURE`.
    """

    def __init__(
        self,
        registrations: Registrations,
        requests: Requests,
        clocks: Clocks,
        unread: UnreadCounts,
        settings: PushSettings,
    ) -> None:
        self.registrations = registrations
        self.requests = requests
        self.clocks = clocks
        self.unread = unread
        self.settings = settings
        self.changed: Callable[[str], Awaitable[None]] = _nobody_minds
        self.counts: Callable[[str], dict[str, int]] = _no_counts
        self.sent = 0
        self.failed = dict.fromkeys(FAILURE.values, 0)
        self._lanes: dict[tuple[str, bytes], _Lane] = {}
        self._outstanding: Counter[str] = Counter()
        self._all_outstanding = 0
        self._counted: Counter[tuple[str, bytes]] = Counter()  # and not noted yet

    def use(self, settings: PushSettings) -> None:
        """Go by other settings from now on."""
        self.settings = settings

    def tell(self, registration: Registration, notice: Notice) -> None:
        """Tell a service, at once or when its time has come; of what waits the last counts."""
        lane = self._lanes.get((registration.account, registration.key))
        if lane is None:
            self._send(registration, notice, int(notice.counts))
            self._open(registration)
        elif notice.urgent and lane.urgent < MAX_URGENT:
            lane.urgent += 1
            self._send(registration, notice, int(notice.counts) + lane.counted)
            lane.notice, lane.counted, lane.clears = None, 0, False
        else:
            lane.registration, lane.notice = registration, notice
            lane.counted += notice.counts
            lane.clears = lane.clears or notice.cleared

    def forget(self, registration: Registration) -> None:
        """Do not tell what waits for a registration: it was seen. That what was told before was
        seen is told all the same.
        """
        lane = self._lanes.get((registration.account, registration.key))
        if lane is not None:
            lane.notice, lane.counted = SEEN if lane.clears else None, 0

    def stop(self) -> None:
        """Tell nothing that waits."""
        for lane in self._lanes.values():
            if lane.call is not None:
                lane.call.cancel()
        self._lanes.clear()

    def _open(self, registration: Registration) -> None:
        if self.settings.min_gap_s and len(self._lanes) < MAX_LANES:
            key = registration.account, registration.key
            lane = self._lanes[key] = _Lane(registration)
            lane.call = self.requests.clock.callLater(self.settings.min_gap_s, self._next, key)

    def _next(self, key: tuple[str, bytes]) -> None:
        """Tell what has waited, and let the next one wait behind that."""
        lane = self._lanes.pop(key)
        if lane.notice is not None:
            self._send(lane.registration, lane.notice, lane.counted)
            self._open(lane.registration)

    # -- asking ------------------------------------------------------------------------------------

    def _send(self, registration: Registration, notice: Notice, counted: int) -> None:
        """Send a notification, unless too many have no answer yet (PN-7)."""
        service, waiting = registration.service, self._outstanding
        if (
            waiting.get(service, 0) >= MAX_OUTSTANDING_PER_SERVICE
            or self._all_outstanding >= MAX_OUTSTANDING
        ):
            self.failed["crowded"] += 1
            return
        waiting[service] += 1
        self._all_outstanding += 1
        self._counted[registration.account, registration.key] += counted
        sending = Deferred.fromCoroutine(self._told(registration, notice, counted))
        sending.addErrback(_failed)

    async def _told(self, registration: Registration, notice: Notice, counted: int) -> None:
        account, key = registration.account, registration.key
        try:
            record = (await self.registrations.records(account)).get(key)
            if record is None:
                return  # it has ended meanwhile
            unseen = await self.unread.of(account)
            if unseen is None:
                unseen = min(record.unseen + self._counted[account, key], MAX_UNSEEN)
            numbers = {"message-count": unseen, **self.counts(account)}
            request = publish(registration, notice, numbers)
            asked, failure = await self._asked(registration, request)
            await self._note(asked, counted, failure)
            if asked != registration:
                await self.changed(account)
        finally:
            self._all_outstanding -= 1
            _less(self._outstanding, registration.service, 1)
            _less(self._counted, (account, key), counted)

    async def _asked(
        self, registration: Registration, request: bytes
    ) -> tuple[Registration, Failure | None]:
        """Ask a service to publish, in the account's name, or in that of its domain if the service
        refuses that (PN-4).
        """
        service, account = JID.parse(registration.service), JID.prepared(registration.account)
        domain = JID.of(None, account.domain)
        sender = domain if registration.by_domain else account
        failure = await self._ask(service, sender, request)
        if failure is None or not failure.refused or registration.by_domain:
            return registration, failure
        if await self._ask(service, domain, request) is None:
            return replace(registration, by_domain=True), None
        return registration, failure

    async def _ask(self, service: JID, sender: JID, request: bytes) -> Failure | None:
        asking = self.requests.ask(service, sender, request, timeout_s=ANSWER_S, type="set")
        answer = await asking
        return Failure() if answer is None else failure_of(answer)

    async def _note(
        self, registration: Registration, counted: int, failure: Failure | None
    ) -> None:
        """Note the outcome; a registration that fails for too long ends (PN-6)."""
        now = self.clocks.wall_clock()

        def step(record: PushRecord) -> PushRecord:
            record = replace(record, unseen=min(record.unseen + counted, MAX_UNSEEN))
            if failure is None:
                return replace(record, sent=record.sent + 1, failures=0, failing_since=0.0)
            return replace(
                record,
                failed=record.failed + 1,
                failures=record.failures + failure.refused,
                failing_since=record.failing_since or now,
                last_error=failure.condition or "no answer",
            )

        record = await self.registrations.note(registration, step)
        if record is None:
            return  # it has ended meanwhile
        if failure is None:
            self.sent += 1
            return
        self.failed["refused" if failure.refused else "unreached"] += 1
        if record.failures >= MAX_REFUSALS or now - record.failing_since >= MAX_UNREACHED_S:
            await self.end(registration, record.last_error)

    async def end(self, registration: Registration, reason: str) -> None:
        """Forget a registration whose service does not want it any more, or cannot be reached."""
        account, service = registration.account, registration.service
        if await self.registrations.remove(account, service, registration.node):
            _log.info(
                "{service} gets no more notifications for {account}: {reason}",
                account=account,
                service=service,
                reason=reason,
            )
        await self.changed(account)


def failure_of(answer: IQ) -> Failure | None:
    """Why a service did not take a notification; None if it did."""
    if answer.type == "result":
        return None
    error = answer.payload.tree.find("error")
    if error is None:
        return Failure("undefined-condition", refused=True)
    names = [
        local_name(inner.tag) for inner in error if inner.tag.startswith(f"{{{ns.STANZA_ERRORS}}}")
    ]
    condition = next((name for name in names if name != "text"), "undefined-condition")
    lasting = error.get("type") in ("cancel", "auth") and condition not in _UNREACHED
    return Failure(condition, refused=lasting)


def _less(counts: Counter[Key], key: Key, number: int) -> None:
    """Count so many less, and forget what is none."""
    counts[key] -= number
    if not counts[key]:
        del counts[key]


async def _nobody_minds(account: str) -> None:
    """Do nothing."""


def _no_counts(account: str) -> dict[str, int]:
    """None."""
    return {}


def _failed(failure: Trouble) -> None:
    """Log a bug, which costs a notification; a failure of the store was logged."""
    if not failure.check(StoreError):
        _log.failure("a notification failed", failure)


__all__ = ["FAILURE", "Publisher", "failure_of"]
