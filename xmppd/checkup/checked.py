"""Checked: one thing that was looked at; and what all who look have in common."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from xmppd.command.reply import Row
from xmppd.config.config import Config, ListenSettings
from xmppd.resolve.name_service import NameService
from xmppd.s2s.verification import Trust

Topic = Literal["dns", "certs", "ports", "web", "turn", "config", "features"]


class Checked(Row, frozen=True):
    """One thing that was looked at.

    Attributes:
        topic: The topic that was checked.
        result: ``ok``; ``warn``: something may be missing; ``bad``: something does not work.
        about: A name, a host with its port, a plugin, a file.
        says: What was found, and unless that is ``ok``, what to do; without a full stop.
    """

    topic: Topic
    result: Literal["ok", "warn", "bad"]
    about: str
    says: str


Found = AsyncIterator[Checked]

InThread = Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class Sight:
    """What a server is looked at with.

    Attributes:
        config: Its configuration.
        names: DNS, as the server asks it.
        trust: The authorities that others believe.
        wall_clock: Tells the time of day.
        run_in_thread: Runs what waits for sockets.
        https_port: Where the web of a domain is.
    """

    config: Config
    names: NameService
    trust: Trust
    wall_clock: Callable[[], float]
    run_in_thread: InThread
    https_port: int = 443

    @property
    def domains(self) -> tuple[str, ...]:
        """All that are served."""
        return tuple(domain.name for domain in self.config.domain)

    def listeners(self, kind: str, tls: str) -> list[ListenSettings]:
        """Where peers of this kind come in, with this kind of TLS."""
        return [each for each in self.config.listen if (each.kind, each.tls) == (kind, tls)]


def port_of(listen: ListenSettings) -> int:
    """The port that an endpoint string names; 0 if it names none."""
    words = listen.endpoint.removeprefix("haproxy:").split(":")
    found = [word for word in words[1:2] if word.isdecimal()]
    named = [word.removeprefix("port=") for word in words if word.startswith("port=")]
    return int((found or named or ["0"])[0])
