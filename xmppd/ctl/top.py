"""The commands that show who causes most."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Choice, Number
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.host.metrics import series
from xmppd.host.rates import Rates
from xmppd.host.stage_samples import StageSamples
from xmppd.net.traffic_history import OTHERS as OTHER_PEERS
from xmppd.net.traffic_history import RANKS, TrafficHistory
from xmppd.presence.broadcast_counts import MINUTES, OTHERS, BroadcastCounts, Sum
from xmppd.session.peer_counts import NOTHING, Growth, Peer

DEFAULT_ROWS = 10
MAX_ROWS = 1_000


class AccountCauses(Row, frozen=True):
    """The traffic caused by an account's presence."""

    account: str
    broadcasts: int
    copies: int
    bytes: int
    percent: float


class SoftwareCauses(Row, frozen=True):
    """The traffic caused by the presence of all clients of one kind."""

    software: str
    broadcasts: int
    copies: int
    bytes: int
    percent: float


class PeerCauses(Row, frozen=True):
    """What somebody has sent, and was sent."""

    least = ("errors", "got", "percent", "presences")

    who: str
    stanzas: int
    messages: int
    presences: int
    iqs: int
    got: int
    deliveries: int
    bytes: int
    busy_ms: int
    slowed: int
    errors: int
    failed_logins: int
    percent: float


class StageRow(Row, frozen=True):
    """A stage of the server: what has come to it in the last minute, and its processor time."""

    stage: str
    stanzas: int | None
    busy_ms: int
    us_per_stanza: int | None
    percent: float


@dataclass(frozen=True)
class TopCommands:
    """The commands on traffic."""

    broadcast_counts: BroadcastCounts
    traffic: TrafficHistory
    rates: Rates
    samples: StageSamples

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def senders(self, context: CommandContext) -> Replies:
        """List those first of whom there is most, and all others last."""
        told = context.arguments
        rows = told.number("rows", DEFAULT_ROWS)
        rank = RANKS[told.text("of", "stanzas")]
        growths = dict(self.traffic.by(told.text("by", "session"), told.number("minutes", 1)))
        total = sum(map(rank, growths.values()))
        others = growths.pop(OTHER_PEERS.session, NOTHING)
        ranked = sorted(growths.items(), key=lambda item: rank(item[1]), reverse=True)
        for _, grown in ranked[rows:]:
            others = others.plus(grown)
        for who, grown in (*ranked[:rows], (OTHER_PEERS.session, others)):
            if grown != NOTHING:
                part = 100 * rank(grown) / total if total else 0.0
                yield _row(who, grown, round(part, 1))

    async def stages(self, context: CommandContext) -> Replies:
        """List the stages that have been at work longest first."""
        grown = self.rates.lately()
        busy_s = {
            stage: grown.get(series("stage_seconds", {"stage": stage}), 0.0)
            for stage in self.samples.seen
        }
        total_s = sum(busy_s.values())
        for stage in sorted(busy_s, key=lambda stage: -busy_s[stage]):
            came = grown.get(series("stage_stanzas", {"stage": stage}))
            if came or busy_s[stage]:
                yield StageRow(
                    stage=stage,
                    stanzas=None if came is None else round(came),
                    busy_ms=round(1e3 * busy_s[stage]),
                    us_per_stanza=round(1e6 * busy_s[stage] / came) if came else None,
                    percent=round(100 * busy_s[stage] / total_s, 1) if total_s else 0.0,
                )

    async def presence(self, context: CommandContext) -> Replies:
        """List those that cause most first, and all others last."""
        told = context.arguments
        minutes, rows = told.number("minutes", MINUTES), told.number("rows", DEFAULT_ROWS)
        by_account = told.text("by", "account") == "account"
        row = AccountCauses if by_account else SoftwareCauses
        sums = (
            self.broadcast_counts.accounts(minutes)
            if by_account
            else self.broadcast_counts.software(minutes)
        )
        total = sum(caused.copies for caused in sums.values()) or 1
        others = sums.pop(OTHERS, Sum())
        ranked = sorted(sums.items(), key=lambda item: item[1].copies, reverse=True)
        for _, caused in ranked[rows:]:
            others.add_all(caused)
        for name, caused in (*ranked[:rows], (OTHERS, others)):
            if caused.broadcasts:
                percent = round(100 * caused.copies / total, 1)
                yield row(name, caused.broadcasts, caused.copies, caused.bytes, percent)


def _row(who: str, grown: Growth, percent: float) -> PeerCauses:
    return PeerCauses(
        who=who,
        stanzas=grown.stanzas,
        messages=grown.messages,
        presences=grown.presences,
        iqs=grown.iqs,
        got=grown.got,
        deliveries=grown.deliveries,
        bytes=grown.bytes,
        busy_ms=round(1_000 * grown.busy_s),
        slowed=grown.slowed,
        errors=grown.errors,
        failed_logins=grown.failed_logins,
        percent=percent,
    )


_ROWS = Argument("--rows", f"how many rows; {DEFAULT_ROWS} by default", Number(1, MAX_ROWS))

COMMANDS: tuple[Declared[TopCommands], ...] = (
    Declared(
        Description(
            "top senders",
            "show who sent the most in the last few minutes, including those who have left since",
            (
                Argument(
                    "--by",
                    "rank sessions, accounts, addresses …; session by default",
                    Choice(Peer._fields),
                ),
                Argument("--of", "what to rank by; stanzas by default", Choice(tuple(RANKS))),
                Argument(
                    "--minutes",
                    f"how many minutes to look back; 1 by default, at most {MINUTES}",
                    Number(1, MINUTES),
                ),
                _ROWS,
            ),
            asks="all",
        ),
        TopCommands.senders,
        (PeerCauses,),
    ),
    Declared(
        Description(
            "top stages",
            "show which stages of the server were busiest in the last minute",
            asks="all",
            empty="nothing was handled in this time",
        ),
        TopCommands.stages,
        (StageRow,),
    ),
    Declared(
        Description(
            "top presence",
            "show whose presence went to the most contacts in the last few minutes",
            (
                Argument(
                    "--by", "what to rank; account by default", Choice(("account", "software"))
                ),
                Argument(
                    "--minutes",
                    f"how many minutes to look back; {MINUTES} by default, which is the maximum",
                    Number(1, MINUTES),
                ),
                _ROWS,
            ),
            asks="all",
            empty="no presence was sent in this time",
        ),
        TopCommands.presence,
        (AccountCauses, SoftwareCauses),
    ),
)
