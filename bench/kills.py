"""Kills: whether messages get lost, come twice or out of order when a server is killed.

    python -m bench.kills [--kills N] [--stops N] [--seed N] [--storage URL] [--archive]
    make kills KILLS=200        # on both databases, with all archives

People write to each other over TLS, with stream management; connections break, some leave in good
order, one reads badly and acknowledges nothing. Meanwhile the server is killed at random moments, a
tenth of them twice before everybody is back, or stopped in good order, and started again. Counted
in the end are errors: a message that was acknowledged to its sender and never came; one that came
again to a client that had acknowledged it by ``h``; one that came behind another that its sender
had sent later. With ``--archive`` also one that was acknowledged and is not in the archives of
both, and one that is there twice. The seed is printed, and chooses what happens, though not to the
microsecond.
"""

import argparse
import asyncio
import contextlib
import re
import shutil
import ssl
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from xmppd.stanza import ns
from xmppd.testing.process import ServerProcess

PASSWORD = "pw"
PEOPLE = ("romeo", "juliet", "nurse", "tybalt")
READER = "paris"
"""He has no stream management, and reads badly."""

QUIET_TIMEOUT_S = 120.0
START_TIMEOUT_S = 180.0
"""On a machine with much else to do."""

LIFE_S = (0.05, 1.2)
"""How long a server lives before its end, once it is up."""

SECOND_LIFE_S = (0.0, 0.3)
"""The same for one that ends before everybody is back."""

PAUSE_S = (0.001, 0.02)
"""Between two messages of one person."""

STANZAS = ("message", "presence", "iq")
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
_HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
    " to='localhost' version='1.0'>"
)
_ARCHIVED = re.compile(r" to='(\w+)@localhost[^>]*><body>(\w+) (\d+)</body>")
_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE


