"""A client of which there may be hundreds: TLS from the first byte, and PLAIN."""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from typing import Self

from xmppd.stanza import ns

PASSWORD = "a rose by any other name"
PATIENCE_S = 60.0
LATER_S = 1.0
BUFFER_BYTES = 4_096
"""Of the socket of somebody who does not read."""

_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE


class Refused(Exception):
    """The server did not let somebody in."""


class Client:
    """A stream of somebody.

    Args:
        port: For TLS from the first byte, on the loopback interface.
        address: A full JID.
        here: The address that it comes from, one of the loopback interface.

    Attributes:
        address: A full JID.
        read: What has come since it was last looked at.
    """

    def __init__(self, port: int, address: str, *, here: str = "127.0.0.1") -> None:
        self.address = address
        self.read = b""
        self._port, self._here = port, here
        account, _, self._resource = address.partition("/")
        self._local, _, self._domain = account.partition("@")

    async def connect(self, *, reads: bool = True) -> None:
        """Connect; who does not read has a small buffer."""
        wire = socket.socket()
        wire.setblocking(False)
        if not reads:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        wire.bind((self._here, 0))
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self._port))
        self._reader, self._writer = await asyncio.open_connection(
            sock=wire, ssl=_ANY, server_hostname=self._domain
        )

    async def log_in(self, password: str = PASSWORD, *, reads: bool = True) -> Self:
        """Connect, prove who we are, bind, fetch the roster and be available.

        Raises:
            Refused: The password is wrong.
        """
        async with asyncio.timeout(PATIENCE_S):
            await self.connect(reads=reads)
            await self.prove(password)
            self.send(
                f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{self._resource}"
                f"</resource></bind></iq><iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>"
                "<presence/>"
            )
            await self.until(rb"id=.r.[^>]*(/>|>.*?</iq>)")
            return self

    async def prove(self, password: str) -> None:
        """Open a stream and prove who we are.

        Raises:
            Refused: The password is wrong.
        """
        await self._open()
        token = b64encode(f"\0{self._local}\0{password}".encode()).decode()
        self.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{token}</auth>")
        if b"<failure" in await self.until(rb"</success>|<success[^>]*/>|</failure>"):
            raise Refused(self.address)
        await self._open()

    async def _open(self) -> None:
        self.send(
            f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' to='{self._domain}'"
            f" version='1.0' xmlns:stream='{ns.STREAM}'>"
        )
        await self.until(rb"</stream:features>")

    def send(self, text: str) -> None:
        """Send."""
        self._writer.write(text.encode())

    def say(self, to: str, body: str) -> None:
        """Send a message."""
        self.send(f"<message to='{to}' type='chat'><body>{body}</body></message>")

    async def drained(self) -> None:
        """Wait until what was sent is on its way."""
        await self._writer.drain()

    async def until(self, pattern: bytes) -> bytes:
        """Read until this has come, and take it.

        Raises:
            EOFError: The server has closed the connection; with what it has said.
        """
        async with asyncio.timeout(PATIENCE_S):
            while (found := re.search(pattern, self.read, re.DOTALL)) is None:
                await self._more()
        taken, self.read = self.read[: found.end()], self.read[found.end() :]
        return taken

    async def to_the_end(self) -> bytes:
        """All that comes until the connection is closed."""
        try:
            while True:
                await self._more()
        except EOFError:
            return self.read

    async def ignore(self) -> None:
        """Read and forget."""
        while await self._reader.read(65_536):
            pass

    async def _more(self) -> None:
        data = await self._reader.read(65_536)
        if not data:
            raise EOFError(self.read)
        self.read += data

    def abort(self) -> None:
        """Leave without a word."""
        self._writer.transport.abort()


__all__ = ["PASSWORD", "PATIENCE_S", "Client", "Refused"]
