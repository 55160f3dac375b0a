"""What several nodes cost that are one service, beside one node, in the same run.

    python -m bench.cluster [--quick] [--links direct|redis] [--peers] [--beside DIR]
                            [--scenario REGEX]

A server that is alone and a service of three nodes are measured in turn, so that other work of the
machine falls on both; the ratio of the smallest figures is what is judged. Redis and PostgreSQL are
the bench's own. With ``--peers`` two of our nodes beside two ejabberd; with ``--beside`` three of
another checkout in the same turns.
"""

import argparse
import json
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from bench.client import raise_descriptor_limit
from bench.compare import RESULTS, load, machine, number, table, values
from bench.crossing import bytes_each, commands, until_lost
from bench.ejabberd_nodes import EjabberdNodes
from bench.entry_sizes import sizes as entry_sizes
from bench.meter import Result
from bench.nodes import Beside, Service
from bench.postgres import PostgreSQL
from bench.server import ServerError
from tests.faults.faults import FAULTS
from tests.faults.matrix import run as happen
from tests.redis_server import RedisProcess

NODES = 3
SIZES = (3, 5, 9)
DIRECT, BY_REDIS = "direct", "redis"
SETTLE_S = 1.0
LEASE_S = 5.0  # as configured by default
QUICK_S = 1.5
HOME, ACROSS, DETOUR, BESIDE = "home", "across", "detour", "beside"
PRESENCE = "presence --contacts 200 --messages 100"
RING = "ring -n 315 --contacts 10"


@dataclass(frozen=True)
class Scenario:
    """A scenario of bench.load, at home and across nodes.

    Attributes:
        name: Its own.
        load: Arguments of bench.load.
        per: What one operation is.
        most: By the way between nodes, how many times the figure of one node that of three may be;
            or how much more, if it is a difference.
        figure: Field of its results.
        unit: Of the figure.
        differs: Whether it is the difference that counts.
        again: Whether servers have done it before, unmeasured: passwords are derived once. If not,
            they are restarted for each repetition.
    """

    name: str
    load: str
    per: str
    most: dict[str, float]
    figure: str = "cpu_us_per_op"
    unit: str = "µs"
    differs: bool = False
    again: bool = True


SCENARIOS = (
    Scenario("chat-w20", "chat --window 20", "message", {DIRECT: 2.2, BY_REDIS: 5.0}),
    Scenario("chat-w1", "chat", "message", {DIRECT: 3.5}),
    Scenario(
        "rate-2000", "rate --rate 2000", "message, p99", {DIRECT: 2.0}, "p99_ms", "ms"
    ),
    Scenario("presence-200", PRESENCE, "delivery", {DIRECT: 1.5}),
    Scenario("herd-tls", f"{RING} --starttls --concurrency 315", "login", {DIRECT: 1.4}),
    Scenario(
        "memory", "ring -n 900 --contacts 10 --rings 2", "session", {DIRECT: 3.5, BY_REDIS: 3.5},
        "kb_per_session", "KB", differs=True, again=False,
    ),
)  # fmt: skip


@dataclass
class Row:
    """A line of the report.

    Attributes:
        name: Of the scenario.
        figures: What was measured, in words; by column.
        outcome: What is judged.
        target: What it may be at most; empty if it is told for information.
        met: Whether it is.
        note: About how sure that is.
    """

    name: str
    figures: list[str]
    outcome: str
    target: str = ""
    met: bool = True
    note: str = ""

    @property
    def cells(self) -> list[str]:
        """Of the table."""
        verdict = "–" if not self.target else "met" if self.met else "**missed**"
        return [self.name, *self.figures, self.outcome, self.target or "–", verdict, self.note]


