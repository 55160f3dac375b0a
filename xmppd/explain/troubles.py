"""Troubles: what is wrong with the server just now."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xmppd.acme.renewals import PRESSING_S, Renewals
from xmppd.command.command import STATES
from xmppd.host.failures import Failures, RepeatedFailure
from xmppd.net.traffic_history import OTHERS
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza.phrases import counted, listed
from xmppd.store.watched import SLOW_S

KEEPS_FAILING = 3
"""Streams with another server that have failed so often in a row keep failing."""

NEARLY_FULL = 0.05
"""Of a disk: the part that is free."""

FULL_BYTES = 67_108_864
"""A disk with less room than that is full, for a database."""

FILES_NEAR = 0.8
"""The part of the files that connections may have."""

A_THIRD = 1 / 3
"""Of all stanzas of a minute: whoever sends more is named."""

MANY_STANZAS = 600
"""Of a minute: who sends fewer is not named."""

MANY_LOGINS = 30
"""Of a minute: with fewer that fail, nobody is named."""

LATE_S = 1.0
"""Of the loop over the sockets: more is trouble."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong.

    Attributes:
        code: Its name for programs.
        says: A sentence for people, without its full stop.
        severe: Whether somebody is not served; else it is a warning.
    """

    code: str
    says: str
    severe: bool = False


@dataclass(frozen=True)
class Surroundings:
    """What the server itself does not know.

    Attributes:
        plugins: Those that are loaded, and those that should be.
        failures: Of the program, in the last hour.
        unread: Files that have changed since they were read.
        renewals: What has certificates signed; None if no domain wants that.
    """

    plugins: PluginManager
    failures: Failures
    unread: Callable[[], Sequence[Path]]
    renewals: Renewals | None = None


class Troubles:
    """Looks for what is wrong, whenever somebody asks.

    Args:
        server: Its stages are asked.
        around: What these do not know.
    """

    def __init__(self, server: XMPPServer, around: Surroundings) -> None:
        self._server = server
        self._around = around

    def now(self) -> tuple[Trouble, ...]:
        """What is wrong, the severe first."""
        found = [trouble for look in _LOOKS for trouble in look(self._server, self._around)]
        return tuple(sorted(found, key=lambda trouble: not trouble.severe))


def state_of(found: Sequence[Trouble]) -> str:
    """One of :data:`STATES`, for a server with which so much is wrong."""
    return STATES[2 if any(each.severe for each in found) else bool(found)]


def _store(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    watched = server.store.watched
    for doing, error in watched.failing().items():
        yield Trouble(
            "store-fails",
            f"the database cannot be {doing} ({error}): check that it is running, and that its "
            "disk has room",
            severe=True,
        )
    slow_s = watched.lately_s()
    if slow_s > SLOW_S:
        yield Trouble(
            "store-slow",
            f"a database call takes {slow_s:.2f} s, with {watched.under_way} in "
            "progress: check the load of its machine and disk",
        )


def _disk(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    data = server.config.data
    try:
        space = shutil.disk_usage(data)
    except OSError:
        return  # it is gone, as the database will say
    left = f"{space.free / 1e6:,.0f} MB ({100 * space.free / space.total:.1f} %) left"
    if space.free < FULL_BYTES:
        fails = "written" in server.store.watched.failing()
        now = "writes fail now" if fails else "writes fail as soon as that is used up"
        yield Trouble(
            "disk-full",
            f"the disk of {data} is full, {left}: {now}, so make room at once",
            severe=True,
        )
    elif space.free < NEARLY_FULL * space.total:
        yield Trouble(
            "disk-nearly-full",
            f"the disk of {data} is nearly full, {left}: make room before writes fail",
        )


def _certificates(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    for end in server.certificate_ends.soon():
        ended = end.left_s <= 0
        yield Trouble("certificate-ended" if ended else "certificate-ends", end.says, severe=ended)


def _renewals(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    if around.renewals is None:
        return
    for upkeep in around.renewals.upkeeps.values():
        if upkeep.trouble:
            left_s = around.renewals.left_s(upkeep)
            days = counted(round(left_s / 86_400), "day")
            state = f"expires in {days}" if left_s else "is self-signed"
            yield Trouble(
                "certificate-not-renewed",
                f"the certificate of {upkeep.name} {state}, and could not be renewed: "
                f"{upkeep.trouble}; when that is corrected, run xmppctl certificate renew",
                severe=left_s < PRESSING_S,
            )


def _files(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    files = server.descriptors
    used = sum(
        len(each.handlers)
        for each in (
            server.client_connections,
            server.server_connections,
            server.components.connections,
            server.foreign_routes.outgoing_connections,
        )
    ) + len(server.http_connections.connections)
    remedy = "raise LimitNOFILE= of the unit, or ulimit -n"
    if files.turns_away:
        yield Trouble(
            "files-all-open",
            f"the server refuses connections, because it has reached its limit of open "
            f"files, {files.limit}: {remedy}",
            severe=True,
        )
    elif used > FILES_NEAR * files.for_connections:
        yield Trouble(
            "files-nearly-all-open",
            f"open connections: {used}; the limit of open files allows {files.for_connections}: "
            f"{remedy}",
        )


def _plugins(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    plugins = around.plugins
    missing = [name for name in plugins.config.plugins.load if name not in plugins.loaded]
    if missing:
        yield Trouble(
            "plugin-not-loaded",
            f"{listed(missing)} {'is' if len(missing) == 1 else 'are'} in plugins.load, but not "
            f"loaded: run xmppctl plugin load {missing[0]}, which loads it or says why not",
            severe=True,
        )
    latest: dict[str, RepeatedFailure] = {}
    times: Counter[str] = Counter()
    for failure in around.failures.recent():
        latest[failure.owner] = failure
        times[failure.owner] += failure.count
    for owner, failure in latest.items():
        whose = f"plugin {owner}" if owner in plugins.loaded else "a part of the server"
        code = "plugin-failed" if owner in plugins.loaded else "server-failed"
        yield Trouble(
            code,
            f"{whose} failed {counted(times[owner], 'time')} in the last hour, most recently "
            f"with {failure.error}: the log says where; please report it",
        )


def _other_servers(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    for pair in server.foreign_routes.pairs.values():
        if pair.failures >= KEEPS_FAILING and pair.why is not None:
            yield Trouble(
                "server-not-reached",
                f"streams from {pair.local} to {pair.remote} keep failing "
                f"({counted(pair.failures, 'time')}; "
                f"{pair.why.text or pair.why.condition.tag}): see xmppctl s2s why {pair.remote}",
            )
        elif pair.is_silent:
            yield Trouble(
                "server-silent",
                f"{pair.remote} accepts stanzas from {pair.local}, but does not answer: "
                f"see xmppctl s2s why {pair.remote}",
            )


def _components(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    for domain, route in server.components.routes.items():
        if not route.count:
            yield Trouble(
                "component-away",
                f"component {domain} is not connected: start its program, and check that it has "
                "the secret from the configuration",
            )


def _configuration(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    changed = [str(path) for path in around.unread()]
    if changed:
        yield Trouble(
            "not-read",
            f"{listed(changed)} changed on disk and {'is' if len(changed) == 1 else 'are'} not "
            "in effect yet: run xmppctl reload",
        )


def _loop(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    late_s = server.late_s()
    if late_s > LATE_S:
        yield Trouble(
            "late",
            f"the server is {late_s:.1f} s late in reading its sockets: see xmppctl top",
            severe=True,
        )


def _senders(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    sent = server.traffic_history.by("session", 1)
    total = sum(grown.stanzas for grown in sent.values())
    for who, grown in sent.items():
        if who != OTHERS.session and grown.stanzas > max(MANY_STANZAS, total * A_THIRD):
            times = counted(grown.slowed, "time")
            slowed = f", and was slowed down {times}" if grown.slowed else ""
            number, kind = max(
                (grown.messages, "messages"),
                (grown.presences, "presences"),
                (grown.iqs, "requests"),
            )
            yield Trouble(
                "one-sends-a-third",
                f"{who} sent {grown.stanzas} of {counted(total, 'stanza')} in the last minute, "
                f"{number} of them {kind}{slowed}: see xmppctl top senders; xmppctl session end "
                "ends a session",
            )


def _logins(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    failed = server.traffic_history.by("address", 1)
    total = sum(grown.failed_logins for grown in failed.values())
    if total >= MANY_LOGINS:
        address = max(failed, key=lambda each: failed[each].failed_logins)
        yield Trouble(
            "logins-fail",
            f"failed logins in the last minute: {total}, "
            f"{failed[address].failed_logins} of them from {address}: see xmppctl top senders --by "
            "address --of failed-logins",
        )
    queue = server.client_connections.login_queue
    if queue.waiting >= MANY_LOGINS:
        yield Trouble(
            "logins-wait",
            f"many clients are logging in at once, and take turns: {queue.waiting} waiting, "
            f"{queue.in_progress} in progress",
        )


def _nodes(server: XMPPServer, around: Surroundings) -> Iterator[Trouble]:
    if not server.cluster.membership.speaks:
        yield Trouble(
            "node-silent",
            "this node is stopped, because it cannot renew its lease in Redis: see xmppctl "
            "cluster status",
            severe=True,
        )


_LOOKS: tuple[Callable[[XMPPServer, Surroundings], Iterator[Trouble]], ...] = (
    _nodes,
    _store,
    _disk,
    _loop,
    _files,
    _certificates,
    _renewals,
    _plugins,
    _components,
    _other_servers,
    _senders,
    _logins,
    _configuration,
)

__all__ = ["Surroundings", "Trouble", "Troubles", "state_of"]
