"""The commands by which faults are asked for: the one list of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Address, Choice, DomainName, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import Condition, StreamCondition, StreamError

from .certificates import WrongCertificates
from .table import DIRECTIONS, POINTS, Fault, FaultTable, Match, matched
from .wires import FaultyWire, Wires

MAX_TIMES = 1_000_000
MAX_DELAY_MS = 600_000

SASL_CONDITIONS = (
    "account-disabled",
    "credentials-expired",
    "encryption-required",
    "mechanism-too-weak",
    "not-authorized",
    "temporary-auth-failure",
)
"""The conditions with which a login is refused (:rfc:`6120#section-6.5`)."""

STANZA_CONDITIONS = tuple(condition.tag for condition in Condition)
STREAM_CONDITIONS = tuple(condition.value for condition in StreamCondition)

WHOM = Argument(
    "address",
    "the address of an account or a session, or the domain of a component or another server",
    Address(),
)
ACCOUNT = Argument("address", "such as romeo@localhost", AccountName())
DIRECTION = Argument("--direction", "received or sent by the client", Choice(DIRECTIONS))
ELEMENT = Argument("--element", "the name of the element, such as message or a")
CONTAINING = Argument("--containing", "a text that the element contains")
MEANT = (DIRECTION, ELEMENT, CONTAINING)
TIMES = Argument("--times", "how many times; 1 by default", Number(1, MAX_TIMES))
AT = Argument(
    "--at",
    "when, in relation to the next matching element; at once by default",
    Choice(POINTS),
)
MILLISECONDS = Argument("milliseconds", "the delay", Number(1, MAX_DELAY_MS, "ms"))
TEXT = Argument("--text", "a text to send with the condition")


class FaultRow(Row, frozen=True):
    """A fault that is there."""

    number: int
    fault: str
    address: str
    times: int | None
    what: str


@dataclass(frozen=True)
class FaultCommands:
    """Asks for faults, and takes them back.

    Args:
        table: The faults.
        wires: The connections.
        wall_clock: The time of day.
        certificates: Those that are wrong.
    """

    table: FaultTable
    wires: Wires
    wall_clock: Callable[[], float]
    certificates: WrongCertificates

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            *(Command(each.about, partial(self._ask, each), (FaultRow,)) for each in FAULTS),
            Command(LIST, self.list_all, (FaultRow,)),
            Command(CLEAR, self.clear),
        ]

    async def _ask(self, kind: "FaultKind", context: CommandContext) -> Replies:
        """Make a fault, and say which it is."""
        yield row(kind.make(self, context))

    # -- on the wire ----------------------------------------------------------------------------

    def cut(self, context: CommandContext) -> Fault:
        """Cut at once, or at an element."""
        fault = self._at_element("cut", context)
        if fault.left is None:
            for wire in self._there(fault):
                wire.cut_off(0.0)
        return fault

    def freeze(self, context: CommandContext) -> Fault:
        """Freeze at once, or at an element."""
        fault = self._at_element("freeze", context)
        if fault.left is None:
            for wire in self._there(fault):
                wire.freeze(fault)
        return fault

    def drop(self, context: CommandContext) -> Fault:
        """Drop elements."""
        match, left = matched(context.arguments), context.arguments.number("times", 1)
        whom = context.arguments.jid("address").full
        return self.table.add(Fault("drop", whom, f"drops {match}", match, left=left))

    def delay(self, context: CommandContext) -> Fault:
        """Delay all."""
        told = context.arguments
        late_ms = told.number("milliseconds", 0)
        whom = told.jid("address").full
        return self.table.add(
            Fault("delay", whom, f"has everything delayed by {late_ms} ms", delay_s=late_ms / 1e3)
        )

    def split(self, context: CommandContext) -> Fault:
        """Split into single bytes."""
        whom = context.arguments.jid("address").full
        return self.table.add(Fault("split", whom, "sends byte by byte"))

    def end(self, context: CommandContext) -> Fault:
        """End streams."""
        told = context.arguments
        condition, host = StreamCondition(told.text("condition")), told.text("host")
        if (condition is StreamCondition.SEE_OTHER_HOST) != bool(host):
            raise Refused(
                "only see-other-host needs a host, and takes one",
                Condition.BAD_REQUEST, argument="host",
            )  # fmt: skip
        fault = self.table.numbered(
            Fault("end", told.jid("address").full, f"ended with {condition.value}")
        )
        for wire in self._there(fault):
            wire.handler.close(StreamError(condition, told.text("text") or None, other_host=host))
        return fault

    def outage(self, context: CommandContext) -> Fault:
        """Have a component or another server be away."""
        (domain,) = context.arguments.texts("address")
        fault = self.table.add(Fault("outage", domain, "is away"))
        for wire in self.wires.of(fault):
            wire.cut_off(0.0)
        return fault

    def _at_element(self, name: str, context: CommandContext) -> Fault:
        """A fault at an element, in the table; or one for now, if nothing is said of one."""
        told, match = context.arguments, matched(context.arguments)
        whom = told.jid("address").full
        if match == Match() and not told.given("at") and not told.given("times"):
            return self.table.numbered(Fault(name, whom, f"{name} at once"))
        at = told.text("at", "before")
        if at == "inside":
            match = replace(match, direction=match.direction or "got")
            if match.direction == "sent":
                raise Refused(
                    "the server handles an element only when it is complete: say before",
                    Condition.BAD_REQUEST, argument="at",
                )  # fmt: skip
        says = f"{name} {at} the next {match}"
        return self.table.add(Fault(name, whom, says, match, at, told.number("times", 1)))

    def _there(self, fault: Fault) -> list[FaultyWire]:
        """The connections of somebody who has some.

        Raises:
            Refused: There is none.
        """
        found = list(self.wires.of(fault))
        if not found:
            raise Refused(f"{fault.whom} has no connection", Condition.RECIPIENT_UNAVAILABLE)
        return found

    # -- inside ---------------------------------------------------------------------------------

    def login(self, context: CommandContext) -> Fault:
        """Refuse logins."""
        told = context.arguments
        condition, left = told.text("condition"), told.number("times", 1)
        says = f"refuses the next login with {condition}"
        account = told.jid("address").bare
        return self.table.add(
            Fault("login", account, says, left=left, condition=condition, text=told.text("text"))
        )

    def iq(self, context: CommandContext) -> Fault:
        """Answer requests with an error, or never."""
        told = context.arguments
        condition, left = told.text("condition"), told.number("times", 1)
        namespace, account = told.text("namespace"), told.jid("address").bare
        says = f"answers requests with {condition}" if condition else "never answers requests"
        return self.table.add(
            Fault(
                "iq",
                account,
                f"{says}{namespace and f' for {namespace}'}",
                Match(containing=namespace),
                left=left,
                condition=condition,
                text=told.text("text"),
            )
        )

    def token(self, context: CommandContext) -> Fault:
        """End the tokens that were given out up to now."""
        account = context.arguments.jid("address").bare
        return self.table.add(
            Fault("token", account, "the tokens have expired", since=self.wall_clock())
        )

    def certificate(self, context: CommandContext) -> Fault:
        """Show a certificate that has expired."""
        (domain,) = context.arguments.texts("address")
        self.certificates.show_expired(domain)
        return self.table.add(Fault("certificate", domain, "shows one that has expired"))

    def offline(self, context: CommandContext) -> Fault:
        """Keep no more messages."""
        account = context.arguments.jid("address").bare
        return self.table.add(Fault("offline", account, "has no room for more messages"))

    def store(self, context: CommandContext) -> Fault:
        """Have the store be slow."""
        late_ms = context.arguments.number("milliseconds", 0)
        return self.table.add(
            Fault("store", "", f"delays each call by {late_ms} ms", delay_s=late_ms / 1e3)
        )

    # -- all of them ----------------------------------------------------------------------------

    async def list_all(self, context: CommandContext) -> Replies:
        """List those that are there, and those that keep a connection still."""
        for fault in dict.fromkeys([*self.table.faults, *self.wires.frozen()]):
            yield row(fault)

    async def clear(self, context: CommandContext) -> Replies:
        """Take back all faults, or those of an address."""
        told = context.arguments
        whom = told.jid("address") if told.given("address") else None
        gone = self.table.clear(whom)
        thawed = self.wires.thaw(whom)
        if any(fault.name == "certificate" for fault in gone):
            self.certificates.show_right()
        yield f"faults cleared: {len(gone)}; connections resumed: {thawed}"


def row(fault: Fault) -> FaultRow:
    """A fault as it is shown."""
    return FaultRow(
        number=fault.number,
        fault=fault.name,
        address=fault.whom,
        times=fault.left,
        what=fault.says,
    )


@dataclass(frozen=True)
class FaultKind:
    """A kind of fault.

    Attributes:
        name: Of it.
        help: One line for people.
        arguments: Of its command.
        make: Makes one.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...]
    make: Callable[[FaultCommands, CommandContext], Fault]

    @property
    def about(self) -> Description:
        """Its command."""
        return Description(
            f"fault {self.name}", self.help, self.arguments, "changes", audited=False
        )


