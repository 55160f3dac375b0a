"""What a start would refuse: found without starting, and said in the same sentences."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from xmppd import config_file
from xmppd.config import Config
from xmppd.config_file import ConfigError
from xmppd.data_directory import DataDirectory, DataDirectoryError
from xmppd.machine import IReactor, Machine
from xmppd.net.doors import DoorError, certificates, doors
from xmppd.plugin_manager import PluginError, PluginManager
from xmppd.server import XMPPServer
from xmppd.store.base import StoreError
from xmppd.store.sql import make_store


@contextmanager
def told(path: Path) -> Iterator[None]:
    """A user's mistake, as one sentence that names the file, the key and the remedy.

    Raises:
        ConfigError: That sentence.
    """
    try:
        yield
    except DoorError as error:
        raise ConfigError(f"{path}: {error}.") from error
    except DataDirectoryError as error:
        raise ConfigError(f"{path}: data: {error}.") from error
    except PluginError as error:
        raise ConfigError(f"{path}: plugins.load: {error}; correct or remove its name.") from error
    except StoreError as error:
        raise ConfigError(
            f"{path}: storage.url must name a database we can use: {error}"
        ) from error


async def check(path: Path, reactor: IReactor) -> None:
    """Go through a start, as far as that leaves no trace; the database is not asked.

    While a server is in the data directory, the ports are taken to be its own.

    Raises:
        ConfigError: The first mistake.
    """
    with told(path):
        found = config_file.load(path)
        certificates(found)
        closed = doors(found, reactor)
        nobody_runs = DataDirectory(Path(found.data)).is_free()
        await _load_plugins(found, reactor)
        if nobody_runs:
            for door in closed:
                await door.open(_Nobody())
                await door.close()


async def _load_plugins(found: Config, reactor: IReactor) -> None:
    async with AsyncExitStack() as opened:
        machine = Machine(reactor, b"")
        opened.callback(machine.stop)
        server = XMPPServer(found, make_store(found.storage.url, reactor=reactor), machine, None)
        opened.push_async_callback(server.stop)
        plugins = PluginManager(server, found.plugins.directory)
        for name in found.plugins.load:
            plugins.load(name)
            opened.callback(plugins.unload, name)


class _Nobody(Factory):
    """Is at a door that is opened only to see whether it opens."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> None:
        return None


__all__ = ["check", "told"]
