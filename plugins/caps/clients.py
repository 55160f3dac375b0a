"""ClientCapabilities: what the software of sessions and of contacts elsewhere wants to be told."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.disco.info import DiscoInfo
from xmppd.handler.presence_update_handler import PresenceChanged, SessionAvailable
from xmppd.host.clocks import Clocks
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.remote_presences import RemotePresence
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.requests import Requests
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionClosed
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import JID, StanzaError, escape
from xmppd.stanza.stanza import MAX_SOFTWARE_LENGTH, Capabilities
from xmppd.store.errors import StoreError

from .tables import VerifiedHashes
from .verification import DISCO_INFO, info_of, node_of, proves

NOTIFY = "+notify"
NOTHING: frozenset[str] = frozenset()
ANSWER_S = 10.0
MAX_ASKED = 1_000
"""Kinds of software that are being asked what they can do; further ones are asked at their next
presence.
"""

MAX_KNOWN = 10_000
"""Kinds of software in memory."""

MAX_REMOTE = 50_000
"""Contacts on other servers whose software is known; those seen longest ago go."""

MAX_RESOURCES = 20
"""Of one of them."""

MAX_ASKED_PER_MINUTE = 100
"""By one account."""


_log = Logger()


class Software(NamedTuple):
    """What is known of a client's software.

    Attributes:
        name: For people; empty if it has none.
        wanted: The names of the nodes that it wants to be told of.
    """

    name: str
    wanted: frozenset[str]


Take = Callable[[Software], None]
Changed = Callable[[LocalClientSession, frozenset[str]], object]


class ClientCapabilities:
    """Which nodes each client here, and each contact on another server, wants to be told of: those
    whose names stand in its disco#info with ``+notify`` behind them (:xep:`0163`, §4.3).

    All clients of one software share one set of names, by the hash in their presence. A software
    that is not known is asked once, and nobody waits for that (EC-2).

    Args:
        requests: Ask clients.
        kept: What was learned before.
        presences: Know who may see whom.
        clocks: Tell the time.

    Attributes:
        changed: Called with a session and the names that it wants from now on and did not before.
        changed_elsewhere: The same of a contact on another server: with the account that it sees,
            its full JID, and the names.
    """

    def __init__(
        self,
        requests: Requests,
        kept: VerifiedHashes,
        presences: PresenceManager,
        clocks: Clocks,
    ) -> None:
        self.requests = requests
        self.kept = kept
        self.rosters = presences.rosters
        self.clocks = clocks
        self.changed: list[Changed] = []
        self.changed_elsewhere: list[Callable[[JID, JID, frozenset[str]], object]] = []
        self._known: OrderedDict[Capabilities, Software] = OrderedDict()
        self._said: dict[LocalClientSession, Capabilities] = {}
        self._wanted: dict[LocalClientSession, frozenset[str]] = {}
        self._remote: OrderedDict[str, dict[str, _Remote]] = OrderedDict()  # by bare JID, by full
        self._asking: dict[Capabilities, dict[str, _Asked]] = {}
        self._minute = 0
        self._asked: Counter[str] = Counter()

    def wanted(self, session: Session) -> frozenset[str]:
        """The names of the nodes that a session wants to be told of."""
        return self._wanted.get(session, NOTHING)  # type: ignore[call-overload,no-any-return]

    def wanting(
        self, sessions: Iterable[LocalClientSession], node: str
    ) -> list[LocalClientSession]:
        """Those of some sessions that want to be told of a node."""
        wanted = self._wanted
        return [session for session in sessions if node in wanted.get(session, NOTHING)]

    def wanted_elsewhere(self, contact: str, node: str) -> list[str]:
        """The full JIDs of a contact on another server that want to be told of a node."""
        theirs = self._remote.get(contact, {})
        return [full for full, remote in theirs.items() if node in remote.names]

    def elsewhere(self, contact: str) -> list[tuple[JID, frozenset[str]]]:
        """The addresses of a contact on another server, each with what it wants to be told of."""
        theirs = self._remote.get(contact, {})
        return [(JID.prepared(full), remote.names) for full, remote in theirs.items()]

    # -- sessions here ----------------------------------------------------------------------------

    def available(self, event: SessionAvailable) -> None:
        """Look at what a session says that it can do which has become available: all that it wants
        is new to it.
        """
        self._said.pop(event.session, None)
        self._wanted.pop(event.session, None)
        self._look(event.session)

    def presence_changed(self, event: PresenceChanged) -> None:
        """Look whether a session says something else."""
        self._look(event.session)

    def _look(self, session: LocalClientSession, *, quiet: bool = False) -> None:
        found = session.capabilities
        if found is None or self._said.get(session) is found:
            return
        self._said[session] = found

        def take(software: Software) -> None:
            if self._said.get(session) is found:
                session.client = software.name
                self._take(session, software.wanted, quiet=quiet)

        known = self._known.get(found)
        if known is not None:
            take(known)
        else:
            self._learn(found, _Asked(session.jid, session.jid.to_bare(), take))

    def _take(self, session: LocalClientSession, names: frozenset[str], *, quiet: bool) -> None:
        new = names - self._wanted.get(session, NOTHING)
        self._wanted[session] = names
        if new and not quiet:
            for tell in self.changed:
                tell(session, new)

    def closed(self, event: SessionClosed) -> None:
        """Forget a session."""
        self._said.pop(event.session, None)
        self._wanted.pop(event.session, None)

    def state(self) -> SessionState:
        """That a session was looked at, which a resumed one is not again (EC-7)."""

        def dump(session: LocalClientSession) -> bytes | None:
            return b"1" if session in self._wanted else None

        def load(data: bytes) -> Put:
            return lambda session: self._look(session, quiet=True)

        return SessionState("caps", dump, load)

    # -- contacts on other servers ----------------------------------------------------------------

    def remote(self, event: RemotePresence) -> None:
        """Look at what the software of a contact says that it can do."""
        presence, account = event.presence, event.account
        sender = presence.sender
        theirs = self._remote.get(sender.bare, {})
        if presence.type is not None:
            theirs.pop(sender.full, None)
            if not theirs:
                self._remote.pop(sender.bare, None)
            return
        found, before = presence.capabilities, theirs.get(sender.full)
        if found is None or sender.resource is None or (before and before.capabilities is found):
            return
        roster = self.rosters.loaded(account.bare)
        if roster is None or not (roster.sees(sender) or roster.may_be_seen_by(sender)):
            return  # to ask a stranger would tell that there is such an account
        account = account.to_bare()
        known = self._known.get(found)
        self._note(account, sender, found, NOTHING if known is None else known.wanted)
        if known is None:

            def take(software: Software) -> None:
                self._note(account, sender, found, software.wanted)

            self._learn(found, _Asked(sender, account, take))

    def _note(self, account: JID, sender: JID, found: Capabilities, names: frozenset[str]) -> None:
        theirs = self._remote.setdefault(sender.bare, {})
        before = theirs.pop(sender.full, None)
        theirs[sender.full] = _Remote(found, names)
        new = names if before is None else names - before.names
        if new:
            for tell in self.changed_elsewhere:
                tell(account, sender, new)
        if len(theirs) > MAX_RESOURCES:
            del theirs[next(iter(theirs))]
        self._remote.move_to_end(sender.bare)
        if len(self._remote) > MAX_REMOTE:
            self._remote.popitem(last=False)

    def lost(self, event: RemoteServerLost) -> None:
        """Forget who was on a server that is gone."""
        domain = event.remote_domain
        for bare in [bare for bare in self._remote if JID.prepared(bare).domain == domain]:
            del self._remote[bare]

    # -- learning ---------------------------------------------------------------------------------

    def _learn(self, found: Capabilities, asked: "_Asked") -> None:
        """Find out what a software wants; all who have it wait for the first answer."""
        waiting = self._asking.get(found)
        if waiting is not None:
            waiting[asked.who.full] = asked  # once each, however often they say it
        elif len(self._asking) < MAX_ASKED and self._may_ask(asked.asker.bare):
            self._asking[found] = {asked.who.full: asked}
            Deferred.fromCoroutine(self._find(found)).addErrback(_failed)

    async def _find(self, found: Capabilities) -> None:
        waiting = self._asking[found]
        try:
            software, paid = await self._remembered(found), True
            while software is None and waiting:
                asked = waiting.pop(next(iter(waiting)))
                if paid or self._may_ask(asked.asker.bare):
                    software = await self._answer(found, asked)
                paid = False
            if software is not None:
                self._known[found] = software
                if len(self._known) > MAX_KNOWN:
                    self._known.popitem(last=False)
                for asked in waiting.values():
                    asked.take(software)
        finally:
            del self._asking[found]

    async def _remembered(self, found: Capabilities) -> Software | None:
        if not found.hash:
            return None
        with suppress(StoreError):
            known = await self.kept.known(found)
            if known is not None:
                name, features = known
                return Software(name, _wanted(features))
        return None

    async def _answer(self, found: Capabilities, asked: "_Asked") -> Software | None:
        """Ask one of those who have a software; what it says is true of others only if its hash is
        made of that (EC-3).
        """
        node = node_of(found)
        about = f" node='{escape(node)}'" if node else ""
        query = f"<query xmlns='{DISCO_INFO}'{about}/>".encode()
        answer = await self.requests.ask(asked.who, asked.asker, query, timeout_s=ANSWER_S)
        if answer is None or answer.type != "result":
            return None
        try:
            info = info_of(answer.query)
        except (ValueError, StanzaError):
            return None
        software = Software(_name(info), _wanted(info.features))
        asked.take(software)
        if not proves(answer.query, info, found):
            return None
        with suppress(StoreError):  # then it is asked again after the next start
            now = self.clocks.wall_clock()
            await self.kept.save(found, software.name, info.features, now)
        return software

    def _may_ask(self, account: str) -> bool:
        """Count a question that an account causes; returns whether it may cause so many (EC-2)."""
        minute = int(self.clocks.seconds() // 60)
        if minute != self._minute:
            self._minute = minute
            self._asked.clear()
        self._asked[account] += 1
        return self._asked[account] <= MAX_ASKED_PER_MINUTE


class _Remote(NamedTuple):
    """A contact's resource on another server.

    Attributes:
        capabilities: As it says.
        names: Those that it wants to be told of.
    """

    capabilities: Capabilities
    names: frozenset[str]


class _Asked(NamedTuple):
    """Somebody whose software is not known.

    Attributes:
        who: Full JID.
        asker: The account in whose name it is asked.
        take: Is told what its software is.
    """

    who: JID
    asker: JID
    take: Take


def _wanted(features: Iterable[str]) -> frozenset[str]:
    return frozenset(each.removesuffix(NOTIFY) for each in features if each.endswith(NOTIFY))


def _name(info: DiscoInfo) -> str:
    """The name of a client for people; empty if it has none. Of several languages the one without
    a name comes first, then English.
    """
    named = [each for each in info.identities if each.category == "client" and each.name.strip()]
    named.sort(key=lambda each: (each.lang != "", not each.lang.startswith("en")))
    return named[0].name.strip()[:MAX_SOFTWARE_LENGTH] if named else ""


def _failed(failure: Failure) -> None:
    _log.failure("a client's capabilities could not be found out", failure)


__all__ = ["ANSWER_S", "MAX_ASKED", "MAX_ASKED_PER_MINUTE", "ClientCapabilities"]
