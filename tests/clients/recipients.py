"""Somebody who gets messages, with one of several clients of other people."""

import asyncio
import os
import pty
import re
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any, Protocol

from tests.integration.people import PASSWORD, Home, Person

try:
    import aioxmpp
except ImportError:
    HAS_AIOXMPP = False
else:
    HAS_AIOXMPP = True

UNMANAGED = "slixmpp"
"""The kind that does not speak XEP-0198."""

PATIENCE_S = 30.0
LOOK_S = 0.05


class Recipient(Protocol):
    """A device of an account."""

    async def arrive(self) -> object:
        """Log in, and be available."""

    def bodies(self) -> list[str]:
        """The texts of all messages that have come, in their order."""

    async def leave(self) -> None:
        """Close the stream in good order, and be gone on return."""

    def abort(self) -> None:
        """Be gone without a word."""


Make = Callable[[Home, str, Path], Recipient]


class Slixmpp(Person):
    """Somebody with slixmpp.

    Args:
        server: Where they go.
        address: Full JID.
        managed: Whether the client speaks stream management.
    """

    def __init__(self, server: Home, address: str, *, managed: bool) -> None:
        plugins = ("xep_0030", "xep_0199", *(("xep_0198",) if managed else ()))
        super().__init__(server, address, plugins=plugins)

    def abort(self) -> None:
        """Be gone without a word."""
        if self.transport is not None:
            super().abort()

    def bodies(self) -> list[str]:
        """The texts of all messages that have come, in their order."""
        came = (stanza for stanza in self.inbox if stanza.name == "message")
        return [str(message["body"]) for message in came if message["body"]]


class Aioxmpp:
    """Somebody with aioxmpp, which speaks stream management."""

    def __init__(self, server: Any, address: str) -> None:
        layer = aioxmpp.make_security_layer(PASSWORD, no_verify=True)
        starttls = aioxmpp.connector.STARTTLSConnector()
        self._client = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(address),
            layer,
            override_peer=[(server.host, server.port, starttls)],
        )
        self._bodies: list[str] = []
        self._connected: Any = None
        messages = self._client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        messages.register_callback(None, None, self._hear)

    def _hear(self, message: Any) -> None:
        self._bodies.extend(message.body.values())

    def bodies(self) -> list[str]:
        """The texts of all messages that have come, in their order."""
        return self._bodies

    async def arrive(self) -> None:
        """Log in, and be available."""
        self._connected = self._client.connected()
        await asyncio.wait_for(self._connected.__aenter__(), PATIENCE_S)

    async def leave(self) -> None:
        """Close the stream in good order, and be gone on return."""
        await asyncio.wait_for(self._connected.__aexit__(None, None, None), PATIENCE_S)

    def abort(self) -> None:
        """Be gone without a word."""
        self._client.stop()


class Profanity:
    """Somebody with Profanity, in a terminal of its own.

    Args:
        server: Where they go.
        address: Full JID.
        home: A directory for its files.
    """

    def __init__(self, server: Any, address: str, home: Path) -> None:
        bare, _, resource = address.partition("/")
        self._home = home
        self._log = home / "log"
        data, config = home / ".local/share/profanity", home / ".config/profanity"
        for each in (data, config):
            each.mkdir(parents=True, exist_ok=True)
        (data / "accounts").write_text(
            f"[{bare}]\nenabled=true\njid={bare}\nserver={server.host}\nport={server.port}\n"
            f"resource={resource}\npassword={PASSWORD}\ntls.policy=trust\n"
        )
        (config / "profrc").write_text("[ui]\nsplash=false\n[connection]\nreconnect=0\n")
        self._address = bare
        self._pid = self._terminal = 0

    async def arrive(self) -> None:
        """Log in, and be available."""
        self._log.unlink(missing_ok=True)
        self._pid, self._terminal = pty.fork()
        if not self._pid:
            for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
                os.environ.pop(name, None)
            os.environ.update(HOME=str(self._home), TERM="xterm")
            words = ("profanity", "-l", "DEBUG", "-f", str(self._log), "-a", self._address)
            os.execvp("profanity", words)
        os.set_blocking(self._terminal, False)
        asyncio.get_running_loop().add_reader(self._terminal, self._look_away)
        await _until(lambda: "SENT: <presence" in self._said())

    def _look_away(self) -> None:
        """Read what is drawn, so that it does not wait for that."""
        try:
            os.read(self._terminal, 65_536)
        except OSError:
            asyncio.get_running_loop().remove_reader(self._terminal)

    def _said(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def bodies(self) -> list[str]:
        """The texts of all messages that have come, in their order."""
        return re.findall(r"RECV: <message [^\n]*<body>([^<]*)</body>", self._said())

    async def leave(self) -> None:
        """Close the stream in good order, and be gone on return."""
        os.write(self._terminal, b"/quit\r")
        await _until(self._has_ended)

    def abort(self) -> None:
        """Be gone without a word."""
        if self._pid:
            os.kill(self._pid, 9)
            os.waitpid(self._pid, 0)
            self._close()

    def _has_ended(self) -> bool:
        if os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            return False
        self._close()
        return True

    def _close(self) -> None:
        self._pid = 0
        asyncio.get_running_loop().remove_reader(self._terminal)
        os.close(self._terminal)


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(LOOK_S)


def kinds() -> dict[str, Make]:
    """The clients that are installed, by name."""
    found: dict[str, Make] = {
        UNMANAGED: lambda server, address, _: Slixmpp(server, address, managed=False),
        "slixmpp with XEP-0198": lambda server, address, _: Slixmpp(server, address, managed=True),
    }
    if HAS_AIOXMPP:
        found["aioxmpp"] = lambda server, address, _: Aioxmpp(server, address)
    if which("profanity"):
        found["Profanity"] = Profanity
    return found


__all__ = ["PATIENCE_S", "UNMANAGED", "Make", "Recipient", "kinds"]
