"""The check of a configuration: what a start would refuse or warn of, in the same sentences."""

import os
import pwd
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from xmppd.cluster.joining import JoinError
from xmppd.cluster.lease_board import BoardAway
from xmppd.config import config_file
from xmppd.config.config import Config
from xmppd.config.table import ConfigError
from xmppd.ctl.warned import warnings
from xmppd.host.clocks import Clocks, wall_clock
from xmppd.host.data_directory import DataDirectory, DataDirectoryError
from xmppd.host.machine import IReactor, Machine
from xmppd.net.certificate import xmpp_addresses
from xmppd.net.listen_endpoint import ListenError, certificates, listen_endpoints
from xmppd.net.tls import TLS
from xmppd.plugin.plugin_error import PluginError, PluginTableError
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.s2s.verification import is_for
from xmppd.server.xmpp_server import XMPPServer
from xmppd.store.errors import StoreError
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store, make_store


@contextmanager
def told(path: Path) -> Iterator[None]:
    """A context in which a mistake of the user becomes one sentence with file, key and remedy.

    Raises:
        ConfigError: That sentence.
    """
    try:
        yield
    except ListenError as error:
        raise ConfigError(f"{path}: {error}.") from error
    except DataDirectoryError as error:
        raise ConfigError(f"{path}: data: {error}.") from error
    except PluginTableError as error:
        raise ConfigError(f"{path}: {error}") from error
    except PluginError as error:
        remedy = "to start without it, remove it from plugins.load"
        said = f"{path}: plugins.load: {error.sentence}; {remedy}."
        raise ConfigError("\n".join(filter(None, (said, error.excerpt)))) from error
    except JoinError as error:
        raise ConfigError(f"{path}: {error}.") from error
    except BoardAway as error:
        raise ConfigError(f"{path}: cluster.redis: {error}.") from error
    except StoreError as error:
        raise ConfigError(
            f"{path}: storage.url does not name a database that xmppd can use: {error}"
        ) from error


def check_providers(path: Path, server: XMPPServer) -> None:
    """Refuse a domain whose accounts nobody knows who is there; plugins are loaded by now.

    Raises:
        ConfigError: One sentence.
    """
    for domain, name in server.auth_provider.missing().items():
        raise ConfigError(
            f'{path}: domain.auth of "{domain}" names "{name}", which no loaded plugin provides; '
            f'add its plugin to plugins.load ("auth_{name}", if it comes with xmppd).'
        )


def check_names(path: Path, config: Config, tls: TLS | None) -> None:
    """Refuse a certificate that is not for its domain: no client and no server would believe it.
    One that an authority has yet to sign is not there to be looked at.

    Args:
        path: The configuration file.
        config: Its content.
        tls: The certificates in its files; None if there are none.

    Raises:
        ConfigError: One sentence.
    """
    for domain in config.domain:
        shown = None if tls is None or domain.acme else tls.identity(domain.name)
        if shown is None:
            continue
        names = xmpp_addresses(shown[1].certificate)
        if not is_for(names, domain.name):
            listed = ", ".join(names.dns_names)
            what = f"is for {listed}" if listed else "has no subjectAltName (host name)"
            raise ConfigError(
                f'{path}: domain.certificate of "{domain.name}" {what}, so clients and '
                f"other servers would refuse it; name one that is for {domain.name}."
            )


async def check(path: Path, reactor: IReactor) -> list[str]:
    """Go through a start, as far as that leaves no trace; the database is not used.

    Root reads files as the user of the data directory, which is the server's. While a
    server is in the data directory, the ports are taken to be its own.

    Returns:
        The warnings of a start.

    Raises:
        ConfigError: The first mistake.
    """
    with told(path):
        data = DataDirectory(Path(config_file.load(path).data))
        with as_user(data.owner), _not_made(data.path):
            found = config_file.load(path)
            read = certificates(found)
            check_names(path, found, read.tls)
            closed = listen_endpoints(found, reactor)
            nobody_runs = data.is_free()
            await _load_plugins(path, found, reactor)
        if nobody_runs:
            for endpoint in closed:
                await endpoint.open(_Nobody())
                await endpoint.close()
    clocks = Clocks(reactor.seconds, wall_clock, "", reactor.seconds())
    return warnings(path, found, read.tls, clocks)


@contextmanager
def _not_made(directory: Path) -> Iterator[None]:
    """A context that leaves no directory where there was none, unless somebody else has put a file
    there meanwhile: what belongs to root would be in the way of the server.
    """
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        yield
    finally:
        made = [path for path in directory.rglob("*") if path.is_dir()] if missing else []
        for path in (*sorted(made, reverse=True), *missing):
            with suppress(OSError):
                path.rmdir()


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """A context in which root has the rights of that user; nothing changes for other users."""
    if os.geteuid() != 0 or uid == 0:
        yield
        return
    groups = os.getgroups()
    group, theirs = _groups(uid)
    os.setgroups(theirs)
    os.setegid(group)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(os.getgid())
        os.setgroups(groups)


def _groups(uid: int) -> tuple[int, list[int]]:
    """A user's own group, and all others of it; a user without a name has none but root's."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return os.getgid(), []
    return user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid)


async def _load_plugins(path: Path, found: Config, reactor: IReactor) -> None:
    async with AsyncExitStack() as opened:
        machine = Machine(reactor, b"")
        opened.callback(machine.stop)
        make_store(found.storage.url, reactor=reactor)
        store = Store(MemoryDatabase(), reactor)  # plugins make their tables there
        server = XMPPServer(found, store, machine)
        plugins = PluginManager(server)
        opened.push_async_callback(server.stop, plugins.unload_all)
        await plugins.load(*found.plugins.load)
        check_providers(path, server)


class _Nobody(Factory):
    """The factory of a port that is opened only to see whether it opens."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> None:
        return None


__all__ = ["as_user", "check", "check_names", "check_providers", "told"]
