"""The people: who they are, who may see whom, and that they chat."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import combinations
from random import Random
from typing import Protocol

from tests.faults.client import PASSWORD, Client, Role
from tests.faults.history import History
from xmppd.testing.process import ServerProcess

PATIENCE_S = 90.0

TYBALT, ROMEO = "tybalt@localhost", "romeo@localhost"
ROLES = (
    Role("romeo", "a"),
    Role("nurse", "a"),
    Role("rosaline", "a", "phone"),
    Role("juliet", "b"),
    Role("tybalt", "b", blocks=(ROMEO,)),
    Role("rosaline", "b", "desk"),
    Role("benvolio", "c"),
    Role("paris", "c"),
    Role("mab", "c", is_invisible=True),
    Role("peter", "b", manages=False),
)
"""Friends of each other; there is one who nobody sees, one who blocks another one, one with two
clients, and one whose client has no XEP-0198: he only looks."""


class Doors(Protocol):
    """Where nodes are to be reached."""

    @property
    def nodes(self) -> Mapping[str, "Door"]:
        """By name."""


class Door(Protocol):
    """A node."""

    client_port: int


class Crowd:
    """People who chat, and change their presence, all the time.

    Args:
        doors: Of the nodes.
        random: Chooses what they say, and to whom.
        roles: Who they are.

    Attributes:
        history: What has happened to them.
        calm: Whether they say nothing new.
        clients: By full JID.
    """

    def __init__(self, doors: Doors, random: Random, roles: tuple[Role, ...] = ROLES) -> None:
        self.doors = doors
        self.random = random
        self.roles = roles
        self.calm = False
        accounts = {role.account: role for role in roles}
        self.history = History(
            {
                viewer.account: frozenset(
                    other.account for other in accounts.values() if _may_see(viewer, other)
                )
                for viewer in accounts.values()
            }
        )
        self.clients = {role.jid: Client(self, role) for role in roles}

    def move_in(self, server: ServerProcess) -> None:
        """Give them accounts, and one another in their rosters."""
        accounts = list(dict.fromkeys(role.name for role in self.roles))
        for name in accounts:
            server.add_user(name, PASSWORD)
        for one, other in combinations(accounts, 2):
            account, contact = f"{one}@localhost", f"{other}@localhost"
            server.tell("roster add", account=account, contact=contact, mutual=True)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """They are all online, and live as long as this lasts."""
        tasks = [asyncio.create_task(client.live()) for client in self.clients.values()]
        try:
            await self.until(lambda: self.is_here)
            tasks += [asyncio.create_task(client.talk()) for client in self.clients.values()]
            yield
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def until(self, condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Look again and again until it is so; whether it has become so."""
        until = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.05)
        return True

    @property
    def is_here(self) -> bool:
        """Whether all that were not sent away are there."""
        return all(client.is_away or client.is_online for client in self.clients.values())

    @property
    def is_quiet(self) -> bool:
        """Whether all that were not sent away are there, and all that they said was handled."""
        return all(
            client.is_away or (client.is_online and client.is_quiet)
            for client in self.clients.values()
        )

    def at(self, *nodes: str) -> list[Client]:
        """The clients that are at these nodes."""
        return [each for each in self.clients.values() if each.is_online and each.node in nodes]

    # -- for its clients ------------------------------------------------------------------------

    def port(self, node: str) -> int:
        """Where a node is to be reached."""
        return self.doors.nodes[node].client_port

    def next_node(self, client: Client) -> str:
        """Where a client tries next: anywhere."""
        return self.random.choice(list(self.doors.nodes))

    def listeners(self, client: Client) -> list[Role]:
        """Whom a client may write to."""
        return [
            role
            for role in self.roles
            if role.manages and role.account != client.role.account
            and role.account not in client.role.blocks
            and client.role.account not in role.blocks
        ]  # fmt: skip


def _may_see(viewer: Role, other: Role) -> bool:
    blocked = other.account in viewer.blocks or viewer.account in other.blocks
    return not other.is_invisible and not blocked