@dataclass
class Bench:
    """One run.

    Attributes:
        directory: For all that is started.
        beside: Redis and PostgreSQL.
        links: The way between nodes.
        repetitions: Of each scenario.
        duration_s: Of those that last so long; None for their usual time.
        lines: Gets each repetition.
        more: Options of bench.load that count more than those of the scenarios.
        sizes: Of the services whose logins are compared.
        other: Another checkout, whose nodes are measured as well.
    """

    directory: Path
    beside: Beside
    links: str
    repetitions: int
    duration_s: float | None
    lines: TextIO
    more: tuple[str, ...] = ()
    sizes: tuple[int, ...] = SIZES
    other: Path | None = None

    @contextmanager
    def service(
        self, name: str, size: int, links: str | None = None, root: Path | None = None
    ) -> Iterator[Service]:
        """A service, of which nothing is left afterwards; it is not started."""
        way = self.links if links is None else links
        service = Service(self.directory, name, self.beside, size, way, root)
        try:
            yield service
        finally:
            service.remove()

    def load(self, arguments: str, servers: "Service | EjabberdNodes", *more: str) -> Result:
        """One repetition against some servers."""
        command = [] if self.duration_s is None else ["--duration", str(self.duration_s)]
        command += [*arguments.split(), "--port", *map(str, servers.ports)]
        command += ["--server-pid", *map(str, servers.pids)]
        if isinstance(servers, Service):
            command += ["--database", servers.database]
            if servers.links and self.beside.redis.process is not None:
                command += ["--beside-pid", str(self.beside.redis.process.pid)]
        found = load([*command, *self.more, *more])
        for result in found:
            if "error" in result:
                raise ServerError(f"{arguments}: {result['error']}")
        return found[-1] if found else {}

    def in_turn(
        self,
        name: str,
        arguments: dict[str, str],
        servers: "dict[str, Service | EjabberdNodes]",
        repetitions: int | None = None,
    ) -> dict[str, list[Result]]:
        """Measure several in turn, each after a restart and with accounts of its own. Without a
        number of repetitions there is one before them that does not count.
        """
        results: dict[str, list[Result]] = {column: [] for column in servers}
        for column, each in servers.items():
            each.start()
            self.load(arguments[column], each, "--setup")
        time.sleep(SETTLE_S)
        if repetitions is None:
            for column, each in servers.items():
                self.load(arguments[column], each)
        for repetition in range(repetitions or self.repetitions):
            for column, each in servers.items():
                result = self.load(arguments[column], each)
                results[column].append(result)
                names = {"scenario": name, "servers": column, "repetition": repetition}
                print(json.dumps(names | result), file=self.lines, flush=True)
                told = f"{result['cpu_us_per_op']} µs"
                print(f"{name} {column} {repetition + 1}: {told}", file=sys.stderr)
        for each in servers.values():
            each.stop()
        return results


def best(results: list[Result], figure: str) -> float:
    """The smallest of the repetitions: what other work of the machine has disturbed least."""
    return min(values(results, figure))


def shown(results: list[Result], figure: str, unit: str) -> str:
    """The smallest and the largest of the repetitions."""
    found = values(results, figure)
    return f"{number(min(found))}–{number(max(found))} {unit}"


def noise(results: dict[str, list[Result]]) -> str:
    """How much else the machine did, at most, in cores."""
    other = [load for each in results.values() for load in values(each, "other_load")]
    return f"other load ≤ {max(other):.1f}" if other else ""


def redis_beside(results: list[Result]) -> str:
    """What Redis worked for each operation."""
    return f"{number(best(results, 'beside_us_per_op'))} µs"


# -- the scenarios -------------------------------------------------------------------------------


def contrast(bench: Bench, scenario: Scenario, home: Service, across: Service) -> Row:
    """The figure of three nodes beside that of one, and of three of another checkout."""
    with ExitStack() as stack:
        servers: dict[str, Service | EjabberdNodes] = {HOME: home, ACROSS: across}
        if bench.other is not None:
            other = bench.service(BESIDE, NODES, root=bench.other)
            servers[BESIDE] = stack.enter_context(other)
        arguments = dict.fromkeys(servers, scenario.load)
        if scenario.again:
            results = bench.in_turn(scenario.name, arguments, servers)
        else:
            results = {column: [] for column in servers}
            for _ in range(bench.repetitions):
                for column, found in bench.in_turn(scenario.name, arguments, servers, 1).items():
                    results[column] += found
    told = ""
    if bench.other is not None:
        theirs = shown(results[BESIDE], scenario.figure, scenario.unit)
        told = f"{bench.other.name}: {theirs}; "
    one, three = (best(results[column], scenario.figure) for column in (HOME, ACROSS))
    figure = three - one if scenario.differs else three / one
    most = scenario.most.get(bench.links)
    unit = f" {scenario.unit}" if scenario.differs else "×"
    return Row(
        f"{scenario.name}, a {scenario.per}",
        [
            shown(results[HOME], scenario.figure, scenario.unit),
            shown(results[ACROSS], scenario.figure, scenario.unit),
            redis_beside(results[ACROSS]),
        ],
        f"{'+' * scenario.differs}{number(figure)}{unit}",
        "" if most is None else f"≤ {'+' * scenario.differs}{most:g}{unit}",
        most is None or figure <= most,
        told + noise(results),
    )


