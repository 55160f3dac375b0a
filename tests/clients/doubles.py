"""What a device got does not come again to another one: ``make doubles``.

With each client that is installed somebody gets a message, and closes their stream in good order
after 0, 0.5, 3 and 12 s; then another device of the account logs in, and nothing comes again. Or
the wire is cut before the message, or behind it and before what the client says then: it comes
once, to one of the two. The archive, rooms and all else is loaded.

Without XEP-0198 nobody knows whether a message arrived that was on its way when the wire was cut:
it is in the archive.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clients.recipients import PATIENCE_S, UNMANAGED, Recipient, kinds
from tests.integration.people import PASSWORD, Person
from xmppd.testing.temporary_server import TemporaryServer

CLOSED_AFTER_S = (0.0, 0.5, 3.0, 12.0)
CUT_AT = ("before", "behind")
RESUMABLE_S = 4.0
SETTLED_S = 1.0
"""The time in which a client has asked for all that it wants to know at a login."""

QUIET_S = 1.0
"""The time in which something that comes again would have come."""

LOOK_S = 0.01
LOGINS_AT_ONCE = 2


class Course:
    """What becomes of a message to somebody with a certain client.

    Args:
        server: Where they are.
        nurse: Writes to them.
        logins: Limits how many log in at once.
        kind: The name of the client.
        end: The seconds until they close their stream, or where their wire is cut.
    """

    def __init__(
        self,
        server: TemporaryServer,
        nurse: Person,
        logins: asyncio.Semaphore,
        kind: str,
        end: float | str,
    ) -> None:
        self.server = server
        self.nurse = nurse
        self.logins = logins
        self.kind = kind
        self.end = end

    def __str__(self) -> str:
        how = f"cut {self.end}" if isinstance(self.end, str) else f"closed after {self.end:g} s"
        return f"{self.kind}, {how}"

    async def run(self, directory: Path) -> str:
        """What was wrong; nothing if the message came once."""
        name = "".join(each for each in str(self).lower() if each.isalnum())
        address = await asyncio.to_thread(self.server.add_user, name, PASSWORD)
        home = directory / name
        home.mkdir()
        first = kinds()[self.kind](self.server, f"{address}/first", home)
        second = Person(self.server, f"{address}/second")
        try:
            async with self.logins:
                await first.arrive()
            await asyncio.sleep(SETTLED_S)
            await self._say(address, first)
            async with self.logins:
                await second.arrive()
            return await self._judge(first, second)
        finally:
            first.abort()
            second.abort()

    async def _say(self, address: str, first: Recipient) -> None:
        """Have the first device get the message, or not, and be gone."""
        if isinstance(self.end, str):
            fault = {"at": self.end, "direction": "got", "element": "message"}
            await asyncio.to_thread(self.server.fault, "cut", address, **fault)
            self.nurse.say(address, str(self))
            await self.nurse.catch_up()
            return
        self.nurse.say(address, str(self))
        async with asyncio.timeout(PATIENCE_S):
            while not first.bodies():
                await asyncio.sleep(LOOK_S)
        await asyncio.sleep(self.end)
        await first.leave()

    async def _judge(self, first: Recipient, second: Person) -> str:
        def came() -> tuple[int, int]:
            bodies = [each for each in second.inbox if each.name == "message" and each["body"]]
            return len(first.bodies()), len(bodies)

        async with asyncio.timeout(PATIENCE_S):
            while not any(came()):
                await asyncio.sleep(LOOK_S)
        await asyncio.sleep(RESUMABLE_S + QUIET_S if isinstance(self.end, str) else QUIET_S)
        await second.catch_up()
        here, there = came()
        return "" if here + there == 1 else f"it came {here} times, then {there} times"


def ends() -> Iterator[tuple[str, float | str]]:
    """Each client with each of its ends."""
    for kind in kinds():
        for end in (*CLOSED_AFTER_S, *CUT_AT):
            if (kind, end) != (UNMANAGED, "before"):
                yield kind, end


async def all_courses(directory: Path) -> int:
    """Let all happen at once; returns how many ended wrong."""
    place = directory / "server"
    place.mkdir()
    settings = {"resume_s": RESUMABLE_S}
    with TemporaryServer(place, "localhost", stream_management=settings) as server:
        server.add_user("nurse", PASSWORD)
        nurse = await Person(server, "nurse@localhost").arrive()
        logins = asyncio.Semaphore(LOGINS_AT_ONCE)
        courses = [Course(server, nurse, logins, kind, end) for kind, end in ends()]
        outcomes = await asyncio.gather(
            *(course.run(directory) for course in courses), return_exceptions=True
        )
        nurse.abort()
    for course, outcome in zip(courses, outcomes, strict=True):
        print(f"{course}: {repr(outcome) if outcome else 'once'}")
    return sum(outcome != "" for outcome in outcomes)


def main() -> int:
    """The whole of it."""
    # slixmpp loads the machine's authorities for every client, which takes a while.
    os.environ.update(SSL_CERT_FILE=os.devnull, SSL_CERT_DIR=os.devnull)
    with TemporaryDirectory(prefix="xmppd-", dir="/tmp") as directory:  # a short path
        wrong = asyncio.run(all_courses(Path(directory)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