class Stream:
    """A connection of a client: elements out, elements in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._begin()

    def _begin(self) -> None:
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._depth = 0
        self._elements: deque[Element] = deque()

    def open(self) -> None:
        """Send a stream header."""
        self._begin()
        self.send(_HEADER)

    def send(self, text: str) -> None:
        """Send this."""
        self.writer.write(text.encode())

    async def next(self) -> Element | None:
        """The next element; None when the stream has ended."""
        while not self._elements:
            try:
                data = await self.reader.read(65_536)
            except (OSError, ssl.SSLError):
                data = b""
            if not data:
                return None
            try:
                self._feed(data)
            except ParseError:
                return None
        return self._elements.popleft()

    def _feed(self, data: bytes) -> None:
        self._parser.feed(data)
        for event, element in self._parser.read_events():  # type: ignore[misc]  # of these two
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                assert isinstance(element, Element)
                self._elements.append(element)


class Person:
    """A user that comes back after every cut, and keeps account of all messages.

    Attributes:
        sent: The number of messages to each other person.
        safe: The number of those that were acknowledged.
        heard: The messages that came, in the order in which they first did.
        wrong: The messages that came again although they were acknowledged, or out of order.
        online: Whether presence was sent on the present stream.
    """

    def __init__(self, drill: "Drill", name: str, *, manages: bool) -> None:
        self.drill = drill
        self.name = name
        self.manages = manages
        self.sent: dict[str, int] = {}
        self.safe: set[tuple[str, str, int]] = set()
        self.heard: set[tuple[str, str, int]] = set()
        self.wrong: list[str] = []
        self.online = False
        self.resumed = self.logins = 0
        self._last: dict[str, int] = {}
        self._previd = ""
        self._received = self._handled = 0
        self._waiting: deque[tuple[str, tuple[str, str, int] | None]] = deque()
        self._stream: Stream | None = None

    async def live(self) -> None:
        """Come, and come back."""
        random = self.drill.random
        while not self.drill.over:
            self.online = False
            try:
                await self._connect()
            except (OSError, EOFError, asyncio.IncompleteReadError, ssl.SSLError):
                await asyncio.sleep(0.02)
                continue
            if self.manages and not self.drill.calm:
                await asyncio.sleep(random.choice((0, 0, 0.05, 0.4)))

    async def _connect(self) -> None:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.drill.server.direct_tls_port, ssl=_ANY, server_hostname="localhost"
        )
        stream = Stream(reader, writer)
        try:
            await self._log_in(stream)
            self._stream, self.online = stream, True
            await self._listen(stream)
        finally:
            self._stream, self.online = None, False
            writer.transport.abort()

    async def _log_in(self, stream: Stream) -> None:
        stream.open()
        await self._await(stream, "features")
        proof = b64encode(f"\0{self.name}\0{PASSWORD}".encode()).decode()
        stream.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>")
        await self._await(stream, "success")
        stream.open()
        await self._await(stream, "features")
        if self._previd:
            stream.send(f"<resume {SM} previd='{self._previd}' h='{self._received}'/>")
            answer = await self._await(stream, "resumed", "failed")
            if answer.get("h") is not None:
                self._acknowledged(int(answer.attrib["h"]))
            if answer.tag.endswith("}resumed"):
                self.resumed += 1
                for text, _ in self._waiting:
                    stream.send(text)
                return
            self._previd = ""
        self.logins += 1
        resource = self.drill.random.choice(("phone", self.name))
        stream.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind>"
            "</iq>"
        )
        await self._await(stream, "iq")
        if self.manages:
            stream.send(f"<enable {SM} resume='true'/>")
            self._previd = (await self._await(stream, "enabled")).attrib["id"]
        self._received = self._handled = 0
        self._waiting.clear()
        self._say(stream, "<presence/>", None)

    async def _await(self, stream: Stream, *names: str) -> Element:
        while True:
            element = await stream.next()
            if element is None:
                raise EOFError
            if element.tag.rpartition("}")[2] in names:
                return element

    async def _listen(self, stream: Stream) -> None:
        """Take what comes, until the stream ends or this client has enough of it."""
        random, drill = self.drill.random, self.drill
        until = time.monotonic() + random.uniform(0.2, 4) if self.manages else float("inf")
        while not drill.over:
            if drill.calm:
                until = float("inf")
            if time.monotonic() > until:
                if random.random() < 0.3:  # leave in good order
                    stream.send(f"<a {SM} h='{self._received}'/></stream:stream>")
                    while await self._take(stream):
                        pass
                return
            if not self.manages and not drill.calm and random.random() < 0.02:
                await asyncio.sleep(random.uniform(0, 0.5))  # and reads nothing
            with contextlib.suppress(asyncio.TimeoutError):
                if not await asyncio.wait_for(self._take(stream), 0.3):
                    return

    async def _take(self, stream: Stream) -> bool:
        element = await stream.next()
        if element is None:
            return False
        name = element.tag.rpartition("}")[2]
        self._received += name in STANZAS
        if name == "message":
            self._hear(element.findtext(f"{{{ns.CLIENT}}}body", ""))
        elif name == "iq" and element.get("type") == "get":
            answer = f"<iq type='result' id='{element.get('id')}' to='localhost'/>"
            self._say(stream, answer, None)
        elif name == "r" and (self.drill.calm or self.drill.random.random() < 0.9):
            stream.send(f"<a {SM} h='{self._received}'/>")
        elif name == "a":
            self._acknowledged(int(element.attrib["h"]))
        return True

    def _hear(self, text: str) -> None:
        match = re.fullmatch(r"(\w+) (\d+)", text)
        if match is None:
            return  # an error, of a message that came back
        sender, number = match[1], int(match[2])
        what = (sender, self.name, number)
        if what in self.heard:
            if self.manages:
                self.wrong.append(f"{self.name} heard {text} twice")
            return
        self.heard.add(what)
        if self._last.get(sender, -1) > number:
            self.wrong.append(f"{self.name} heard {text} behind {self._last[sender]}")
        self._last[sender] = max(number, self._last.get(sender, -1))

    def _acknowledged(self, h: int) -> None:
        while self._handled < h and self._waiting:
            _, what = self._waiting.popleft()
            self._handled += 1
            if what is not None:
                self.safe.add(what)

    # -- what it says -----------------------------------------------------------------------------

    def _say(self, stream: Stream, text: str, what: tuple[str, str, int] | None) -> None:
        if self.manages:
            self._waiting.append((text, what))
        stream.send(text)

    async def talk(self) -> None:
        """Write to the others, and ask for acknowledgements."""
        random = self.drill.random
        others = [name for name in (*PEOPLE, READER) if name != self.name]
        while not self.drill.over:
            await asyncio.sleep(random.uniform(*PAUSE_S))
            stream = self._stream
            if stream is None or not self.online or self.drill.calm or len(self._waiting) > 300:
                continue
            to = random.choice(others)
            number = self.sent[to] = self.sent.get(to, -1) + 1
            padding = "x" * random.choice((0, 0, 0, 3_000)) if to == READER else ""
            self._say(
                stream,
                f"<message to='{to}@localhost' type='chat'><body>{self.name} {number}</body>"
                f"<x xmlns='urn:x'>{padding}</x></message>",
                (self.name, to, number),
            )
            if random.random() < 0.7:
                stream.send(f"<r {SM}/>")

    def settle(self) -> None:
        """Ask for an acknowledgement."""
        if self._stream is not None and self.manages:
            self._stream.send(f"<r {SM}/>")


class Drill:
    """One server, ended again and again.

    Attributes:
        random: Chooses what happens.
        calm: Whether no new messages are sent, and no client leaves.
        over: It has ended.
    """

    def __init__(self, server: ServerProcess, random: Random) -> None:
        self.server = server
        self.random = random
        self.calm = self.over = False
        self.people = [
            *(Person(self, name, manages=True) for name in PEOPLE),
            Person(self, READER, manages=False),
        ]
        self.ends: list[str] = []

    async def run(self, kills: int, stops: int, told: Callable[[str], None]) -> list[str]:
        """Run the drill.

        Returns:
            The errors.
        """
        for person in self.people:
            self.server.add_user(person.name, PASSWORD)
        tasks = [asyncio.create_task(person.live()) for person in self.people]
        tasks += [asyncio.create_task(person.talk()) for person in self.people if person.manages]
        ends = ["kill"] * kills + ["stop"] * stops
        self.random.shuffle(ends)
        life = LIFE_S
        for number, end in enumerate(ends):
            await asyncio.sleep(self.random.uniform(*life))
            await asyncio.to_thread(self.server.kill if end == "kill" else self.server.stop)
            await asyncio.to_thread(self.server.start)
            life = SECOND_LIFE_S if self.random.random() < 0.1 else LIFE_S
            if life is LIFE_S:
                await self._until(lambda: all(person.online for person in self.people))
            if number % 20 == 19:
                told(self.report())
        self.calm = True
        complete = await self._until(self._is_complete)
        self.over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wrong = [each for person in self.people for each in person.wrong]
        if not complete:
            wrong += [f"lost: {lost}" for lost in sorted(self._missing())]
        return wrong

    async def _until(self, condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + QUIET_TIMEOUT_S
        while not condition():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    def _missing(self) -> set[tuple[str, str, int]]:
        safe = set[tuple[str, str, int]]().union(*(person.safe for person in self.people))
        return safe.difference(*(person.heard for person in self.people))

    def _is_complete(self) -> bool:
        for person in self.people:
            person.settle()
        return not self._missing() and all(person.online for person in self.people)

    def archived(self) -> list[str]:
        """What is wrong with the archives of all people."""
        wrong = []
        for person in self.people:
            lines = self.server.tell("archive export", account=f"{person.name}@localhost")
            found: Counter[tuple[str, str, int]] = Counter()
            for line in map(str, lines):
                match = _ARCHIVED.search(line)
                if match is not None:
                    found[match[2], match[1], int(match[3])] += 1
            for what, count in found.items():
                if count > 1:
                    wrong.append(f"{what} is in the archive of {person.name} {count} times")
            safe = set[tuple[str, str, int]]().union(*(each.safe for each in self.people))
            theirs = {what for what in safe if person.name in what[:2]}
            wrong += [
                f"{what} is not in the archive of {person.name}"
                for what in sorted(theirs.difference(found))
            ]
        return wrong

    def report(self) -> str:
        """What was counted so far."""
        safe = sum(len(person.safe) for person in self.people)
        sent = sum(sum(person.sent.values()) + len(person.sent) for person in self.people)
        resumed = sum(person.resumed for person in self.people)
        logins = sum(person.logins for person in self.people)
        wrong = sum(len(person.wrong) for person in self.people)
        return (
            f"{sent} messages sent, {safe} acknowledged to their senders, {resumed} sessions"
            f" resumed, {logins} logins, {wrong} doubled or out of order"
        )


def drill(
    directory: Path,
    *,
    kills: int,
    stops: int,
    seed: int,
    storage: str = "",
    archive: bool = False,
    told: Callable[[str], None] = lambda text: None,
) -> tuple[list[str], str]:
    """End a server so many times.

    Args:
        directory: For its files.
        kills: How often it is killed.
        stops: How often it is stopped in good order.
        seed: Chooses what happens.
        storage: Its database; SQLite if it is empty.
        archive: Whether everybody's archive is looked at in the end.
        told: Gets a line from time to time.

    Returns:
        The errors, and a line of counts.
    """
    settings: dict[str, dict[str, object]] = {
        "auth": {"scram_iterations": 64},
        "stream": {"close_timeout_s": 0.2},
        "offline": {"max_messages": 100_000, "max_bytes": 1 << 30},
    }
    if storage:
        settings["storage"] = {"url": storage}
    server = ServerProcess(directory, "localhost", **settings)
    server.start_timeout_s = START_TIMEOUT_S
    server.start()
    try:
        work = Drill(server, Random(seed))
        wrong = asyncio.run(work.run(kills, stops, told))
        if archive:
            wrong += work.archived()
        return wrong, work.report()
    finally:
        server.stop()


def main() -> None:
    """Run it, and print the errors."""
    parser = argparse.ArgumentParser(description="Kills and stops under load.")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    parser.add_argument("--storage", default="", help="URL of an empty PostgreSQL database")
    parser.add_argument("--archive", action="store_true", help="look at all archives as well")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="kills-", dir="/tmp"))
    try:
        wrong, counts = drill(
            directory,
            kills=options.kills,
            stops=options.stops,
            seed=options.seed,
            storage=options.storage,
            archive=options.archive,
            told=lambda text: print(text, flush=True),
        )
    finally:
        if not sys.exc_info()[0]:
            shutil.rmtree(directory)
    print(f"{options.kills} kills, {options.stops} stops: {counts}")
    print("\n".join(wrong) or "nothing was lost, doubled or out of order")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
