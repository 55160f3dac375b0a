"""A pytest plugin for people who write XMPP clients: servers as fixtures.

::

    def test_login(xmpp_domain):
        romeo = xmpp_domain.add_user("romeo", "a rose by any other name")
        ...  # connect to xmpp_domain.host, xmpp_domain.port

``xmpp_server`` is a server of the test's own, and ``xmpp_domain`` a domain of one that all tests
share. ``@pytest.mark.xmppd(sessions={"conflict": "refuse"})`` configures either.
"""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

import pytest

from xmppd.command.refused import Refused
from xmppd.ctl.asking import NoServer
from xmppd.testing.temporary_server import FaultsAndViews, TemporaryDomain, TemporaryServer

MARK = "xmppd"
PEER = "peer.localhost"
DOMAINS_PER_SERVER = 200
LINES_SHOWN = 30
ELEMENTS_SHOWN = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our option."""
    parser.getgroup("xmppd").addoption(
        "--xmppd-keep",
        type=Path,
        metavar="DIRECTORY",
        help="keep data and logs of xmppd's servers there",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make our mark known."""
    config.addinivalue_line(
        "markers", f"{MARK}(**tables): the configuration of the test's XMPP server"
    )


class Servers:
    """The servers of a run of tests, or of one worker of it.

    Args:
        keep: The directory in which their files stay; None to remove them.
    """

    def __init__(self, keep: Path | None) -> None:
        self._keep = keep
        self._until = ExitStack()
        self._numbers, self._domains = count(1), count(1)
        self._shared: dict[str, SharedServer] = {}

    def server(self, *domains: str, **settings: Any) -> TemporaryServer:
        """A server that has not started."""
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        if self._keep is None:
            directory = Path(mkdtemp(prefix="xmppd-"))  # short: a socket is made below it
            self._until.callback(rmtree, directory, ignore_errors=True)
        else:
            directory = self._keep.absolute() / worker / str(next(self._numbers))
            directory.mkdir(parents=True)
        return TemporaryServer(directory, *domains, keep=self._keep is not None, **settings)

    def domain(self, settings: dict[str, Any]) -> TemporaryDomain:
        """A domain that nobody has used, of a server with these settings."""
        key = json.dumps(settings, sort_keys=True, default=str)
        shared = self._shared.get(key)
        if shared is None or not shared.domains:
            if shared is not None:
                shared.server.stop()
            shared = self._shared[key] = SharedServer(self, settings)
            self._until.callback(shared.server.stop)
        return shared.take()

    def domain_names(self, many: int) -> list[str]:
        """So many names that no domain has had."""
        return [f"t{next(self._domains)}.localhost" for _ in range(many)]

    def close(self) -> None:
        """Stop all that run, and remove their files."""
        self._until.close()


class SharedServer:
    """A server with many domains, of which each test is given one.

    Args:
        servers: Makes it.
        settings: Its configuration.

    Attributes:
        server: The server, which runs.
        domains: Those that nobody has used.
    """

    def __init__(self, servers: Servers, settings: dict[str, Any]) -> None:
        self.domains = servers.domain_names(DOMAINS_PER_SERVER)
        self.server = servers.server(*self.domains, **settings)
        self.server.start()

    def take(self) -> TemporaryDomain:
        """One of them; the server is started, if the test before has left it stopped."""
        if not self.server.is_up:
            self.server.start()
        return TemporaryDomain(self.server, self.domains.pop(0))


@pytest.fixture(scope="session")
def xmppd_servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    """All servers of this run."""
    servers = Servers(request.config.getoption("--xmppd-keep"))
    yield servers
    servers.close()


@pytest.fixture
def xmpp_server(
    request: pytest.FixtureRequest, xmppd_servers: Servers
) -> Iterator[TemporaryServer]:
    """An XMPP server of the test's own, in a process of its own, on ports that were free."""
    server = xmppd_servers.server(**_settings(request))
    request.node.stash[SERVER] = server
    if "xmpp_peer" in request.fixturenames:
        server.federated(PEER)
    with server:
        yield server


@pytest.fixture
def xmpp_peer(xmpp_server: TemporaryServer) -> Iterator[TemporaryServer]:
    """A second server, which that of the test finds, and which finds that."""
    (peer,) = xmpp_server.others
    with peer:
        yield peer


@pytest.fixture
def xmpp_domain(
    request: pytest.FixtureRequest, xmppd_servers: Servers
) -> Iterator[TemporaryDomain]:
    """A domain that no other test has, of a server that all share."""
    settings = _settings(request)
    if "domain" in settings:
        pytest.fail(
            "xmpp_domain gives each test a domain of its own, so a mark cannot set domain=…: use "
            "xmpp_server in this test, or leave domain=… out",
            pytrace=False,
        )
    domain = xmppd_servers.domain(settings)
    request.node.stash[SERVER] = domain
    yield domain
    if domain.server.is_up:
        domain.clear()


SERVER = pytest.StashKey[FaultsAndViews]()


def _settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The configuration that a test's marks ask for; the nearest one wins, table by table."""
    settings: dict[str, Any] = {}
    for mark in reversed([*request.node.iter_markers(MARK)]):
        settings.update(mark.kwargs)
    return settings


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show, where a test has failed, what its server says and what was on its wires."""
    report = yield
    server = item.stash.get(SERVER, None)
    if server is not None and report.when == "call" and report.failed:
        report.sections += [
            ("XMPP: the last elements", _elements(server)),
            (f"XMPP: the log of the server ({server.log})", _log(server.log)),
        ]
    return report


def _elements(server: FaultsAndViews) -> str:
    try:
        return "\n".join(map(str, server.seen(last=ELEMENTS_SHOWN)))
    except (NoServer, Refused) as error:
        return str(error)


def _log(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES_SHOWN:])
