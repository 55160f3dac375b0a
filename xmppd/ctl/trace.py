"""The command that shows what happens to stanzas, as it happens."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, address
from xmppd.ctl.protocol import Refused, Reply
from xmppd.trace.trace import TooManyTracers
from xmppd.trace.tracer import Tracer

MAX_SECONDS = 86_400
MAX_STANZAS = 1_000_000


async def _trace(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    tracer = Tracer(address(arguments.text("address")), bodies=arguments.flag("bodies"))
    seconds = arguments.number("seconds", MAX_SECONDS, MAX_SECONDS)
    remaining = arguments.number("stanzas", MAX_STANZAS, MAX_STANZAS)
    with ExitStack() as until:
        try:
            until.enter_context(context.trace.joined(tracer))
        except TooManyTracers as error:
            raise Refused(str(error)) from error
        timer = context.server.clock.callLater(seconds, tracer.end)
        until.callback(lambda: timer.active() and timer.cancel())
        yield f"tracing {tracer.address}; Ctrl-C ends it"
        while remaining and (passage := await tracer.next()) is not None:
            remaining -= 1
            for row in tracer.rows(passage):
                yield row
            if tracer.dropped:
                yield f"{tracer.dropped} stanzas were not shown: nobody read fast enough"
                tracer.dropped = 0


COMMANDS = (
    Command(
        "trace",
        "show what happens to stanzas from and to an address, stage by stage",
        _trace,
        (
            Argument("address", "of a session, an account or a domain"),
            Argument("--bodies", "show what people write, too", "flag"),
            Argument("--seconds", "end after so many"),
            Argument("--stanzas", "end after so many"),
        ),
        needs="server",
        answers="stream",
    ),
)
