"""What crosses between nodes: commands in Redis, bytes on links, the news that a node is lost."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.client import Client, Connections
from bench.fill import fill
from bench.load import BODY, PRESENCE_END, Total, count, ring_friendships
from bench.nodes import Service, wait_for
from bench.server import HOST
from tests.redis_server import RedisProcess

USERS = 90
CONTACTS = 10
EACH = 20
QUIET_S = 3.0
LOST_S = 30.0
PASSWORD = "pw"
DOMAIN = "p.test"
PREFIX = "crossing"
HUB_CONTACTS = 200
CHANGES = 100

_CALLS = re.compile(r"^cmdstat_(evalsha|xadd|xread|xtrim):calls=(\d+)", re.MULTILINE)
_SENT = re.compile(r"\bbytes_sent:(\d+)")


@dataclass(frozen=True)
class Commands:
    """The commands in Redis that one operation takes, without those of nodes at rest.

    Attributes:
        login: Of a login.
        presence: Of a change of presence.
        message: Of a message to a contact.
        streams: Those that carry entries, of all of them.
    """

    login: float
    presence: float
    message: float
    streams: int

    @property
    def told(self) -> str:
        """As they were measured."""
        return " / ".join(f"{each:.2f}" for each in (self.login, self.presence, self.message))

    @property
    def rounded(self) -> str:
        """As whole numbers."""
        numbers = (abs(round(each)) for each in (self.login, self.presence, self.message))
        return " / ".join(map(str, numbers))


class Calls:
    """Counts scripts that Redis is asked for, and knows how many these are at rest.

    Args:
        redis: Is asked.
    """

    def __init__(self, redis: RedisProcess) -> None:
        self.redis = redis
        before, began = self.now()[0], time.monotonic()
        time.sleep(QUIET_S)
        self.at_rest_per_s = (self.now()[0] - before) / (time.monotonic() - began)

    def now(self) -> tuple[int, int]:
        """Scripts so far, and commands on streams."""
        answer: bytes = self.redis.ask("INFO", "commandstats")
        found = {name: int(calls) for name, calls in _CALLS.findall(answer.decode())}
        scripts = found.pop("evalsha", 0)
        return scripts, sum(found.values())

    def of(self, work: Callable[[], int]) -> float:
        """The scripts for each operation of some work, which returns how many it was."""
        before, began = self.now()[0], time.monotonic()
        operations = work()
        at_rest = self.at_rest_per_s * (time.monotonic() - began)
        return (self.now()[0] - before - at_rest) / operations


def commands(service: Service, redis: RedisProcess) -> Commands:
    """Count what logins, presences and messages of a service's people take."""
    users = [f"{PREFIX}{number}" for number in range(USERS)]
    rosters: dict[str, list[str]] = {f"{user}@{DOMAIN}": [] for user in users}
    names = list(rosters)
    for one, other in ring_friendships(USERS, CONTACTS, len(service.nodes)):
        rosters[names[one]].append(names[other])
        rosters[names[other]].append(names[one])
    fill(service.database, PASSWORD, rosters)
    connections = Connections(HOST, service.ports, DOMAIN, PASSWORD)
    calls = Calls(redis)
    streams = calls.now()[1]
    clients: list[Client] = []

    def log_in() -> int:
        clients.extend(connections.log_in(users, USERS))
        connections.drain(0.5)
        return USERS

    def everybody(stanza: Callable[[Client], bytes]) -> int:
        for _ in range(EACH):
            for client in clients:
                client.send(stanza(client))
            connections.drain(0.05)
        connections.drain(0.5)
        return EACH * USERS

    def to_next(client: Client) -> bytes:
        peer = clients[(client.index + 1) % USERS]
        return b"<message to='%b' type='chat'><body>%b</body></message>" % (peer.bare, BODY)

    found = (
        calls.of(log_in),
        calls.of(lambda: everybody(lambda client: b"<presence><show>away</show></presence>")),
        calls.of(lambda: everybody(to_next)),
    )
    connections.close()
    return Commands(*found, calls.now()[1] - streams)


def bytes_each(service: Service, contacts_of_hub: int = HUB_CONTACTS) -> float:
    """The bytes on links for each contact at another node that a presence of the scenario's hub
    reaches: its accounts are there.
    """
    users = [f"uhub{contacts_of_hub}x{number}" for number in range(contacts_of_hub + 1)]
    connections = Connections(HOST, service.ports, DOMAIN, PASSWORD)
    hub, *contacts = connections.log_in(users, 50)
    connections.drain(0.7)
    total = Total()
    for client in contacts:
        count(client, PRESENCE_END, total.add)
    before = bytes_on_links(service)
    for number in range(CHANGES):
        hub.send(
            b"<presence><show>away</show><status>status number %d</status></presence>" % number
        )
        wanted = (number + 1) * len(contacts)
        connections.serve_until(lambda wanted=wanted: total.stanzas >= wanted, 60.0)  # type: ignore[misc]
    sent = bytes_on_links(service) - before
    connections.close()
    size = len(service.nodes)
    there = sum(1 for client in contacts if client.index % size != hub.index % size)
    return sent / (CHANGES * there)


def bytes_on_links(service: Service) -> int:
    """All that was sent so far on the connections between the nodes, in both directions."""
    doors = [node.door for node in service.nodes]
    chosen = " or ".join(f"sport = :{door} or dport = :{door}" for door in doors)
    command = ["ss", "-tinH", "state", "established", f"( {chosen} )"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sum(map(int, _SENT.findall(shown)))


def until_lost(service: Service) -> float:
    """Kill the last node; returns the seconds until all others have said that it is lost. It is
    started again.
    """
    *others, victim = service.nodes
    line = re.compile(rf"node {victim.name}\.\d+ is lost")
    read = {node.name: node.output.stat().st_size for node in others}

    def all_know() -> bool:
        return all(
            line.search(node.output.read_bytes()[read[node.name] :].decode(errors="replace"))
            for node in others
        )

    began = time.monotonic()
    os.kill(service.pids[-1], signal.SIGKILL)
    wait_for(all_know, LOST_S, "a node that was killed is not lost")
    took_s = time.monotonic() - began
    victim.start()
    wait_for(service.is_whole, LOST_S, "a node that was killed does not come back")
    return took_s


__all__ = ["Commands", "bytes_each", "commands", "until_lost"]