def sizes(bench: Bench) -> Row:
    """A login in services of several sizes."""
    with ExitStack() as stack:
        services: dict[str, Service | EjabberdNodes] = {
            str(size): stack.enter_context(bench.service(f"of{size}", size)) for size in bench.sizes
        }
        arguments = {
            size: f"{RING} --starttls --concurrency 315 --nodes {size}" for size in services
        }
        results = bench.in_turn("sizes", arguments, services)
    costs = {size: best(found, "cpu_us_per_op") for size, found in results.items()}
    worst = max(costs.values()) / min(costs.values())
    told = ", ".join(f"{size}: {number(cost)}" for size, cost in costs.items())
    return Row(
        f"a login in services of {', '.join(services)}", ["–", f"{told} µs", "–"],
        f"{worst:.2f}×", "≤ 1.1×" if bench.links == DIRECT else "", worst <= 1.1, noise(results),
    )  # fmt: skip


def ways(bench: Bench, scenario: Scenario) -> Row:
    """A scenario across nodes by Redis, beside the same by links."""
    with (
        bench.service("linked", NODES, DIRECT) as linked,
        bench.service("unlinked", NODES, BY_REDIS) as unlinked,
    ):
        servers: dict[str, Service | EjabberdNodes] = {DIRECT: linked, BY_REDIS: unlinked}
        arguments = dict.fromkeys(servers, scenario.load)
        results = bench.in_turn(f"ways-{scenario.name}", arguments, servers)
    told = (f"{way} {shown(found, scenario.figure, '')}" for way, found in results.items())
    ratio = best(results[BY_REDIS], scenario.figure) / best(results[DIRECT], scenario.figure)
    return Row(
        f"{scenario.name} by Redis beside links, a {scenario.per}",
        ["–", f"{'; '.join(told)}{scenario.unit}", redis_beside(results[BY_REDIS])],
        f"{number(ratio)}×",
        note=noise(results),
    )


def sizes_of_entries(bench: Bench) -> Row:
    """The bytes of the usual entries: computed, and the same on every machine."""
    found = entry_sizes()
    told = ", ".join(f"{what}: {size}" for what, size in found.items())
    return Row("bytes of an entry", ["–", told, "–"], "–")


def killed(bench: Bench) -> Row:
    """What is lost, comes twice or out of order, or is shown wrongly, when each node in turn is
    killed under people who chat: as the tests of faults judge it.
    """
    wrong, counts = [], []
    for node in "abc":
        found, counted = happen(
            FAULTS[f"kill-{node}"],
            bench.links,
            bench.repetitions,
            bench.beside.postgres.make_database(),
        )
        wrong += found
        counts += re.findall(r"\d+ messages, \d+ acknowledged|\d+ resumed, \d+ began anew", counted)
    return Row(
        "kill −9 of each node in turn, among ten clients",
        ["–", "; ".join(counts), "–"], f"{len(wrong)} wrong", "0 wrong", not wrong,
        "lost, twice, out of order, or shown wrongly",
    )  # fmt: skip


def detour(bench: Bench, scenario: Scenario, home: Service) -> Row:
    """A scenario while all links are cut, for information."""
    one: list[Result] = []
    three: list[Result] = []
    with bench.service("detour", NODES) as service:
        service.detour()
        for each in (home, service):
            each.start()
            bench.load(scenario.load, each, "--setup")
        service.cut()
        for _ in range(bench.repetitions):
            one.append(bench.load(scenario.load, home))
            three.append(bench.load(scenario.load, service))
        home.stop()
    ratio = best(three, scenario.figure) / best(one, scenario.figure)
    return Row(
        f"{scenario.name} by the detour, a {scenario.per}",
        [
            shown(one, scenario.figure, scenario.unit),
            shown(three, scenario.figure, scenario.unit),
            redis_beside(three),
        ],
        f"{number(ratio)}×",
        note=noise({HOME: one, DETOUR: three}),
    )


