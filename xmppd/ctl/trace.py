"""The command that shows the way of stanzas, as it happens."""

from contextlib import ExitStack
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Flag, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.config.scopes import CONTENT
from xmppd.ctl.declared import Declared
from xmppd.stanza import Condition
from xmppd.stanza.phrases import counted
from xmppd.trace.trace import TooManyTracers, Trace
from xmppd.trace.tracer import Tracer, TraceRow

MAX_SECONDS = 86_400
MAX_STANZAS = 1_000_000


@dataclass(frozen=True)
class TraceCommands:
    """The commands on stanzas."""

    traces: Trace
    clock: IReactorTime

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def trace(self, context: CommandContext) -> Replies:
        """Show each stanza when its way has ended, until the answer is not wanted any more."""
        told = context.arguments
        tracer = Tracer(told.jid("address"), bodies=told.flag("bodies"))
        remaining = told.number("stanzas", MAX_STANZAS)
        with ExitStack() as until:
            try:
                until.enter_context(self.traces.joined(tracer))
            except TooManyTracers as error:
                raise Refused(str(error), Condition.RESOURCE_CONSTRAINT) from error
            timer = self.clock.callLater(told.number("seconds", MAX_SECONDS), tracer.stop)
            until.callback(lambda: timer.active() and timer.cancel())
            yield f"tracing {tracer.address}; press Ctrl-C to stop"
            while remaining and (passage := await tracer.next()) is not None:
                remaining -= 1
                for row in tracer.rows(passage):
                    yield row
                if tracer.dropped:
                    yield (
                        f"left out {counted(tracer.dropped, 'stanza')}, because stanzas came "
                        "faster than they could be printed"
                    )
                    tracer.dropped = 0


COMMANDS: tuple[Declared[TraceCommands], ...] = (
    Declared(
        Description(
            "trace",
            "show what happens to stanzas from and to an address, stage by stage",
            (
                Argument("address", "the address of a session, an account or a domain", Address()),
                Argument("--bodies", "also show what people write", Flag(), scope=CONTENT),
                Argument("--seconds", "end after this many seconds", Number(1, MAX_SECONDS, "s")),
                Argument("--stanzas", "end after this many stanzas", Number(1, MAX_STANZAS)),
            ),
            answers="stream",
            asks="all",
            area="trace",
        ),
        TraceCommands.trace,
        (TraceRow,),
    ),
)
