"""TemporaryServer: a server for tests of clients, on which things go wrong on request, and which
shows what clients got and sent.

::

    with TemporaryServer(directory) as server:
        romeo = server.add_user("romeo", "a rose by any other name")
        ...  # connect to server.host, server.port, and trust server.certificate
        server.fault("cut", romeo, at="before", element="a")
        server.wait_for(romeo, "message", direction="sent")
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from xmppd.command.refused import Refused
from xmppd.config.config import PluginSettings
from xmppd.ctl.protocol import Line
from xmppd.testing.process import PortKind, ServerProcess
from xmppd.testing.signing_authority import SigningAuthority

SERVERS = PortKind("server", "starttls")
FAULTS = "faults"
LAST_SHOWN = 10
"""Of the elements, when somebody has waited in vain."""

UNKNOWN = "unknown command"

Settings = Mapping[str, object] | object


@dataclass(frozen=True)
class ElementSeen:
    """An element that a client got or sent.

    Attributes:
        number: Counts all elements of the server.
        at: The time, such as ``2026-10-31T12:00:00Z``.
        session: The address of the session.
        direction: ``got`` or ``sent``.
        xml: As it was on the wire, but for secrets.
    """

    number: int
    at: str
    session: str
    direction: str
    xml: str

    @property
    def element(self) -> ElementTree.Element:
        """The element itself; one without a namespace of its own is in none."""
        return ElementTree.fromstring(self.xml)

    def __str__(self) -> str:
        arrow = "<-" if self.direction == "got" else "->"
        return f"{self.number:5} {self.at} {self.session} {arrow} {self.xml}"


class FaultsAndViews:
    """What can be asked of a server, or of one of its domains: what goes wrong, and what was seen.

    Attributes:
        log: The file of the server's log.
    """

    log: Path

    @property
    def domain(self) -> str:
        """The domain of accounts that are named without one."""
        raise NotImplementedError

    def tell(self, command: str, **arguments: str | bool | list[str]) -> list[Line]:
        """Do what ``xmppctl`` can do."""
        raise NotImplementedError

    def address(self, name: str) -> str:
        """``romeo`` or ``romeo/orchard`` with the domain; anything that has one as it is."""
        local, slash, resource = name.partition("/")
        if not local or "@" in local or "." in local or local == self.domain:
            return name
        return f"{local}@{self.domain}{slash}{resource}"

    def fault(self, name: str, whom: str = "", **how: object) -> None:
        """Have something go wrong.

        Args:
            name: Of the fault, such as ``cut``; ``xmppctl fault --help`` and the manual list them.
            whom: The address that it concerns; one of this domain may be named without it.
            how: Arguments of this fault.

        Raises:
            Refused: There is no such fault, or it cannot be done.
        """
        told = {key: str(value) for key, value in how.items()}
        if whom:
            told["address"] = self.address(whom)
        try:
            self.tell(f"fault {name}", **told)
        except Refused as error:
            if str(error).startswith(UNKNOWN):
                raise Refused(f'there is no fault "{name}"', error.condition) from error
            raise

    def clear(self, whom: str = "") -> None:
        """Take back all faults, or those of an address, and have what is frozen go on."""
        address = {"address": self.address(whom)} if whom else {}
        self.tell("fault clear", **address)

    def seen(self, whom: str = "", element: str = "", **which: object) -> list[ElementSeen]:
        """What somebody got and sent lately, in its order.

        Args:
            whom: An account or session, or a domain for all of its accounts; this one if empty.
            element: The name of elements, such as ``message``; empty for any.
            which: ``direction``, ``containing``, ``after`` (a number) and ``last`` (how many).
        """
        told = {key: str(value) for key, value in which.items() if value != ""}
        if element:
            told["element"] = element
        address = self.address(whom) or self.domain
        rows = self.tell("seen list", address=address, **told)
        return [_seen(row) for row in rows if isinstance(row, dict)]

    def wait_for(
        self,
        whom: str,
        element: str = "",
        *,
        containing: str = "",
        direction: str = "got",
        after: int = 0,
        timeout_s: int = 10,
    ) -> ElementSeen:
        """The first element of a kind that somebody got; what came before the call counts too.

        Args:
            whom: An account, or one of its sessions.
            element: The name of the element, such as ``message``; empty for any.
            containing: What its XML contains.
            direction: ``got``, or ``sent``.
            after: The number of an element behind which it is.
            timeout_s: It is waited for no longer.

        Raises:
            Refused: There was none in time; the text has the last elements that there were.
        """
        which = {"direction": direction, "containing": containing, "element": element}
        told = {key: value for key, value in which.items() if value}
        try:
            (row,) = self.tell(
                "seen wait",
                address=self.address(whom),
                after=str(after),
                seconds=str(timeout_s),
                **told,
            )
        except Refused as error:
            last = "\n".join(map(str, self.seen(whom, last=LAST_SHOWN)))
            said = str(error).replace("seconds must", "timeout_s must")
            raise Refused(f"{said}\n{last}", error.condition, code=error.code) from error
        assert isinstance(row, dict)
        return _seen(row)


class TemporaryDomain(FaultsAndViews):
    """A domain of a server that several tests share, as if the server were there for it alone.

    Args:
        server: The server.
        domain: The domain.

    Attributes:
        server: The server.
        host: The address to connect to.
        port: For STARTTLS.
        direct_tls_port: For TLS from the first byte.
        https_port: For HTTP, with TLS.
        certificate: PEM file: the authority that a client has to trust.
        log: The file of the server's log.
    """

    def __init__(self, server: "TemporaryServer", domain: str) -> None:
        self.server = server
        self.host, self.port = server.host, server.port
        self.direct_tls_port, self.https_port = server.direct_tls_port, server.https_port
        self.certificate, self.log = server.certificate, server.log
        self._domain = domain

    @property
    def domain(self) -> str:
        """The domain."""
        return self._domain

    def tell(self, command: str, **arguments: str | bool | list[str]) -> list[Line]:
        """Do what ``xmppctl`` can do, at the server.

        Raises:
            Refused: It cannot be done.
        """
        return self.server.tell(command, **arguments)

    def add_user(self, name: str, password: str) -> str:
        """Make an account; returns its address."""
        return self.server.add_user(self.address(name), password)


class TemporaryServer(ServerProcess, FaultsAndViews):
    """A server with the plugin ``faults``, which ends with the process that has made it.

    Its certificates are signed by an authority of its own, the one thing that a client has to
    trust. Everybody may register, and nobody is slowed down.

    Args:
        directory: As of any :class:`~xmppd.testing.process.ServerProcess`.
        domains: The domains it serves.
        keep: Whether its files stay when this process is killed.
        authority: That signs its certificates, if it is not its own.
        settings: As of any ServerProcess.

    Attributes:
        keep: Whether its files stay when this process is killed.
        server_port: For other servers.
        authority: Signs its certificates.
        others: Servers that it finds, and that find it.
    """

    start_timeout_s = 120.0  # ten workers of pytest start one each at once

    def __init__(
        self,
        directory: Path,
        *domains: str,
        keep: bool = True,
        authority: SigningAuthority | None = None,
        **settings: Settings,
    ) -> None:
        self.keep = keep
        self.authority = authority or SigningAuthority(directory.absolute())
        self.others: list[TemporaryServer] = []
        plugins = settings.get("plugins", {})
        assert isinstance(plugins, Mapping), "it is a table"
        load = [*plugins.get("load", PluginSettings().load), FAULTS]
        faults = {"parent": os.getpid(), "directory": "" if keep else str(directory.absolute())}
        s2s = settings.get("s2s", {})
        assert isinstance(s2s, Mapping), "it is a table"
        self._settings: dict[str, Settings] = {
            **settings,
            "plugins": {**plugins, "load": load},
            FAULTS: faults,
            "s2s": {"allow_private": True, "retry_first_s": 0.1, **s2s},
        }
        super().__init__(directory, *domains, **self._settings)
        self.server_port = self._ports[SERVERS]

    def federated(self, domain: str, **settings: Settings) -> "TemporaryServer":
        """A second server that this one finds, and that finds this one. Make it before this one is
        started; start it when you need it.

        Args:
            domain: That it serves.
            settings: As of any ServerProcess.
        """
        directory = self.directory / domain
        directory.mkdir()
        other = TemporaryServer(
            directory, domain, keep=self.keep, authority=self.authority, **settings
        )
        self.others.append(other)
        other.others.append(self)
        return other

    def start(self) -> None:
        """Start it, and wait until it is up.

        Raises:
            NotStarted: It is not.
        """
        self._config.write_text(self._configuration(self._settings), encoding="utf-8")
        super().start()

    def certificate_of(self, domain: str) -> Path:
        """PEM file: the authority, whatever the domain is."""
        return self.authority.file

    # -- behind it ------------------------------------------------------------------------------

    def _make_certificates(self) -> None:
        self._ports[SERVERS] = self._hold_port()
        for domain in self.domains:
            self.authority.issue(domain, domain, self.host, directory=self.directory)
            _, key = self._files_of(domain)
            self.authority.issue_expired(domain, key, self.directory / f"{domain}.expired.crt")

    def _files_of(self, domain: str) -> tuple[Path, Path]:
        return self.directory / f"{domain}.crt", self._key_of(domain)

    def _configuration(self, settings: Mapping[str, Settings]) -> str:
        s2s = settings["s2s"]
        assert isinstance(s2s, Mapping), "it is a table"
        remotes = [
            {"name": domain, "host": other.host, "port": other.server_port}
            for other in self.others
            for domain in other.domains
        ]
        table = {**s2s, "authorities": str(self.authority.file), "domain": remotes}
        return super()._configuration({**settings, "s2s": table})


def _seen(row: Mapping[str, object]) -> ElementSeen:
    return ElementSeen(**{name: row[name] for name in ElementSeen.__dataclass_fields__})  # type: ignore[arg-type]