def in_redis(bench: Bench, across: Service) -> Row:
    """How many commands in Redis a login, a presence and a message take."""
    across.start()
    found = commands(across, bench.beside.redis)
    across.stop()
    return Row(
        "commands in Redis: login / presence / message", ["–", found.told, "–"], found.rounded,
        "2 / 0 / 0", found.rounded == "2 / 0 / 0",
        f"{found.streams} more for streams" if bench.links == BY_REDIS else "",
    )  # fmt: skip


def on_links(bench: Bench, across: Service) -> Row:
    """The bytes of a presence on links, for each contact at another node."""
    across.start()
    bench.load(PRESENCE, across, "--setup")
    each = bytes_each(across)
    across.stop()
    return Row(
        "presence-200, bytes on links", ["–", f"{each:.1f} for each contact there", "–"],
        f"{each:.1f}", "≤ 40", each <= 40, "TLS and acknowledgements included",
    )  # fmt: skip


def loss(bench: Bench, across: Service) -> Row:
    """How long until all others know that a node is lost that was killed."""
    across.start()
    found = [until_lost(across) for _ in range(min(bench.repetitions, 3))]
    across.stop()
    most = LEASE_S + 1.5
    return Row(
        "kill −9 until all others know", ["–", f"{min(found):.1f}–{max(found):.1f} s", "–"],
        f"{max(found):.1f} s", f"≤ {most:g} s", max(found) <= most, f"lease of {LEASE_S:g} s",
    )  # fmt: skip


def shared_port(bench: Bench) -> Row:
    """Messages a second of a machine with one and with two nodes that share a client port."""
    with bench.service("alone", 1, "") as one, bench.service("pair", 2) as two:
        for service in (one, two):
            service.share_port()
        results = bench.in_turn(
            "shared-port",
            dict.fromkeys((HOME, ACROSS), "chat --window 20"),
            {HOME: one, ACROSS: two},
        )
    rates = [max(values(results[column], "ops_per_s")) for column in (HOME, ACROSS)]
    costs = [best(results[column], "cpu_us_per_op") for column in (HOME, ACROSS)]
    full = [cores * 1e6 / max(cost, 1.0) for cores, cost in zip((1, 2), costs, strict=True)]
    return Row(
        "one and two nodes at one port, chat-w20",
        [
            f"{number(rates[0])}/s, {number(costs[0])} µs",
            f"{number(rates[1])}/s, {number(costs[1])} µs",
            redis_beside(results[ACROSS]),
        ],
        f"{rates[1] / rates[0]:.2f}×",
        note=f"a core for each node: {full[0]:.0f} and {full[1]:.0f}/s; " + noise(results),
    )


def beside_peers(bench: Bench) -> Iterator[Row]:
    """Two of our nodes beside two ejabberd; the figure is ours."""
    theirs = EjabberdNodes(bench.directory)
    theirs.check_installed()
    with bench.service("ours", 2) as ours:
        try:
            for name, arguments, most in (
                ("chat-w20", "chat --window 20", 0.5 if bench.links == DIRECT else None),
                ("chat-w1", "chat", None),
                ("presence-200", PRESENCE, None),
            ):
                results = bench.in_turn(
                    f"peers-{name}",
                    dict.fromkeys(("ours", "ejabberd"), arguments),
                    {"ours": ours, "ejabberd": theirs},
                )
                costs = [best(results[column], "cpu_us_per_op") for column in ("ours", "ejabberd")]
                ratio = costs[0] / costs[1]
                yield Row(
                    f"{name} across two nodes",
                    [
                        shown(results["ejabberd"], "cpu_us_per_op", "µs"),
                        shown(results["ours"], "cpu_us_per_op", "µs"),
                        redis_beside(results["ours"]),
                    ],
                    f"{ratio:.2f}×",
                    "" if most is None else f"≤ {most:g}×",
                    most is None or ratio <= most,
                    noise(results),
                )
        finally:
            theirs.stop()


# -- the report ----------------------------------------------------------------------------------

HEAD = ["", "at home", "across nodes", "Redis", "figure", "target", "verdict", ""]
PEERS_HEAD = ["", "two ejabberd", "two xmppd", "Redis", "figure", "target", "verdict", ""]


