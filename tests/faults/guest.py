"""A guest: somebody who logs in for a moment, beside those who chat, and does as it is told."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from xml.etree.ElementTree import Element

from bench.kills import Stream
from tests.faults.client import LOGIN_S, PASSWORD
from xmppd.stanza import ns

PATIENCE_S = 30.0
_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE


class Guest:
    """One connection of an account, from its login on.

    Args:
        name: Of the account.
        port: Of a node, with TLS from the first byte.

    Attributes:
        heard: All that has come since it has logged in.
        is_closed: Whether the server has closed the stream.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        self.heard: list[Element] = []
        self.is_closed = False
        self._stream: Stream | None = None
        self._listening: asyncio.Task[None] | None = None

    async def log_in(self) -> None:
        """Prove who it is; it has no resource yet."""
        async with asyncio.timeout(LOGIN_S):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=_ANY, server_hostname="localhost"
            )
            stream = self._stream = Stream(reader, writer)
            proof = b64encode(f"\0{self.name}\0{PASSWORD}".encode()).decode()
            stream.open()
            await self._await(stream, "features")
            stream.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>")
            await self._await(stream, "success")
            stream.open()
            await self._await(stream, "features")
        self._listening = asyncio.create_task(self._listen(stream))

    async def _await(self, stream: Stream, name: str) -> None:
        element = await stream.next()
        assert element is not None and element.tag.endswith(name), element

    async def _listen(self, stream: Stream) -> None:
        while (element := await stream.next()) is not None:
            self.heard.append(element)
        self.is_closed = True

    def say(self, text: str) -> None:
        """Send this."""
        assert self._stream is not None, "it has logged in"
        self._stream.send(text)

    def bind(self, resource: str) -> None:
        """Ask for a resource."""
        self.say(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind>"
            "</iq>"
        )

    def has(self, name: str, **attributes: str | None) -> bool:
        """Whether such an element has come."""
        return any(
            element.tag.endswith("}" + name)
            and all(element.get(key) == value for key, value in attributes.items())
            for element in self.heard
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so.

        Raises:
            AssertionError: It does not become so.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():
                    await asyncio.sleep(0.01)
        except TimeoutError:
            heard = [(each.tag.rpartition("}")[2], each.attrib) for each in self.heard]
            raise AssertionError(f"{self.name} at {self.port} has heard only {heard}") from None

    async def leave(self) -> None:
        """Be gone."""
        if self._stream is not None:
            self._stream.send("</stream:stream>")
            self._stream.writer.close()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening


__all__ = ["Guest"]
