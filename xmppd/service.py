"""XMPPService: starts a server and all that it needs of its machine, in order, and stops it."""

import atexit
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from platform import python_version
from shutil import which
from threading import Event
from typing import TypeVar, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorCore, IReactorThreads
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, Logger, globalLogPublisher
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from xmppd.acme.authority_thread import AuthorityThread
from xmppd.acme.challenges import Challenges
from xmppd.acme.names import names_of
from xmppd.acme.renewals import Renewals
from xmppd.build import build
from xmppd.cluster.cluster import Cluster, alone
from xmppd.cluster.joining import JoinError, may_act
from xmppd.cluster.membership import NodeFenced
from xmppd.config import config_file
from xmppd.config.changes import changed, merged
from xmppd.config.config import Config, name_server
from xmppd.config.permissions import PRIVATE
from xmppd.config.table import ConfigError
from xmppd.ctl.check import check_names, check_providers, told
from xmppd.ctl.commands import WITHOUT_SERVER, of_running, of_server
from xmppd.ctl.control import Control, listen
from xmppd.ctl.warned import warnings
from xmppd.events import OWNER, On
from xmppd.host.data_directory import DataDirectory, DataDirectoryError
from xmppd.host.failures import Failures
from xmppd.host.file_stamps import FileStamps
from xmppd.host.log import Log
from xmppd.host.machine import (
    Descriptors,
    IReactor,
    Machine,
    MemoryWatch,
    Workers,
    keep_collections_rare,
    notify,
    warn_of_expat,
)
from xmppd.host.recent_log import RecentLog
from xmppd.host.stop_limits import StopLimits
from xmppd.host.version import version
from xmppd.net.listen_endpoint import (
    Certificates,
    ListenError,
    certificates,
    has_other_certificates,
    listen_endpoints,
)
from xmppd.nodes.drain import HAND_OVER_S
from xmppd.plugin.offers import Offer
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.plugin_manager import PluginManager, import_ahead
from xmppd.resolve.attempts import Attempts
from xmppd.resolve.finder import Finder
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor as INetwork
from xmppd.resolve.targets import Directions
from xmppd.server.xmpp_server import XMPPServer
from xmppd.store.store import Store, make_store
from xmppd.trace.trace import Trace

LAST_RESORT_S = 60.0
"""A stop for want of memory that takes longer is over."""

AGAIN_AFTER_S = 1.0
"""A node that cannot begin anew tries again after that."""

T = TypeVar("T")
_log = Logger()