def rows(bench: Bench, wanted: Callable[[str], bool]) -> Iterator[Row]:
    """Measure all that is wanted; what cannot be measured says why."""
    with bench.service("home", 1, "") as home, bench.service("across", NODES) as across:
        for scenario in SCENARIOS:
            if wanted(scenario.name):
                yield tried(scenario.name, partial(contrast, bench, scenario, home, across))
        for name, measuring in OF_THREE.items():
            if wanted(name) and (bench.links == DIRECT or name not in ON_LINKS):
                yield tried(name, partial(measuring, bench, across))
        if wanted("detour") and bench.links == DIRECT:
            for scenario in SCENARIOS:
                if scenario.name in DETOURED:
                    yield tried("detour", partial(detour, bench, scenario, home))
    for name, of_its_own in OTHERS.items():
        if wanted(name):
            yield tried(name, partial(of_its_own, bench))


def tried(name: str, measuring: Callable[[], Row]) -> Row:
    """The row of a scenario, or why there is none."""
    try:
        return measuring()
    except ServerError as error:
        return Row(name, ["–"] * 3, "–", "measured", met=False, note=str(error))


OF_THREE = {"commands": in_redis, "bytes": on_links, "loss": loss}
ON_LINKS = ("bytes",)
DETOURED = ("chat-w20", "presence-200")
WAYS = ("chat-w20", "chat-w1", "presence-200")
OTHERS: dict[str, Callable[[Bench], Row]] = {
    "sizes": sizes,
    "shared-port": shared_port,
    **{
        f"ways-{scenario.name}": partial(ways, scenario=scenario)
        for scenario in SCENARIOS
        if scenario.name in WAYS
    },
    "entries": sizes_of_entries,
    "killed": killed,
}
NAMES = (*(scenario.name for scenario in SCENARIOS), *OF_THREE, "detour", *OTHERS)


class Options(argparse.Namespace):
    """The command line."""

    quick: bool
    links: str
    peers: bool
    beside: Path | None
    scenario: str
    repetitions: int | None


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter: a few minutes")
    parser.add_argument("--links", choices=(DIRECT, BY_REDIS), default=DIRECT)
    parser.add_argument("--peers", action="store_true", help="beside two ejabberd")
    parser.add_argument("--beside", type=Path, metavar="DIR", help="beside another checkout")
    parser.add_argument("--scenario", default="", metavar="REGEX", help=", ".join(NAMES))
    parser.add_argument("--repetitions", type=int, help="of each scenario (5; quick: 3)")
    return parser.parse_args(arguments, Options())


def measure(options: Options, bench: Bench) -> None:
    """Measure everything, and print each row when it is there."""
    judged = "what is judged is the ratio of the smallest"
    print(
        f"# Measured {time.strftime('%Y-%m-%d %H:%M')}, links: {bench.links}\n\n{machine()}\n\n"
        f"CPU of all nodes together: smallest and largest of {bench.repetitions} runs; {judged}."
    )

    def wanted(name: str) -> bool:
        return re.search(options.scenario, name) is not None

    show(HEAD, rows(bench, wanted))
    if options.peers:
        show(PEERS_HEAD, beside_peers(bench))


def show(head: list[str], found: Iterator[Row]) -> None:
    """Print a table, as long as there are rows."""
    for index, row in enumerate(found):
        lines = table(head, [row.cells]).splitlines()
        print("\n".join(lines[2:] if index else ["", *lines]), flush=True)


def run(options: Options) -> None:
    """Have Redis and PostgreSQL for the time of measuring."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"cluster-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    repetitions = options.repetitions or (3 if options.quick else 5)
    postgres, redis = PostgreSQL(), RedisProcess()
    try:
        beside = Beside(postgres.start(), redis.start())
        duration_s = QUICK_S if options.quick else None
        with (
            tempfile.TemporaryDirectory(prefix="xmppd-bench-", dir="/tmp") as directory,
            path.open("w") as lines,
        ):
            bench = Bench(
                Path(directory), beside, options.links, repetitions, duration_s, lines,
                other=None if options.beside is None else options.beside.resolve(),
            )  # fmt: skip
            measure(options, bench)
    finally:
        redis.stop()
        postgres.stop()


def main() -> int:
    """Measure, print the report, leave nothing running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    raise_descriptor_limit()
    try:
        run(parse())
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
