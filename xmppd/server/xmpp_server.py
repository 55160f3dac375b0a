"""XMPPServer: the stages with what is put in them, and how they start and stop."""

from collections.abc import Awaitable, Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from xmppd.cluster.cluster import Cluster
from xmppd.cluster.directory import DirectoryAway
from xmppd.config.config import (
    Config,
)
from xmppd.host.stop_limits import StopLimits, until
from xmppd.net.listen_endpoint import NO_CERTIFICATES, Certificates
from xmppd.nodes.reassertions import AGAIN_AFTER_S
from xmppd.resolve.connector import Nowhere
from xmppd.server.callbacks import call_back
from xmppd.server.ending import close_all, close_wires, forget_all, say_what_is_lost
from xmppd.server.entries import put_entries
from xmppd.server.own_parts import put_parts
from xmppd.server.supplied import stages_of
from xmppd.server.wiring import MakeConnector, Platform, Wiring
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import (
    SessionMoved,
)
from xmppd.stanza import IQ
from xmppd.store.errors import StoreError
from xmppd.store.store import Store

KEY_KINDS_READ_S = 60.0
"""The time after which a node knows of keys that accounts have brought to another one."""

_log = Logger()


async def _unload_nothing() -> None:
    """Do nothing: there are no plugins."""


class XMPPServer(Wiring):
    """The server: its attributes are the stages.

    Parts that stages put in each other's places are put when all stages are there, as those of a
    plugin are.

    Args:
        config: As read from the file.
        store: Open, or about to be.
        platform: The clock, threads and secrets.
        certificates: As they were read.
        make_connector: Makes the connector to other servers; without it none is found.
        cluster: The other nodes of the service; without it there are none.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        platform: Platform,
        certificates: Certificates = NO_CERTIFICATES,
        make_connector: MakeConnector = Nowhere,
        cluster: Cluster | None = None,
    ) -> None:
        super().__init__(config, store, platform, certificates, make_connector, cluster)
        self._is_dropped = False
        self._reading_key_kinds = LoopingCall(self._read_key_kinds)
        self._reading_key_kinds.clock = self.clock
        put_entries(self)
        put_parts(self)
        call_back(self)
        self.moves.on_taken = self._introduce
        self.cluster.membership.on_loss = self._enter_all
        self.cluster.membership.on_silence = partial(close_wires, self)
        self.stages = stages_of(self)

    def reload(self, config: Config, certificates: Certificates = NO_CERTIFICATES) -> None:
        """Take another configuration, as far as that is possible while running.

        Limits of one connection hold for new ones.

        Args:
            config: Differs from the one before only in keys that apply at once.
            certificates: As they were read.

        Raises:
            ValueError: OpenSSL refuses a certificate; then nothing has changed.
        """
        if self.tls is not None and certificates.tls is not None:
            self.tls.use(certificates.tls)
        self.trust.use(certificates.authorities)
        self.outgoing_tls.renew()
        self.foreign_routes.forget_failures()
        self.settings.reload(config)

    def show_certificate(self, domain: str) -> None:
        """Show the certificate that is in the files of a domain by now, also to other servers.

        Raises:
            ValueError: It cannot be used; then nothing has changed.
        """
        assert self.tls is not None, "the domain has one"
        self.tls.renew(domain)
        self.outgoing_tls.renew()

    async def start(self) -> None:
        """Read all that must be known before the first client connects."""
        await self.shared_groups.load()
        await self.store.key_kinds.load(self.domains, forgets=True)
        self._say_what_is_not_offered()
        if self.store.database.shared:
            self._reading_key_kinds.start(KEY_KINDS_READ_S, now=False)
        await self._look_for_admins()
        self.foreign_routes.start()
        await self._take_up_sessions()
        self.client_connections.start()
        self.server_connections.start()
        self.components.start()
        self.http_connections.start()

    async def stop(self, unload: Callable[[], Awaitable[None]] = _unload_nothing) -> None:
        """Hand over to other nodes what they take; close all streams that are left, each told why,
        save sessions and messages, and close the store.

        Args:
            unload: Takes out the plugins, which may store what they have: they are there as long as
                stanzas are handled.

        Nothing is waited for beyond ``cluster.drain_s``, and then its :class:`StopLimits`, whatever
        peers and the database do; losses by that are logged.
        """
        not_stored = self.packet_router.not_stored
        if not self._is_dropped and self.config.cluster.drain_s:
            await self.drain.within(self.config.cluster.drain_s)
        self.directory_sweep.stop()
        if self._reading_key_kinds.running:
            self._reading_key_kinds.stop()
        began = self.clock.seconds()
        try:
            if not self._is_dropped:
                await close_all(self, began)
        finally:
            await until(self.clock, StopLimits.PLUGINS, began, unload())
            await until(self.clock, StopLimits.STORE, began, self.store.close())
            say_what_is_lost(self, not_stored)

    def drop(self) -> None:
        """Close all streams, and forget all else: others take this node for dead, so that nobody
        is told anything, and nothing is written (CL-65). What is left for :meth:`stop` is little.
        """
        self._is_dropped = True
        forget_all(self)

    def _say_what_is_not_offered(self) -> None:
        """Log the mechanisms that not all accounts of a domain have keys for (AU-16)."""
        for domain in self.domains:
            for hash in sorted(self.store.key_kinds.missing(domain)):
                _log.info(
                    "SCRAM-{hash} is not offered for {domain}: some imported accounts do not have "
                    "keys for it",
                    hash=hash,
                    domain=domain,
                )

    def _read_key_kinds(self) -> Deferred[None]:
        """Read which keys accounts have brought that moved in at another node."""

        async def read() -> None:
            try:
                await self.store.key_kinds.load(self.domains)
            except StoreError as error:
                _log.warn("the kinds of imported keys could not be read: {why}", why=str(error))

        return Deferred.fromCoroutine(read())

    async def _look_for_admins(self) -> None:
        """Warn of administrators without an account, which may be a mistake in writing."""
        for admin in self.admins:
            if admin.domain in self.domains and not await self.store.accounts.exists(admin.bare):
                _log.warn(
                    "the option admins lists {admin}, but there is no such account",
                    admin=admin.bare,
                )

    async def _take_up_sessions(self) -> None:
        """Restore sessions of an orderly stop; messages of others become offline messages (RS-9,
        RS-10).
        """
        await self.stored_messages.take_up()
        lost = await self.saved_sessions.load()
        await self.held_messages.take_up(self.resumable_sessions.resumable(), lost)
        for each in lost:
            requests = [waiting for _, waiting in each.unread if isinstance(waiting[0], IQ)]
            self.packet_router.take_back(requests, each.jid)
        await self.packet_router.finish()
        for session in tuple(self.session_manager.sessions.values()):
            await self._introduce(session)
        self.arrivals.look_for_nodes(self.cluster.membership)

    async def _introduce(self, session: LocalClientSession) -> None:
        """Let others know a session that was saved, and has been restored."""
        await self.locations.restore(session)
        self.events.fire(SessionMoved(session))
        self.presence_manager.look_elsewhere_again(session)

    async def _enter_all(self) -> None:
        """Say again what is here, since Redis may have lost it (CL-64)."""
        while not (self._is_dropped or await self._claims_asserted()):
            await self._sleep(AGAIN_AFTER_S)
        await self.reassertions.after_loss()
        self.locations.after_loss()
        self.presence_manager.introductions.after_loss()
        await self.offline_message_flood.after_loss()

    async def _claims_asserted(self) -> bool:
        """Say again what lives here; returns whether the directory has answered."""
        try:
            await self.cluster.claims.assert_all()
        except DirectoryAway:
            return False
        return True