class StartError(SystemExit, Exception):
    """An error: the server cannot start; the text is one sentence for the administrator.

    As an Exception it lets twistd clean up; as a SystemExit it then ends the process with status 1
    and without a traceback.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = 1
        # twistd has sys.stderr in the log by now; a terminal may show the real one.
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"{sentence}\n")


class XMPPService(Service):
    """A server with its endpoints.

    All that can be checked without opening anything is checked here, before twistd forks.

    Args:
        path: The configuration file.
        reactor: Not yet running.
        log: Takes its levels.
        observer: Makes the observer for twistd's log; None leaves that to twistd.

    Raises:
        StartError: The configuration cannot be used.
    """

    name = "xmppd"
    _descriptors: Descriptors

    def __init__(
        self,
        path: Path,
        reactor: IReactor,
        log: Log,
        observer: Callable[[], ILogObserver | None],
    ) -> None:
        self.path = path
        self._observer = observer
        self._reactor = reactor
        self._log = log
        self._opened = AsyncExitStack()
        self._life = AsyncExitStack()
        self._living = DeferredLock()
        self._is_stopping = False
        self._reloading = DeferredLock()
        self._files = FileStamps()
        with _told(path):
            self._files.note([path])
            self.config = config_file.load(path)
            self._files.note(_certificate_files(self.config))
            log.use(self.config.log, self.config.cluster.node)
            self._certificates = certificates(self.config)
            check_names(path, self.config, self._certificates.tls)
            self.endpoints = listen_endpoints(self.config, reactor)
        self._directory = DataDirectory(Path(self.config.data))

    @property
    def failures(self) -> Failures:
        """Of the program, in the last hour."""
        return self._log.failures

    @property
    def recent(self) -> RecentLog:
        """The last warnings and errors of the log."""
        return self._log.recent

    def unread(self) -> Sequence[Path]:
        """The configuration and certificates that have changed on disk since they were read."""
        return self._files.changed()

    def setServiceParent(self, parent: Componentized) -> None:
        """Join twistd's application, and give it our log.

        Raises:
            StartError: The log cannot be written.
        """
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]
        try:
            observer = self._observer()
        except OSError as error:
            raise StartError(
                f"the log cannot be written to {error.filename} ({error.strerror}); name another "
                f"file with --logfile, in a directory that xmppd's user may write."
            ) from error
        if observer is not None:
            parent.setComponent(ILogObserver, observer)

    # -- start and stop -------------------------------------------------------------------------

    def startService(self) -> None:
        """Start the server; the reactor does not run yet, so that an error can still stop twistd.

        Raises:
            StartError: With a sentence, after everything was closed again.
        """
        super().startService()  # type: ignore[no-untyped-call]
        try:
            with _told(self.path):
                self._start_or_close()
        except StartError as error:
            _log.critical("{sentence}", sentence=str(error))
            raise
        self._say_where()
        # By then signals are taken: before, SIGTERM would end us as a failure of power does.
        self._reactor.callWhenRunning(notify, "READY=1")

    def stopService(self) -> Deferred[None]:
        """Stop listening, hand over to other nodes what they take, close all streams, write all
        that is queued, and close everything.
        """
        notify("STOPPING=1")
        if self.config.cluster.enabled:
            longest_s = self.config.cluster.drain_s + HAND_OVER_S + StopLimits.STORE.seconds
            notify(f"EXTEND_TIMEOUT_USEC={longest_s * 1e6:.0f}")
        super().stopService()  # type: ignore[no-untyped-call]
        self._is_stopping = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._living.run(self._finished)

    def _finished(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._opened.aclose())

    def _start_or_close(self) -> None:
        threads = IReactorThreads(self._reactor).getThreadPool()
        if self.config.cluster.enabled:
            threads.start()  # names are looked up there, and the reactor does not run yet
        try:
            wait(self._reactor, self._start())
        except BaseException:
            wait(self._reactor, self._opened.aclose())
            if threads.started:
                threads.stop()
            raise

    async def _start(self) -> None:
        """Open everything from the ground up: ports come last, behind plugins (BOOT-2)."""
        warn_of_expat()
        watch = MemoryWatch(lambda: self._reactor.callFromThread(self._out_of_memory))
        globalLogPublisher.addObserver(watch)
        self._opened.callback(globalLogPublisher.removeObserver, watch)
        self._descriptors = Descriptors.of_this_process()
        _log.info(
            "the limit of open files allows {clients} clients",
            clients=self._descriptors.for_connections,
        )
        self._opened.callback(os.umask, os.umask(PRIVATE))
        self._directory.lock()
        self._opened.callback(self._directory.release)
        self._opened.push_async_callback(self._end_life)
        await self._begin_life()
        self._listen_for_signals()
        self._warn(self._certificates)
        if not self._log.rotates:
            _log.warn("the log's directory cannot be written, so the log will never be rotated")
        keep_collections_rare()

    def _warn(self, read: Certificates) -> None:
        """Log what is hardly meant so in the configuration."""
        for warning in warnings(self.path, self.config, read.tls, self.server.clocks):
            _log.warn("{warning}", warning=warning)

    # -- one life -------------------------------------------------------------------------------

    async def _begin_life(self) -> None:
        """Open all that a node which others have declared dead makes anew."""
        life, directory = self._life, self._directory
        store = self._store()
        life.push_async_callback(store.close)
        await store.open(upgrade=self.config.storage.upgrade, may_create=directory.is_new)
        # The secret comes after the database, so that where it is there was one (ST-6).
        machine = Machine(self._reactor, self._secret(), self._descriptors)
        life.callback(machine.stop)
        if self.config.cluster.enabled:
            import_ahead(self.config)  # nothing else is done meanwhile, and a lease is short
        await self._build(store, machine, await self._cluster(store, machine))
        doors = [endpoint for endpoint in self.endpoints if endpoint.listen.kind != "node"]
        for endpoint in doors:
            await endpoint.open(self.server.listener(endpoint.listen))
            life.push_async_callback(endpoint.close)
        self.server.drain.doors = doors
        self.server.http_doors.endpoints = tuple(doors)
        if self.renewals is not None:
            self.renewals.start()
        await self._listen_for_commands(directory.socket)

    async def _end_life(self) -> None:
        life, self._life = self._life, AsyncExitStack()
        await life.aclose()

    def _store(self) -> Store:
        storage = self.config.storage
        return make_store(
            storage.url,
            reactor=self._reactor,
            pool_threads=storage.pool_threads,
            taken_over=self._taken_over,
            shared=self.config.cluster.enabled,
        )

    def _secret(self) -> bytes:
        """The secret of this installation; nodes of a cluster have one in common."""
        own = self._directory.secret()
        return self.config.cluster.secret or own

    async def _cluster(self, store: Store, machine: Machine) -> Cluster:
        """What this server has of other nodes, when it has joined them."""
        if not self.config.cluster.enabled:
            return alone()
        try:
            from xmppd.nodes.redis_node import RedisNode
        except ModuleNotFoundError as error:
            raise JoinError(f"a cluster needs {error.name}; install xmppd[cluster]") from error
        identity = await store.identity()
        node = RedisNode(self.config, self._reactor, machine, self._directory, identity)
        self._life.push_async_callback(node.leave)
        await node.connect()
        for endpoint in self.endpoints:
            if endpoint.listen.kind == "node" and node.door is not None:
                await endpoint.open(node.door)
                self._life.push_async_callback(endpoint.close)
        return await node.join()

    async def _build(self, store: Store, machine: Machine, cluster: Cluster) -> None:
        self.server = XMPPServer(
            self.config, store, machine, self._certificates, self._finder, cluster
        )
        self.plugins = PluginManager(self.server)
        self._life.push_async_callback(self.server.stop, self.plugins.unload_all)
        self.renewals = self._renewals(machine)
        self.server.events.put(On(NodeFenced, self._fenced), OWNER)
        traces = Trace(self.server, self.plugins.seams)
        self.plugins.offers.put(Offer(traces), OWNER)
        for command in (
            *of_server(self.server, traces),
            *of_running(self.server, self, self.path),
        ):
            self.server.commands.put(command, OWNER)
        for name in self.config.plugins.load:
            await may_act(cluster.membership, self._reactor)
            if name not in self.plugins.loaded:  # it is there if one before needs it
                await self.plugins.load(name)
        check_providers(self.path, self.server)
        await may_act(cluster.membership, self._reactor)
        await self.server.start()
        self.server.stage_samples.start()
        self._life.callback(self.server.stage_samples.stop)

    def _renewals(self, machine: Machine) -> Renewals | None:
        """What has certificates signed by an authority, if that is wanted."""
        config, server, tls = self.config, self.server, self.server.tls
        kind, domains = config.challenge, [each for each in config.domain if each.acme]
        if not domains or not kind or tls is None:
            return None
        try:
            from xmppd.acme.authority import Authority
        except ModuleNotFoundError as error:
            raise ListenError(f"domain.acme needs {error.name}; install xmppd[acme]") from error
        challenges, stopping = Challenges(tls, kind), Event()
        server.http_paths.put(challenges.path(), OWNER)

        def names(domain: str) -> list[str]:
            others = {*server.routing_table.components, server.config.web.url_host} - {""}
            return names_of(domain, server.domains, others, config.acme.leave_out)

        account = self._directory.path / "acme" / "account.pem"
        authority = AuthorityThread(
            Authority(config.acme, account, challenges, stopping),
            Workers(self._reactor, "xmppd-acme", 1),
            stopping,
        )
        renewals = Renewals(domains, names, authority, server.show_certificate, machine.clocks)
        self._life.callback(renewals.stop)
        return renewals

    def _fenced(self, event: NodeFenced) -> None:
        """Begin anew, since the other nodes take this one for dead (CL-65)."""
        self.server.drop()
        if not self._is_stopping:
            self._reactor.callLater(0, self._begin_anew, self.server)

    def _begin_anew(self, fenced: XMPPServer) -> None:
        beginning = self._living.run(lambda: Deferred.fromCoroutine(self._live_again(fenced)))
        beginning.addErrback(lambda failure: _log.failure("a node could not start again", failure))

    async def _live_again(self, fenced: XMPPServer) -> None:
        if self.server is not fenced:
            return  # it was fenced while it began, and another life has begun since
        while not self._is_stopping:
            await self._end_life()
            try:
                with told(self.path):
                    await self._begin_life()
            except ConfigError as error:
                _log.error("{error}", error=error)
                await deferLater(self._reactor, AGAIN_AFTER_S)
            else:
                _log.info("this node has started again")
                return

    def _finder(self, attempts: Attempts, directions: Directions) -> Finder:
        reactor = cast(INetwork, self._reactor)
        servers = [name_server(text) for text in self.config.s2s.dns_servers]
        return Finder(reactor, NameService(reactor, servers), attempts, directions)

    async def _listen_for_commands(self, path: Path) -> None:
        try:
            port = listen(self._reactor, path, Control(self.server.commands, WITHOUT_SERVER))
        except (CannotListenError, OSError) as error:
            raise DataDirectoryError(f"{path} cannot be opened for listening ({error})") from error
        self._life.push_async_callback(stop_listening, port)

    def _listen_for_signals(self) -> None:
        """SIGHUP reads the configuration again; twistd has SIGTERM and SIGINT."""
        before = signal.signal(
            signal.SIGHUP,
            lambda *_: self._reactor.callFromThread(self._hung_up),
        )
        self._opened.callback(signal.signal, signal.SIGHUP, before)

    # -- while it runs --------------------------------------------------------------------------

    def stop(self) -> None:
        """Begin to stop, when what is being done is done."""
        self._reactor.callLater(0, self._reactor.stop)

    def _out_of_memory(self) -> None:
        """Stop as at SIGTERM, but with status 1, so that a service manager starts us again."""
        _log.critical("out of memory: the server is stopping")
        atexit.register(_end_process)
        self._reactor.callLater(LAST_RESORT_S, _end_process)
        self.stop()

    def _taken_over(self, why: str) -> None:
        """Stop, since another server has the database: two on one would undo each other's work
        (ST-4).
        """
        _log.critical("{why} The server is stopping.", why=why)
        self.stop()

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration and the certificates again.

        Returns:
            The changed keys that apply now; those that need a restart.

        Raises:
            ConfigError: Something in it cannot be used; nothing has changed.
        """
        return await self._reloading.run(lambda: Deferred.fromCoroutine(self._reload()))

    async def _reload(self) -> tuple[list[str], list[str]]:
        """Read them, one reading after another: plugins may have to be waited for."""
        files = FileStamps()
        files.note([self.path])
        wanted = config_file.load(self.path)
        files.note(_certificate_files(wanted))
        now, later = changed(self.config, wanted)
        new = merged(self.config, wanted)
        read = self._checked(wanted, new)
        await self._change_plugins(new)
        self.server.reload(new, read)
        await self._tell_plugins()
        self._log.use(new.log, new.cluster.node)
        self.config, self._files = new, files
        if now or later:
            _log.info(
                "reloaded the configuration; changed: {now}; needs a restart: {later}",
                now=", ".join(now) or "nothing", later=", ".join(later) or "nothing",
            )  # fmt: skip
        else:
            _log.info("reloaded the configuration; nothing changed")
        self._warn(read)
        return now, later

    def plan(self, text: str) -> tuple[list[str], list[str]]:
        """What a reload would change if this was in the configuration file; nothing is done.

        Returns:
            The changed keys that would apply at once; those that would need a restart.

        Raises:
            ConfigError: It could not be used.
        """
        wanted = config_file.read_text(text, self.path)
        self._checked(wanted, merged(self.config, wanted))
        return changed(self.config, wanted)

    def _checked(self, wanted: Config, new: Config) -> Certificates:
        """What a configuration names that can be looked at: its certificates, which are returned,
        and its endpoints.

        Args:
            wanted: As it is in the file.
            new: What holds of it without a restart.

        Raises:
            ConfigError: Something of it cannot be used.
        """
        with told(self.path):
            read = certificates(new)
            check_names(self.path, new, read.tls)
            if has_other_certificates(wanted, new):
                check_names(self.path, wanted, certificates(wanted).tls)
            listen_endpoints(wanted, self._reactor)
        return read

    def _hung_up(self) -> None:
        Deferred.fromCoroutine(self._read_again()).addErrback(
            lambda failure: _log.failure("the configuration could not be reloaded", failure)
        )

    async def _read_again(self) -> None:
        try:
            await self.reload()
        except ConfigError as error:
            _log.error("nothing was changed: {error}", error=error)

    async def _tell_plugins(self) -> None:
        try:
            await self.plugins.use_settings()
        except PluginError as error:
            _log.error("a plugin does not apply the new configuration: {error}", error=error)

    async def _change_plugins(self, new: Config) -> None:
        """Load what is new, then unload what is no longer named; or, if one fails, none of it."""
        before, wanted = self.config, new.plugins.load
        with told(self.path):
            try:
                self.plugins.use(new)
                await self.plugins.load(
                    *(name for name in wanted if name not in self.plugins.loaded)
                )
            except PluginError:
                self.plugins.use(before)
                raise
        for name in reversed(before.plugins.load):
            if name not in wanted and name in self.plugins.loaded:
                await self._unload(name)

    async def _unload(self, name: str) -> None:
        try:
            await self.plugins.unload(name)
        except PluginError as error:
            _log.warn("{error}", error=error)

    def _say_where(self) -> None:
        _log.info(
            "this is the {build} build of xmppd {version}, in Python {python}",
            build=build(), version=version(), python=python_version(),
        )  # fmt: skip
        for endpoint in self.endpoints:
            kind = endpoint.listen.kind
            _log.info(
                "listening for {whoever} at {where} (TLS: {tls})",
                whoever="web clients" if kind == "http" else f"{kind}s",
                where=endpoint.where,
                tls=endpoint.listen.tls,
            )
        domain = self.server.domains[0]
        _log.info(
            "xmppd is up; add a user with: {xmppctl} --config {path} user add you@{domain}",
            xmppctl=xmppctl(), path=self.path, domain=domain,
        )  # fmt: skip


def _certificate_files(config: Config) -> list[Path]:
    """The certificates and keys that a configuration names."""
    shown = [domain for domain in config.domain if domain.certificate]
    return [file for domain in shown for file in (domain.chain_file, domain.key_file)]


def _end_process() -> None:
    sys.stdout.flush()
    os._exit(1)


def xmppctl() -> str:
    """The command xmppctl at this machine: its name, or the path beside this program."""
    if which("xmppctl") is not None:
        return "xmppctl"
    return str(Path(sys.executable).with_name("xmppctl"))


async def stop_listening(port: IListeningPort) -> None:
    """Stop listening."""
    await maybeDeferred(port.stopListening)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A context in which a mistake of the user becomes the sentence with which the process ends."""
    try:
        with told(path):
            yield
    except ConfigError as error:
        raise StartError(str(error)) from error


def wait(reactor: IReactorCore, work: Awaitable[T]) -> T:
    """The result of work before the reactor runs, which runs only for that.

    An error can thus be raised where twistd still takes it.
    """

    async def run() -> T:
        return await work

    outcome: list[T | Failure] = []
    Deferred.fromCoroutine(run()).addBoth(outcome.append)
    while not outcome:
        reactor.iterate(0.05)
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]