FAULTS = (
    FaultKind(
        "cut",
        "cut a connection, as a broken network does",
        (WHOM, AT, *MEANT, TIMES),
        FaultCommands.cut,
    ),
    FaultKind(
        "freeze",
        "freeze a connection: it stays open, but nothing gets through",
        (WHOM, AT, *MEANT),
        FaultCommands.freeze,
    ),
    FaultKind(
        "drop",
        "drop elements, so that they never arrive",
        (WHOM, *MEANT, TIMES),
        FaultCommands.drop,
    ),
    FaultKind(
        "delay",
        "delay everything, in both directions",
        (WHOM, MILLISECONDS),
        FaultCommands.delay,
    ),
    FaultKind("split", "send everything byte by byte", (WHOM,), FaultCommands.split),
    FaultKind(
        "end",
        "end streams with an error",
        (
            WHOM,
            Argument("condition", "the stream error", Choice(STREAM_CONDITIONS)),
            Argument("--host", "the other host, with see-other-host"),
            TEXT,
        ),
        FaultCommands.end,
    ),
    FaultKind(
        "login",
        "refuse the next login",
        (ACCOUNT, Argument("condition", "of SASL", Choice(SASL_CONDITIONS)), TEXT, TIMES),
        FaultCommands.login,
    ),
    FaultKind(
        "iq",
        "answer an account's requests with an error, or never",
        (
            ACCOUNT,
            Argument("--namespace", "the namespace of the requests; by default, all"),
            Argument(
                "--condition",
                "the error; by default, the server never answers",
                Choice(STANZA_CONDITIONS),
            ),
            TEXT,
            TIMES,
        ),
        FaultCommands.iq,
    ),
    FaultKind("token", "expire an account's tokens", (ACCOUNT,), FaultCommands.token),
    FaultKind(
        "certificate",
        "use an expired certificate",
        (Argument("address", "a domain of this server", DomainName()),),
        FaultCommands.certificate,
    ),
    FaultKind(
        "offline", "make an account's message storage full", (ACCOUNT,), FaultCommands.offline
    ),
    FaultKind("store", "make each database call slow", (MILLISECONDS,), FaultCommands.store),
    FaultKind(
        "outage",
        "make a component or another server unreachable",
        (Argument("address", "the domain", DomainName(ours=False)),),
        FaultCommands.outage,
    ),
)
"""All kinds of faults."""

LIST = Description("fault list", "list the active faults", empty="no fault is active")
CLEAR = Description(
    "fault clear",
    "clear faults, and resume frozen connections",
    (Argument("--address", "only faults of this address", Address()),),
    "changes",
    audited=False,
)
