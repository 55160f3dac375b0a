"""A cable between two servers that may be cut: nobody is told, as when a router loses its power."""

import asyncio
import contextlib


class Cable:
    """Leads from a port of the loopback interface to another.

    Args:
        port: Where it leads.
        latency_s: How long what is sent is on its way.

    Attributes:
        begin: The port it leads from.
        connections: How many have been made by it.
    """

    def __init__(self, port: int, *, latency_s: float = 0.0) -> None:
        self._port = port
        self._latency_s = latency_s
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[asyncio.StreamWriter] = []
        self.begin = 0
        self.connections = 0

    async def lay(self) -> "Cable":
        """Have it lead."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.begin = self._server.sockets[0].getsockname()[1]
        return self

    def cut(self) -> None:
        """From now on nothing comes through, and nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """New connections come through; for those that there were, it is too late."""
        for task in self._tasks:
            task.cancel()
        self._whole.set()

    def sever(self) -> None:
        """End all connections there are, as when a network goes; both sides find out."""
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _connected(self, here: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._whole.wait()
        there, forth = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends += [back, forth]
        for source, sink in ((here, forth), (there, back)):
            task = asyncio.create_task(self._pass_on(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65_536):
                if self._latency_s:
                    await asyncio.sleep(self._latency_s)
                if self._whole.is_set():
                    sink.write(data)
                    await sink.drain()
            if self._whole.is_set():
                sink.close()
            else:
                await asyncio.Event().wait()

    async def take_away(self) -> None:
        """Nothing is left of it."""
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
